# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a cashier does in the user guide, with the rights of a cashier only."""

from uuid import uuid4

from odoo.exceptions import UserError
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon
from odoo.addons.billpay_odoo.tests.walks import Person

from .common import TillSteps

DEVICE = "0d1f6a44-aaaa"


@tagged("post_install", "-at_install")
class TestCashier(TillSteps, BillPayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cashier_user = cls._user("walk_cashier", "point_of_sale.group_pos_user")

    def setUp(self):
        super().setUp()
        self.cashier = Person(self, self.cashier_user)

    def _ask_as(self, person, uuid, amount=45000, **values):
        with self._workers():
            return person.call(
                self.till,
                "billpay_ask",
                {"uuid": uuid, "amount": amount, "reference": "Order 1", **values},
            )

    def _open_as(self, person):
        """The till is opened, and loads what it shows."""
        person.open_menu("point_of_sale.menu_point_ofsale")
        person.call(self.till, "open_ui")
        session = person.here(self.till.current_session_id)
        person.call(session, "load_data", [])
        person.call(session, "set_opening_control", 0, "")
        self.assertEqual(session.user_id, person.user)
        return session

    def _sell(self, person, session, payments, **values):
        sale = self._sale(session, payments, user_id=person.user.id, **values)
        answer = person.model_call("pos.order", "sync_from_ui", [sale])
        return person.here(self.env["pos.order"].browse(answer["pos.order"][0]["id"]))

    def _close_as(self, person, session):
        control = person.call(session, "get_closing_control_data")
        cash = control["default_cash_details"]["amount"]
        person.call(session, "post_closing_cash_details", cash)
        person.call(session, "update_closing_control_state_session", "")
        answer = person.call(session, "close_session_from_ui")
        self.assertTrue(answer.get("successful"), answer)
        self.assertEqual(session.state, "closed")

    def test_a_day_at_the_till(self):
        cashier = self.cashier
        session = self._open_as(cashier)
        # Numbers in store, for when the network is gone.
        leased = cashier.call(self.till, "billpay_lease", DEVICE)
        self.assertEqual(len(leased), 60)
        # One customer pays with the phone.
        uuid = str(uuid4())
        stand = self._ask_as(cashier, uuid)
        self.assertEqual(stand["state"], "waiting")
        self._paid_at_till(stand["number"], 45000)
        [stand] = cashier.call(self.till, "billpay_status", [uuid])
        self.assertEqual((stand["state"], stand["received"]), ("paid", 45000))
        payments = [(self.billpay, 45000, stand["number"])]
        paid = self._sell(cashier, session, payments, uuid=uuid)
        self.assertEqual(paid.state, "paid")
        # Another one changes her mind.
        uuid = str(uuid4())
        self._ask_as(cashier, uuid, 20000)
        gone = cashier.call(self.till, "billpay_cancel", uuid)
        self.assertEqual(gone["state"], "closed")
        self._sell(cashier, session, [(self.cash, 45000, False)])
        # One was sold without network, and is paid later.
        number = leased[0]["number"]
        later = self._sell(cashier, session, [(self.billpay, 45000, number)])
        self.assertEqual(later.billpay_state, "waiting")
        cashier.call(self.till, "billpay_lease", DEVICE, [number])
        # "I have paid": by number, receipt, phone, and amount.
        row = self._paid_at_till(number, 45000)
        for text in (number, row.receipt, number[-6:], "45000", row.payer_phone):
            with self.subTest(text):
                found = cashier.call(self.till, "billpay_search", text)
                self.assertIn(row.receipt, [item["receipt"] for item in found])
        self.assertFalse(cashier.call(self.till, "billpay_search", "999000999"))
        orders = cashier.open_menu("point_of_sale.menu_point_ofsale")
        self.assertLessEqual(paid | later, orders)
        waiting = [("billpay_state", "in", ["waiting", "part"])]
        self.assertFalse(cashier.call(paid.browse(), "search", waiting))
        cashier.form(later)
        self._close_as(cashier, session)
        for order in (paid, later):
            self.assertSettled(order.sudo(), 45000)
        # The books, and which money an order has, are not a cashier's.
        cashier.assertRefused(cashier.call, row, "read", ["amount"])
        other = row.control_number_id.search([("name", "=", leased[1]["number"])])
        cashier.assertRefused(
            cashier.call,
            later.payment_ids,
            "write",
            {"billpay_number_id": other.id},
        )
        cashier.assertRefused(
            cashier.call, self.till, "write", {"billpay_later": "always"}
        )

    def test_money_that_comes_after_closing(self):
        cashier = self.cashier
        session = self._open_as(cashier)
        [number, *_rest] = cashier.call(self.till, "billpay_lease", DEVICE)
        payments = [(self.billpay, 45000, number["number"])]
        order = self._sell(cashier, session, payments)
        self._close_as(cashier, session)
        waiting = [("billpay_state", "in", ["waiting", "part"])]
        self.assertEqual(cashier.call(order.browse(), "search", waiting), order.ids)
        row = self._paid_at_till(number["number"], 45000)
        self.assertBooked(row, 45000)
        self.assertSettled(order.sudo(), 45000)
        cashier.form(order)
        cashier.assertRefused(cashier.call, row.control_number_id, "read", ["name"])

    def test_an_invoiced_order(self):
        cashier = self.cashier
        session = self._open_as(cashier)
        uuid = str(uuid4())
        stand = self._ask_as(cashier, uuid, partner_id=self.partner.id)
        row = self._paid_at_till(stand["number"], 45000)
        order = self._sell(
            cashier,
            session,
            [(self.billpay, 45000, stand["number"])],
            uuid=uuid,
            partner_id=self.partner.id,
            to_invoice=True,
        )
        self.assertBooked(row, 45000)
        self.assertEqual(order.sudo().account_move.amount_residual, 0)
        self._close_as(cashier, session)
        self.assertEqual(order.sudo().account_move.amount_residual, 0)

    def test_the_back_office_reads_payments_of_tills(self):
        """A clerk without rights at the till, and a manager of tills only."""
        session = self._open_as(self.cashier)
        uuid = str(uuid4())
        stand = self._ask_as(self.cashier, uuid)
        row = self._paid_at_till(stand["number"], 45000)
        payments = [(self.billpay, 45000, stand["number"])]
        order = self._sell(self.cashier, session, payments, uuid=uuid)
        for login, group in (
            ("clerk", "account.group_account_invoice"),
            ("user", "billpay_odoo.group_billpay_user"),
        ):
            with self.subTest(login):
                person = Person(self, self._user("walk_till_" + login, group))
                found = person.open_menu("billpay_odoo.menu_billpay_payments")
                self.assertIn(row, found)
                found = person.open_menu("billpay_odoo.menu_billpay_numbers")
                self.assertIn(row.control_number_id, found)
                person.assertRefused(person.call, order, "read", ["amount_total"])
        manager = Person(
            self, self._user("walk_till_manager", "point_of_sale.group_pos_manager")
        )
        self._close_as(self.cashier, session)
        manager.open_menu("point_of_sale.menu_point_ofsale")
        manager.form(order)
        manager.assertRefused(manager.call, row, "read", ["amount"])

    def test_a_manager_of_tills_sets_them_up(self):
        manager = Person(
            self, self._user("walk_till_manager", "point_of_sale.group_pos_manager")
        )
        view = "point_of_sale.pos_config_view_form"
        self.till.billpay = False
        self.billpay.sudo().unlink()
        form = manager.form(self.till, view)
        form.billpay = True
        form.billpay_later = "never"
        form.billpay_lang = "en"
        manager.save(form)
        self.assertEqual(self.till._billpay_method().name, "BillPay")
        self.assertEqual(self.till.billpay_later, "never")
        # The server, too, refuses an order whose money has not come.
        cashier = self.cashier
        session = self._open_as(cashier)
        stand = self._ask_as(cashier, str(uuid4()))
        self.assertEqual(stand["state"], "waiting")
        payments = [(self.till._billpay_method(), 45000, stand["number"])]
        with self.assertRaises(UserError), self.env.cr.savepoint():
            self._sell(cashier, session, payments)
        form = cashier.form(self.till, view)
        self.assertNotIn("billpay_later", form._view["fields"])
        manager.assertRefused(
            manager.call, self.provider, "write", {"name": "Of the till"}
        )
