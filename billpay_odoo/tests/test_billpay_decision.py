# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The money desk: matching by hand, taking a match apart, putting aside, telling."""

from ast import literal_eval
from unittest.mock import patch

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..clickpesa import Payment
from .common import BillPayCommon


class DeskCommon(BillPayCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Offline numbers can be mistyped: ClickPesa does not know them.
        cls.provider.clickpesa_number_origin = "offline"
        cls.clerk = cls._user("desk_clerk", "account.group_account_invoice")
        cls.auditor = cls._user("desk_auditor", "account.group_account_readonly")
        cls.asha = cls.env["res.partner"].create({"name": "Asha Mwinyi"})

    def _paid(self, number, amount, **kw):
        """A payment that the worker has seen."""
        payment = self._pay(number, amount, **kw)
        self._event(payment)
        self._process()
        return self._ledger(payment).with_user(self.clerk)

    def _wizard(self, row):
        action = row.action_open_match()
        return (
            self.env["billpay.payment.match"]
            .with_user(self.clerk)
            .browse(action["res_id"])
        )

    def _choose(self, row, *moves, credit_of=None):
        """Match like a person: tick lines, press the button."""
        wizard = self._wizard(row)
        with Form(wizard) as form:
            for move in moves:
                at = [line.move_id for line in wizard.line_ids].index(move)
                with form.line_ids.edit(at) as line:
                    line.use = True
            if credit_of:
                form.partner_id = credit_of
        wizard.action_match()
        return wizard

    def _receivable(self, row):
        return row.sudo().account_payment_ids.move_id.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )

    def _swapped(self, number):
        """The same digits, the first two differing neighbours swapped."""
        digits = list(number)
        for i in range(len(digits) - 1, 4, -1):
            if digits[i] != digits[i - 1]:
                digits[i], digits[i - 1] = digits[i - 1], digits[i]
                return "".join(digits)
        raise AssertionError(number)


