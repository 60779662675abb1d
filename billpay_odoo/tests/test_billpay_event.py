# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What is kept of deliveries: refused ones within bounds, old ones reduced."""

import json
from datetime import timedelta
from unittest.mock import patch

from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from ..clickpesa import sign
from ..models.payment.billpay_event import KEPT_OF_BODY, OF_ONE_PAYMENT
from ..throttle import Allowance
from .common import CHECKSUM_KEY, BillPayCommon, BillPayHttpCommon

LOG = "odoo.addons.billpay_odoo"


@tagged("post_install", "-at_install")
class TestQuarantine(BillPayHttpCommon):
    def setUp(self):
        super().setUp()
        self.now = 1000.0
        events = type(self.env["billpay.event"])
        self.patch(events, "_write_allowance", Allowance(1, 1, clock=lambda: self.now))
        self.patch(
            events, "_log_allowance", Allowance(1, 1 / 60, clock=lambda: self.now)
        )
        self.provider.flush_recordset()

    def refuse(self, *names, key="another key", pause=1):
        """Deliver with a wrong signature, one every ``pause`` seconds."""
        for name in names:
            body = sign({"event": "PAYMENT RECEIVED", "data": {"id": name}}, key)
            self.assertEqual(self._deliver(body).status_code, 401)
            self.now += pause
        self.env.invalidate_all()

    def kept(self):
        """Return the rows of refused deliveries, first one first."""
        return self.env["billpay.event"].search(
            [("provider_id", "=", self.provider.id), ("state", "=", "quarantine")],
            order="id",
        )

    def names(self, event):
        """Return which deliveries are on a row, as each line has one."""
        return [
            json.loads(line.partition(" ")[2])["data"]["id"]
            for line in event.body.splitlines()
        ]

    @mute_logger(LOG)
    def test_those_of_a_day_are_on_one_row_with_what_came(self):
        self.refuse(*"abca")
        [row] = self.kept()
        self.assertEqual(row.times, 4)
        self.assertEqual(self.names(row), ["a", "b", "c", "a"])
        self.assertEqual(row.event, "PAYMENT RECEIVED")
        self.assertTrue(row.body.startswith(row.remote_addr))
        self.assertGreaterEqual(row.last_received_at, row.received_at)
        self.assertIn("missing or wrong", row.reason)

    @mute_logger(LOG)
    def test_beyond_the_room_of_a_day_they_are_counted(self):
        self.refuse("a")
        [row] = self.kept()
        self.patch(type(row), "_kept_of_day", len(row.body) + 1)
        self.refuse(*"bcdefgh")
        self.assertEqual((self.kept().times, self.names(row)), (8, ["a", "b"]))

    @mute_logger(LOG)
    def test_another_day_has_a_row_of_its_own(self):
        self.refuse(*"ab")
        with freeze_time(fields.Datetime.now() + timedelta(days=1)):
            self.refuse("c")
        self.assertEqual([row.times for row in self.kept()], [2, 1])
        self.assertEqual([self.names(row) for row in self.kept()], [["a", "b"], ["c"]])

    @mute_logger(LOG)
    def test_in_a_rush_nothing_is_written_yet_everything_is_counted(self):
        before = self.cr.sql_log_count
        self.refuse(*"abcdefghij", pause=0)
        written = self.cr.sql_log_count - before
        self.assertEqual(self.kept().times, 1)
        self.now += 1
        self.refuse("k")
        self.assertEqual(self.kept().times, 11)
        self.assertEqual(self.names(self.kept()), ["a", "k"])
        self.assertLess(written, 10 * 10)

    @mute_logger(LOG)
    def test_count_survives_a_transaction_that_does_not(self):
        self.refuse(*"abc", pause=0)
        self.now += 1
        events = self.env["billpay.event"]
        with (
            patch.object(type(events), "_keep_refused", side_effect=ZeroDivisionError),
            mute_logger("odoo.http"),
        ):
            body = sign({"data": {"id": "d"}}, "another key")
            self.assertEqual(self._deliver(body).status_code, 500)
        self.now += 1
        self.refuse("e")
        # b and c at least; the one that ended in an error has told its sender so.
        self.assertEqual(self.kept().times, 4)

    @mute_logger(LOG)
    def test_body_is_kept_in_part(self):
        body = {"event": "X", "data": {"id": "a", "message": "x" * 50000}}
        self.assertEqual(self._deliver(sign(body, "other")).status_code, 401)
        event = self.env["billpay.event"].search([], limit=1)
        self.assertEqual(len(event.body.partition(" ")[2]), KEPT_OF_BODY)

    def test_log_has_one_line_for_many(self):
        with self.assertLogs(LOG, "WARNING") as logs:
            self.refuse(*"abcdef", pause=0)
            self.now += 61
            self.refuse("g")
        self.assertEqual(len(logs.output), 2)
        self.assertIn(" 6 deliveries", logs.output[1])

    @mute_logger(LOG)
    def test_true_delivery_gets_through_and_is_booked(self):
        move = self._registered_invoice(150000)
        paid = self._pay(move.billpay_number_id.name, 150000)
        self.refuse(*"abcdefgh")
        body = self.sandbox.webhook_body(paid["id"])
        self.assertEqual(self._deliver(body).status_code, 200)
        self._process()
        self.assertBooked(self._ledger(paid), 150000)
        self.assertEqual(move.amount_residual, 0)

    @mute_logger(LOG)
    def test_applications_have_room_of_their_own(self):
        self.refuse(*"abcd", pause=0)
        other = self._make_application(self.company)
        self.env.flush_all()
        token = other.sudo().clickpesa_webhook_token
        body = sign({"data": {"id": "a"}}, "another key")
        self.assertEqual(self._deliver(body, token=token).status_code, 401)
        event = self.env["billpay.event"].search([("provider_id", "=", other.id)])
        self.assertEqual((event.times, self.names(event)), (1, ["a"]))
        self.assertEqual(self.kept().times, 1)


