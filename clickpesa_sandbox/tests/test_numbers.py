# SPDX-License-Identifier: LGPL-3.0-or-later
"""Control numbers: creating, changing, reading."""

import json
import threading

import pytest
import requests
from conftest import BULK_CUSTOMER, BULK_ORDER, CREATE_CUSTOMER, CREATE_ORDER, Client

from clickpesa_sandbox import create_app

FLEXIBLE = "ALLOW_PARTIAL_AND_OVER_PAYMENT"
CUSTOMER = {"customerName": "Asha Juma", "customerPhone": "255712345678"}


def complaint(answer, status=400):
    assert answer.status_code == status, answer.text
    return answer.json()["message"]


def test_order_number(client):
    answer = client.order(
        billReference="INV202600042",
        billDescription="Invoice INV/2026/00042",
        billAmount=150000,
        billPaymentMode="EXACT",
    )
    expected = {
        "billPayNumber": "INV202600042",
        "billDescription": "Invoice INV/2026/00042",
        "billAmount": 150000,
        "billPaymentMode": "EXACT",
    }
    assert (answer.status_code, answer.json()) == (200, expected)
    assert client.get("/billpay/inv202600042").json() == expected


def test_reference_is_generated_and_body_optional(client):
    first = client.post(CREATE_ORDER)
    second = client.post(CREATE_ORDER, {})
    numbers = {first.json()["billPayNumber"], second.json()["billPayNumber"]}
    assert len(numbers) == 2
    assert all(len(n) == 14 and n.isdigit() for n in numbers)
    assert first.json()["billPaymentMode"] == FLEXIBLE
    assert first.json()["billAmount"] is None


def test_created_status_can_be_201(client, sandbox):
    sandbox.settings.created_status = 201
    assert client.order(billReference="INV1").status_code == 201


def test_duplicate_reference_in_any_case(client):
    client.order(billReference="INV1")
    assert complaint(client.order(billReference="inv1"), 409) == (
        "Order reference inv1 already used: Create a different reference"
    )
    assert client.customer(billReference="Inv1", **CUSTOMER).status_code == 409
    assert len(client.sandbox.numbers()) == 1


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"customerName": "A"}, "property customerName should not exist"),
        ({"billAmount": "5000"}, "billAmount must be a number conforming"),
        ({"billAmount": True}, "billAmount must be a number conforming"),
        ({"billAmount": 10.005}, "billAmount must be a number conforming"),
        ({"billAmount": 10**400}, "billAmount must be a number conforming"),
        ({"billAmount": 0}, "billAmount must be a positive number"),
        ({"billAmount": -5}, "billAmount must be a positive number"),
        ({"billPaymentMode": "PARTIAL"}, "billPaymentMode must be one of"),
        ({"billPaymentMode": ["EXACT"]}, "billPaymentMode must be one of"),
        ({"billReference": 12345}, "billReference must be a string"),
        ({"billDescription": {}}, "billDescription must be a string"),
        (
            {"billAmount": 5000, "billMaxCollectionAmount": 4999},
            "billMaxCollectionAmount must be greater than or equal to billAmount",
        ),
    ],
)
def test_validation_messages_are_a_list(client, body, text):
    messages = complaint(client.post(CREATE_ORDER, body))
    assert len(messages) == 1
    assert messages[0].startswith(text)
    assert client.sandbox.numbers() == []


@pytest.mark.parametrize("reference", ["", "INV-1", "INV/1", "INV 1", "Ñ1", "A" * 21])
def test_reference_rules(client, reference):
    message = complaint(client.order(billReference=reference))
    expected = "less than or equal to 20" if len(reference) > 20 else "alphanumeric"
    assert expected in message


def test_reference_of_twenty_and_null_members_pass(client):
    body = {"billReference": "A" * 20, "billAmount": None, "billDescription": None}
    assert client.post(CREATE_ORDER, body).status_code == 200