@tagged("post_install", "-at_install")
class TestDeskMatch(DeskCommon):
    # === Suggestions === #

    def test_swapped_digits_come_first_and_are_not_booked_by_themselves(self):
        move = self._invoice(150000)
        self._invoice(150000, partner=self.asha)
        row = self._paid(self._swapped(move.billpay_number_id.name), 150000)
        self.assertEqual(row.state, "unmatched")
        first, second = self.env["billpay.suggestion"]._suggest(row)
        self.assertEqual(first.move, move)
        self.assertEqual(
            first.reasons,
            [
                "Two digits swapped: "
                + move.billpay_number_id.display_number.replace(" ", "\u00a0"),
                "Exactly this amount is due",
            ],
        )
        self.assertEqual(second.reasons, ["Exactly this amount is due"])
        self.assertFalse(row.account_payment_ids)

    def test_one_wrong_missing_or_extra_digit_is_found(self):
        number = self._invoice(150000).billpay_number_id
        name = number.name
        other = str((int(name[-1]) + 1) % 10)
        for typed, text in (
            (name[:-1] + other, "One digit differs"),
            (name[:-1], "One digit left out"),
            (name + "0", "One digit too many"),
        ):
            with self.subTest(text):
                row = self._paid(typed, 999)
                [suggestion] = self.env["billpay.suggestion"]._suggest(row)
                self.assertEqual(suggestion.move, number.move_id)
                self.assertIn(text, suggestion.reasons[0])

    def test_zeros_in_front_that_a_sheet_has_dropped_are_found(self):
        number = self._invoice(150000).billpay_number_id
        number.sudo().name = "00" + number.name[2:]
        row = self._paid("1122000000", 999)
        row.sudo().number = number.name[2:]
        [suggestion] = self.env["billpay.suggestion"]._suggest(row)
        self.assertEqual(suggestion.move, number.move_id)
        self.assertIn("Leading zeros differ", suggestion.reasons[0])
        self.assertFalse(row.account_payment_ids)

    def test_phone_of_a_typed_receipt_is_known_in_every_spelling(self):
        first = self._invoice(10000)
        self._paid(first.billpay_number_id.name, 10000, phone="255700000001")
        self._invoice(20000)
        row = self._paid("1122000000", 999)
        for phone in ("0700 000 001", "+255 (0) 700-000-001", "0700000001/0755111222"):
            with self.subTest(phone):
                row.sudo().payer_phone = phone
                [suggestion] = self.env["billpay.suggestion"]._suggest(row)
                self.assertEqual(
                    suggestion.reasons, ["This phone paid for Juma Hamisi before"]
                )

    def test_phone_of_a_contact_and_likeness_of_its_name(self):
        self.asha.phone = "0712 345 678"
        move = self._invoice(70000, partner=self.asha)
        self._invoice(70000)
        row = self._paid(
            "1122000000", 70000, name="MWINYI ASHA S", phone="255712345678"
        )
        first, second = self.env["billpay.suggestion"]._suggest(row)
        self.assertEqual(first.move, move)
        self.assertEqual(
            first.reasons,
            [
                "Phone of Asha Mwinyi",
                "Exactly this amount is due",
                "Payer's name: MWINYI ASHA S",
            ],
        )
        self.assertNotIn("Phone of", "".join(second.reasons))

    def test_names_with_apostrophes_are_looked_up(self):
        self.asha.name = "Juma Ng'ombe"
        for name in ("JUMA NG'OMBE", "NG’OMBE JUMA", "Jumá Ng`ombe"):
            with self.subTest(name):
                row = self._paid("1122000000", 999, name=name, phone="255755000009")
                [suggestion] = self.env["billpay.suggestion"]._suggest(row)
                self.assertEqual(suggestion.partner, self.asha)
                self.sandbox.reset()

    def test_phone_that_paid_for_a_customer_before(self):
        first = self._invoice(10000)
        self._paid(first.billpay_number_id.name, 10000, phone="255700000001")
        move = self._invoice(20000)
        row = self._paid("1122000000", 999, phone="255700000001")
        [suggestion] = self.env["billpay.suggestion"]._suggest(row)
        self.assertEqual(suggestion.move, move)
        self.assertEqual(suggestion.reasons, ["This phone paid for Juma Hamisi before"])

    def test_customer_without_open_bill_is_offered_for_credit(self):
        self.asha.phone = "+255712345678"
        row = self._paid("1122000000", 5000, phone="255712345678")
        [suggestion] = self.env["billpay.suggestion"]._suggest(row)
        self.assertEqual(suggestion.partner, self.asha)
        self.assertFalse(suggestion.move)

    def test_nothing_of_another_company_is_suggested(self):
        other = self.setup_other_company(name="Nyingine", currency_id=self.tzs.id)
        foreign = (
            self.env["account.move"]
            .with_company(other["company"])
            .create(
                {
                    "move_type": "out_invoice",
                    "partner_id": self.partner.id,
                    "company_id": other["company"].id,
                    "currency_id": self.tzs.id,
                    "invoice_line_ids": [
                        Command.create(
                            {
                                "name": "x",
                                "price_unit": 4321,
                                "tax_ids": [Command.clear()],
                            }
                        )
                    ],
                }
            )
        )
        foreign.action_post()
        row = self._paid("1122000000", 4321)
        self.assertFalse(self.env["billpay.suggestion"]._suggest(row.sudo()))
        with self.assertRaises(AccessError), mute_logger("odoo.models"):
            self.env["billpay.decision"]._match_by_hand(
                row, [(foreign.with_user(self.clerk), 4321)], self.partner
            )

    def test_suggestions_cost_the_same_with_many_invoices(self):
        move = self._invoice(150000)
        row = self._paid(self._swapped(move.billpay_number_id.name), 150000)
        self.env["billpay.suggestion"]._suggest(row)
        self.env.invalidate_all()
        counts = []
        for _more in range(2):
            before = self.cr.sql_log_count
            self.env["billpay.suggestion"]._suggest(row)
            counts.append(self.cr.sql_log_count - before)
            for _i in range(10):
                self._invoice(150000)
            self.env.flush_all()
            self.env.invalidate_all()
        self.assertLessEqual(counts[1], counts[0] + 3)

    # === Matching === #

    def test_match_books_on_the_chosen_invoice(self):
        move = self._invoice(150000)
        row = self._paid(self._swapped(move.billpay_number_id.name), 150000)
        self._choose(row, move)
        self.assertBooked(row.sudo(), 150000)
        self.assertEqual(move.amount_residual, 0)
        self.assertRecordValues(
            row,
            [
                {
                    "matched_by_id": self.clerk.id,
                    "move_id": move.id,
                    "partner_id": self.partner.id,
                    "is_over": False,
                    "is_under": False,
                }
            ],
        )
        self.assertTrue(row.matched_at)
        self.assertEqual(move.billpay_number_id.state, "closed")
        self.assertIn("Matched by desk_clerk", "".join(row.message_ids.mapped("body")))

    def test_split_over_invoices_and_rest_is_credit(self):
        first, second = self._invoice(50000), self._invoice(30000)
        row = self._paid("1122000000", 100000, name="JUMA HAMISI")
        wizard = self._choose(row, first, second)
        self.assertEqual(wizard.rest, 20000)
        self.assertEqual(wizard.partner_id, self.partner)
        self.assertBooked(row.sudo(), 100000)
        self.assertEqual(first.amount_residual, 0)
        self.assertEqual(second.amount_residual, 0)
        self.assertEqual(self._receivable(row).amount_residual, -20000)
        self.assertEqual(row.credit_open, 20000)
        self.assertTrue(row.is_over)
        self.assertEqual(row.asked_amount, 80000)

    def test_invoices_of_two_customers_and_rest_to_one(self):
        first, second = self._invoice(50000), self._invoice(30000, partner=self.asha)
        row = self._paid("1122000000", 100000)
        self.env["billpay.decision"]._match_by_hand(
            row,
            [
                (first.with_user(self.clerk), 50000),
                (second.with_user(self.clerk), 30000),
            ],
            self.asha,
        )
        self.assertEqual(row.state, "posted", row.reason)
        self.assertEqual(first.amount_residual, 0)
        self.assertEqual(second.amount_residual, 0)
        self.assertRecordValues(
            self._receivable(row).sorted(lambda line: line.partner_id == self.asha),
            [
                {"partner_id": self.partner.id, "credit": 50000, "amount_residual": 0},
                {
                    "partner_id": self.asha.id,
                    "credit": 50000,
                    "amount_residual": -20000,
                },
            ],
        )
        self.env["billpay.decision"]._undo_match(row, "All wrong")
        self.assertEqual(first.amount_residual, 50000)
        self.assertEqual(second.amount_residual, 30000)
        self.assertEqual(len(row.sudo().undone_payment_ids), 2)
        self._choose(row, credit_of=self.asha)
        self.assertBooked(row.sudo(), 100000)

    def test_part_that_a_person_gave_out_is_not_exceeded(self):
        move = self._invoice(50000)
        row = self._paid("1122000000", 50000)
        wizard = self._wizard(row)
        with Form(wizard) as form, form.line_ids.edit(0) as line:
            line.amount = 20000
        self.assertTrue(wizard.line_ids.use)
        self.assertEqual(wizard.rest, 30000)
        wizard.action_match()
        self.assertEqual(row.state, "posted", row.reason)
        self.assertEqual(move.amount_residual, 30000)
        lines = self._receivable(row)
        self.assertEqual(sum(lines.mapped("credit")), 50000)
        self.assertEqual(sum(lines.mapped("amount_residual")), -30000)

    def test_an_invoice_looked_up_by_hand(self):
        move = self._invoice(33000, partner=self.asha)
        row = self._paid("1122000000", 20000)
        wizard = self._wizard(row)
        self.assertFalse(wizard.line_ids)
        with Form(wizard) as form, form.line_ids.new() as line:
            line.move_id = move
        self.assertRecordValues(
            wizard.line_ids, [{"use": True, "amount": 20000, "due": 33000}]
        )
        wizard.action_match()
        self.assertBooked(row.sudo(), 20000)
        self.assertEqual(move.amount_residual, 13000)
        self.assertTrue(row.is_under)

    def test_all_of_it_as_credit(self):
        row = self._paid("1122000000", 20000)
        self._choose(row, credit_of=self.asha)
        self.assertBooked(row.sudo(), 20000)
        self.assertRecordValues(
            self._receivable(row),
            [{"partner_id": self.asha.id, "amount_residual": -20000}],
        )

    def test_decisions_that_cannot_be_booked_are_refused(self):
        clerk = self.clerk
        move = self._invoice(5000).with_user(clerk)
        row = self._paid("1122000000", 6000)
        other = self.env["res.company"].create({"name": "Nyingine"})
        elsewhere = self.env["res.partner"].create(
            {"name": "Elsewhere", "company_id": other.id}
        )
        none = self.env["res.partner"]
        draft = self._invoice(5000, post=False).with_user(clerk)
        for allocations, partner, word in (
            ([], none, "at least one invoice"),
            ([(move, 5001)], none, "is due on"),
            ([(move, 0)], none, "more than zero"),
            ([(move, 3000)], elsewhere, "another company"),
            ([(draft, 3000)], none, "not an open customer invoice"),
        ):
            with self.subTest(word), self.assertRaises(UserError) as caught:
                self.env["billpay.decision"]._match_by_hand(row, allocations, partner)
            self.assertIn(word, str(caught.exception))
        more = self._invoice(5000).with_user(clerk)
        with self.assertRaises(UserError) as caught:
            self.env["billpay.decision"]._match_by_hand(
                row, [(move, 5000), (more, 5000)], none
            )
        self.assertIn("only", str(caught.exception))
        self.assertEqual(row.state, "unmatched")
        self.assertFalse(row.allocation_ids)

    def test_a_booked_payment_is_not_matched_again(self):
        move = self._invoice(5000)
        row = self._paid(move.billpay_number_id.name, 5000)
        self.assertBooked(row.sudo(), 5000)
        other = self._invoice(5000).with_user(self.clerk)
        with self.assertRaises(UserError):
            self.env["billpay.decision"]._match_by_hand(
                row, [(other, 5000)], self.env["res.partner"]
            )
        self.assertBooked(row.sudo(), 5000)

    def test_credit_of_a_payment_on_a_cancelled_invoice_pays_its_successor(self):
        move = self._invoice(40000)
        number = move.billpay_number_id
        move.button_draft()
        move.button_cancel()
        row = self._paid(number.name, 40000)
        self.assertTrue(row.attention)
        self.assertEqual(row.credit_open, 40000)
        successor = self._invoice(40000)
        wizard = self._choose(row, successor)
        self.assertTrue(wizard.uses_credit)
        self.assertBooked(row.sudo(), 40000)
        self.assertEqual(successor.amount_residual, 0)
        self.assertFalse(row.attention)
        self.assertEqual(row.credit_open, 0)
        with self.assertRaises(UserError) as caught:
            self.env["billpay.decision"]._use_credit(
                row, self._invoice(1000).with_user(self.clerk)
            )
        self.assertIn("no open credit", str(caught.exception))

    # === Rights === #

    def test_only_clerks_decide(self):
        move = self._invoice(5000)
        row = self._paid(self._swapped(move.billpay_number_id.name), 5000)
        seen = row.with_user(self.auditor)
        for decide in (
            seen.action_open_match,
            seen.action_open_put_aside,
            seen.action_open_undo,
            seen.action_take_up,
            lambda: self.env["billpay.decision"]._put_aside(seen, "x"),
            lambda: self.env["billpay.decision"]._undo_match(seen, "x"),
            lambda: self.env["billpay.decision"]._match_by_hand(
                seen, [(move, 5000)], self.partner
            ),
        ):
            with self.assertRaises(AccessError):
                decide()
        self.assertTrue(seen.story)
        self.assertEqual(row.state, "unmatched")


