# SPDX-License-Identifier: LGPL-3.0-or-later
"""A client nobody here wrote: clickpesa-python-sdk 0.2.0, over real HTTP.

Where that client deviates from the published API the test says so.
"""

import json

import pytest
from clickpesa import (
    AuthenticationError,
    ClickPesa,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ServerError,
    ValidationError,
    WebhookValidator,
)
from conftest import wait_for

KEY = "a checksum key"


def connect(live, **options):
    """The SDK has two fixed hosts, so its HTTP session is pointed at the sandbox."""
    arguments = {
        "client_id": "IDsandbox",
        "api_key": "SKsandbox",
        "checksum_key": live.settings.checksum_key or None,
        "max_retries": 1,
    }
    sdk = ClickPesa(**{**arguments, **options})
    sdk._http.base_url = live.url
    return sdk


@pytest.fixture(params=["", KEY], ids=["unsigned", "signed"])
def sdk(live, request):
    live.settings.checksum_key = request.param
    with connect(live) as client:
        yield client


def test_token(live):
    with connect(live) as sdk:
        assert sdk.is_healthy()
        assert live.count_calls("/generate-token") == 1
    with connect(live, api_key="wrong") as sdk:
        with pytest.raises(ForbiddenError, match="Invalid or Expired API-Key"):
            sdk.billpay.get_details("INV1")


def test_order_and_customer_numbers(live, sdk):
    order = sdk.billpay.create_order_control_number(
        bill_reference="INV1",
        amount=150000,
        description="Invoice INV/2026/00042",
        payment_mode="EXACT",
    )
    assert order["billPayNumber"] == "INV1"
    assert order["billPaymentMode"] == "EXACT"
    customer = sdk.billpay.create_customer_control_number(
        "Asha Juma", phone="255712345678", max_collection_amount=500000
    )
    assert customer["billCustomerName"] == "Asha Juma"
    assert len(live.numbers()) == 2
    details = sdk.billpay.get_details("INV1")
    assert details["billAmount"] == 150000


def test_duplicates_and_mistakes(sdk):
    sdk.billpay.create_order_control_number(bill_reference="INV1")
    with pytest.raises(ConflictError, match="already used"):
        sdk.billpay.create_order_control_number(bill_reference="INV1")
    with pytest.raises(NotFoundError):
        sdk.billpay.get_details("NONE")
    with pytest.raises(ValidationError) as caught:
        sdk.billpay.create_order_control_number(amount=-1)
    # Deviation: the SDK takes `message` for a string; the API's validation messages
    # are a list, which ends up unjoined in the exception.
    assert caught.value.args[0] == ["billAmount must be a positive number"]


def test_bulk(live, sdk):
    items = [{"billReference": f"B{n}", "billAmount": 25000} for n in range(50)]
    answer = sdk.billpay.bulk_create_order_numbers(items)
    assert (answer["created"], answer["failed"]) == (50, 0)
    people = [{"customerName": "Asha", "customerPhone": "255712345678"}, {}]
    answer = sdk.billpay.bulk_create_customer_numbers(people)
    assert (answer["created"], answer["failed"]) == (1, 1)
    assert answer["errors"][0]["index"] == 1
    assert len(live.numbers()) == 51


def test_update(live, sdk):
    sdk.billpay.create_order_control_number(bill_reference="INV1", amount=1000)
    assert sdk.billpay.update_reference("INV1", amount=2500.5, description="new") == {
        "billPayNumber": "INV1",
        "billAmount": 2500.5,
        "billDescription": "new",
    }
    sdk.billpay.update_status("INV1", "INACTIVE")
    assert live.number("INV1")["state"] == "INACTIVE"