def test_half_a_surrogate_pair_is_no_crash(client, sandbox):
    sandbox.settings.checksum_key = "key"
    client.login()
    description = "a\ud800b\x00"
    assert client.order(billDescription=description).status_code == 200
    assert sandbox.numbers()[0]["description"] == "a\ufffdb\x00"
    assert complaint(client.order(billReference="\ud800")).startswith("Invalid Order")
    assert complaint(client.post(BULK_ORDER, {"\ud800": 1}))
    web = create_app(sandbox).test_client()
    for path in ("/", "/_sandbox/calls", "/_sandbox/numbers"):
        assert web.get(path).status_code == 200
    pay = {"number": "11225", "amount": 1000, "channel": "\ud800", "name": "\ud800"}
    answer = web.post("/_sandbox/pay", data=json.dumps(pay))
    assert answer.json["channel"] == "\ufffd"


def test_two_decimals_pass(client):
    assert client.order(billAmount=1250.55).json()["billAmount"] == 1250.55
    assert client.order(billAmount=0.29).json()["billAmount"] == 0.29


def test_mode_counts_only_with_an_amount(client):
    answer = client.order(billPaymentMode="EXACT")
    assert answer.json()["billPaymentMode"] == FLEXIBLE


def test_maximum_forces_the_flexible_mode(client):
    answer = client.order(
        billAmount=5000, billMaxCollectionAmount=9000, billPaymentMode="EXACT"
    )
    assert answer.json()["billPaymentMode"] == FLEXIBLE
    assert answer.json()["billMaxCollectionAmount"] == 9000


def test_customer_number(client):
    answer = client.customer(billReference="CUST1", billAmount=30000, **CUSTOMER)
    assert answer.json()["billCustomerName"] == "Asha Juma"
    by_mail = client.customer(customerName="Juma", customerEmail="juma@example.com")
    assert by_mail.status_code == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"customerPhone": "255712345678"}, "customerName should not be empty"),
        ({**CUSTOMER, "customerName": " "}, "customerName should not be empty"),
        ({"customerName": "Asha"}, "customerPhone or customerEmail is required"),
        ({**CUSTOMER, "customerPhone": "+255712345678"}, "customerPhone must be"),
        ({**CUSTOMER, "customerPhone": "0712345678"}, "customerPhone must be"),
        ({**CUSTOMER, "customerEmail": ""}, "customerEmail must be an email"),
        ({**CUSTOMER, "customerAge": 5}, "property customerAge should not exist"),
    ],
)
def test_customer_rules(client, body, text):
    messages = complaint(client.post(CREATE_CUSTOMER, body))
    assert len(messages) == 1
    assert messages[0].startswith(text)


def test_bulk_is_partial_and_in_order(client):
    client.order(billReference="OLD")
    answer = client.post(
        BULK_ORDER,
        {
            "controlNumbers": [
                {"billReference": "NEW1", "billAmount": 25000},
                {"billReference": "old"},
                {"billDescription": "generated"},
                {"billReference": "new1"},
                {"billAmount": "1", "nonsense": 1},
                5,
            ]
        },
    )
    body = answer.json()
    assert answer.status_code == 200
    assert (body["created"], body["failed"]) == (2, 4)
    assert body["billPayNumbers"][0] == "NEW1"
    assert len(body["billPayNumbers"][1]) == 14
    assert [error["index"] for error in body["errors"]] == [1, 3, 4, 5]
    assert body["errors"][0]["reason"] == (
        "Order reference old already used: Create a different reference"
    )
    assert body["errors"][2]["reason"] == (
        "property nonsense should not exist; billAmount must be a number conforming"
        " to the specified constraints"
    )


def test_bulk_without_failures_has_no_errors_member(client):
    body = client.post(BULK_CUSTOMER, {"controlNumbers": [CUSTOMER] * 50}).json()
    assert set(body) == {"billPayNumbers", "created", "failed"}
    assert (body["created"], body["failed"]) == (50, 0)
    assert len(set(body["billPayNumbers"])) == 50


