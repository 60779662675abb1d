# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Closing a session: what BillPay owes stands on the customer's account, and the money
that came meets it there, payment by payment."""

from collections import defaultdict

from odoo import models


class PosSession(models.Model):
    _inherit = "pos.session"

    def get_closing_control_data(self):
        """Override: what of BillPay was paid, and what the customers still owe."""
        data = super().get_closing_control_data()
        orders = self._get_closed_orders()
        for method in data["non_cash_payment_methods"]:
            lines = orders.payment_ids.filtered(
                lambda p, known=method["id"]: (
                    p.is_billpay and p.payment_method_id.id == known
                )
            )
            if lines:
                method["billpay"] = lines.pos_order_id._billpay_standing()
        return data

    def _accumulate_amounts(self, data):
        """Override: BillPay payments stand one by one, not in a sum per method.

        An invoiced order has none: there the invoice itself waits for the money.
        """
        data = super()._accumulate_amounts(data)
        for kind in ("combine", "split"):
            amounts = data[f"{kind}_receivables_pay_later"]
            for key in list(amounts):
                method = key if kind == "combine" else key.payment_method_id
                if method.use_payment_terminal == "billpay":
                    del amounts[key]
        billpay = defaultdict(lambda: {"amount": 0.0, "amount_converted": 0.0})
        rounding = {"amount": 0.0, "amount_converted": 0.0}
        for order in self._get_closed_orders().filtered(lambda o: not o.is_invoiced):
            payments = order.payment_ids.filtered("is_billpay")
            rounded = order._billpay_rounding_of_lines()
            for payment in payments:
                amount = payment.amount
                if payment == payments[-1:]:
                    amount += rounded  # customers pay whole shillings
                if not order.currency_id.is_zero(amount):
                    billpay[payment] = self._update_amounts(
                        billpay[payment], {"amount": amount}, payment.payment_date
                    )
            if more := order._billpay_rounding_not_of_odoo():
                rounding = self._update_amounts(
                    rounding, {"amount": more}, order.date_order
                )
        data.update(billpay_receivables=billpay, billpay_rounding=rounding)
        return data

    def _create_pay_later_receivable_lines(self, data):
        # EXTENDS point_of_sale
        data = super()._create_pay_later_receivable_lines(data)
        for payment, amounts in data["billpay_receivables"].items():
            vals = self._billpay_receivable_vals(payment, amounts)
            payment.sudo().billpay_line_id = data["MoveLine"].create(vals)
        rounding = data["billpay_rounding"]
        if not self.currency_id.is_zero(rounding["amount"]):
            entries = self.env["billpay.till.entries"]
            line = entries._rounding_line(self.config_id, rounding["amount"])
            data["MoveLine"].create(
                self._credit_amounts(
                    {**line, "move_id": self.move_id.id},
                    rounding["amount"],
                    rounding["amount_converted"],
                )
            )
        return data

    def _billpay_receivable_vals(self, payment, amounts):
        """Return the journal item that waits for a payment's money.

        On the account and customer on which the money was booked, where it was; a
        refund's where its order is.
        """
        order = payment.pos_order_id
        numbers = payment.sudo().billpay_number_id
        refunded = order._billpay_refunded()
        terms = refunded.account_move.line_ids.filtered(
            lambda line: line.display_type == "payment_term"
        )
        items = (
            (terms | refunded.payment_ids._billpay_lines())
            if payment.amount < 0
            else payment.sudo().billpay_payment_id._open_credit_lines()
            | payment._billpay_entries_of(numbers)
            | payment._billpay_entries()
        )[:1]
        partner = items.partner_id or self.env["res.partner"]._find_accounting_partner(
            order.partner_id or order.config_id._billpay_customer()
        )
        account = (
            items.account_id
            or partner.with_company(self.company_id).property_account_receivable_id
        )
        number = payment.billpay_number_id
        return self._debit_amounts(
            {
                "account_id": account.id,
                "move_id": self.move_id.id,
                "partner_id": partner.id,
                "name": " - ".join(
                    filter(
                        None,
                        [
                            self.name,
                            payment.payment_method_id.name,
                            number.display_number or payment.billpay_number,
                            order.pos_reference,
                        ],
                    )
                ),
                "no_followup": False,
            },
            amounts["amount"],
            amounts["amount_converted"],
        )

    def _reconcile_account_move_lines(self, data):
        # EXTENDS point_of_sale
        data = super()._reconcile_account_move_lines(data)
        payments = self.env["pos.payment"].browse(
            payment.id for payment in data["billpay_receivables"]
        )
        orders = payments.pos_order_id
        self.env["billpay.till.entries"]._meet(orders | orders._billpay_refunded())
        return data

    def _validate_session(self, *args, **kwargs):
        # EXTENDS point_of_sale
        result = super()._validate_session(*args, **kwargs)
        if self.state == "closed":
            self.env["billpay.till.balance"].sudo()._ask_session(self.sudo())
            if self.sudo().order_ids.payment_ids.billpay_line_id:
                # Money that is being booked at this moment is not seen from here.
                self.env["payment.provider"]._billpay_trigger(
                    "billpay_odoo_pos.ir_cron_meet"
                )
        return result
