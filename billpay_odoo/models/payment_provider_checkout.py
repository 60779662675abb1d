# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Whether an application is offered at a checkout, and how its numbers ask."""

from odoo import api, fields, models

from odoo.addons.payment import utils as payment_utils

from .. import const


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    clickpesa_checkout_mode = fields.Selection(
        [
            ("exact", "Exactly the amount of the order"),
            ("flexible", "Any amount: the order waits until all is paid"),
        ],
        string="At a Checkout Payers May Pay",
        default="exact",
        required=True,
    )
    clickpesa_checkout_hours = fields.Integer(
        string="Checkout Numbers Wait",
        default=48,
        help="Hours after which an unpaid checkout is given up and its number closed. "
        "0: never.",
    )
    clickpesa_checkout_offline = fields.Boolean(
        string="Offline When ClickPesa Does Not Answer",
        help="The number is made from the BillPay-Namba without asking ClickPesa, so "
        "that the customer can pay all the same.",
    )
    clickpesa_convert = fields.Boolean(
        string="Also for Other Currencies",
        help="Amounts in other currencies are asked for in shillings, at the rate of "
        "the day.",
    )

    _clickpesa_checkout_hours_positive = models.Constraint(
        "CHECK (clickpesa_checkout_hours >= 0)",
        "A checkout waits for a number of hours; 0 means for good.",
    )

    @api.depends("clickpesa_convert")
    def _compute_available_currency_ids(self):
        # EXTENDS payment
        return super()._compute_available_currency_ids()

    def _get_supported_currencies(self):
        """Override of `payment`: shillings, and others only when they are converted."""
        currencies = super()._get_supported_currencies()
        if self.code == "clickpesa" and not self.clickpesa_convert:
            currencies = currencies.filtered(lambda c: c.name == const.CURRENCY)
        return currencies

    @api.model
    def _get_compatible_providers(self, *args, report=None, **kwargs):
        """Override of `payment`: applications that can make numbers."""
        providers = super()._get_compatible_providers(*args, report=report, **kwargs)
        unable = providers.filtered(
            lambda p: p.code == "clickpesa" and not p.sudo()._billpay_prefix()
        )
        payment_utils.add_to_report(
            report,
            unable,
            available=False,
            reason=self.env._("the application has no BillPay-Namba"),
        )
        return providers - unable