def test_queries(live, sdk):
    sdk.billpay.create_order_control_number(bill_reference="INV1", amount=10000)
    with pytest.raises(NotFoundError, match="Invalid or missing payment: INV1"):
        sdk.payments.get_status("INV1")
    paid = live.pay("INV1", 10000)
    (found,) = sdk.payments.get_status("INV1")
    assert (found["id"], found["status"]) == (paid["id"], "SUCCESS")
    live.settle()
    for n in range(4):
        live.pay(f"1122{n}", 1000)
    page = sdk.payments.list_all(limit=2, skip=2, orderBy="ASC", sortBy="createdAt")
    assert (len(page["data"]), page["totalCount"]) == (2, 5)
    settled = sdk.payments.list_all(status="SETTLED", startDate=found["createdAt"][:10])
    assert [row["id"] for row in settled["data"]] == [paid["id"]]


def test_balance(live, sdk):
    assert sdk.account.get_balance() == [{"currency": "TZS", "balance": 0}]


def test_checksum_off_in_the_client_only(live):
    live.settings.checksum_key = KEY
    with connect(live, checksum_key=None) as sdk:
        with pytest.raises(ValidationError) as caught:
            sdk.billpay.create_order_control_number()
        assert caught.value.response["message"] == ["checksum is required"]


def test_non_ascii_text_is_signed_differently(live):
    """Deviation: the SDK signs the ``\\u00ef`` form, the API signs raw UTF-8."""
    live.settings.checksum_key = KEY
    with connect(live) as sdk:
        with pytest.raises(ValidationError) as caught:
            sdk.billpay.create_order_control_number(description="Zaïna")
        assert caught.value.response["message"] == ["Invalid checksum"]
        sdk.billpay.create_order_control_number(description="Zaina")


def test_whole_floats_are_signed_differently(live):
    """Deviation: the SDK signs ``150000.0``, the API ``150000``."""
    live.settings.checksum_key = KEY
    with connect(live) as sdk:
        with pytest.raises(ValidationError):
            sdk.billpay.create_order_control_number(amount=150000.0)
        sdk.billpay.create_order_control_number(amount=1250.5)


def test_expired_token_is_not_renewed(live):
    """Deviation: the SDK trusts its own clock and does not log in again on a 401."""
    with connect(live) as sdk:
        sdk.billpay.create_order_control_number()
        live.faults.add("expired_token", match="create-order")
        for _ in range(2):
            with pytest.raises(AuthenticationError, match="Unauthorized"):
                sdk.billpay.create_order_control_number()


def test_server_error(live):
    with connect(live) as sdk:
        live.faults.add("error", match="create-order", status=503)
        with pytest.raises(ServerError):
            sdk.billpay.create_order_control_number()


def heard(live, receiver):
    wait_for(lambda: receiver.got, "the webhook")
    headers, raw = receiver.got[0]
    return headers, json.loads(raw)


def test_webhook_signed_in_the_body(live, receiver):
    """Deviation: the SDK leaves it to the caller to take the checksum out first."""
    live.settings.checksum_key = KEY
    live.pay("11225", 10000)
    _headers, body = heard(live, receiver)
    signature = body["checksum"]
    assert not WebhookValidator.verify(body, signature, KEY)
    del body["checksum"]
    assert WebhookValidator.verify(body, signature, KEY)
    assert not WebhookValidator.verify(body, signature, "another key")
    body["data"]["collectedAmount"] = "1000000"
    assert not WebhookValidator.verify(body, signature, KEY)


def test_webhook_signed_in_the_header(live, receiver):
    """The place the SDK documents; the sandbox can sign there as well."""
    live.settings.checksum_key = KEY
    live.settings.webhook_signature = "header"
    live.pay("11225", 10000)
    headers, body = heard(live, receiver)
    assert WebhookValidator.verify(body, headers["X-ClickPesa-Signature"], KEY)


def test_wrongly_signed_webhook(live, receiver):
    live.settings.checksum_key = KEY
    live.faults.add("wrong_signature")
    live.pay("11225", 10000)
    _headers, body = heard(live, receiver)
    assert not WebhookValidator.verify(body, body.pop("checksum"), KEY)
