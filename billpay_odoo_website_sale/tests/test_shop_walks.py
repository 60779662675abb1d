# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A customer of the shop who uses coupons, comes late, comes again, logs in late."""

from datetime import timedelta

from odoo import Command, fields
from odoo.http import root
from odoo.tests import tagged

from odoo.addons.billpay_odoo_sale.tests.test_order_loyalty import LoyaltySteps
from odoo.addons.website_sale.models.website import CART_SESSION_CACHE_KEY

from .test_shop import ShopCommon


@tagged("post_install", "-at_install", "slow")
class TestShopWalks(LoyaltySteps, ShopCommon):
    def setUp(self):
        super().setUp()
        self.url = self.product.product_tmpl_id.website_url
        self.product.invoice_policy = "order"

    def _cart(self, partner=None, **values):
        return (
            self.env["sale.order"]
            .sudo()
            .create(
                {
                    "partner_id": (partner or self.partner).id,
                    "company_id": self.company.id,
                    "website_id": self.website.id,
                    "order_line": [Command.create({"product_id": self.product.id})],
                    **values,
                }
            )
        )

    def _page(self, path):
        page = self.url_open(path)
        self.assertEqual(page.status_code, 200, path)
        return page.text

    def test_a_coupon_and_a_gift_card_in_the_cart(self):
        self._program()
        card = self._gift_card(35000)
        card.code = "ZAWADI"
        self.start_tour(self.url, "billpay_shop_coupon", login="juma_shop")
        order = self._last_order()
        [tx] = order.transaction_ids
        number = self._number_of(tx)
        self.assertEqual((order.amount_total, number.amount), (100000, 100000))
        row = self._paid(number, 100000)
        self._post_process()
        self.assertEqual((order.state, card.points), ("sale", 0))
        self.assertFalse(row.attention)
        move = order._create_invoices()
        move.action_post()
        self.assertPaidBy(move, row)

    def test_nothing_to_pay(self):
        self._program(code="BURE", discount=100)
        self.start_tour(self.url, "billpay_shop_free", login="juma_shop")
        order = self._last_order()
        self.assertEqual((order.state, order.amount_total), ("sale", 0))
        self.assertFalse(order.transaction_ids)
        self.assertFalse(order.billpay_number)

    def test_too_late(self):
        """The page says that the number is closed; money that comes all the same is
        seen by the customer, and no second payment is asked for without a word."""
        order = self._cart(require_payment=True, require_signature=False)
        tx = self._order_checkout(order)
        tx._post_process()
        number = self._number_of(tx)
        payment = self._pay(number.name, 150000)
        tx.last_state_change = fields.Datetime.now() - timedelta(hours=49)
        self._run_cron("ir_cron_expire_checkouts")
        self.assertEqual((tx.state, order.state), ("cancel", "sent"))
        self.start_tour(order.get_portal_url(), "billpay_order_expired", login=None)
        path = self.env["billpay.pay.page"]._get_pay_path(number)
        page = self._page(path + "?lang=en")
        self.assertIn("Do not pay this control number any more", page)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 150000)
        self.assertIn(order.name, row.reason)
        page = self._page(path + "?lang=en")
        self.assertIn(row.receipt, page)
        self.start_tour(order.get_portal_url(), "billpay_order_late", login=None)

    def test_the_same_again(self):
        order = self._cart()
        tx = self._order_checkout(order)
        row = self._paid(self._number_of(tx), 150000)
        self._post_process()
        self.assertEqual(order.state, "sale")
        self.start_tour(order.get_portal_url(), "billpay_reorder", login="juma_shop")
        again = self._last_order()
        self.assertNotEqual(again, order)
        [other] = again.transaction_ids
        number = self._number_of(other)
        self.assertNotEqual(number, self._number_of(tx))
        second = self._paid(number, 150000)
        self._post_process()
        self.assertEqual((again.state, second.attention), ("sale", False))
        for which, money in ((order, row), (again, second)):
            move = which._create_invoices()
            move.action_post()
            self.assertPaidBy(move, money)

    def test_a_guest_who_logs_in_after_pay_now(self):
        """What the guest ordered stays as it is, and its money confirms it."""
        guest = (
            self.env["res.partner"].sudo().create({"name": "Mgeni", "email": "m@x.tz"})
        )
        order = self._cart(guest)
        tx = self._order_checkout(order, partner_id=guest.id)
        number = self._number_of(tx)
        self.authenticate("juma_shop", "juma_shop")
        self.session[CART_SESSION_CACHE_KEY] = order.id
        root.session_store.save(self.session)
        self._page("/shop/cart")
        self._page("/shop/cart")
        self.assertEqual(order.partner_id, guest)
        self.assertEqual((order.amount_total, number.amount), (150000, 150000))
        row = self._paid(number, 150000)
        self._post_process()
        self.assertEqual((order.state, row.attention), ("sale", False))

    def test_an_abandoned_cart_with_a_number_is_merged(self):
        """The link of the e-mail moves its goods: nothing asks for them twice."""
        old = self._cart()
        tx = self._order_checkout(old)
        self.assertEqual(old.state, "draft")
        new = self._cart()
        self.authenticate("juma_shop", "juma_shop")
        self.session["sale_order_id"] = new.id
        root.session_store.save(self.session)
        token = old._portal_ensure_token()
        self._page(f"/shop/cart?id={old.id}&access_token={token}&revive_method=merge")
        self.assertEqual((old.state, new.amount_total), ("cancel", 300000))
        self.assertEqual(tx.state, "cancel")
        self.assertFalse(tx._billpay_living())
        other = self._order_checkout(new)
        self.assertEqual(self._number_of(other).amount, 300000)

    def test_shipping_is_chosen_after_pay_now(self):
        """Only the seller can: the customer has a new cart by then."""
        carrier = (
            self.env["delivery.carrier"]
            .sudo()
            .create(
                {
                    "name": "Basi",
                    "delivery_type": "fixed",
                    "fixed_price": 5000,
                    "product_id": self.env["product.product"]
                    .sudo()
                    .create(
                        {
                            "name": "Usafiri",
                            "type": "service",
                            "invoice_policy": "order",
                            "taxes_id": [Command.clear()],
                        }
                    )
                    .id,
                    "company_id": self.company.id,
                }
            )
        )
        order = self._cart()
        tx = self._order_checkout(order)
        number = self._number_of(tx)
        self.authenticate("juma_shop", "juma_shop")
        self._page("/shop/cart")
        self.make_jsonrpc_request(
            "/shop/cart/add",
            {
                "product_template_id": self.product.product_tmpl_id.id,
                "product_id": self.product.id,
                "quantity": 1,
            },
        )
        self.assertEqual(order.amount_total, 150000)
        order.set_delivery_line(carrier, 5000)
        self.assertEqual(order.amount_total, 155000)
        self._sync()
        self.assertEqual(self._number_of(tx).amount, 155000)
        row = self._paid(number, 155000)
        self._post_process()
        self.assertEqual((order.state, row.attention), ("sale", False))

    def test_a_dollar_pricelist(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        self.provider.clickpesa_convert = True
        self.env["res.currency.rate"].create(
            {
                "currency_id": usd.id,
                "company_id": self.company.id,
                "name": "2026-01-01",
                "inverse_company_rate": 2500,
            }
        )
        # Its price is in the company's shillings.
        self.product.company_id = self.company
        pricelists = self.env["product.pricelist"].sudo()
        pricelists.search([("website_id", "=", self.website.id)]).active = False
        pricelists.create(
            {
                "name": "Dollars",
                "currency_id": usd.id,
                "company_id": self.company.id,
                "website_id": self.website.id,
                "selectable": True,
            }
        )
        self.start_tour(self.url, "billpay_shop_dollars", login="juma_shop")
        order = self._last_order()
        self.assertEqual((order.currency_id, order.amount_total), (usd, 60))
        [tx] = order.transaction_ids
        number = self._number_of(tx)
        self.assertEqual((number.amount, number.bill_amount), (150000, 60))
        row = self._paid(number, 150000)
        self._post_process()
        self.assertEqual((order.state, row.attention), ("sale", False))
        move = order._create_invoices()
        move.action_post()
        lines = self._receivable(move | row.account_payment_ids.move_id)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(set(lines.mapped("amount_residual")), {0})
        self.assertEqual(sum(lines.mapped("balance")), 0)
