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
        for order in self._get_closed_orders().filtered(lambda o: not o.is_invoiced):
            for payment in order.payment_ids.filtered("is_billpay"):
                if not order.currency_id.is_zero(payment.amount):
                    billpay[payment] = self._update_amounts(
                        billpay[payment],
                        {"amount": payment.amount},
                        payment.payment_date,
                    )
        data["billpay_receivables"] = billpay
        return data

    def _create_pay_later_receivable_lines(self, data):
        # EXTENDS point_of_sale
        data = super()._create_pay_later_receivable_lines(data)
        for payment, amounts in data["billpay_receivables"].items():
            vals = self._billpay_receivable_vals(payment, amounts)
            payment.sudo().billpay_line_id = data["MoveLine"].create(vals)
        return data

    def _billpay_receivable_vals(self, payment, amounts):
        """Return the journal item that waits for a payment's money.

        On the account and customer on which the money was booked, where it was.
        """
        order = payment.pos_order_id
        money = payment._billpay_entries()[:1]
        partner = money.partner_id or self.env["res.partner"]._find_accounting_partner(
            order.partner_id or order.config_id._billpay_customer()
        )
        account = (
            money.account_id
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
        payments._billpay_meet()
        return data

    def _validate_session(self, *args, **kwargs):
        # EXTENDS point_of_sale
        result = super()._validate_session(*args, **kwargs)
        if self.state == "closed":
            self.sudo()._billpay_flag_left_over()
            if self.sudo().order_ids.payment_ids.billpay_line_id:
                # Money that is being booked at this moment is not seen from here.
                self.env["payment.provider"]._billpay_trigger(
                    "billpay_odoo_pos.ir_cron_meet"
                )
        return result

    def _billpay_flag_left_over(self):
        """Money that was paid at this till in this session, for no order of it."""
        payments = self.env["billpay.payment"].search(
            [
                ("pos_config_id", "=", self.config_id.id),
                ("state", "=", "posted"),
                ("posted_at", ">=", self.start_at),
                ("attention", "=", False),
            ]
        )
        for payment in payments:
            open_items = payment.account_payment_ids.move_id.line_ids.filtered(
                lambda line: (
                    line.account_id.account_type == "asset_receivable"
                    and not line.reconciled
                )
            )
            order = payment.control_number_id._till_order()
            if not open_items or order.session_id.state == "opened":
                continue
            if order.payment_ids.filtered("is_billpay"):
                continue
            payment._flag_till(
                self.env._(
                    "Paid at the till %(till)s, but no order of the session "
                    "%(session)s took it: it is kept as customer credit. Ask at the "
                    "till; an order that comes later is paid by it.",
                    till=self.config_id.name,
                    session=self.name,
                )
            )
