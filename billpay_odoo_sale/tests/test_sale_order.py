# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Orders paid by control number: confirmed by the money, with no browser open."""

from odoo import Command
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon, BillPayHttpCommon
from odoo.addons.billpay_odoo.tests.test_payment_transaction import CheckoutSteps


class OrderSteps(CheckoutSteps):
    def _order(self, price=150000, **values):
        product = (
            self.env["product.product"]
            .sudo()
            .create(
                {"name": "Kitenge", "type": "service", "taxes_id": [Command.clear()]}
            )
        )
        return (
            self.env["sale.order"]
            .sudo()
            .create(
                {
                    "partner_id": self.partner.id,
                    "company_id": self.company.id,
                    "currency_id": self.tzs.id,
                    "require_signature": False,
                    "require_payment": True,
                    "prepayment_percent": 1.0,
                    "order_line": [
                        Command.create({"product_id": product.id, "price_unit": price})
                    ],
                    **values,
                }
            )
        )

    def _order_checkout(self, order, **values):
        tx = self._transaction(
            order.amount_total,
            reference="%s-1" % order.name,
            sale_order_ids=[Command.set(order.ids)],
            **values,
        )
        self._checkout(tx)
        return tx

    def _post_process(self):
        with self._workers():
            self.env.ref(
                "payment.cron_post_process_payment_tx"
            ).sudo().method_direct_trigger()


@tagged("post_install", "-at_install")
class TestSaleOrder(OrderSteps, BillPayCommon):
    def test_the_order_confirms_itself_when_the_money_comes(self):
        order = self._order()
        tx = self._order_checkout(order)
        self.assertEqual(order.state, "draft")
        row = self._paid(self._number_of(tx), 150000)
        self.assertBooked(row, 150000)
        self.assertEqual(tx.state, "done")
        self._post_process()
        self.assertEqual(order.state, "sale")
        self.assertEqual(order.billpay_paid, 150000)
        self.assertFalse(order.billpay_reason)

    def test_the_invoice_that_comes_later_is_paid_by_it(self):
        order = self._order()
        order.order_line.product_id.invoice_policy = "order"
        tx = self._order_checkout(order)
        row = self._paid(self._number_of(tx), 150000)
        self._post_process()
        move = order._create_invoices()
        move.action_post()
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(len(row.account_payment_ids), 1)
        receivable = (move | row.account_payment_ids.move_id).line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        self.assertEqual(receivable.mapped("amount_residual"), [0, 0])
        self.assertEqual(sum(receivable.mapped("balance")), 0)

    def test_automatic_invoices_are_paid_too(self):
        self.env["ir.config_parameter"].sudo().set_param("sale.automatic_invoice", True)
        order = self._order()
        tx = self._order_checkout(order)
        self._paid(self._number_of(tx), 150000)
        self._post_process()
        self.assertEqual(order.state, "sale")
        [move] = order.invoice_ids
        self.assertEqual((move.state, move.amount_residual), ("posted", 0))
        payments = self.env["account.payment"].search(
            [("payment_transaction_id", "=", tx.id)]
        )
        self.assertEqual(len(payments), 1)

    def test_the_orders_email_carries_the_number(self):
        order = self._order()
        tx = self._order_checkout(order)
        tx._post_process()
        self.assertEqual(order.state, "sent")
        number = self._number_of(tx)
        bodies = order.message_ids.mapped("body")
        [body] = [
            body
            for body in bodies
            if self.env["billpay.pay.page"]._get_pay_url(number) in body
        ]
        for group in number.display_number.split():
            self.assertIn(group, body)
        self.assertEqual(order.billpay_number, number.display_number)

    def test_a_cart_that_changed_is_not_confirmed_by_less(self):
        order = self._order()
        tx = self._order_checkout(order)
        order.order_line.price_unit = 200000
        row = self._paid(self._number_of(tx), 150000)
        self._post_process()
        self.assertBooked(row, 150000)
        self.assertEqual(tx.state, "done")
        self.assertNotEqual(order.state, "sale")
        self.assertEqual(order.billpay_paid, 150000)
        self.assertTrue(row.attention)
        self.assertIn("200,000", order.billpay_reason)
        self.assertTrue(row.activity_ids)

    def test_a_part_is_told_on_the_order(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        order = self._order()
        tx = self._order_checkout(order)
        self._paid(self._number_of(tx), 60000)
        self._post_process()
        self.assertNotEqual(order.state, "sale")
        self.assertIn("90,000", order.billpay_reason)
        self.assertTrue([b for b in order.message_ids.mapped("body") if "90,000" in b])
        self.assertEqual(tx.state, "pending")


@tagged("post_install", "-at_install", "slow")
class TestQuotationTour(OrderSteps, BillPayHttpCommon):
    def test_a_quotation_is_paid_in_the_portal(self):
        self.provider.write({"state": "enabled", "is_published": True})
        self.env.ref("billpay_odoo.payment_method_billpay").active = True
        order = self._order()
        order.action_quotation_sent()
        self.start_tour(order.get_portal_url(), "billpay_quotation", login=None)
        [tx] = order.transaction_ids
        number = self._number_of(tx)
        self.assertEqual((tx.state, number.state), ("pending", "open"))
        row = self._paid(number, 150000)
        self.assertBooked(row, 150000)
        self._post_process()
        self.assertEqual(order.state, "sale")
        page = self.url_open(order.get_portal_url())
        self.assertEqual(page.status_code, 200)
