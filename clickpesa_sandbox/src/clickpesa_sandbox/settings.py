# SPDX-License-Identifier: LGPL-3.0-or-later
"""How this simulated ClickPesa is set up.

Attributes of ``Settings`` are checked when set and kept in the store, so that a
restart with ``--state`` finds them again.
"""

import json
import re
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from .errors import SandboxError

#: Limits per channel in TZS (ClickPesa tariff of September 2026: mobile money
#: 500 to 5,000,000, CRDB 1,000 to 100,000,000). Other channels have none.
CHANNEL_LIMITS = {
    "M-PESA": [500, 5_000_000],
    "TIGO-PESA": [500, 5_000_000],
    "AIRTEL-MONEY": [500, 5_000_000],
    "HALOPESA": [500, 5_000_000],
    "CRDB COLLECTION": [1_000, 100_000_000],
}


#: Delays beyond a year (seconds) are mistakes.
LONGEST = 366 * 86400


@dataclass(frozen=True)
class Field:
    default: Any
    help: str
    choices: tuple = ()

    def check(self, name, value):
        """``value`` in the type of the default; SandboxError says what is wrong."""
        try:
            value = self._convert(name, value)
        except (TypeError, ValueError, OverflowError) as error:
            raise SandboxError(f"{name} cannot be {value!r}: {self.help}") from error
        if self.choices and value not in self.choices:
            words = ", ".join(str(choice) for choice in self.choices)
            raise SandboxError(f"{name} is one of {words}, not {value!r}.")
        if name == "billpay_namba" and not re.fullmatch("[0-9]{4}", value):
            raise SandboxError(f"billpay_namba is four digits, not {value!r}.")
        if name == "webhook_url" and value and not re.match("https?://", value):
            raise SandboxError(
                f"webhook_url starts with http:// or https://, not {value!r}."
            )
        return value

    def _convert(self, name, value):
        """``value`` as the type of the default, ValueError if that cannot be."""
        kind = type(self.default)
        if kind is bool:
            if isinstance(value, str):
                value = value.strip().lower() in ("1", "true", "yes", "on")
            return bool(value)
        if kind is str:
            return ("" if value is None else _text(value)).strip()
        if kind is list:
            if isinstance(value, str):
                value = value.replace(",", " ").split()
            return [_within(float(item), 0, LONGEST) for item in value]
        if kind is dict:
            value = json.loads(value) if isinstance(value, str) else value
            return {
                str(channel): self._channel(item)
                for channel, item in dict(value).items()
            }
        if name == "filter_utc_offset_hours":
            return _within(kind(value), -24, 24)
        return _within(kind(value), 0, 2**53)

    def _channel(self, item):
        """A channel's two limits (TZS), or its percentage; ValueError otherwise."""
        if self.default is CHANNEL_LIMITS:
            least, most = (int(limit) for limit in item)
            return [_within(least, 0, most), most]
        return _within(float(item), 0, 100)


def _text(value):
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _within(value, least, most):
    # Written so that "not a number" is outside.
    if not least <= value <= most:
        raise ValueError("out of range")
    return value


