# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import json
from datetime import datetime, timedelta
from urllib.parse import urlencode

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..clickpesa import sign
from ..throttle import Allowance
from .common import CHECKSUM_KEY, BillPayHttpCommon

WEBHOOK = "odoo.addons.billpay_odoo.controllers.webhook"


@tagged("post_install", "-at_install")
class TestWebhook(BillPayHttpCommon):
    def setUp(self):
        super().setUp()
        self.move = self._registered_invoice(150000)
        self.paid = self._pay(self.move.billpay_number_id.name, 150000)
        self.body = self.sandbox.webhook_body(self.paid["id"])
        self.events = self.env["billpay.event"].search(
            [("provider_id", "=", self.provider.id)]
        )

    def _new_events(self):
        self.env.invalidate_all()
        found = self.env["billpay.event"].search(
            [("provider_id", "=", self.provider.id)]
        )
        return found - self.events

    def test_signed_delivery_is_stored_answered_and_booked(self):
        calls = self.sandbox.count_calls()
        response = self._deliver(self.body)
        self.assertEqual(response.status_code, 200)
        self.assertEqual(self.sandbox.count_calls(), calls, "no call in the request")
        event = self._new_events()
        self.assertRecordValues(
            event,
            [{"state": "new", "signed": True, "event": "PAYMENT RECEIVED", "times": 1}],
        )
        self._process()
        self.assertBooked(self._ledger(self.paid), 150000)
        self.assertEqual(self.move.amount_residual, 0)

    def test_repeat_counts_up_and_is_answered_200(self):
        for _repeat in range(3):
            self.assertEqual(self._deliver(self.body).status_code, 200)
        self.assertRecordValues(self._new_events(), [{"times": 3}])

    def test_unknown_address_is_404_and_stores_nothing(self):
        for token in ("x", "a" * 32, "ù" * 30, "%27%20OR%201=1", "a" * 5000):
            self.assertEqual(self._deliver(self.body, token=token).status_code, 404)
        self.assertFalse(self._new_events())

    @mute_logger(WEBHOOK)
    def test_wrong_or_missing_signature_is_quarantined(self):
        wrong = {**self.body, "checksum": "0" * 64}
        missing = {k: v for k, v in self.body.items() if k != "checksum"}
        forged = sign({k: v for k, v in missing.items()}, "another key")
        events = type(self.env["billpay.event"])
        self.patch(events, "_write_allowance", Allowance(burst=3, per_second=1))
        for body in (wrong, missing, forged):
            self.assertEqual(self._deliver(body).status_code, 401)
        self.assertRecordValues(
            self._new_events(), [{"state": "quarantine", "times": 3, "signed": False}]
        )
        self.assertEqual(self._new_events().body.count(self.paid["id"]), 3)
        self._process()
        self.assertFalse(self._ledger(self.paid))
        # The quarantined copies do not stand in the way of the true one.
        self.assertEqual(self._deliver(self.body).status_code, 200)
        self._process()
        self.assertBooked(self._ledger(self.paid), 150000)

    def test_not_json_is_400(self):
        for body in (
            b"",
            b"x=1",
            b"[1]",
            b'"text"',
            b"\xff\xfe",
            b'{"a":',
            b"[" * 9999,
        ):
            self.assertEqual(self._deliver(body).status_code, 400, body[:20])
        self.assertFalse(self._new_events())

    def _deliver_form(self, pairs):
        return self._deliver(
            urlencode(pairs).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )

    def _forms(self, body):
        """The same delivery as different senders put it into a form."""
        text = json.dumps(body)
        rest = {name: value for name, value in body.items() if name != "checksum"}
        data = body["data"]
        nested = [
            (f"data[{name}]", value)
            for name, value in data.items()
            if name != "customer"
        ]
        nested += [
            (f"data[customer][{name}]", value or "")
            for name, value in data["customer"].items()
        ]
        top = [(name, body[name]) for name in ("event", "checksum")]
        return {
            "in one field": {"payload": text},
            "in a field called data": {"data": text},
            "beside others": {"x": "1", "body": text},
            "signature beside it": {
                "payload": json.dumps(rest),
                "checksum": body["checksum"],
            },
            "the members, data as JSON": [*top, ("data", json.dumps(data))],
            "the members": [*top, *nested],
            "the members with dots": [
                (name.replace("[", ".").replace("]", ""), value)
                for name, value in [*top, *nested]
            ],
        }

    def test_signed_form_is_understood_and_booked(self):
        for confirmation in ("query", "signature"):
            self.provider.clickpesa_confirmation = confirmation
            for how in self._forms(self.body):
                with self.subTest(how=how, confirmation=confirmation):
                    move = self._registered_invoice(150000)
                    paid = self._pay(move.billpay_number_id.name, 150000)
                    form = self._forms(self.sandbox.webhook_body(paid["id"]))[how]
                    self.assertEqual(self._deliver_form(form).status_code, 200)
                    event = self.env["billpay.event"].search([], limit=1)
                    self.assertTrue(event.signed)
                    self._process()
                    row = self._ledger(paid)
                    self.assertBooked(row, 150000)
                    self.assertEqual(event.payment_id, row)
                    self.assertEqual(move.amount_residual, 0)

    def test_json_under_the_content_type_of_a_form(self):
        """As ``curl -d`` and some libraries send it."""
        response = self._deliver(
            json.dumps(self.body).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        self.assertEqual(response.status_code, 200)
        self.assertTrue(self._new_events().signed)
        self._process()
        self.assertBooked(self._ledger(self.paid), 150000)

    @mute_logger(WEBHOOK)
    def test_unsigned_or_altered_form_is_quarantined(self):
        for how, form in self._forms(self.body).items():
            with self.subTest(how):
                pairs = dict(form)
                for name, value in pairs.items():
                    pairs[name] = str(value).replace("150000", "999999")
                self.assertEqual(self._deliver_form(pairs).status_code, 401)
        self.assertEqual(self._new_events().mapped("state"), ["quarantine"])
        self._process()
        self.assertFalse(self._ledger(self.paid))

    def test_form_that_is_no_delivery_is_400(self):
        text = json.dumps(self.body)
        for form in (
            {"x": ""},
            {"payload": "text"},
            {"payload": "[1]"},
            {"payload": '{"a": 1}'},
            {"a": "1", "b": "2"},
            [("event", "A"), ("event", "B")],
            [("data", text + "x"), ("data[id]", "1")],
            [(f"data[{index}]", "1") for index in range(999)],
            {"data" + "[a]" * 99: "1"},
        ):
            with self.subTest(str(form)[:40]):
                self.assertEqual(self._deliver_form(form).status_code, 400)
        self.assertFalse(self._new_events())

    def test_large_body_is_413(self):
        body = json.dumps({"event": "PAYMENT RECEIVED", "data": "x" * 2**20}).encode()
        self.assertEqual(self._deliver(body).status_code, 413)
        self.assertFalse(self._new_events())

    def test_without_a_key_a_delivery_is_a_hint_that_must_be_confirmed(self):
        self.provider.clickpesa_checksum_key = False
        self.sandbox.settings.update({"checksum_key": ""})
        body = {k: v for k, v in self.body.items() if k != "checksum"}
        body["data"] = {**body["data"], "collectedAmount": "999999"}
        self.assertEqual(self._deliver(body).status_code, 200)
        self.assertFalse(self._new_events().signed)
        self._process()
        self.assertBooked(self._ledger(self.paid), 150000)

    def _deliver_signed(self, **data):
        """A delivery with changed members, rightly signed; then the worker."""
        body = {
            "event": data.pop("event", "PAYMENT RECEIVED"),
            "data": {**self.body["data"], **data},
        }
        response = self._deliver(sign(body, CHECKSUM_KEY))
        self._process()
        return response

    def test_odd_values_are_stored_and_never_book_what_was_said(self):
        odd = [
            {"collectedAmount": "150000.00"},
            {"collectedAmount": "NaN"},
            {"collectedAmount": "-5"},
            {"collectedAmount": {"a": 1}},
            {"collectedAmount": True},
            {"collectedAmount": "9" * 400},
            {"collectedCurrency": "USD"},
            {"status": "WHO KNOWS"},
            {"status": 7},
            {"orderReference": None},
            {"orderReference": ["x"]},
            {"orderReference": "1' OR '1'='1"},
            {"customer": "text"},
            {"createdAt": "yesterday"},
            {"createdAt": 10**30},
            {"event": "SOMETHING NEW"},
            {"event": None},
            {"message": "a\x00b\x07\u202e"},
        ]
        for confirmation in ("query", "signature"):
            self.provider.clickpesa_confirmation = confirmation
            for changes in odd:
                with self.subTest(confirmation=confirmation, odd=str(changes)[:60]):
                    self._check_odd(dict(changes), confirmation)

    def _check_odd(self, changes, confirmation):
        self.move = self._registered_invoice(150000)
        self.paid = self._pay(self.move.billpay_number_id.name, 150000)
        self.body = self.sandbox.webhook_body(self.paid["id"])
        self.assertEqual(self._deliver_signed(**changes).status_code, 200)
        row = self._ledger(self.paid)
        for booked in row.account_payment_ids:
            self.assertEqual(booked.amount, 150000)
        self.assertTrue(self._new_events(), "it is kept")
        self._poll()
        self._process()
        self.assertBooked(row, 150000)
        self.assertEqual(self.move.amount_residual, 0)

    def test_date_of_a_delivery_does_not_outrank_the_answer(self):
        for status, date in (
            ("SUCCESS", "2099-01-01T00:00:00.000Z"),
            ("FAILED", "2099-01-01T00:00:00.000Z"),
        ):
            with self.subTest(status=status):
                self.move = self._registered_invoice(150000)
                self.paid = self._pay(self.move.billpay_number_id.name, 150000)
                self.body = self.sandbox.webhook_body(self.paid["id"])
                self._deliver_signed(status=status, updatedAt=date)
                self._poll()
                self._process()
                self.assertBooked(self._ledger(self.paid), 150000)
                self.assertEqual(self.move.amount_residual, 0)

    def _signed_alone(self, **data):
        """A new payment that a signature alone confirms; its row and its invoice."""
        self.provider.clickpesa_confirmation = "signature"
        self.move = self._registered_invoice(150000)
        self._had_since(self.move.billpay_number_id.name, "2026-03-02 10:00:00")
        self.paid = self._pay(self.move.billpay_number_id.name, 150000)
        self.body = self.sandbox.webhook_body(self.paid["id"])
        self._deliver_signed(**data)
        return self._ledger(self.paid), self.move

    def test_moment_that_cannot_be_is_not_booked(self):
        for moment in (
            "2099-01-01T00:00:00.000Z",
            "2001-01-01T00:00:00.000Z",
            fields.Datetime.now() + timedelta(minutes=30),
            fields.Datetime.now() + timedelta(days=1),
        ):
            if isinstance(moment, datetime):
                moment = moment.isoformat() + "Z"
            with self.subTest(moment):
                before = fields.Datetime.now()
                row, move = self._signed_alone(createdAt=moment, updatedAt=moment)
                self.assertBooked(row, 150000)
                self.assertEqual(move.amount_residual, 0)
                self.assertBetween(row.paid_at, before)
                today = self.company._billpay_day(before)
                self.assertEqual(row.account_payment_ids.move_id.date, today)
                self.assertEqual(row.paid_at_told.isoformat(), moment[:19])
                self.assertTrue(row.attention)
                self.assertIn("cannot be true", row.reason)
                # A later word of ClickPesa counts, whatever moment the first one had.
                self.sandbox.set_status(self.paid["id"], "REVERSED")
                self._poll()
                self._process()
                self.assertEqual(row.state, "reversed")
                self.assertEqual(move.amount_residual, 150000)

    def assertBetween(self, moment, before):
        self.assertLessEqual(before, moment.replace(microsecond=0))
        self.assertLessEqual(moment, fields.Datetime.now() + timedelta(seconds=1))

    def test_moment_that_may_be_true_is_booked(self):
        now = fields.Datetime.now()
        for moment in (now + timedelta(minutes=4), now, now - timedelta(hours=5)):
            with self.subTest(str(moment - now)):
                row, _move = self._signed_alone(createdAt=moment.isoformat() + "Z")
                self.assertBooked(row, 150000)
                self.assertEqual(row.paid_at, moment)
                self.assertFalse(row.attention or row.paid_at_told)

    def test_word_from_the_past_or_future_is_heard(self):
        """A moment of the word that cannot be does not silence it, nor the next."""
        for moment in ("2001-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"):
            with self.subTest(moment):
                row, move = self._signed_alone()
                self._deliver_signed(status="REVERSED", updatedAt=moment)
                self.assertEqual(row.state, "reversed")
                today = self.company._billpay_day(fields.Datetime.now())
                mirror = row.account_payment_ids.move_id.reversal_move_ids
                self.assertEqual(mirror.date, today)
                self.assertEqual(move.amount_residual, 150000)

    def test_amounts_are_rounded_before_they_are_judged(self):
        for amount in ("0.004", 0.0049, "0.001", "0"):
            with self.subTest(amount):
                row, move = self._signed_alone(collectedAmount=amount)
                self.assertEqual(row.state, "unmatched")
                self.assertIn("no valid amount", row.reason)
                self.assertFalse(row.account_payment_ids)
                self.assertEqual(move.amount_residual, 150000)

    def test_delivery_without_an_id_stays_visible(self):
        self.assertEqual(self._deliver_signed(id=None).status_code, 200)
        self.assertEqual(self._new_events().state, "failed")
        self.assertTrue(self._new_events().reason)

    def test_duplicate_keys_are_not_trusted(self):
        self.provider.clickpesa_confirmation = "signature"
        raw = json.dumps(self.body)
        raw = raw.replace('"data":', '"data": {"id": "EVIL"}, "data":', 1).encode()
        self.assertEqual(self._deliver(raw).status_code, 200)
        calls = self.sandbox.count_calls()
        self._process()
        self.assertGreater(self.sandbox.count_calls(), calls, "it was asked for")
        self.assertBooked(self._ledger(self.paid), 150000)

    def test_payouts_and_deposits_are_noted_only(self):
        for event in ("PAYOUT INITIATED", "DEPOSIT RECEIVED"):
            self._deliver_signed(event=event)
        self.assertEqual(self._new_events().mapped("state"), ["logged"] * 2)
        self.assertFalse(self._ledger(self.paid))

    def test_get_is_not_a_delivery(self):
        token = self.provider.sudo().clickpesa_webhook_token
        response = self.url_open(f"/payment/clickpesa/webhook/{token}")
        self.assertIn(response.status_code, (404, 405))
