# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What each call sends and how each answer is read, over real HTTP."""

import datetime
import json
from decimal import Decimal

import pytest
from clickpesa import (
    AuthenticationRefused,
    ChecksumRefused,
    ClickPesaClient,
    Conflict,
    FeatureDisabled,
    InvalidConfiguration,
    NotFound,
    NumberRequest,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
    verify,
)
from fake_gateway import PREFIX, answer

KEY = "checksum-key"
REQUEST = NumberRequest("A1", 500, "exact", "Ada – Machi")


def test_a_number_is_created_signed_and_in_ascii(gateway, connect):
    gateway.replies = [answer(201, {"billPayNumbers": ["A1"]})]
    reply = connect(KEY).create_order_numbers([REQUEST])
    assert reply.created == ("A1",) and not reply.errors
    (call,) = gateway.calls()
    assert (call.method, call.path) == (
        "POST",
        PREFIX + "/billpay/bulk-create-order-control-numbers",
    )
    assert call.headers["authorization"] == "Bearer token-number-1"
    assert call.headers["content-type"] == "application/json"
    body = json.loads(call.body)
    assert verify(body, KEY)
    (item,) = body["controlNumbers"]
    assert item["billDescription"] == "Ada - Machi" and call.body.isascii()


def test_without_a_key_nothing_is_signed_and_text_stays(gateway, connect):
    gateway.replies = [answer(200, {"billPayNumbers": ["A1"]})]
    connect().create_order_numbers([NumberRequest("A1", 12.5, description="Zaïna")])
    body = gateway.calls()[0].body.decode()
    item = '{"billAmount":12.5,"billDescription":"Zaïna","billReference":"A1"}'
    assert body == '{"controlNumbers":[%s]}' % item


def test_the_token_call(gateway, connect):
    assert connect().token() == "Bearer token-number-1"
    (call,) = gateway.token_calls()
    assert call.method == "POST" and call.path == PREFIX + "/generate-token"
    assert call.headers["client-id"] == "IDclient"
    assert call.headers["api-key"] == "SKapi-key-secret"
    assert "authorization" not in call.headers and call.body == b""


@pytest.mark.parametrize("token", ["abc.def", "Bearer abc.def", "bearer  abc.def "])
def test_the_bearer_prefix_is_there_once(gateway, connect, token):
    gateway.tokens = [answer(200, {"token": token})]
    assert connect().token() == "Bearer abc.def"


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"token": None},
        {"token": ""},
        {"token": "Bearer a\r\nX: y"},
        {"token": "Bearer ï"},
        {"token": "Basic abc"},
        {"token": "x" * 20_000},
        [],
        b"<html>",
        b"",
    ],
)
def test_an_unusable_token_answer_is_unavailable(gateway, connect, data):
    gateway.tokens = [answer(200, data)]
    with pytest.raises(Unavailable):
        connect(patience=0).token()


def test_bulk(gateway, connect):
    gateway.replies = [
        answer(
            200,
            {
                "billPayNumbers": ["A1"],
                "created": 1,
                "failed": 1,
                "errors": [{"index": 1, "reason": "used"}],
            },
        )
    ]
    items = [NumberRequest("A1", 5), NumberRequest("A2", customer_name="Asha")]
    client = connect(KEY)
    reply = client.create_order_numbers(items)
    assert reply.created == ("A1",) and reply.errors == {1: "used"}
    client.create_customer_numbers(items)
    order, customer = gateway.calls()
    assert order.path.endswith("/billpay/bulk-create-order-control-numbers")
    assert customer.path.endswith("/billpay/bulk-create-customer-control-numbers")
    assert verify(json.loads(order.body), KEY)
    assert json.loads(customer.body)["controlNumbers"][1]["customerName"] == "Asha"
    assert "customerName" not in order.body.decode()


@pytest.mark.parametrize("count", [0, 51])
def test_bulk_sizes(gateway, connect, count):
    with pytest.raises(ValueError):
        connect().create_order_numbers([NumberRequest("A1")] * count)
    assert not gateway.requests


