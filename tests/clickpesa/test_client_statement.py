# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The account statement: every shape of it, and what is wrong with a wrong one."""

import datetime
import random
from decimal import Decimal

import pytest
from clickpesa import AuthenticationRefused, Refused, Statement, StatementRow
from clickpesa.statement import kind_of, read_balance, read_day
from fake_gateway import PREFIX, answer
from hypothesis import given
from hypothesis import strategies as st

DAY = datetime.date(2026, 3, 4)
UTC = datetime.timezone.utc
FULL = ("entry", "currency", "type")


def row(id_, amount, balance, *, hour=9, reduced=False, **more):
    """A row of the documented form; ``reduced`` as in the newest sample."""
    told = {
        "id": id_,
        "date": f"2026-03-04T{hour:02}:00:00.000Z",
        "description": "Payment received",
        "entry": "Credit" if amount >= 0 else "Debit",
        "amount": abs(amount),
        "currency": "TZS",
        "balance": balance,
        "orderReference": "112200017",
        "type": "Payment",
        **more,
    }
    if reduced:
        told = {name: value for name, value in told.items() if name not in FULL}
    return told


def answered(amounts, opening=1000, *, reduced=False, totals=True, **more):
    """A whole answer over these amounts, and it is right."""
    balance, rows = opening, []
    for index, amount in enumerate(amounts):
        balance += amount
        rows.append(row(f"P{index}", amount, balance, reduced=reduced, hour=index % 20))
    details = {
        "currency": "TZS",
        "openingBalance": opening,
        "closingBalance": balance,
    }
    if totals:
        details["totalCredits"] = sum(a for a in amounts if a > 0)
        details["totalDebits"] = -sum(a for a in amounts if a < 0)
    return {"accountDetails": details, "transactions": rows, **more}


def problem(data, before=None, day=DAY):
    return Statement.parse(data).problem(day, "TZS", before)


def check(data, before=None):
    found = problem(data, before)
    return found and found[0]


AMOUNTS = [5000, -250, 700, 700, -5000, 1, -1, 300, -700]


# === THE CALLS === #


def test_the_statement_is_asked_for(gateway, connect):
    gateway.replies = [answer(200, answered(AMOUNTS))]
    told = connect().account_statement(DAY, datetime.date(2026, 3, 5))
    [call] = gateway.calls()
    assert call.path == (
        PREFIX
        + "/account/statement?currency=TZS&startDate=2026-03-04&endDate=2026-03-05"
    )
    assert [r.amount for r in told.rows] == AMOUNTS
    assert told.problem(DAY, "TZS", Decimal(1000)) is None


@pytest.mark.parametrize("body", [[], "x", 5, None, b"<html>", b'{"accountDet'])
def test_an_answer_that_is_no_statement(gateway, connect, body):
    gateway.replies = [answer(200, body)]
    with pytest.raises(Exception, match="."):
        connect(patience=0).account_statement(DAY, DAY)


def test_refusals(gateway, connect):
    gateway.replies = [answer(401, {"message": "Unauthorized"})]
    with pytest.raises(AuthenticationRefused):
        connect().account_statement(DAY, DAY)
    body = {"statusCode": 400, "message": ["currency must be TZS"], "error": "x"}
    gateway.replies = [answer(400, body)]
    with pytest.raises(Refused, match="currency must be TZS"):
        connect().account_statement(DAY, DAY)


@pytest.mark.parametrize(
    ("body", "balances"),
    [
        ([{"currency": "TZS", "balance": 12345}], {"TZS": 12345}),
        ({"balances": [{"currency": "tzs", "balance": "12.5"}]}, {"TZS": 12.5}),
        ({"currency": "TZS", "balance": -3}, {"TZS": -3}),
        (
            [{"currency": "TZS", "balance": 1}, {"currency": "USD", "balance": "2"}],
            {"TZS": 1, "USD": 2},
        ),
        ([{"currency": "TZS", "balance": "much"}, 7, {}], {}),
        ([], {}),
    ],
)
def test_balance(gateway, connect, body, balances):
    gateway.replies = [answer(200, body)]
    assert connect().account_balance() == balances


def test_balance_of_a_new_merchant(gateway, connect):
    text = "No balance account is linked to this merchant yet."
    gateway.replies = [answer(404, {"message": text})]
    assert connect().account_balance() == {}
    gateway.replies = [answer(200, {"nothing": 1})]
    with pytest.raises(Exception, match="."):
        connect(patience=0).account_balance()


