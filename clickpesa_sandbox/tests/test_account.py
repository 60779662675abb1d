# SPDX-License-Identifier: LGPL-3.0-or-later
"""The merchant's account: balance, statement, withdraws, deposits, reversals."""

from datetime import datetime, timezone

import pytest

from clickpesa_sandbox import SandboxError, create_app

PATH = "/account/statement"


@pytest.fixture(autouse=True)
def noon(sandbox):
    """The days of a test do not depend on the hour; any amount, one token."""
    sandbox.settings.token_lifetime = 10**9
    sandbox.settings.channel_limits = {}
    sandbox.clock.set(datetime(2026, 3, 4, 9, tzinfo=timezone.utc))


def settled(sandbox, number, amount, **how):
    payment = sandbox.pay(number, amount, deliver=False, **how)
    sandbox.settle(payment["id"])
    return payment


def told(client, day="2026-03-04", last=None, **more):
    values = {"currency": "TZS", "startDate": day, "endDate": last or day, **more}
    return client.get(PATH, **values).json()


def amounts(answer):
    return [
        row["amount"] if row["entry"] == "Credit" else -row["amount"]
        for row in answer["transactions"]
    ]


def check(answer):
    """The answer adds up; its closing balance."""
    details, rows = answer["accountDetails"], answer["transactions"]
    balance = details["openingBalance"]
    for row, amount in zip(rows, amounts(answer), strict=True):
        balance += amount
        assert row["balance"] == balance
    assert details["closingBalance"] == balance
    credits = sum(a for a in amounts(answer) if a > 0)
    assert details["totalCredits"] == credits
    assert details["totalDebits"] == credits + details["openingBalance"] - balance
    return balance


def test_money_is_there_when_it_is_settled(sandbox, client):
    payment = sandbox.pay("11225", 5000, deliver=False)
    assert told(client)["transactions"] == [] and sandbox.balance() == 0
    sandbox.settle(payment["id"])
    answer = told(client)
    assert check(answer) == sandbox.balance() == 5000
    [row] = answer["transactions"]
    assert row["id"] == payment["id"]
    assert row["orderReference"] == "11225" and row["type"] == "Payment"
    # Once, whatever is said afterwards.
    sandbox.settle()
    sandbox.set_status(payment["id"], "SETTLED")
    assert amounts(told(client)) == [5000]


@pytest.mark.parametrize(
    ("fees", "rows", "balance"),
    [
        ("rows", [20000, -500, 1000, -25], 20475),
        ("netted", [19500, 975], 20475),
        ("none", [20000, 1000], 21000),
    ],
)
def test_fees(sandbox, client, fees, rows, balance):
    sandbox.settings.update({"statement_fees": fees, "channel_fee_percent": 2.5})
    first = settled(sandbox, "11225", 20000)
    settled(sandbox, "11226", 1000)
    answer = told(client)
    assert amounts(answer) == rows
    assert check(answer) == sandbox.balance() == balance
    ids = [row["id"] for row in answer["transactions"]]
    # A fee has the payment's id: two rows of one id.
    assert ids.count(first["id"]) == (2 if fees == "rows" else 1)


@pytest.mark.parametrize("charges", [None, True, 250])
@pytest.mark.parametrize("days", [0, 9, 400])
def test_reversal(sandbox, client, charges, days):
    payment = settled(sandbox, "11225", 5000)
    settled(sandbox, "11226", 7000)
    sandbox.clock.advance(days * 86400)
    answer = sandbox.reverse(payment["id"], charges)
    assert answer["status"] == ("REVERSE WITH CHARGES" if charges else "REVERSED")
    day = sandbox.clock.iso()[:10]
    rows = [-5000] + {None: [], True: [-1000], 250: [-250]}[charges]
    assert amounts(told(client, day))[-len(rows) :] == rows
    assert check(told(client, day)) == sandbox.balance() == 12000 + sum(rows)
    assert {r["id"] for r in told(client, day)["transactions"][-len(rows) :]} == {
        payment["id"]
    }
    # A second time takes nothing.
    sandbox.set_status(payment["id"], "REFUNDED")
    assert sandbox.balance() == 12000 + sum(rows)


def test_money_that_was_never_there_leaves_no_rows(sandbox, client):
    payment = sandbox.pay("11225", 5000, deliver=False)
    sandbox.set_status(payment["id"], "REFUNDED")
    assert told(client)["transactions"] == []


def test_withdraws_and_deposits(sandbox, client):
    settled(sandbox, "11225", 5000)
    sandbox.withdraw("3,000", "RTGS")
    sandbox.deposit(500)
    answer = told(client)
    assert amounts(answer) == [5000, -3000, 500] and check(answer) == 2500
    words = [row["description"] for row in answer["transactions"]]
    assert "Withdraw" in words[1] and "Deposit" in words[2]
    [delivery] = sandbox.deliveries(limit=1)
    assert delivery["event"] == "DEPOSIT RECEIVED" and '"500"' in delivery["body"]
    for amount in (2501, 0, -5, "x", None, 10**20):
        with pytest.raises(SandboxError):
            sandbox.withdraw(amount)
    with pytest.raises(SandboxError):
        sandbox.withdraw(5, "CASH")
    assert sandbox.balance() == 2500
    assert client.get("/account/balance").json() == [
        {"currency": "TZS", "balance": 2500}
    ]


