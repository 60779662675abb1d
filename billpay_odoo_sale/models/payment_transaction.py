# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Orders that changed after their number was handed out."""

from odoo import models
from odoo.exceptions import UserError


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    def _check_amount_and_confirm_order(self):
        """Override of `sale`: tell the shop when money came and the order waits."""
        confirmed = self.env["sale.order"]
        for tx in self:
            if tx.provider_code == "clickpesa":
                confirmed |= tx._billpay_confirm_order()
            else:
                confirmed |= super(
                    PaymentTransaction, tx
                )._check_amount_and_confirm_order()
        return confirmed

    def _billpay_confirm_order(self):
        """Confirm the order of this transaction, or call a person.

        Days may lie between the number and the money: what the order counted on may be
        gone, such as a gift card that was used elsewhere. The money is there all the
        same, and Odoo would try again and again without a word.
        """
        confirmed, error = self.env["sale.order"], None
        try:
            with self.env.cr.savepoint():
                confirmed = super()._check_amount_and_confirm_order()
        except UserError as problem:
            error = problem
        for order in self.sale_order_ids.filtered(
            lambda o: self.state == "done" and o.state in ("draft", "sent")
        ):
            if error:
                self._billpay_tell_unconfirmed(order, error)
            else:
                self._billpay_tell_changed(order)
        return confirmed

    def _billpay_rivals(self):
        """Override of `billpay_odoo`: earlier checkouts of the same orders."""
        orders = self.sudo().sale_order_ids
        rivals = orders.transaction_ids.filtered(
            lambda tx: tx.provider_code == "clickpesa" and tx.sale_order_ids == orders
        )
        return super()._billpay_rivals() | (rivals - self)

    def _billpay_people(self):
        """Override of `billpay_odoo`: the orders, and their salespeople."""
        orders = self.sale_order_ids
        if not orders:
            return super()._billpay_people()
        return {order: order.user_id for order in orders}

    def _billpay_tell_changed(self, order):
        payment = self.sudo()._billpay_booked().sorted("id")[-1:]
        if not payment:
            return
        payment._flag_checkout(
            self.env._(
                "%(reference)s is paid, but the order %(order)s was changed since and "
                "now comes to %(total)s: it is not confirmed. Ask the customer for the "
                "difference, or change the order back, then confirm it. The money is "
                "the customer's credit until then.",
                reference=self.reference,
                order=order.name,
                total=order.currency_id.format(order.amount_total),
            )
        )

    def _billpay_tell_unconfirmed(self, order, error):
        payment = self.sudo()._billpay_booked().sorted("id")[-1:]
        if not payment:
            return
        payment._flag_checkout(
            self.env._(
                "%(reference)s is paid, but the order %(order)s could not be "
                "confirmed: %(error)s The money is the customer's credit until then. "
                "Correct the order, then confirm it.",
                reference=self.reference,
                order=order.name,
                error=str(error).strip(),
            )
        )
