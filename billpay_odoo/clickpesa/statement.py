# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The account statement: how it is read, whether it adds up, what its rows are.

ClickPesa API docs, page "account statement". The newest sample has no ``entry``,
``currency`` and ``type`` in its rows; the sign follows from the running balance then.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

from .parsing import read_amount, read_identity, read_text, read_time

SIGNS = {"CREDIT": 1, "CR": 1, "C": 1, "DEBIT": -1, "DR": -1, "D": -1}
# What a row is. "" is what its words do not say.
PAYMENT, FEE, WITHDRAW, PAYOUT, DEPOSIT, REVERSAL, OTHER = (
    "payment",
    "fee",
    "withdraw",
    "payout",
    "deposit",
    "reversal",
    "other",
)
_FEE = r"(?:FEES?|CHARGES?|COMMISSIONS?|TARIFFS?|LEVY|VAT)"
# The texts of rows are documented nowhere. Of several words the first counts: "Charges
# for reversal" is a fee, "Reversed with charges" a reversal.
_WORDS = {
    FEE: re.compile(
        rf"\b(?:(?:REVERSAL|REFUND|WITHDRAW\w*|PAY-?OUT|COLLECTION|PAYMENT"
        rf"|TRANSACTION)\s+)?{_FEE}\b"
    ),
    REVERSAL: re.compile(r"\b(?:REVERS|REFUND|CHARGEBACK)"),
    WITHDRAW: re.compile(r"\bWITHDR"),
    PAYOUT: re.compile(r"\b(?:PAY-?OUT|DISBURSE)"),
    DEPOSIT: re.compile(r"\b(?:DEPOSIT|TOP-?UP)"),
    PAYMENT: re.compile(r"\b(?:PAYMENT|COLLECTION|RECEIVED)"),
}
_OUT = (FEE, REVERSAL, WITHDRAW, PAYOUT)
_DAY = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_DAY_FIRST = re.compile(
    r"([0-9]{2})[-/.]([0-9]{2})[-/.]([0-9]{4})(?:[ T,].*)?", re.DOTALL
)
# Days may be those of UTC or of Dar es Salaam, and a row may tell of its day only.
EAST = timedelta(hours=3)


def read_balance(value):
    """Return a ``Decimal`` of either sign, or ``None`` for what is no sane amount."""
    if isinstance(value, str):
        value = value.strip()
        negative = value.startswith("-")
        value = value[1:] if negative else value
    elif isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        negative = value < 0
        value = abs(value)
    else:
        return None
    amount = read_amount(value)
    return -amount if negative and amount is not None else amount


def read_day(value):
    """Return ``(day, moment)`` of a date; the moment is ``None`` where only a day, or
    a time of an unknown zone, is told."""
    text = value.strip() if isinstance(value, str) else value
    try:
        if isinstance(text, str):
            if match := _DAY.fullmatch(text):
                return date(*map(int, match.groups())), None
            if match := _DAY_FIRST.fullmatch(text):
                return date(*map(int, reversed(match.groups()))), None
    except ValueError:
        return None, None
    moment = read_time(value)
    return (moment.date(), moment) if moment else (None, None)


def _word(text, kinds=tuple(_WORDS)):
    """Return the kind whose word comes first in a text, or ``""``."""
    text = text.upper()
    hits = ((_WORDS[kind].search(text), kind) for kind in kinds)
    hits = [(hit.start(), -hit.end(), kind) for hit, kind in hits if hit]
    return min(hits)[2] if hits else ""


def kind_of(type_, description, amount, reference=""):
    """Return what a row is by its sign and words, or ``""``.

    The description of a payment may be what the merchant wrote on the bill, or name
    the payer, so "School fees" is not a fee when money comes for a control number.
    """
    if amount < 0:
        return _word(type_, _OUT) or _word(description, _OUT)
    kind = _word(description)
    if _word(type_) in ("", PAYMENT):
        if reference and kind not in (PAYOUT, WITHDRAW):
            return PAYMENT
        # Money of a fee, a payout or a withdraw comes back.
        if kind == REVERSAL:
            return _word(description, (PAYOUT, WITHDRAW, FEE)) or OTHER
        return kind or _word(type_)
    kind = _word(type_)
    if kind == REVERSAL:
        return _word(f"{type_} {description}", (PAYOUT, WITHDRAW, FEE)) or OTHER
    return kind


def _way(type_, description):
    """Return the sign that the words of a row suggest, or ``None``."""
    kind = _word(type_, _OUT) or _word(description) or _word(type_)
    return (-1 if kind in _OUT else 1) if kind else None


