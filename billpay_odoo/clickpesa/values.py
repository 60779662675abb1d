# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Value objects that go to and come from the gateway. All are immutable."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

from .parsing import plain_decimal, read_amount, read_identity, read_text, read_time

EXACT = "exact"
FLEXIBLE = "flexible"

# ClickPesa API docs, order and customer BillPay-Namba pages.
MODE_WORDS = {EXACT: "EXACT", FLEXIBLE: "ALLOW_PARTIAL_AND_OVER_PAYMENT"}

_REFERENCE = re.compile(r"[A-Za-z0-9]*")

# === STATUS WORDS === #
# API docs, payment status: SUCCESS, SETTLED, FAILED, REFUNDED (before settlement),
# REVERSED (after it). The dashboard's help has REFUND, REVERSE, REVERSE WITH CHARGES
# and SETTLEMENT COMPLETED besides. Every other word is neither paid nor gone.

PAID, FAILED, TAKEN_BACK, UNKNOWN = "paid", "failed", "taken back", "unknown"

_BREAKS = re.compile(r"[\s_-]+")
_BACK = ("REVERS", "REFUND", "CHARGEBACK")
# A settlement that did not go through says nothing about the payer's money.
_UNSETTLED = re.compile(
    r"REVERS|REFUND|CHARGEBACK|FAIL|PEND|HOLD|CANCEL|REJECT|\bNOT\b"
)


def status_key(word):
    """Return a status in capitals, its words divided by one blank."""
    return _BREAKS.sub(" ", word or "").strip().upper()


@lru_cache(maxsize=256)
def status_kind(word):
    """Return what a status says of the money.

    ``PAID``: ClickPesa has it. ``FAILED``: it never came. ``TAKEN_BACK``: the payer has
    it again. ``UNKNOWN``: anything else, be it unfinished or not documented.
    """
    key = status_key(word)
    if key == "FAILED":
        return FAILED
    if key.startswith(_BACK):
        return TAKEN_BACK
    settled = key.startswith("SETTLE") and not _UNSETTLED.search(key)
    return PAID if settled or key == "SUCCESS" else UNKNOWN


@lru_cache(maxsize=256)
def is_paid(word):
    return status_kind(word) == PAID


@lru_cache(maxsize=256)
def is_gone(word):
    """Whether the money never came, or went back."""
    return status_kind(word) in (FAILED, TAKEN_BACK)


def has_charges(word):
    """Whether ClickPesa keeps charges for taking the money back."""
    return status_kind(word) == TAKEN_BACK and "CHARGES" in status_key(word).split()


def wire_amount(value):
    """Return an amount in TZS as it is sent: ``int`` when whole, else ``Decimal``.

    :raises ValueError: not a number, not above zero, or finer than 2 decimals
    """
    amount = None if isinstance(value, str) else read_amount(value)
    rounded = amount and amount.quantize(Decimal("0.01"))
    # Floats carry dust far below a cent; a real third decimal is a mistake.
    if not rounded or abs(rounded - amount) > Decimal("0.000001"):
        raise ValueError("An amount is above zero and has at most two decimals.")
    rounded = plain_decimal(rounded)
    return int(rounded) if rounded == rounded.to_integral_value() else rounded


def check_mode(mode):
    """Return ``mode`` if it is ``"exact"``, ``"flexible"`` or ``None``."""
    if mode is not None and mode not in MODE_WORDS:
        raise ValueError("A payment mode is 'exact' or 'flexible'.")
    return mode


@dataclass(frozen=True)
class NumberRequest:
    """A control number that is wanted.

    :param reference: letters and digits; becomes the number. Empty: the gateway
        picks one, and a lost answer can then not be read back.
    :param amount: TZS, above zero, at most two decimals; ``None`` for any amount
    :param mode: ``"exact"``, ``"flexible"`` or ``None`` (the gateway's default,
        flexible); only means something together with an amount
    :param max_amount: TZS the number may collect in total; not with ``"exact"``
    :raises ValueError: a field that cannot be right
    """

    reference: str
    amount: Decimal | int | None = None
    mode: str | None = None
    description: str = ""
    customer_name: str = field(default="", repr=False)
    customer_phone: str = field(default="", repr=False)
    customer_email: str = field(default="", repr=False)
    max_amount: Decimal | int | None = None

    def __post_init__(self):
        if not _REFERENCE.fullmatch(self.reference or ""):
            raise ValueError("A reference has only letters and digits.")
        check_mode(self.mode)
        for name in ("amount", "max_amount"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, wire_amount(getattr(self, name)))
        if self.max_amount is not None and self.mode == EXACT:
            raise ValueError("A number for one exact amount has no maximum.")


