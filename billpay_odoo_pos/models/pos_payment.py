# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models


class PosPayment(models.Model):
    _inherit = "pos.payment"

    billpay_number = fields.Char(
        string="Control Number",
        help="With which the customer pays or has paid.",
    )
    billpay_number_id = fields.Many2one(
        "billpay.control.number",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    billpay_line_id = fields.Many2one(
        "account.move.line",
        string="Journal Item",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="What the closing of the session left to be paid.",
    )
    is_billpay = fields.Boolean(compute="_compute_is_billpay")

    @api.depends("payment_method_id.use_payment_terminal")
    def _compute_is_billpay(self):
        for payment in self:
            payment.is_billpay = (
                payment.payment_method_id.use_payment_terminal == "billpay"
            )

    def _billpay_lines(self):
        """Return the journal items that wait for BillPay money."""
        return self.filtered("is_billpay").sudo().billpay_line_id

    def _billpay_entries(self):
        """Return the journal items of the money that came for these."""
        numbers = self.sudo().billpay_number_id
        orders = self.pos_order_id
        numbers |= (
            self.env["billpay.control.number"]
            .sudo()
            .search(
                [
                    ("pos_order_uuid", "in", [o.uuid for o in orders if o.uuid]),
                    ("pos_config_id", "in", orders.config_id.ids),
                ]
            )
        )
        payments = numbers.payment_ids.filtered(
            lambda p: p.state == "posted" and not p._is_persons_choice()
        )
        return payments.account_payment_ids.move_id.line_ids.filtered(
            lambda line: (
                line.account_id.account_type == "asset_receivable"
                and line.parent_state == "posted"
                and not line.reconciled
                and line.amount_residual < 0
            )
        )