@tagged("post_install", "-at_install")
class TestDeskUndo(DeskCommon):
    def _wrong(self, amount=150000):
        """A payment that was booked on the wrong invoice, and the right one."""
        wrong, right = self._invoice(amount), self._invoice(amount, partner=self.asha)
        row = self._paid(wrong.billpay_number_id.name, amount)
        self.assertBooked(row.sudo(), amount)
        self.assertEqual(wrong.amount_residual, 0)
        return row, wrong, right

    def _balance(self, moves):
        """What all these entries together say, per account."""
        lines = moves.line_ids.filtered(lambda line: line.parent_state == "posted")
        groups = lines.grouped("account_id").values()
        return {group.account_id: sum(group.mapped("balance")) for group in groups}

    def test_undo_takes_the_entry_out_and_the_invoice_is_due_again(self):
        row, wrong, _right = self._wrong()
        booking = row.sudo().account_payment_ids
        entry = booking.move_id
        number = wrong.billpay_number_id
        self.env["billpay.decision"]._undo_match(row, "Juma asked for Asha")
        self.assertEqual(entry.state, "cancel")
        self.assertFalse(self._balance(entry))
        self.assertEqual(wrong.amount_residual, 150000)
        self.assertEqual(wrong.payment_state, "not_paid")
        self.assertRecordValues(
            row,
            [
                {
                    "state": "unmatched",
                    "undone_by_id": self.clerk.id,
                    "undone_why": "Juma asked for Asha",
                    "partner_id": False,
                    "move_id": False,
                    "attention": False,
                }
            ],
        )
        self.assertTrue(row.undone_at)
        self.assertFalse(row.sudo().account_payment_ids)
        self.assertEqual(row.sudo().undone_payment_ids, booking)
        # The invoice asks for its money with a new number.
        self.assertEqual(wrong.billpay_number_id.predecessor_id, number)
        self.assertEqual(wrong.billpay_number_id.amount, 150000)
        self.assertIn("Juma asked for Asha", wrong.message_ids[0].body)

    def test_matched_again_it_is_booked_once(self):
        row, wrong, right = self._wrong()
        first = row.sudo().account_payment_ids.move_id
        self.env["billpay.decision"]._undo_match(row, "Wrong pupil")
        self.env["billpay.decision"]._match_by_hand(
            row, [(right.with_user(self.clerk), 150000)], self.env["res.partner"]
        )
        self.assertBooked(row.sudo(), 150000)
        self.assertEqual(right.amount_residual, 0)
        self.assertEqual(wrong.amount_residual, 150000)
        self.assertFalse(row.undone_at)
        second = row.sudo().account_payment_ids.move_id
        self.assertEqual(
            sorted(self._balance(first | second).values()), [-150000, 150000]
        )

    def test_no_machine_books_it_again(self):
        row, wrong, _right = self._wrong()
        self.env["billpay.decision"]._undo_match(row, "Wrong pupil")
        self.sandbox.settle()
        self._poll()
        self._event(self.sandbox.payment(row.reference))
        self._process()
        self.assertEqual(row.status, "SETTLED")
        self.assertEqual(row.state, "unmatched")
        self.assertFalse(row.sudo().account_payment_ids)
        with self.assertRaises(UserError):
            row.action_process_now()
        self._process()
        self.assertEqual(row.state, "unmatched")
        self.assertEqual(wrong.amount_residual, 150000)

    def test_no_new_number_binds_what_was_undone(self):
        row, _wrong, _right = self._wrong()
        self.env["billpay.decision"]._undo_match(row, "Wrong pupil")
        numbers = row.sudo().control_number_id
        self.assertFalse(self.env["billpay.ledger"]._bind_waiting(numbers))
        self.assertEqual(row.state, "unmatched")

    def test_the_undone_booking_never_comes_back(self):
        row, _wrong, _right = self._wrong()
        booking = row.sudo().account_payment_ids
        self.env["billpay.decision"]._undo_match(row, "Wrong pupil")
        booking = booking.with_user(self.clerk)
        for act in (
            booking.action_draft,
            booking.move_id.button_draft,
            lambda: booking.write({"billpay_undone_id": False}),
            booking.unlink,
        ):
            with self.assertRaises(UserError):  # AccessError is one
                act()
        # A context is no permission.
        with self.assertRaises(UserError):
            booking.with_context(billpay_undoing=True).action_draft()
        self.assertEqual(booking.move_id.state, "cancel")

    def test_closed_period_is_left_alone_and_reversed_today(self):
        row, wrong, right = self._wrong()
        entry = row.sudo().account_payment_ids.move_id
        self.company.sudo().fiscalyear_lock_date = entry.date
        self.env["billpay.decision"]._undo_match(row, "Wrong pupil")
        self.assertEqual(entry.state, "posted")
        reverse = entry.reversal_move_ids
        self.assertEqual(reverse.state, "posted")
        self.assertGreater(reverse.date, self.company.fiscalyear_lock_date)
        self.assertTrue(
            all(balance == 0 for balance in self._balance(entry | reverse).values())
        )
        receivable = (entry | reverse).line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        self.assertTrue(all(receivable.mapped("reconciled")))
        self.assertEqual(wrong.amount_residual, 150000)
        with self.assertRaises(UserError):
            reverse.with_user(self.clerk).button_draft()
        self.env["billpay.decision"]._match_by_hand(
            row, [(right.with_user(self.clerk), 150000)], self.env["res.partner"]
        )
        self.assertBooked(row.sudo(), 150000)
        self.assertEqual(right.amount_residual, 0)

    def test_reversed_by_hand_it_is_not_reversed_again(self):
        row, _wrong, right = self._wrong()
        entry = row.sudo().account_payment_ids.move_id
        entry._reverse_moves([{"date": entry.date}], cancel=True)
        self.assertTrue(row.attention)
        self.assertIn("reversed manually", row.reason)
        self.env["billpay.decision"]._undo_match(row, "Reversed by mistake")
        mirror = entry.reversal_move_ids
        self.assertEqual(len(mirror), 1)
        self.assertEqual(set(self._balance(entry | mirror).values()), {0})
        self.assertTrue(all((entry | mirror).line_ids.mapped("reconciled")))
        self.env["billpay.decision"]._match_by_hand(
            row, [(right.with_user(self.clerk), 150000)], self.env["res.partner"]
        )
        self.assertBooked(row.sudo(), 150000)
        self.assertEqual(right.amount_residual, 0)

    def test_a_bank_statement_on_the_money_stays_matched(self):
        row, _wrong, right = self._wrong()
        booking = row.sudo().account_payment_ids
        liquidity, _counterpart, _writeoff = booking._seek_for_lines()
        bank = self.env["account.move"].create(
            {
                "move_type": "entry",
                "journal_id": self.company_data["default_journal_misc"].id,
                "date": "2026-03-05",
                "line_ids": [
                    Command.create(
                        {"account_id": liquidity.account_id.id, "credit": 150000}
                    ),
                    Command.create(
                        {
                            "account_id": self.company_data[
                                "default_account_expense"
                            ].id,
                            "debit": 150000,
                        }
                    ),
                ],
            }
        )
        bank.action_post()
        (liquidity | bank.line_ids[0]).reconcile()
        self.env["billpay.decision"]._undo_match(row, "Wrong pupil")
        self.assertEqual(booking.move_id.state, "posted")
        self.assertTrue(liquidity.reconciled)
        self.assertIn(bank.line_ids[0], liquidity.matched_credit_ids.credit_move_id)
        self.env["billpay.decision"]._match_by_hand(
            row, [(right.with_user(self.clerk), 150000)], self.env["res.partner"]
        )
        self.assertBooked(row.sudo(), 150000)

    def test_money_that_went_back_and_unbooked_money_is_refused(self):
        row, _wrong, _right = self._wrong()
        row.sudo().status = "REVERSED"
        with self.assertRaises(UserError) as caught:
            self.env["billpay.decision"]._undo_match(row, "x")
        self.assertIn("ClickPesa reversed", str(caught.exception))
        other = self._paid("1122000000", 5000)
        with self.assertRaises(UserError) as caught:
            self.env["billpay.decision"]._undo_match(other, "x")
        self.assertIn("not booked", str(caught.exception))


