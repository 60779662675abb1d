# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Canonical checksum of ClickPesa (default since January 2026).

Source: ClickPesa API docs, checksum page. The JSON body without its top-level
``checksum`` and ``checksumMethod`` is written with sorted keys at every level and
no spaces, then signed with HMAC-SHA256 and the checksum key; lower-case hex.

The vendor's reference is JavaScript, so numbers, escapes and key order follow
``JSON.stringify``: ``150000`` for ``150000.0``, ``1e-7``, raw non-ASCII text, an
unescaped slash, keys in UTF-16 code unit order.
"""

import hashlib
import hmac
import json
import math
import re
from decimal import Decimal

UNSIGNED = frozenset(("checksum", "checksumMethod"))

# Where deliveries have been seen to carry the signature when not in the body.
SIGNATURE_HEADERS = (
    "x-clickpesa-signature",
    "x-clickpesa-checksum",
    "checksum",
    "x-checksum",
)

_SURROGATE = re.compile("[\ud800-\udfff]")
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")

_quote_raw = json.JSONEncoder(ensure_ascii=False).encode
_quote_ascii = json.JSONEncoder(ensure_ascii=True).encode


def canonical_json(body):
    """Return ``body`` as the text that is signed (and sent).

    Integers are kept as typed, also beyond 2**53.

    :raises ValueError: NaN or infinity
    :raises TypeError: a value or key that JSON has no form for
    """
    return _write(body, _quote_js)


def checksum(body, key):
    """Return the 64 hex digits for ``body`` (a dict) under ``key`` (a text).

    :raises ValueError: empty key, or a body that JSON cannot carry
    """
    return _digest(body, key, _quote_js)


def sign(body, key):
    """Return a copy of ``body`` with its ``checksum`` member."""
    signed = {name: value for name, value in body.items() if name != "checksum"}
    signed["checksum"] = checksum(body, key)
    return signed


def signature_of(payload, headers=None):
    """Return the signature a delivery carries, or ``None``.

    The body's ``checksum`` member counts first, then the known headers, whose
    names compare without regard to case. Only non-empty text is a signature.
    """
    given = [payload.get("checksum")] if isinstance(payload, dict) else []
    try:
        named = {str(name).lower(): value for name, value in (headers or {}).items()}
    except (AttributeError, TypeError, ValueError):
        named = {}
    given += map(named.get, SIGNATURE_HEADERS)
    return next(filter(None, map(_text, given)), None)


def verify(payload, key, headers=None):
    """Tell whether ``payload`` is signed with ``key``, never with an empty one.

    Two spellings of non-ASCII text are accepted, because the vendor's own samples
    disagree: raw (JavaScript) and ``\\uXXXX`` (Python). Both need the key.

    :param headers: mapping of the delivery's HTTP headers
    """
    if not isinstance(payload, dict) or not isinstance(key, str) or not key:
        return False
    given = signature_of(payload, headers)
    if not given or not _DIGEST.fullmatch(given):
        return False
    given = given.lower()
    for quote in (_quote_js, _quote_ascii):
        try:
            wanted = _digest(payload, key, quote)
        except (ValueError, TypeError, RecursionError, ArithmeticError):
            return False
        if hmac.compare_digest(wanted, given):
            return True
    return False


def _digest(body, key, quote):
    if not isinstance(key, str) or not key:
        raise ValueError("A checksum needs a key.")
    if not isinstance(body, dict):
        raise TypeError("A checksum is made over a JSON object.")
    covered = {name: value for name, value in body.items() if name not in UNSIGNED}
    text = _write(covered, quote)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _text(value):
    return value.strip() if isinstance(value, str) else ""


def _write(value, quote):
    if isinstance(value, str):
        return quote(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, dict):
        members = (f"{quote(k)}:{_write(value[k], quote)}" for k in _sorted(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_write(item, quote) for item in value) + "]"
    raise TypeError(f"JSON has no form for {type(value).__name__}.")


def _sorted(members):
    """Keys in UTF-16 code unit order, as ``Array.prototype.sort`` has them."""
    if not all(isinstance(name, str) for name in members):
        raise TypeError("JSON member names are text.")
    if all(name.isascii() for name in members):
        return sorted(members)
    return sorted(members, key=lambda n: n.encode("utf-16-be", "surrogatepass"))


def _quote_js(text):
    quoted = _quote_raw(text)
    if not _SURROGATE.search(quoted):
        return quoted
    # A pair given as two halves is one character; a lone half is escaped, as
    # JSON.stringify does, and could not be encoded as UTF-8 anyway.
    quoted = quoted.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return _SURROGATE.sub(lambda half: f"\\u{ord(half.group()):04x}", quoted)


def _decimal(value):
    if not value.is_finite():
        raise ValueError("JSON has no NaN and no infinity.")
    # The receiver reads a double; an integral amount below 1e21 prints its digits.
    if value == value.to_integral_value() and abs(value) < Decimal("1e21"):
        return str(int(value))
    return _number(float(value))


def _number(value):
    """Write a float as ECMAScript's ``Number::toString`` does."""
    if not math.isfinite(value):
        raise ValueError("JSON has no NaN and no infinity.")
    if value == 0:
        return "0"  # also for -0.0
    sign = "-" if value < 0 else ""
    # repr gives the shortest digits that read back, the same ones JavaScript picks;
    # only their layout differs.
    mantissa, _, exponent = float.__repr__(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    point = len(whole) - leading + int(exponent or 0)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return sign + digits[0] + ("." + digits[1:] if count > 1 else "") + power
