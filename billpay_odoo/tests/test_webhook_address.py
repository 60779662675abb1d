# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Addresses come from memory: what that costs, and when it stops being right."""

import json
import logging
from unittest.mock import patch
from urllib.parse import urlsplit

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..clickpesa import sign
from ..controllers.webhook import mask_addresses
from .common import CHECKSUM_KEY, BillPayHttpCommon

LOG = "odoo.addons.billpay_odoo"
TOKEN = "a" * 32


@tagged("post_install", "-at_install")
class TestWebhookAddress(BillPayHttpCommon):
    def setUp(self):
        super().setUp()
        self.count = 0
        self.provider.sudo().clickpesa_webhook_token = TOKEN
        self.env.flush_all()
        # Routes and caches are ready.
        self.assertEqual(self.send(), 200)

    def send(self, token=TOKEN, key=CHECKSUM_KEY):
        """Send a new delivery; return the status."""
        self.count += 1
        body = sign({"event": "X", "data": {"id": "LCP%s" % self.count}}, key)
        return self._deliver(body, token=token).status_code

    def statements(self, *args, **kwargs):
        """Send a delivery; return the status and how many statements it took."""
        before = self.cr.sql_log_count
        status = self.send(*args, **kwargs)
        return status, self.cr.sql_log_count - before

    def test_delivery_takes_few_statements(self):
        calls = self.sandbox.count_calls()
        # While another one waits, and when it is the one that wakes the worker.
        for state, most in (("new", 4), ("logged", 10)):
            self.env["billpay.event"].sudo().search([]).write({"state": state})
            self.env.flush_all()
            status, count = self.statements()
            self.assertEqual(status, 200)
            self.assertLessEqual(count, most)
        self.assertEqual(self.sandbox.count_calls(), calls)

    def test_unknown_token_asks_nobody(self):
        asked = patch.object(type(self.env["billpay.event"]), "_read_addresses")
        with asked as read:
            self.assertEqual(self.send(token="w" * 32), 404)
            self.assertEqual(self.send(token="v" * 32), 404)
        read.assert_not_called()

    def test_unknown_token_is_looked_for_again_after_a_while(self):
        # A change that no process was told of.
        self.env.flush_all()
        self.cr.execute(
            "UPDATE payment_provider SET clickpesa_webhook_token = %s WHERE id = %s",
            ("b" * 32, self.provider.id),
        )
        self.assertEqual(self.send(token="b" * 32), 404)
        with patch.object(type(self.env["billpay.event"]), "_unknown_for", -1):
            self.assertEqual(self.send(token="b" * 32), 200)

    def test_changed_token_stops_at_once(self):
        self.provider.sudo().clickpesa_webhook_token = "b" * 32
        self.env.flush_all()
        self.assertEqual(self.send(), 404)
        self.assertEqual(self.send(token="b" * 32), 200)

    def test_token_wiped_by_sql_stops_at_once(self):
        self.cr.execute(
            "UPDATE payment_provider SET clickpesa_webhook_token = NULL WHERE id = %s",
            (self.provider.id,),
        )
        self.assertEqual(self.send(), 404)

    def test_address_of_a_deleted_application_stops(self):
        other = self._make_application(self.company)
        other.sudo().clickpesa_webhook_token = "c" * 32
        self.env.flush_all()
        self.assertEqual(self.send(token="c" * 32), 200)
        self.cr.execute("DELETE FROM billpay_event WHERE provider_id = %s", (other.id,))
        other.state = "disabled"
        other.company_id.billpay_provider_id = self.provider
        other.unlink()
        self.env.flush_all()
        self.assertEqual(self.send(token="c" * 32), 404)

    @mute_logger(LOG)
    def test_new_key_counts_at_once_also_when_set_by_sql(self):
        self.cr.execute(
            "UPDATE payment_provider SET clickpesa_checksum_key = 'new' WHERE id = %s",
            (self.provider.id,),
        )
        self.assertEqual(self.send(), 401, "what was signed with the old key")
        self.assertEqual(self.send(key="new"), 200)

    def test_another_change_of_the_application_does_not_disturb(self):
        self.provider.name = "Another name"
        self.env.flush_all()
        self.assertEqual(self.send(), 200)

    def test_no_secret_is_in_the_cache_key_nor_in_a_representation(self):
        address = self.env["billpay.event"]._find_address(TOKEN)
        known = self.env["billpay.event"]._addresses()
        for text in (repr(address), repr(known), str(address)):
            self.assertNotIn(CHECKSUM_KEY, text)
            self.assertNotIn(TOKEN, text)
        keys = list(self.registry._Registry__caches["default"].snapshot)
        self.assertNotIn(TOKEN, str(keys))

    def test_token_in_a_header(self):
        body = sign({"event": "X", "data": {"id": "H1"}}, CHECKSUM_KEY)
        for token, status in ((TOKEN, 200), ("w" * 32, 404), ("", 404), (None, 404)):
            with self.subTest(token):
                headers = {"Content-Type": "application/json"}
                if token is not None:
                    headers["X-BillPay-Token"] = token
                answer = self.url_open(
                    "/payment/clickpesa/webhook",
                    data=json.dumps(body).encode(),
                    method="POST",
                    headers=headers,
                )
                self.assertEqual(answer.status_code, status)

    def test_access_log_has_no_token_and_no_signature(self):
        health = self.provider.sudo().clickpesa_health_token
        number = self._registered_invoice(1000).billpay_number_id
        page = urlsplit(self.env["billpay.pay.page"]._get_pay_url(number)).path
        signature = page.rsplit("/", 1)[1]
        self.assertGreater(len(signature), 10)
        with self.assertLogs("werkzeug", logging.INFO) as logs:
            self.assertEqual(self.send(), 200)
            self.assertEqual(self.send(token="w" * 32), 404)
            self.url_open("/payment/clickpesa/webhook/%s/more?x=1" % TOKEN)
            self.url_open("/payment/clickpesa/health/%s?x=1" % health)
            self.url_open(page)
            self.url_open(page + "/state")
        lines = "\n".join(logs.output)
        for secret in (TOKEN, "w" * 32, health, signature):
            self.assertNotIn(secret, lines)
        for shown in ("webhook/***", "health/***?x=1", f"/{number.name}/***/state"):
            self.assertIn(shown, lines)

    def test_access_log_of_others_is_left_alone(self):
        for line in (
            "GET /web/login HTTP/1.1",
            "GET /payment/status/poll HTTP/1.1",
            "POST /payment/clickpesa/checkout HTTP/1.1",
            "GET /billpay HTTP/1.1",
        ):
            args = (line, 200, "-")
            record = logging.makeLogRecord({"msg": '"%s" %s %s', "args": args})
            self.assertTrue(mask_addresses(record))
            self.assertEqual(record.args, args)

    def test_too_large_is_refused_whatever_its_kind(self):
        body = json.dumps({"event": "X", "data": "x" * 2**19}).encode()
        for kind in ("application/json", "text/plain", "application/octet-stream"):
            answer = self._deliver(body, token=TOKEN, headers={"Content-Type": kind})
            self.assertEqual(answer.status_code, 413)


