# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Half shillings and refunds in a real browser."""

from odoo.tests import tagged

from . import test_till_tours


@tagged("post_install", "-at_install", "slow")
class TestOrderTours(test_till_tours.TillTourCommon):
    def test_a_half_shilling(self):
        self.product.list_price = 2500.5
        session, order = self._tour("billpay_till_half_shilling")
        self.assertEqual((order.amount_total, order.amount_paid), (2500.5, 2501))
        [line] = order.payment_ids
        self.assertEqual(line.amount, 2501)
        row = line.billpay_number_id.payment_ids
        self.assertFalse(row.attention, row.reason)
        self._close_till(session)
        self.assertSettled(order, 2501)

    def test_a_refund_of_an_order_that_is_paid_later(self):
        self.till.billpay_later = "always"
        self.till.with_user(self.cashier).open_ui()
        self.start_tour(
            f"/pos/ui/{self.till.id}", "billpay_till_refund", login="till_cashier"
        )
        session = self.till.current_session_id
        refund = session.order_ids.filtered("is_refund")
        order = session.order_ids - refund
        self.assertEqual(
            [(line.payment_method_id, line.amount) for line in refund.payment_ids],
            [(self.billpay, -45000)],
        )
        self.assertFalse(order._billpay_living())
        self._close_till(session)
        self.assertSettled(order, 45000)
        self.assertSettled(refund, -45000)
