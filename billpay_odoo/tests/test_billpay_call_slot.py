# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How often ClickPesa is called: the budget, and the pause after trouble."""

import json
from datetime import timedelta

from freezegun import freeze_time

from odoo import Command, fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import new_test_user, tagged

from .. import const
from ..clickpesa import BudgetSpent, parse_notification
from ..models.provider.billpay_call_slot import SHARES, WINDOW
from ..transactions import LONGEST_PAUSE, own_transaction
from .common import BillPayCommon


class CallsCommon(BillPayCommon):
    def _second_application(self, **values):
        other = self.setup_other_company(name="Shule ya Pili", currency_id=self.tzs.id)
        return other, self._make_application(other["company"], **values)

    def _invoice_of(self, company_data):
        """A posted invoice of the other company."""
        moves = self.env["account.move"].with_context(
            allowed_company_ids=company_data["company"].ids
        )
        move = moves.create(
            {
                "move_type": "out_invoice",
                "partner_id": self.partner.id,
                "currency_id": self.tzs.id,
                "invoice_line_ids": [
                    Command.create({"name": "x", "price_unit": 500, "tax_ids": []})
                ],
            }
        )
        move.action_post()
        return move


@tagged("post_install", "-at_install")
class TestCallBudget(CallsCommon):
    def setUp(self):
        super().setUp()
        self.provider.clickpesa_calls_per_minute = 3
        self.slots = self.env["billpay.call.slot"]

    def _later(self, seconds):
        """Let time pass for the slots, whose clock is the database's."""
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE billpay_call_slot SET used_at = used_at - interval '1 second' * %s",
            (seconds,),
        )
        self.env.invalidate_all()

    def _take(self):
        budget = self.env["billpay.gate"]._budget(self.provider)
        with self._workers(), own_transaction(self.env(su=True)) as env:
            return env["billpay.call.slot"]._take(*budget)

    def test_no_window_sees_more_calls_than_allowed(self):
        self.assertEqual([self._take() for _call in range(3)], [0, 0, 0])
        self.assertAlmostEqual(self._take(), WINDOW, delta=2)
        self._later(40)
        self.assertAlmostEqual(self._take(), WINDOW - 40, delta=2)
        self._later(WINDOW - 40)
        self.assertEqual([bool(self._take()) for _call in range(4)], [0, 0, 0, 1])

    def test_slots_used_at_different_times_free_one_by_one(self):
        self._take()
        self._later(30)
        self._take()
        self._take()
        self._later(WINDOW - 30)
        self.assertEqual(self._take(), 0)
        self.assertAlmostEqual(self._take(), 30, delta=2)

    def test_a_smaller_limit_holds_at_once(self):
        self._take()
        self._later(WINDOW)
        self.provider.clickpesa_calls_per_minute = 1
        self.assertEqual(self._take(), 0)
        self.assertTrue(self._take())

    def test_a_clock_put_back_stops_nobody(self):
        self.assertEqual([self._take() for _call in range(3)], [0, 0, 0])
        self._later(-86400)
        self.assertEqual(self._take(), 0)

    def test_zero_is_no_limit(self):
        self.provider.clickpesa_calls_per_minute = 0
        self._invoice()
        self._sync()
        self.assertFalse(self.slots.search([]))
        with self.assertRaises(ValidationError):
            self.provider.clickpesa_calls_per_minute = -1

    def test_questions_about_announcements_leave_half_of_the_calls(self):
        """However many deliveries are forged, numbers and checkouts do not wait."""
        for limit in (5, 8, 21):
            with self.subTest(limit):
                self.slots.sudo().search([]).unlink()
                self.provider.clickpesa_calls_per_minute = limit
                for index in range(2 * limit):
                    body = {"data": {"id": f"F{limit}-{index}", "status": "SUCCESS"}}
                    body["data"]["orderReference"] = f"1122{limit}{index:04}"
                    raw = json.dumps(body).encode()
                    self.env["billpay.event"]._store_delivery(
                        self.provider.sudo(),
                        raw,
                        parse_notification(raw),
                        signed=False,
                    )
                before = self.sandbox.count_calls()
                self._process()
                half = (limit + 1) // 2
                self.assertEqual(self.sandbox.count_calls() - before, half)
                move = self._invoice()
                self._sync()
                self.assertEqual(move.billpay_number_id.state, "open")
                self.assertFalse(self.provider.billpay_paused_until)
                # The poll, which finds what was not asked for.
                self._poll()
                self.assertFalse(self.provider.billpay_poll_error)

    def test_numbers_may_use_all_calls(self):
        self.provider.clickpesa_calls_per_minute = 4
        budget, limit = self.env["billpay.gate"]._budget(self.provider)
        half = [self.slots._take_once(budget, limit, 2)[0] for _call in range(4)]
        self.assertEqual(half, [False, True, True, False])
        left = [self.slots._take_once(budget, limit, 4)[0] for _call in range(3)]
        self.assertEqual(left, [True, True, False])
        self._later(WINDOW)
        taken = [self.slots._take_once(budget, limit, 4)[0] for _call in range(5)]
        self.assertEqual(taken, [True] * 4 + [False])

    def test_every_call_takes_a_slot(self):
        self._invoice()
        self._sync()
        self.assertEqual(self.sandbox.count_calls(), 2)  # token and creation
        used = self.slots.search([("used_at", "!=", False)])
        self.assertEqual(len(used), 2)

    def test_applications_of_one_client_id_share_the_smallest_limit(self):
        _other, provider = self._second_application(clickpesa_calls_per_minute=2)
        self.assertEqual(
            self.env["billpay.gate"]._budget(self.provider),
            (self.env["billpay.gate"]._budget(provider)[0], 2),
        )
        provider.clickpesa_client_id = "IDanother"
        self.assertEqual(self.env["billpay.gate"]._budget(self.provider)[1], 3)
        self.assertNotEqual(
            self.env["billpay.gate"]._budget(self.provider)[0],
            self.env["billpay.gate"]._budget(provider)[0],
        )

    def test_slots_do_not_tell_the_client_id(self):
        self._take()
        self.assertNotIn("IDsandbox", self.slots.search([], limit=1).budget)
        clerk = new_test_user(
            self.env, "billpay_calls_clerk", groups="account.group_account_manager"
        )
        with self.assertRaises(AccessError):
            self.slots.with_user(clerk).search([])
        self.assertNotIn(
            "clickpesa_calls_per_minute",
            self.env["payment.provider"].with_user(clerk).fields_get(),
        )

    def test_spent_budget_is_no_try_and_goes_on_with_the_next_slot(self):
        number = self._registered_invoice().billpay_number_id.sudo()
        self._take()
        late = self._invoice().billpay_number_id.sudo()
        calls = self.sandbox.count_calls()
        self._sync()
        self.assertEqual(self.sandbox.count_calls(), calls)
        self.assertEqual((late.state, late.sync_attempts), ("pending", 0))
        self.assertIn("3 calls per minute", late.sync_error)
        self.assertFalse(self.provider.billpay_trouble_count)
        due = self.provider.billpay_paused_until
        self.assertEqual(late.sync_at, due)
        self.assertLessEqual(due, fields.Datetime.now() + timedelta(seconds=WINDOW + 1))
        cron = self.env.ref("billpay_odoo.ir_cron_sync_numbers")
        triggers = self.env["ir.cron.trigger"].sudo()
        self.assertTrue(
            triggers.search([("cron_id", "=", cron.id), ("call_at", "=", due)])
        )
        self._sync(paused=True)
        self.assertEqual(self.sandbox.count_calls(), calls)
        self._later(WINDOW)
        with freeze_time(due + timedelta(seconds=1)):
            self._sync(paused=True)
        self.assertEqual(late.state, "open")
        self.assertFalse(self.provider.billpay_trouble)
        self.assertEqual(number.state, "open")

    def test_spent_budget_of_one_application_stops_no_other(self):
        other, provider = self._second_application(clickpesa_client_id="IDother")
        for _call in range(3):
            self._take()
        ours, _theirs = self._invoice(), self._invoice_of(other)
        self._sync()
        self.assertEqual(ours.billpay_number_id.state, "pending")
        # The sandbox refuses the foreign client id: it was asked all the same.
        self.assertEqual(self.sandbox.count_calls(), 1)
        self.assertTrue(provider.billpay_trouble_count)

    def test_a_click_without_a_slot_says_when_it_goes_on(self):
        number = self._invoice().billpay_number_id
        for _call in range(3):
            self._take()
        with self._workers():
            [outcome] = self.env["billpay.sync"]._sync_now(number).values()
        self.assertEqual(outcome["state"], "pending")
        self.assertIn("within a minute", outcome["error"])
        self.assertEqual(self.sandbox.count_calls(), 0)

    def test_payments_wait_for_a_slot_without_losing_a_try(self):
        self.provider.clickpesa_calls_per_minute = 0
        moves = [self._registered_invoice(1000) for _index in range(2)]
        payments = [self._pay(m.billpay_number_id.name, 1000) for m in moves]
        for payment in payments:
            self._event(payment, signed=False)
        self.provider.clickpesa_calls_per_minute = 1
        self._take()
        calls = self.sandbox.count_calls()
        self._process()
        self.assertEqual(self.sandbox.count_calls(), calls)
        rows = self._ledger(payments[0]) + self._ledger(payments[1])
        soon = fields.Datetime.now() + timedelta(seconds=WINDOW + 1)
        for row in rows:
            self.assertEqual((row.state, row.attempts), ("received", 0))
            self.assertLessEqual(row.next_try_at, soon)

    def test_a_long_poll_goes_on_where_the_budget_ended(self):
        self.provider.clickpesa_calls_per_minute = 0
        move = self._registered_invoice(1000)
        # Payments of numbers that nobody knows: each is a row of its own.
        for index in range(7):
            self._pay("11229990%s" % index, 1000 + index)
        self.provider.clickpesa_calls_per_minute = 3
        self.patch(const, "POLL_PAGE", 1)
        self._poll()
        ledger = self.env["billpay.payment"]
        domain = [("provider_id", "=", self.provider.id)]
        self.assertEqual(ledger.search_count(domain), 3)
        self.assertFalse(self.provider.billpay_polled_until)
        self.assertTrue(self.provider.billpay_poll_rest)
        begun = self.provider.billpay_poll_rest["moments"][0]
        # One more arrives while the scan waits.
        self._pay(move.billpay_number_id.name, 1000)
        for _turn in range(2):
            self._later(WINDOW)
            self._poll()
        self.assertFalse(self.provider.billpay_poll_rest)
        self.assertFalse(self.provider.billpay_poll_error)
        self.assertEqual(
            fields.Datetime.to_string(self.provider.billpay_polled_until), begun
        )
        self.assertEqual(ledger.search_count(domain), 7)
        # All of the scan are there; the next poll finds the one of meanwhile.
        self._later(WINDOW)
        self._poll()
        self.assertEqual(ledger.search_count(domain), 8)

    def test_slots_that_nobody_uses_are_forgotten(self):
        self._take()
        self._later(3 * 86400)
        self.slots.sudo()._gc_call_slots()
        self.assertFalse(self.slots.search([]))
        self.assertEqual(self._take(), 0)

    def test_the_gate_refuses_with_the_seconds_to_wait(self):
        with self._workers():
            gate = self.slots._gate("x", 1)
            gate()
            with self.assertRaises(BudgetSpent) as caught:
                gate()
        self.assertAlmostEqual(caught.exception.retry_after, WINDOW, delta=2)


