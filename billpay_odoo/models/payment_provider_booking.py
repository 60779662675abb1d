# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How an application's payments get into the books."""

from odoo import fields, models


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    clickpesa_reversal = fields.Selection(
        string="Money Taken Back",
        help="What happens when ClickPesa takes money back that is booked already.",
        selection=[
            ("auto", "Reverse the entry and tell somebody"),
            ("alert", "Only tell somebody"),
        ],
        default="auto",
        required=True,
    )
    clickpesa_fee_account_id = fields.Many2one(
        "account.account",
        string="Fee Account",
        help="Where the fees of the channels are booked, in the entry of each payment. "
        "Empty: they are not booked, and a payment is worth what the payer paid.",
        domain="[('company_ids', 'parent_of', company_id),"
        " ('account_type', 'in', ('expense', 'expense_direct_cost'))]",
        check_company=True,
        copy=False,
        ondelete="restrict",
    )

    def write(self, vals):
        result = super().write(vals)
        if not {"clickpesa_client_id", "clickpesa_api_key"}.isdisjoint(vals):
            self._billpay_ask_again()
        return result

    def _billpay_ask_again(self):
        """With other credentials ClickPesa may know what it did not before."""
        waiting = (
            self.env["billpay.payment"]
            .sudo()
            .search([("state", "=", "received"), ("provider_id", "in", self.ids)])
        )
        if waiting:
            waiting.next_try_at = False
            self._billpay_trigger("ir_cron_process_payments")
