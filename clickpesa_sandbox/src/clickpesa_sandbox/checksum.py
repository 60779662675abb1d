# SPDX-License-Identifier: LGPL-3.0-or-later
"""The canonical checksum (ClickPesa API docs, checksum page, since January 2026).

Text to sign: the JSON body without top-level ``checksum`` and ``checksumMethod``, keys
sorted at every level, compact, exactly as JavaScript's ``JSON.stringify`` writes it.
Digest: HMAC-SHA256, lower-case hex, key and text as UTF-8.
"""

import hashlib
import hmac
import json
import re

#: Left out of their own computation (ClickPesa API docs, checksum page).
UNSIGNED = ("checksum", "checksumMethod")
_SURROGATE = re.compile("[\ud800-\udfff]")


def canonical(body):
    """The text that is signed for ``body`` (a dict)."""
    return _write({key: body[key] for key in body if key not in UNSIGNED})


def sign(key, body):
    """64 hex characters for ``body`` under the checksum key ``key`` (a string)."""
    return hmac.new(
        key.encode("utf-8"), canonical(body).encode("utf-8"), hashlib.sha256
    ).hexdigest()


def verify(key, body, signature):
    """Whether ``signature`` (any object) is the checksum of ``body``."""
    if not isinstance(signature, str):
        return False
    expected = sign(key, body).encode("ascii")
    return hmac.compare_digest(
        expected, signature.lower().encode("utf-8", "surrogatepass")
    )


def _write(value):
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_write(item) for item in value) + "]"
    # JavaScript compares strings by UTF-16 code units.
    keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(f"{_string(key)}:{_write(value[key])}" for key in keys) + "}"


def _string(text):
    written = json.dumps(text, ensure_ascii=False)
    # Half of a pair cannot be written as UTF-8; JSON.stringify escapes it.
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", written)


def _number(value):
    """A number as ECMAScript's Number::toString writes it."""
    if isinstance(value, int):
        if abs(value) <= 2**53:
            return str(value)
        value = float(value)
    if value != value or value in (float("inf"), float("-inf")):
        return "null"
    if value == 0:
        return "0"
    sign_, value = ("-", -value) if value < 0 else ("", value)
    mantissa, exponent = f"{value!r}e0".split("e")[:2]
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS x 10**point.
    point = int(exponent) + len(whole)
    if whole.strip("0") == "":
        point -= len(whole) + len(fraction) - len(fraction.lstrip("0"))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign_ + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign_}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign_}0.{'0' * -point}{digits}"
    shown = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{sign_}{shown}e{'+' if point > 0 else '-'}{abs(point - 1)}"
