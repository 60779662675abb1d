# SPDX-License-Identifier: LGPL-3.0-or-later
"""The merchant's account: what goes in and out, its balance and its statement.

ClickPesa API docs, page "account statement". How fees and reversals stand in it is not
documented, so settings say it. Money is in the balance once it is settled.
"""

import random
from datetime import timedelta

from . import money
from .clock import iso
from .errors import ApiError, SandboxError
from .payments import _code
from .queries import _day

#: Words of a status with which the payer has the money again.
TAKEN_BACK = ("REVERS", "REFUND", "CHARGEBACK")
PARAMETERS = ("currency", "startDate", "endDate")
CURRENCY = "TZS"


class Account:
    """Rows of the account in a store."""

    def __init__(self, store, clock, settings, payments):
        self._store = store
        self._clock = clock
        self._settings = settings
        self._payments = payments

    # Money -----------------------------------------------------------------

    def credit(self, payment_ids):
        """Write the rows of payments that were settled just now."""
        for payment_id in payment_ids:
            row = self._payments.get(payment_id)
            net = self._settings.statement_fees == "netted"
            amount = row["amount"] - (row["fee"] if net else 0)
            text = f"Payment received from {row['payer_name'] or row['phone']}"
            with self._store.transaction():
                self._add(row["id"], amount, text, "Payment", row["reference"])
                if row["fee"] and self._settings.statement_fees == "rows":
                    words = f"Collection fee {row['channel']}"
                    self._add(row["id"], -row["fee"], words, "Fee", row["reference"])

    def take_back(self, payment_id, word, charge=None):
        """Write the row of a payment that was credited and went back to the payer.

        With charges (a word such as REVERSE WITH CHARGES, or ``charge`` in cents) a
        second row of the same id. A payment that never was in the balance has no rows.
        """
        row = self._payments.get(payment_id)
        had = self._store.value(
            "SELECT sum(amount) FROM entry WHERE id=? AND type IN ('Payment',"
            " 'Reversal')",
            (payment_id,),
        )
        if not had or had <= 0:
            return
        if charge is None and "CHARGES" in word.upper():
            charge = money.cents(self._settings.reversal_charge)
        reference = row["reference"]
        with self._store.transaction():
            self._add(row["id"], -had, "Payment reversed", "Reversal", reference)
            if charge:
                text = "Charges for reversal"
                self._add(row["id"], -charge, text, "Fee", reference)

    def withdraw(self, amount, rail="ACH"):
        """Send money to the merchant's own bank; the row, or SandboxError."""
        amount = self._amount(amount)
        if rail not in ("ACH", "RTGS"):
            raise SandboxError(f"Money is withdrawn by ACH or RTGS, not {rail!r}.")
        with self._store.transaction():
            if amount > self.balance():
                raise SandboxError(
                    f"There are only {money.spoken(self.balance())} TZS to withdraw."
                )
            name = f"WD{_code(8)}"
            return self._add(name, -amount, f"Withdraw to bank ({rail})", "Withdraw")

    def deposit(self, amount):
        """Put the merchant's own money in; the row, or SandboxError."""
        amount = self._amount(amount)
        return self._add(f"DEP{_code(8)}", amount, "Deposit from bank", "Deposit")

    def enter(self, amount, description, entry_id=None, kind="", reference=""):
        """Write a row of any kind, signed (TZS); for what nobody has foreseen."""
        try:
            amount = money.parse(amount)
        except ValueError:
            raise SandboxError(f"{amount!r} is no amount in TZS.") from None
        entry_id = entry_id or f"TX{_code(8)}"
        return self._add(entry_id, amount, description, kind, reference)

    def _amount(self, amount):
        try:
            cents = money.parse(amount)
        except ValueError:
            cents = 0
        if cents <= 0:
            raise SandboxError(f"{amount!r} is no amount in TZS.")
        return cents

    def _add(self, entry_id, amount, description, kind, reference=""):
        now = self._clock.now()
        values = (
            *(entry_id, amount, description, kind, reference or None),
            *(now, now + self._settings.statement_late),
        )
        with self._store.transaction() as db:
            cursor = db.execute(
                "INSERT INTO entry (id, amount, description, type, reference, at,"
                " visible_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        row = self._store.one("SELECT * FROM entry WHERE seq=?", (cursor.lastrowid,))
        return {
            "id": row["id"],
            "amount": money.number(row["amount"]),
            "description": row["description"],
            "type": row["type"],
            "at": iso(row["at"]),
        }

    def balance(self):
        """Cents there are now, rows that the statement does not show yet included."""
        return self._store.value("SELECT coalesce(sum(amount), 0) FROM entry")

    def latest(self, limit):
        """Newest rows, for the page."""
        rows = self._store.all(
            "SELECT * FROM entry ORDER BY seq DESC LIMIT ?", (limit,)
        )
        return [
            {**row, "amount": money.number(row["amount"]), "at": iso(row["at"])}
            for row in rows
        ]

    # Statement -------------------------------------------------------------

    def statement(self, values, hits=()):
        """The answer for query parameters, or ApiError 400.

        ``hits`` are the faults that strike this answer.
        """
        messages = [
            f"property {name} should not exist"
            for name in values
            if name not in PARAMETERS
        ]
        currency = values.get("currency") or ""
        if currency not in ("TZS", "USD"):
            messages.append("currency must be one of the following values: TZS, USD")
        begin, end = 0, self._clock.now() + 1
        if values.get("startDate"):
            begin = _day("startDate", values["startDate"], self._settings, messages)
        if values.get("endDate"):
            last = _day("endDate", values["endDate"], self._settings, messages)
            end = None if last is None else last + 86400
        if messages:
            raise ApiError(400, messages)
        now = self._clock.now()
        rows = self._store.all(
            "SELECT * FROM entry WHERE at<? AND visible_at<=? ORDER BY at, seq",
            (end, now),
        )
        if currency != CURRENCY:
            rows = []
        opening = sum(row["amount"] for row in rows if row["at"] < begin)
        rows = [row for row in rows if row["at"] >= begin]
        balance, shown = opening, []
        for row in rows:
            balance += row["amount"]
            shown.append(self._shown(row, balance))
        details = {
            "currency": currency,
            "openingBalance": opening,
            "closingBalance": balance,
            "totalCredits": sum(r["amount"] for r in rows if r["amount"] > 0),
            "totalDebits": -sum(r["amount"] for r in rows if r["amount"] < 0),
        }
        for name in list(details)[1:]:
            details[name] = self._number(details[name])
        self._spoil(details, shown, hits)
        return {"accountDetails": details, "transactions": shown}

    def _number(self, cents):
        number = money.number(cents)
        return number if self._settings.statement_amounts == "number" else str(number)

    def _shown(self, row, balance):
        moment = iso(row["at"])
        if self._settings.statement_dates == "day":
            zone = timedelta(hours=self._settings.filter_utc_offset_hours)
            year, month, day = iso(row["at"] + zone.total_seconds())[:10].split("-")
            moment = f"{day}-{month}-{year}"
        shown = {
            "id": row["id"],
            "date": moment,
            "description": row["description"],
            "entry": "Credit" if row["amount"] > 0 else "Debit",
            "amount": self._number(abs(row["amount"])),
            "currency": CURRENCY,
            "balance": self._number(balance),
            "orderReference": row["reference"] or "",
            "type": row["type"],
        }
        if self._settings.statement_form == "reduced":
            for name in ("entry", "currency", "type"):
                del shown[name]
        return shown

    def _spoil(self, details, rows, hits):
        """Let an answer be as wrong as the faults want it."""
        if "half_statement" in hits:
            del rows[(len(rows) + 1) // 2 :]
        if "lost_row" in hits and rows:
            del rows[len(rows) // 2]
        if "unordered_rows" in hits:
            random.Random(0).shuffle(rows)
        if "wrong_balance" in hits and rows:
            rows[len(rows) // 2]["balance"] = 7
        if "foreign_currency" in hits:
            details["currency"] = "USD"
        if "old_row" in hits and rows:
            rows[0]["date"] = "2016-05-01T09:00:00.000Z"
        if "no_details" in hits:
            details.clear()
