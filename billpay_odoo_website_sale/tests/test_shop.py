# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A webshop order in a real browser, from the cart to the money."""

from odoo import Command
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.common import BillPayHttpCommon
from odoo.addons.billpay_odoo_sale.tests.test_sale_order import OrderSteps


class ShopCommon(OrderSteps, BillPayHttpCommon):
    """A shop in shillings, and a customer with a login."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        env = cls.env(su=True)
        cls.provider.write({"state": "enabled", "is_published": True})
        env.ref("billpay_odoo.payment_method_billpay").active = True
        cls.website = env["website"].get_current_website()
        cls.website.company_id = cls.company
        pricelist = env["product.pricelist"].create(
            {
                "name": "Shillings",
                "currency_id": cls.tzs.id,
                "company_id": cls.company.id,
                "website_id": cls.website.id,
                "selectable": True,
            }
        )
        env["product.pricelist"].search(
            [("website_id", "in", (False, cls.website.id)), ("id", "!=", pricelist.id)]
        ).active = False
        cls.product = env["product.product"].create(
            {
                "name": "Kitenge",
                "type": "service",
                "list_price": 150000,
                "taxes_id": [Command.clear()],
                "website_published": True,
                "sale_ok": True,
            }
        )
        cls.partner.write(
            {
                "street": "Mtaa wa Samora 1",
                "city": "Dar es Salaam",
                "zip": "11101",
                "country_id": env.ref("base.tz").id,
                "phone": "+255712345678",
            }
        )
        cls.customer = (
            env["res.users"]
            .with_context(no_reset_password=True)
            .create(
                {
                    "name": cls.partner.name,
                    "login": "juma_shop",
                    "password": "juma_shop",
                    "partner_id": cls.partner.id,
                    "company_id": cls.company.id,
                    "company_ids": [Command.set(cls.company.ids)],
                    "group_ids": [Command.set(env.ref("base.group_portal").ids)],
                }
            )
        )

    def _last_order(self):
        order = self.env["sale.order"].sudo()
        return order.search([("partner_id", "=", self.partner.id)], limit=1)


@tagged("post_install", "-at_install", "slow")
class TestShop(ShopCommon):
    def test_from_the_cart_to_the_confirmed_order(self):
        url = self.product.product_tmpl_id.website_url
        self.start_tour(url, "billpay_shop", login="juma_shop")
        order = (
            self.env["sale.order"]
            .sudo()
            .search([("partner_id", "=", self.partner.id)], limit=1)
        )
        [tx] = order.transaction_ids
        number = self._number_of(tx)
        self.assertEqual((tx.state, number.state), ("pending", "open"))
        self.assertEqual((number.amount, order.amount_total), (150000, 150000))
        # The browser is gone; the money comes.
        row = self._paid(number, 150000)
        self.assertBooked(row, 150000)
        self._post_process()
        self.assertEqual(order.state, "sale")
        self.assertEqual(tx.payment_id, row.account_payment_ids)

    def test_the_pay_page_is_none_of_the_websites(self):
        """Whoever reads its address can open it: no tracker, and no script of ours."""
        code = '<script src="https://tracker.example/%s.js"></script>'
        self.website.write(
            {
                "google_analytics_key": "G-BILLPAY00",
                "plausible_shared_key": "plausible-billpay",
                "plausible_site": "duka.example",
                "custom_code_head": code % "head",
                "custom_code_footer": code % "footer",
            }
        )
        number = self._invoice().billpay_number_id.sudo()
        self.env.flush_all()
        path = self.env["billpay.pay.page"]._get_pay_path(number)
        watched = ("tracker.example", "G-BILLPAY00", "plausible", "assets_frontend")
        home = self.url_open("/").text
        page = self.url_open(path)
        self.assertEqual(page.status_code, 200)
        for trace in watched:
            with self.subTest(trace=trace):
                self.assertIn(trace, home)
                self.assertNotIn(trace, page.text)
        self.assertNotIn("visitor_uuid", page.cookies)

    def test_without_clickpesa_the_customer_finds_the_way_back(self):
        self.sandbox.faults.add("error", times=-1)
        url = self.product.product_tmpl_id.website_url
        self.start_tour(url, "billpay_shop_down", login="juma_shop")
        order = (
            self.env["sale.order"]
            .sudo()
            .search([("partner_id", "=", self.partner.id)], limit=1)
        )
        self.assertEqual((order.state, order.amount_total), ("draft", 150000))
        self.assertEqual(order.transaction_ids.mapped("state"), ["error"])

    def test_without_clickpesa_the_cart_is_kept(self):
        self.sandbox.faults.add("error", times=-1)
        order = self._order(website_id=self.website.id)
        tx = self._order_checkout(order)
        self.assertEqual(tx.state, "error")
        self.assertEqual(order.state, "draft")
        self.assertTrue(order.order_line)
        providers = (
            self.env["payment.provider"]
            .sudo()
            ._get_compatible_providers(
                self.company.id, self.partner.id, 1000, currency_id=self.tzs.id
            )
        )
        self.assertTrue(providers)
