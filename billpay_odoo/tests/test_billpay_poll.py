# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import dataclasses
import time
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import tagged

from .. import const
from ..clickpesa import BudgetSpent, ClickPesaClient, ClickPesaError
from ..transactions import own_transaction
from .common import BillPayCommon

ALL = "/third-parties/payments/all"


@tagged("post_install", "-at_install")
class TestPollRows(BillPayCommon):
    def test_row_without_identity_is_shown_and_holds_up_nothing(self):
        move = self._registered_invoice(7000)
        payment = self._pay(move.billpay_number_id.name, 7000)
        nameless = self._pay("1122888", 500)
        original = ClickPesaClient.payments_page

        def page(client, **how):
            told = original(client, **how)
            return dataclasses.replace(
                told,
                payments=tuple(
                    dataclasses.replace(p, id="") if p.id == nameless["id"] else p
                    for p in told.payments
                ),
            )

        with (
            patch.object(ClickPesaClient, "payments_page", page),
            self.assertLogs("odoo.addons.billpay_odoo.models", "WARNING") as logs,
        ):
            self._poll()
        self.assertIn("without an id", logs.output[0])
        self.assertTrue(self.provider.billpay_polled_until)
        self.assertIn("without an identity", self.provider.billpay_poll_error)
        self._process()
        self.assertBooked(self._ledger(payment), 7000)
        self._poll()
        self.assertFalse(self.provider.billpay_poll_error)


class ScanCommon(BillPayCommon):
    """The list of payments in pages of ten."""

    def setUp(self):
        super().setUp()
        self.patch(const, "POLL_PAGE", 10)
        self.addCleanup(self.sandbox.settings.update, self.sandbox.settings.as_dict())

    def _at(self, ago, work):
        """Let something happen at ClickPesa some time ago."""
        self.sandbox.clock.advance(-ago.total_seconds())
        result = work()
        self.sandbox.clock.reset()
        return result

    def _paid(self, count, ago=timedelta(), apart=timedelta(seconds=20), prefix="9"):
        """Payments of numbers that nobody knows, the oldest first."""
        return [
            self._at(
                ago + (count - index) * apart,
                lambda index=index: self._pay(f"1122{prefix}{index:04}", 1000 + index),
            )
            for index in range(count)
        ]

    def _known_until(self, ago):
        self.provider.billpay_polled_until = fields.Datetime.now() - ago

    def _deep(self):
        self._run_cron("ir_cron_poll_payments_deep")

    def _calls(self, work):
        """Return the queries of the list that this work sends."""
        before = len(self.sandbox.calls(ALL))
        work()
        return [call["query"] for call in self.sandbox.calls(ALL)[before:]]

    def assertStored(self, payments):
        """Each of them has exactly one row in the ledger, and there is no other."""
        rows = self.env["billpay.payment"].search(
            [("provider_id", "=", self.provider.id)]
        )
        self.assertEqual(
            sorted(rows.mapped("reference")), sorted(p["id"] for p in payments)
        )


