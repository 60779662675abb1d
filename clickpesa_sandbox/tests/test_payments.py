# SPDX-License-Identifier: LGPL-3.0-or-later
"""The payer's two steps, what closes a number, and the query API."""

from datetime import datetime

import pytest

from clickpesa_sandbox import PaymentRefused, SandboxError


def refusal(sandbox, number, amount=5000, **options):
    with pytest.raises(PaymentRefused) as caught:
        sandbox.pay(number, amount, **options)
    assert str(caught.value).endswith(".")
    return caught.value.reason


@pytest.fixture
def customer(client):
    body = {"customerName": "Asha", "customerPhone": "255712345678"}
    client.customer(billReference="CUST1", **body)
    return "CUST1"


def test_verify_shows_what_the_handset_shows(client, sandbox):
    client.order(billReference="INV1", billAmount=5000, billPaymentMode="EXACT")
    shown = sandbox.verify("inv1")
    assert shown["name"] == "Sandbox Merchant"
    assert (shown["amount"], shown["mode"]) == (5000, "EXACT")
    assert sandbox.verify("INV1") == sandbox.verify(" I NV1 ")


def test_order_number_closes_after_the_first_payment_even_if_partial(client, sandbox):
    client.order(billReference="INV1", billAmount=5000)
    payment = sandbox.pay("inv1", 1000, channel="TIGO-PESA", phone="+255 713 000 111")
    assert payment["id"].startswith("INV1LCP")
    assert payment["status"] == "SUCCESS"
    assert payment["orderReference"] == "INV1"
    assert payment["paymentPhoneNumber"] == "255713000111"
    assert sandbox.number("INV1")["state"] == "CLOSED"
    assert refusal(sandbox, "INV1") == "closed"
    # GET tells nothing of it.
    assert "CLOSED" not in client.get("/billpay/INV1").text


def test_exact_takes_the_amount_only(client, sandbox):
    client.order(billReference="INV1", billAmount=5000, billPaymentMode="EXACT")
    assert refusal(sandbox, "INV1", 4999) == "not_exact"
    assert refusal(sandbox, "INV1", 5001) == "not_exact"
    assert sandbox.pay("INV1", "5,000")["collectedAmount"] == 5000


def test_over_payment_is_taken_in_flexible_mode(client, sandbox):
    client.order(billReference="INV1", billAmount=5000)
    assert sandbox.pay("INV1", 9000.5)["collectedAmount"] == 9000.5


def test_customer_number_takes_many_payments(customer, sandbox):
    for amount in (1000, 2000, 3000):
        sandbox.pay(customer, amount)
    number = sandbox.number(customer)
    assert (number["state"], number["paid"], number["payments"]) == ("ACTIVE", 6000, 3)


@pytest.mark.parametrize("kind", ["order", "customer"])
def test_maximum_is_collected_and_closes(client, sandbox, kind):
    body = {"customerName": "A", "customerPhone": "255712345678"}
    getattr(client, kind)(
        billReference="MAX1",
        billMaxCollectionAmount=5000,
        **(body if kind == "customer" else {}),
    )
    sandbox.pay("MAX1", 2000)
    assert sandbox.verify("MAX1")["remaining"] == 3000
    assert refusal(sandbox, "MAX1", 3001) == "over_maximum"
    sandbox.pay("MAX1", 3000)
    assert refusal(sandbox, "MAX1", 500) == "closed"
    # A larger maximum leaves something to pay again, a smaller one does not.
    client.patch("MAX1", {"billMaxCollectionAmount": 5500})
    assert sandbox.verify("MAX1")["remaining"] == 500
    client.patch("MAX1", {"billMaxCollectionAmount": 100})
    assert refusal(sandbox, "MAX1", 500) == "closed"


def test_inactive_numbers_refuse_both_steps(client, sandbox):
    client.order(billReference="INV1")
    client.patch("INV1", {"billStatus": "INACTIVE"})
    with pytest.raises(PaymentRefused):
        sandbox.verify("INV1")
    assert refusal(sandbox, "INV1") == "inactive"
    client.patch("INV1", {"billStatus": "ACTIVE"})
    sandbox.pay("INV1", 5000)