@dataclass(frozen=True)
class NumberReply:
    """What the gateway says about a number. Absent members: ``None`` or ``""``.

    The answer to an update may hold nothing but the changed members, see ``raw``.
    """

    number: str
    amount: Decimal | None
    mode: str | None
    description: str
    customer_name: str = field(repr=False)
    raw: dict = field(repr=False, compare=False)
    active: bool | None = None
    max_amount: Decimal | None = None

    @classmethod
    def parse(cls, data, number=""):
        """Read an answer; ``number`` is used when the answer names none."""
        words = {word: mode for mode, word in MODE_WORDS.items()}
        status = read_text(_first(data, "billStatus", "status"), 32).upper()
        return cls(
            number=read_identity(data.get("billPayNumber")) or number,
            amount=read_amount(data.get("billAmount")),
            mode=words.get(read_text(data.get("billPaymentMode"), 64).upper()),
            description=read_text(data.get("billDescription"), 500),
            customer_name=read_text(data.get("billCustomerName"), 256),
            raw=data,
            active={"ACTIVE": True, "INACTIVE": False}.get(status),
            max_amount=read_amount(data.get("billMaxCollectionAmount")),
        )


@dataclass(frozen=True)
class BulkReply:
    """Outcome of a bulk call: numbers made, and reasons by 0-based item position."""

    created: tuple[str, ...]
    errors: dict[int, str]


@dataclass(frozen=True)
class Payment:
    """One payment as a delivery or a query told it.

    ``amount`` is ``None`` when what was sent is no sane amount; times are aware and in
    UTC. ``status`` is in capitals; an unknown word is neither paid nor gone.
    """

    id: str
    status: str
    reference: str
    receipt: str
    amount: Decimal | None
    currency: str
    channel: str
    payer_name: str = field(repr=False)
    payer_phone: str = field(repr=False)
    payer_email: str = field(repr=False)
    message: str = field(repr=False)
    created_at: datetime | None
    updated_at: datetime | None
    client_id: str = field(repr=False)
    raw: dict = field(repr=False, compare=False)

    @classmethod
    def parse(cls, data):
        """Read a payment object of any age; never raises.

        Each member is looked for under its current name, then under the names of
        2025. One that is there but makes no sense is not replaced by an older one.
        """
        raw = data if isinstance(data, dict) else {}
        customer = raw.get("customer")
        customer = customer if isinstance(customer, dict) else {}
        named = {**_prefixed(raw), **customer}
        return cls(
            id=read_identity(_first(raw, "id", "paymentId")),
            status=read_text(raw.get("status"), 32).upper(),
            reference=read_identity(_first(raw, "orderReference", "reference")),
            receipt=read_identity(raw.get("paymentReference")),
            amount=read_amount(
                _first(raw, "collectedAmount", "amount", "depositAmount")
            ),
            currency=read_text(
                _first(raw, "collectedCurrency", "currency", "depositCurrency"), 8
            ).upper(),
            channel=read_text(_first(raw, "channel", "paymentMethod"), 64),
            payer_name=read_text(_first(named, "customerName", "name"), 256),
            payer_phone=read_text(
                _first(raw, "paymentPhoneNumber")
                or _first(named, "customerPhoneNumber", "customerPhone", "phone"),
                32,
            ),
            payer_email=read_text(_first(named, "customerEmail", "email"), 254),
            message=read_text(raw.get("message"), 1000),
            created_at=read_time(_first(raw, "createdAt", "created_at")),
            updated_at=read_time(_first(raw, "updatedAt", "updated_at")),
            client_id=read_text(raw.get("clientId"), 128),
            raw=raw,
        )


@dataclass(frozen=True)
class PaymentPage:
    """One page of payments.

    ``total`` counts those of all pages, if the gateway says so (else ``None``),
    ``rows`` what it sent on this one: skip that many for the next page.
    """

    payments: tuple[Payment, ...]
    total: int | None
    rows: int = 0


def _first(data, *names):
    """The first member that is there and not empty."""
    return next((data[n] for n in names if data.get(n) not in (None, "")), None)


def _prefixed(data):
    """Customer members that sit beside, not inside, a ``customer`` object."""
    return {k: v for k, v in data.items() if isinstance(k, str) and k[:8] == "customer"}
