# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

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
            if move := order.account_move:
                return [(self._open_lines(payment, move), payment.amount)]
            return [(line, payment.amount) for line in order._billpay_open_items()]
        return super()._wanted_allocation(payment, waiting, still_open)