@tagged("post_install", "-at_install")
class TestPause(CallsCommon):
    def test_outage_of_a_day_heals_by_itself(self):
        changed = self._registered_invoice(5000).billpay_number_id.sudo()
        waiting = [self._invoice(1000 + index) for index in range(3)]
        changed.amount = 4000
        self.sandbox.faults.add("error", times=-1)
        start = now = fields.Datetime.now()
        before = self.sandbox.count_calls()
        pauses, probes = [], 0
        while now < start + timedelta(days=1):
            with freeze_time(now):
                if len(pauses) == 3:
                    # An invoice of the middle of the night waits with the others.
                    waiting.append(self._invoice(9000))
                self._sync(paused=True)
                probes += 1
                self._sync(paused=True)  # the next minute: nobody is called
                self.assertEqual(self.sandbox.count_calls() - before, probes)
            until = self.provider.billpay_paused_until
            pauses.append((until - now).total_seconds())
            now = until + timedelta(seconds=1)
        self.assertLess(probes, 20)
        self.assertLess(pauses[0], 75)
        self.assertGreater(max(pauses), 3600)
        self.assertLessEqual(max(pauses), 1.2 * LONGEST_PAUSE + 1)
        self.assertIn("ClickPesa has a problem", self.provider.billpay_trouble)
        self.sandbox.faults.clear()
        with freeze_time(now):
            self._sync(paused=True)
        self.assertEqual({m.billpay_number_id.state for m in waiting}, {"open"})
        self.assertFalse(changed.sync_at)
        self.assertEqual(self.sandbox.number(changed.name)["amount"], 4000)
        self.assertRecordValues(
            self.provider,
            [
                {
                    "billpay_paused_until": False,
                    "billpay_trouble": False,
                    "billpay_trouble_count": 0,
                }
            ],
        )

    def test_one_probe_at_a_time(self):
        """While one call shows how things are, another worker claims nothing."""
        first, second = self._invoice(), self._invoice()
        second.billpay_number_id.sudo().kind = "customer"
        self.provider.billpay_trouble_count = 2
        with self._workers(), own_transaction(self.env(su=True)) as env:
            numbers = env["billpay.control.number"]
            claimed = numbers.env["billpay.sync"]._claim()
            self.assertEqual(len(claimed), 1)
            self.assertFalse(numbers.env["billpay.sync"]._claim())
        self.assertTrue(first and second)

    def test_trouble_of_one_application_pauses_no_other(self):
        other, provider = self._second_application()
        provider.clickpesa_base_url = "https://sandbox.example.test/nowhere"
        ours, theirs = self._invoice(), self._invoice_of(other)
        self._sync()
        self.assertEqual(ours.billpay_number_id.state, "open")
        self.assertEqual(theirs.sudo().billpay_number_id.state, "pending")
        self.assertTrue(provider.billpay_paused_until)
        self.assertFalse(self.provider.billpay_paused_until)

    def test_a_poll_that_is_answered_ends_the_pause(self):
        number = self._invoice().billpay_number_id
        self.sandbox.faults.add("error", match="bulk-create", times=1)
        self._sync()
        self.assertTrue(self.provider.billpay_paused_until)
        self._poll()
        self.assertFalse(self.provider.billpay_paused_until)
        self._sync(paused=True)
        self.assertEqual(number.state, "open")

    def test_corrected_credentials_end_the_pause(self):
        number = self._invoice().billpay_number_id
        self.provider.clickpesa_api_key = "SKwrong"
        self._sync()
        self.assertTrue(self.provider.billpay_trouble)
        self.provider.clickpesa_api_key = "SKsandbox"
        self._sync(paused=True)
        self.assertEqual(number.state, "open")

    def test_a_click_does_not_wait_for_the_pause(self):
        number = self._invoice().billpay_number_id
        self.sandbox.faults.add("error", match="bulk-create", times=1)
        self._sync()
        with self._workers():
            [outcome] = self.env["billpay.sync"]._sync_now(number).values()
        self.assertEqual(outcome["state"], "open")
        self.assertFalse(self.provider.billpay_paused_until)

    def test_the_wait_that_clickpesa_asks_for_is_kept(self):
        self._invoice()
        self.sandbox.faults.add(
            "rate_limit", match="bulk-create", times=1, retry_after=1800
        )
        self._sync()
        wait = self.provider.billpay_paused_until - fields.Datetime.now()
        self.assertGreater(wait.total_seconds(), 1700)


