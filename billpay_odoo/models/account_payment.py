# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import AccessError

# Set by the payments worker alone.
_LINK_FIELDS = ("billpay_payment_id", "billpay_part")


class AccountPayment(models.Model):
    _inherit = "account.payment"

    billpay_payment_id = fields.Many2one(
        "billpay.payment",
        string="BillPay Payment",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    billpay_part = fields.Integer(
        readonly=True,
        copy=False,
        help="Which part of the ClickPesa payment this is, when it is split.",
    )

    # A ClickPesa payment is booked exactly once: the database says so.
    _billpay_part_unique = models.UniqueIndex(
        "(billpay_payment_id, COALESCE(billpay_part, 0)) WHERE billpay_payment_id IS NOT NULL",
        "This part of the ClickPesa payment is already booked.",
    )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        if any(vals.get(name) for vals in vals_list for name in _LINK_FIELDS):
            self._billpay_check_worker()
        return super().create(vals_list)

    def write(self, vals):
        for name in _LINK_FIELDS:
            if name in vals and any(
                (vals[name] or False) != value
                for value in (
                    self._fields[name].convert_to_write(payment[name], payment) or False
                    for payment in self
                )
            ):
                self._billpay_check_worker()
        return super().write(vals)

    def _billpay_check_worker(self):
        """The link to the money ledger is not a thing to be claimed by hand.

        :raise AccessError: whoever asks is a user
        """
        if not self.env.su:
            raise AccessError(
                self.env._(
                    "The link between a payment and ClickPesa is made when the "
                    "ClickPesa payment is booked, and cannot be set or taken away by "
                    "hand. Nothing was changed."
                )
            )