# === VALUES === #


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (5, 5),
        ("5", 5),
        (" -5.50 ", Decimal("-5.5")),
        (-0.25, Decimal("-0.25")),
        (Decimal("-7"), -7),
        ("0", 0),
        ("--5", None),
        ("5,000", None),
        ("-", None),
        ("", None),
        (None, None),
        (True, None),
        (float("nan"), None),
        (-(10**13), None),
    ],
)
def test_balances(value, amount):
    assert read_balance(value) == amount


@pytest.mark.parametrize(
    ("value", "day", "moment"),
    [
        ("2026-03-04T22:30:00.000Z", (2026, 3, 4), (2026, 3, 4, 22, 30)),
        ("2026-03-04T01:30:00+03:00", (2026, 3, 3), (2026, 3, 3, 22, 30)),
        ("04-03-2026", (2026, 3, 4), None),
        ("04/03/2026", (2026, 3, 4), None),
        ("04-03-2026 13:05:00", (2026, 3, 4), None),
        ("2026-03-04", (2026, 3, 4), None),
        (1772582400, (2026, 3, 4), (2026, 3, 4)),
        ("31-02-2026", None, None),
        ("2026-13-01", None, None),
        ("soon", None, None),
        ("", None, None),
        (None, None, None),
        ({}, None, None),
    ],
)
def test_dates(value, day, moment):
    day = day and datetime.date(*day)
    moment = moment and datetime.datetime(*moment, tzinfo=UTC)
    assert read_day(value) == (day, moment)


@pytest.mark.parametrize(
    ("type_", "description", "amount", "reference", "kind"),
    [
        ("Payment", "Payment received from ASHA", 5, "1122", "payment"),
        ("", "School fees for term 1", 5, "1122", "payment"),
        ("Payment", "Reverse Osmosis Ltd", 5, "1122", "payment"),
        ("", "Refund for Juma (bill)", 5, "1122", "payment"),
        ("", "Deposit for the hall", 5, "1122", "payment"),
        ("", "BILLPAY COLLECTION 1122", 5, "", "payment"),
        ("Payment", "ASHA", 5, "", "payment"),
        ("Deposit", "Deposit from bank", 5, "", "deposit"),
        ("Payment", "Deposit from bank", 5, "", "deposit"),
        ("", "Account top-up", 5, "", "deposit"),
        ("", "Payout reversed PAYOUT1", 5, "PAYOUT1", "payout"),
        ("Reversal", "Payout to ASHA", 5, "", "payout"),
        ("", "Reversal of withdrawal", 5, "", "withdraw"),
        ("", "Refund of fee", 5, "", "fee"),
        ("", "Refund", 5, "", "other"),
        ("", "Something", 5, "", ""),
        ("Fee", "M-PESA", -5, "1122", "fee"),
        ("", "Charges for reversal", -5, "1122", "fee"),
        ("", "Reversal charges", -5, "1122", "fee"),
        ("", "Withdraw fee", -5, "", "fee"),
        ("Payment", "Payout fee", -5, "", "fee"),
        ("", "REVERSE WITH CHARGES", -5, "1122", "reversal"),
        ("", "Payment reversed: school fees for Asha", -5, "1122", "reversal"),
        ("Payment", "Refunded to customer", -5, "1122", "reversal"),
        ("", "Chargeback", -5, "1122", "reversal"),
        ("Withdraw", "To CRDB 0150", -5, "", "withdraw"),
        ("", "Withdrawal to bank (ACH)", -5, "", "withdraw"),
        ("Payout", "To ASHA JUMA", -5, "PAYOUT1", "payout"),
        ("Payment", "Disbursement to ASHA", -5, "", "payout"),
        ("Payment", "ASHA", -5, "1122", ""),
        ("", "", -5, "", ""),
    ],
)
def test_kinds(type_, description, amount, reference, kind):
    assert kind_of(type_, description, amount, reference) == kind


