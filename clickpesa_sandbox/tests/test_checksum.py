# SPDX-License-Identifier: LGPL-3.0-or-later
"""The canonical checksum and how the API asks for it."""

import json

import pytest
from conftest import BULK_ORDER, CREATE_ORDER, Client

from clickpesa_sandbox import checksum

SAMPLE = {
    "amount": 100,
    "currency": "USD",
    "reference": "TX123",
}
VECTORS = {
    "A plain": (
        "secret-key",
        SAMPLE,
        "17c51f37dad20682e08cd556446c7f8e99840f4040b6719712f41f7549287f33",
    ),
    "B nested": (
        "secret-key",
        {
            "reference": "TX123",
            "customer": {
                "phone": "+255123456789",
                "name": "John Doe",
                "email": "john@example.com",
            },
            "exchange": {
                "toCurrency": "TZS",
                "fromCurrency": "TZS",
                "amount": "1000",
                "rate": "1",
            },
            "amount": 100,
            "currency": "USD",
        },
        "d777a80827f17cf7882f9ac5efa68416ec680e2d1ab72ad415228d00e4ac4957",
    ),
    "C slash and whole float": (
        "test-checksum-key",
        {
            "billReference": "INV202600042",
            "billAmount": 150000.0,
            "billPaymentMode": "EXACT",
            "billDescription": "Invoice INV/2026/00042",
        },
        "ad66a24966b98752152b7c056d4bc488034029113b7327038e8bbb95a082b7f9",
    ),
    "D raw UTF-8 and decimals": (
        "test-checksum-key",
        {
            "customerName": "Zaïna Mwanjelwa",
            "customerPhone": "255712345678",
            "billAmount": 1250.50,
            "billDescription": "Ada ya shule – Machi",
        },
        "a939e799fd668670ab5372ea53857489036a47b9a6693442ce7ba35176e6fea3",
    ),
    "E bulk": (
        "test-checksum-key",
        {
            "controlNumbers": [
                {"billReference": "INVA1", "billAmount": 25000},
                {"billDescription": "no amount"},
            ]
        },
        "9c29dfa4b571d8d52f1fa2bafd0b4835f0ab4dc9362cd66d440a18516ced09f6",
    ),
    "F patch": (
        "test-checksum-key",
        {"billStatus": "INACTIVE"},
        "ec24b9d45bdb2370a4ca9f72e6db182816ea1fea90b63d511929678b596aee59",
    ),
    "G webhook with null, own fields left out": (
        "test-checksum-key",
        {
            "event": "PAYMENT RECEIVED",
            "checksum": "0" * 64,
            "checksumMethod": "canonical",
            "data": {
                "id": "INV202600042LCP7890",
                "status": "SUCCESS",
                "paymentReference": "RCPT0001",
                "orderReference": "INV202600042",
                "collectedAmount": "150000",
                "collectedCurrency": "TZS",
                "message": "Payment received",
                "channel": "M-PESA",
                "createdAt": "2026-03-01T09:00:00.000Z",
                "updatedAt": "2026-03-01T09:00:05.000Z",
                "customer": {
                    "customerName": "ASHA JUMA",
                    "customerEmail": None,
                    "customerPhoneNumber": "255712345678",
                },
            },
        },
        "022d1a4dfddb2594b0fb10eb980193a70fec21d2f5567a684f8c355b8cd8bdc8",
    ),
    "H amounts as strings": (
        "test-checksum-key",
        {
            "phoneNumber": "255712345678",
            "amount": "10000",
            "currency": "TZS",
            "orderReference": "INV202600042",
        },
        "41a973fe54e3b8fbc0568202c07579fdc283f06246ea305be684c85d01c081f7",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name):
    key, body, digest = VECTORS[name]
    assert checksum.sign(key, body) == digest
    assert checksum.verify(key, body, digest.upper())
    assert not checksum.verify(key, {**body, "more": 1}, digest)
    assert not checksum.verify(key, body, None)


@pytest.mark.parametrize(
    ("value", "written"),
    # What Node's JSON.stringify writes.
    [
        (150000.0, "150000"),
        (1250.50, "1250.5"),
        (-2.5, "-2.5"),
        (-0.0, "0"),
        (1e-7, "1e-7"),
        (1.5e-6, "0.0000015"),
        (1e16, "10000000000000000"),
        (1e21, "1e+21"),
        (1.5e21, "1.5e+21"),
        (123456.789, "123456.789"),
        (12345678901234567890, "12345678901234567000"),
        (True, "true"),
        (None, "null"),
        ('a/b"\\\n\x1f\x7f\u2028é', '"a/b\\"\\\\\\n\\u001f\x7f\u2028é"'),
        ("\ud800", '"\\ud800"'),
        ([1, [], {}], "[1,[],{}]"),
        # UTF-16 order: U+1F600 starts with a surrogate, below U+FF5E.
        ({"\uff5e": 1, "\U0001f600": 2, "B": 3, "a": 4}, None),
    ],
)
def test_written_as_javascript_does(value, written):
    if written is None:
        written = '{"B":3,"a":4,"\U0001f600":2,"\uff5e":1}'
    assert checksum.canonical({"x": value}) == '{"x":' + written + "}"


@pytest.fixture
def signing(sandbox):
    sandbox.settings.checksum_key = "a checksum key"
    return Client(sandbox)


def refused(answer):
    assert answer.status_code == 400
    assert answer.json()["error"] == "Bad Request"
    assert answer.json()["statusCode"] == 400
    return answer.json()["message"]


def test_every_body_must_be_signed(signing):
    for method, path in (
        ("POST", CREATE_ORDER),
        ("POST", BULK_ORDER),
        ("PATCH", "/billpay/INV1"),
        ("PUT", "/billpay/update-status"),
    ):
        url = signing.base + path
        answer = signing.session.request(method, url, json={"billReference": "INV1"})
        assert refused(answer) == ["checksum is required"]
        answer = signing.session.request(method, url, json={"checksum": "f" * 64})
        assert refused(answer) == ["Invalid checksum"]
    assert refused(signing.session.post(signing.base + CREATE_ORDER)) == [
        "checksum is required"
    ]
    assert signing.sandbox.numbers() == []


def test_signed_bodies_pass_whatever_order_and_spacing(signing):
    assert signing.order(billReference="INV1", billAmount=100.0).status_code == 200
    body = {"billReference": "INV2", "billDescription": "Zaïna / –"}
    text = json.dumps({**body, "checksum": signing.sandbox.sign(body)}, indent=4)
    answer = signing.session.post(signing.base + CREATE_ORDER, data=text)
    assert answer.status_code == 200
    assert signing.patch("INV1", {"billStatus": "INACTIVE"}).status_code == 200
    assert signing.get("/billpay/INV1").status_code == 200


def test_checksum_off_ignores_the_member(client):
    answer = client.order(billReference="INV1", checksum="x", checksumMethod="legacy")
    assert answer.status_code == 200


def test_switching_checksum_takes_the_tokens(client, sandbox):
    sandbox.settings.checksum_key = "key"
    assert client.get("/payments/all").status_code == 401
    client.login()
    sandbox.settings.checksum_key = "another key"
    assert client.get("/payments/all").status_code == 200
    sandbox.settings.checksum_key = ""
    assert client.get("/payments/all").status_code == 401
