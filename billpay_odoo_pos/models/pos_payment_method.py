# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from odoo.addons.billpay_odoo.models.billpay_guarded import BillpayGuarded


class PosPaymentMethod(models.Model):
    """BillPay at the till: without a journal, since the money books itself.

    To Odoo it is a customer account: closing the session leaves what is to be paid on
    the customer's account, where the payment of the control number meets it.
    """

    _name = "pos.payment.method"
    _inherit = ["pos.payment.method", BillpayGuarded._name]

    billpay_provider_id = fields.Many2one(
        "payment.provider",
        string="ClickPesa Application",
        domain="[('code', '=', 'clickpesa'), ('company_id', 'parent_of', company_id)]",
        groups="point_of_sale.group_pos_manager",
        help="Empty: the company's.",
    )

    @api.model
    def _search(self, domain, *args, **kwargs):
        """Override: what Odoo gives to a new till by itself is none of ours.

        It takes a method without a journal for its *Customer Account*.
        """
        if self.env.context.get("billpay_by_tick_only"):
            ours = Domain("use_payment_terminal", "=", "billpay")
            domain = Domain(domain) & ~ours
        return super()._search(domain, *args, **kwargs)

    def _is_write_forbidden(self, fields):
        """Override: the server takes another application for the next number."""
        return super()._is_write_forbidden(fields - {"billpay_provider_id"})

    @api.constrains("billpay_provider_id", "company_id")
    def _check_billpay_provider_id(self):
        for method in self:
            method.sudo().billpay_provider_id._billpay_check_books(method)

    def _get_payment_terminal_selection(self):
        return [*super()._get_payment_terminal_selection(), ("billpay", "BillPay")]

    @api.depends("type", "payment_method_type")
    def _compute_hide_use_payment_terminal(self):
        """Override: the only terminal for a method without a journal."""
        result = super()._compute_hide_use_payment_terminal()
        for method in self:
            if method.payment_method_type == "terminal" and method.type == "pay_later":
                method.hide_use_payment_terminal = False
        return result

    @api.constrains("use_payment_terminal", "journal_id", "split_transactions")
    def _check_billpay(self):
        for method in self.filtered(lambda m: m.use_payment_terminal == "billpay"):
            if method.journal_id:
                raise ValidationError(
                    self.env._(
                        "The BillPay method %s has a journal, so its money would be "
                        "booked twice: by BillPay, and when the session is closed. "
                        "Leave the journal empty.",
                        method.name,
                    )
                )

    def _billpay_is_online(self):
        """Tell whether one of these lets customers pay online with ClickPesa."""
        if "is_online_payment" not in self._fields:
            return False
        online = self.filtered("is_online_payment")
        providers = self.env["payment.provider"].sudo()
        for method in online:
            providers |= method._get_online_payment_providers(error_if_invalid=False)
        return bool(
            providers.filtered(
                lambda provider: (
                    provider.code == "clickpesa"
                    and provider.company_id in online.company_id
                    and provider._billpay_is_on()
                )
            )
        )
