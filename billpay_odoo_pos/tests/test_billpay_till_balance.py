# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Received against wanted: whichever comes first, it reaches *To Do*, and ends."""

from uuid import uuid4

from odoo import Command
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon

from .common import TillSteps


@tagged("post_install", "-at_install")
class TestBalance(TillSteps, BillPayCommon):
    def setUp(self):
        super().setUp()
        self.provider.clickpesa_checkout_mode = "flexible"
        self.nobody = self.till._billpay_customer()

    def _todo(self):
        payments = self.env["billpay.payment"]
        return payments.search(payments._todo_domain())

    def assertTold(self, row, *texts):
        self.assertIn(row, self._todo(), row.reason)
        for text in texts:
            self.assertIn(text, row.reason)

    def assertQuiet(self, row):
        self.assertNotIn(row, self._todo(), row.reason)

    def _paid(self, amount, asked=45000, **values):
        uuid = str(uuid4())
        stand = self._ask(uuid, asked, **values)
        return uuid, stand["number"], self._paid_at_till(stand["number"], amount)

    def _finish(self, session, uuid, digits, line=45000, **values):
        return self._send(
            self._sale(session, [(self.billpay, line, digits)], uuid=uuid, **values)
        )

    # === Too much === #

    def test_too_much_before_the_order(self):
        for invoiced in (False, True):
            with self.subTest(invoiced=invoiced):
                session = self._open()
                partner = self.partner.copy({"name": "Neema"})
                uuid, digits, row = self._paid(50000, partner_id=partner.id)
                self.assertQuiet(row)
                order = self._finish(
                    session, uuid, digits, partner_id=partner.id, to_invoice=invoiced
                )
                self.assertTold(row, order.pos_reference, "5,000")
                self.assertEqual(row.reason.count("5,000"), 1)
                bodies = "".join(map(str, order.message_ids.mapped("body")))
                self.assertEqual(bodies.count("5,000"), 1)
                self._close_till(session)
                self.assertTold(row, order.pos_reference, "5,000")
                self.assertEqual(self._owed(partner), -5000)

    def test_too_much_after_the_order(self):
        for closed in (False, True):
            for invoiced in (False, True):
                with self.subTest(closed=closed, invoiced=invoiced):
                    session = self._open()
                    uuid = str(uuid4())
                    digits = self._ask(uuid)["number"]
                    order = self._finish(
                        session,
                        uuid,
                        digits,
                        partner_id=self.partner.copy().id,
                        to_invoice=invoiced,
                    )
                    if closed:
                        self._close_till(session)
                    row = self._paid_at_till(digits, 50000)
                    self.assertTold(row, "5,000")
                    self.assertEqual(row.reason.count("5,000"), 1)
                    if not invoiced:
                        self.assertIn(order.pos_reference, row.reason)
                    if not closed:
                        self._close_till(session)

    def test_two_payments_are_too_much_together(self):
        session = self._open()
        uuid, first, one = self._paid(45000)
        two = self._told(first, 45000, "TWICE")
        self.assertQuiet(one)
        self.assertQuiet(two)
        order = self._finish(session, uuid, first)
        self.assertQuiet(one)
        self.assertTold(two, order.pos_reference, "45,000")

    def test_it_ends_when_it_is_paid_back_or_used(self):
        for end in ("paid back", "used"):
            with self.subTest(end):
                session = self._open()
                partner = self.partner.copy({"name": "Neema"})
                uuid, digits, row = self._paid(50000, partner_id=partner.id)
                order = self._finish(session, uuid, digits, partner_id=partner.id)
                self._close_till(session)
                self.assertTold(row, order.pos_reference)
                if end == "used":
                    self._invoice(5000, partner=partner)
                    move = self.env["account.move"].search(
                        [("partner_id", "=", partner.id), ("amount_residual", ">", 0)]
                    )
                    self.env["billpay.decision"]._use_credit(row, move)
                else:
                    back = self.env["account.payment"].create(
                        {
                            "payment_type": "outbound",
                            "partner_type": "customer",
                            "partner_id": partner.id,
                            "amount": 5000,
                            "currency_id": self.tzs.id,
                            "journal_id": self.company_data["default_journal_cash"].id,
                        }
                    )
                    back.action_post()
                    account = self._receivable(partner)
                    items = back.move_id.line_ids.filtered_domain(
                        [("account_id", "=", account.id)]
                    )
                    (items + row._open_credit_lines()).reconcile()
                self.assertEqual(row.credit_open, 0)
                self.assertQuiet(row)
                self.assertFalse(row.reason)

    def test_what_was_seen_is_not_told_again(self):
        session = self._open()
        uuid, digits, row = self._paid(50000)
        order = self._finish(session, uuid, digits)
        row.action_mark_seen()
        self._send({**self._sale(session, []), "uuid": uuid})
        self._close_till(session)
        self.assertQuiet(row)
        order.partner_id = self.partner
        order.action_pos_order_invoice()
        self.assertQuiet(row)

    def test_exactly_paid_is_quiet(self):
        session = self._open()
        uuid, digits, row = self._paid(45000)
        self._finish(session, uuid, digits)
        self._close_till(session)
        self.assertQuiet(row)

    # === Too little === #

    def test_too_little_before_the_order(self):
        self.till.billpay_later = "always"
        session = self._open()
        uuid, digits, row = self._paid(20000)
        self.assertQuiet(row)
        order = self._finish(session, uuid, digits)
        rest = order._billpay_living()
        self.assertEqual(rest.amount, 25000)
        self.assertTold(row, order.pos_reference, "25,000", rest.display_number)
        self._close_till(session)
        self.assertEqual(order._billpay_living(), rest)
        self._sync()
        second = self._paid_at_till(rest.name, 25000)
        self.assertQuiet(row)
        self.assertQuiet(second)
        self.assertSettled(order, 45000)

    # === Another way, cancelled, deleted, refunded === #

    def test_paid_in_another_way(self):
        for first in ("money", "order"):
            with self.subTest(first):
                session, uuid = self._open(), str(uuid4())
                digits = self._ask(uuid)["number"]
                payment = self._pay(digits, 45000)
                sale = self._sale(session, [(self.cash, 45000, False)], uuid=uuid)
                if first == "order":
                    order = self._send(sale)
                self._event(payment)
                self._process()
                if first == "money":
                    self.assertQuiet(self._ledger(payment))
                    order = self._send(sale)
                self.assertTold(
                    self._ledger(payment), order.pos_reference, "another way"
                )

    def test_exchanged_for_cash_in_the_back_office(self):
        session, uuid = self._open(), str(uuid4())
        digits = self._ask(uuid)["number"]
        payment = self._pay(digits, 45000)
        order = self._finish(session, uuid, digits)
        line = order.payment_ids
        line.payment_method_id = self.cash
        self.assertEqual(self._number({"number": digits}).state, "closed")
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertTold(row, order.pos_reference, "another way")
        line.payment_method_id = self.billpay
        self.assertQuiet(row)

    def _draft(self, session, uuid, digits):
        return self._send(
            self._sale(
                session,
                [(self.billpay, 45000, digits)],
                uuid=uuid,
                state="draft",
                billpay_number=digits,
            )
        )

    def test_cancelled(self):
        for first in ("money", "order"):
            for how in ("cancel", "delete", "till", "never sent"):
                with self.subTest(first=first, how=how):
                    session, uuid = self._open(), str(uuid4())
                    digits = self._ask(uuid)["number"]
                    payment = self._pay(digits, 45000)
                    order = self.env["pos.order"]
                    if how != "never sent":
                        order = self._draft(session, uuid, digits)
                    name = order.pos_reference or "cancelled"
                    if first == "money":
                        self._event(payment)
                        self._process()
                        self.assertQuiet(self._ledger(payment))
                    if how == "cancel":
                        order.action_pos_order_cancel()
                        self.assertEqual(order.state, "cancel")
                    elif how == "delete":
                        order.remove_from_ui(order.ids)
                        # With self-order they are only cancelled at first.
                        order.exists().sudo().unlink()
                        self.assertFalse(order.exists())
                    elif how == "till":
                        self.till.billpay_cancel(uuid)
                        order.payment_ids.unlink()
                    else:
                        self.till.billpay_cancel(uuid)
                    if first == "order":
                        self.assertEqual(
                            self._number({"number": digits}).state, "closed"
                        )
                        self._event(payment)
                        self._process()
                    row = self._ledger(payment)
                    self.assertBooked(row, 45000)
                    self.assertTold(row, "cancelled")
                    if how == "cancel":
                        self.assertTold(row, name, "45,000")
                    if order.exists() and how == "till":
                        order.unlink()

    def test_cancelled_too_early_and_paid_after_all(self):
        """The cashier cancels while the money comes, and then takes it."""
        session = self._open()
        uuid, digits, row = self._paid(45000)
        self.till.billpay_cancel(uuid)
        self.assertTold(row, "cancelled")
        self._finish(session, uuid, digits)
        self.assertQuiet(row)

    def test_refunded_before_it_was_paid(self):
        session, uuid = self._open(), str(uuid4())
        digits = self._ask(uuid)["number"]
        payment = self._pay(digits, 45000)
        order = self._finish(session, uuid, digits)
        self._send(self._refund_sale(session, order, [(self.billpay, -45000, False)]))
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertTold(row, order.pos_reference, "refunded", "45,000")
        self._close_till(session)
        self.assertTold(row, order.pos_reference, "refunded", "45,000")
        self.assertEqual(self._owed(self.nobody), -45000)

    def test_refunded_in_part_before_it_was_paid(self):
        session, uuid = self._open(), str(uuid4())
        digits = self._ask(uuid)["number"]
        payment = self._pay(digits, 45000)
        order = self._finish(session, uuid, digits)
        off = [(self.billpay, -20000, False)]
        self._send(self._refund_sale(session, order, off, 20000))
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertTold(row, order.pos_reference, "20,000")
        self._close_till(session)
        self.assertTold(row, "20,000")
        self.assertEqual(self._owed(self.nobody), -20000)

    # === No order === #

    def test_money_that_no_order_took_until_one_comes(self):
        session = self._open()
        self._send(self._sale(session, [(self.cash, 45000, False)]))
        [item] = self._lease()[:1]
        row = self._paid_at_till(item["number"], 45000)
        self.assertQuiet(row)
        self._close_till(session)
        self.assertTold(row, session.name)
        session = self._open()
        order = self._finish(session, str(uuid4()), item["number"])
        self.assertEqual(order.billpay_state, "paid")
        self.assertQuiet(row)
        self._close_till(session)
        self.assertSettled(order, 45000)

    # === Changed === #

    def test_an_order_that_was_split_or_became_smaller(self):
        """The bill of a table is paid; then guests pay a part of it on their own."""
        session = self._open()
        uuid = str(uuid4())
        digits = self._ask(uuid)["number"]
        row = self._paid_at_till(digits, 45000)
        self._draft(session, uuid, digits)
        self.assertQuiet(row)
        sale = self._sale(
            session, [(self.billpay, 30000, digits)], amount=30000, uuid=uuid
        )
        draft = self.env["pos.order"].search([("uuid", "=", uuid)])
        sale["payment_ids"] = [
            Command.delete(draft.payment_ids.id),
            *sale["payment_ids"],
        ]
        sale["lines"] = [Command.delete(draft.lines.id), *sale["lines"]]
        sale["access_token"] = draft.access_token
        order = self._send(sale)
        self.assertEqual((order, order.state), (draft, "paid"))
        self.assertTold(row, order.pos_reference, "15,000")
        self._close_till(session)
        self.assertSettled(order, 30000)
        self.assertEqual(row.credit_open, 15000)

    def test_money_that_clickpesa_takes_back(self):
        session = self._open()
        uuid, digits, one = self._paid(45000)
        two = self._told(digits, 45000, "TWICE")
        order = self._finish(session, uuid, digits)
        self.assertTold(two, order.pos_reference)
        one.sudo()._flag("Back", due=self.env.cr.now(), status="REVERSED")
        self._process()
        self.assertEqual(one.state, "reversed")
        # The other one pays the order now.
        self.assertQuiet(two)