@pytest.mark.parametrize(
    ("told", "amount"),
    [
        ({"entry": "Credit", "amount": "500"}, 500),
        ({"entry": "DEBIT", "amount": 500.5}, Decimal("-500.5")),
        ({"entry": "cr", "amount": 5}, 5),
        ({"amount": -500}, -500),
        ({"entry": "Debit", "amount": -500}, -500),
        ({"entry": "Credit", "amount": -500}, None),
        ({"entry": "Credit", "amount": "x"}, None),
        ({"amount": 500}, None),
        ({"entry": "Sideways", "amount": 500}, None),
        ({}, None),
    ],
)
def test_signs_that_are_told(told, amount):
    assert StatementRow.parse(told).amount == amount


# === RIGHT ANSWERS, IN EVERY SHAPE === #

SHAPES = {
    "full": lambda d: d,
    "strings": lambda d: {
        "accountDetails": {k: str(v) for k, v in d["accountDetails"].items()},
        "transactions": [
            {**r, "amount": str(r["amount"]), "balance": f"{r['balance']}.00"}
            for r in d["transactions"]
        ],
    },
    "day first": lambda d: _each(d, date="04-03-2026"),
    "no date": lambda d: _each(d, date=None),
    "latest first": lambda d: {**d, "transactions": d["transactions"][::-1]},
    "shuffled": lambda d: _shuffled(d, 1),
    "shuffled days": lambda d: _shuffled(_each(d, date="04-03-2026"), 2),
    "no currency of the account": lambda d: _details(d, currency=None),
    "no totals": lambda d: _details(d, totalCredits=None, totalDebits=None),
    "debits below zero": lambda d: _details(
        d, totalDebits=-d["accountDetails"]["totalDebits"]
    ),
    "wrapped": lambda d: {"success": True, "data": d},
    "reduced": lambda d: _without(d, *FULL),
    "reduced, latest first": lambda d: _without(
        {**d, "transactions": d["transactions"][::-1]}, *FULL
    ),
    "reduced, shuffled": lambda d: _shuffled(_without(d, *FULL), 3),
    "reduced, of days, shuffled": lambda d: _shuffled(
        _without(_each(d, date="04-03-2026"), *FULL), 4
    ),
    "no balances of rows": lambda d: _without(d, "balance"),
    "EAT": lambda d: _each(d, date="2026-03-03T21:00:00.000Z"),
}


def _each(data, **more):
    return {**data, "transactions": [{**r, **more} for r in data["transactions"]]}


def _without(data, *names):
    rows = [
        {k: v for k, v in r.items() if k not in names} for r in data["transactions"]
    ]
    return {**data, "transactions": rows}


def _details(data, **more):
    return {**data, "accountDetails": {**data["accountDetails"], **more}}


def _shuffled(data, seed):
    rows = list(data["transactions"])
    random.Random(seed).shuffle(rows)
    return {**data, "transactions": rows}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "amounts", [AMOUNTS, [500], [-500], [], [7, 7, 7, -21], [0.5, -0.25]]
)
def test_right_answers(shape, amounts):
    data = SHAPES[shape](answered(amounts))
    told = Statement.parse(data)
    assert told.problem(DAY, "TZS", Decimal(1000)) is None
    assert sorted(r.amount for r in told.rows) == sorted(map(_exact, amounts))


def _exact(amount):
    return Decimal(str(amount))


@pytest.mark.parametrize("opening", [0, -700, "1000.00"])
def test_an_opening_balance_of_any_sign(opening):
    assert check(answered([500, -20], Decimal(opening))) is None


def test_two_rows_of_one_id_are_two():
    data = answered([5000, -125, -5000])
    for told in data["transactions"]:
        told["id"] = "SAME"
    told = Statement.parse(data)
    assert told.problem(DAY, "TZS") is None
    assert [(r.id, r.amount) for r in told.rows] == [
        ("SAME", 5000),
        ("SAME", -125),
        ("SAME", -5000),
    ]


@given(
    st.lists(
        st.integers(-50, 50).filter(bool) | st.integers(-(10**9), 10**9).filter(bool),
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_any_order_is_put_right(amounts, chance):
    data = answered(amounts)
    chance.shuffle(data["transactions"])
    told = Statement.parse(data)
    assert told.problem(DAY, "TZS", Decimal(1000)) is None
    balance = told.opening
    for told_row in told.rows:
        balance += told_row.amount
        assert told_row.balance == balance


@given(
    st.lists(st.integers(-(10**9), 10**9).filter(bool), max_size=40),
    st.randoms(use_true_random=False),
)
def test_any_order_of_reduced_rows(amounts, chance):
    data = _without(answered(amounts), *FULL)
    chance.shuffle(data["transactions"])
    told = Statement.parse(data)
    assert told.problem(DAY, "TZS", Decimal(1000)) is None
    assert sorted(r.amount for r in told.rows) == sorted(amounts)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["accountDetails", "transactions", "amount", "balance", "date"]
                    + ["id", "entry", "openingBalance", "closingBalance", "data"]
                ),
                inner,
            )
        ),
        max_leaves=15,
    )
)
def test_nothing_that_comes_is_an_error(data):
    Statement.parse(data).problem(DAY, "TZS", Decimal(5))