@tagged("post_install", "-at_install")
class TestChanges(ScanCommon):
    """New and changed rows are found alike, at a cost that grows with them."""

    def _booked(self, amount, ago):
        move = self._registered_invoice(amount)
        number = move.billpay_number_id.name
        self._had_since(number, fields.Datetime.now() - ago)
        payment = self._at(ago, lambda: self._pay(number, amount))
        self._event(payment)
        self._process()
        self.assertBooked(self._ledger(payment), amount)
        return move, payment

    def test_money_taken_back_is_found_at_any_age(self):
        self.provider.clickpesa_reversal = "auto"
        booked = [
            (*self._booked(1000 * days, timedelta(days=days)), days)
            for days in (2, 45, 500)
        ]
        others = self._paid(30, ago=timedelta(hours=1))
        self._poll()
        for (move, payment, days), word in zip(
            booked, ("REVERSED", "REFUNDED", "REVERSED"), strict=True
        ):
            with self.subTest(days=days):
                self.assertEqual(move.amount_residual, 0)
                self.sandbox.set_status(payment["id"], word)
                self._poll()
                self._process()
                row = self._ledger(payment)
                self.assertEqual((row.state, row.status), ("reversed", word))
                self.assertTrue(row.attention)
                self.assertEqual(move.amount_residual, 1000 * days)
                self.assertEqual(move.payment_state, "not_paid")
                entry = row.account_payment_ids.move_id
                self.assertEqual(entry.reversal_move_ids.state, "posted")
        self.assertStored([*others, *(payment for _move, payment, _days in booked)])

    def test_cost_grows_with_changes_only(self):
        payments = self._paid(65, ago=timedelta(days=1))
        self._known_until(timedelta(days=2))
        queries = self._calls(self._poll)
        self.assertEqual(len(queries), 7)
        self.assertStored(payments)
        for query in queries:
            self.assertIn("sortBy=updatedAt&orderBy=DESC", query)
            self.assertNotIn("startDate", query)
        for changed, calls in ((0, 1), (3, 2), (10, 2), (25, 4)):
            with self.subTest(changed=changed):
                self._known_until(timedelta(hours=1))
                for payment in payments[:changed]:
                    self.sandbox.set_status(payment["id"], "SETTLED")
                self.assertEqual(len(self._calls(self._poll)), calls)
                for payment in payments[:changed]:
                    self.assertEqual(self._ledger(payment).status, "SETTLED")
                with self.sandbox.store.transaction() as gateway:
                    moment = time.time() - 7200
                    gateway.execute("UPDATE payment SET updated_at=?", (moment,))
        self.assertStored(payments)

    def test_a_new_payment_costs_few_statements(self):
        self.patch(const, "POLL_PAGE", 100)
        self._poll()
        for count, prefix in ((50, 1), (150, 2), (200, 3)):
            with self.subTest(count=count):
                # Not in the time that a poll reads anyway, behind known ground.
                with self.sandbox.store.transaction() as gateway:
                    gateway.execute("UPDATE payment SET updated_at=updated_at-3600")
                second = timedelta(seconds=1)
                payments = self._paid(count, apart=second, prefix=f"{prefix}")
                before = self.env.cr.sql_log_count
                queries = self._calls(self._poll)
                self.assertLessEqual(self.env.cr.sql_log_count - before, 3 * count)
                self.assertLessEqual(len(queries), -(-count // 100) + 1)
                for payment in payments:
                    self.assertTrue(self._ledger(payment))

    def test_payments_between_two_pages_are_neither_lost_nor_doubled(self):
        payments = self._paid(35, ago=timedelta(hours=1))
        original = ClickPesaClient.payments_page
        arriving = [2, 11, 1]

        def page(client, **how):
            told = original(client, **how)
            if arriving:
                count, prefix = arriving.pop(), f"8{len(arriving)}"
                payments.extend(self._paid(count, prefix=prefix))
                # One that was read, or was not, is changed and comes first.
                for index in (3, 33):
                    self.sandbox.set_status(payments[index]["id"], "SETTLED")
            return told

        with patch.object(ClickPesaClient, "payments_page", page):
            self._poll()
        self._poll()
        self.assertStored(payments)
        for index in (3, 33):
            self.assertEqual(self._ledger(payments[index]).status, "SETTLED")

    def test_rows_without_the_moment_of_their_change(self):
        self.sandbox.settings.query_updated_at = False
        payments = self._paid(25, ago=timedelta(hours=1))
        self._known_until(timedelta(hours=2))
        self._poll()
        self.assertStored(payments)
        self.assertFalse(self.provider.billpay_poll_error)
        self.assertFalse(self.provider.billpay_unordered_since)
        self.assertEqual(len(self._calls(self._poll)), 1)

    def test_a_clock_that_is_ahead_hides_nothing(self):
        with patch.object(ClickPesaClient, "clock_skew", -7200):
            self._poll()
        # By the gateway's clock these are later than the poll.
        payments = self._paid(15, ago=timedelta(minutes=90))
        self._paid(0)
        self._poll()
        self.assertStored(payments)


@tagged("post_install", "-at_install")
class TestOrder(ScanCommon):
    """The order of the list is checked, not believed."""

    def _check_order(self, way, *, moves):
        """:param bool moves: whether what is known grows"""
        old = self._paid(70, ago=timedelta(days=3), prefix="1")
        self._known_until(timedelta(days=4))
        self._poll()
        self._known_until(timedelta(hours=2))
        until = self.provider.billpay_polled_until
        new = self._paid(65, ago=timedelta(minutes=20), prefix="2")
        # The order by changes is another one than that by age.
        self.sandbox.set_status(new[20]["id"], "SETTLED")
        self.sandbox.settings.payments_order = way
        self._poll()
        self.assertStored(old + new)
        self.assertEqual(self.provider.billpay_polled_until > until, moves)
        self.assertEqual(bool(self.provider.billpay_poll_error), not moves)
        in_order = way == "asked"
        self.assertEqual(
            self.provider.billpay_unordered_since, False if in_order else until
        )
        # Nobody pays twice for what is known.
        sort = "sortBy=updatedAt" if in_order else "sortBy=createdAt"
        for query in self._calls(self._poll):
            self.assertIn(sort, query)
        # By night it is tried again, and changes of meanwhile are found.
        self.sandbox.settings.payments_order = "asked"
        self.sandbox.set_status(old[0]["id"], "SETTLED")
        self._deep()
        self.assertFalse(self.provider.billpay_unordered_since)
        self.assertFalse(self.provider.billpay_poll_error)
        self.assertGreater(self.provider.billpay_polled_until, until)
        self.assertEqual(self._ledger(old[0]).status, "SETTLED")
        self.assertStored(old + new)

    def test_as_asked(self):
        self._check_order("asked", moves=True)

    def test_newest_first_whatever_is_asked(self):
        self._check_order("created", moves=True)

    def test_the_night_notices_what_a_poll_could_not(self):
        """While nothing has changed lately, both orders look alike."""
        payments = self._paid(70, ago=timedelta(days=3))
        self.sandbox.settings.payments_order = "created"
        self._known_until(timedelta(days=4))
        self._poll()
        self.assertFalse(self.provider.billpay_unordered_since)
        self.sandbox.set_status(payments[5]["id"], "REVERSED")
        self._poll()
        self.assertEqual(self._ledger(payments[5]).status, "SUCCESS")
        self._deep()
        self.assertEqual(self._ledger(payments[5]).status, "REVERSED")
        self.assertTrue(self.provider.billpay_unordered_since)
        self.assertFalse(self.provider.billpay_poll_error)

    def test_order_that_clickpesa_refuses(self):
        self._check_order("refused", moves=True)

    def test_oldest_first_whatever_is_asked(self):
        self._check_order("oldest_first", moves=False)

    def test_one_row_out_of_place(self):
        self._check_order("out_of_place", moves=False)

    def test_no_order_at_all(self):
        self._check_order("shuffled", moves=False)

    def test_changes_of_the_time_without_order_are_found_afterwards(self):
        payment = self._paid(1, ago=timedelta(days=60))[0]
        self._event(payment)
        self._process()
        self._paid(30, ago=timedelta(days=30), prefix="1")
        changed = timedelta(days=20)
        self._at(changed, lambda: self.sandbox.set_status(payment["id"], "REVERSED"))
        # For a month ClickPesa listed by age only.
        self.provider.billpay_unordered_since = fields.Datetime.now() - timedelta(30)
        self._known_until(timedelta(minutes=5))
        self._deep()
        self.assertEqual(self._ledger(payment).status, "REVERSED")
        self.assertFalse(self.provider.billpay_unordered_since)

    def test_one_moment_does_not_show_the_order(self):
        """Oldest first, and a first page of one moment: that is no end."""
        for size in (1, 4, 10):
            with self.subTest(size=size):
                self.sandbox.reset()
                self.patch(const, "POLL_PAGE", size)
                self._known_until(timedelta(hours=2))
                self.provider.billpay_unordered_since = False
                self._paid(size, ago=timedelta(days=3), prefix=f"3{size}")
                with self.sandbox.store.transaction() as gateway:
                    moment = time.time() - 3 * 86400
                    gateway.execute(
                        "UPDATE payment SET created_at=?, updated_at=?",
                        (moment, moment),
                    )
                new = self._paid(3, ago=timedelta(hours=1), prefix=f"4{size}")
                self.sandbox.settings.payments_order = "oldest_first"
                self._poll()
                for payment in new:
                    self.assertTrue(self._ledger(payment))


@tagged("post_install", "-at_install")
class TestPlace(ScanCommon):
    """A long scan goes on where it was."""

    def _run(self, deep=False):
        """One run, whose time is over after a page; Odoo would call again."""
        cron = type(self.env["ir.cron"])
        with (
            self._workers(),
            own_transaction(self.env(su=True)) as env,
            patch.object(cron, "_commit_progress", lambda *_args, **_how: 0),
        ):
            env["billpay.poll"]._poll_all(deep)

    def test_each_run_reads_on(self):
        payments = self._paid(47, ago=timedelta(hours=1))
        queries = []
        for turn in range(1, 5):
            # One more arrives in each run.
            payments += self._paid(1, prefix=f"7{turn}")
            queries += self._calls(self._run)
            self.assertEqual(self.provider.billpay_poll_rest["skip"], 10 * turn)
            self.assertFalse(self.provider.billpay_polled_until)
        while self.provider.billpay_poll_rest:
            queries += self._calls(self._run)
        self.assertTrue(self.provider.billpay_polled_until)
        self.assertEqual(
            [query.partition("skip=")[2] for query in queries],
            [f"{10 * turn}&limit=10" for turn in range(6)],
        )
        self._poll()
        self.assertStored(payments)

    def test_a_run_that_stops_says_that_something_remains(self):
        self._paid(25, ago=timedelta(hours=1))
        told = []
        cron = type(self.env["ir.cron"])

        def progress(_this, processed=0, *, remaining=None, **_how):
            told.append((processed, remaining))
            return 0 if processed else 1

        with patch.object(cron, "_commit_progress", progress):
            self._poll()
        self.assertEqual(told, [(0, 1), (1, 1)])

    def test_normal_and_nightly_scan_keep_places_of_their_own(self):
        payments = self._paid(35, ago=timedelta(hours=1))
        self._known_until(timedelta(days=1))
        self._run(deep=True)
        self._run()
        self._run()
        self.assertEqual(self.provider.billpay_deep_rest["skip"], 10)
        self.assertEqual(self.provider.billpay_poll_rest["skip"], 20)
        while self.provider.billpay_poll_rest:
            self._run()
        self.assertEqual(self.provider.billpay_deep_rest["skip"], 10)
        until = self.provider.billpay_polled_until
        while self.provider.billpay_deep_rest:
            self._run(deep=True)
        self.assertStored(payments)
        # The nightly one began earlier: it takes nothing back.
        self.assertEqual(self.provider.billpay_polled_until, until)

    def test_trouble_on_the_way_keeps_the_place(self):
        payments = self._paid(35, ago=timedelta(hours=1))
        original = ClickPesaClient.payments_page
        broken = [True]

        def page(client, **how):
            if how["skip"] == 20 and broken:
                raise ClickPesaError("No answer.")
            return original(client, **how)

        with patch.object(ClickPesaClient, "payments_page", page):
            self._poll()
            self.assertEqual(self.provider.billpay_poll_rest["skip"], 20)
            self.assertEqual(self.provider.billpay_poll_error, "No answer.")
            # Where nothing is to be had it does not stay: new ones are in front.
            self._poll()
            self.assertFalse(self.provider.billpay_poll_rest)
            self._poll()
            self.assertEqual(self.provider.billpay_poll_rest["skip"], 20)
            broken.clear()
            self._poll()
        self.assertFalse(self.provider.billpay_poll_error)
        self.assertTrue(self.provider.billpay_polled_until)
        self.assertStored(payments)

    def test_calls_that_are_spent_lose_nothing(self):
        """Nor what was learned of the order, before the first page by age."""
        payments = self._paid(15, ago=timedelta(hours=1))
        self.sandbox.settings.payments_order = "refused"
        original = ClickPesaClient.payments_page
        spent = []

        def page(client, **how):
            if spent:
                raise BudgetSpent("No calls are left.", retry_after=spent.pop())
            if how["sort"] == "updatedAt" or how["skip"] == 0:
                spent.append(30)
            return original(client, **how)

        with patch.object(ClickPesaClient, "payments_page", page):
            queries = [query for _turn in range(4) for query in self._calls(self._poll)]
        self.assertEqual(
            [query.partition("sortBy=")[2].partition("&limit")[0] for query in queries],
            [
                "updatedAt&orderBy=DESC&skip=0",
                "createdAt&orderBy=DESC&skip=0",
                "createdAt&orderBy=DESC&skip=10",
                "createdAt&orderBy=DESC&skip=0",
            ],
        )
        self.assertStored(payments)

    def test_a_place_of_long_ago_or_of_another_merchant_is_left(self):
        self._paid(25, ago=timedelta(hours=1))
        long_ago = ["2020-01-01 00:00:00"] * 3
        for change in ({"moments": long_ago}, {"budget": "another"}):
            with self.subTest(change=change):
                self.provider.billpay_poll_rest = False
                self._run()
                self._run()
                rest = self.provider.billpay_poll_rest
                self.assertEqual(rest["skip"], 20)
                self.provider.billpay_poll_rest = {**rest, **change}
                self._run()
                self.assertEqual(self.provider.billpay_poll_rest["skip"], 10)

    def test_who_has_had_its_turn_waits_while_another_goes_on(self):
        other = self._make_application(self.company, clickpesa_client_id="IDother")
        for deep, rest, last in (
            (False, "billpay_poll_rest", "billpay_last_poll_at"),
            (True, "billpay_deep_rest", "billpay_last_deep_at"),
        ):
            with self.subTest(deep=deep):
                poll = self.env["billpay.poll"]
                both = poll._providers_to_poll(deep) & (self.provider | other)
                self.assertEqual(both, self.provider | other)
                self.provider[rest] = {"skip": 10}
                self.assertEqual(poll._providers_to_poll(deep)[-1:], self.provider)
                other[last] = fields.Datetime.now()
                self.assertNotIn(other, poll._providers_to_poll(deep))
                other[last] = fields.Datetime.now() - timedelta(hours=13)
                self.assertIn(other, poll._providers_to_poll(deep))
                self.provider[rest] = False
