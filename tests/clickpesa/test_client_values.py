# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Value objects: requests that are sent, payments and numbers that are read."""

import datetime
from decimal import Decimal

import pytest
from clickpesa import NumberReply, NumberRequest, Payment, to_ascii
from clickpesa.bodies import bulk_reply, create_body, update_body, wire_phone
from clickpesa.parsing import clean_identity, clean_text
from clickpesa.values import (
    FAILED,
    PAID,
    TAKEN_BACK,
    has_charges,
    is_gone,
    is_paid,
    status_kind,
)

UTC = datetime.timezone.utc


def when(*parts):
    return datetime.datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (150000, 150000),
        ("150000", 150000),
        ("10000.00", 10000),
        (" 10000.5 ", Decimal("10000.5")),
        ("+5", 5),
        ("0", 0),
        (1250.5, Decimal("1250.5")),
        (Decimal("1250.50"), Decimal("1250.5")),
        (1e5, 100000),
        (0.1 + 0.2, Decimal("0.3")),
        (10**12, 10**12),
        (10**12 + 1, None),
        (10**400, None),
        ("1" * 400, None),
        (-1, None),
        ("-1", None),
        (float("nan"), None),
        (float("inf"), None),
        (Decimal("NaN"), None),
        (Decimal("sNaN"), None),
        ("NaN", None),
        ("Infinity", None),
        ("1e5", None),
        ("10,000", None),
        ("١٠٠", None),
        ("TZS 100", None),
        ("", None),
        (True, None),
        (False, None),
        (None, None),
        ([100], None),
        ({"value": 100}, None),
    ],
)
def test_amounts(value, amount):
    read = Payment.parse({"collectedAmount": value}).amount
    assert read == amount
    assert read is None or isinstance(read, Decimal)
    assert "E" not in str(read)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-03-01T09:00:00.000Z", when(2026, 3, 1, 9)),
        ("2026-03-01T09:00:00Z", when(2026, 3, 1, 9)),
        ("2026-03-01t09:00:00z", when(2026, 3, 1, 9)),
        ("2026-03-01T09:00:00.123456789Z", when(2026, 3, 1, 9, 0, 0, 123456)),
        ("2026-03-01T12:00:00+03:00", when(2026, 3, 1, 9)),
        ("2026-03-01T12:00:00+0300", when(2026, 3, 1, 9)),
        ("2026-03-01T12:00:00+03", when(2026, 3, 1, 9)),
        ("2026-02-28T23:30:00-01:30", when(2026, 3, 1, 1)),
        ("2026-03-01T09:00:00", when(2026, 3, 1, 9)),
        ("2026-03-01 09:00", when(2026, 3, 1, 9)),
        ("2026-03-01", when(2026, 3, 1)),
        ("2026-12-31T23:59:60Z", when(2026, 12, 31, 23, 59, 59)),
        (1772355600000, when(2026, 3, 1, 9)),
        (1772355600, when(2026, 3, 1, 9)),
        ("1772355600000", when(2026, 3, 1, 9)),
        (1772355600500.0, when(2026, 3, 1, 9, 0, 0, 500000)),
        ("2026-13-01T00:00:00Z", None),
        ("2026-02-30T00:00:00Z", None),
        ("2026-03-01T25:00:00Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("1999-12-31", None),
        ("yesterday", None),
        ("", None),
        (0, None),
        (10**30, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_times(value, moment):
    assert Payment.parse({"createdAt": value}).created_at == moment


def test_a_payment_of_the_query_api():
    payment = Payment.parse(
        {
            "id": "INV202600042LCP7890",
            "status": "SETTLED",
            "paymentReference": "RCPT0001",
            "paymentPhoneNumber": "255700000000",
            "orderReference": "INV202600042",
            "collectedAmount": 150000,
            "collectedCurrency": "TZS",
            "channel": "M-PESA",
            "customer": {
                "customerName": "ASHA JUMA",
                "customerPhoneNumber": "255712345678",
                "customerEmail": None,
            },
            "clientId": "ID1",
        }
    )
    assert is_paid(payment.status) and not is_gone(payment.status)
    assert payment.receipt == "RCPT0001"
    assert payment.payer_phone == "255700000000"
    assert payment.payer_name == "ASHA JUMA"
    assert payment.payer_email == "" and payment.client_id == "ID1"
    assert payment.created_at is None


def test_a_payment_in_its_oldest_form():
    payment = Payment.parse(
        {
            "paymentId": "X1",
            "status": "success",
            "amount": "10000.00",
            "currency": "tzs",
            "customer": {"name": "A", "email": "a@b.c", "phone": "255"},
        }
    )
    assert (payment.id, payment.amount, payment.currency) == ("X1", 10000, "TZS")
    assert is_paid(payment.status)
    assert (payment.payer_name, payment.payer_email) == ("A", "a@b.c")
    assert payment.payer_phone == "255"


def test_a_deposit():
    payment = Payment.parse({"depositAmount": "2000", "depositCurrency": "TZS"})
    assert (payment.amount, payment.currency) == (2000, "TZS")


def test_new_names_win_and_nonsense_is_not_replaced_by_an_old_one():
    assert Payment.parse({"id": "new", "paymentId": "old"}).id == "new"
    assert Payment.parse({"collectedAmount": "", "amount": "5"}).amount == 5
    assert Payment.parse({"collectedAmount": "abc", "amount": "5"}).amount is None


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        ("SUCCESS", (True, False, False)),
        ("SETTLED", (True, False, False)),
        ("FAILED", (False, True, False)),
        ("REFUNDED", (False, False, True)),
        ("REVERSED", (False, False, True)),
        # The dashboard's words, and how else they may be written.
        ("success", (True, False, False)),
        ("Settled ", (True, False, False)),
        ("SETTLEMENT COMPLETED", (True, False, False)),
        ("settlement_completed", (True, False, False)),
        ("REVERSE", (False, False, True)),
        ("REVERSE WITH CHARGES", (False, False, True)),
        ("reverse-with_charges", (False, False, True)),
        ("Reversal", (False, False, True)),
        ("REFUND", (False, False, True)),
        ("REFUND_PENDING", (False, False, True)),
        ("CHARGEBACK", (False, False, True)),
        ("CHARGEBACK-WON", (False, False, True)),
        # A settlement that did not go through.
        ("SETTLEMENT FAILED", (False, False, False)),
        ("SETTLEMENT-REVERSED", (False, False, False)),
        ("settlement pending", (False, False, False)),
        ("NOT SETTLED", (False, False, False)),
        ("SUCCESS REVERSED", (False, False, False)),
        ("", (False, False, False)),
        (None, (False, False, False)),
        ("PROCESSING", (False, False, False)),
        ("ON-HOLD", (False, False, False)),
        ("WHATEVER", (False, False, False)),
        (["SUCCESS"], (False, False, False)),
        (True, (False, False, False)),
    ],
)
def test_statuses(status, flags):
    payment = Payment.parse({"status": status})
    kind = status_kind(payment.status)
    assert tuple(kind == known for known in (PAID, FAILED, TAKEN_BACK)) == flags
    assert is_paid(payment.status) == flags[0]
    assert is_gone(payment.status) == any(flags[1:])


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        ("REVERSE WITH CHARGES", True),
        ("reversed_with_charges", True),
        ("REVERSED", False),
        ("CHARGEBACK", False),
        ("SETTLED WITH CHARGES", False),
    ],
)
def test_charges_for_taking_money_back(status, kept):
    assert has_charges(status) == kept


