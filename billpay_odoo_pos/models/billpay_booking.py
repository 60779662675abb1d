# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Till orders are paid where they are in the books, and hear of their money."""

from odoo import models


class BillpayBooking(models.AbstractModel):
    _inherit = "billpay.booking"

    def _wanted_allocation(self, payment, waiting, still_open):
        """Override: an order that is in the books is paid there.

        Before its session is closed there is nothing to pay yet: the money is the
        customer's credit, and closing the session reconciles it.
        """
        number = payment.control_number_id
        if (
            number.pos_order_uuid
            and not number.move_id
            and not payment._is_persons_choice()
        ):
            order = number._till_order()
            if order.account_move:
                return [
                    (
                        self._open_lines(payment, order.account_move),
                        payment.amount,
                    )
                ]
            lines = order.payment_ids._billpay_lines().filtered(
                lambda line: (
                    line.parent_state == "posted"
                    and not line.reconciled
                    and line.amount_residual_currency > 0
                )
            )
            return [(line, payment.amount) for line in lines.sorted("id")]
        return super()._wanted_allocation(payment, waiting, still_open)

    def _tell_bills(self, payments):
        # EXTENDS billpay_odoo
        result = super()._tell_bills(payments)
        for payment in payments.filtered(
            lambda p: p.state == "posted" and p.control_number_id.pos_config_id
        ):
            if not payment._is_persons_choice():
                payment._tell_till()
        return result
