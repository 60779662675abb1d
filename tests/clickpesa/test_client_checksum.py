# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Checksum: vectors, JavaScript's number layout, verification of deliveries."""

import json
from decimal import Decimal

import pytest
from clickpesa import canonical_json, checksum, sign, signature_of, verify
from hypothesis import given
from hypothesis import strategies as st

OLD_KEY = "secret-key"
KEY = "test-checksum-key"

A = {"reference": "TX123", "currency": "USD", "amount": 100}
B = {
    "amount": 100,
    "currency": "USD",
    "reference": "TX123",
    "customer": {
        "name": "John Doe",
        "email": "john@example.com",
        "phone": "+255123456789",
    },
    "exchange": {
        "fromCurrency": "TZS",
        "toCurrency": "TZS",
        "amount": "1000",
        "rate": "1",
    },
}
C = {
    "billReference": "INV202600042",
    "billAmount": 150000,
    "billPaymentMode": "EXACT",
    "billDescription": "Invoice INV/2026/00042",
}
D = {
    "customerName": "Zaïna Mwanjelwa",
    "customerPhone": "255712345678",
    "billDescription": "Ada ya shule – Machi",
    "billAmount": Decimal("1250.50"),
}
E = {
    "controlNumbers": [
        {"billReference": "INVA1", "billAmount": 25000},
        {"billDescription": "no amount"},
    ]
}
F = {"billStatus": "INACTIVE"}
G = {
    "event": "PAYMENT RECEIVED",
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
}
H = {
    "amount": "10000",
    "currency": "TZS",
    "orderReference": "INV202600042",
    "phoneNumber": "255712345678",
}
VECTORS = {
    "A": (
        A,
        OLD_KEY,
        "17c51f37dad20682e08cd556446c7f8e99840f4040b6719712f41f7549287f33",
    ),
    "B": (
        B,
        OLD_KEY,
        "d777a80827f17cf7882f9ac5efa68416ec680e2d1ab72ad415228d00e4ac4957",
    ),
    "C": (C, KEY, "ad66a24966b98752152b7c056d4bc488034029113b7327038e8bbb95a082b7f9"),
    "D": (D, KEY, "a939e799fd668670ab5372ea53857489036a47b9a6693442ce7ba35176e6fea3"),
    "E": (E, KEY, "9c29dfa4b571d8d52f1fa2bafd0b4835f0ab4dc9362cd66d440a18516ced09f6"),
    "F": (F, KEY, "ec24b9d45bdb2370a4ca9f72e6db182816ea1fea90b63d511929678b596aee59"),
    "G": (G, KEY, "022d1a4dfddb2594b0fb10eb980193a70fec21d2f5567a684f8c355b8cd8bdc8"),
    "H": (H, KEY, "41a973fe54e3b8fbc0568202c07579fdc283f06246ea305be684c85d01c081f7"),
}
A_LEGACY = "85b65bf2670dcdcb8ebb8d19939e4fd59b02d5218741be2eaf9f575273b101d1"
C_FLOAT = "09d3072cf04552f51eaef68120189c92a94ea1c695e7a3a1bd1d10babc443a87"
C_SLASHED = "d8282f5a91cf76d67852d5062b2526d45889fcd4d00bd9d18599e00647a76045"
D_ESCAPED = "65455997aa9f6c007af25f3b1702650289e46682e47714dc16765472e89c9635"


@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name):
    body, key, digest = VECTORS[name]
    assert checksum(body, key) == digest
    assert verify({**body, "checksum": digest}, key)
    assert not verify({**body, "checksum": digest}, key + "x")


def test_canonical_text():
    assert canonical_json(C) == (
        '{"billAmount":150000,"billDescription":"Invoice INV/2026/00042",'
        '"billPaymentMode":"EXACT","billReference":"INV202600042"}'
    )
    assert canonical_json(D).startswith(
        '{"billAmount":1250.5,"billDescription":"Ada ya'
    )
    assert '"customerEmail":null' in canonical_json(G)


def test_whole_floats_and_decimals_sign_like_integers():
    for amount in (150000.0, Decimal("150000"), Decimal("150000.00"), Decimal("1.5E5")):
        assert checksum({**C, "billAmount": amount}, KEY) == VECTORS["C"][2]
    assert checksum({**D, "billAmount": 1250.5}, KEY) == VECTORS["D"][2]


@pytest.mark.parametrize(
    ("body", "key", "wrong"),
    [(A, OLD_KEY, A_LEGACY), (C, KEY, C_FLOAT), (C, KEY, C_SLASHED)],
)
def test_wrong_digests_stay_wrong(body, key, wrong):
    assert checksum(body, key) != wrong
    assert not verify({**body, "checksum": wrong}, key)