def test_closed_numbers_and_patch(client, sandbox):
    client.order(billReference="INV1")
    sandbox.pay("INV1", 5000)
    assert client.patch("INV1", {"billStatus": "ACTIVE"}).status_code == 200
    assert sandbox.number("INV1")["state"] == "CLOSED"
    sandbox.settings.closed_patch = "refuse"
    assert client.patch("INV1", {"billStatus": "ACTIVE"}).status_code == 400
    sandbox.settings.closed_patch = "reopen"
    client.patch("INV1", {"billStatus": "ACTIVE"})
    assert sandbox.pay("INV1", 5000)["status"] == "SUCCESS"


def test_offline_numbers_are_payable_once(client, sandbox):
    assert sandbox.verify("1122231256")["origin"] == "offline"
    assert sandbox.numbers() == []
    payment = sandbox.pay("1122231256", 7777)
    assert payment["orderReference"] == "1122231256"
    assert "clientId" not in payment
    assert refusal(sandbox, "1122231256") == "closed"
    assert client.get("/payments/1122231256").json()[0]["collectedAmount"] == 7777
    # It is no number of the application, but its reference is taken.
    assert client.get("/billpay/1122231256").status_code == 404
    assert client.patch("1122231256", {"billAmount": 1}).status_code == 404
    assert client.order(billReference="1122231256").status_code == 409


@pytest.mark.parametrize("number", ["1122", "1123456", "1122AB", "1122" + "0" * 17])
def test_other_unknown_numbers_are_refused(sandbox, number):
    assert refusal(sandbox, number) == "unknown"
    assert sandbox.payments() == []


def test_offline_numbers_can_be_switched_off(sandbox):
    sandbox.settings.offline_numbers = False
    assert refusal(sandbox, "1122231256") == "unknown"


@pytest.mark.parametrize(
    ("channel", "amount"),
    [("M-PESA", 499), ("HALOPESA", 5_000_001), ("CRDB COLLECTION", 999)],
)
def test_channel_limits(sandbox, channel, amount):
    assert refusal(sandbox, "11225", amount, channel=channel) == "channel_limit"
    sandbox.pay("11225", amount, channel="SOMETHING NEW")


@pytest.mark.parametrize("amount", [0, -5, "abc", "", None, 1.005, float("nan")])
def test_bad_amounts(sandbox, amount):
    assert refusal(sandbox, "11225", amount) == "bad_amount"


def test_bad_phone(sandbox):
    assert refusal(sandbox, "11225", phone="nobody") == "bad_phone"


def test_fee_and_net_amount(sandbox):
    sandbox.settings.channel_fee_percent = 1
    sandbox.settings.channel_fees = {"TIGO-PESA": 2.5}
    assert sandbox.pay("11221", 10000)["fee"] == 100
    payment = sandbox.pay("11222", 10000, channel="TIGO-PESA")
    assert (payment["fee"], payment["collectedAmount"]) == (250, 10000)
    sandbox.settings.collected_is_net = True
    payment = sandbox.pay("11223", 10000)
    assert (payment["amount"], payment["collectedAmount"]) == (10000, 9900)


def test_settling_keeps_the_id_and_makes_no_webhook(client, sandbox):
    first = sandbox.pay("11221", 1000)
    second = sandbox.pay("11222", 2000)
    sandbox.clock.advance(60)
    assert sandbox.settle(first["id"]) == [first["id"]]
    assert sandbox.settle() == [second["id"]]
    settled = client.get("/payments/11221").json()[0]
    assert (settled["id"], settled["status"]) == (first["id"], "SETTLED")
    assert settled["updatedAt"] > settled["createdAt"]
    assert len(sandbox.deliveries()) == 2
    assert client.get("/account/balance").json() == [
        {"currency": "TZS", "balance": 3000}
    ]