def test_text_is_cleaned_and_cut():
    payment = Payment.parse(
        {
            "id": 12345,
            "orderReference": 1122231256.0,
            "status": " success\n",
            "channel": "M\x00-\x1bPESA" + "x" * 500,
            "message": "a\r\nb\u202e\ud800",
            "customer": {"customerName": "N" * 10_000},
        }
    )
    assert payment.id == "12345" and payment.reference == "1122231256"
    assert payment.status == "SUCCESS"
    assert payment.channel.startswith("M - PESA") and len(payment.channel) == 64
    assert payment.message == "a b \ufffd"
    assert len(payment.payer_name) == 256


def test_long_identities_stay_apart():
    one, two = (Payment.parse({"id": "7" * 5000 + end}).id for end in "ab")
    assert one != two and len(one) == len(two) == 128
    assert clean_identity("short") == "short"


def test_personal_data_stays_out_of_the_representation():
    payment = Payment.parse(
        {"id": "X1", "customer": {"name": "ASHA"}, "paymentPhoneNumber": "255712"}
    )
    assert "X1" in repr(payment)
    assert "ASHA" not in repr(payment) and "255712" not in repr(payment)
    request = NumberRequest("A1", customer_name="ASHA", customer_phone="255712")
    assert "ASHA" not in repr(request) and "255712" not in repr(request)
    assert len({payment, Payment.parse(payment.raw)}) == 1