@tagged("post_install", "-at_install")
class TestDesk(DeskCommon):
    # === Put aside === #

    def test_put_aside_with_reason_and_taken_up_again(self):
        rows = self._paid("1122000001", 5000) | self._paid("1122000002", 6000)
        wizard = (
            self.env["billpay.payment.reason"]
            .with_user(self.clerk)
            .with_context(**rows.action_open_put_aside()["context"])
            .create({"why": "Paid to the wrong school."})
        )
        wizard.action_confirm()
        for row in rows:
            self.assertRecordValues(
                row,
                [
                    {
                        "state": "ignored",
                        "ignored_by_id": self.clerk.id,
                        "ignored_why": "Paid to the wrong school.",
                    }
                ],
            )
            self.assertIn("Paid to the wrong school", row.reason)
        self.sandbox.settle()
        self._poll()
        self._process()
        self.assertEqual(set(rows.mapped("state")), {"ignored"})
        rows.action_take_up()
        self.assertFalse(rows.ignored_by_id)
        self._process()
        self.assertEqual(set(rows.mapped("state")), {"unmatched"})

    def test_a_booked_payment_is_not_put_aside(self):
        move = self._invoice(5000)
        row = self._paid(move.billpay_number_id.name, 5000)
        with self.assertRaises(UserError):
            self.env["billpay.decision"]._put_aside(row, "x")
        self.assertBooked(row.sudo(), 5000)

    def test_what_failed_at_clickpesa_is_not_taken_up(self):
        move = self._invoice(5000)
        payment = self._pay(move.billpay_number_id.name, 5000)
        self.sandbox.set_status(payment["id"], "FAILED")
        self._poll()
        row = self._ledger(payment).with_user(self.clerk)
        self.assertEqual(row.state, "ignored")
        with self.assertRaises(UserError):
            row.action_take_up()

    def test_taken_up_after_an_undone_match_waits_for_a_person(self):
        move = self._invoice(5000)
        row = self._paid(move.billpay_number_id.name, 5000)
        self.env["billpay.decision"]._undo_match(row, "Wrong")
        self.env["billpay.decision"]._put_aside(row, "Perhaps not ours")
        row.action_take_up()
        self._process()
        self.assertEqual(row.state, "unmatched")
        self.assertEqual(move.amount_residual, 5000)

    def _told(self, row, status):
        """ClickPesa gives a payment this status; the poll and the worker go on."""
        self.sandbox.set_status(row.reference, status)
        self._poll()
        self._process()

    def assertUnbooked(self, row, move, state):
        self.assertEqual(row.state, state, row.reason)
        self.assertFalse(row.sudo().account_payment_ids)
        self.assertRecordValues(
            move,
            [{"amount_residual": move.amount_total, "payment_state": "not_paid"}],
        )

    def test_what_went_back_while_put_aside_is_not_booked(self):
        for status, state in (
            ("REVERSED", "ignored"),
            ("REVERSE WITH CHARGES", "ignored"),
            ("CHARGEBACK", "ignored"),
            ("FAILED", "ignored"),
            ("ON-HOLD", "received"),
        ):
            with self.subTest(status):
                move = self._invoice(5000)
                payment = self._pay(move.billpay_number_id.name, 5000)
                self._poll()
                row = self._ledger(payment).with_user(self.clerk)
                self.assertEqual(row.state, "confirmed")
                self.env["billpay.decision"]._put_aside(row, "Not ours")
                self._told(row, status)
                self.assertUnbooked(row, move, "ignored")
                row.action_take_up()
                self.assertFalse(row.ignored_by_id)
                self.assertIn("Taken up again", row.reason)
                self._process()
                self.assertUnbooked(row, move, state)
                # Even if something lets it go on, the gate holds it.
                row.sudo()._move_to("confirmed", False)
                self.env["billpay.worker"].sudo()._post_due(row.ids)
                self.assertUnbooked(row, move, state)

    def test_undone_and_refunded_is_not_matched(self):
        for status, state in (
            ("REFUNDED", "ignored"),
            ("REVERSAL", "ignored"),
            ("PENDING", "received"),
        ):
            with self.subTest(status):
                move = self._invoice(5000)
                row = self._paid(move.billpay_number_id.name, 5000)
                self.env["billpay.decision"]._undo_match(row, "Wrong")
                self.env["billpay.decision"]._put_aside(row, "Perhaps not ours")
                self._told(row, status)
                self.assertUnbooked(row, move, "ignored")
                row.action_take_up()
                self.assertUnbooked(row, move, state)
                with self.assertRaises(UserError) as caught:
                    self.env["billpay.decision"]._match_by_hand(
                        row, [(move.with_user(self.clerk), 5000)], self.partner
                    )
                self.assertIn("no money to book", str(caught.exception))
                row.action_process_now()
                self._process()
                self.assertUnbooked(row, move, state)

    def test_undone_match_that_was_on_hold_can_be_matched_again(self):
        for status in ("ON-HOLD", "FAILED", "WHATEVER"):
            with self.subTest(status):
                move = self._invoice(5000)
                row = self._paid(move.billpay_number_id.name, 5000)
                self.env["billpay.decision"]._undo_match(row, "Wrong invoice")
                self._told(row, status)
                self.assertUnbooked(
                    row, move, "ignored" if status == "FAILED" else "received"
                )
                self._told(row, "SETTLED")
                self.assertUnbooked(row, move, "unmatched")
                self.assertIn("Wrong invoice", row.reason)
                # Nothing but a person books it.
                with self.assertRaises(UserError):
                    row.action_process_now()
                self._process()
                self.assertUnbooked(row, move, "unmatched")
                self._choose(row, move)
                self.assertBooked(row.sudo(), 5000)
                self.assertEqual(move.amount_residual, 0)

    def test_row_of_before_that_waits_undone_is_matchable(self):
        """Earlier versions left such a row waiting, and Process Now booked it."""
        move = self._invoice(5000)
        row = self._paid(move.billpay_number_id.name, 5000)
        self.env["billpay.decision"]._undo_match(row, "Wrong")
        row.sudo()._move_to("received", False, due=False)
        row.action_process_now()
        self._process()
        self.assertUnbooked(row, move, "unmatched")

    # === Assign === #

    def test_assigned_to_a_colleague_by_an_activity_each(self):
        rows = self._paid("1122000001", 5000) | self._paid("1122000002", 6000)
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "billpay_odoo.action_billpay_payment_assign"
        )
        # As the buttons of list and form open it.
        schedule = Form(
            self.env[action["res_model"]]
            .with_user(self.clerk)
            .with_context(
                active_model=rows._name,
                active_ids=rows.ids,
                **literal_eval(action["context"]),
            )
        )
        schedule.summary = "Ask the parent"
        schedule.activity_user_id = self.auditor
        schedule.save().action_schedule_activities()
        for row in rows:
            self.assertRecordValues(
                row.activity_ids,
                [
                    {
                        "user_id": self.auditor.id,
                        "summary": "Ask the parent",
                        "activity_type_id": self.env.ref(
                            "mail.mail_activity_data_todo"
                        ).id,
                    }
                ],
            )
        mine = self.env["billpay.payment"].search(
            [("activity_ids.user_id", "=", self.auditor.id)]
        )
        self.assertEqual(mine, rows.with_user(self.env.user))

    # === Over, under, late === #

    def test_over_under_and_late_are_kept(self):
        cases = {}
        for name, paid in (("over", 150001), ("under", 149000), ("exact", 150000)):
            move = self._invoice(150000, invoice_date_due="2099-01-01")
            cases[name] = self._paid(move.billpay_number_id.name, paid)
        late = self._invoice(150000, invoice_date_due="2026-03-01")
        cases["late"] = self._paid(late.billpay_number_id.name, 150000)
        found = {
            name: (row.is_over, row.is_under, row.is_late)
            for name, row in cases.items()
        }
        self.assertEqual(
            found,
            {
                "over": (True, False, False),
                "under": (False, True, False),
                "exact": (False, False, False),
                "late": (False, False, True),
            },
        )
        # The rest is paid: what was under stays under.
        rest = cases["under"].move_id
        self._paid(rest.billpay_number_id.name, 1000)
        self.assertEqual(rest.amount_residual, 0)
        self.assertTrue(cases["under"].is_under)

    def test_two_payments_of_one_batch_on_one_invoice(self):
        """ClickPesa may let an offline number be paid twice."""
        move, other = self._invoice(150000), self._invoice(150000)
        name = move.billpay_number_id.name
        first = self._pay(name, 150000)
        second = self._pay(other.billpay_number_id.name, 150000)
        told = [
            Payment.parse({**self.sandbox.payment(paid["id"]), "orderReference": name})
            for paid in (first, second)
        ]
        self.env["billpay.ledger"]._upsert(
            self.provider.sudo(), told, source="poll", trusted=True
        )
        self._process()
        first, second = self._ledger(first), self._ledger(second)
        self.assertFalse(first.is_over)
        self.assertTrue(second.is_over)
        self.assertEqual(second.asked_amount, 0)

    # === Tell === #

    def _toasts(self, book):
        sent = []
        bus = type(self.env["bus.bus"])

        def send(self, channel, kind, message):
            if kind == "simple_notification":
                sent.append((channel, message))

        with patch.object(bus, "_sendone", send):
            book()
        return sent

    def test_salesperson_is_told_once_per_batch(self):
        seller = self._user("desk_seller", "account.group_account_invoice")
        moves = [self._invoice(1000 + i, invoice_user_id=seller.id) for i in range(5)]
        quiet = self._invoice(999, invoice_user_id=False)
        for move in (*moves, quiet):
            name = move.billpay_number_id.name
            self._event(self._pay(name, move.amount_total))
        [(channel, message)] = self._toasts(self._process)
        self.assertEqual(channel, seller.partner_id)
        self.assertEqual(message["title"], "5 payments by BillPay")
        self.assertIn("Juma Hamisi", message["message"])
        self.assertIn("and 2 more", message["message"])

    def test_nobody_is_told_when_the_company_does_not_want_it(self):
        self.company.billpay_notify_salesperson = False
        move = self._invoice(1000, invoice_user_id=self.clerk.id)
        self._event(self._pay(move.billpay_number_id.name, 1000))
        self.assertFalse(self._toasts(self._process))

    def test_nobody_is_told_of_what_was_not_booked(self):
        move = self._invoice(1000, invoice_user_id=self.clerk.id)
        self._event(self._pay(move.billpay_number_id.name, 1000))
        model = type(self.env["billpay.entries"])
        refuse = UserError("No.")
        with (
            patch.object(model, "_prepare_account_payment", side_effect=refuse),
            mute_logger("odoo.addons.billpay_odoo"),
        ):
            self.assertFalse(self._toasts(self._process))
        self.assertEqual(self.env["billpay.payment"].search([]).state, "failed")

    # === The screen === #

    def test_figures_above_the_list(self):
        self._paid("1122000001", 5000)
        aside = self._paid("1122000002", 6000)
        self.env["billpay.decision"]._put_aside(aside, "x")
        model = self.env["billpay.payment"].with_user(self.clerk)
        counts = model.retrieve_desk()
        self.assertEqual(
            (counts["todo"], counts["unmatched"], counts["ignored"]), (1, 1, 1)
        )

    def test_columns_begin_with_what_needs_a_person(self):
        move = self._invoice(5000)
        self._paid(move.billpay_number_id.name, 5000)
        self._paid("1122000001", 5000)
        model = self.env["billpay.payment"].with_user(self.clerk)
        # As the cards ask.
        model = model.with_context(read_group_expand=True)
        groups = model.web_read_group([], ["state"], ["__count"])["groups"]
        self.assertEqual([group["state"] for group in groups], ["unmatched", "posted"])

    def test_to_do_filter_and_figure_are_the_same(self):
        arch = self.env.ref("billpay_odoo.billpay_payment_search").arch
        self.assertIn("('attention', '=', True)", arch)
        self._paid("1122000001", 5000)
        model = self.env["billpay.payment"]
        todo = model.search(
            [
                "|",
                "|",
                ("state", "in", ("unmatched", "failed")),
                ("attention", "=", True),
                "&",
                ("state", "=", "received"),
                ("attempts", ">=", 5),
            ]
        )
        self.assertEqual(model.search(model._todo_domain()), todo)

    def test_list_and_cards_cost_the_same_for_more_rows(self):
        model = self.env["billpay.payment"].with_user(self.clerk)
        spec = {
            name: {"fields": {"display_name": {}}}
            if model._fields[name].type == "many2one"
            else {}
            for name in (
                "paid_at", "number", "payer_name", "partner_id", "move_id",
                "channel_id", "amount", "reason", "state", "attention",
                "salesperson_id", "currency_id",
            )
        }  # fmt: skip
        counts = []
        for _round in range(2):
            for i in range(4):
                move = self._invoice(1000 + i)
                self._event(self._pay(move.billpay_number_id.name, 1000 + i))
            self._process()
            self.env.invalidate_all()
            before = self.cr.sql_log_count
            model.web_search_read([], spec)
            counts.append(self.cr.sql_log_count - before)
        self.assertLessEqual(counts[1], counts[0])

    def test_story_tells_what_happened_in_order(self):
        move = self._invoice(5000)
        row = self._paid(move.billpay_number_id.name, 5000)
        story = row.story
        steps = (
            "Paid by",
            "Announced by a delivery",
            "Confirmed",
            "Matched by the control number",
            "Booked as",
        )
        places = [story.index(step) for step in steps]
        self.assertEqual(places, sorted(places))
        row.sudo().payer_name = "<b>Juma</b>"
        row.invalidate_recordset(["story"])
        self.assertNotIn("<b>", row.story)
        self.env["billpay.decision"]._undo_match(row, "Wrong pupil")
        row.invalidate_recordset(["story"])
        self.assertIn("Match undone by desk_clerk: Wrong pupil", row.story)
        self.assertIn("taken out of the books", row.story)

    def test_raw_deliveries_are_for_managers(self):
        row = self._paid("1122000001", 5000)
        event = row.event_ids
        self.assertTrue(event)
        with self.assertRaises(AccessError), mute_logger("odoo.models"):
            event.with_user(self.clerk).read(["body"])

    def test_one_unreadable_number_is_no_trouble(self):
        """ClickPesa may send anything as the number."""
        payment = self._pay("1122000001", 5000)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        for number in (False, "", "x" * 300, "ÄÖ-1", "%_'"):
            row.sudo().write({"number": number})
            self.env["billpay.suggestion"]._suggest(row.with_user(self.clerk))
        self.assertEqual(row.paid_at.date(), fields.Date.today())