def test_settling_by_itself(sandbox):
    sandbox.settings.settle_after = 3600
    payment = sandbox.pay("11221", 1000)
    sandbox.clock.advance(3599)
    assert sandbox.payment(payment["id"])["status"] == "SUCCESS"
    sandbox.clock.advance(2)
    assert sandbox.payment(payment["id"])["status"] == "SETTLED"


def test_any_status_can_be_set(sandbox):
    payment = sandbox.pay("11221", 1000)
    assert sandbox.set_status(payment["id"], "REVERSED")["status"] == "REVERSED"
    with pytest.raises(SandboxError, match="There is no payment"):
        sandbox.set_status("nothing", "REVERSED")


def test_failed_payment_leaves_the_number_payable(client, sandbox):
    client.order(billReference="INV1", billAmount=5000)
    failed = sandbox.fail_payment("INV1", 5000)
    assert failed["status"] == "FAILED"
    sandbox.pay("INV1", 5000)
    statuses = [p["status"] for p in client.get("/payments/INV1").json()]
    assert statuses == ["SUCCESS", "FAILED"]


# Queries -------------------------------------------------------------------


def test_query_by_reference(client, sandbox):
    answer = client.get("/payments/INV1")
    assert answer.status_code == 404
    assert answer.json() == {"message": "Invalid or missing payment: INV1"}
    client.order(billReference="INV1", billAmount=5000)
    payment = sandbox.pay("INV1", 5000)
    answer = client.get("/payments/inv1").json()
    for extra in ("number", "amount", "fee", "deliveries"):
        del payment[extra]
    assert answer == [payment]
    assert set(payment) == {
        "id",
        "status",
        "paymentReference",
        "paymentPhoneNumber",
        "orderReference",
        "collectedAmount",
        "collectedCurrency",
        "message",
        "channel",
        "createdAt",
        "updatedAt",
        "customer",
        "clientId",
    }
    sandbox.settings.query_amounts = "string"
    assert client.get("/payments/INV1").json()[0]["collectedAmount"] == "5000"


def test_suffixed_references(client, sandbox, customer):
    sandbox.settings.suffix_references = "repeat"
    assert sandbox.pay(customer, 1000)["orderReference"] == "CUST1"
    second = sandbox.pay(customer, 1000)
    assert second["orderReference"].startswith("CUST1-")
    assert second["number"] == "CUST1"
    sandbox.settings.suffix_references = True
    assert sandbox.settings.suffix_references == "always"
    sandbox.pay("11225", 1000)
    assert client.get("/payments/11225").status_code == 404
    assert client.get("/payments/" + second["orderReference"]).status_code == 200
    assert len(client.get("/payments/CUST1").json()) == 1
    assert client.get("/payments/all").json()["totalCount"] == 3


@pytest.fixture
def week(sandbox):
    """Payments at midnight and at 23:30 UTC of 1 to 7 March 2026, 14 in all."""
    for day in range(1, 8):
        for hour, minute in ((0, 0), (23, 30)):
            sandbox.clock.set(datetime(2026, 3, day, hour, minute))
            channel = "M-PESA" if hour == 0 else "HALOPESA"
            sandbox.pay(f"1122{day}{hour}", 1000 * day, channel=channel)


def found(client, **parameters):
    body = client.get("/payments/all", **parameters).json()
    return [row["orderReference"][4:] for row in body["data"]], body["totalCount"]


def test_all_defaults_to_newest_first_and_twenty(client, sandbox, week):
    references, total = found(client)
    assert (references[0], references[-1], total) == ("723", "10", 14)
    for n in range(10):
        sandbox.pay(f"11229{n}", 1000)
    references, total = found(client)
    assert (len(references), total) == (20, 24)


def test_days_are_inclusive_in_both_notations(client, sandbox, week):
    for start, end in (("2026-03-02", "2026-03-03"), ("02-03-2026", "03-03-2026")):
        assert found(client, startDate=start, endDate=end, orderBy="ASC") == (
            ["20", "223", "30", "323"],
            4,
        )
    # In Dar es Salaam 23:30 UTC is the next day.
    sandbox.settings.filter_utc_offset_hours = 3
    assert found(client, startDate="2026-03-02", endDate="2026-03-02") == (
        ["20", "123"],
        2,
    )


