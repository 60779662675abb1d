# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The money of till orders in the books: whichever comes first."""

from uuid import uuid4

from odoo import Command
from odoo.tests import new_test_user, tagged

from odoo.addons.billpay_odoo.const import LIVING
from odoo.addons.billpay_odoo.tests.common import BillPayCommon

from .common import TillSteps


@tagged("post_install", "-at_install")
class TestTillEntries(TillSteps, BillPayCommon):
    def test_paid_at_the_till_and_closed(self):
        session = self._open()
        uuid = str(uuid4())
        stand = self._ask(uuid)
        row = self._paid_at_till(stand["number"], 45000)
        self.assertBooked(row, 45000)
        self.assertFalse(row.attention)
        order = self._send(
            self._sale(session, [(self.billpay, 45000, stand["number"])], uuid=uuid)
        )
        self.assertEqual((order.state, order.billpay_state), ("paid", "paid"))
        self._close_till(session)
        self.assertSettled(order, 45000)
        self.assertEqual(order.state, "done")
        # One entry of the session: the sale, and the customer's account.
        items = session.move_id.line_ids
        self.assertEqual(sum(items.mapped("debit")), 45000)
        self.assertEqual(
            items.filtered("debit").account_id.account_type, "asset_receivable"
        )
        self.assertEqual(items.filtered("credit").account_id.internal_group, "income")
        self.assertFalse(row.attention)
        self.assertFalse(
            self.env["account.payment"].search(
                [
                    ("pos_session_id", "=", session.id),
                    ("billpay_payment_id", "=", False),
                ]
            )
        )

    def test_paid_later_after_the_session_is_closed(self):
        session = self._open()
        [item] = self._lease()[:1]
        sale = self._sale(
            session,
            [(self.billpay, 45000, item["number"])],
            billpay_number=item["number"],
        )
        order = self._send(sale)
        number = self._number(item)
        self.assertEqual(number.pos_order_id, order)
        self.assertEqual((number.amount, order.billpay_state), (45000, "waiting"))
        self._close_till(session)
        line = order.payment_ids._billpay_lines()
        self.assertEqual(line.amount_residual, 45000)
        row = self._paid_at_till(item["number"], 45000)
        self.assertBooked(row, 45000)
        self.assertSettled(order, 45000)
        self.assertEqual(order.billpay_state, "paid")
        self.assertEqual(number.state, "paid")
        self.assertFalse(row.attention)

    def test_money_before_its_order(self):
        """The till has no network; the customer's telephone has."""
        session = self._open()
        [item] = self._lease()[:1]
        row = self._paid_at_till(item["number"], 45000)
        self.assertBooked(row, 45000)
        self.assertFalse(row.attention)
        order = self._send(self._sale(session, [(self.billpay, 45000, item["number"])]))
        self.assertEqual(order.billpay_state, "paid")
        self._close_till(session)
        self.assertSettled(order, 45000)
        # The digits are used up: the device gets them no more.
        self.assertNotIn(item, self._lease())

    def test_a_part_after_the_session_asks_for_the_rest(self):
        session = self._open()
        [item] = self._lease()[:1]
        order = self._send(self._sale(session, [(self.billpay, 45000, item["number"])]))
        self._close_till(session)
        first = self._paid_at_till(item["number"], 30000)
        self.assertBooked(first, 30000)
        self.assertEqual(order.billpay_state, "part")
        self.assertEqual(order.billpay_due, 15000)
        self.assertTrue(first.attention)
        self.assertIn("15,000", first.reason)
        self._sync()
        numbers = self.env["billpay.control.number"]._till_numbers(
            self.till, order.uuid
        )
        rest = numbers[-1]
        self.assertEqual((rest.amount, rest.state), (15000, "open"))
        second = self._paid_at_till(rest.name, 15000)
        self.assertBooked(second, 15000)
        self.assertSettled(order, 45000)
        self.assertEqual(order.billpay_state, "paid")

    def test_a_part_before_the_session_is_closed(self):
        session = self._open()
        [item] = self._lease()[:1]
        order = self._send(self._sale(session, [(self.billpay, 45000, item["number"])]))
        self._paid_at_till(item["number"], 30000)
        self._close_till(session)
        line = order.payment_ids._billpay_lines()
        self.assertEqual((line.balance, line.amount_residual), (45000, 15000))

    def test_part_by_billpay_and_part_in_cash(self):
        session = self._open()
        uuid = str(uuid4())
        self.provider.clickpesa_checkout_mode = "flexible"
        stand = self._ask(uuid)
        row = self._paid_at_till(stand["number"], 30000)
        [stand] = self.till.billpay_status([uuid])
        self.assertEqual((stand["state"], stand["received"]), ("part", 30000))
        order = self._send(
            self._sale(
                session,
                [(self.billpay, 30000, stand["number"]), (self.cash, 15000, False)],
                uuid=uuid,
            )
        )
        self._close_till(session)
        self.assertSettled(order, 30000)
        self.assertBooked(row, 30000)
        self.assertEqual(order.billpay_state, "paid")

    def test_too_much_is_credit_and_told(self):
        session = self._open()
        [item] = self._lease()[:1]
        order = self._send(self._sale(session, [(self.billpay, 45000, item["number"])]))
        row = self._paid_at_till(item["number"], 50000)
        self.assertTrue(row.attention)
        self.assertIn("5,000", row.reason)
        self.assertEqual(order.billpay_state, "over")
        self._close_till(session)
        self.assertSettled(order, 45000)
        [credit] = row.account_payment_ids.move_id.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        self.assertEqual(credit.amount_residual, -5000)

    def test_change_for_too_much(self):
        """The manager lets cashiers give change: all of it pays the order."""
        self.till.billpay_change = True
        session = self._open()
        uuid = str(uuid4())
        self.provider.clickpesa_checkout_mode = "flexible"
        stand = self._ask(uuid)
        row = self._paid_at_till(stand["number"], 50000)
        [stand] = self.till.billpay_status([uuid])
        self.assertEqual(stand["state"], "over")
        order = self._send(
            self._sale(session, [(self.billpay, 50000, stand["number"])], uuid=uuid)
        )
        self.assertEqual(sorted(order.payment_ids.mapped("amount")), [-5000, 50000])
        self._close_till(session)
        self.assertSettled(order, 50000)
        self.assertFalse(row.attention)

    def test_cash_that_the_accountant_takes_is_not_asked_for(self):
        for fate in ("kept", "emptied", "off"):
            with self.subTest(fate=fate):
                self.provider.state = "test"
                self.company.billpay_provider_id = self.provider
                session = self._open()
                uuid = str(uuid4())
                stand = self._ask(uuid)
                number = self._number(stand).sudo()
                order = self._send(
                    self._sale(
                        session, [(self.billpay, 45000, stand["number"])], uuid=uuid
                    )
                )
                self._close_till(session)
                line = order.payment_ids._billpay_lines()
                if fate == "emptied":
                    self.company.billpay_provider_id = False
                if fate == "off":
                    self.provider.state = "disabled"
                cash = self.env["account.payment"].create(
                    {
                        "payment_type": "inbound",
                        "partner_id": line.partner_id.id,
                        "amount": 20000,
                        "currency_id": self.tzs.id,
                        "journal_id": self.company_data["default_journal_cash"].id,
                    }
                )
                cash.action_post()
                items = cash.move_id.line_ids.filtered(
                    lambda item, line=line: item.account_id == line.account_id
                )
                (line + items).reconcile()
                self.assertEqual(line.amount_residual, 25000)
                self.provider.state = "test"
                self._sync()
                there = self.sandbox.number(number.name)
                self.assertEqual((there["amount"], there["state"]), (25000, "ACTIVE"))
                self.assertEqual(order.billpay_due, 25000)
                items.remove_move_reconcile()
                self._sync()
                there = self.sandbox.number(number.name)
                self.assertEqual((there["amount"], there["state"]), (45000, "ACTIVE"))
                (line + items).reconcile()
                self._sync()
                row = self._paid_at_till(number.name, 25000)
                self.assertBooked(row, 25000)
                self.assertSettled(order, 45000)
                self.assertFalse(row.attention)
                living = order._billpay_numbers()._living()
                self.assertFalse(living)

    def test_an_invoice_made_later_keeps_the_number_of_the_receipt(self):
        """One debt, one number: of the receipt first, of the invoice then."""
        for purpose in (False, True):
            with self.subTest(purpose=purpose):
                session = self._open()
                uuid = str(uuid4())
                stand = self._ask(uuid)
                number = self._number(stand).sudo()
                partner = self.partner.copy({"name": "Neema"})
                order = self._send(
                    self._sale(
                        session,
                        [(self.billpay, 45000, stand["number"])],
                        uuid=uuid,
                        partner_id=partner.id,
                    )
                )
                self._close_till(session)
                if purpose:
                    carrying = self.env["billpay.purpose"].create(
                        {
                            "name": "Shop",
                            "company_id": self.company.id,
                            "invoice_number": "customer",
                            "journal_ids": [
                                Command.set(self.till.invoice_journal_id.ids)
                            ],
                        }
                    )
                order.action_pos_order_invoice()
                move = order.account_move
                if purpose:
                    self.assertEqual(move.billpay_purpose_id, carrying)
                self.assertEqual(move.billpay_number_id, number)
                self.assertFalse(move.billpay_carried_number_id)
                self._sync()
                ours = move.sudo().billpay_number_ids | order._billpay_numbers()
                active = [
                    (there["number"], there["amount"])
                    for there in self.sandbox.numbers()
                    if there["state"] == "ACTIVE"
                    and there["number"] in ours.mapped("name")
                ]
                self.assertEqual(active, [(number.name, move.amount_residual)])
                row = self._paid_at_till(number.name, 45000)
                self.assertEqual((move.amount_residual, row.attention), (0, False))

    def test_paid_twice_is_credit_and_told(self):
        session = self._open()
        [item] = self._lease()[:1]
        order = self._send(self._sale(session, [(self.billpay, 45000, item["number"])]))
        first = self._paid_at_till(item["number"], 45000)
        self.assertFalse(first.attention)
        twice = self._told(item["number"], 45000)
        self.assertBooked(twice, 45000)
        self.assertTrue(twice.attention)
        self.assertIn("45,000", twice.reason)
        self._close_till(session)
        self.assertSettled(order, 45000)

    def test_paid_in_cash_after_all(self):
        session = self._open()
        uuid = str(uuid4())
        stand = self._ask(uuid)
        payment = self._pay(stand["number"], 45000)
        self._send(self._sale(session, [(self.cash, 45000, False)], uuid=uuid))
        self.assertEqual(self._number(stand).state, "closed")
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 45000)
        self.assertTrue(row.attention)
        self.assertIn("another way", row.reason)

    def test_an_invoice_is_paid_with_the_number_of_the_receipt(self):
        session = self._open()
        [item] = self._lease()[:1]
        order = self._send(
            self._sale(
                session,
                [(self.billpay, 45000, item["number"])],
                partner_id=self.partner.id,
                to_invoice=True,
            )
        )
        move = order.account_move
        self.assertEqual((move.state, move.amount_residual), ("posted", 45000))
        self.assertEqual(move.billpay_number_ids, self._number(item))
        self._close_till(session)
        self.assertEqual(move.amount_residual, 45000)
        row = self._paid_at_till(item["number"], 45000)
        self.assertBooked(row, 45000)
        self.assertEqual((move.amount_residual, move.payment_state), (0, "paid"))

    def test_a_part_of_an_invoice_with_the_number_of_the_receipt(self):
        session = self._open()
        self.provider.clickpesa_checkout_mode = "flexible"
        [item] = self._lease()[:1]
        order = self._send(
            self._sale(
                session,
                [(self.billpay, 45000, item["number"])],
                partner_id=self.partner.id,
                to_invoice=True,
            )
        )
        move = order.account_move
        row = self._paid_at_till(item["number"], 20000)
        self.assertBooked(row, 20000)
        # The invoice alone asks for the rest, once.
        asking = self.env["billpay.control.number"].search(
            [("partner_id", "=", self.partner.id), ("state", "in", LIVING)]
        )
        self.assertEqual(asking, move.billpay_number_id)
        self.assertEqual((asking.amount, move.amount_residual), (25000, 25000))

    def test_an_order_without_a_number_has_no_address(self):
        session = self._open()
        order = self._send(self._sale(session, [(self.cash, 45000, False)]))
        self.assertIs(order.billpay_url, False)

    def test_an_invoice_of_what_is_paid_already(self):
        session = self._open()
        uuid = str(uuid4())
        stand = self._ask(uuid, partner_id=self.partner.id)
        row = self._paid_at_till(stand["number"], 45000)
        order = self._send(
            self._sale(
                session,
                [(self.billpay, 45000, stand["number"])],
                uuid=uuid,
                partner_id=self.partner.id,
                to_invoice=True,
            )
        )
        move = order.account_move
        self.assertBooked(row, 45000)
        self.assertEqual((move.amount_residual, move.payment_state), (0, "paid"))
        self._close_till(session)
        self.assertEqual(move.amount_residual, 0)

    def _closed_order(self, paid):
        session = self._open()
        [item] = self._lease()[:1]
        order = self._send(
            self._sale(
                session,
                [(self.billpay, 45000, item["number"])],
                partner_id=self.partner.id,
            )
        )
        if paid:
            self._paid_at_till(item["number"], 45000)
        self._close_till(session)
        return order, self._number(item)

    def test_invoice_after_the_session_of_what_is_paid(self):
        order, number = self._closed_order(paid=True)
        self.assertSettled(order, 45000)
        order.action_pos_order_invoice()
        move = order.account_move
        self.assertEqual((move.amount_residual, move.payment_state), (0, "paid"))
        self.assertEqual(self._owed(self.partner), 0)
        self.assertEqual(number.state, "paid")
        self.assertNotIn("open", move.billpay_number_ids.mapped("state"))

    def test_invoice_after_the_session_of_what_is_not_paid(self):
        order, number = self._closed_order(paid=False)
        self.assertEqual(self._owed(self.partner), 45000)
        order.action_pos_order_invoice()
        move = order.account_move
        # It is owed once, on the invoice, with the number that the customer has.
        self.assertEqual(
            (move.amount_residual, self._owed(self.partner)), (45000, 45000)
        )
        self.assertEqual(move.billpay_number_ids, number)
        row = self._paid_at_till(number.name, 45000)
        self.assertBooked(row, 45000)
        self.assertEqual((move.amount_residual, self._owed(self.partner)), (0, 0))

    def test_accountants_without_a_till_post_invoices(self):
        accountant = new_test_user(
            self.env,
            "only_accountant",
            "account.group_account_invoice",
            company_id=self.company.id,
            company_ids=self.company.ids,
        )
        move = self._invoice(5000, post=False)
        move.with_user(accountant).action_post()
        self.assertEqual(move.state, "posted")
        self.assertTrue(move.billpay_number_id)

    def test_money_that_no_order_took_is_told(self):
        session = self._open()
        self._send(self._sale(session, [(self.cash, 45000, False)]))
        [item] = self._lease()[:1]
        row = self._paid_at_till(item["number"], 20000)
        self.assertFalse(row.attention)
        self._close_till(session)
        self.assertTrue(row.attention)
        self.assertIn("no order of the session", row.reason)

    def test_till_money_pays_nobody_elses_invoice(self):
        self.company.billpay_apply_credit = True
        [item] = self._lease()[:1]
        self._paid_at_till(item["number"], 45000)
        move = self._invoice(45000, partner=self.till._billpay_customer())
        self.assertEqual(move.amount_residual, 45000)

    def test_number_of_a_customer_pays_nothing_of_a_till(self):
        """What a session leaves to be paid has a number of its own."""
        self.provider.sudo().clickpesa_number_origin = "offline"
        for policy in ("oldest", "exact_oldest"):
            for first in ("tuition", "till"):
                with self.subTest(policy=policy, first=first):
                    self._till_beside_tuition(policy, first)

    def _till_beside_tuition(self, policy, first):
        session = self._open()
        [item] = self._lease()[:1]
        pupil = self.env["res.partner"].create(
            {"name": "Pupil", "phone": "255712000001"}
        )
        order = self._send(
            self._sale(
                session,
                [(self.billpay, 45000, item["number"])],
                billpay_number=item["number"],
                partner_id=pupil.id,
            )
        )
        self._close_till(session)
        line = order.payment_ids._billpay_lines()
        self.assertEqual(line.partner_id, pupil)
        purpose = self.env["billpay.purpose"].create(
            {
                "name": f"Tuition {policy} {first}",
                "company_id": self.company.id,
                "allocation_policy": policy,
            }
        )
        standing = purpose._reserve(pupil).sudo()
        self._sync()
        self.assertEqual(standing.state, "open")
        self.assertEqual(standing.amount_due, 0)
        fees = self._invoice(45000, partner=pupil, billpay_purpose_id=purpose.id)
        standing.invalidate_recordset()
        self.assertEqual(standing.amount_due, 45000)
        numbers = [standing.name, item["number"]]
        residuals = [(0, 45000), (45000, 0)]
        if first == "till":
            numbers.reverse()
            residuals.reverse()
        rows = self._paid_at_till(numbers[0], 45000)
        self.assertBooked(rows, 45000)
        self.assertEqual((fees.amount_residual, line.amount_residual), residuals[0])
        rows |= self._paid_at_till(numbers[1], 45000)
        self.assertEqual((fees.amount_residual, line.amount_residual), (0, 0))
        self.assertEqual(fees.payment_state, "paid")
        self.assertSettled(order, 45000)
        self.assertEqual(order.billpay_state, "paid")
        for row in rows:
            self.assertBooked(row, 45000)
            self.assertFalse(row.attention, row.reason)
            self.assertEqual(row.credit_open, 0)
        # With nothing of its own to pay, the money is the pupil's credit.
        more = self._told(standing.name, 5000, "LCP" + standing.name)
        self.assertBooked(more, 5000)
        self.assertEqual(more.credit_open, 5000)

    def test_digits_of_another_order_are_not_taken(self):
        session = self._open()
        first, second = self._lease()[:2]
        one = self._send(self._sale(session, [(self.billpay, 45000, first["number"])]))
        two = self._send(self._sale(session, [(self.billpay, 45000, first["number"])]))
        number = self._number(first)
        self.assertEqual(number.pos_order_id, one)
        self.assertFalse(two.payment_ids.billpay_number_id)
        self._paid_at_till(first["number"], 45000)
        self.assertEqual((one.billpay_state, two.billpay_state), ("paid", "waiting"))
        self.assertEqual(self._number(second).pos_order_uuid, False)

    def test_an_order_that_is_sent_twice_is_bound_once(self):
        session = self._open()
        [item] = self._lease()[:1]
        sale = self._sale(session, [(self.billpay, 45000, item["number"])])
        order = self._send(sale)
        self.assertEqual(self._send(sale), order)
        self.assertEqual(order.payment_ids.billpay_number_id.name, item["number"])
        self.assertEqual(len(order.payment_ids), 1)
