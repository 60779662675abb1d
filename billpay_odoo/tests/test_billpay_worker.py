# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Asking ClickPesa about what somebody announced."""

from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from ..clickpesa import BudgetSpent, ClickPesaError
from .common import BillPayCommon

ALL = "/third-parties/payments/all"
ONE = "/third-parties/payments/11"


@tagged("post_install", "-at_install")
class TestConfirming(BillPayCommon):
    def _announced(self, count):
        moves = self.env["account.move"]
        payments = []
        for index in range(count):
            moves |= self._invoice(1000 + index)
        self._sync()
        for index, move in enumerate(moves):
            payments.append(self._pay(move.billpay_number_id.name, 1000 + index))
            self._event(payments[-1])
        return moves, payments

    def test_few_are_asked_for_one_by_one(self):
        moves, payments = self._announced(2)
        self._process()
        self.assertEqual(self.sandbox.count_calls(ALL), 0)
        self.assertEqual(self.sandbox.count_calls(ONE), 2)
        for payment, move in zip(payments, moves, strict=True):
            self.assertBooked(self._ledger(payment), move.amount_total)

    def test_many_are_asked_for_by_one_page(self):
        moves, payments = self._announced(8)
        self._process()
        self.assertEqual(self.sandbox.count_calls(ALL), 1)
        self.assertEqual(self.sandbox.count_calls(ONE), 0)
        for payment, move in zip(payments, moves, strict=True):
            self.assertBooked(self._ledger(payment), move.amount_total)
        self.assertEqual(sum(moves.mapped("amount_residual")), 0)

    def test_out_of_time_those_not_asked_for_wait_no_longer(self):
        moves, payments = self._announced(4)
        cron = type(self.env["ir.cron"])
        with patch.object(cron, "_commit_progress", lambda *_a, **_k: 0):
            self._process()
        ledger = self.env["billpay.payment"].sudo()
        rows = ledger.search([("reference", "in", [p["id"] for p in payments])])
        self.assertEqual(self.sandbox.count_calls(ONE), 1)
        left = rows.filtered(lambda row: row.state == "received")
        self.assertEqual(len(left), 3)
        self.assertLessEqual(max(left.mapped("next_try_at")), fields.Datetime.now())
        self.assertEqual(set(left.mapped("attempts")), {0})
        self._process()
        for payment, move in zip(payments, moves, strict=True):
            self.assertBooked(self._ledger(payment), move.amount_total)

    def test_what_the_pages_do_not_show_is_asked_for_by_itself(self):
        moves, payments = self._announced(7)
        # Announced for another day than ClickPesa has.
        self._event(payments[0], signed=False)
        with self._workers():
            ledger = self.env["billpay.payment"].sudo()
            ledger.env["billpay.worker"]._take_events()
            rows = ledger.search([("reference", "in", [p["id"] for p in payments])])
            rows.paid_at = fields.Datetime.now() - timedelta(days=20)
            rows[0].paid_at = "0001-01-01 00:00:00"
            rows[0].flush_recordset()
        self._process()
        self.assertEqual(self.sandbox.count_calls(ALL), 1)
        self.assertLessEqual(self.sandbox.count_calls(ONE), 7)
        for payment, move in zip(payments, moves, strict=True):
            self.assertBooked(self._ledger(payment), move.amount_total)

    def test_false_ones_among_many_are_never_booked(self):
        moves, payments = self._announced(8)
        with self.sandbox.store.transaction() as gateway:
            for payment in payments[:3]:
                gateway.execute("DELETE FROM payment WHERE id = ?", (payment["id"],))
        self._process()
        for payment in payments[:3]:
            row = self._ledger(payment)
            self.assertEqual(row.state, "received")
            self.assertIn("does not know", row.reason)
            self.assertFalse(row.account_payment_ids)
        for payment, move in zip(payments[3:], moves[3:], strict=True):
            self.assertBooked(self._ledger(payment), move.amount_total)

    def test_denied_for_a_day_it_is_for_a_person(self):
        moves, payments = self._announced(1)
        self.sandbox.reset()
        self._process()
        row = self._ledger(payments[0]).sudo()
        first = row.next_try_at
        self.assertFalse(row.attention)
        row.next_try_at = False
        self._process()
        self.assertGreater(row.next_try_at, first)
        self.env.cr.execute(
            "UPDATE billpay_payment SET create_date = create_date - interval '2 days',"
            " attempts = 12, next_try_at = NULL WHERE id = %s",
            (row.id,),
        )
        self.env.invalidate_all()
        self._process()
        self.assertEqual(row.state, "received")
        self.assertTrue(row.attention)
        self.assertGreater(row.next_try_at, fields.Datetime.now() + timedelta(hours=23))
        self.assertEqual(moves.amount_residual, 1000)
        self.assertFalse(row.account_payment_ids)

    def test_idle_worker_asks_one_question(self):
        self._process()
        ledger = self.env["billpay.payment"].sudo()
        self.env.flush_all()
        with self.assertQueryCount(1):
            ledger._cron_process_payments()

    def _without_credentials(self):
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE payment_provider SET clickpesa_api_key = NULL WHERE id = %s",
            (self.provider.id,),
        )
        self.env.invalidate_all()

    def test_without_credentials_nobody_is_asked(self):
        moves, payments = self._announced(1)
        self._without_credentials()
        calls = self.sandbox.count_calls()
        self._poll()
        self._process()
        row = self._ledger(payments[0])
        self.assertEqual(self.sandbox.count_calls(), calls)
        self.assertFalse(self.provider.billpay_poll_error)
        self.assertEqual(row.state, "received")
        self.assertTrue(row.attention)
        self.assertIn("API key", row.reason)
        self.assertEqual(moves.amount_residual, 1000)
        # With credentials it goes on by itself.
        self.provider.clickpesa_api_key = "SKsandbox"
        self._process()
        self.assertBooked(row, 1000)
        self.assertFalse(row.attention)

    def test_success_is_asked_for_at_once_however_long_it_took(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self.sandbox.set_status(payment["id"], "PROCESSING")
        self._poll()
        self._process()
        row = self._ledger(payment)
        later = fields.Datetime.now() + timedelta(hours=2)
        row.sudo().write({"attempts": 8, "next_try_at": later})
        # Told once more that it has not come: its turn stays.
        self._event(payment)
        self._process()
        self.assertEqual(row.next_try_at, later)
        self.sandbox.set_status(payment["id"], "SUCCESS")
        self._event(payment)
        self._process()
        self.assertBooked(row, 150000)

    def test_answer_that_comes_late_does_not_touch_what_is_booked(self):
        """The poll may bring a payment while a worker asks for it."""
        _moves, payments = self._announced(1)
        self._process()
        row = self._ledger(payments[0]).sudo()
        self.assertBooked(row, 1000)
        before = row.read(["state", "reason", "attempts", "next_try_at", "attention"])
        self.env["billpay.worker"]._note_denial(row)
        self.env["billpay.worker"]._note_trouble(row, ClickPesaError("No answer."))
        self.env["billpay.worker"]._store_unasked(
            row, BudgetSpent("Enough.", retry_after=5)
        )
        after = row.read(["state", "reason", "attempts", "next_try_at", "attention"])
        self.assertEqual(before, after)
