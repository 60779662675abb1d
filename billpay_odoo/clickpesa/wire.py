# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Small pieces of the wire contract that the client's calls are made of."""

import datetime
from urllib.parse import quote

from . import errors
from .values import Payment

LONGEST_REFERENCE = 128
LONGEST_TOKEN = 16 * 1024


def credential(value, name):
    """Return a value that fits an HTTP header; the error never quotes it."""
    value = value.strip() if isinstance(value, str) else ""
    if not value:
        raise errors.InvalidConfiguration(f"The {name} is missing.")
    if not value.isascii() or not value.isprintable():
        raise errors.InvalidConfiguration(
            f"The {name} has characters that cannot be sent; copy it again."
        )
    return value


def authorization(data, status):
    """The header value from a token answer; the docs' one has its prefix already."""
    value = data.get("token") if isinstance(data, dict) else None
    value = value.strip() if isinstance(value, str) else ""
    scheme, _, token = value.rpartition(" ")
    sendable = token.isascii() and token.isprintable() and len(token) < LONGEST_TOKEN
    if not token or not sendable or scheme.strip().lower() not in ("", "bearer"):
        raise errors.Unavailable("ClickPesa's token answer could not be read.", status)
    return f"Bearer {token}"


def segment_of(reference):
    """``reference`` as one path segment, or ``None`` where none can exist.

    Dots alone would walk up the path: URL libraries resolve them, encoded or not.
    """
    if not isinstance(reference, str) or not 1 <= len(reference) <= LONGEST_REFERENCE:
        return None
    if not reference.strip(". "):
        return None
    try:
        return quote(reference, safe="")
    except UnicodeEncodeError:
        return None


def known_segment(number):
    segment = segment_of(number)
    if segment is None:
        raise errors.NotFound("There can be no such control number.")
    return segment


def day(value):
    if value is None:
        return None
    if isinstance(value, datetime.datetime):
        value = value.date()
    return value.isoformat()


def payments_of(rows):
    if not isinstance(rows, list):
        raise unreadable_read()
    return [Payment.parse(row) for row in rows if isinstance(row, dict)]


def unreadable_read():
    return errors.Unavailable("ClickPesa's answer could not be read.", 200)


def unreadable_write(detail=""):
    text = (
        f"ClickPesa's answer could not be read{detail}; it may have been carried out."
    )
    return errors.OutcomeUnknown(text, 200)
