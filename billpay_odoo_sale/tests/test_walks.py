# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a salesperson does in the user guide, with the rights of Sales only."""

from odoo import Command
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon
from odoo.addons.billpay_odoo.tests.walks import Person

from .test_sale_order import OrderSteps


@tagged("post_install", "-at_install")
class TestSalesperson(OrderSteps, BillPayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.product = cls.env["product.product"].create(
            {
                "name": "Kitenge",
                "type": "service",
                "list_price": 150000,
                "invoice_policy": "order",
                "taxes_id": [Command.clear()],
            }
        )
        cls.seller_user = cls._user("walk_seller", "sales_team.group_sale_salesman")

    def setUp(self):
        super().setUp()
        self.seller = Person(self, self.seller_user)

    def _quotation(self, seller, **values):
        form = seller.form("sale.order")
        form.partner_id = seller.here(self.partner)
        for name, value in values.items():
            setattr(form, name, value)
        with form.order_line.new() as line:
            line.product_id = seller.here(self.product)
        order = seller.save(form)
        self.assertEqual((order.amount_total, order.user_id), (150000, seller.user))
        return order

    def _invoice_of(self, seller, order):
        """The button *Create Invoice*, and its dialog."""
        action = seller.env.ref("sale.action_view_sale_advance_payment_inv")
        action = action.sudo()._get_action_dict()
        action["context"] = {"active_model": order._name, "active_ids": order.ids}
        seller.call(seller.save(seller.form(action)), "create_invoices")
        return seller.here(order.sudo().invoice_ids)

    def test_a_quotation_paid_by_a_number(self):
        seller = self.seller
        seller.open("sale.action_quotations")
        order = self._quotation(seller)
        dialog = seller.press(order, "action_quotation_send")
        composer = seller.save(seller.form(dialog))
        seller.call(composer, "action_send_mail")
        self.assertEqual(order.state, "sent")
        # The customer takes a number in the portal.
        tx = self._order_checkout(order.sudo())
        number = self._number_of(tx)
        form = seller.form(order)
        self.assertEqual(form.billpay_number, number.display_number)
        row = self._paid(number, 150000)
        self.assertBooked(row, 150000)
        self._post_process()
        self.assertEqual(order.state, "sale")
        move = self._invoice_of(seller, order)
        # An accountant confirms it: the money of the order pays it.
        accountant = Person(
            self, self._user("walk_order_clerk", "account.group_account_invoice")
        )
        accountant.press(accountant.here(move), "action_post")
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(len(row.account_payment_ids), 1)
        seller.form(order)
        # The ledger is not for Sales.
        seller.assertRefused(seller.call, row, "read", ["amount"])
        seller.assertRefused(seller.call, number, "read", ["name"])

    def test_an_invoice_of_an_order_asks_by_its_number(self):
        seller = self.seller
        order = self._quotation(seller)
        seller.press(order, "action_confirm")
        self.assertEqual(order.state, "sale")
        move = self._invoice_of(seller, order)
        clerk = Person(
            self, self._user("walk_order_clerk", "account.group_account_invoice")
        )
        clerk.press(clerk.here(move), "action_post")
        self._sync()
        # Whoever may open an invoice sees how it is paid, and may send it.
        number = move.sudo().billpay_number_id
        [values] = seller.call(move, "read", ["billpay_number", "billpay_number_state"])
        self.assertEqual(values["billpay_number"], number.display_number)
        self.assertEqual(values["billpay_number_state"], "open")
        page = seller.call(move, "action_billpay_pay_page")
        self.assertIn(number.name, page["url"])
        seller.assertRefused(seller.call, move, "action_billpay_check")
        row = self._paid(number, 150000)
        self.assertBooked(row, 150000)
        self.assertEqual(move.amount_residual, 0)
        orders = seller.open("sale.action_orders")
        self.assertIn(order, orders)

    def test_an_order_that_is_changed_and_one_that_is_given_up(self):
        seller = self.seller
        order = self._quotation(seller, require_payment=True)
        tx = self._order_checkout(order.sudo())
        number = self._number_of(tx)
        form = seller.form(order)
        with form.order_line.edit(0) as line:
            line.price_unit = 200000
        seller.save(form)
        row = self._paid(number, 150000)
        self._post_process()
        self.assertBooked(row, 150000)
        self.assertNotEqual(order.state, "sale")
        clerk = Person(
            self,
            self._user(
                "walk_sale_clerk",
                "account.group_account_invoice",
                "sales_team.group_sale_salesman_all_leads",
            ),
        )
        form = clerk.form(order)
        self.assertIn("200,000", form.billpay_reason)
        found = clerk.open(clerk.press(order, "action_view_billpay_payments"))
        self.assertEqual(found, row)
        other = self._quotation(seller)
        seller.call(other, "action_cancel")
        self.assertEqual(other.state, "cancel")
        seller.assertRefused(seller.call, row, "read", ["amount"])
