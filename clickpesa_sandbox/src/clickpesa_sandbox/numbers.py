# SPDX-License-Identifier: LGPL-3.0-or-later
"""Control numbers: creation, change, and what an API caller sees of them.

Rules from the ClickPesa API docs, BillPay pages (create order/customer control number,
bulk create, update, query details). Where those are silent the README of this package
names the choice made here.
"""

import re
import secrets

from . import money
from .errors import ApiError

FLEXIBLE = "ALLOW_PARTIAL_AND_OVER_PAYMENT"
EXACT = "EXACT"
MODES = (FLEXIBLE, EXACT)
STATUSES = ("ACTIVE", "INACTIVE")
BULK_LIMIT = 50
REFERENCE_LENGTH = 20
DESCRIPTION_LENGTH = 500

_COMMON = (
    "billReference",
    "billAmount",
    "billPaymentMode",
    "billDescription",
    "billMaxCollectionAmount",
)
MEMBERS = {
    "order": _COMMON,
    "customer": (*_COMMON, "customerName", "customerPhone", "customerEmail"),
}
CHANGES = (
    "billStatus",
    "billAmount",
    "billDescription",
    "billPaymentMode",
    "billMaxCollectionAmount",
)
_REFERENCE = re.compile(r"[A-Za-z0-9]+\Z")
_PHONE = re.compile(r"255[0-9]{9}\Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+\Z")


def state(row):
    """ACTIVE, INACTIVE or CLOSED; the API itself shows none of them."""
    return "CLOSED" if row["closed"] else row["status"]


def view(row):
    """The API's answer for a number (amounts in TZS, absent values null)."""
    answer = {
        "billPayNumber": row["number"],
        "billDescription": row["description"],
        "billAmount": money.number(row["amount"]),
        "billPaymentMode": row["mode"],
    }
    if row["kind"] == "customer":
        answer["billCustomerName"] = row["customer_name"]
    if row["max_amount"] is not None:
        answer["billMaxCollectionAmount"] = money.number(row["max_amount"])
    return answer


def _amount(values, name, messages, minimum_text):
    """Cents of an optional amount; complaints go to ``messages``."""
    value = values.get(name)
    if value is None:
        return None
    try:
        amount = money.cents(value)
    except ValueError:
        messages.append(
            f"{name} must be a number conforming to the specified constraints"
        )
        return None
    if amount <= 0:
        messages.append(f"{name} {minimum_text}")
    return amount


def _text(values, name, messages, longest=None):
    value = values.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        messages.append(f"{name} must be a string")
        return None
    if longest and len(value) > longest:
        messages.append(f"{name} must be shorter than or equal to {longest} characters")
    return value


def _choice(values, name, choices, messages):
    value = values.get(name)
    if value is not None and value not in choices:
        messages.append(
            f"{name} must be one of the following values: {', '.join(choices)}"
        )
        return None
    return value


def check_new(kind, values):
    """Columns for a new number of ``kind`` from request members, or ApiError."""
    if not isinstance(values, dict):
        raise ApiError(400, ["each control number must be an object"])
    messages = [
        f"property {name} should not exist"
        for name in values
        if name not in MEMBERS[kind]
    ]
    reference = _text(values, "billReference", messages)
    columns = {
        "kind": kind,
        "number": reference,
        "amount": _amount(values, "billAmount", messages, "must be a positive number"),
        "max_amount": _amount(
            values, "billMaxCollectionAmount", messages, "must be a positive number"
        ),
        "mode": _choice(values, "billPaymentMode", MODES, messages),
        "description": _text(values, "billDescription", messages),
        "customer_name": None,
        "customer_phone": None,
        "customer_email": None,
    }
    if kind == "customer":
        _check_customer(values, columns, messages)
    if (
        columns["max_amount"] is not None
        and columns["amount"] is not None
        and columns["max_amount"] < columns["amount"]
    ):
        messages.append(
            "billMaxCollectionAmount must be greater than or equal to billAmount"
        )
    if messages:
        raise ApiError(400, messages)
    if reference is not None:
        check_reference(reference)
    # The mode counts only together with an amount; a maximum forces the flexible one.
    if columns["amount"] is None or columns["max_amount"] is not None:
        columns["mode"] = FLEXIBLE
    columns["mode"] = columns["mode"] or FLEXIBLE
    return columns