def test_paging_is_stable_and_complete(client, week):
    seen = []
    while True:
        references, total = found(client, skip=len(seen), limit=5)
        seen += references
        if not references:
            break
    assert (len(seen), len(set(seen)), total) == (14, 14, 14)


def test_page_size_can_be_capped(client, sandbox, week):
    sandbox.settings.max_page_size = 3
    references, total = found(client, limit=100)
    assert (len(references), total) == (3, 14)


def test_filters_and_sorting(client, sandbox, week):
    sandbox.settle(sandbox.payments()[0]["id"])
    assert found(client, status="SETTLED") == (["723"], 1)
    assert found(client, channel="HALOPESA")[1] == 7
    assert found(client, orderReference="112220") == (["20"], 1)
    assert found(client, collectedCurrency="USD") == ([], 0)
    assert found(client, clientId="IDsandbox")[1] == 0
    identifier = sandbox.payments()[3]["id"]
    assert found(client, id=identifier)[1] == 1
    assert found(client, search=identifier[-6:].lower())[1] == 1
    by_amount = found(client, sortBy="collectedAmount", orderBy="ASC", limit=3)[0]
    assert by_amount == ["10", "123", "20"]
    row = client.get("/payments/all", limit=1).json()["data"][0]
    assert row["exchanged"] is False


def test_a_later_change_comes_first_in_the_order_of_changes(client, sandbox, week):
    old = sandbox.payments()[-1]
    sandbox.clock.advance(60)
    changed = sandbox.set_status(old["id"], "REVERSED")
    assert changed["updatedAt"] > old["updatedAt"]
    assert changed["createdAt"] == old["createdAt"]
    assert found(client, sortBy="updatedAt", limit=2)[0] == ["10", "723"]
    assert found(client, limit=2)[0] == ["723", "70"]


@pytest.mark.parametrize(
    ("way", "first", "last"),
    [
        ("asked", ["10", "723", "70"], ["20", "123"]),
        ("created", ["723", "70", "623"], ["123", "10"]),
        ("oldest_first", ["10", "123", "20"], ["70", "723"]),
        ("out_of_place", ["10", "123", "723"], ["223", "20"]),
    ],
)
def test_order_can_be_ignored(client, sandbox, week, way, first, last):
    sandbox.clock.advance(60)
    sandbox.set_status(sandbox.payments()[-1]["id"], "REVERSED")
    sandbox.settings.payments_order = way
    references = found(client, sortBy="updatedAt", orderBy="DESC")[0]
    assert (references[:3], references[-2:]) == (first, last)
    pages = [found(client, sortBy="updatedAt", skip=n, limit=1)[0] for n in range(14)]
    assert sum(pages, []) == references


def test_shuffled_and_refused_orders(client, sandbox, week):
    in_order = found(client)[0]
    sandbox.settings.payments_order = "shuffled"
    assert found(client)[0] != in_order
    assert sorted(found(client)[0]) == sorted(in_order)
    assert found(client)[0] == found(client)[0]
    sandbox.settings.payments_order = "refused"
    assert client.get("/payments/all", sortBy="updatedAt").status_code == 400
    assert found(client)[0] == in_order


def test_update_times_can_be_left_out(client, sandbox, week):
    sandbox.settings.query_updated_at = False
    rows = client.get("/payments/all").json()["data"]
    assert not any("updatedAt" in row for row in rows)


@pytest.mark.parametrize(
    "parameters",
    [
        {"startDate": "2026/03/01"},
        {"endDate": "31-02-2026"},
        {"status": "REVERSED"},
        {"sortBy": "1; DROP TABLE payment"},
        {"orderBy": "desc"},
        {"skip": "-1"},
        {"limit": "0"},
        {"limit": "many"},
        {"limit": "9" * 30},
        {"page": "2"},
    ],
)
def test_bad_query_parameters(client, parameters):
    answer = client.get("/payments/all", **parameters)
    assert answer.status_code == 400
    assert len(answer.json()["message"]) == 1
