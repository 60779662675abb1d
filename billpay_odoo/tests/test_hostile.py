# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Strangers at a real server, and wake-ups between real processes."""

import json
import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

from odoo.tests import tagged

from ..clickpesa import sign
from .processes import post
from .test_concurrency import CHECKSUM_KEY, ConcurrencyCase

STORE = "billpay.event:_store_delivery:"


@tagged("post_install", "-at_install")
class TestHostile(ConcurrencyCase):
    # Of each kind.
    COUNT = 150

    def setUp(self):
        super().setUp()
        self.path = "/payment/clickpesa/webhook/"

    def rows(self):
        """How many rows each table has."""
        tables = self.db(
            "SELECT relname FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE nspname = 'public' AND relkind = 'r'"
        )
        return {
            name: self.db.value('SELECT count(*) FROM "%s"' % name)
            for (name,) in tables
        }

    def unsigned(self):
        body = {"event": "PAYMENT RECEIVED", "data": {"id": secrets.token_hex(8)}}
        return self.token, json.dumps(body).encode(), 401

    def forged(self):
        body = sign({"data": {"id": secrets.token_hex(8)}}, "another key")
        return self.token, json.dumps(body).encode(), 401

    def noise(self):
        return self.token, os.urandom(512), 400

    def lost(self):
        return secrets.token_urlsafe(24), self.unsigned()[1], 404

    def test_hostile_deliveries_leave_a_bounded_trace(self):
        [port] = self.processes.serve(1)
        move, payment = self.paid_invoice()
        good = self.delivery(payment).encode()
        before = self.rows()
        attacks = [
            make()
            for _each in range(self.COUNT)
            for make in (self.unsigned, self.forged, self.noise, self.lost)
        ]
        # The true one comes in the middle of it, and once more at the end.
        attacks.insert(len(attacks) // 2, (self.token, good, 200))
        attacks.append((self.token, good, 200))

        def send(attack):
            token, body, expected = attack
            return post(port, self.path + token, body), expected

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(send, attacks))
        self.assertEqual([told for told, _wanted in answers], [w for _t, w in answers])
        growth = {
            name: count - before[name]
            for name, count in self.rows().items()
            if count != before[name]
        }
        # The true one and the row of the day; a day may end meanwhile.
        self.assertIn(growth.pop("billpay_event"), (2, 3))
        self.assertLessEqual(set(growth), {"ir_cron_trigger"}, growth)
        self.assertLessEqual(growth.get("ir_cron_trigger", 0), 1)
        # Of the last second they wait in the server's memory for the next one.
        time.sleep(1.1)
        token, body, _expected = self.forged()
        self.assertEqual(post(port, self.path + token, body), 401)
        counted = self.db.value(
            "SELECT sum(times)::int FROM billpay_event"
            " WHERE provider_id = %s AND state = 'quarantine'",
            self.provider,
        )
        self.assertEqual(counted, 2 * self.COUNT + 1)
        self.run_worker("process")
        self.assertBookedOnce(payment)
        self.assertPaid(move)


@tagged("post_install", "-at_install")
class TestWakeUp(ConcurrencyCase):
    def setUp(self):
        super().setUp()
        # Nobody works here of itself, but a switched-off action is never woken.
        cron = (
            "id IN (SELECT res_id FROM ir_model_data WHERE model = 'ir.cron'"
            " AND name = 'ir_cron_process_payments')"
        )
        self.db("UPDATE ir_cron SET active = true WHERE " + cron)
        self.addCleanup(self.db, "UPDATE ir_cron SET active = false WHERE " + cron)

    def triggers(self):
        return self.db.value(
            "SELECT count(*) FROM ir_cron_trigger t JOIN ir_model_data d"
            " ON d.res_id = t.cron_id AND d.model = 'ir.cron'"
            " WHERE d.name = 'ir_cron_process_payments'"
        )

    def receive(self, number, *stops):
        """A delivery as the webhook takes it, in a process of its own."""
        body = json.dumps(sign({"event": "X", "data": {"id": number}}, CHECKSUM_KEY))
        return self.begin("receive", *stops, token=self.token, body=body)

    def waiting(self):
        return self.db.value("SELECT count(*) FROM billpay_event WHERE state = 'new'")

    def test_older_one_is_gone_when_ours_is_committed(self):
        """It was seen waiting; the worker's last look did not see ours."""
        self.receive("A").result()
        before = self.triggers()
        ours = self.receive("B", STORE + "after").reach(STORE + "after")
        self.run_worker("process")
        self.assertEqual(self.waiting(), 0)
        self.assertTrue(ours.go().result(), "it wakes the worker itself")
        self.assertEqual((self.waiting(), self.triggers()), (1, before + 1))

    def test_two_that_do_not_see_each_other(self):
        before = self.triggers()
        first = self.receive("A", STORE + "after").reach(STORE + "after")
        second = self.receive("B", STORE + "after").reach(STORE + "after")
        self.assertTrue(second.go().result())
        self.assertTrue(first.go().result())
        self.assertEqual((self.waiting(), self.triggers()), (2, before + 2))

    def test_one_that_relies_on_an_older_one(self):
        self.receive("A").result()
        before = self.triggers()
        self.assertFalse(self.receive("B").result())
        self.assertEqual((self.waiting(), self.triggers()), (2, before))
        self.run_worker("process")
        self.assertEqual(self.waiting(), 0, "the worker looks again")

    def test_death_between_commit_and_wake_up(self):
        """The delivery is stored, nobody is woken: the minute finds it."""
        self.receive("A").result()
        look = "billpay.event:_needs_waking:before"
        ours = self.receive("B", STORE + "after", look).reach(STORE + "after")
        self.run_worker("process")
        ours.go().reach(look)
        ours.kill()
        self.assertEqual(self.waiting(), 1)
        self.run_worker("process")
        self.assertEqual(self.waiting(), 0)