@pytest.mark.parametrize(
    ("amount", "sent", "kind"),
    [
        (150000, 150000, int),
        (150000.0, 150000, int),
        (Decimal("150000.00"), 150000, int),
        (Decimal("1250.50"), Decimal("1250.5"), Decimal),
        (1250.55, Decimal("1250.55"), Decimal),
        (1250.1 + 0.2, Decimal("1250.3"), Decimal),
    ],
)
def test_request_amounts(amount, sent, kind):
    request = NumberRequest("A1", amount)
    assert request.amount == sent and type(request.amount) is kind


@pytest.mark.parametrize(
    "fields",
    [
        {"reference": "INV-1"},
        {"reference": "INV/1"},
        {"reference": "INV 1"},
        {"reference": "١٢"},
        {"reference": "A1\n"},
        {"amount": 0},
        {"amount": -5},
        {"amount": 0.001},
        {"amount": Decimal("1.005")},
        {"amount": Decimal("NaN")},
        {"amount": float("inf")},
        {"amount": 10**13},
        {"amount": True},
        {"amount": "100"},
        {"mode": "EXACT"},
        {"mode": "exact", "amount": 5, "max_amount": 5},
    ],
)
def test_impossible_requests(fields):
    with pytest.raises(ValueError):
        NumberRequest(**{"reference": "A1", **fields})


def test_order_body_has_only_what_is_set():
    request = NumberRequest("A1", None, "exact", "", "Name", "255712345678", "a@b.c")
    assert create_body(request, customer=False, ascii_only=False) == {
        "billReference": "A1"
    }
    request = NumberRequest("", 500, "flexible", "Bill\none", max_amount=900.0)
    assert create_body(request, customer=False, ascii_only=False) == {
        "billAmount": 500,
        "billPaymentMode": "ALLOW_PARTIAL_AND_OVER_PAYMENT",
        "billMaxCollectionAmount": 900,
        "billDescription": "Bill one",
    }


def test_customer_body_and_transliteration():
    request = NumberRequest(
        "A1",
        description="Ada – Machi",
        customer_name="Zaïna",
        customer_phone="0712345678",
    )
    body = create_body(request, customer=True, ascii_only=True)
    assert body == {
        "billReference": "A1",
        "billDescription": "Ada - Machi",
        "customerName": "Zaina",
        "customerPhone": "255712345678",
    }
    body = create_body(request, customer=True, ascii_only=False)
    assert body["customerName"] == "Zaïna"


@pytest.mark.parametrize(
    ("phone", "sent"),
    [
        ("+255 712 345 678", "255712345678"),
        ("0712-345-678", "255712345678"),
        ("712345678", "255712345678"),
        ("+255 0712 345 678", "255712345678"),
        ("+254 712 345678", "254712345678"),
        ("", ""),
        (None, ""),
    ],
)
def test_phones(phone, sent):
    assert wire_phone(phone) == sent


def test_a_foreign_phone_is_left_out_beside_an_email():
    assert wire_phone("+254 712 345678", optional=True) == ""
    assert wire_phone("0712345678", optional=True) == "255712345678"