def _check_customer(values, columns, messages):
    name = _text(values, "customerName", messages)
    if name is None or not name.strip():
        if not messages or "customerName" not in messages[-1]:
            messages.append("customerName should not be empty")
    phone = _text(values, "customerPhone", messages)
    if phone is not None and not _PHONE.match(phone):
        messages.append(
            "customerPhone must be a valid phone number with country code"
            " (255XXXXXXXXX)"
        )
    email = _text(values, "customerEmail", messages)
    if email is not None and not _EMAIL.match(email):
        messages.append("customerEmail must be an email")
    if values.get("customerPhone") is None and values.get("customerEmail") is None:
        messages.append("customerPhone or customerEmail is required")
    columns.update(customer_name=name, customer_phone=phone, customer_email=email)


def check_reference(reference):
    """ApiError 400 in the words of the sibling API (USSD push, order reference)."""
    if not _REFERENCE.match(reference):
        raise ApiError(
            400,
            "Invalid Order Reference, should only contain alphanumeric characters"
            " and cannot be blank",
        )
    if len(reference) > REFERENCE_LENGTH:
        raise ApiError(
            400,
            "Order Reference should be less than or equal to"
            f" {REFERENCE_LENGTH} characters",
        )


class Numbers:
    """Numbers in a store."""

    def __init__(self, store, clock, settings):
        self._store = store
        self._clock = clock
        self._settings = settings

    def find(self, number):
        """Row of a number (any case), or None."""
        return self._store.one(
            "SELECT * FROM number WHERE key=?", (str(number).upper(),)
        )

    def get(self, number):
        """Row of a number made by API, or ApiError 404."""
        row = self.find(number)
        if row is None or row["origin"] != "api":
            raise ApiError(404, f"BillPay number {number} not found")
        return row

    def create(self, kind, values):
        """Row of the new number, or ApiError 400 / 409."""
        columns = check_new(kind, values)
        return self.insert(columns, origin="api")

    def insert(self, columns, origin):
        now = self._clock.now()
        columns = columns | {
            "origin": origin,
            "status": "ACTIVE",
            "created_at": now,
            "updated_at": now,
        }
        with self._store.transaction() as db:
            if columns["number"] is None:
                columns["number"] = self._generate()
            columns["key"] = columns["number"].upper()
            names = ", ".join(columns)
            marks = ", ".join("?" for _ in columns)
            # The unique key decides, not a look beforehand: two callers at the same
            # moment never both get the reference.
            inserted = db.execute(
                f"INSERT INTO number ({names}) VALUES ({marks})"
                " ON CONFLICT (key) DO NOTHING",
                tuple(columns.values()),
            )
            if inserted.rowcount != 1:
                raise ApiError(
                    409,
                    f"Order reference {columns['number']} already used:"
                    " Create a different reference",
                )
        return self.find(columns["number"])

    def _generate(self):
        """14 digits nobody uses yet, like the sample in the docs."""
        while True:
            number = "55" + "".join(secrets.choice("0123456789") for _ in range(12))
            if self.find(number) is None:
                return number

    def bulk(self, kind, body):
        """Answer of a bulk creation: good items are made, bad ones are listed."""
        items = body.get("controlNumbers")
        extra = [name for name in body if name != "controlNumbers"]
        messages = [f"property {name} should not exist" for name in extra]
        if not isinstance(items, list):
            messages.append("controlNumbers must be an array")
        elif not items:
            messages.append("controlNumbers must contain at least 1 elements")
        elif len(items) > BULK_LIMIT:
            messages.append(
                f"controlNumbers must contain no more than {BULK_LIMIT} elements"
            )
        if messages:
            raise ApiError(400, messages)
        made, errors = [], []
        with self._store.transaction():
            for index, values in enumerate(items):
                try:
                    made.append(self.create(kind, values)["number"])
                except ApiError as error:
                    errors.append({"index": index, "reason": error.reason})
        answer = {"billPayNumbers": made, "created": len(made), "failed": len(errors)}
        if errors:
            answer["errors"] = errors
        return answer

    def change(self, number, values):
        """Answer of a PATCH: the number and the members that were sent."""
        with self._store.transaction():
            row = self.get(number)
            columns = self._check_change(row, values)
            self._write(row, columns)
            fresh = self.find(number)
        shown = view(fresh) | {"billStatus": fresh["status"]}
        shown.setdefault("billMaxCollectionAmount", None)
        sent = [name for name in CHANGES if values.get(name) is not None]
        return {"billPayNumber": fresh["number"]} | {n: shown[n] for n in sent}

    def _check_change(self, row, values):
        messages = [
            f"property {name} should not exist"
            for name in values
            if name not in CHANGES
        ]
        least = "must not be less than 0.01"
        columns = {
            "status": _choice(values, "billStatus", STATUSES, messages),
            "amount": _amount(values, "billAmount", messages, least),
            "max_amount": _amount(values, "billMaxCollectionAmount", messages, least),
            "mode": _choice(values, "billPaymentMode", MODES, messages),
            "description": _text(
                values, "billDescription", messages, DESCRIPTION_LENGTH
            ),
        }
        columns = {name: value for name, value in columns.items() if value is not None}
        if not columns and not messages:
            messages.append("At least one field must be provided to update")
        after = row | columns
        if "max_amount" in columns and after["mode"] == EXACT:
            messages.append(
                "billMaxCollectionAmount can only be used with"
                " ALLOW_PARTIAL_AND_OVER_PAYMENT"
            )
        elif (
            "max_amount" in columns
            and after["amount"] is not None
            and columns["max_amount"] < after["amount"]
        ):
            messages.append(
                "billMaxCollectionAmount must be greater than or equal to billAmount"
            )
        if messages:
            raise ApiError(400, messages)
        if columns.get("mode") == EXACT:
            if after["amount"] is None:
                # The mode counts only together with an amount.
                columns["mode"] = FLEXIBLE
            columns["max_amount"] = None
        return columns

    def _write(self, row, columns):
        if row["closed"] and self._settings.closed_patch == "refuse":
            raise ApiError(400, f"BillPay number {row['number']} is already fulfilled")
        columns["closed"] = self._closed_after(row, columns)
        columns["updated_at"] = self._clock.now()
        assignments = ", ".join(f"{name}=?" for name in columns)
        with self._store.transaction() as db:
            db.execute(
                f"UPDATE number SET {assignments} WHERE key=?",
                (*columns.values(), row["key"]),
            )

    def _closed_after(self, row, columns):
        if "max_amount" in columns and columns["max_amount"] is not None:
            # The remaining part is recomputed from what was paid already.
            return int(row["paid"] >= columns["max_amount"])
        if row["closed"] and columns.get("status") == "ACTIVE":
            return int(self._settings.closed_patch != "reopen")
        return row["closed"]

    def change_status(self, values):
        """Answer of the deprecated PUT update-status: the same two members."""
        messages = [
            f"property {name} should not exist"
            for name in values
            if name not in ("billPayNumber", "status")
        ]
        number = _text(values, "billPayNumber", messages)
        if not number:
            messages.append("billPayNumber should not be empty")
        if values.get("status") not in STATUSES:
            messages.append(
                f"status must be one of the following values: {', '.join(STATUSES)}"
            )
        if messages:
            raise ApiError(400, messages)
        with self._store.transaction():
            row = self.get(number)
            self._write(row, {"status": values["status"]})
        return {"billPayNumber": row["number"], "status": values["status"]}

    def record(self, row):
        """A number with all the simulator knows of it, for tests and the page."""
        from .clock import iso

        return {
            "number": row["number"],
            "kind": row["kind"],
            "origin": row["origin"],
            "state": state(row),
            "status": row["status"],
            "mode": row["mode"],
            "amount": money.number(row["amount"]),
            "max_amount": money.number(row["max_amount"]),
            "description": row["description"],
            "customer_name": row["customer_name"],
            "customer_phone": row["customer_phone"],
            "customer_email": row["customer_email"],
            "paid": money.number(row["paid"]),
            "payments": row["payments"],
            "created_at": iso(row["created_at"]),
            "updated_at": iso(row["updated_at"]),
        }
