# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Deliveries: what is read, what is refused, and that nothing else is raised."""

import json

import clickpesa
import pytest
from clickpesa import Payment, form_bodies, parse_notification, sign, verify
from hypothesis import given
from hypothesis import strategies as st

DATA = {
    "id": "ORD123456LCP7890",
    "status": "SUCCESS",
    "paymentReference": "RCPT1",
    "orderReference": "ORD123456",
    "collectedAmount": "10000",
    "collectedCurrency": "TZS",
    "message": "Paid",
    "channel": "M-PESA",
    "createdAt": "2026-03-01T09:00:00.000Z",
    "updatedAt": "2026-03-01T09:00:05.000Z",
    "customer": {
        "customerName": "ASHA JUMA",
        "customerEmail": None,
        "customerPhoneNumber": "255712345678",
    },
}


def raw(payload):
    return json.dumps(payload).encode()


def test_current_form():
    note = parse_notification(raw({"event": "PAYMENT RECEIVED", "data": DATA}))
    assert note.event == "PAYMENT RECEIVED"
    assert note.payment.id == "ORD123456LCP7890"
    assert note.payment.amount == 10000
    assert note.payload["data"] == DATA
    assert note.duplicate_keys is False


@pytest.mark.parametrize(
    ("payload", "event", "client_id"),
    [
        ({"eventType": "PAYMENT FAILED", "data": DATA}, "PAYMENT FAILED", ""),
        ({"event": "payment_received", "data": DATA}, "PAYMENT RECEIVED", ""),
        ({"event": "Something New", "data": DATA}, "SOMETHING NEW", ""),
        ({"data": DATA, "clientId": "IDtop"}, "", "IDtop"),
        ({"data": {**DATA, "clientId": "IDin"}, "clientId": "IDtop"}, "", "IDin"),
        ({**DATA, "event": ["x"]}, "", ""),
    ],
)
def test_other_forms(payload, event, client_id):
    note = parse_notification(raw(payload))
    assert (note.event, note.payment.client_id) == (event, client_id)
    assert note.payment.reference == "ORD123456"


def test_data_that_is_no_object():
    for data in (None, [], "x", 7):
        note = parse_notification(raw({"event": "PAYMENT RECEIVED", "data": data}))
        assert note.payment.id == "" and note.payment.amount is None


def test_duplicate_keys_are_noticed_at_any_depth():
    for body in (
        b'{"event": "A", "event": "B"}',
        b'{"data": {"collectedAmount": "1", "collectedAmount": "2"}}',
        b'{"list": [{"a": 1, "\\u0061": 2}]}',
    ):
        assert parse_notification(body).duplicate_keys is True


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b"{",
        b'{"a": }',
        b"{'a': 1}",
        b'{"a": 1} {}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\xff\xfe"}',
        "{}".encode("utf-16"),
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a":' + b"[" * 1_000_000,
        b'{"a":' + b"[" * 70 + b"]" * 70 + b"}",
        b"\x00",
        b"event=PAYMENT&x=1",
        None,
        7,
    ],
)
def test_what_is_no_json_object_is_a_value_error(body):
    with pytest.raises(ValueError):
        parse_notification(body)


def test_brackets_inside_text_are_no_nesting():
    body = raw({"event": "A", "data": {"message": '[{"\\' * 5000}})
    assert parse_notification(body).event == "A"


def test_a_byte_order_mark_does_no_harm():
    assert parse_notification(b'\xef\xbb\xbf{"event": "A"}').event == "A"


def test_numbers_survive_for_verification():
    body = b'{"data": {"collectedAmount": 10000, "rate": 0.1}, "checksum": "%s"}'
    digest = clickpesa.checksum({"data": {"collectedAmount": 10000, "rate": 0.1}}, "k")
    note = parse_notification(body % digest.encode())
    assert clickpesa.verify(note.payload, "k")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)
NAMES = st.sampled_from([*DATA, *DATA["customer"], "amount", "paymentId", "clientId"])
HOSTILE = st.dictionaries(NAMES, JSON | st.sampled_from(list(DATA.values())))


@given(st.binary() | st.text().map(lambda t: t.encode("utf-8", "replace")))
def test_bytes_give_a_notification_or_a_value_error(body):
    try:
        parse_notification(body)
    except ValueError:
        pass


@given(st.dictionaries(st.sampled_from(["event", "data", "checksum"]), JSON | HOSTILE))
def test_json_gives_a_notification_or_a_value_error(payload):
    try:
        note = parse_notification(json.dumps(payload).encode())
    except ValueError:
        return
    clickpesa.verify(note.payload, "key")


@given(HOSTILE | JSON)
def test_parsing_a_payment_never_raises_and_is_sane(data):
    payment = Payment.parse(data)
    assert payment.amount is None or 0 <= payment.amount <= 10**12
    for text in (payment.id, payment.payer_name, payment.message, payment.channel):
        assert len(text) <= 1000
        assert text.isprintable() or not any(ord(char) < 32 for char in text)
        text.encode()
    for moment in (payment.created_at, payment.updated_at):
        assert moment is None or moment.utcoffset().total_seconds() == 0


def signed_in(fields):
    """The body of a form that is signed, if any."""
    bodies = [parse_notification(body).payload for body in form_bodies(fields)]
    return next((body for body in bodies if verify(body, "key")), None)


@pytest.mark.parametrize(
    ("changes", "written"),
    [
        ({}, {}),
        # What a form makes of what is no text.
        ({"customerEmail": None}, {"customerEmail": ""}),
        ({"amount": 10000}, {"amount": "10000"}),
        ({"amount": 10.5, "test": True}, {"amount": "10.5", "test": "true"}),
    ],
)
def test_signature_tells_which_body_a_form_means(changes, written):
    data = {"id": "A1", "status": "SUCCESS"}
    body = sign({"event": "PAYMENT RECEIVED", "data": {**data, **changes}}, "key")
    fields = [("event", body["event"]), ("checksum", body["checksum"])]
    fields += [(f"data[{name}]", text) for name, text in {**data, **written}.items()]
    assert signed_in(fields) == body
    assert signed_in([*fields[1:], ("event", "PAYMENT FAILED")]) is None


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=6))
def test_no_form_raises(fields):
    for body in form_bodies(fields):
        assert isinstance(parse_notification(body).payload, dict)


@given(st.recursive(st.text(), lambda of: st.dictionaries(st.text(), of), max_leaves=9))
def test_no_object_in_a_form_raises(value):
    for name in ("payload", "data", "data[x]", "event"):
        for body in form_bodies([(name, json.dumps(value)), ("id", "1")]):
            assert isinstance(body, bytes)
