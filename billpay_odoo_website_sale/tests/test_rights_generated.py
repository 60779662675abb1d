# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What strangers and groups get of the webshop: see ``rights.py`` of the core."""

from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from odoo.addons.billpay_odoo import const
from odoo.addons.billpay_odoo.tests import test_rights_generated as core
from odoo.addons.billpay_odoo.tests.rights import GROUPS, RightsCommon, RoutesCommon
from odoo.addons.billpay_odoo_sale.tests.test_sale_order import OrderSteps

OURS = {
    "editor": ("website.group_website_restricted_editor",),
    "designer": ("website.group_website_designer",),
}


@tagged("post_install", "-at_install")
class TestShopRights(RightsCommon):
    addon = "billpay_odoo_website_sale"
    groups = {**GROUPS, **OURS}

    def test_the_add_on_has_nothing_to_write_or_call(self):
        """A field or method that is added gets a table, as in the other add-ons."""
        self.assertEqual([model._name for model, _names in self._models()], [])
        self.assertEqual(self._check_methods(), [])

    def test_fields_of_the_core_as_editors(self):
        self.patch(type(self), "addon", "billpay_odoo")
        self.patch(type(self), "allowed", core.TestFields.allowed)
        wrong = self._check_fields({name: self.users[name] for name in OURS})
        self.assertFalse(wrong, "\n" + "\n".join(wrong))


@tagged("post_install", "-at_install")
class TestShopRoutes(OrderSteps, RoutesCommon):
    """The shop's addresses are Odoo's own: what they tell of an order's number."""

    addon = "billpay_odoo_website_sale"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        website = cls.env["website"].sudo().get_current_website()
        website.company_id = cls.company

    def test_every_route_has_a_line(self):
        self.assertEqual(self._check_routes(), {})

    def test_strangers_are_told_nothing(self):
        self.partner.name = "Zuhura Mwakalinga"
        order = self._order(731900)
        tx = self._order_checkout(order)
        number = self._number_of(tx)
        self.assertEqual((tx.state, number.state), ("pending", "open"))
        other = self._order(5000, partner_id=self.partner.copy({"name": "Mgeni"}).id)
        self._order_checkout(other)
        new_test_user(
            self.env, "mgeni_shop", "base.group_portal", password="mgeni_shop"
        )
        secrets = (
            self.partner.name,
            "731900",
            order.name,
            tx.reference,
            number.name,
            number.display_number,
            self.env["billpay.pay.page"]._get_pay_url(number),
            order._portal_ensure_token(),
        )
        self.env.flush_all()
        token, of_other = "f" * 36, other._portal_ensure_token()
        for login in (None, "mgeni_shop"):
            self.authenticate(login, login)
            for path in (
                "/shop/confirmation",
                f"/shop/confirmation?sale_order_id={order.id}",
                f"/shop/confirmation?sale_last_order_id={order.id}",
                "/shop/payment",
                "/shop/payment/validate",
                "/shop/print",
                "/payment/status",
                f"/payment/confirmation?tx_id={tx.id}&access_token={token}",
                f"/my/orders/{order.id}",
                f"/my/orders/{order.id}?access_token={token}",
                f"/my/orders/{order.id}?access_token={of_other}",
            ):
                with (
                    self.subTest(login=login, path=path),
                    mute_logger("odoo.http"),
                ):
                    response = self.url_open(path)
                    self.assertIn(response.status_code, (200, 403, 404))
                    self.assertTellsNothing(response, *secrets)
            for data in (
                {"reference": tx.reference},
                {"tx_id": str(tx.id), "access_token": token},
                {"sale_order_id": str(order.id)},
            ):
                with self.subTest(login=login, data=data):
                    response = self.url_open(const.CHECKOUT_URL, data=data)
                    self.assertIn(response.status_code, (200, 404))
                    self.assertTellsNothing(response, *secrets)
        self.env.invalidate_all()
        self.assertEqual((tx.state, order.state), ("pending", "draft"))
        self.assertEqual(tx.billpay_number_ids, number)

    def test_the_customer_is_told(self):
        """With the token of the order, as its e-mail has it."""
        order = self._order(731900)
        order.write({"state": "sent", "website_id": False})
        number = self._number_of(self._order_checkout(order))
        self.env.flush_all()
        page = self.url_open(
            f"/my/orders/{order.id}?access_token={order._portal_ensure_token()}"
        )
        self.assertEqual(page.status_code, 200)
        self.assertIn("".join(number.name.split()), "".join(page.text.split()))