@dataclass(frozen=True)
class StatementRow:
    """One row as told. ``amount`` has its sign: money that comes is above zero.

    ``None`` where what was sent is no sane amount, or nothing tells the sign.
    """

    id: str
    day: date | None
    moment: datetime | None
    description: str
    type: str
    amount: Decimal | None
    balance: Decimal | None
    reference: str
    currency: str
    raw: dict = field(repr=False, compare=False)
    # What was told of the sign, and the amount without it.
    sign: int | None = field(default=None, repr=False)
    size: Decimal | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, data):
        raw = data if isinstance(data, dict) else {}
        day, moment = read_day(raw.get("date"))
        told = read_balance(raw.get("amount"))
        sign = SIGNS.get(read_text(raw.get("entry"), 16).upper())
        if told is not None and told < 0:
            # "Credit" and below zero contradict each other.
            told, sign = (None, None) if sign == 1 else (-told, -1)
        return cls(
            id=read_identity(raw.get("id")),
            day=day,
            moment=moment,
            description=read_text(raw.get("description"), 500),
            type=read_text(raw.get("type"), 64),
            amount=None if told is None or sign is None else sign * told,
            balance=read_balance(raw.get("balance")),
            reference=read_identity(raw.get("orderReference")),
            currency=read_text(raw.get("currency"), 8).upper(),
            raw=raw,
            sign=sign,
            size=told,
        )

    @property
    def kind(self):
        return kind_of(self.type, self.description, self.amount or 0, self.reference)

    def signed(self, sign):
        return replace(self, amount=sign * self.size)

    def is_of(self, day):
        """Whether this row may be of a day, be it of UTC or of Dar es Salaam."""
        if self.moment:
            begin = datetime.combine(day, datetime.min.time(), tzinfo=timezone.utc)
            return begin - EAST <= self.moment < begin + timedelta(days=1)
        return self.day is None or abs(self.day - day) <= timedelta(days=1)


@dataclass(frozen=True)
class Statement:
    """The account of some days: balances, sums and rows in their order.

    ``opening``, ``closing``, ``credits`` and ``debits`` are ``None`` where they were
    not told, ``rows`` where there was no list. ``agrees`` says whether the running
    balances of the rows follow each other.
    """

    currency: str
    opening: Decimal | None
    closing: Decimal | None
    credits: Decimal | None
    debits: Decimal | None
    rows: tuple[StatementRow, ...] | None
    agrees: bool = True

    @classmethod
    def parse(cls, data):
        """Read an answer; never raises."""
        data = data if isinstance(data, dict) else {}
        if isinstance(data.get("data"), dict) and "transactions" not in data:
            data = data["data"]
        details = data.get("accountDetails")
        details = details if isinstance(details, dict) else {}
        told, rows = data.get("transactions"), None
        if isinstance(told, list):
            rows = tuple(StatementRow.parse(row) for row in told)
        opening = read_balance(details.get("openingBalance"))
        closing = read_balance(details.get("closingBalance"))
        agrees = True
        if rows and opening is not None:
            agrees, rows = _in_order(rows, opening, closing)
        return cls(
            currency=read_text(details.get("currency"), 8).upper(),
            opening=opening,
            closing=closing,
            credits=read_balance(details.get("totalCredits")),
            debits=read_balance(details.get("totalDebits")),
            rows=rows,
            agrees=agrees,
        )

    def problem(self, day, currency, before=None):
        """Return which check fails first, with its figures, or ``None``.

        :param date day: the one day that was asked for
        :param Decimal before: the closing balance of the day before, if it is known
        :return: ``(check, {name: figure})``; the checks are ``details``, ``rows``,
            ``currency``, ``unreadable``, ``day``, ``sign``, ``sum``, ``totals``,
            ``running`` and ``chain``
        """
        if self.opening is None or self.closing is None:
            return "details", {}
        if self.rows is None:
            return "rows", {}
        currencies = {self.currency, *(row.currency for row in self.rows)}
        if other := sorted(currencies - {"", currency}):
            return "currency", {"currency": other[0]}
        for row in self.rows:
            if row.size is None:
                return "unreadable", {"row": row}
        for row in self.rows:
            if not row.is_of(day):
                return "day", {"row": row}
        for row in self.rows:
            if row.amount is None:
                return "sign", {"row": row}
        return self._wrong_sum() or self._wrong_chain(before)

    def _wrong_sum(self):
        credits = sum((r.amount for r in self.rows if r.amount > 0), Decimal())
        debits = -sum((r.amount for r in self.rows if r.amount < 0), Decimal())
        figures = {"credits": credits, "debits": debits}
        if self.opening + credits - debits != self.closing:
            return "sum", {
                **figures,
                "opening": self.opening,
                "closing": self.closing,
                "sum": self.opening + credits - debits,
            }
        for name in ("credits", "debits"):
            told = getattr(self, name)
            if told is not None and abs(told) != figures[name]:
                return "totals", {"name": name, "told": told, "sum": figures[name]}
        if not self.agrees:
            return "running", self._first_break()
        return None

    def _first_break(self):
        """Return the first row whose balance does not follow, and what would."""
        balance = self.opening
        for row in self.rows:
            balance += row.amount
            if row.balance is not None and row.balance != balance:
                return {"row": row, "told": row.balance, "sum": balance}
        return {"row": self.rows[-1], "told": self.rows[-1].balance, "sum": balance}

    def _wrong_chain(self, before):
        if before is None or before == self.opening:
            return None
        return "chain", {"before": before, "opening": self.opening}


