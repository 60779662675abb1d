# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Checkouts of orders: what they ask is what the orders still owe."""

from odoo import Command, models
from odoo.exceptions import UserError

from odoo.addons.billpay_odoo.exceptions import NumberSpaceExhausted


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    # === THE BILL === #

    def _billpay_claim_bill(self):
        # EXTENDS billpay_odoo
        result = super()._billpay_claim_bill()
        self._billpay_touch(self.sudo().sale_order_ids)
        return result

    def _billpay_key(self):
        # EXTENDS billpay_odoo
        orders = self.sudo().sale_order_ids
        return f"order:{min(orders.ids)}" if orders else super()._billpay_key()

    def _billpay_title(self):
        # EXTENDS billpay_odoo
        orders = self.sudo().sale_order_ids
        return ", ".join(orders.mapped("name")) or super()._billpay_title()

    def _billpay_invoices(self):
        """Override of `billpay_odoo`: also those made after "Pay now"."""
        orders = self.sudo().sale_order_ids
        return super()._billpay_invoices() | orders._billpay_invoices()

    def _billpay_only_invoice(self):
        """Override of `billpay_odoo`: an order is asked for until all is invoiced."""
        orders = self.sudo().sale_order_ids
        if any(order._billpay_uninvoiced() > 0 for order in orders):
            return self.env["account.move"].sudo()
        return super()._billpay_only_invoice()

    def _billpay_rivals(self):
        """Override of `billpay_odoo`: other checkouts of the same orders."""
        checkouts = self.sudo().sale_order_ids.transaction_ids
        return super()._billpay_rivals() | (checkouts._billpay_ours() - self)

    def _billpay_siblings(self):
        # EXTENDS billpay_odoo
        siblings = super()._billpay_siblings()
        orders = self.sudo().sale_order_ids
        orders |= self.sudo().invoice_ids.invoice_line_ids.sale_line_ids.order_id
        return siblings | orders.transaction_ids

    def _billpay_owed(self):
        # EXTENDS billpay_odoo
        orders = self.sudo().sale_order_ids
        if not orders:
            return super()._billpay_owed()
        return sum(order._billpay_owed(self) for order in orders)

    def _billpay_part(self):
        """Override of `billpay_odoo`: a down payment follows its order."""
        order = self.sudo().sale_order_ids
        if len(order) == 1 and order.require_payment and order.prepayment_percent < 1:
            then = order.currency_id.round(self.billpay_owed * order.prepayment_percent)
            if not order.currency_id.compare_amounts(then, self.amount):
                return max(order._billpay_missing(but=self), 0)
        return super()._billpay_part()

    def _billpay_over(self):
        # EXTENDS billpay_odoo
        states = set(self.sudo().sale_order_ids.mapped("state"))
        return "cancelled" if states == {"cancel"} else super()._billpay_over()

    def _billpay_people(self):
        """Override of `billpay_odoo`: the orders, and their salespeople."""
        orders = self.sale_order_ids
        if not orders:
            return super()._billpay_people()
        return {order: order.user_id for order in orders}

    def _billpay_letter(self):
        """Override of `billpay_odoo`: who paid for an order and has to pay more is told
        in any case, as by the e-mail that carried the first number.
        """
        return self.sudo().sale_order_ids[:1] or super()._billpay_letter()

    def _billpay_too_late_text(self):
        # EXTENDS billpay_odoo
        orders = self.sudo().sale_order_ids
        if not orders or set(orders.mapped("state")) != {"cancel"}:
            return super()._billpay_too_late_text()
        return self.env._(
            "%s was cancelled before it was paid. The payment is customer credit. Pay "
            "the customer back, or use it for another bill.",
            self._billpay_title(),
        )

    # === ORDERS THAT CHANGED === #

    def _post_process(self):
        """Override of `sale`: a part that reaches the down payment confirms, too."""
        result = super()._post_process()
        for tx in self._billpay_ours().filtered(lambda tx: tx.state == "pending"):
            order = tx.sale_order_ids
            if len(order) == 1 and order._billpay_is_down_paid():
                order = order.with_company(order.company_id)
                order = order.with_context(send_email=True)
                tx._billpay_confirm(order.action_confirm)
        return result

    def _billpay_on_money(self, payment):
        # EXTENDS billpay_odoo
        result = super()._billpay_on_money(payment)
        if self.state == "pending" and any(
            order._billpay_is_down_paid() for order in self.sudo().sale_order_ids
        ):
            self.is_post_processed = False
            self._billpay_post_process_soon()
        return result

    def _billpay_ask_for_rest(self, left):
        """Override of `billpay_odoo`: also what the order comes to, and is paid."""
        text, order = super()._billpay_ask_for_rest(left), self.sudo().sale_order_ids
        if len(order) != 1 or order.state not in ("draft", "sent"):
            return text
        if order._billpay_is_down_paid():
            return text
        more = self.env._(
            "The order comes to %(total)s, of which %(paid)s is paid: it is not "
            "confirmed before the rest is.",
            total=order.currency_id.format(order.amount_total),
            paid=order.currency_id.format(order.amount_total - order._billpay_owed()),
        )
        return f"{text} {more}"

    def _check_amount_and_confirm_order(self):
        """Override of `sale`: an order that came to more meanwhile waits for the rest,
        also where nothing has to be paid online. Its people hear of it.
        """
        ours = self._billpay_ours().filtered(lambda tx: tx.state == "done")
        held = ours.filtered(
            lambda tx: any(o._billpay_is_underpaid(tx) for o in tx.sale_order_ids)
        )
        others = super(PaymentTransaction, self - ours)
        confirmed = others._check_amount_and_confirm_order()
        for tx in ours - held:
            confirm = super(PaymentTransaction, tx)._check_amount_and_confirm_order
            confirmed |= tx._billpay_confirm(confirm) or confirmed.browse()
        for tx in ours:
            for order in tx.sale_order_ids.filtered(
                lambda o: o.state in ("draft", "sent")
            ):
                tx._billpay_ask_the_rest(order)
        return confirmed

    def _billpay_confirm(self, confirm):
        """Confirm the order of this checkout, or call a person.

        Days may lie between the number and the money: what the order counted on may be
        gone, such as a gift card that was used elsewhere. The money is there all the
        same, and Odoo would try again and again without a word.

        :param confirm: does it
        :return: what that returns; None where the order cannot be confirmed
        """
        totals = {order: order.amount_total for order in self.sale_order_ids}
        try:
            with self.env.cr.savepoint():
                result = confirm()
                for order, total in totals.items():
                    order._billpay_check_total(total)
                return result
        except UserError as problem:
            error = str(problem).strip()
        payment = self.sudo()._billpay_booked().sorted("id")[-1:]
        for order in self.sale_order_ids if payment else ():
            text = self.env._(
                "%(order)s is paid, but could not be confirmed: %(error)s The money is "
                "the customer's credit until then. Correct the order, then confirm it.",
                order=order.name,
                error=error,
            )
            payment._flag_checkout(text)
        return None

    def _billpay_ask_the_rest(self, order):
        """Give what an order lacks a number, and tell both sides."""
        missing = order._billpay_missing()
        asking = order.sudo().transaction_ids._billpay_waiting_ones()
        payment = self.sudo()._billpay_booked().sorted("id")[-1:]
        if order.currency_id.compare_amounts(missing, 0) <= 0 or not payment:
            return
        if asking._billpay_living():
            return  # the customer has pressed "Pay now" again
        values = {
            "order": order.name,
            "total": order.currency_id.format(order.amount_total),
            "paid": order.currency_id.format(order.amount_paid),
            "missing": order.currency_id.format(missing),
        }
        try:
            with self.env.cr.savepoint():
                number = self._billpay_checkout_of_rest(order, missing)
            text = self.env._(
                "%(order)s comes to %(total)s now, and %(paid)s is paid: %(missing)s "
                "is missing, so the order is not confirmed. Control number %(number)s "
                "asks the customer for it; when it is paid, the order confirms itself. "
                "Or change the order back and confirm it. The money is the customer's "
                "credit until then.",
                number=number.display_number,
                **values,
            )
        except (NumberSpaceExhausted, UserError) as error:
            text = self.env._(
                "%(order)s comes to %(total)s now, and %(paid)s is paid: %(missing)s "
                "is missing, so the order is not confirmed. No number could be made "
                "for it: %(error)s Collect it another way, or change the order back, "
                "then confirm it. The money is the customer's credit until then.",
                error=error,
                **values,
            )
        payment._flag_checkout(text)
        person = payment.company_id._billpay_person_in_charge(order.user_id)
        order.activity_schedule(
            "mail.mail_activity_data_todo",
            summary=self.env._("BillPay: the order is not paid in full"),
            note=text,
            user_id=person.id,
        )

    def _billpay_checkout_of_rest(self, order, missing):
        """Return the number of a new checkout for what is missing of an order."""
        code = self.provider_code
        rest = self.sudo().create(
            {
                "provider_id": self.provider_id.id,
                "payment_method_id": self.payment_method_id.id,
                "partner_id": self.partner_id.id,
                "currency_id": order.currency_id.id,
                "amount": missing,
                "operation": "online_redirect",
                "landing_route": self.landing_route,
                "sale_order_ids": [Command.set(order.ids)],
                "reference": self._compute_reference(code, prefix=order.name),
            }
        )
        number = rest._billpay_reserve()
        # The page leads from what was paid to what is left.
        number.predecessor_id = self._billpay_numbers()[-1:]
        rest._set_pending()
        # The customer gets a letter when ClickPesa has the number.
        rest.is_post_processed = True
        return number
