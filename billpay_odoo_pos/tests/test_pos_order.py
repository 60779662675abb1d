# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Refunds: what was never paid is not paid out, and not waited for."""

from uuid import uuid4

from odoo.exceptions import ValidationError
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon

from .common import TillSteps


@tagged("post_install", "-at_install")
class TestRefunds(TillSteps, BillPayCommon):
    def setUp(self):
        super().setUp()
        self.nobody = self.till._billpay_customer()

    def _order(self, session, paid=0, amount=45000, **values):
        """An order that is paid later, in part perhaps."""
        if paid:
            self.provider.clickpesa_checkout_mode = "flexible"
        uuid = str(uuid4())
        stand = self._ask(uuid, amount, partner_id=values.get("partner_id") or False)
        order = self._send(
            self._sale(
                session,
                [(self.billpay, amount, stand["number"])],
                amount=amount,
                uuid=uuid,
                billpay_number=stand["number"],
                **values,
            )
        )
        if paid:
            self._paid_at_till(stand["number"], paid)
        return order, self._number(stand).sudo()

    def _refuse(self, sale, text):
        with self.assertRaisesRegex(ValidationError, text), self.env.cr.savepoint():
            self._send(sale)
        self.assertFalse(
            self.env["pos.order"].search([("uuid", "=", sale["uuid"])]).exists()
        )

    def _asked_there(self, number):
        self._sync()
        there = self.sandbox.number(number.name)
        return there["amount"] if there["state"] == "ACTIVE" else 0

    def test_of_an_unpaid_order(self):
        """Before and after its session is closed, with and without a customer."""
        for closed in (False, True):
            for partner in (self.partner.browse(), self.partner):
                with self.subTest(closed=closed, partner=partner.name):
                    session = self._open()
                    order, number = self._order(session, partner_id=partner.id)
                    self.assertEqual(self._asked_there(number), 45000)
                    if closed:
                        self._close_till(session)
                        session = self._open()
                    self._refuse(
                        self._refund_sale(session, order, [(self.cash, -45000, False)]),
                        "still unpaid",
                    )
                    refund = self._send(
                        self._refund_sale(
                            session, order, [(self.billpay, -45000, False)]
                        )
                    )
                    self.assertEqual(refund.state, "paid")
                    self.assertEqual(number.state, "closed")
                    self.assertEqual(self._asked_there(number), 0)
                    self.assertFalse(order.billpay_due)
                    self.assertFalse(order.billpay_state)
                    self.assertFalse(refund.billpay_state)
                    self._close_till(session)
                    self.assertSettled(order, 45000)
                    self.assertSettled(refund, -45000)
                    owner = partner or self.nobody
                    self.assertEqual(
                        refund.payment_ids._billpay_lines().partner_id, owner
                    )
                    self.assertEqual(self._owed(owner), 0)
                    self.assertEqual((order.billpay_due, number.state), (0, "closed"))

    def test_of_a_part(self):
        for closed in (False, True):
            with self.subTest(closed=closed):
                session = self._open()
                order, number = self._order(session)
                if closed:
                    self._close_till(session)
                    session = self._open()
                for payments in (
                    [(self.cash, -20000, False)],
                    [(self.billpay, -5000, False), (self.cash, -15000, False)],
                ):
                    self._refuse(
                        self._refund_sale(session, order, payments, 20000),
                        "still unpaid",
                    )
                self._send(
                    self._refund_sale(
                        session, order, [(self.billpay, -20000, False)], 20000
                    )
                )
                self.assertEqual(order.billpay_due, 25000)
                self.assertEqual(self._asked_there(number), 25000)
                row = self._paid_at_till(number.name, 25000)
                self.assertFalse(row.attention, row.reason)
                self._close_till(session)
                self.assertSettled(order, 45000)
                self.assertEqual(self._owed(self.nobody), 0)
                self.assertEqual(order.billpay_state, "paid")
                # Nothing is left to be taken off: from now on cash is given back.
                session = self._open()
                rest = (session, order)
                self._refuse(
                    self._refund_sale(*rest, [(self.billpay, -25000, False)], 25000),
                    "sends no money back",
                )
                self._send(
                    self._refund_sale(*rest, [(self.cash, -25000, False)], 25000)
                )
                self._close_till(session)
                self.assertEqual(self._owed(self.nobody), 0)

    def test_of_an_order_paid_in_part(self):
        for closed in (False, True):
            with self.subTest(closed=closed):
                session = self._open()
                order, number = self._order(session, paid=30000)
                if closed:
                    self._close_till(session)
                    session = self._open()
                rest = order._billpay_living()
                self.assertEqual(rest.amount, 15000)
                for off, out in ((0, 45000), (10000, 35000), (16000, 29000)):
                    payments = [(self.cash, -out, False)]
                    if off:
                        payments.append((self.billpay, -off, False))
                    self._refuse(
                        self._refund_sale(session, order, payments),
                        "still unpaid" if off <= 15000 else "sends no money back",
                    )
                both = [(self.billpay, -15000, False), (self.cash, -30000, False)]
                self._send(self._refund_sale(session, order, both))
                self.assertEqual(rest.state, "closed")
                self._close_till(session)
                self.assertSettled(order, 45000)
                self.assertEqual(self._owed(self.nobody), 0)
                self.assertFalse(number.payment_ids.attention)

    def test_of_a_paid_order(self):
        session = self._open()
        order, _number = self._order(session, paid=45000)
        self._refuse(
            self._refund_sale(session, order, [(self.billpay, -45000, False)]),
            "sends no money back",
        )
        refund = self._send(
            self._refund_sale(session, order, [(self.cash, -45000, False)])
        )
        self._close_till(session)
        self.assertEqual((order.state, refund.state), ("done", "done"))
        self.assertSettled(order, 45000)
        self.assertEqual(self._owed(self.nobody), 0)

    def test_money_that_comes_while_it_is_refunded(self):
        """The customer has paid a moment before: what came is given back."""
        session = self._open()
        order, number = self._order(session)
        self._told(number.name, 45000)
        self._refuse(
            self._refund_sale(session, order, [(self.billpay, -45000, False)]),
            "sends no money back",
        )

    def test_of_an_invoiced_order(self):
        for closed in (False, True):
            for amount in (45000, 20000):
                with self.subTest(closed=closed, amount=amount):
                    session = self._open()
                    order, number = self._order(
                        session, partner_id=self.partner.id, to_invoice=True
                    )
                    if closed:
                        self._close_till(session)
                        session = self._open()
                    move = order.account_move
                    left = 45000 - amount
                    self._refuse(
                        self._refund_sale(
                            session,
                            order,
                            [(self.cash, -amount, False)],
                            amount,
                            to_invoice=True,
                        ),
                        "still unpaid",
                    )
                    refund = self._send(
                        self._refund_sale(
                            session,
                            order,
                            [(self.billpay, -amount, False)],
                            amount,
                            to_invoice=True,
                        )
                    )
                    note = refund.account_move
                    self.assertEqual(note.move_type, "out_refund")
                    self.assertEqual(note.amount_residual, 0)
                    self.assertEqual(move.amount_residual, left)
                    self.assertEqual(self._asked_there(number), left)
                    self._close_till(session)
                    self.assertEqual(self._owed(self.partner), left)
                    if left:
                        row = self._paid_at_till(number.name, left)
                        self.assertFalse(row.attention, row.reason)
                        self.assertEqual(self._owed(self.partner), 0)

    def test_only_one_of_both_is_invoiced(self):
        for invoiced in ("order", "refund"):
            with self.subTest(invoiced):
                session = self._open()
                order, number = self._order(
                    session,
                    partner_id=self.partner.id,
                    to_invoice=invoiced == "order",
                )
                self._send(
                    self._refund_sale(
                        session,
                        order,
                        [(self.billpay, -45000, False)],
                        to_invoice=invoiced == "refund",
                    )
                )
                self._close_till(session)
                self.assertEqual(self._owed(self.partner), 0)
                self.assertEqual(self._asked_there(number), 0)

    def test_without_an_order(self):
        """Nobody takes off what nobody owes."""
        session = self._open()
        sale = self._sale(
            session, [(self.billpay, -45000, False)], amount=-45000, amount_return=0
        )
        self._refuse(sale, "sends no money back")

    def test_in_the_back_office(self):
        session = self._open()
        order, number = self._order(session)
        refund = order._refund()
        for method, refused in ((self.cash, True), (self.billpay, False)):
            wizard = self.env["pos.make.payment"].with_context(active_id=refund.id)
            wizard = wizard.create(
                {
                    "config_id": self.till.id,
                    "amount": -45000,
                    "payment_method_id": method.id,
                }
            )
            if refused:
                with (
                    self.assertRaisesRegex(ValidationError, "still unpaid"),
                    self.env.cr.savepoint(),
                ):
                    wizard.check()
                refund.invalidate_recordset()
            else:
                wizard.check()
        self.assertEqual((refund.state, number.state), ("paid", "closed"))
        self._close_till(session)
        self.assertSettled(order, 45000)