def test_update_body():
    nothing = dict.fromkeys(("amount", "mode", "description", "active", "max_amount"))
    assert update_body(**{**nothing, "active": False}, ascii_only=True) == {
        "billStatus": "INACTIVE"
    }
    changes = {**nothing, "amount": 10.0, "mode": "exact", "description": "x" * 600}
    body = update_body(**changes, ascii_only=True)
    assert body["billAmount"] == 10 and body["billPaymentMode"] == "EXACT"
    assert len(body["billDescription"]) == 500
    for bad in (nothing, {**nothing, "mode": "any"}, {**nothing, "amount": 0}):
        with pytest.raises(ValueError):
            update_body(**bad, ascii_only=True)


def test_number_reply():
    reply = NumberReply.parse({"billPayNumber": 55042914871931, "billAmount": "5.50"})
    assert reply.number == "55042914871931" and reply.amount == Decimal("5.5")
    assert reply.mode is None and reply.active is None and reply.description == ""
    reply = NumberReply.parse({"billStatus": "INACTIVE"}, "A1")
    assert reply.number == "A1" and reply.active is False
    assert NumberReply.parse({"billPaymentMode": "EXACT"}).mode == "exact"


def requests(*references):
    return [NumberRequest(reference) for reference in references]


def test_bulk_reply_by_position():
    reply = bulk_reply(
        {
            "billPayNumbers": ["A", "C"],
            "errors": [{"index": 1, "reason": ["used", "taken"]}],
        },
        requests("A", "B", "C"),
    )
    assert reply.created == ("A", "C") and reply.errors == {1: "used; taken"}


def test_bulk_reply_that_counts_from_one():
    reply = bulk_reply(
        {"billPayNumbers": ["A", "C"], "errors": [{"index": 2, "reason": "used"}]},
        requests("A", "B", "C"),
    )
    assert reply.errors == {1: "used"}


def test_bulk_reply_with_twins_in_the_request():
    reply = bulk_reply(
        {"billPayNumbers": ["A"], "errors": [{"index": 1}]}, requests("A", "a")
    )
    assert reply.errors == {1: "Refused without a reason."}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"billPayNumbers": ["A"]},
        {"billPayNumbers": ["A", "X"]},
        {"billPayNumbers": ["A", None]},
        {"billPayNumbers": ["A"], "errors": [{"index": 0, "reason": "x"}]},
        {"billPayNumbers": ["A"], "errors": [{"index": "1", "reason": "x"}]},
        {"billPayNumbers": ["A"], "errors": [{"reason": "x"}]},
        {"billPayNumbers": ["A"], "errors": ["x"]},
        {"billPayNumbers": ["A"], "errors": "x"},
        {"billPayNumbers": "AB"},
        {"billPayNumbers": ["A", "B"], "errors": [{"index": 1, "reason": "x"}]},
    ],
)
def test_bulk_replies_that_do_not_add_up(data):
    with pytest.raises(ValueError):
        bulk_reply(data, requests("A", "B"))


def test_bulk_reply_without_references():
    reply = bulk_reply(
        {"billPayNumbers": ["551"], "errors": [{"index": 0, "reason": "x"}]},
        requests("", ""),
    )
    assert reply.errors == {0: "x"}
    with pytest.raises(ValueError):
        bulk_reply(
            {"billPayNumbers": ["551"], "errors": [{"index": 2}]}, requests("", "")
        )


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Zaïna Mwanjelwa", "Zaina Mwanjelwa"),
        (
            "Ada ya shule – Machi — “mwisho” ‘a’…",
            "Ada ya shule - Machi - \"mwisho\" 'a'...",
        ),
        ("Straße Ærø Łódź Đà", "Strasse AEro Lodz Da"),
        ("100 € a b", "100 EUR a b"),
        ("a\tb\r\nc\x00d\x7f", "a b c d"),
        ("王明", "??"),
        ("½", "1/2"),
        ("a\u200db", "ab"),
        ("\ud800", "?"),
        ("Zai\u0308na", "Zaina"),
        ("\U0001f600", "?"),
    ],
)
def test_transliteration(text, plain):
    assert to_ascii(text) == plain


def test_cut_text_has_no_loose_end():
    assert clean_text("abc def", 4) == "abc"
    assert to_ascii("ß" * 10, 5) == "sssss"
