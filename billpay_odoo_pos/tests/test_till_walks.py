# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a till can do besides: rounding, tips, coupons, presets, a long queue."""

from datetime import timedelta
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon, slow

from ..models.pos_config import RANGE
from .common import TillSteps


@tagged("post_install", "-at_install")
class TestTillWalks(TillSteps, BillPayCommon):
    def _round(self, till, only_cash, method="HALF-UP"):
        rounding = self.env["account.cash.rounding"].create(
            {
                "name": "To 50 shillings",
                "rounding": 50,
                "strategy": "add_invoice_line",
                "profit_account_id": self.company_data["default_account_revenue"].id,
                "loss_account_id": self.company_data["default_account_expense"].id,
                "rounding_method": method,
            }
        )
        till.write(
            {
                "cash_rounding": True,
                "rounding_method": rounding.id,
                "only_round_cash_method": only_cash,
            }
        )

    def _sell(self, session, amount, asked, paid, **values):
        """Sell for an amount; the number asks for so much, and so much is paid."""
        uuid = str(uuid4())
        stand = self._ask(uuid, asked)
        self.assertEqual(stand["amount"], asked)
        if paid:
            self._paid_at_till(stand["number"], paid)
        line = (self.billpay, asked, stand["number"])
        sale = self._sale(session, [line], amount=amount, uuid=uuid, **values)
        # What is rounded up is no change.
        return self._send({**sale, "amount_return": 0})

    def assertBalanced(self, session):
        """The session's entry balances, and has no difference that nobody explains."""
        lines = session.move_id.line_ids
        self.assertEqual(sum(lines.mapped("balance")), 0)
        self.assertFalse(lines.filtered(lambda line: "Difference" in (line.name or "")))

    def test_whole_orders_are_rounded(self):
        self._round(self.till, only_cash=False)
        session = self._open()
        # As the till sends them: the rounded amount is asked for and paid.
        orders = [
            self._sell(session, 45020, 45000, 45000),
            self._sell(session, 45030, 45050, 45050),
            self._sell(session, 45030, 45050, 0),
        ]
        self.assertEqual([order.state for order in orders], ["paid"] * 3)
        states = [order.billpay_state for order in orders]
        self.assertEqual(states, ["paid", "paid", "waiting"])
        self._close_till(session)
        self.assertBalanced(session)
        self.assertSettled(orders[0], 45000)
        self.assertSettled(orders[1], 45050)
        row = self._paid_at_till(orders[2].payment_ids.billpay_number, 45050)
        self.assertSettled(orders[2], 45050)
        self.assertFalse(row.attention)

    def test_only_cash_is_rounded(self):
        self._round(self.till, only_cash=True)
        session = self._open()
        exact = self._sell(session, 45020, 45020, 45020)
        # A part by BillPay, the rest in cash, rounded.
        uuid = str(uuid4())
        stand = self._ask(uuid, 20010)
        self._paid_at_till(stand["number"], 20010)
        lines = [(self.billpay, 20010, stand["number"]), (self.cash, 25000, False)]
        mixed = self._send(self._sale(session, lines, amount=45020, uuid=uuid))
        self.assertEqual((exact.state, mixed.state), ("paid", "paid"))
        self._close_till(session)
        self.assertBalanced(session)
        self.assertSettled(exact, 45020)
        self.assertSettled(mixed, 20010)

    def test_a_rounded_order_that_is_never_paid_later(self):
        self._round(self.till, only_cash=False)
        self.till.billpay_later = "never"
        session = self._open()
        order = self._sell(session, 45030, 45050, 45050)
        self.assertEqual(order.state, "paid")
        with self.assertRaises(ValidationError), self.env.cr.savepoint():
            self._sell(session, 45030, 45050, 0)

    def test_an_invoiced_rounded_order(self):
        self._round(self.till, only_cash=False)
        session = self._open()
        order = self._sell(
            session,
            45030,
            45050,
            45050,
            to_invoice=True,
            partner_id=self.partner.id,
        )
        invoice = order.account_move
        self.assertEqual((invoice.amount_total, invoice.amount_residual), (45050, 0))
        self._close_till(session)
        self.assertEqual(invoice.amount_residual, 0)

    def test_a_tip_is_paid_with_the_order(self):
        tip = self.env.ref("point_of_sale.product_product_tip")
        self.till.write({"iface_tipproduct": True, "tip_product_id": tip.id})
        session = self._open()
        uuid = str(uuid4())
        # The number is there already when the customer gives a tip.
        first = self._ask(uuid, 45000)
        stand = self._ask(uuid, 50000)
        self.assertEqual(stand["number"], first["number"])
        self.assertEqual([n["amount"] for n in self.sandbox.numbers()], [50000])
        row = self._paid_at_till(stand["number"], 50000)
        line = (self.billpay, 50000, stand["number"])
        sale = self._sale(session, [line], uuid=uuid)
        of_tip = {**sale["lines"][0][2], "product_id": tip.id, "uuid": str(uuid4())}
        of_tip |= dict.fromkeys(
            ("price_unit", "price_subtotal", "price_subtotal_incl"), 5000
        )
        sale |= {"is_tipped": True, "tip_amount": 5000, "amount_total": 50000}
        sale["amount_return"] = 0
        sale["lines"].append(Command.create(of_tip))
        order = self._send(sale)
        self.assertEqual((order.state, order.tip_amount), ("paid", 5000))
        self.assertBooked(row, 50000)
        self._close_till(session)
        self.assertSettled(order, 50000)
        self.assertBalanced(session)

    def test_a_coupon_after_the_number_was_printed(self):
        """A reward is a line of the order: the number asks for less."""
        session = self._open()
        uuid = str(uuid4())
        first = self._ask(uuid, 45000)
        stand = self._ask(uuid, 40500, number=first["number"])
        self.assertEqual(stand["number"], first["number"])
        self.assertEqual((stand["amount"], stand["state"]), (40500, "waiting"))
        self._paid_at_till(stand["number"], 40500)
        line = (self.billpay, 40500, stand["number"])
        order = self._send(self._sale(session, [line], amount=40500, uuid=uuid))
        self.assertEqual(order.billpay_state, "paid")
        self._close_till(session)
        self.assertSettled(order, 40500)

    def test_takeaway_for_later_is_paid_before_it_is_fetched(self):
        preset = self.env["pos.preset"].create(
            {"name": "Takeaway", "identification": "name", "use_timing": True}
        )
        self.till.write(
            {
                "use_presets": True,
                "default_preset_id": preset.id,
                "available_preset_ids": [Command.set(preset.ids)],
            }
        )
        session = self._open()
        uuid = str(uuid4())
        stand = self._ask(uuid)
        # Ordered for the evening: the order waits as a draft, and so does its money.
        evening = {
            "preset_id": preset.id,
            "preset_time": fields.Datetime.to_string(
                fields.Datetime.now() + timedelta(days=3)
            ),
            "floating_order_name": "Asha",
        }
        sale = self._sale(session, [], state="draft", uuid=uuid, **evening)
        order = self._send({**sale, "billpay_number": stand["number"]})
        row = self._paid_at_till(stand["number"], 45000)
        self.assertEqual(order.state, "draft")
        self.assertFalse(row.attention)
        [stand] = self.till.billpay_status([uuid])
        self.assertEqual((stand["state"], stand["received"]), ("paid", 45000))
        # The day ends; the order is fetched on another one.
        self._close_till(session)
        session = self._open()
        evening["preset_time"] = fields.Datetime.to_string(fields.Datetime.now())
        line = (self.billpay, 45000, stand["number"])
        sale = self._sale(session, [line], uuid=uuid, **evening)
        self._send({**sale, "lines": [], "access_token": order.access_token})
        self.assertEqual((order.state, order.session_id), ("paid", session))
        self._close_till(session)
        self.assertSettled(order, 45000)

    @slow
    def test_sixty_orders_without_network(self):
        """One of them is refused: the others are stored, and each meets its money."""
        session = self._open()
        leased = [row["number"] for row in self._lease()]
        self.assertEqual(len(leased), RANGE)
        early, refused = leased[:5], leased[30]
        for number in early:
            self._pay(number, 45000)
        sales = [
            self._sale(session, [(self.billpay, 45000, number)]) for number in leased
        ]
        # More than the order comes to, at a till that gives no change.
        wrong = self._sale(session, [(self.billpay, 50000, refused)])
        sales[30] = wrong
        orders, failed = self.env["pos.order"], []
        for sale in sales:
            # The till sends them one by one.
            try:
                with self.env.cr.savepoint():
                    orders |= self._send(sale)
            except ValidationError as error:
                failed.append((sale, str(error)))
        self.assertEqual(len(orders), RANGE - 1)
        [[sale, said]] = failed
        self.assertEqual(sale, wrong)
        self.assertIn("gives no change", said)
        self.assertEqual(
            orders.payment_ids.billpay_number_id.mapped("name"),
            [number for number in leased if number != refused],
        )
        # The device gets new ones; what it printed is nobody else's.
        again = {row["number"] for row in self._lease(used=leased)}
        self.assertEqual(len(again), RANGE)
        self.assertFalse(again & set(leased))
        # All are paid, also the one whose order the server does not have.
        for number in leased[5:]:
            self._pay(number, 45000)
        for payment in self.sandbox.payments():
            self._event(payment)
        self._process()
        rows = self.env["billpay.payment"].search([("number", "in", leased)])
        self.assertEqual(rows.mapped("state"), ["posted"] * RANGE)
        self.assertEqual(set(orders.mapped("billpay_state")), {"paid"})
        # The cashier corrects the order, and it meets its money, too.
        corrected = {**wrong, "amount_paid": 45000, "amount_return": 0}
        corrected["payment_ids"][0][2]["amount"] = 45000
        orders |= self._send(corrected)
        self._close_till(session)
        lines = orders.payment_ids._billpay_lines()
        self.assertEqual(sum(lines.mapped("balance")), 45000 * RANGE)
        self.assertTrue(all(lines.mapped("reconciled")))
        self.assertFalse(rows.filtered("attention"))