def test_a_bulk_answer_that_does_not_add_up_leaves_the_outcome_open(gateway, connect):
    gateway.replies = [answer(200, {"billPayNumbers": []})]
    with pytest.raises(OutcomeUnknown):
        connect().create_order_numbers([NumberRequest("A1")])


def test_update_and_get(gateway, connect):
    gateway.replies = [
        answer(200, {"billPayNumber": "A1", "billStatus": "INACTIVE"}),
        answer(
            200, {"billPayNumber": "A1", "billAmount": 7, "billPaymentMode": "EXACT"}
        ),
    ]
    client = connect(KEY)
    assert client.update_number("A1", active=False).active is False
    reply = client.get_number("A1")
    assert (reply.amount, reply.mode) == (7, "exact")
    patch, get = gateway.calls()
    assert (patch.method, patch.path) == ("PATCH", PREFIX + "/billpay/A1")
    assert json.loads(patch.body).keys() == {"billStatus", "checksum"}
    assert (get.method, get.body) == ("GET", b"")
    with pytest.raises(ValueError):
        client.update_number("A1")


def test_payments_of_a_reference(gateway, connect):
    row = {"id": "P1", "collectedAmount": "1250.50", "status": "SUCCESS"}
    gateway.replies = [
        answer(200, [row, "nonsense", None]),
        answer(200, {"data": [row]}),
        answer(200, row),
        answer(200, []),
        answer(404, {"message": "Invalid or missing payment: A1"}),
    ]
    client = connect()
    for _ in range(3):
        (payment,) = client.payments("A1")
        assert payment.id == "P1" and payment.amount == Decimal("1250.5")
    assert client.payments("A1") == [] and client.payments("A1") == []


def test_references_are_encoded_and_cannot_leave_their_place(gateway, connect):
    gateway.replies = [answer(200, [])]
    client = connect()
    client.payments("a/b?c#d e%2F–")
    assert gateway.calls()[0].path == (
        PREFIX + "/payments/a%2Fb%3Fc%23d%20e%252F%E2%80%93"
    )
    for hostile in ("", ".", "..", "all", "x" * 500, "\ud800", None, 7):
        assert client.payments(hostile) == []
    for hostile in ("", "..", "\ud800"):
        with pytest.raises(NotFound):
            client.get_number(hostile)
        with pytest.raises(NotFound):
            client.update_number(hostile, active=False)
    assert len(gateway.calls()) == 1


def test_a_page_of_payments(gateway, connect):
    gateway.replies = [answer(200, {"data": [{"id": "P1"}, 7], "totalCount": 12})]
    page = connect().payments_page(
        start=datetime.date(2026, 3, 1),
        end=datetime.date(2026, 3, 2),
        skip=10,
        limit=50,
    )
    assert [payment.id for payment in page.payments] == ["P1"]
    assert page.total == 12 and page.rows == 2
    path, _, query = gateway.calls()[0].path.partition("?")
    assert path == PREFIX + "/payments/all"
    assert dict(pair.split("=") for pair in query.split("&")) == {
        "startDate": "2026-03-01",
        "endDate": "2026-03-02",
        "sortBy": "createdAt",
        "orderBy": "DESC",
        "skip": "10",
        "limit": "50",
    }


def test_a_page_of_payments_by_their_latest_change(gateway, connect):
    gateway.replies = [answer(200, {"data": [], "totalCount": 0})]
    connect().payments_page(sort="updatedAt")
    query = gateway.calls()[0].path.partition("?")[2]
    assert query == "sortBy=updatedAt&orderBy=DESC&skip=0&limit=100"