@pytest.mark.parametrize("items", [[], [{}] * 51, "text", None])
def test_bulk_takes_one_to_fifty(client, items):
    complaint(client.post(BULK_ORDER, {"controlNumbers": items}))
    complaint(client.post(BULK_ORDER, {"controlNumbers": [{}], "more": 1}))
    assert client.sandbox.numbers() == []


def test_patch_answers_with_the_changed_members(client):
    client.order(billReference="INV1", billAmount=5000)
    changes = {"billAmount": 6000.5, "billPaymentMode": "EXACT"}
    answer = client.patch("inv1", changes)
    assert answer.json() == {"billPayNumber": "INV1", **changes}
    assert client.patch("INV1", {"billStatus": "INACTIVE"}).json() == {
        "billPayNumber": "INV1",
        "billStatus": "INACTIVE",
    }
    assert client.get("/billpay/INV1").json() == {
        "billPayNumber": "INV1",
        "billDescription": None,
        **changes,
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"billStatus": "CLOSED"},
        {"status": "INACTIVE"},
        {"billAmount": 0},
        {"billAmount": "5"},
        {"billDescription": "x" * 501},
        {"billReference": "INV2"},
        {"billMaxCollectionAmount": 10},
        {"billMaxCollectionAmount": 9000, "billPaymentMode": "EXACT"},
    ],
)
def test_patch_refuses(client, body):
    client.order(billReference="INV1", billAmount=5000)
    before = client.sandbox.number("INV1")
    assert isinstance(complaint(client.patch("INV1", body)), list)
    assert client.sandbox.number("INV1") == before


def test_patch_to_exact_removes_the_maximum(client):
    client.order(billReference="INV1", billAmount=5000, billMaxCollectionAmount=9000)
    client.patch("INV1", {"billPaymentMode": "EXACT"})
    assert client.sandbox.number("INV1")["max_amount"] is None
    assert client.sandbox.number("INV1")["mode"] == "EXACT"


def test_unknown_numbers_are_404(client):
    assert client.get("/billpay/NONE").status_code == 404
    assert client.patch("NONE", {"billStatus": "INACTIVE"}).status_code == 404
    body = {"billPayNumber": "NONE", "status": "INACTIVE"}
    assert client.send("PUT", "/billpay/update-status", body).status_code == 404


def test_deprecated_status_update(client):
    client.order(billReference="INV1")
    body = {"billPayNumber": "INV1", "status": "INACTIVE"}
    answer = client.send("PUT", "/billpay/update-status", body)
    assert (answer.status_code, answer.json()) == (200, body)
    assert client.sandbox.number("INV1")["state"] == "INACTIVE"
    for bad in (
        {"billPayNumber": "INV1", "billStatus": "ACTIVE"},
        {"status": "ACTIVE"},
    ):
        complaint(client.send("PUT", "/billpay/update-status", bad))


def test_same_reference_at_the_same_moment_over_http(live):
    """Twelve callers want the same forty references: each is made exactly once."""
    references = [f"TWIN{n}" for n in range(40)]
    start = threading.Barrier(12)
    answers = []

    def run(index):
        session = requests.Session()
        session.trust_env = False
        with session:
            caller = Client(live, session, live.url + "/third-parties")
            start.wait(timeout=10)
            for reference in references:
                text = reference.lower() if index % 2 else reference
                answers.append(caller.order(billReference=text).status_code)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert answers.count(200) == 40
    assert answers.count(409) == 11 * 40
    assert len(live.numbers()) == 40


def test_ten_thousand_numbers_take_two_hundred_calls(client):
    for call in range(200):
        items = [{"billReference": f"N{call}X{i}"} for i in range(50)]
        assert client.post(BULK_ORDER, {"controlNumbers": items}).json()["failed"] == 0
    assert client.sandbox.count_calls("/billpay/bulk-create") == 200
    assert client.sandbox.count_calls("/third-parties/billpay", status=200) == 200
    assert client.sandbox.counts()["numbers"] == 10_000
