# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Kiosks and phones at tables: control numbers by Odoo's own *Online Payment*."""

from odoo import Command
from odoo.tests import tagged

from odoo.addons.billpay_odoo import const
from odoo.addons.billpay_odoo.tests.common import BillPayHttpCommon
from odoo.addons.billpay_odoo.tests.test_payment_transaction import CheckoutSteps

from .common import TillSteps


@tagged("post_install", "-at_install")
class TestSelfOrder(CheckoutSteps, TillSteps, BillPayHttpCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.is_published = True
        cls.env.ref("billpay_odoo.payment_method_billpay").sudo().active = True
        cls.online = cls.env["pos.payment.method"].create(
            {
                "name": "Pay online",
                "is_online_payment": True,
                "online_payment_provider_ids": [Command.set(cls.provider.ids)],
                "company_id": cls.company.id,
            }
        )
        cls.env.user.group_ids += cls.env.ref("point_of_sale.group_pos_user")

    def setUp(self):
        super().setUp()
        # A visitor keeps the session between pages.
        self.authenticate(None, None)

    def _kiosk(self):
        kiosk = self._make_till("Kiosk ya Posta")
        kiosk.payment_method_ids -= kiosk.payment_method_ids.filtered("is_cash_count")
        kiosk.write(
            {
                "self_ordering_mode": "kiosk",
                "self_ordering_service_mode": "counter",
                "self_ordering_pay_after": "each",
                "self_ordering_default_user_id": self.env.user.id,
                "use_presets": False,
            }
        )
        return kiosk

    def _phones(self):
        self.till.write(
            {
                "self_ordering_mode": "mobile",
                "self_ordering_service_mode": "counter",
                "self_ordering_pay_after": "each",
                "self_ordering_default_user_id": self.env.user.id,
                "use_presets": False,
            }
        )
        return self.till

    def _order(self, till, device, amount=45000):
        """A customer orders; return the order."""
        session = till.current_session_id
        sale = self._sale(session, [], amount=amount, state="draft")
        wanted = {**sale, "config_id": till.id, "preset_id": False}
        self.env.flush_all()
        answer = self.make_jsonrpc_request(
            self.base_url() + f"/pos-self-order/process-order/{device}/",
            {
                "order": wanted,
                "access_token": till.access_token,
                "table_identifier": None,
            },
        )
        self.env.invalidate_all()
        order = self.env["pos.order"].browse(answer["pos.order"][0]["id"])
        self.assertEqual((order.state, order.amount_total), ("draft", amount))
        return order

    def _choose_clickpesa(self, order):
        """The customer opens the code on the screen and presses "Pay"."""
        token = order.access_token
        page = self.url_open(f"/pos/pay/{order.id}?access_token={token}")
        self.assertEqual(page.status_code, 200)
        self.assertIn(f'data-provider-id="{self.provider.id}"', page.text)
        values = self.make_jsonrpc_request(
            self.base_url() + f"/pos/pay/transaction/{order.id}?access_token={token}",
            {
                "amount": order.amount_total,
                "access_token": token,
                "landing_route": "/",
                "provider_id": self.provider.id,
                "payment_method_id": self.env.ref(
                    "billpay_odoo.payment_method_billpay"
                ).id,
                "token_id": None,
                "flow": "redirect",
                "tokenization_requested": False,
            },
        )
        self.assertIn(const.CHECKOUT_URL, values["redirect_form_html"])
        with self._workers():
            page = self.url_open(const.CHECKOUT_URL, data={"lang": "en"})
        tx = self.env["payment.transaction"].sudo()
        tx = tx.search([("reference", "=", values["reference"])])
        number = self._number_of(tx)
        self.assertEqual((tx.state, number.state), ("pending", "open"))
        self.assertIn(number.name, page.text.replace(" ", ""))
        return tx

    def _pay_and_close(self, till, order, tx):
        row = self._paid(self._number_of(tx), 45000)
        self.assertBooked(row, 45000)
        self.assertEqual(tx.state, "done")
        tx._post_process()
        self.assertEqual(order.state, "paid")
        [line] = order.payment_ids
        self.assertEqual((line.payment_method_id, line.amount), (self.online, 45000))
        self.assertEqual(line.online_account_payment_id, row.account_payment_ids)
        session = till.current_session_id
        session.action_pos_session_closing_control()
        self.assertEqual(session.state, "closed")
        # The session's item and the money are of one customer, and meet.
        money = row.account_payment_ids.move_id.line_ids.filtered(
            lambda item: item.account_id.account_type == "asset_receivable"
        )
        waiting = session.move_id.line_ids.filtered(
            lambda item: (
                item.account_id == money.account_id
                and item.partner_id == money.partner_id
            )
        )
        self.assertEqual(sum((money | waiting).mapped("balance")), 0)
        self.assertTrue(all((money | waiting).mapped("reconciled")))
        self.assertFalse(row.attention)

    def test_a_kiosk_offers_control_numbers_by_online_payment(self):
        kiosk = self._kiosk()
        kiosk.payment_method_ids += self.online
        self._open(kiosk)
        methods = self.env["pos.payment.method"]
        offered = methods.search(methods._load_pos_self_data_domain({}, kiosk))
        self.assertEqual(offered, self.online)
        order = self._order(kiosk, "kiosk")
        tx = self._choose_clickpesa(order)
        self._pay_and_close(kiosk, order, tx)

    def test_a_phone_at_a_table_pays_by_online_payment(self):
        till = self._phones()
        till.self_order_online_payment_method_id = self.online
        self._open(till)
        order = self._order(till, "mobile")
        tx = self._choose_clickpesa(order)
        self._pay_and_close(till, order, tx)

    def test_an_order_of_a_phone_is_paid_at_the_till(self):
        till = self._phones()
        session = self._open(till)
        order = self._order(till, "mobile")
        stand = self._ask(order.uuid, reference=order.pos_reference)
        row = self._paid_at_till(stand["number"], 45000)
        sale = self._sale(session, [(self.billpay, 45000, stand["number"])])
        self._send(
            {
                **sale,
                "id": order.id,
                "uuid": order.uuid,
                "access_token": order.access_token,
                "pos_reference": order.pos_reference,
                "lines": [],
            }
        )
        self.assertEqual((order.state, order.amount_total), ("paid", 45000))
        self.assertBooked(row, 45000)
        self.assertEqual(order.billpay_state, "paid")
        self._close_till(session)
        self.assertSettled(order, 45000)

    def test_a_kiosk_without_online_payment_offers_nothing_and_says_so(self):
        kiosk = self._kiosk()
        self._open(kiosk)
        self.assertEqual(kiosk.payment_method_ids, self.billpay)
        methods = self.env["pos.payment.method"]
        offered = methods.search(methods._load_pos_self_data_domain({}, kiosk))
        self.assertFalse(offered)
        self.assertFalse(kiosk.has_valid_self_payment_method())
        self.assertEqual(kiosk.billpay_self_order, "missing")
        # The customer is sent to the counter, and the order is there.
        order = self._order(kiosk, "kiosk")
        self.assertIn(order, kiosk.current_session_id.order_ids)

    def test_what_the_settings_say(self):
        self.assertFalse(self.till.billpay_self_order)
        till = self._phones()
        self.assertEqual(till.billpay_self_order, "missing")
        till.self_order_online_payment_method_id = self.online
        self.assertEqual(till.billpay_self_order, "offered")
        till.self_ordering_mode = "nothing"
        self.assertFalse(till.billpay_self_order)
        kiosk = self._kiosk()
        self.assertEqual(kiosk.billpay_self_order, "missing")
        kiosk.payment_method_ids += self.online
        self.assertEqual(kiosk.billpay_self_order, "offered")
        # Online payment by somebody else only.
        other = (
            self.env["payment.provider"]
            .sudo()
            .create({"name": "Other", "company_id": self.company.id})
        )
        self.online.online_payment_provider_ids = other
        kiosk.invalidate_recordset()
        self.assertEqual(kiosk.billpay_self_order, "missing")
        self.online.online_payment_provider_ids = False
        kiosk.invalidate_recordset()
        self.assertEqual(kiosk.billpay_self_order, "offered")
        self.provider.state = "disabled"
        kiosk.invalidate_recordset()
        self.assertEqual(kiosk.billpay_self_order, "missing")
        self.provider.state = "test"
        kiosk.billpay = False
        self.assertFalse(kiosk.billpay_self_order)
        till.self_ordering_mode = "mobile"
        settings = self.env["res.config.settings"].create({"pos_config_id": till.id})
        self.assertEqual(settings.pos_billpay_self_order, "offered")
