# SPDX-License-Identifier: LGPL-3.0-or-later
"""Payments: the payer's two steps (verify, confirm) and the query API.

Facts from the ClickPesa API docs, pages "query payment", "query all payments" and
"payment status"; the payer's refusals follow the BillPay-Namba pages.
"""

import random
import re
import secrets
import string

from . import money
from .clock import iso
from .errors import PaymentRefused, SandboxError
from .numbers import EXACT, FLEXIBLE, state

STATUSES = (
    "SUCCESS",
    "SETTLED",
    "PROCESSING",
    "PENDING",
    "FAILED",
    "ON-HOLD",
    "REFUNDED",
    "REVERSED",
)
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
#: Longest offline number: BillPay-Namba plus reference.
OFFLINE_LENGTH = 20


def _code(length):
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def phone_digits(phone):
    """``255712345678`` of what a person types (``+255…``, ``0712…``)."""
    digits = re.sub(r"[\s+()-]", "", str(phone))
    if re.fullmatch(r"0[0-9]{9}", digits):
        digits = "255" + digits[1:]
    if not re.fullmatch(r"[0-9]{9,15}", digits):
        raise PaymentRefused(
            "bad_phone", f"{phone!r} is no phone number; write it like 255712345678."
        )
    return digits


class Payments:
    """Payments in a store."""

    def __init__(self, store, clock, settings, numbers):
        self._store = store
        self._clock = clock
        self._settings = settings
        self._numbers = numbers

    # The payer's side ------------------------------------------------------

    def verify(self, number):
        """First step of a payment: the row of a payable number, or PaymentRefused.

        An unknown number that starts with the BillPay-Namba is an offline number; its
        row is made up (``seq`` None) until money comes.
        """
        number = re.sub(r"\s", "", str(number))
        row = self._numbers.find(number)
        if row is None:
            row = self._offline(number)
        if row is None:
            raise PaymentRefused("unknown", f"There is no control number {number}.")
        if state(row) == "CLOSED":
            raise PaymentRefused("closed", f"Control number {number} was paid already.")
        if state(row) == "INACTIVE":
            raise PaymentRefused("inactive", f"Control number {number} is not active.")
        return row

    def _offline(self, number):
        namba = self._settings.billpay_namba
        if not (
            self._settings.offline_numbers
            and number.isascii()
            and number.isdigit()
            and number.startswith(namba)
            and len(namba) < len(number) <= OFFLINE_LENGTH
        ):
            return None
        return {
            "seq": None,
            "number": number,
            "kind": "order",
            "origin": "offline",
            "status": "ACTIVE",
            "closed": 0,
            "amount": None,
            "max_amount": None,
            "mode": FLEXIBLE,
            "description": None,
            "customer_name": None,
            "paid": 0,
            "payments": 0,
        }

    def check_amount(self, row, amount, channel):
        """PaymentRefused unless ``amount`` (cents) may be paid on ``row``."""
        if amount <= 0:
            raise PaymentRefused("bad_amount", "The amount must be more than zero.")
        if row["mode"] == EXACT and row["amount"] is not None:
            if amount != row["amount"]:
                raise PaymentRefused(
                    "not_exact",
                    f"Exactly {money.spoken(row['amount'])} TZS must be paid on"
                    f" {row['number']}, not {money.spoken(amount)}.",
                )
        if row["max_amount"] is not None and amount > row["max_amount"] - row["paid"]:
            raise PaymentRefused(
                "over_maximum",
                f"{row['number']} takes only"
                f" {money.spoken(row['max_amount'] - row['paid'])} TZS more.",
            )
        limits = self._settings.channel_limits.get(channel)
        if limits and not limits[0] * 100 <= amount <= limits[1] * 100:
            raise PaymentRefused(
                "channel_limit",
                f"{channel} takes {limits[0]:,} to {limits[1]:,} TZS per payment,"
                f" not {money.spoken(amount)}.",
            )

    def confirm(self, number, amount, channel, phone, name, suffixed=False):
        """Second step: the row of the new payment, or PaymentRefused.

        The number is checked again here: a number deactivated between the steps takes
        no money (ClickPesa API docs, update BillPay reference).
        """
        try:
            amount = money.parse(amount)
        except ValueError:
            raise PaymentRefused(
                "bad_amount", f"{amount!r} is no amount in TZS."
            ) from None
        phone = phone_digits(phone)
        channel = str(channel or "").strip()
        if not channel:
            raise SandboxError("Choose the channel the money comes through.")
        with self._store.transaction() as db:
            row = self.verify(number)
            self.check_amount(row, amount, channel)
            if row["seq"] is None:
                row = self._numbers.insert(
                    {
                        "kind": "order",
                        "number": row["number"],
                        "mode": FLEXIBLE,
                    },
                    origin="offline",
                )
            paid = row["paid"] + amount
            if row["max_amount"] is not None:
                closed = paid >= row["max_amount"]
            else:
                closed = row["kind"] == "order"
            db.execute(
                "UPDATE number SET paid=?, payments=payments+1, closed=? WHERE key=?",
                (paid, int(closed), row["key"]),
            )
            return self._insert(row, amount, channel, phone, name, suffixed)

    def fail(self, number, amount, channel, phone, name, message):
        """Row of a payment that did not work; the number stays payable."""
        row = self.verify(number)
        return self._insert(
            row,
            money.parse(amount),
            channel,
            phone_digits(phone),
            name,
            False,
            "FAILED",
            message,
        )

    def _insert(
        self,
        number,
        amount,
        channel,
        phone,
        name,
        suffixed,
        status="SUCCESS",
        message="Payment received",
    ):
        now = self._clock.now()
        wanted = self._settings.suffix_references
        repeated = number["payments"] > 0
        reference = number["number"]
        if suffixed or wanted == "always" or (wanted == "repeat" and repeated):
            reference += f"-{random.randint(1000, 9999)}"
        percent = self._settings.channel_fees.get(
            channel, self._settings.channel_fee_percent
        )
        fee = round(amount * float(percent) / 100)
        net = self._settings.collected_is_net
        columns = {
            "id": f"{number['number']}LCP{_code(8)}",
            "number": number["number"],
            "reference": reference,
            "reference_key": reference.upper(),
            "status": status,
            # As the operators' receipts: never of letters only.
            "receipt": _code(9) + secrets.choice(string.digits),
            "amount": amount,
            # Never below zero (ClickPesa API docs, webhooks page).
            "collected": max(amount - fee, 0) if net else amount,
            "fee": fee,
            "channel": channel,
            "phone": phone,
            "payer_name": name or None,
            "message": message,
            # No application is attached to an offline number.
            "client_id": (
                self._settings.client_id if number["origin"] == "api" else None
            ),
            "created_at": now,
            "updated_at": now,
        }
        names = ", ".join(columns)
        marks = ", ".join("?" for _ in columns)
        with self._store.transaction() as db:
            db.execute(
                f"INSERT INTO payment ({names}) VALUES ({marks})",
                tuple(columns.values()),
            )
        return self.get(columns["id"])

    # Afterwards ------------------------------------------------------------

    def get(self, payment_id):
        """Row of a payment, or SandboxError."""
        row = self._store.one("SELECT * FROM payment WHERE id=?", (payment_id,))
        if row is None:
            raise SandboxError(f"There is no payment {payment_id}.")
        return row

    def settle(self, payment_id=None, before=None):
        """SUCCESS becomes SETTLED; ids of the payments that moved.

        Without an id all of them; ``before`` limits to those created until then.
        """
        if payment_id is not None:
            self.get(payment_id)
        with self._store.transaction() as db:
            rows = db.execute(
                "SELECT id FROM payment WHERE status='SUCCESS'"
                " AND (? IS NULL OR id=?) AND (? IS NULL OR created_at<=?)",
                (payment_id, payment_id, before, before),
            ).fetchall()
            now = self._clock.now()
            db.executemany(
                "UPDATE payment SET status='SETTLED', updated_at=? WHERE id=?",
                [(now, row["id"]) for row in rows],
            )
        return [row["id"] for row in rows]

    def set_status(self, payment_id, status):
        """Give a payment any status, also words ClickPesa does not document."""
        self.get(payment_id)
        if not isinstance(status, str) or not status.strip():
            raise SandboxError("A status is a word such as SETTLED or REVERSED.")
        with self._store.transaction() as db:
            db.execute(
                "UPDATE payment SET status=?, updated_at=? WHERE id=?",
                (status.strip(), self._clock.now(), payment_id),
            )
        return self.get(payment_id)

    def view(self, row):
        """A payment as the query API shows it."""
        amount = money.number(row["collected"])
        shown = {
            "id": row["id"],
            "status": row["status"],
            "paymentReference": row["receipt"],
            "paymentPhoneNumber": row["phone"],
            "orderReference": row["reference"],
            "collectedAmount": (
                str(amount) if self._settings.query_amounts == "string" else amount
            ),
            "collectedCurrency": row["currency"],
            "message": row["message"],
            "channel": row["channel"],
            "createdAt": iso(row["created_at"]),
            "updatedAt": iso(row["updated_at"]),
            "customer": {
                "customerName": row["payer_name"],
                "customerPhoneNumber": row["phone"],
                "customerEmail": row["payer_email"],
            },
        }
        if not self._settings.query_updated_at:
            del shown["updatedAt"]
        if row["client_id"]:
            shown["clientId"] = row["client_id"]
        return shown

    def record(self, row):
        """The API view plus ``number``, ``amount`` and ``fee`` (TZS)."""
        return self.view(row) | {
            "number": row["number"],
            "amount": money.number(row["amount"]),
            "fee": money.number(row["fee"]),
        }
