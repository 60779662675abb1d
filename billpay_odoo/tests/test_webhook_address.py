# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Addresses come from memory: what that costs, and when it stops being right."""

import json
import logging
from datetime import timedelta
from unittest.mock import patch
from urllib.parse import urlsplit

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import new_test_user, tagged
from odoo.tools import config, file_open, mute_logger

from ..clickpesa import sign
from ..const import SENSITIVE_KEYS
from ..controllers.webhook import mask_addresses
from .common import CHECKSUM_KEY, BillPayHttpCommon

LOG = "odoo.addons.billpay_odoo"
TOKEN = "a" * 32


@tagged("post_install", "-at_install")
class TestBehindAProxy(BillPayHttpCommon):
    """Which sender a delivery has, and under which address it is to come."""

    def _sender(self, proxy_mode, **headers):
        """Send a new delivery; return its sender as Odoo noted it."""
        events = self.env["billpay.event"].sudo()
        known = events.search([])
        body = sign({"event": "X", "data": {"id": "L%s" % len(known)}}, CHECKSUM_KEY)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.patch(config, "options", config.options.new_child({}))
        config["proxy_mode"] = proxy_mode
        response = self._deliver(body, headers=names)
        self.assertEqual(response.status_code, 200)
        self.env.invalidate_all()
        return (events.search([]) - known).remote_addr

    def test_the_last_proxy_says_who_sends(self):
        """What a sender writes into the header itself never counts."""
        host = urlsplit(self.base_url()).netloc
        far, forged = "203.0.113.9", "198.51.100.1"
        near = "127.0.0.1"
        for proxy_mode, headers, sender in (
            (True, {"X_Forwarded_For": far, "X_Forwarded_Host": host}, far),
            (
                True,
                {"X_Forwarded_For": f"{forged}, {far}", "X_Forwarded_Host": host},
                far,
            ),
            (
                True,
                {"X_Forwarded_For": f"{forged}, x, {far}", "X_Forwarded_Host": host},
                far,
            ),
            # Odoo looks at none of them without the name of the host.
            (True, {"X_Forwarded_For": far}, near),
            (False, {"X_Forwarded_For": far, "X_Forwarded_Host": host}, near),
            (True, {}, near),
        ):
            with self.subTest(proxy_mode=proxy_mode, headers=headers):
                self.assertEqual(self._sender(proxy_mode, **headers), sender)

    def test_frozen_address_outlives_logins(self):
        parameters = self.env["ir.config_parameter"].sudo()
        number = self._registered_invoice(5000).billpay_number_id
        public, here = "https://erp.example.co.tz", self.base_url()
        for freeze, address in (("True", public), ("1", public), ("", here)):
            with self.subTest(freeze=freeze):
                parameters.set_param("web.base.url", public)
                parameters.set_param("web.base.url.freeze", freeze)
                self.env.flush_all()
                self.url_open(
                    "/web/session/authenticate",
                    json={
                        "params": {
                            "db": self.env.cr.dbname,
                            "login": "admin",
                            "password": "admin",
                        }
                    },
                ).raise_for_status()
                self.env.invalidate_all()
                self.assertEqual(parameters.get_param("web.base.url"), address)
                self.assertTrue(
                    self.provider.sudo().clickpesa_webhook_url.startswith(f"{address}/")
                )
                page = self.env["billpay.pay.page"]._get_pay_url(number)
                self.assertTrue(page.startswith(f"{address}/billpay/"), page)


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
        # What follows a question mark would be in every log.
        answer = self.url_open(
            "/payment/clickpesa/webhook?token=" + TOKEN,
            data=json.dumps(body).encode(),
            method="POST",
        )
        self.assertEqual(answer.status_code, 404)

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
class TestReplacedKey(BillPayHttpCommon):
    """The checksum key is changed while deliveries arrive."""

    def setUp(self):
        super().setUp()
        self.count = 0
        self.app = self.provider.sudo()

    def change(self, **values):
        self.app.write(values)
        self.env.flush_all()

    def later(self, hours):
        """Let time pass since the keys were replaced."""
        moved = [
            [key, str(fields.Datetime.to_datetime(at) - timedelta(hours=hours))]
            for key, at in self.app.clickpesa_old_checksum_keys
        ]
        self.change(clickpesa_old_checksum_keys=moved)

    def send(self, key, body=None):
        """Deliver what is signed with a key; return the status."""
        self.count += 1
        body = body or {"event": "X", "data": {"id": "K%s" % self.count}}
        body = {name: body[name] for name in body if name != "checksum"}
        with mute_logger(LOG):
            return self._deliver(sign(body, key)).status_code

    def test_old_key_is_accepted_and_counted_for_some_hours(self):
        self.change(clickpesa_checksum_key="new")
        self.assertEqual([self.send(CHECKSUM_KEY), self.send("new")], [200, 200])
        self.assertEqual(self.send(CHECKSUM_KEY), 200)
        self.assertEqual(self.send("another"), 401)
        self.env.invalidate_all()
        self.assertEqual(self.app.clickpesa_old_key_times, 2)
        left = self.app.clickpesa_old_key_until - fields.Datetime.now()
        self.assertAlmostEqual(left.total_seconds(), 24 * 3600, delta=60)
        self.later(hours=23)
        self.assertEqual(self.send(CHECKSUM_KEY), 200)
        self.later(hours=1)
        self.assertEqual([self.send(CHECKSUM_KEY), self.send("new")], [401, 200])
        self.env.invalidate_all()
        self.assertFalse(self.app.clickpesa_old_key_until)
        self.env["payment.provider"]._gc_replaced_keys()
        self.assertFalse(self.app.clickpesa_old_checksum_keys)

    def test_money_of_both_sides_is_booked(self):
        for confirmation in ("query", "signature"):
            with self.subTest(confirmation):
                self.change(
                    clickpesa_checksum_key=CHECKSUM_KEY,
                    clickpesa_confirmation=confirmation,
                )
                moves = [self._registered_invoice(150000) for _each in range(2)]
                paid = [self._pay(m.billpay_number_id.name, 150000) for m in moves]
                bodies = [self.sandbox.webhook_body(p["id"]) for p in paid]
                self.change(clickpesa_checksum_key="new")
                self.sandbox.settings.update({"checksum_key": "new"})
                for key, body in zip((CHECKSUM_KEY, "new"), bodies, strict=True):
                    self.assertEqual(self.send(key, body), 200)
                calls = self.sandbox.count_calls()
                self._process()
                for move, payment in zip(moves, paid, strict=True):
                    self.assertBooked(self._ledger(payment), 150000)
                    self.assertEqual(move.amount_residual, 0)
                    self.assertIn(move.payment_state, ("paid", "in_payment"))
                # What a key says that others may know, ClickPesa is asked about.
                self.assertGreater(self.sandbox.count_calls(), calls)
                self.sandbox.settings.update({"checksum_key": CHECKSUM_KEY})

    def test_forged_with_the_old_key_is_not_booked(self):
        self.change(clickpesa_confirmation="signature")
        move = self._registered_invoice(150000)
        paid = self._pay(move.billpay_number_id.name, 150000)
        body = self.sandbox.webhook_body(paid["id"])
        self.change(clickpesa_checksum_key="new")
        body["data"] = {**body["data"], "id": "FORGED", "collectedAmount": "150000"}
        self.assertEqual(self.send(CHECKSUM_KEY, body), 200)
        self._process()
        row = self.env["billpay.payment"].search([("reference", "=", "FORGED")])
        self.assertEqual(row.state, "received")
        self.assertFalse(row.account_payment_ids)

    def test_window_can_be_closed_at_any_time(self):
        self.change(clickpesa_checksum_key="new", clickpesa_old_key_hours=0)
        self.assertEqual(self.send(CHECKSUM_KEY), 401)
        self.change(clickpesa_old_key_hours=1)
        self.assertEqual(self.send(CHECKSUM_KEY), 200)
        self.change(clickpesa_old_key_hours=0)
        self.assertEqual(self.send(CHECKSUM_KEY), 401)
        for name, hours in (
            ("clickpesa_old_key_hours", -1),
            ("clickpesa_old_key_hours", 721),
            ("clickpesa_checkout_hours", -1),
        ):
            # PostgreSQL would log the row with all its secrets.
            with self.assertRaises(ValidationError), self.assertNoLogs("odoo.sql_db"):
                with self.env.cr.savepoint():
                    self.change(**{name: hours})

    def test_several_changes(self):
        """A typing error is corrected; the key is taken away, and set again."""
        for steps in (("tpyo", "new"), (False, "new"), ("a", "b", "new")):
            with self.subTest(steps):
                self.change(
                    clickpesa_checksum_key=CHECKSUM_KEY,
                    clickpesa_old_checksum_keys=False,
                )
                for step in steps:
                    self.change(clickpesa_checksum_key=step)
                self.assertEqual(self.send(CHECKSUM_KEY), 200)
                self.assertEqual(self.send("new"), 200)
        self.change(clickpesa_checksum_key=CHECKSUM_KEY)
        keys = [key for key, _at in self.app.clickpesa_old_checksum_keys]
        self.assertNotIn(CHECKSUM_KEY, keys)
        for step in range(9):
            self.change(clickpesa_checksum_key="key %s" % step)
        self.assertEqual(len(self.app.clickpesa_old_checksum_keys), 3)

    def test_key_of_another_application_does_not_count(self):
        for change in (
            {"clickpesa_client_id": "IDanother"},
            {"clickpesa_base_url": "https://live.example.test/third-parties"},
        ):
            with self.subTest(str(change)):
                self.change(clickpesa_checksum_key=CHECKSUM_KEY)
                self.change(clickpesa_checksum_key="live", **change)
                self.assertEqual(self.send(CHECKSUM_KEY), 401)
                self.assertFalse(self.app.clickpesa_old_checksum_keys)

    def test_change_wakes_the_poll(self):
        cron = self.env.ref("billpay_odoo.ir_cron_poll_payments")
        triggers = self.env["ir.cron.trigger"].sudo().search_count
        self.env.cr.flush()
        before = triggers([("cron_id", "=", cron.id)])
        self.change(clickpesa_checksum_key="new")
        self.env.cr.flush()
        self.assertEqual(triggers([("cron_id", "=", cron.id)]), before + 1)

    def test_replaced_keys_are_secret(self):
        self.change(clickpesa_checksum_key="new")
        address = self.env["billpay.event"]._find_address(
            self.app.clickpesa_webhook_token
        )
        self.assertEqual(address.old_keys[0][0], CHECKSUM_KEY)
        self.assertNotIn(CHECKSUM_KEY, repr(address))
        self.assertIn("clickpesa_old_checksum_keys", SENSITIVE_KEYS)
        manager = new_test_user(
            self.env, "keys_manager", groups="billpay_odoo.group_billpay_manager"
        )
        with self.assertRaises(AccessError):
            self.provider.with_user(manager).read(["clickpesa_old_checksum_keys"])
        self.assertFalse(self.app.copy().clickpesa_old_checksum_keys)
        # As when the add-on is removed.
        self.change(**self.app._get_reset_values(), state="disabled")
        self.assertFalse(self.app.clickpesa_old_checksum_keys)
        self.change(clickpesa_checksum_key=CHECKSUM_KEY, state="disabled")
        self.change(clickpesa_checksum_key="new")
        with file_open("billpay_odoo/data/neutralize.sql") as script:
            self.cr.execute(script.read())
        self.env.invalidate_all()
        for name in (
            "clickpesa_checksum_key",
            "clickpesa_old_checksum_keys",
            "clickpesa_webhook_token",
            "clickpesa_health_token",
        ):
            self.assertFalse(self.app[name], name)


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
        self.env.cr.flush()
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