def test_escaped_spelling_is_accepted_from_others_but_never_made():
    assert checksum(D, KEY) != D_ESCAPED
    assert verify({**D, "checksum": D_ESCAPED}, KEY)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-150000.0, "-150000"),
        (1250.5, "1250.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (-1.23e-9, "-1.23e-9"),
        (1e16, "10000000000000000"),
        (1.5e20, "150000000000000000000"),
        (1e21, "1e+21"),
        (1.25e22, "1.25e+22"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (2**53 + 1, "9007199254740993"),
        (10**30, "1" + "0" * 30),
        (Decimal("0.10"), "0.1"),
        (Decimal("1E-7"), "1e-7"),
        (Decimal("1E+21"), "1e+21"),
        (Decimal("9007199254740993"), "9007199254740993"),
        (Decimal("-0"), "0"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_numbers_as_javascript_writes_them(number, text):
    assert canonical_json(number) == text
    assert canonical_json([number]) == f"[{text}]"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a/b", '"a/b"'),
        ("\x01\b\t\n\f\r\x1f\x7f", '"\\u0001\\b\\t\\n\\f\\r\\u001f\x7f"'),
        ('"\\', '"\\"\\\\"'),
        ("\u2028ï–😀", '"\u2028ï–😀"'),
        ("\ud83d\ude00", '"😀"'),
        ("\udc00\ud800", '"\\udc00\\ud800"'),
    ],
)
def test_text_as_javascript_writes_it(text, written):
    assert canonical_json(text) == written


def test_keys_sort_by_utf16_code_units_at_every_level():
    # By code points U+FF41 would come before the emoji; by code units it does not.
    body = [{"ａ": 1, "😀": 2, "é": 3, "z": 4, "Z": {"b": 1, "a": 2}}]
    assert canonical_json(body) == '[{"Z":{"a":2,"b":1},"z":4,"é":3,"😀":2,"ａ":1}]'


def test_what_json_cannot_carry_is_refused():
    for number in (float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")):
        with pytest.raises(ValueError):
            canonical_json({"a": number})
    for body in ({1: 2}, {"a": object()}, {"a": b"bytes"}, {"a": {1, 2}}):
        with pytest.raises(TypeError):
            canonical_json(body)
    with pytest.raises(ValueError):
        checksum({"a": 1}, "")
    with pytest.raises(TypeError):
        checksum(["a"], KEY)


def test_only_top_level_checksum_members_are_left_out():
    signed = sign({**G, "checksumMethod": "canonical", "checksum": "old"}, KEY)
    assert signed["checksum"] == VECTORS["G"][2]
    assert signed["checksumMethod"] == "canonical"
    assert "checksum" not in sign({"a": 1}, KEY).keys() - {"checksum"}
    nested = {"data": {"checksum": "inner", "a": 1}}
    assert checksum(nested, KEY) != checksum({"data": {"a": 1}}, KEY)


def test_sign_leaves_its_input_alone():
    body = {"a": 1}
    sign(body, KEY)
    assert body == {"a": 1}


@pytest.mark.parametrize(
    "header",
    ["X-ClickPesa-Signature", "x-clickpesa-checksum", "CHECKSUM", "X-Checksum"],
)
def test_signature_in_a_header(header):
    digest = VECTORS["G"][2]
    assert verify(G, KEY, {header: digest})
    assert signature_of(G, {header: f" {digest} "}) == digest
    assert not verify(G, KEY, {header: digest[:-1] + "0"})
    assert not verify(G, KEY, {"X-Other": digest})


def test_the_body_counts_before_headers():
    digest = VECTORS["G"][2]
    assert signature_of({"checksum": "body"}, {"checksum": "header"}) == "body"
    assert not verify({**G, "checksum": "0" * 64}, KEY, {"checksum": digest})
    # What is no text is no signature; the header still covers the rest.
    assert verify({**G, "checksum": None}, KEY, {"checksum": digest})
    assert signature_of(G) is None


def test_signature_case_does_not_matter():
    assert verify({**C, "checksum": VECTORS["C"][2].upper()}, KEY)


def test_a_changed_amount_is_found():
    signed = sign(G, KEY)
    signed["data"] = {**signed["data"], "collectedAmount": "1500000"}
    assert not verify(signed, KEY)


DEEP = []
for _ in range(5000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("payload", "key", "headers"),
    [
        (None, KEY, None),
        ([], KEY, None),
        ("text", KEY, None),
        ({}, KEY, None),
        ({"checksum": 7}, KEY, None),
        ({"checksum": ["0" * 64]}, KEY, None),
        ({"checksum": True}, KEY, None),
        ({"checksum": ""}, KEY, {"checksum": ""}),
        ({"checksum": "ï" * 64}, KEY, None),
        ({"checksum": "\ud800" * 64}, KEY, None),
        ({"checksum": "0" * 64, "a": float("nan")}, KEY, None),
        ({"checksum": "0" * 64, "a": float("inf")}, KEY, None),
        ({"checksum": "0" * 64, "a": "\ud800"}, KEY, None),
        ({"checksum": "0" * 64, 7: "a"}, KEY, None),
        ({"checksum": "0" * 64, "a": object()}, KEY, None),
        ({"checksum": "0" * 64, "a": DEEP}, KEY, None),
        ({"checksum": "0" * 64, "a": 10**5000}, KEY, None),
        ({"checksum": "0" * 64}, "\ud800", None),
        ({"checksum": "0" * 64}, None, None),
        ({"checksum": "0" * 64}, 7, None),
        ({"a": 1}, KEY, ["checksum"]),
        ({"a": 1}, KEY, {"checksum": 7, 5: "x"}),
        ({"a": 1}, KEY, 5),
    ],
)
def test_hostile_input_is_false_and_never_raises(payload, key, headers):
    assert verify(payload, key, headers) is False


def test_an_empty_key_verifies_nothing():
    import hashlib
    import hmac

    digest = hmac.new(b"", b'{"a":1}', hashlib.sha256).hexdigest()
    assert not verify({"a": 1, "checksum": digest}, "")


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters())
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(), JSON)


@given(OBJECTS, st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_what_is_signed_verifies_also_after_a_journey(body, key):
    signed = sign(body, key)
    assert verify(signed, key)
    assert verify(json.loads(json.dumps(signed, indent=2)), key)
    assert verify(json.loads(json.dumps(signed, ensure_ascii=False)), key)
    assert verify(json.loads(canonical_json(signed)), key)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_written_floats_read_back(number):
    assert float(canonical_json(number)) == number


@given(JSON | st.floats(), JSON | st.text(), JSON)
def test_verify_never_raises(payload, key, headers):
    assert verify(payload, key, headers) in (True, False)
    assert verify({"checksum": key, "a": payload}, "key", headers) is False