# === ORDER AND SIGNS === #


def _in_order(rows, opening, closing):
    """Return whether the running balances agree, and the rows in their order, signed.

    Rows come in any order. First the ones that lists usually have are tried, then the
    balances tell which row follows which.
    """

    def by_moment(row):
        moment = row.moment or datetime.min.replace(tzinfo=timezone.utc)
        return (row.day or date.min, moment)

    sorted_rows = sorted(rows, key=by_moment)
    latest_first = sorted(reversed(rows), key=by_moment)
    for order in (list(rows), list(reversed(rows)), sorted_rows, latest_first):
        if signed := _walk(order, opening):
            return True, tuple(signed)
    if all(row.size is not None and row.balance is not None for row in rows):
        signed = _with_ways(sorted_rows, opening, closing)
        if signed and (trail := _trail(signed, opening)):
            return True, tuple(trail)
    return False, tuple(_with_signs(sorted_rows, opening))


def _with_ways(rows, opening, closing):
    """Return rows with the signs with which they may follow each other, or ``None``.

    Each row ends at its balance, so it is known how many rows begin at each balance:
    as many as end there, one more at the opening, one less at the closing. A row
    begins one amount below or above its own, where a place is left.
    """
    places = defaultdict(int)
    for row in rows:
        places[row.balance] += 1
    places[opening] += 1
    places[closing] -= 1
    signs, at = [None] * len(rows), defaultdict(list)

    def options(index):
        row = rows[index]
        ways = (row.sign,) if row.sign else (1, -1)
        return [way for way in ways if places[row.balance - way * row.size] > 0]

    for index, row in enumerate(rows):
        for way in (1, -1):
            at[row.balance - way * row.size].append(index)
    # First those that have no choice; a place that is taken may leave others none.
    waiting = list(range(len(rows)))[::-1]
    undecided = list(range(len(rows)))[::-1]
    while waiting or undecided:
        index, chosen = (waiting or undecided)[-1], not waiting
        (waiting or undecided).pop()
        if signs[index] is not None:
            continue
        ways = options(index)
        if not ways:
            return None
        if len(ways) > 1 and not chosen:
            continue
        row = rows[index]
        way = _way(row.type, row.description) if len(ways) > 1 else ways[0]
        signs[index] = way or ways[0]
        begin = row.balance - signs[index] * row.size
        places[begin] -= 1
        if not places[begin]:
            waiting += at[begin]
    return [
        row if row.sign else row.signed(sign)
        for row, sign in zip(rows, signs, strict=True)
    ]


def _walk(rows, opening):
    """Return the rows signed, if each balance follows from the one before."""
    balance, signed = opening, []
    for row in rows:
        if row.size is None:
            return None
        if row.balance is None:
            if row.sign is None:
                return None
            step = row.sign * row.size
        else:
            step = row.balance - balance
        if abs(step) != row.size or (
            row.sign and step and (step > 0) != (row.sign > 0)
        ):
            return None
        balance += step
        signed.append(row if row.sign else row.signed(1 if step >= 0 else -1))
    return signed


def _with_signs(rows, opening):
    """Return rows with the signs that are told, follow from the neighbour's balance,
    or from what the row is about."""
    signed, balance = [], opening
    for row in rows:
        if row.sign is None and row.size is not None:
            steps = {row.size: 1, -row.size: -1}
            told = row.balance is not None and balance is not None
            sign = steps.get(row.balance - balance) if told else None
            sign = sign or _way(row.type, row.description)
            row = row.signed(sign) if sign else row
        signed.append(row)
        balance = row.balance
    return signed


def _trail(rows, opening):
    """Return all rows as one trail over the balances that begins at the opening one.

    Each row leads from the balance before it to its own (Hierholzer's algorithm).
    """
    leaving = defaultdict(list)
    for row in reversed(rows):
        leaving[row.balance - row.amount].append(row)
    stack, trail = [(opening, None)], []
    while stack:
        balance, row = stack[-1]
        if following := leaving.get(balance):
            taken = following.pop()
            stack.append((taken.balance, taken))
        else:
            stack.pop()
            trail.append(row)
    trail = [row for row in reversed(trail) if row]
    return trail if len(trail) == len(rows) and _walk(trail, opening) else None