FIELDS = {
    # Who may call.
    "client_id": Field("IDsandbox", "Client ID of the application."),
    "api_key": Field("SKsandbox", "API key of the application."),
    "api_key_state": Field(
        "valid",
        "What the token call says of the right key.",
        ("valid", "expired", "unauthorized"),
    ),
    "checksum_key": Field(
        "",
        "Empty: checksum is off. Set: every POST, PUT and PATCH body must carry a "
        "checksum and webhooks are signed.",
    ),
    "billpay_namba": Field("1122", "BillPay-Namba of the merchant."),
    "merchant_name": Field("Sandbox Merchant", "What a payer sees on the handset."),
    "token_lifetime": Field(3600.0, "Seconds a token is valid."),
    "billpay_enabled": Field(
        True, "Off: the application lacks the BillPay feature, calls answer 400."
    ),
    "created_status": Field(200, "HTTP status of a successful creation.", (200, 201)),
    # Webhooks.
    "webhook_url": Field("", "Where webhooks are sent; empty: nowhere."),
    "webhooks_enabled": Field(True, "Off: nothing is sent, the log keeps it back."),
    "webhook_timeout": Field(10.0, "Seconds to wait for the receiver."),
    "webhook_retry_delays": Field(
        [1.0, 2.0, 5.0, 15.0, 60.0],
        "Seconds before the second, third, … attempt. The vendor's policy is not "
        "published.",
    ),
    "webhook_form": Field(
        "current",
        "current; old (eventType, paymentId, amount, customer.name); flat (no data).",
        ("current", "old", "flat"),
    ),
    "webhook_amounts": Field(
        "string",
        'How amounts are written: "10000", 10000 or "10000.00".',
        ("string", "number", "decimal"),
    ),
    "webhook_signature": Field(
        "body",
        "Where the signature travels when a checksum key is set.",
        ("body", "header", "both", "none"),
    ),
    # Numbers and payments.
    "offline_numbers": Field(
        True, "BillPay-Namba + digits can be paid once without being created."
    ),
    "closed_patch": Field(
        "keep",
        "What a PATCH or PUT does to a fulfilled number: keep it closed but answer "
        "200, refuse with 400, or reopen it when set ACTIVE.",
        ("keep", "refuse", "reopen"),
    ),
    "suffix_references": Field(
        "off",
        "orderReference with a suffix (NUMBER-1234): off, repeat (from the second "
        "payment of a number on) or always.",
        ("off", "repeat", "always"),
    ),
    "query_amounts": Field(
        "number", "collectedAmount in queries.", ("number", "string")
    ),
    "max_page_size": Field(
        0, "Largest limit of payments/all; more is cut silently. 0: any."
    ),
    "payments_order": Field(
        "asked",
        "How payments/all heeds sortBy and orderBy: as asked; created (sortBy is "
        "ignored); oldest_first (both are); out_of_place (the last row stands second); "
        "shuffled; refused (400 for sortBy other than createdAt).",
        ("asked", "created", "oldest_first", "out_of_place", "shuffled", "refused"),
    ),
    "query_updated_at": Field(True, "Off: payments in queries have no updatedAt."),
    "filter_utc_offset_hours": Field(
        0.0, "Zone of startDate and endDate in hours east of UTC (Dar es Salaam: 3)."
    ),
    "settle_after": Field(
        0.0, "Seconds until SUCCESS becomes SETTLED by itself; 0: by hand."
    ),
    "channel_fee_percent": Field(0.0, "Merchant's fee on every channel, percent."),
    "channel_fees": Field({}, "Fee per channel, percent; overrides the general one."),
    "collected_is_net": Field(False, "collectedAmount is what is left after the fee."),
    "statement_fees": Field(
        "rows",
        "How the account statement shows fees: rows of their own, with the payment's "
        "id; netted out of the credit; none (nothing is kept back).",
        ("rows", "netted", "none"),
    ),
    "statement_form": Field(
        "full",
        "full; reduced (rows without entry, currency and type, as in the newest docs).",
        ("full", "reduced"),
    ),
    "statement_dates": Field(
        "moment",
        "Dates of the statement's rows: moment (ISO, UTC) or day (DD-MM-YYYY).",
        ("moment", "day"),
    ),
    "statement_amounts": Field(
        "number", "Amounts in the statement.", ("number", "string")
    ),
    "statement_late": Field(
        0.0, "Seconds after which the statement shows a new row, at its old date."
    ),
    "reversal_charge": Field(
        1000.0, "What a reversal with charges costs the merchant, TZS."
    ),
    "channel_limits": Field(
        CHANNEL_LIMITS, "Smallest and largest payment per channel, TZS."
    ),
}

#: Changing one of these makes existing tokens worthless (ClickPesa API docs, checksum
#: page: a fresh token is required after the checksum was switched).
TOKEN_SETTINGS = ("client_id", "api_key", "api_key_state")


class Settings:
    """Attribute access to FIELDS. ``on_change(name, old, new)`` hears of changes."""

    def __init__(self, store, on_change=None):
        # Copies: lists and dicts handed out must not change the defaults.
        values = {name: deepcopy(field.default) for name, field in FIELDS.items()}
        saved = {n: v for n, v in store.load_settings().items() if n in FIELDS}
        self.__dict__["_values"] = values | saved
        self.__dict__["_store"] = store
        self.__dict__["_on_change"] = on_change

    def __getattr__(self, name):
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"There is no setting {name}.") from None

    def __setattr__(self, name, value):
        self.update({name: value})

    def update(self, values):
        """Set several; nothing is set if one of them is wrong (SandboxError)."""
        checked = {}
        for name, value in values.items():
            if name not in FIELDS:
                raise SandboxError(f"There is no setting {name!r}.")
            if name == "suffix_references" and isinstance(value, bool):
                value = "always" if value else "off"
            checked[name] = FIELDS[name].check(name, value)
        for name, value in checked.items():
            old = self._values[name]
            if value == old:
                continue
            self._values[name] = value
            self._store.save_setting(name, value)
            if self._on_change:
                self._on_change(name, old, value)

    def as_dict(self):
        return deepcopy(self._values)