@tagged("post_install", "-at_install")
class TestShares(CallsCommon):
    """What people wait for is not kept waiting by what nobody waits for."""

    def setUp(self):
        super().setUp()
        self.purpose = self.env["billpay.purpose"].create(
            {"name": "Ada", "company_id": self.company.id}
        )
        self.pupils = self.env["res.partner"].create(
            [{"name": f"Pupil {i}", "phone": "0712345678"} for i in range(30)]
        )
        self.numbers = self.purpose._reserve(self.pupils).sudo()
        self.invoice = self._invoice(7000)
        self._sync()
        self.assertEqual(set(self.numbers.mapped("state")), {"open"})

    def _limit(self, limit):
        self.env["billpay.call.slot"].sudo().search([]).unlink()
        self.provider.clickpesa_calls_per_minute = limit

    def _asked(self, since):
        """Return what the sync worker has sent since so many calls, in order."""
        calls = self.sandbox.calls()[since:]
        kinds = []
        for call in calls:
            if "bulk-create" in call["path"] or call["path"].endswith("-number"):
                kinds.append("creation")
            elif call["method"] == "PATCH":
                members = set(call["body"]) - {"checksum"}
                kinds.append("text" if members == {"billDescription"} else "change")
        return kinds

    def test_a_renamed_purpose_blocks_nobody(self):
        for limit in (6, 10, 20, 25):
            with self.subTest(limit):
                self._limit(limit)
                self.purpose.name = f"Ada {limit}"
                self._sync()
                self.assertTrue(
                    self.numbers.filtered("sync_at"), "the limit is reached"
                )
                self.assertFalse(self.provider.billpay_paused_until)
                # Confirming: the worker registers the number.
                move = self._invoice(1000 + limit)
                self._sync()
                self.assertEqual(move.billpay_number_id.state, "open")
                # A payment is announced, and ClickPesa is asked for it.
                paid = self._pay(move.billpay_number_id.name, 1000 + limit)
                self._event(paid, signed=False)
                self._process()
                self.assertEqual(self._ledger(paid).state, "posted")
                self.assertEqual(move.payment_state, self._paid_state())
                self._poll()
                self.assertFalse(self.provider.billpay_poll_error)
                # A person's click, as at a checkout or a till.
                other = self._invoice(2000 + limit)
                with self._workers():
                    number = other.billpay_number_id
                    [outcome] = self.env["billpay.sync"]._sync_now(number).values()
                self.assertEqual(outcome["state"], "open")

    def _paid_state(self):
        return self.env["account.move"]._get_invoice_in_payment_state()

    def test_new_numbers_come_first_then_amounts_then_texts(self):
        for limit in (0, 100):
            with self.subTest(limit):
                self._limit(limit)
                since = self.sandbox.count_calls()
                # In the wrong order.
                self.purpose.name = f"Ada {limit}"
                later = self.numbers[:4]
                later._want_each(dict.fromkeys(later, {"amount": 5000 + limit}))
                self.numbers[5].with_context(tracking_disable=True)._close()
                self._invoice(3000)
                self._sync()
                kinds = self._asked(since)
                changes = ["change"] * 5
                self.assertEqual(kinds[:6], ["creation", *changes])
                self.assertEqual(set(kinds[6:]), {"text"})
                self.assertEqual(self.numbers[0].known_amount, 5000 + limit)
                self.numbers[5]._reopen()
                self._sync()

    def test_an_amount_overtakes_the_texts_that_wait(self):
        self._limit(12)
        self.purpose.name = "Ada mpya"
        self._sync()
        last = self.numbers.filtered(lambda n: n.sync_at and not n.sync_error)[-1]
        last._want({"amount": 9000})
        since = self.sandbox.count_calls()
        self._sync()
        self.assertEqual(self._asked(since)[:1], ["change"])
        self.assertEqual(self.sandbox.number(last.name)["amount"], 9000)

    def test_many_amounts_leave_calls_for_new_numbers(self):
        for limit in (6, 12, 24):
            with self.subTest(limit):
                self._limit(limit)
                asked = dict.fromkeys(self.numbers, {"amount": 100 * limit})
                self.numbers._want_each(asked)
                self._sync()
                self.assertTrue(self.numbers.filtered("sync_at"))
                move = self._invoice(4000 + limit)
                self._sync()
                self.assertEqual(move.billpay_number_id.state, "open")

    def test_few_calls_a_minute_are_kept_for_people_too(self):
        for limit in (2, 3, 4, 5):
            with self.subTest(limit):
                self._limit(limit)
                self.purpose.name = f"Ada {limit}"
                self._sync()
                self.assertTrue(self.numbers.filtered("sync_at"))
                other = self._invoice(2000 + limit)
                with self._workers():
                    number = other.billpay_number_id
                    [outcome] = self.env["billpay.sync"]._sync_now(number).values()
                self.assertEqual(outcome["state"], "open")
                # And for one minute of their own, to texts.
                self._limit(limit)
                self.numbers.filtered("sync_at").sync_at = "2020-01-01"
                before = self.numbers.filtered("sync_at")
                self._sync()
                self.assertLess(len(self.numbers.filtered("sync_at")), len(before))

    def test_texts_end_with_the_next_minutes(self):
        self._limit(20)
        self.purpose.name = "Ada ya mwisho"
        for _minute in range(4):
            self._sync()
            self.env.flush_all()
            self.env.cr.execute("UPDATE billpay_call_slot SET used_at = NULL")
            self.numbers.filtered("sync_at").sync_at = "2020-01-01"
        self._sync()
        self.assertFalse(self.numbers.filtered("sync_at"))
        there = self.sandbox.number(self.numbers[7].name)["description"]
        self.assertIn("Ada ya mwisho", there)

    def test_shares_of_every_limit(self):
        slots = self.env["billpay.call.slot"]
        for limit in (*range(1, 40), 60, 100, 1000):
            with self.subTest(limit):
                least = [slots._share(limit, share)[0] for share in SHARES]
                self.assertEqual(least, sorted(least))
                for share in SHARES:
                    first, behind = slots._share(limit, share)
                    self.assertTrue(0 <= first < behind <= limit)
                question = slots._share(limit, "question")
                self.assertEqual(question[1] - question[0], (limit + 1) // 2)
                # Forged announcements leave some to each.
                for share in ("person", "poll", "creation"):
                    first, behind = slots._share(limit, share)
                    if limit > 1:
                        self.assertTrue(first < question[0] or behind > question[1])