@pytest.mark.parametrize(("hours", "day"), [(0, "2026-03-04"), (3, "2026-03-05")])
def test_days_of_either_zone(sandbox, client, hours, day):
    sandbox.settings.filter_utc_offset_hours = hours
    sandbox.clock.advance(13.5 * 3600)  # 22:30 UTC, 01:30 in Dar es Salaam
    settled(sandbox, "11225", 5000)
    sandbox.clock.advance(86400)
    for asked in ("2026-03-03", "2026-03-04", "2026-03-05"):
        there = len(told(client, asked)["transactions"])
        assert there == (1 if asked == day else 0), asked
        check(told(client, asked))
    sandbox.settings.statement_dates = "day"
    [row] = told(client, day)["transactions"]
    year, month, number = day.split("-")
    assert row["date"] == f"{number}-{month}-{year}"


def test_days_follow_one_another(sandbox, client):
    for number in range(5):
        settled(sandbox, f"1122{number}", 1000 * (number + 1))
        sandbox.clock.advance(86400)
    closing = 0
    for day in range(4, 9):
        answer = told(client, f"0{day}-03-2026")
        assert answer["accountDetails"]["openingBalance"] == closing
        closing = check(answer)
    assert closing == sandbox.balance() == 15000
    whole = told(client, "2026-03-04", "2026-03-08")
    assert len(whole["transactions"]) == 5 and check(whole) == 15000


def test_late_rows(sandbox, client):
    settled(sandbox, "11225", 5000)
    sandbox.settings.statement_late = 2 * 86400
    settled(sandbox, "11226", 300)
    sandbox.settings.statement_late = 0
    settled(sandbox, "11227", 70)
    assert amounts(told(client)) == [5000, 70] and check(told(client)) == 5070
    sandbox.clock.advance(3 * 86400)
    # At their old date: what followed has another balance now.
    assert amounts(told(client)) == [5000, 300, 70] and check(told(client)) == 5370


def test_reduced_rows_and_texts(sandbox, client):
    settled(sandbox, "11225", 5000.5)
    sandbox.settings.update(
        {"statement_form": "reduced", "statement_amounts": "string"}
    )
    answer = told(client)
    [row] = answer["transactions"]
    assert {"entry", "currency", "type"}.isdisjoint(row)
    assert (row["amount"], row["balance"]) == ("5000.5", "5000.5")
    assert answer["accountDetails"]["closingBalance"] == "5000.5"


@pytest.mark.parametrize(
    "fault",
    [
        "half_statement",
        "lost_row",
        "unordered_rows",
        "wrong_balance",
        "foreign_currency",
        "old_row",
        "no_details",
    ],
)
def test_wrong_answers(sandbox, client, fault):
    for number in range(6):
        settled(sandbox, f"1122{number}", 1000)
    right = told(client)
    check(right)
    sandbox.faults.add(fault, match="2026-03-04")
    assert told(client, "2026-03-05") != right
    assert sandbox.faults.as_list()
    assert told(client) != right
    assert told(client) == right


def test_what_is_refused(sandbox, client):
    for values in (
        {},
        {"currency": "KES"},
        {"currency": "TZS", "startDate": "4 March"},
        {"currency": "TZS", "limit": "5"},
    ):
        answer = client.get(PATH, **values)
        assert answer.status_code == 400 and answer.json()["message"]
    settled(sandbox, "11225", 5000)
    usd = client.get(PATH, currency="USD").json()
    assert usd["accountDetails"]["closingBalance"] == 0 and not usd["transactions"]
    # Without days, all of it.
    assert check(client.get(PATH, currency="TZS").json()) == 5000
    client.session.headers["Authorization"] = "Bearer no"
    assert client.get(PATH, currency="TZS").status_code == 401


def test_control_calls_and_buttons(sandbox):
    web = create_app(sandbox).test_client()
    assert "Nothing is in the account yet" in web.get("/").text
    payment = settled(sandbox, "11225", 5000)

    def post(name, **values):
        return web.post(f"/_sandbox/{name}", json=values)

    assert post("withdraw", amount=1000, rail="ACH").json["amount"] == -1000
    assert post("deposit", amount=200).json["amount"] == 200
    answer = post("entry", amount=-30, description="Stamp duty", id="X1", type="Other")
    assert answer.json["id"] == "X1"
    assert post("withdraw", amount=10**9).status_code == 400
    assert post("entry", amount="much").status_code == 400
    answer = post("reverse", payment_id=payment["id"], charges=100)
    assert answer.json["status"] == "REVERSE WITH CHARGES"
    assert post("reverse", payment_id="none").status_code == 400
    account = web.get("/_sandbox/account").json
    assert account["balance"] == sandbox.balance() == -930
    assert len(account["entries"]) == 6
    assert len(web.get("/_sandbox/account?limit=2").json["entries"]) == 2
    text = web.get("/").text
    assert "-930 TZS" in text and "Stamp duty" in text

    def form(**values):
        return web.post("/page/account", data=values, follow_redirects=True).text

    assert "Deposited: 5000 TZS." in form(amount="5000", way="deposit")
    assert "Withdrawn" in form(amount="4000", way="withdraw", rail="RTGS")
    assert "There are only" in form(amount="4000", way="withdraw", rail="RTGS")
    assert sandbox.balance() == 70
    sandbox.reset()
    assert sandbox.balance() == 0
