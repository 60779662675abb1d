# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Tolerant readers for single values, strict readers for JSON, text that is safe."""

import hashlib
import json
import math
import re
import unicodedata
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation

# TZS. The largest documented transfer is 1e9; beyond this it is no payment.
LARGEST_AMOUNT = Decimal(10) ** 12

DEEPEST = 64
LONGEST_INTEGER = 400

_AMOUNT = re.compile(r"\+?[0-9]{1,15}(\.[0-9]{0,20})?")
_FINEST = Decimal("0.000001")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,12}))?)?"
    r"\s*(Z|[+-][0-9]{2}:?(?:[0-9]{2})?)?)?",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"[0-9]{9,13}(\.[0-9]{1,9})?")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def read_text(value, limit):
    """Text from text or a whole number; anything else is ``""``."""
    return clean_text(_plain(value), limit)


def read_identity(value):
    """An id or reference from text or a whole number; anything else is ``""``."""
    return clean_identity(_plain(value))


def read_amount(value):
    """Return a ``Decimal`` >= 0, or ``None`` for what is no sane amount.

    Takes numbers and plain decimal text; ``"10,000"`` is not guessed at.
    """
    if isinstance(value, str):
        value = value.strip()
        if not _AMOUNT.fullmatch(value):
            return None
        amount = Decimal(value)
    elif isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    else:
        try:
            amount = Decimal(repr(value) if isinstance(value, float) else value)
        except (InvalidOperation, ValueError):
            return None
    if not amount.is_finite() or not 0 <= amount <= LARGEST_AMOUNT:
        return None
    return plain_decimal(amount.quantize(_FINEST))


def plain_decimal(amount):
    """Return ``amount`` without trailing zeros and without an exponent."""
    if amount == amount.to_integral_value():
        return Decimal(int(amount))
    return amount.normalize()


def read_time(value):
    """Return an aware UTC ``datetime`` between 2000 and 2100, or ``None``.

    Takes ISO 8601 with ``Z``, an offset or neither (then UTC), and epoch seconds or
    milliseconds.
    """
    try:
        found = _read_time(value)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found and 2000 <= found.year <= 2100 else None


def load_json(raw):
    """Parse bytes strictly; return ``(value, duplicate_keys)``.

    :raises ValueError: no JSON, not UTF-8, NaN or infinity, absurd nesting
    """
    duplicates = []

    def members(pairs):
        found = dict(pairs)
        if len(found) != len(pairs):
            duplicates.append(True)
        return found

    if not isinstance(raw, bytes):
        raise ValueError("The body is not bytes.")
    return _load(raw, _refuse_number, object_pairs_hook=members), bool(duplicates)


def load_answer(raw):
    """Parse an answer of the gateway; what is no number of JSON becomes ``None``.

    :raises ValueError: no JSON
    """
    return _load(raw, lambda text: None)


def _load(raw, odd_number, **hooks):
    def number(text):
        value = float(text)
        return value if math.isfinite(value) else odd_number(text)

    def integer(text):
        return int(text) if len(text) <= LONGEST_INTEGER else odd_number(text)

    if nesting(raw) > DEEPEST:
        raise ValueError("The body is nested too deeply.")
    try:
        return json.loads(
            raw.decode("utf-8-sig"),
            parse_constant=odd_number,
            parse_float=number,
            parse_int=integer,
            **hooks,
        )
    except RecursionError:
        raise ValueError("The body is nested too deeply.") from None


def _refuse_number(text):
    raise ValueError("A number is out of range.")


def nesting(raw):
    """Depth of brackets outside strings, without recursion."""
    if raw.count(b"[") + raw.count(b"{") <= DEEPEST:
        return 0
    depth = deepest = 0
    for token in _STRUCTURE.finditer(raw):
        char = token.group()[:1]
        depth += (char in b"[{") - (char in b"]}")
        deepest = max(deepest, depth)
    return deepest


def _plain(value):
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**40:
        return str(value)
    return ""


def _read_time(value):
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return aware.astimezone(timezone.utc)
    if isinstance(value, str):
        value = value.strip()
        if not _EPOCH.fullmatch(value):
            return _read_iso(value)
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    # 1e11 seconds is the year 5138, 1e11 milliseconds is 1973: no overlap.
    seconds = value / 1000 if value > 1e11 else value
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)


def _read_iso(text):
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        return None
    *parts, second, fraction, zone = match.groups()
    moment = datetime(
        *(int(part or 0) for part in parts),
        min(int(second or 0), 59),  # a leap second
        int((fraction or "0").ljust(6, "0")[:6]),
        tzinfo=timezone.utc,
    )
    if zone and zone not in "Zz":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        moment += offset if zone[0] == "-" else -offset
    return moment


# === TEXT === #

# Characters whose NFKD form does not hold a good ASCII stand-in.
_STAND_INS = {
    **dict.fromkeys(map(ord, "‐‑‒–—―−"), "-"),
    **dict.fromkeys(map(ord, "‘’‚‛′´ʼ‹›"), "'"),
    **dict.fromkeys(map(ord, "“”„″«»"), '"'),
    **str.maketrans("•·×÷⁄ØøÐðĐđŁłı", "*.x//OoDdDdLli"),
    **str.maketrans({"€": "EUR", "£": "GBP", "ß": "ss", "Æ": "AE", "æ": "ae"}),
    **str.maketrans({"Œ": "OE", "œ": "oe", "Þ": "Th", "þ": "th"}),
}


def clean_text(value, limit=None):
    """Return ``value`` on one line, without control characters, at most ``limit`` long.

    Characters that steer the direction of text are dropped too.
    """
    text = _SURROGATE.sub("\ufffd", _UNSAFE.sub(" ", str(value)))
    text = " ".join(text.split())
    return text if limit is None else text[:limit].rstrip()


def clean_identity(value, limit=128):
    """Like :func:`clean_text`, but two long values never become the same one."""
    text = clean_text(value)
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{text[: limit - 17]}~{digest}"


def to_ascii(value, limit=None):
    """Transliterate ``value`` to printable ASCII on one line, for a signed body.

    A letter without a stand-in becomes ``?`` so that a name never vanishes.
    """
    text = unicodedata.normalize("NFKD", clean_text(value).translate(_STAND_INS))
    text = text.translate(_STAND_INS)  # "½" holds its slash only now
    kept = (char for char in text if unicodedata.category(char)[0] not in "MC")
    return clean_text("".join(c if " " <= c <= "~" else "?" for c in kept), limit)
