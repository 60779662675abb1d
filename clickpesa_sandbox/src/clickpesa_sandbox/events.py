# SPDX-License-Identifier: LGPL-3.0-or-later
"""Bodies of webhooks (ClickPesa API docs, webhooks page) and their older forms."""

import json

from . import money
from .checksum import sign
from .clock import iso
from .errors import SandboxError

RECEIVED = "PAYMENT RECEIVED"
FAILED = "PAYMENT FAILED"
FORMS = ("current", "old", "flat")
AMOUNTS = {
    "string": money.text,
    "number": money.number,
    "decimal": money.decimal_text,
}
WRONG_KEY = "this is not the key of the application"


def payment_data(row, event, amounts="string"):
    """The ``data`` member for a payment row in today's form."""
    if amounts not in AMOUNTS:
        raise SandboxError(f"amounts is one of {', '.join(AMOUNTS)}.")
    if event == FAILED:
        data = {
            "id": row["id"],
            "status": row["status"],
            "channel": row["channel"],
            "orderReference": row["reference"],
            "message": row["message"],
            "createdAt": iso(row["created_at"]),
            "updatedAt": iso(row["updated_at"]),
        }
        if row["client_id"]:
            data["clientId"] = row["client_id"]
        return data
    return {
        "id": row["id"],
        "status": row["status"],
        "paymentReference": row["receipt"],
        "orderReference": row["reference"],
        "collectedAmount": AMOUNTS[amounts](row["collected"]),
        "collectedCurrency": row["currency"],
        "message": row["message"],
        "channel": row["channel"],
        "createdAt": iso(row["created_at"]),
        "updatedAt": iso(row["updated_at"]),
        "customer": {
            "customerName": row["payer_name"],
            "customerEmail": row["payer_email"],
            "customerPhoneNumber": row["phone"],
        },
    }


def shape(event, data, form="current"):
    """An unsigned body: current, old (2025 names) or flat (no ``data``)."""
    if form not in FORMS:
        raise SandboxError(f"form is one of {', '.join(FORMS)}.")
    if form == "current":
        return {"event": event, "data": data}
    renamed = {
        "id": "paymentId",
        "collectedAmount": "amount",
        "collectedCurrency": "currency",
        "transferType": "settlementType",
    }
    old = {renamed.get(name, name): value for name, value in data.items()}
    if isinstance(old.get("customer"), dict):
        old["customer"] = {
            "name": old["customer"].get("customerName"),
            "email": old["customer"].get("customerEmail"),
            "phone": old["customer"].get("customerPhoneNumber"),
        }
    if form == "old":
        return {"eventType": event, "data": old}
    return {"event": event} | data


def signed(body, key, place="body", wrong=False):
    """``(body, headers)`` with the signature in ``place``: body, header, both, none."""
    headers = {}
    if key and place != "none":
        signature = sign(WRONG_KEY if wrong else key, body)
        if place in ("header", "both"):
            headers["X-ClickPesa-Signature"] = signature
        if place in ("body", "both"):
            body = body | {"checksum": signature}
    return body, headers


def encode(body):
    """The bytes that travel: compact JSON, raw UTF-8, members in their own order."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8")


#: Data of events that no payment row stands behind (ClickPesa API docs, webhooks).
SAMPLES = {
    "DEPOSIT RECEIVED": {
        "id": "DEP17C9LPL",
        "status": "SUCCESS",
        "paymentReference": "DEPRCPT1",
        "depositAmount": "2000",
        "depositCurrency": "TZS",
        "channel": "CRDB COLLECTION",
    },
    "PAYOUT INITIATED": {
        "id": "PAY17072CD",
        "orderReference": "PAYOUT1",
        "amount": "20000.00",
        "currency": "TZS",
        "fee": "2360.00",
        "status": "SUCCESS",
        "channel": "BANK TRANSFER",
        "channelProvider": "CRDB BANK",
        "transferType": "ACH",
        "notes": "",
        "beneficiary": {
            "accountNumber": "0150000000000",
            "accountName": "ASHA JUMA",
            "swiftNumber": "CORUTZTZ",
            "beneficiaryMobileNumber": "255712345678",
        },
    },
}
SAMPLES["PAYOUT REFUNDED"] = SAMPLES["PAYOUT INITIATED"] | {"status": "REFUNDED"}
SAMPLES["PAYOUT REVERSED"] = SAMPLES["PAYOUT INITIATED"] | {"status": "REVERSED"}


def sample(event, moment):
    """``data`` for an event without a payment, or SandboxError."""
    if event not in SAMPLES:
        raise SandboxError(
            f"There is no sample of {event!r}; there are {', '.join(SAMPLES)}."
        )
    data = SAMPLES[event] | {"createdAt": moment, "updatedAt": moment}
    if event == "PAYOUT REFUNDED":
        data["refund"] = {"message": "Refunded", "refundedAt": moment}
    if event == "PAYOUT REVERSED":
        data["reverse"] = {
            "message": "Reversed by the provider",
            "reversedAt": moment,
            "reversedWithFee": True,
        }
    return data