@pytest.mark.parametrize(
    ("reply", "ids", "total"),
    [
        (answer(200, {"data": [], "totalCount": 0}), [], 0),
        (answer(200, {"data": [{"id": "P1"}], "totalCount": "3"}), ["P1"], 3),
        (answer(200, {"data": [{"id": "P1"}]}), ["P1"], None),
        (answer(200, [{"id": "P1"}]), ["P1"], None),
        (answer(200, {"data": [{"id": "P1"}], "totalCount": -7}), ["P1"], None),
        (answer(404, {"message": "none"}), [], 0),
        (answer(404), [], 0),
    ],
)
def test_page_shapes(gateway, connect, reply, ids, total):
    gateway.replies = [reply]
    page = connect().payments_page()
    assert [payment.id for payment in page.payments] == ids and page.total == total


def test_odd_numbers_in_an_answer_do_not_spoil_the_rest(gateway, connect):
    rows = b'[{"id":"P1","collectedAmount":NaN},{"id":"P2","collectedAmount":1e999},'
    rows += b'{"id":"P3","collectedAmount":' + b"9" * 5000 + b'},{"id":"P4"}]'
    gateway.replies = [answer(200, rows)]
    payments = connect().payments("A1")
    assert [payment.id for payment in payments] == ["P1", "P2", "P3", "P4"]
    assert all(payment.amount is None for payment in payments)
    assert payments[0].raw == {"id": "P1", "collectedAmount": None}


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (400, {"message": "Bad thing"}, Refused, "Bad thing"),
        (400, {"message": ["One", "Two\n"], "error": "Bad"}, Refused, "One; Two"),
        (400, {"error": "Bad Request"}, Refused, "Bad Request"),
        (400, {"message": {"a": 1}}, Refused, "ClickPesa refused the request (400)."),
        (400, b"<html>", Refused, "ClickPesa refused the request (400)."),
        (400, {"message": ["Invalid checksum"]}, ChecksumRefused, "Invalid checksum"),
        (
            400,
            {
                "message": "Application has no access to BILLPAY API feature."
                " Enable it on your application."
            },
            FeatureDisabled,
            "Application has no access to BILLPAY API feature."
            " Enable it on your application.",
        ),
        (403, {"message": "Forbidden"}, Refused, "Forbidden"),
        (404, {"message": "No such"}, NotFound, "No such"),
        (404, b"", NotFound, "Not known to ClickPesa."),
        (409, {"message": "used"}, Conflict, "used"),
        (429, {}, RateLimited, "ClickPesa asks to slow down (too many requests)."),
    ],
)
def test_refusals(gateway, connect, status, body, error, message):
    gateway.replies = [answer(status, body)]
    client = connect(patience=0)
    for call in (
        lambda: client.get_number("A1"),
        lambda: client.create_order_numbers([REQUEST]),
    ):
        with pytest.raises(error) as caught:
            call()
        assert type(caught.value) is error
        assert caught.value.message == str(caught.value) == message
        assert caught.value.status == status


def test_a_404_that_is_not_the_gateways_own(gateway, connect):
    gateway.replies = [answer(404, b"<html>no such page</html>")]
    with pytest.raises(Unavailable):
        connect(patience=0).payments("A1")


def test_causes_that_hit_the_whole_application(gateway, connect):
    assert AuthenticationRefused.application_wide and ChecksumRefused.application_wide
    assert FeatureDisabled.application_wide and InvalidConfiguration.application_wide
    assert not Conflict.application_wide and not Refused.application_wide


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_trouble_at_the_gateway(gateway, connect, status):
    gateway.replies = [answer(status, {"message": "Error validating fee"})]
    client = connect(patience=0)
    with pytest.raises(Unavailable) as caught:
        client.get_number("A1")
    assert "Error validating fee" in caught.value.message
    for write in (
        lambda: client.create_order_numbers([REQUEST]),
        lambda: client.create_customer_numbers([REQUEST]),
        lambda: client.update_number("A1", active=False),
    ):
        before = len(gateway.calls())
        with pytest.raises(OutcomeUnknown) as caught:
            write()
        assert caught.value.status == status
        assert len(gateway.calls()) == before + 1


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b'{"billPay', b"7", b'"A1"', b"null", b"[]", b"{}", b"\xff"],
)
def test_an_unreadable_success(gateway, connect, body):
    gateway.replies = [answer(200, body)]
    client = connect(patience=0)
    with pytest.raises(OutcomeUnknown):
        client.create_order_numbers([REQUEST])
    if body not in (b"[]", b"{}"):
        with pytest.raises(Unavailable):
            client.payments("A1")
        with pytest.raises(OutcomeUnknown):
            client.update_number("A1", active=True)


