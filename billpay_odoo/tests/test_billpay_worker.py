# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Asking ClickPesa about what somebody announced."""

from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from ..clickpesa import (
    AuthenticationRefused,
    BudgetSpent,
    ClickPesaError,
    Refused,
)
from ..models.payment import billpay_worker
from ..transactions import own_transaction
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


@tagged("post_install", "-at_install")
class TestQuestions(BillPayCommon):
    """Whether what ClickPesa reported still holds, is asked again."""

    def _booked(self, amount=1000, ago=timedelta()):
        move = self._registered_invoice(amount)
        self.sandbox.clock.advance(-ago.total_seconds())
        payment = self._pay(move.billpay_number_id.name, amount)
        self.sandbox.clock.reset()
        self._event(payment)
        self._process()
        row = self._ledger(payment).sudo()
        self.assertBooked(row, amount)
        return move, payment, row

    def _asked(self):
        before = self.sandbox.count_calls(ONE)
        self._process()
        return self.sandbox.count_calls(ONE) - before

    def _days_later(self, row, days):
        """The question of this row as it stands so many days later."""
        row.ask_at -= timedelta(days=days, minutes=1)
        row.paid_at -= timedelta(days=days)

    def test_money_that_is_not_settled_is_asked_about_once_more(self):
        _move, payment, row = self._booked()
        self.assertAlmostEqual(
            row.ask_at, fields.Datetime.now() + timedelta(3), delta=timedelta(minutes=1)
        )
        self.assertEqual(self._asked(), 0)
        # Still not settled: the distance grows.
        for days, pause in ((3, 3), (3, 6), (6, 12), (12, 24)):
            with self.subTest(days=days):
                self._days_later(row, days)
                self.assertEqual(self._asked(), 1)
                self.assertAlmostEqual(
                    row.ask_at,
                    fields.Datetime.now() + timedelta(pause),
                    delta=timedelta(minutes=1),
                )
                self.assertEqual(self._asked(), 0)
        # Settled: nothing is asked any more.
        self.sandbox.settle(payment["id"])
        self._days_later(row, 24)
        self.assertEqual(self._asked(), 1)
        self.assertEqual((row.state, row.status), ("posted", "SETTLED"))
        self.assertFalse(row.ask_at)
        self.assertFalse(row.attention)

    def test_settled_money_is_not_asked_about(self):
        move = self._registered_invoice(1000)
        payment = self._pay(move.billpay_number_id.name, 1000)
        self.sandbox.settle(payment["id"])
        self._poll()
        self._process()
        self.assertBooked(self._ledger(payment), 1000)
        self.assertFalse(self._ledger(payment).ask_at)
        # Nor what the poll found to be settled.
        _move, other, row = self._booked()
        self.sandbox.settle(other["id"])
        self._poll()
        self.assertFalse(row.ask_at)

    def test_a_reversal_that_no_poll_has_seen(self):
        for word in ("REVERSED", "REFUNDED"):
            with self.subTest(word=word):
                move, payment, row = self._booked()
                self.sandbox.set_status(payment["id"], word)
                self._days_later(row, 3)
                self.assertEqual(self._asked(), 1)
                self.assertEqual((row.state, row.status), ("reversed", word))
                self.assertFalse(row.ask_at)
                self.assertEqual(move.amount_residual, 1000)
                self.assertEqual(move.payment_state, "not_paid")

    def test_questions_of_one_run_are_bounded(self):
        self.patch(billpay_worker, "QUESTIONS", 10)
        payments = [self._pay(f"11229990{index:02}", 1000) for index in range(13)]
        self._poll()
        rows = self.env["billpay.payment"].sudo()
        for payment in payments:
            rows |= self._ledger(payment)
        rows.ask_at = fields.Datetime.now() - timedelta(minutes=1)
        self.env.flush_all()
        with self._workers():
            self.assertEqual(
                [self._asked_by_one_run(), self._asked_by_one_run()], [10, 3]
            )

    def _asked_by_one_run(self):
        before = self.sandbox.count_calls(ONE)
        with own_transaction(self.env(su=True)) as env:
            env["billpay.worker"]._process_payments()
        return self.sandbox.count_calls(ONE) - before

    def _rows_to_ask(self, count, first=0):
        """Payments of unknown numbers about which ClickPesa is to be asked."""
        rows = self.env["billpay.payment"].sudo()
        payments = [
            self._pay(f"11229990{first + index:02}", 1000) for index in range(count)
        ]
        self._poll()
        for payment in payments:
            rows |= self._ledger(payment)
        self.assertEqual(len(rows), count)
        return rows

    def test_application_that_cannot_be_asked_holds_up_no_other(self):
        mute = self._make_application(
            self.company,
            name="Mute",
            clickpesa_client_id="IDmute",
            clickpesa_billpay_namba="3344",
        )
        self.patch(billpay_worker, "QUESTION_BATCH", 4)
        theirs = self._rows_to_ask(6)
        theirs.provider_id = mute
        mine = self._rows_to_ask(2, first=50)
        due = fields.Datetime.now() - timedelta(minutes=1)
        for gone in (
            {"clickpesa_client_id": False, "clickpesa_api_key": False},
            {"clickpesa_api_key": False},
            {"state": "disabled"},
        ):
            with self.subTest(gone):
                mute.write(
                    {
                        "clickpesa_client_id": "IDmute",
                        "clickpesa_api_key": "SKmute",
                        "clickpesa_number_origin": "offline",
                        "state": "test",
                    }
                )
                mute.write(gone)
                (theirs | mine).ask_at = due
                self.env.flush_all()
                calls = self.sandbox.count_calls(ONE)
                self._process()
                self.assertEqual(self.sandbox.count_calls(ONE) - calls, len(mine))
                self.assertTrue(all(row.ask_at > due for row in mine))
                # Theirs stand, for the day on which they can be asked.
                self.assertEqual(set(theirs.mapped("ask_at")), {due})

    def test_number_that_is_refused_holds_up_no_other(self):
        rows = self._rows_to_ask(5).sorted("id")
        client = type(self.provider.sudo()._billpay_client())
        original, asked, bad = client.payments, [], []

        def payments(this, number):
            asked.append(number)
            if number in bad:
                raise Refused("no", 400)
            return original(this, number)

        for refused in (rows[0], rows[2], rows[:2], rows[-1], rows[1:4]):
            with self.subTest(refused=refused.mapped("number")):
                asked.clear()
                bad[:] = refused.mapped("number")
                rows.ask_at = fields.Datetime.now() - timedelta(minutes=1)
                self.env.flush_all()
                with patch.object(client, "payments", payments):
                    self._process()
                self.assertEqual(sorted(asked), sorted(rows.mapped("number")))
                now = fields.Datetime.now()
                self.assertTrue(all(row.ask_at > now for row in refused))
                for row in rows - refused:
                    self.assertGreater(row.ask_at, now + timedelta(days=1))

    def test_refusal_of_the_application_ends_its_round(self):
        rows = self._rows_to_ask(4)
        client, asked = type(self.provider.sudo()._billpay_client()), []

        def payments(this, number):
            asked.append(number)
            raise AuthenticationRefused("no", 401)

        rows.ask_at = fields.Datetime.now() - timedelta(minutes=1)
        self.env.flush_all()
        with patch.object(client, "payments", payments):
            self._process()
        self.assertEqual(len(asked), 1)
        self.assertTrue(all(row.ask_at > fields.Datetime.now() for row in rows))

    def test_without_an_answer_the_question_stays(self):
        move, payment, row = self._booked()
        self.sandbox.set_status(payment["id"], "REVERSED")
        self._days_later(row, 3)
        self.sandbox.faults.add("error", times=-1)
        self._process()
        soon = fields.Datetime.now() + timedelta(minutes=11)
        self.assertLess(row.ask_at, soon)
        self.assertFalse(row.attention)
        self.assertEqual(move.amount_residual, 0)
        self.sandbox.faults.clear()
        row.ask_at = fields.Datetime.now()
        self._process()
        self.assertEqual((row.state, row.status), ("reversed", "REVERSED"))
        self.assertEqual(move.amount_residual, 1000)

    def test_signed_word_that_differs_is_asked_about(self):
        """Under confirmation by query nobody's word counts but ClickPesa's answer."""
        for word, signed, state, open_again in (
            ("REVERSED", True, "reversed", 1000),
            ("REVERSED", False, "reversed", 1000),
            ("REFUNDED", True, "reversed", 1000),
            # That is no word on money that went back: a person decides.
            ("FAILED", True, "posted", 0),
            ("FAILED", False, "posted", 0),
        ):
            with self.subTest(word=word, signed=signed):
                move, payment, row = self._booked()
                self.sandbox.set_status(payment["id"], word)
                self._event(payment, signed=signed)
                self.assertTrue(self._asked())
                self.assertEqual((row.state, row.status), (state, word))
                self.assertTrue(row.attention)
                self.assertIn(word, row.reason)
                self.assertEqual(move.amount_residual, open_again)

    def test_word_about_money_that_is_not_booked_is_asked_about(self):
        for index, word in enumerate(("REVERSED", "REFUNDED", "FAILED")):
            with self.subTest(word=word):
                payment = self._pay(f"112299900{index}", 1000)
                self._poll()
                self._process()
                row = self._ledger(payment)
                self.assertEqual(row.state, "unmatched")
                self._event(payment, change={"status": word})
                self.assertEqual(self._asked(), 1)
                # Forged, so far.
                self.assertEqual((row.state, row.status), ("unmatched", "SUCCESS"))
                self.sandbox.set_status(payment["id"], word)
                row.sudo().ask_at = fields.Datetime.now()
                self.assertEqual(self._asked(), 1)
                self.assertEqual((row.state, row.status), ("ignored", word))
                self.assertFalse(row.ask_at)
                self.assertFalse(row.account_payment_ids)

    def test_a_flood_of_forged_words_asks_seldom_and_changes_nothing(self):
        move, payment, row = self._booked()
        before = row.read(["state", "status", "reason", "attention", "amount"])
        asked = 0
        words = ("REVERSED", "REFUNDED", "FAILED", "REVERSE WITH CHARGES", "PENDING")
        for turn in range(4):
            for word in words:
                change = {"status": word, "message": f"Turn {turn}"}
                self._event(payment, signed=False, change=change)
                asked += self._asked()
        self.assertEqual(asked, 1)
        self.assertEqual(
            row.read(["state", "status", "reason", "attention", "amount"]), before
        )
        self.assertBooked(row, 1000)
        self.assertEqual(move.amount_residual, 0)
        # The next question comes after a pause, and each pause is longer.
        pauses = []
        for turn in range(4, 8):
            self.assertGreater(row.ask_at, fields.Datetime.now())
            pauses.append(row.asked_at - fields.Datetime.now())
            row.asked_at = row.ask_at = fields.Datetime.now()
            self.assertEqual(self._asked(), 1)
            change = {"status": "REVERSED", "message": f"Turn {turn}"}
            self._event(payment, signed=False, change=change)
            self._process()
        self.assertGreater(pauses[0], timedelta(seconds=90))
        self.assertEqual(pauses, sorted(pauses))
        self.assertGreater(pauses[-1], 3 * pauses[0])

    def test_a_flood_about_a_payment_that_failed_or_waits(self):
        for status, word in (("FAILED", "SUCCESS"), ("PROCESSING", "SUCCESS")):
            with self.subTest(status=status):
                payment = self._pay(f"112299{len(status)}", 1000)
                self.sandbox.set_status(payment["id"], status)
                self._poll()
                self._process()
                row = self._ledger(payment).sudo()
                asked = 0
                for turn in range(6):
                    change = {"status": word, "message": f"Turn {turn}"}
                    self._event(payment, signed=False, change=change)
                    asked += self._asked()
                self.assertEqual(asked, 1)
                self.assertFalse(row.account_payment_ids)

    def test_what_waits_for_a_disabled_application_holds_up_no_question(self):
        other = self._make_application(self.company, clickpesa_client_id="IDother")
        waiting = self._pay("1122999002", 1000)
        self._event(waiting, signed=False)
        with self._workers(), own_transaction(self.env(su=True)) as env:
            env["billpay.worker"]._take_events()
        self._ledger(waiting).sudo().provider_id = other
        other.state = "disabled"
        _move, payment, row = self._booked()
        self.sandbox.set_status(payment["id"], "REVERSED")
        self._days_later(row, 3)
        self._process()
        self.assertEqual((row.state, row.status), ("reversed", "REVERSED"))
        self.assertEqual(self._ledger(waiting).state, "received")

    def test_settled_money_is_not_asked_about_for_an_old_delivery(self):
        _move, payment, row = self._booked()
        body = {"message": "Again"}
        self._event(payment, change={**body, "updatedAt": "2020-01-01T00:00:00Z"})
        self.sandbox.settle(payment["id"])
        self._poll()
        self.assertEqual(row.status, "SETTLED")
        self.assertEqual(self._asked(), 0)

    def test_what_a_person_put_aside_is_not_asked_about(self):
        payment = self._pay("1122999001", 1000)
        self._poll()
        row = self._ledger(payment).sudo()
        row.write({"state": "ignored", "ignored_by_id": self.env.uid})
        self._event(payment, change={"status": "REVERSED"})
        self.assertEqual(self._asked(), 0)
