# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from markupsafe import Markup

from odoo import api, fields, models

from odoo.addons.billpay_odoo import money
from odoo.addons.billpay_odoo.actions import window


class SaleOrder(models.Model):
    _inherit = "sale.order"

    billpay_number = fields.Char(
        string="Control Number",
        compute="_compute_billpay_number",
        compute_sudo=True,
        help="The number with which the customer pays this order.",
    )
    billpay_number_problem = fields.Char(
        string="Why Nobody Can Pay It",
        compute="_compute_billpay_number",
        compute_sudo=True,
    )
    billpay_payment_ids = fields.Many2many(
        "billpay.payment",
        compute="_compute_billpay_payment_ids",
        string="BillPay Payments",
        groups="billpay_odoo.group_billpay_user",
    )
    billpay_paid = fields.Monetary(
        string="Paid by Control Number",
        compute="_compute_billpay_payment_ids",
        currency_field="billpay_currency_id",
        groups="billpay_odoo.group_billpay_user",
    )
    billpay_currency_id = fields.Many2one(
        "res.currency",
        compute="_compute_billpay_payment_ids",
        groups="billpay_odoo.group_billpay_user",
    )
    billpay_reason = fields.Char(
        string="BillPay Says",
        compute="_compute_billpay_payment_ids",
        groups="billpay_odoo.group_billpay_user",
        help="What a person should know about the money of this order.",
    )

    # === COMPUTE METHODS === #

    @api.depends("transaction_ids.billpay_number_ids.payable")
    def _compute_billpay_number(self):
        for order in self:
            numbers = order.transaction_ids.billpay_number_ids.sorted("id")
            payable, living = numbers._payable()[-1:], numbers._living()[-1:]
            order.billpay_number = payable.display_number
            order.billpay_number_problem = (
                living._problem_text() if living and not payable else False
            )

    @api.depends("transaction_ids.billpay_number_ids.payment_ids.state")
    def _compute_billpay_payment_ids(self):
        self.billpay_currency_id = money.shillings(self.env)
        for order in self:
            # sudo: a salesperson sees how the own order stands, not the whole ledger.
            payments = order.sudo().transaction_ids.billpay_number_ids.payment_ids
            booked = payments.filtered(lambda p: p.state == "posted")
            order.billpay_payment_ids = payments
            order.billpay_paid = sum(booked.mapped("amount"))
            order.billpay_reason = " ".join(
                p.reason for p in payments if p.attention and p.reason
            )

    # === BUSINESS METHODS === #

    def _action_cancel(self):
        """Override of `sale`: what was ordered by nobody asks for no money."""
        result = super()._action_cancel()
        # sudo: a salesperson need not be allowed to change transactions.
        waiting = self.sudo().transaction_ids.filtered(
            lambda tx: (
                tx.provider_code == "clickpesa"
                and tx.state in ("draft", "pending")
                and set(tx.sale_order_ids.mapped("state")) == {"cancel"}
            )
        )
        waiting._set_canceled(
            state_message=self.env._("The order is cancelled. Its number is closed.")
        )
        return result

    # === ACTION METHODS === #

    def action_view_billpay_payments(self):
        self.ensure_one()
        return window(
            self.env,
            "action_billpay_payment",
            domain=[("id", "in", self.billpay_payment_ids.ids)],
        )

    # === E-MAIL === #

    def _send_order_notification_mail(self, mail_template, **kwargs):
        """Override of `sale`: an order that waits for money tells its number."""
        block = self._billpay_mail_block()
        order = self.with_context(billpay_pay_block=block) if block else self
        return super(SaleOrder, order)._send_order_notification_mail(
            mail_template, **kwargs
        )

    def message_post(self, *, body="", **kwargs):
        block = self.env.context.get("billpay_pay_block")
        if block:
            body = Markup(body or "") + Markup(block)
            self = self.with_context(billpay_pay_block=False)
        return super().message_post(body=body, **kwargs)

    def _billpay_mail_block(self):
        """Return the pay block of the e-mail, "" when nothing waits for money."""
        self.ensure_one()
        tx_sudo = self.sudo().get_portal_last_transaction()
        if tx_sudo.provider_code != "clickpesa" or tx_sudo.state != "pending":
            return ""
        number = tx_sudo.billpay_number_ids._payable()
        if not number:
            return ""
        values = self.env["billpay.pay.page"]._block_values(
            self.env["billpay.pay.page"]._billpay_printed(number[-1]),
            self.company_id,
            self.partner_id.lang,
        )
        return str(
            self.env["ir.qweb"]._render(
                "billpay_odoo.mail_pay_block", {"billpay": values}
            )
        )