@tagged("post_install", "-at_install")
class TestUnproven(BillPayHttpCommon):
    """Forged deliveries at an application without checksum key."""

    room = 4

    def setUp(self):
        super().setUp()
        events = type(self.env["billpay.event"])
        self.patch(events, "_unproven_of_day", self.room)
        self.patch(events, "_write_allowance", Allowance(99, 1))
        self.patch(events, "_poll_allowance", Allowance(1, 1 / 30))
        self.provider.sudo().clickpesa_checksum_key = False
        self.sandbox.settings.update({"checksum_key": ""})
        self.env.flush_all()

    def forge(self, count, name="F", **data):
        """Deliver so many that are all different; return the statuses."""
        bodies = [
            {
                "event": data.get("event", "PAYMENT RECEIVED"),
                "data": {
                    "id": f"{name}{index}",
                    "status": "SUCCESS",
                    "orderReference": f"11220000{index}",
                    "message": str(index),
                    **data,
                },
            }
            for index in range(count)
        ]
        with mute_logger(LOG):
            return [self._deliver(body).status_code for body in bodies]

    def rows(self):
        self.env.invalidate_all()
        return self.env["billpay.event"].search(
            [("provider_id", "=", self.provider.id)], order="id"
        )

    def a_day_later(self):
        self.env.flush_all()
        for table, column in (
            ("billpay_payment", "create_date"),
            ("billpay_event", "received_at"),
        ):
            self.cr.execute(
                SQL(
                    "UPDATE %s SET %s = %s - interval '25 hours'",
                    SQL.identifier(table),
                    SQL.identifier(column),
                    SQL.identifier(column),
                )
            )
        self.env.invalidate_all()

    def polls(self):
        cron = self.env.ref("billpay_odoo.ir_cron_poll_payments")
        self.env.cr.flush()
        return (
            self.env["ir.cron.trigger"].sudo().search_count([("cron_id", "=", cron.id)])
        )

    def test_forged_ones_of_every_kind_leave_a_bounded_trace(self):
        for kind, data in {
            "new payments": {},
            "no payment": {"id": None},
            "payouts": {"event": "PAYOUT INITIATED"},
            "no number": {"orderReference": ""},
        }.items():
            with self.subTest(kind):
                self.rows().sudo().unlink()
                self.a_day_later()
                told = self.forge(self.room, name=kind[:5], **data)
                # Whatever the worker has made of them.
                self._process()
                told += self.forge(3, name=kind[:5] + "-", **{"message": "x", **data})
                self.assertEqual(told, [200] * self.room + [429] * 3)
                *kept, counted = self.rows()
                self.assertEqual(len(kept), self.room)
                self.assertEqual((counted.state, counted.times), ("quarantine", 3))
                self.assertIn("Set a checksum key", counted.reason)

    def test_forged_ones_about_one_payment_are_bounded(self):
        move = self._registered_invoice(150000)
        paid = self._pay(move.billpay_number_id.name, 150000)
        number = move.billpay_number_id.name
        for turn in range(12):
            self.forge(1, id=paid["id"], orderReference=number, message=f"turn {turn}")
            self._process()
        # The first ones about it, and then what there is room for.
        self.assertEqual(len(self.rows()), OF_ONE_PAYMENT + self.room + 1)
        self._poll()
        self._process()
        self.assertBooked(self._ledger(paid), 150000)
        self.assertEqual(move.amount_residual, 0)

    def test_true_one_without_room_is_found_by_the_poll(self):
        self.forge(self.room)
        self._process()
        for _turn in range(3):
            move = self._registered_invoice(150000)
            paid = self._pay(move.billpay_number_id.name, 150000)
            with mute_logger(LOG):
                answer = self._deliver(self.sandbox.webhook_body(paid["id"]))
            self.assertEqual(answer.status_code, 429)
            self.assertFalse(self._ledger(paid))
            self._poll()
            self._process()
            self.assertBooked(self._ledger(paid), 150000)
            self.assertEqual(move.amount_residual, 0)
            self.assertIn(move.payment_state, ("paid", "in_payment"))

    def test_poll_is_woken_at_once_and_for_those_that_follow(self):
        before = self.polls()
        self.forge(self.room)
        self.assertEqual(self.polls(), before)
        self.forge(5, name="G")
        self.assertEqual(self.polls(), before + 2)

    def test_true_ones_take_no_room(self):
        for _turn in range(self.room + 2):
            move = self._registered_invoice(1000)
            paid = self._pay(move.billpay_number_id.name, 1000)
            body = self.sandbox.webhook_body(paid["id"])
            self.assertEqual(self._deliver(body).status_code, 200)
            self._process()
            self.assertBooked(self._ledger(paid), 1000)

    def test_room_comes_back(self):
        self.forge(self.room)
        self.assertEqual(self.forge(1), [200], "a repeat of what is stored")
        self._process()
        self.assertEqual(self.forge(1, name="G"), [429])
        forged = self.env["billpay.payment"].search([("reference", "=like", "F%")])
        forged[0].sudo()._move_to("ignored", "Not ours.")
        self.env.flush_all()
        self.assertEqual(self.forge(2, name="H"), [200, 429])
        self.a_day_later()
        self.assertEqual(self.forge(1, name="I"), [200])

    def test_signed_ones_and_other_applications_are_not_concerned(self):
        self.forge(self.room + 1)
        other = self._make_application(self.company)
        other.sudo().clickpesa_checksum_key = False
        self.env.flush_all()
        body = {"event": "X", "data": {"id": "O1"}}
        token = other.sudo().clickpesa_webhook_token
        self.assertEqual(self._deliver(body, token=token).status_code, 200)
        self.provider.sudo().clickpesa_checksum_key = CHECKSUM_KEY
        self.env.flush_all()
        body = sign({"event": "X", "data": {"id": "S1"}}, CHECKSUM_KEY)
        self.assertEqual(self._deliver(body).status_code, 200)

    def test_without_room_a_delivery_takes_few_statements(self):
        self.forge(self.room + 1)
        events = type(self.env["billpay.event"])
        self.patch(events, "_write_allowance", Allowance(1, 1))
        self.forge(1, name="G")
        before = self.cr.sql_log_count
        self.forge(1, name="H")
        self.assertLessEqual(self.cr.sql_log_count - before, 5)

    def test_health_tells(self):
        self.forge(self.room + 2)
        self.env.flush_all()
        [checks] = self.env["billpay.health"]._health_checks(self.provider).values()
        check = next(check for check in checks if check.name == "quarantine")
        self.assertEqual((check.colour, check.value), ("amber", 2))
        self.assertIn("Set a checksum key", check.sentence)