@tagged("post_install", "-at_install")
class TestWebhookWakeUp(BillPayHttpCommon):
    """The worker is woken once per backlog."""

    def setUp(self):
        super().setUp()
        self.cron = self.env.ref("billpay_odoo.ir_cron_process_payments").sudo()
        self.count = 0
        self.env["billpay.event"].search([("state", "=", "new")]).sudo().write(
            {"state": "logged"}
        )

    def wakes(self, number=None):
        """Send a delivery; return how often the worker was woken."""
        self.count += 1
        body = {"event": "X", "data": {"id": "W%s" % (number or self.count)}}
        domain = [("cron_id", "=", self.cron.id)]
        triggers = self.env["ir.cron.trigger"].sudo()
        before = triggers.search_count(domain)
        self.assertEqual(self._deliver(sign(body, CHECKSUM_KEY)).status_code, 200)
        return triggers.search_count(domain) - before

    def test_once_per_backlog(self):
        self.assertEqual([self.wakes() for _each in range(4)], [1, 0, 0, 0])
        self._process()
        self.assertEqual([self.wakes() for _each in range(2)], [1, 0])

    def test_repeat_of_what_still_waits_wakes_as_its_first_did(self):
        self.assertEqual(self.wakes(1), 1)
        self.assertEqual(self.wakes(1), 1, "alone, it may have been overlooked")
        self.assertEqual(self.wakes(2), 0)
        self._process()
        self.assertEqual(self.wakes(1), 0, "nothing waits")

    def test_worker_without_time_wakes_itself(self):
        self.wakes()
        self.wakes()
        triggers = self.env["ir.cron.trigger"].sudo()
        triggers.search([("cron_id", "=", self.cron.id)]).unlink()
        self.env.flush_all()
        worker = type(self.env["billpay.worker"])
        out_of_time = patch.object(
            type(self.env["ir.cron"]), "_commit_progress", return_value=0
        )
        with patch.object(worker, "_event_batch", 1), out_of_time:
            self._process()
        self.assertEqual(triggers.search_count([("cron_id", "=", self.cron.id)]), 1)
        self._process()
        self.assertFalse(self.env["billpay.event"].search([("state", "=", "new")]))
