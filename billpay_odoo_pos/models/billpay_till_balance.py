# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Received against wanted: see docs/decisions/till.rst."""

from odoo import models

# Money is whole shillings: less than one is rounding.
SHILLING = 1


class BillpayTillBalance(models.AbstractModel):
    """Compare the money of till orders with what they want, and tell a person.

    The one place. Asked whenever money is booked or taken back, and whenever an order
    is finished, changed, cancelled, refunded or invoiced, or its session closes. What
    was told ends by itself as soon as its cause does.
    """

    _name = "billpay.till.balance"
    _description = "BillPay Till Balance"

    def _ask(self, orders):
        """Compare orders, and those that they refund."""
        orders = orders.sudo().exists()
        for order in orders | orders._billpay_refunded():
            order = self._with_its_words(order)
            numbers = order._billpay_numbers()
            texts = {}
            if order.state == "draft":
                texts = self._texts_of_draft(order, numbers)
            elif numbers:
                texts = self._texts(order, numbers)
            self._tell(numbers, texts, order)

    def _ask_money(self, payments):
        """Compare what these ClickPesa payments were made for."""
        numbers = payments.sudo().control_number_id
        for number in numbers.filtered("pos_config_id"):
            if order := number._till_order():
                self._ask(order)
            else:
                self._ask_number(self._with_its_words(number))

    def _ask_number(self, numbers):
        """Look at money on numbers that no order of the server has."""
        given_up = numbers.filtered("pos_given_up")
        payments = given_up._money(("posted",))
        self._tell(numbers, dict.fromkeys(payments, self._given_up_text(numbers)))

    def _with_its_words(self, record):
        """Whoever asks, the same is said: what was seen is not told again."""
        company = record.company_id
        record = record.with_company(company)
        return record.with_context(lang=company.partner_id.lang)

    def _ask_session(self, session):
        """Compare all orders of a session, and find money that none of them took."""
        self._ask(session.order_ids)
        payments = self.env["billpay.payment"].search(
            [
                ("pos_config_id", "=", session.config_id.id),
                ("state", "=", "posted"),
                ("posted_at", ">=", session.start_at),
                ("attention", "=", False),
            ]
        )
        left_over = payments.filtered(
            lambda p: (
                not p._is_persons_choice()
                and p._open_credit_lines()
                and not p.control_number_id._till_order()
            )
        )
        text = self._with_its_words(session).env._(
            "Paid at the till %(till)s, but no order of the session %(session)s took "
            "it: it is kept as customer credit. Ask at the till; an order that comes "
            "later is paid by it.",
            till=session.config_id.name,
            session=session.name,
        )
        for payment in left_over.filtered(lambda p: not self._is_told(p)):
            payment._warn(self._cause(payment), text)

    # === WHAT IS SAID === #

    def _texts(self, order, numbers):
        """Return what is to be said of the payments of a finished order."""
        payments = numbers._money().sorted("id")
        over = sum(payments.mapped("amount")) - order._billpay_wanted()
        asking = numbers.filtered(lambda number: not number.move_id)
        if over > -SHILLING:
            asking._close()
            return self._texts_of_surplus(order, payments, over)
        if asking == numbers:
            # An invoice that took the number over asks for the rest by itself.
            order._billpay_follow()
            if booked := payments.filtered(lambda p: p.state == "posted"):
                return {booked[-1:]: order._billpay_ask_for_rest(-over)}
        return {}

    def _texts_of_surplus(self, order, payments, over):
        """Divide what is too much among the payments: the last ones brought it."""
        texts = {}
        settled = order.state == "cancel" or order._billpay_is_settled()
        for payment in payments.sorted("id", reverse=True):
            part = min(over, payment.amount)
            over -= part
            if payment.state != "posted" or part < SHILLING:
                continue
            if settled:
                # What was paid back or used meanwhile is too much no longer.
                credit = payment._open_credit_lines()
                part = min(part, -sum(credit.mapped("amount_residual_currency")))
            if part >= SHILLING and not self._is_told_of_invoice(payment):
                texts[payment] = self._surplus_text(order, payment, part)
        return texts

    def _texts_of_draft(self, order, numbers):
        """An order at the till wants its money yet, unless it gave the number up."""
        given_up = numbers.filtered("pos_given_up")._money(("posted",))
        if not given_up or numbers._received() - order._billpay_own() < SHILLING:
            return {}
        return dict.fromkeys(given_up, self._given_up_text(order))

    def _surplus_text(self, order, payment, part):
        name, env = order.pos_reference or order.name, order.env
        values = {"order": name, "over": payment.currency_id.format(part)}
        if order.state == "cancel":
            return env._(
                "Till order %(order)s was cancelled: %(over)s is kept as customer "
                "credit. Give it back, or use it.",
                **values,
            )
        if not order.payment_ids.filtered("is_billpay"):
            return env._(
                "The till order %s was paid in another way: this is kept as customer "
                "credit. Give it back, or use it.",
                name,
            )
        if order._billpay_asked() < SHILLING:
            return env._(
                "Till order %(order)s was refunded before it was paid: %(over)s is "
                "kept as customer credit. Give it back, or use it.",
                **values,
            )
        return env._(
            "Till order %(order)s is overpaid by %(over)s, kept as customer credit. "
            "Pay it back, or use it.",
            **values,
        )

    def _given_up_text(self, record):
        return record.env._(
            "The till cancelled this number before it was paid. The payment is "
            "customer credit. Check whether the order was paid another way, then pay "
            "it back or use it."
        )

    # === TELL === #

    def _tell(self, numbers, texts, order=None):
        """Say this of the numbers' payments, and take back what is true no longer."""
        for payment in numbers.payment_ids:
            cause, text = self._cause(payment), texts.get(payment)
            if not text:
                payment._end_warning(cause)
            elif text != (payment.warned or {}).get(cause):
                payment._warn(cause, text)
                if order:
                    order._message_log(body=text)

    def _cause(self, payment):
        return f"till:{payment.id}"

    def _is_told(self, payment):
        return self._cause(payment) in (payment.warned or {})

    def _is_told_of_invoice(self, payment):
        """Whether booking it on its invoice has said so already."""
        return f"surplus:{payment.id}" in (payment.warned or {})