@tagged("post_install", "-at_install")
class TestRetention(BillPayCommon):
    def setUp(self):
        super().setUp()
        self.company.billpay_event_days = 30
        self.events = self.env["billpay.event"].sudo()

    def event(self, state, days, company_provider=None):
        """A delivery in a state, that came ``days`` ago."""
        moment = fields.Datetime.now() - timedelta(days=days)
        return self.events.create(
            {
                "provider_id": (company_provider or self.provider).id,
                "state": state,
                "event": "PAYMENT RECEIVED",
                "body": "{}",
                "remote_addr": "203.0.113.7",
                "digest": "%s %s %s" % (state, days, self.events.search_count([])),
                "received_at": moment,
                "last_received_at": moment,
            }
        )

    def vacuum(self):
        done = self.events._gc_old_deliveries()
        self.env.flush_all()
        self.env.invalidate_all()
        return done

    def test_old_deliveries_lose_body_and_sender_only(self):
        old = self.event("done", 31) + self.event("logged", 31)
        young = self.event("done", 29)
        digests = old.mapped("digest")
        self.vacuum()
        for event in old:
            self.assertFalse(event.body or event.remote_addr)
            self.assertTrue(event.reduced_at)
        self.assertEqual(old.mapped("digest"), digests)
        self.assertEqual(old.mapped("state"), ["done", "logged"])
        self.assertEqual(old.mapped("times"), [1, 1])
        self.assertTrue(young.body and young.remote_addr)

    def test_a_year_of_deliveries(self):
        """Ten a day; one of the first comes again after a year."""
        move = self._registered_invoice(5000)
        paid = self._pay(move.billpay_number_id.name, 5000)
        self._event(paid)
        self._process()
        self.assertBooked(self._ledger(paid), 5000)
        first = self.events.search([("provider_id", "=", self.provider.id)])
        self.assertEqual(first.state, "done")
        self.env.cr.execute(
            """
            INSERT INTO billpay_event (provider_id, company_id, state, body, digest,
                remote_addr, times, signed, received_at, last_received_at)
            SELECT provider_id, company_id,
                   CASE WHEN n %% 100 = 0 THEN 'quarantine'
                        WHEN n %% 101 = 0 THEN 'failed' ELSE 'done' END,
                   body, 'year' || n, '203.0.113.7', 1, true,
                   received_at - n * interval '145 minutes',
                   last_received_at - n * interval '145 minutes'
              FROM billpay_event, generate_series(1, 3650) AS n
             WHERE billpay_event.id = %s
            """,
            [first.id],
        )
        year = fields.Datetime.now() - timedelta(days=365)
        first.write({"received_at": year, "last_received_at": year})
        self.env.flush_all()
        self.env.invalidate_all()
        rounds, more = 0, True
        while more:
            _done, more = self.vacuum()
            rounds += 1
        self.assertLessEqual(rounds, 2 + 3650 // self.events._vacuum_batch)
        kept = dict(self.events._read_group([], ["state"], ["__count"]))
        # The quarantine of the last month is there.
        self.assertEqual(kept, {"done": 3579, "failed": 36, "quarantine": 2})
        before = fields.Datetime.now() - timedelta(days=30)
        old = self.events.search([("last_received_at", "<", before)])
        settled = old.filtered(lambda event: event.state == "done")
        self.assertFalse(any(settled.mapped("body")))
        self.assertTrue(all((old - settled).mapped("body")))
        self.assertFalse(any((self.events.search([]) - old).mapped("reduced_at")))
        # The payment is as it was, and what comes again is known.
        entry = self._ledger(paid).account_payment_ids.move_id
        self._event(paid)
        self._process()
        self.assertBooked(self._ledger(paid), 5000)
        self.assertEqual(self._ledger(paid).account_payment_ids.move_id, entry)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(first.times, 2)

    def test_what_is_not_settled_is_kept(self):
        kept = self.event("new", 999) + self.event("failed", 999)
        self.vacuum()
        self.assertEqual(kept.mapped("body"), ["{}"] * 2)

    def test_quarantine_goes(self):
        old, young = self.event("quarantine", 31), self.event("quarantine", 29)
        self.vacuum()
        self.assertFalse(old.exists())
        self.assertTrue(young.exists().body)

    def test_zero_keeps_everything(self):
        self.company.billpay_event_days = 0
        old = self.event("done", 9999) + self.event("quarantine", 9999)
        self.vacuum()
        self.assertEqual(old.exists().mapped("body"), ["{}"] * 2)

    def test_each_company_has_a_time_of_its_own(self):
        other = self.setup_other_company(name="Duka la Zawadi")["company"]
        other.billpay_event_days = 0
        provider = self._make_application(other)
        theirs = self.event("done", 9999, provider)
        ours = self.event("done", 9999)
        self.vacuum()
        self.assertTrue(theirs.body)
        self.assertFalse(ours.body)

    def test_in_batches_and_says_whether_more_is_left(self):
        for _each in range(5):
            self.event("done", 40)
        with patch.object(type(self.env["billpay.event"]), "_vacuum_batch", 2):
            self.assertEqual(
                [self.vacuum() for _each in range(3)],
                [(2, True), (2, True), (1, False)],
            )

    def test_repeat_of_a_reduced_delivery_is_known(self):
        move = self._registered_invoice(150000)
        paid = self._pay(move.billpay_number_id.name, 150000)
        self._event(paid)
        self._process()
        event = self._ledger(paid).event_ids
        past = fields.Datetime.now() - timedelta(days=31)
        event.sudo().write({"received_at": past, "last_received_at": past})
        self.vacuum()
        self.assertTrue(event.reduced_at)
        self._event(paid)
        self.env.invalidate_all()
        self.assertEqual((event.times, event.state), (2, "done"))
        self._process()
        self.assertBooked(self._ledger(paid), 150000)

    def test_reduced_delivery_is_not_processed_again(self):
        old = self.event("done", 31)
        self.vacuum()
        with self.assertRaisesRegex(UserError, "no money is affected"):
            old.with_user(self.env.user).sudo(False).action_replay()
        self.assertEqual(old.state, "done")

    def test_payments_are_never_touched(self):
        move = self._registered_invoice(150000)
        paid = self._pay(move.billpay_number_id.name, 150000)
        self._poll()
        self._process()
        row = self._ledger(paid)
        row.sudo().write({"paid_at": "2001-01-01", "webhook_at": "2001-01-01"})
        facts = row.read(["payer_name", "payer_phone", "amount", "state"])
        self.vacuum()
        self.assertEqual(
            row.read(["payer_name", "payer_phone", "amount", "state"]), facts
        )


@tagged("post_install", "-at_install")
class TestDeliveryOfJson(BillPayHttpCommon):
    def test_nothing_that_is_refused_unread_is_stored(self):
        """Oversized, random and misdirected deliveries leave no row."""
        events = self.env["billpay.event"].search_count([])
        big = json.dumps(sign({"data": "x" * 2**19}, CHECKSUM_KEY)).encode()
        for body, token in ((big, None), (b"\x00\xff" * 99, None), (b"{}", "x" * 32)):
            self._deliver(body, token=token)
        self.env.invalidate_all()
        self.assertEqual(self.env["billpay.event"].search_count([]), events)
