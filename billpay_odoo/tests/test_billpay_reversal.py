# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Money that ClickPesa takes back after it was booked."""

from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..clickpesa import Payment
from .ledger import LedgerCommon

LOG = "odoo.addons.billpay_odoo"


@tagged("post_install", "-at_install")
class TestReversal(LedgerCommon):
    def setUp(self):
        super().setUp()
        self.move = self._invoice(150000)
        self.number = self.move.billpay_number_id
        self.row = self._post(self._confirmed(self.number, 150000))
        self.entry = self._entry(self.row)

    def _tell(self, status, when="2026-03-09T10:00:00Z", row=None, work=True):
        """ClickPesa's word in a poll, and the worker."""
        row = row or self.row
        told = Payment.parse(
            {
                "id": row.reference,
                "status": status,
                "orderReference": row.number,
                "collectedAmount": row.amount,
                "collectedCurrency": "TZS",
                "createdAt": "2026-03-05T10:00:00Z",
                "updatedAt": when,
            }
        )
        self.env["billpay.ledger"]._upsert(
            self.provider.sudo(), [told], source="poll", trusted=True
        )
        if work:
            self._process()

    def _known_at_clickpesa(self, status="SUCCESS", row=None):
        """Let ClickPesa answer, asked for the payment, that it has this status."""
        row = row or self.row
        paid = self._pay(row.number, row.amount)
        self.sandbox.set_status(paid["id"], status)
        row.sudo().reference = paid["id"]

    def assertQuiet(self, row):
        """Nothing is left of a warning."""
        self.assertRecordValues(
            row, [{"attention": False, "reason": False, "next_try_at": False}]
        )
        self.assertFalse(row.activity_ids)

    def test_entry_is_mirrored_and_the_invoice_asks_again(self):
        self._tell("REVERSED")
        self.assertEqual(self.row.state, "reversed")
        [mirror] = self.entry.reversal_move_ids
        self.assertEqual(mirror.state, "posted")
        self.assertEqual(str(mirror.date), "2026-03-09")
        self.assertEqual(mirror.partner_id, self.partner)
        for line, back in zip(self.entry.line_ids, mirror.line_ids, strict=True):
            self.assertEqual(line.account_id, back.account_id)
            self.assertEqual(line.partner_id, back.partner_id)
            self.assertEqual(line.balance, -back.balance)
        self.assertTrue(all((self.entry | mirror).line_ids.mapped("reconciled")))
        self.assertEqual(self.entry.state, "posted")
        self.assertEqual(self.row.account_payment_ids.state, "rejected")
        self.assertEqual(self.move.amount_residual, 150000)
        self.assertEqual(self.move.payment_state, "not_paid")
        asking = self.move.billpay_number_id
        self.assertEqual(asking.predecessor_id, self.number)
        self.assertEqual(asking.amount, 150000)
        self.assertTrue(self.row.attention)
        self.assertIn("REVERSED", self.row.reason)

    def test_person_is_called(self):
        self.move.invoice_user_id = self.env.user
        self._tell("REFUNDED")
        activity = self.row.activity_ids
        self.assertEqual(activity.user_id, self.env.user)
        self.assertIn("REFUNDED", str(activity.note))

    def test_reversed_once_however_often_it_is_told(self):
        self._tell("REVERSED")
        self._tell("REVERSED", "2026-03-09T11:00:00Z")
        self._tell("REFUNDED", "2026-03-09T12:00:00Z")
        self.row.sudo().next_try_at = "2026-03-01 00:00:00"
        self._process()
        self.assertEqual(len(self.entry.reversal_move_ids), 1)
        self.assertEqual(len(self.row.activity_ids), 1)
        self.assertEqual(self.move.amount_residual, 150000)

    def test_reversed_by_hand_is_not_reversed_again(self):
        self.entry._reverse_moves([{"date": self.entry.date}], cancel=True)
        self._tell("REVERSED")
        self.assertEqual(self.row.state, "reversed")
        self.assertEqual(len(self.entry.reversal_move_ids), 1)
        self.assertEqual(self.move.amount_residual, 150000)

    def test_alert_only_leaves_the_books_alone(self):
        self.provider.clickpesa_reversal = "alert"
        self._tell("REVERSED")
        self.assertBooked(self.row, 150000)
        self.assertFalse(self.entry.reversal_move_ids)
        self.assertEqual(self.move.amount_residual, 0)
        self.assertTrue(self.row.attention)
        self.assertEqual(len(self.row.activity_ids), 1)
        self.assertFalse(self.row.next_try_at)
        self.row.account_payment_ids.action_cancel()
        self.assertEqual(self.row.state, "reversed")
        self.assertFalse(self.row.attention)
        self.assertEqual(self.move.amount_residual, 150000)

    def test_failed_after_success_is_looked_at_by_a_person(self):
        self._tell("FAILED")
        self.assertBooked(self.row, 150000)
        self.assertTrue(self.row.attention)
        self.assertEqual(len(self.row.activity_ids), 1)
        self.assertFalse(self.entry.reversal_move_ids)

    def test_locked_period_is_reversed_on_an_open_day(self):
        self.company.fiscalyear_lock_date = "2026-04-30"
        self._tell("REVERSED")
        self.assertEqual(self.row.state, "reversed", self.row.reason)
        self.assertEqual(str(self.entry.reversal_move_ids.date), "2026-05-01")
        self.assertEqual(self.move.amount_residual, 150000)

    def test_surplus_goes_back_too(self):
        move = self._invoice(1000)
        row = self._post(self._confirmed(move.billpay_number_id, 1500))
        self._tell("REVERSED", row=row)
        lines = (self._entry(row) | self._entry(row).reversal_move_ids).line_ids
        self.assertEqual(sum(lines.mapped("amount_residual")), 0)
        self.assertEqual(move.amount_residual, 1000)

    def test_bank_statement_keeps_its_match(self):
        payment = self.row.account_payment_ids
        account = payment.outstanding_account_id
        bank = self.env["account.move"].create(
            {
                "journal_id": self.entry.journal_id.id,
                "date": "2026-03-06",
                "line_ids": [
                    (0, 0, {"account_id": account.id, "credit": 150000}),
                    (
                        0,
                        0,
                        {
                            "account_id": self.entry.journal_id.default_account_id.id,
                            "debit": 150000,
                        },
                    ),
                ],
            }
        )
        bank.action_post()
        matched = bank.line_ids.filtered(lambda line: line.account_id == account)
        money = self.entry.line_ids.filtered(lambda line: line.account_id == account)
        (matched | money).reconcile()
        self._tell("REVERSED")
        self.assertEqual(money.matched_credit_ids.credit_move_id, matched)
        back = self.entry.reversal_move_ids.line_ids.filtered(
            lambda line: line.account_id == account
        )
        self.assertEqual(back.amount_residual, -150000)
        self.assertEqual(self.move.amount_residual, 150000)

    def test_one_that_cannot_be_reversed_stops_only_itself(self):
        move = self._invoice(1000)
        other = self._post(self._confirmed(move.billpay_number_id, 1000))
        rows = self.row | other
        for row in rows:
            row.sudo().write(
                {"status": "REVERSED", "attention": True, "next_try_at": "2026-03-09"}
            )
        reversal = type(self.env["billpay.reversal"])
        mirror = reversal._reverse_entries

        def broken(service, payment):
            if payment.id == self.row.id:
                raise UserError(payment.env._("The journal is closed."))
            return mirror(service, payment)

        with (
            patch.object(reversal, "_reverse_entries", broken),
            mute_logger(LOG),
        ):
            self._process()
        self.assertEqual(other.state, "reversed")
        self.assertEqual(self.row.state, "posted")
        self.assertIn("The journal is closed.", self.row.reason)
        self.assertGreater(self.row.next_try_at, self.env.cr.now())
        self.row.sudo().next_try_at = "2026-03-09"
        self._process()
        self.assertEqual(self.row.state, "reversed")

    def test_other_amount_than_booked_is_for_a_person(self):
        told = Payment.parse(
            {
                "id": self.row.reference,
                "status": "SUCCESS",
                "orderReference": self.row.number,
                "collectedAmount": "149000",
                "collectedCurrency": "TZS",
            }
        )
        ledger = self.env["billpay.payment"]

        def tell():
            ledger.env["billpay.ledger"]._upsert(
                self.provider.sudo(), [told], source="poll", trusted=True
            )

        tell()
        self.assertTrue(self.row.attention)
        self.assertIn("149,000", self.row.reason)
        self.assertEqual(self.row.amount, 150000)
        self.assertBooked(self.row, 150000)
        # Once: what was seen is not brought up by each poll.
        self.row.action_mark_seen()
        tell()
        self.assertFalse(self.row.attention)

    def test_money_that_came_after_all_asks_for_a_person(self):
        self._tell("REVERSED")
        self.row.sudo().attention = False
        self._tell("SETTLED", "2026-03-10T10:00:00Z")
        self.assertEqual(self.row.state, "reversed")
        self.assertTrue(self.row.attention)
        self.assertEqual(len(self.row.account_payment_ids), 1)
        [activity] = self.row.activity_ids
        self.assertIn("SETTLED again", str(activity.note))

    def test_shilling_books_dollar_invoice_is_open_again_in_dollars(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        self.env["res.currency.rate"].create(
            {
                "name": "2026-03-01",
                "currency_id": usd.id,
                "rate": 1 / 2500,
                "company_id": self.company.id,
            }
        )
        move = self._invoice(100, currency_id=usd.id)
        move.billpay_number_ids.sudo()._close()
        number = self._number(
            move_id=move.id,
            partner_id=self.partner.id,
            amount=255000,
            bill_amount=100,
            bill_currency_id=usd.id,
        )
        row = self._post(self._confirmed(number, 255000))
        self.assertEqual(move.amount_residual, 0)
        self._tell("REVERSED", row=row)
        self.assertEqual(row.state, "reversed")
        self.assertEqual(move.amount_residual, 100)
        self.assertEqual(self._receivable(move).amount_residual, 250000)

    # === Words === #

    def test_every_word_of_money_taken_back_is_mirrored(self):
        for word in ("REVERSE WITH CHARGES", "reverse", "REFUND", "Chargeback_lost"):
            with self.subTest(word):
                move = self._invoice(2000)
                row = self._post(self._confirmed(move.billpay_number_id, 2000))
                self._tell(word, row=row)
                self.assertEqual(row.state, "reversed")
                [mirror] = self._entry(row).reversal_move_ids
                self.assertEqual(self._receivable(mirror).balance, 2000)
                self.assertRecordValues(
                    move, [{"amount_residual": 2000, "payment_state": "not_paid"}]
                )
                self.assertEqual(len(row.activity_ids), 1)
                charged = "CHARGES" in word
                self.assertEqual("keeps charges" in row.reason, charged)

    def test_unknown_word_after_posting_calls_a_person(self):
        for word in ("ON-HOLD", "DISPUTED", "processing", "SETTLEMENT FAILED", ""):
            with self.subTest(word):
                move = self._invoice(2000)
                row = self._post(self._confirmed(move.billpay_number_id, 2000))
                self._tell(word, row=row)
                self.assertBooked(row, 2000)
                self.assertFalse(self._entry(row).reversal_move_ids)
                self.assertEqual(move.amount_residual, 0)
                self.assertTrue(row.attention)
                self.assertFalse(row.next_try_at)
                self.assertIn(word.upper() or "?", row.reason)
                [activity] = row.activity_ids
                self.assertIn("press Undo Match", str(activity.note))

    def test_advice_for_an_unknown_word_can_be_followed(self):
        self._tell("ON-HOLD")
        self.env["billpay.decision"]._undo_match(self.row, "It went back")
        self.assertEqual(self.row.state, "unmatched")
        self.assertEqual(self.move.amount_residual, 150000)

    # === Ends === #

    def test_paid_word_ends_a_warning(self):
        for word, reversal in (
            ("FAILED", "auto"),
            ("ON-HOLD", "auto"),
            ("REVERSED", "alert"),
            ("REVERSE WITH CHARGES", "alert"),
        ):
            with self.subTest(word):
                self.provider.clickpesa_reversal = reversal
                move = self._invoice(2000)
                row = self._post(self._confirmed(move.billpay_number_id, 2000))
                self._tell(word, row=row)
                self.assertTrue(row.attention and row.activity_ids)
                self._tell("SETTLED", "2026-03-10T10:00:00Z", row=row)
                self.assertQuiet(row)
                self.assertBooked(row, 2000)
                self.assertEqual(move.amount_residual, 0)

    def test_paid_word_comes_before_the_worker_acts(self):
        for word in ("REVERSED", "FAILED", "ON-HOLD"):
            with self.subTest(word):
                move = self._invoice(2000)
                row = self._post(self._confirmed(move.billpay_number_id, 2000))
                self._tell(word, row=row, work=False)
                self.assertTrue(row.attention and row.next_try_at)
                self.assertNotIn("cancel it", row.reason)
                self._tell("SUCCESS", "2026-03-09T11:00:00Z", row=row)
                self.assertQuiet(row)
                self.assertBooked(row, 2000)
                self.assertEqual(move.amount_residual, 0)

    def test_clickpesa_is_asked_before_a_person_is_called(self):
        for word in ("FAILED", "ON-HOLD", "WHATEVER"):
            with self.subTest(word):
                move = self._invoice(2000)
                row = self._post(self._confirmed(move.billpay_number_id, 2000))
                self._known_at_clickpesa("SUCCESS", row)
                calls = self.sandbox.count_calls()
                self._tell(word, row=row)
                self.assertGreater(self.sandbox.count_calls(), calls)
                self.assertQuiet(row)
                self.assertEqual(row.status, "SUCCESS")
                self.assertBooked(row, 2000)
                self.assertEqual(move.amount_residual, 0)

    def test_person_is_called_when_clickpesa_says_it_again(self):
        self._known_at_clickpesa("FAILED")
        self._tell("FAILED")
        self.assertTrue(self.row.attention)
        self.assertFalse(self.row.next_try_at)
        self.assertEqual(len(self.row.activity_ids), 1)
        self.assertBooked(self.row, 150000)

    def test_answer_that_it_was_taken_back_is_acted_on(self):
        self._known_at_clickpesa("REVERSED")
        self._tell("FAILED")
        self.assertEqual(self.row.state, "reversed")
        self.assertEqual(self.move.amount_residual, 150000)

    def test_person_is_called_when_clickpesa_cannot_be_asked(self):
        self.sandbox.faults.add("error", times=-1)
        with mute_logger(LOG):
            self._tell("FAILED")
        self.assertEqual(len(self.row.activity_ids), 1)
        self.assertBooked(self.row, 150000)

    def test_surplus_is_in_sight_again_after_a_warning(self):
        move = self._invoice(1000)
        row = self._post(self._confirmed(move.billpay_number_id, 1500))
        reason = row.reason
        self.assertIn("500", reason)
        self._tell("FAILED", row=row)
        self._tell("SETTLED", "2026-03-10T10:00:00Z", row=row)
        self.assertRecordValues(row, [{"attention": True, "reason": reason}])
        self.assertFalse(row.activity_ids)

    def test_entry_that_was_reset_before_stays_in_sight(self):
        self.row.account_payment_ids.action_draft()
        self.assertTrue(self.row.attention)
        for word in ("ON-HOLD", "SETTLED"):
            self._tell(word, "2026-03-10T10:00:00Z")
        self.assertTrue(self.row.attention)
        self.assertIn("not in the books", self.row.reason)

    def test_warning_of_the_books_outlives_a_doubt(self):
        def cancelled(move, row):
            move.button_draft()
            move.button_cancel()
            return "open credit"

        def draft(move, row):
            move.button_draft()
            return "reset to draft"

        def changed(move, row):
            booking = row.account_payment_ids
            booking.action_draft()
            booking.sudo().amount = 15000
            booking.action_post()
            return "15,000"

        for step in (cancelled, draft, changed):
            for words in (("ON-HOLD", "SETTLED"), ("FAILED", "SUCCESS")):
                with self.subTest(step.__name__, words=words):
                    move = self._invoice(150000)
                    row = self._post(self._confirmed(move.billpay_number_id, 150000))
                    told = step(move, row)
                    self.assertTrue(row.attention)
                    self.assertIn(told, row.reason)
                    for day, word in enumerate(words, 10):
                        self._tell(word, f"2026-03-{day}T10:00:00Z", row=row)
                        self.assertTrue(row.attention)
                    self.assertIn(told, row.reason)
                    self.assertEqual(row.status, words[-1])
                    self.assertEqual(row.state, "posted")
                    self.assertTrue(row.attention)
                    self.assertNotIn(words[0], row.reason)
                    self.assertFalse(row.activity_ids)
                    self.assertIn(row, row.search(row._todo_domain()))
                    if step is changed:
                        self.assertEqual(row.credit_open, 15000)
                        self.assertEqual(move.amount_residual, 150000)
                        continue
                    # It ends with its own cause.
                    if move.state == "cancel":
                        move.button_draft()
                    move.action_post()
                    self.assertQuiet(row)
                    self.assertBooked(row, 150000)
                    self.assertEqual(move.amount_residual, 0)

    def test_reversal_by_hand_ends_the_activity(self):
        self._tell("FAILED")
        self.row.account_payment_ids.action_draft()
        self.row.account_payment_ids.action_cancel()
        self.assertEqual(self.row.state, "reversed")
        self.assertFalse(self.row.attention)
        self.assertFalse(self.row.activity_ids)

    def test_advice_can_be_followed_by_a_mirror_entry_too(self):
        for word, reversal in (
            ("FAILED", "auto"),
            ("REVERSED", "alert"),
            ("CHARGEBACK", "alert"),
        ):
            with self.subTest(word):
                self.provider.clickpesa_reversal = reversal
                move = self._invoice(2000)
                row = self._post(self._confirmed(move.billpay_number_id, 2000))
                self._tell(word, row=row)
                self.assertTrue(row.activity_ids)
                entry = self._entry(row)
                entry._reverse_moves([{"date": entry.date}], cancel=True)
                self._process()
                self.assertEqual(row.state, "reversed")
                self.assertFalse(row.attention or row.activity_ids)
                self.assertFalse(row.next_try_at)
                self.assertEqual(len(entry.reversal_move_ids), 1)
                self.assertRecordValues(
                    move, [{"amount_residual": 2000, "payment_state": "not_paid"}]
                )

    def test_credit_that_was_taken_back_pays_nothing(self):
        self.provider.clickpesa_reversal = "alert"
        other = self._invoice(400)
        for word in ("REVERSED", "REFUND", "FAILED"):
            with self.subTest(word):
                move = self._invoice(1000)
                row = self._post(self._confirmed(move.billpay_number_id, 1400))
                self._tell(word, row=row)
                with self.assertRaises(UserError):
                    self.env["billpay.decision"]._use_credit(row, other)
                self.assertTrue(row.attention)
                self.assertEqual(len(row.activity_ids), 1)
                self.assertEqual(other.amount_residual, 400)

    def test_used_credit_does_not_end_a_doubt(self):
        move, other = self._invoice(1000), self._invoice(400)
        row = self._post(self._confirmed(move.billpay_number_id, 1400))
        self._tell("ON-HOLD", row=row)
        self.env["billpay.decision"]._use_credit(row, other)
        self.assertEqual(other.amount_residual, 0)
        self.assertTrue(row.attention)
        self.assertIn("ON-HOLD", row.reason)