# === WRONG ANSWERS === #


def _rows(data, change):
    rows = list(data["transactions"])
    change(rows)
    return {**data, "transactions": rows}


def _set(index, **more):
    def change(rows):
        rows[index] = {**rows[index], **more}

    return change


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda d: {}, "details"),
        (lambda d: {"transactions": d["transactions"]}, "details"),
        (lambda d: _details(d, openingBalance=None), "details"),
        (lambda d: _details(d, closingBalance="?"), "details"),
        (lambda d: {"accountDetails": d["accountDetails"]}, "rows"),
        (lambda d: {**d, "transactions": "none"}, "rows"),
        (lambda d: _details(d, currency="USD"), "currency"),
        (lambda d: _rows(d, _set(3, currency="KES")), "currency"),
        (lambda d: _rows(d, _set(2, amount="5,000")), "unreadable"),
        (lambda d: _rows(d, _set(0, amount=None)), "unreadable"),
        (lambda d: _rows(d, _set(0, entry="Credit", amount=-5)), "unreadable"),
        (lambda d: _rows(d, lambda rows: rows.append("x")), "unreadable"),
        (lambda d: _rows(d, _set(1, date="2016-05-01T09:00:00Z")), "day"),
        (lambda d: _rows(d, _set(1, date="01-05-2016")), "day"),
        (lambda d: _rows(d, _set(8, date="2026-03-05T00:00:00Z")), "day"),
        (lambda d: _rows(d, _set(0, date="2026-03-03T20:59:59Z")), "day"),
        (lambda d: _rows(d, lambda rows: rows.pop()), "sum"),
        (lambda d: _rows(d, lambda rows: rows.pop(0)), "sum"),
        (lambda d: _rows(d, lambda rows: rows.clear()), "sum"),
        (lambda d: _rows(d, lambda rows: rows.append(rows[0])), "sum"),
        (lambda d: _details(d, closingBalance=1), "sum"),
        (lambda d: _details(d, openingBalance=0), "sum"),
        (lambda d: _details(d, totalCredits=1), "totals"),
        (lambda d: _details(d, totalDebits="99"), "totals"),
        (lambda d: _rows(d, _set(4, balance=7)), "running"),
        (lambda d: _rows(d, _set(8, balance=7)), "running"),
    ],
)
def test_which_check_fails(spoil, found):
    assert check(spoil(answered(AMOUNTS)), Decimal(1000)) == found


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        # What nobody can tell from reduced rows is not guessed at.
        (lambda d: _rows(d, lambda rows: rows.pop(4)), {"sum", "running"}),
        (lambda d: _rows(d, lambda rows: rows.pop()), {"sum"}),
        (lambda d: _rows(d, _set(4, balance=7)), {"sum", "running"}),
        (
            lambda d: _without(_each(d, description="?"), "balance"),
            {"sign"},
        ),
    ],
)
def test_wrong_answers_of_reduced_rows(spoil, found):
    assert check(spoil(answered(AMOUNTS, reduced=True))) in found


@pytest.mark.parametrize("before", [999, 0, Decimal("1000.01"), -1000])
def test_days_that_do_not_follow_each_other(before):
    code, figures = problem(answered(AMOUNTS), Decimal(before))
    assert code == "chain"
    assert figures == {"before": before, "opening": 1000}


def test_figures_of_what_fails():
    data = answered([500, -20, 30])
    data["transactions"].pop(1)
    code, figures = problem(data)
    assert code == "sum"
    assert figures == {
        "opening": 1000,
        "closing": 1510,
        "credits": 530,
        "debits": 0,
        "sum": 1530,
    }
    data = answered([500, -20, 30])
    data["transactions"][1]["balance"] = 1
    code, figures = problem(data)
    assert (code, figures["row"].id, figures["told"]) == ("running", "P1", 1)
    assert figures["sum"] == 1480
