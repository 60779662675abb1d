# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The client against the simulator, over real HTTP."""

import datetime
import sys
import threading
from pathlib import Path

import pytest
from clickpesa import (
    AuthenticationRefused,
    ChecksumRefused,
    ClickPesaClient,
    NotFound,
    NumberRequest,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
    parse_notification,
    verify,
)
from clickpesa.values import is_paid
from werkzeug.serving import make_server

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "clickpesa_sandbox" / "src"))

from clickpesa_sandbox import Sandbox, create_app  # noqa: E402

KEY = "sandbox-checksum-key"


@pytest.fixture
def sandbox():
    with Sandbox("IDsandbox", "SKsandbox", KEY, "1122", deliver="manual") as sandbox:
        yield sandbox


@pytest.fixture
def server(sandbox):
    server = make_server("127.0.0.1", 0, create_app(sandbox), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/third-parties"
    server.shutdown()
    thread.join(5)
    server.server_close()


@pytest.fixture
def client(server):
    return ClickPesaClient(
        server, "IDsandbox", "SKsandbox", KEY, timeout=(2, 2), sleep=lambda s: None
    )


def test_the_life_of_an_order_number(sandbox, client):
    request = NumberRequest("112200017", 150000.0, "exact", "Ankara – Zaïna / 17")
    assert client.create_order_numbers([request]).created == ("112200017",)
    there = client.get_number("112200017")
    assert (there.number, there.amount, there.mode) == ("112200017", 150000, "exact")
    # What a retry reads back is recognised although the text was transliterated.
    assert there.description == "Ankara - Zaina / 17"
    assert client.payments("112200017") == []
    changed = client.update_number("112200017", amount=90000.5, mode="flexible")
    assert float(changed.amount) == 90000.5 and changed.mode == "flexible"
    sandbox.pay("112200017", 1250)
    (payment,) = client.payments("112200017")
    assert is_paid(payment.status)
    assert payment.amount == 1250 and payment.currency == "TZS"
    assert payment.reference == "112200017" and payment.payer_name == "ASHA JUMA"
    assert payment.created_at.tzinfo is datetime.timezone.utc
    sandbox.settle(payment.id)
    assert client.payments("112200017")[0].status == "SETTLED"
    assert client.update_number("112200017", active=False).active is False


def test_customer_numbers(sandbox, client):
    request = NumberRequest(
        "112290001",
        description="Tuition",
        customer_name="Zaïna Mwanjelwa",
        customer_phone="+255 712 345 678",
    )
    assert client.create_customer_numbers([request]).created == ("112290001",)
    assert client.get_number("112290001").customer_name == "Zaina Mwanjelwa"
    assert sandbox.number("112290001")["customer_phone"] == "255712345678"
    refused = client.create_customer_numbers([NumberRequest("112290002")]).errors
    assert "customerName" in refused[0] and "; " in refused[0]


def test_bulk_with_one_bad_item(sandbox, client):
    client.create_order_numbers([NumberRequest("1122003")])
    items = [NumberRequest(f"112200{i}", 1000 + i) for i in range(50)]
    reply = client.create_order_numbers(items)
    assert len(reply.created) == 49 and list(reply.errors) == [3]
    assert "already used" in reply.errors[3]
    people = [
        NumberRequest("112291", customer_name="A", customer_email="a@b.co"),
        NumberRequest("112292", customer_name="B"),
    ]
    reply = client.create_customer_numbers(people)
    assert reply.created == ("112291",) and list(reply.errors) == [1]


def test_refusals(client):
    client.create_order_numbers([NumberRequest("112210")])
    refused = client.create_order_numbers([NumberRequest("112210")]).errors
    assert "already used" in refused[0]
    with pytest.raises(NotFound):
        client.get_number("999999")
    with pytest.raises(NotFound):
        client.update_number("999999", active=False)


def test_wrong_credentials_and_checksum_keys(server):
    with pytest.raises(AuthenticationRefused):
        ClickPesaClient(server, "IDsandbox", "wrong-key", KEY).token()
    for key in ("", "wrong-checksum-key"):
        client = ClickPesaClient(server, "IDsandbox", "SKsandbox", key)
        with pytest.raises(ChecksumRefused):
            client.create_order_numbers([NumberRequest("112211")])


def test_pages_of_payments(sandbox, client):
    for number in range(7):
        client.create_order_numbers([NumberRequest(f"11225{number}")])
        sandbox.pay(f"11225{number}", 1000 + number)
    seen, skip = [], 0
    today = datetime.datetime.now(datetime.timezone.utc).date()
    day = datetime.timedelta(days=1)
    while True:
        page = client.payments_page(
            start=today - day, end=today + day, skip=skip, limit=3
        )
        seen += page.payments
        skip += page.rows
        if not page.rows or skip >= page.total:
            break
    assert page.total == 7 and len({payment.id for payment in seen}) == 7
    assert [p.reference for p in seen][0] == "112256"


@pytest.mark.parametrize("fault", ["drop_after", "malformed_json", "error_after"])
def test_a_write_that_happened_unseen_can_be_read_back(sandbox, client, fault):
    client.token()
    sandbox.faults.add(fault, match="POST /")
    with pytest.raises(OutcomeUnknown):
        client.create_order_numbers([NumberRequest("112270", 700)])
    assert client.get_number("112270").amount == 700


def test_a_write_that_timed_out(sandbox, server):
    client = ClickPesaClient(
        server, "IDsandbox", "SKsandbox", KEY, timeout=(2, 0.3), patience=0
    )
    client.token()
    sandbox.faults.add("timeout_after", match="POST /", seconds=1)
    with pytest.raises(OutcomeUnknown):
        client.create_order_numbers([NumberRequest("112271", 700)])
    assert client.get_number("112271").number == "112271"


def test_reads_survive_faults(sandbox, client):
    client.create_order_numbers([NumberRequest("112272")])
    for fault in ("error", "drop_before", "malformed_json"):
        sandbox.faults.add(fault, match="GET /")
    assert client.get_number("112272").number == "112272"
    sandbox.faults.add("error", match="GET /", times=-1)
    with pytest.raises(Unavailable):
        client.get_number("112272")


def test_rate_limit(sandbox, client):
    client.token()
    sandbox.faults.add("rate_limit", retry_after=9)
    with pytest.raises(RateLimited) as caught:
        client.create_order_numbers([NumberRequest("112273")])
    assert caught.value.retry_after == 9


def test_an_expired_token_is_renewed_unnoticed(sandbox, client):
    client.token()
    sandbox.faults.add("expired_token", match="POST /")
    assert client.create_order_numbers([NumberRequest("112274")]).created
    sandbox.clock.advance(3601)
    assert client.get_number("112274").number == "112274"


@pytest.mark.parametrize("form", ["current", "old", "flat"])
@pytest.mark.parametrize("amounts", ["string", "number", "decimal"])
@pytest.mark.parametrize("place", ["body", "header"])
def test_deliveries_of_every_form(sandbox, client, form, amounts, place):
    client.create_order_numbers([NumberRequest("112280")])
    sandbox.settings.update(
        {
            "webhook_form": form,
            "webhook_amounts": amounts,
            "webhook_signature": place,
            "webhook_url": "http://127.0.0.1:9/hook",
        }
    )
    sandbox.pay("112280", 10000, name="Zaïna – Juma")
    caught = []

    def deliver(url, body, headers):
        caught.append((body, headers))
        return 200

    sandbox.deliver_pending(deliver)
    ((body, headers),) = caught
    note = parse_notification(body)
    assert note.event == "PAYMENT RECEIVED" and note.payment.amount == 10000
    assert note.payment.reference == "112280" and is_paid(note.payment.status)
    assert note.payment.payer_name == "Zaïna – Juma"
    assert verify(note.payload, KEY, headers)
    assert not verify(note.payload, "another-key", headers)


@pytest.mark.parametrize("form", ["full", "reduced"])
@pytest.mark.parametrize("dates", ["moment", "day"])
@pytest.mark.parametrize("amounts", ["number", "string"])
@pytest.mark.parametrize("hours", [0, 3])
def test_statements_of_every_form(sandbox, client, form, dates, amounts, hours):
    sandbox.settings.update(
        {
            "statement_form": form,
            "statement_dates": dates,
            "statement_amounts": amounts,
            "filter_utc_offset_hours": hours,
            "channel_fee_percent": 2.5,
            "token_lifetime": 10**9,
        }
    )
    sandbox.clock.set(datetime.datetime(2026, 3, 4, 20, 30))
    paid = [sandbox.pay(f"11228{i}", 1000 * (i + 1), deliver=False) for i in range(4)]
    sandbox.settle()
    sandbox.clock.advance(3600)  # 21:30 UTC is another day in Dar es Salaam
    sandbox.reverse(paid[0]["id"], charges=True)
    sandbox.withdraw(2000)
    sandbox.deposit(700)
    sandbox.faults.add("unordered_rows", times=-1)
    before, kinds, day = 0, [], datetime.timedelta(days=1)
    for date in (datetime.date(2026, 3, 3) + n * day for n in range(4)):
        told = client.account_statement(date, date)
        assert told.problem(date, "TZS", before) is None
        before = told.closing
        kinds += [row.kind for row in told.rows]
    assert before == client.account_balance()["TZS"] == sandbox.balance()
    assert sorted(kinds) == sorted(
        ["payment", "fee"] * 4 + ["reversal", "fee", "withdraw", "deposit"]
    )
    for fault, code in (
        ("half_statement", "sum"),
        ("lost_row", "sum"),
        ("foreign_currency", "currency"),
        ("old_row", "day"),
        ("no_details", "details"),
    ):
        sandbox.faults.clear()
        sandbox.faults.add(fault)
        date = datetime.date(2026, 3, 4)
        found = client.account_statement(date, date).problem(date, "TZS", 0)
        assert found[0] in ({code, "running"} if code == "sum" else {code})
