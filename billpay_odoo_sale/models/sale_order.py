# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError

from odoo.addons.billpay_odoo import money
from odoo.addons.billpay_odoo.actions import window
from odoo.addons.billpay_odoo.const import INVOICES, WAITING


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

    # === CRUD METHODS === #

    def write(self, vals):
        """Override of `sale`: what was ordered by nobody asks for no money."""
        changed = self.browse()
        if "state" in vals:
            changed = self.filtered(lambda order: order.state != vals["state"])
        back = changed.filtered(lambda order: order.state == "cancel")
        result = super().write(vals)
        if changed and vals["state"] == "cancel":
            changed._billpay_cancelled()
        elif back:
            back._billpay_ask_again()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_billpay_checkouts(self):
        """What is deleted asks for nothing: its number may be with a payer."""
        for order in self.sudo():
            checkouts = order.transaction_ids._billpay_waiting_ones()
            for tx in checkouts.filtered(lambda tx, o=order: tx.sale_order_ids == o):
                tx._billpay_give_up(
                    self.env._(
                        "The order %s was deleted. Its number is closed.", order.name
                    ),
                    self.env._(
                        "The order %(reference)s was deleted, but %(received)s of it "
                        "is paid. The amount is customer credit: pay it back, or use "
                        "it."
                    ),
                )

    # === THE BILL === #

    def _compute_amounts(self):
        """Override of `sale`: numbers ask for what the order comes to."""
        result = super()._compute_amounts()
        self._billpay_follow_later()
        return result

    def _billpay_follow_later(self):
        """Let the numbers of these orders follow once, as the transaction ends."""
        ids = [id_ for id_ in self._ids if isinstance(id_, int)]
        if not ids:
            return  # in a form
        precommit = self.env.cr.precommit
        noted = precommit.data.setdefault("billpay.changed_orders", set())
        if not noted:
            orders_sudo = self.browse().sudo()

            @precommit.add
            def follow():
                checkouts = orders_sudo.transaction_ids.search(
                    [
                        ("sale_order_ids", "in", sorted(noted)),
                        ("provider_code", "=", "clickpesa"),
                        ("state", "in", WAITING),
                    ]
                )
                checkouts._billpay_follow()

        noted.update(ids)

    def _billpay_invoices(self):
        """Return the posted invoices of these orders."""
        return self.sudo().invoice_ids.filtered(
            lambda move: move.state == "posted" and move.move_type in INVOICES
        )

    def _billpay_uninvoiced(self):
        """Return what of this order no posted invoice asks for.

        Lines are rounded one by one on an invoice: that is no rest.
        """
        posted = self.sudo().invoice_ids.filtered(lambda move: move.state == "posted")
        invoiced = posted._get_sale_order_invoiced_amount(self.sudo())
        left = self.currency_id.round(self.amount_total - invoiced)
        rounding = self.currency_id.rounding * len(self.order_line)
        return left if left > rounding or not invoiced else 0.0

    def _billpay_owed(self, checkout=None):
        """Return what is left to pay of this order, in its currency.

        What is not invoiced yet, and what its invoices owe; less what was paid at
        checkouts of any provider and does not pay those invoices yet.

        :param checkout: what came there counts as owed
        """
        if self.state == "cancel":
            return 0.0
        checkout = checkout or self.env["payment.transaction"].sudo()
        others = self.sudo().transaction_ids - checkout
        invoices = self._billpay_invoices()
        owed = self._billpay_uninvoiced() + sum(map(money.due, invoices))
        if checkout:
            owed += checkout._billpay_applied(invoices)
        for tx in others:
            owed -= tx._billpay_paid_here() - tx._billpay_applied(invoices)
        return max(self.currency_id.round(owed), 0.0)

    def _billpay_missing(self, but=None):
        """Return what has to be paid before this order is confirmed.

        That is the down payment where one is wanted, else all of it.

        :param but: the checkout whose own amount is not paid yet
        """
        left = self._billpay_owed()
        if not self.require_payment:
            return left
        others = self.sudo().transaction_ids - (but or self.transaction_ids.browse())
        paid = sum(tx._billpay_paid_here() for tx in others)
        required = self._get_prepayment_required_amount()
        return min(self.currency_id.round(required - paid), left)

    def _billpay_is_down_paid(self):
        """Tell whether parts that came reach the down payment of a quotation."""
        return (
            self.state in ("draft", "sent")
            and self.require_payment
            and self.currency_id.compare_amounts(self._billpay_missing(), 0) <= 0
        )

    def _billpay_check_total(self, total):
        """Odoo looks at coupons and offers once more when it confirms an order.

        :raise UserError: the order comes to more than the customer was asked for
        """
        if self.currency_id.compare_amounts(self.amount_total, total) > 0:
            raise UserError(
                self.env._(
                    "It would come to %(now)s instead of %(asked)s, because a coupon "
                    "or an offer has ended since the customer was asked for it.",
                    now=self.currency_id.format(self.amount_total),
                    asked=self.currency_id.format(total),
                )
            )

    def _billpay_is_underpaid(self, checkout):
        """Tell whether an order came to more after it was asked for at a checkout.

        Where a payment is required, Odoo compares with the down payment.
        """
        compare = self.currency_id.compare_amounts
        if self.require_payment:
            return False
        asked = checkout.billpay_owed or checkout.amount
        return (
            compare(self._billpay_owed(checkout), asked) > 0
            and compare(self._billpay_owed(), 0) > 0
        )

    def _billpay_cancelled(self):
        """Close the numbers of cancelled orders, and call a person for their money."""
        # sudo: a salesperson need not be allowed to change transactions.
        for tx in self.sudo().transaction_ids._billpay_waiting_ones():
            if set(tx.sale_order_ids.mapped("state")) == {"cancel"}:
                tx._billpay_give_up(
                    self.env._("The order is cancelled. Its number is closed."),
                    self.env._(
                        "%(reference)s was cancelled, but %(received)s of it is paid. "
                        "The amount is customer credit: pay it back, or use it."
                    ),
                )
            else:
                tx._billpay_follow()

    def _billpay_ask_again(self):
        """Open the numbers again that were closed because an order was cancelled."""
        for order in self.sudo():
            last = order.transaction_ids._billpay_ours().sorted("id")[-1:]
            number = last._billpay_numbers()[-1:]
            if (
                last.state == "cancel"
                and not last._billpay_is_too_old()
                and not number.move_id
                and number._can_return(last.provider_id)
            ):
                last._set_pending(extra_allowed_states=("cancel",))
                last._billpay_follow()

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