@pytest.mark.parametrize(
    ("status", "error"),
    [(301, Unavailable), (307, Unavailable), (302, OutcomeUnknown)],
)
def test_redirects_are_not_followed(gateway, connect, status, error):
    elsewhere = [("Location", f"http://{gateway.host}/elsewhere")]
    gateway.replies = [answer(status, b"", elsewhere)]
    with pytest.raises(error):
        connect().create_order_numbers([REQUEST])
    with pytest.raises(Unavailable):
        connect(patience=0).get_number("A1")
    gateway.tokens = [answer(status, b"", elsewhere)]
    with pytest.raises(InvalidConfiguration):
        connect().token()
    assert not [r for r in gateway.requests if r.path == "/elsewhere"]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("99999999", 3600),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 3600),
    ],
)
def test_retry_after(gateway, connect, value, seconds):
    gateway.replies = [answer(429, b"", [("Retry-After", value)])]
    with pytest.raises(RateLimited) as caught:
        connect().create_order_numbers([REQUEST])
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    "url",
    [
        "",
        None,
        "api.clickpesa.com",
        "ftp://host/x",
        "file:///etc/passwd",
        "http://",
        "https://user:pass@host/x",
        "https://host/x?y=1",
        "https://host/x#y",
        "https://host:99999/x",
        "https://host/a b",
        "https://host/\n",
        "https://[::1/x",
        "https://hôte/x",
    ],
)
def test_unusable_addresses(url):
    if url == "https://host/\n":
        ClickPesaClient(url, "ID", "KEY1")  # a pasted line end is trimmed
        return
    with pytest.raises(InvalidConfiguration) as caught:
        ClickPesaClient(url, "ID", "KEY1")
    assert isinstance(caught.value, ValueError) and "pass" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "api.clickpesa.com",
        "8.8.8.8",
        "203.0.113.7",
        "172.32.0.1",
        "0.0.0.0",
        "[2001:db8::1]",
        "[::ffff:8.8.8.8]",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "mylocal",
        "2130706433",
    ],
)
def test_the_key_is_not_sent_over_plain_http(host):
    with pytest.raises(InvalidConfiguration) as caught:
        ClickPesaClient(f"http://{host}/third-parties", "ID", "KEY1")
    assert "https://" in str(caught.value)
    ClickPesaClient(f"https://{host}/third-parties", "ID", "KEY1")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8060",
        "sandbox.localhost",
        "sandbox.local",
        "127.0.0.1:8060",
        "127.1.2.3",
        "10.20.30.40",
        "172.31.0.1",
        "192.168.1.7",
        "[::1]:8060",
        "[fd00::1]",
        "[fe80::1]",
    ],
)
def test_a_host_of_the_own_network_may_speak_plain_http(host):
    client = ClickPesaClient(f"http://{host}/third-parties", "ID", "KEY1")
    assert client.base_url == f"http://{host}/third-parties"


@pytest.mark.parametrize("bad", ["", None, "  ", "ke\ny-secret", "këy-secret"])
def test_unusable_credentials(bad):
    for pair in ((bad, "KEY1"), ("ID", bad)):
        with pytest.raises(InvalidConfiguration) as caught:
            ClickPesaClient("https://host/x", *pair)
        assert "secret" not in str(caught.value)


def test_slashes_at_the_end_do_not_matter(gateway, connect):
    client = connect(base_url=gateway.url + "// ")
    client.token()
    assert gateway.requests[0].path == PREFIX + "/generate-token"
