# SPDX-License-Identifier: LGPL-3.0-or-later
"""Amounts in TZS. Stored as whole cents so that sums are exact."""

from decimal import Decimal, InvalidOperation

#: Above this (TZS) an amount is a mistake, and cents would outgrow the database.
LARGEST = 10**13


def cents(value):
    """Cents of a JSON number. ValueError if it is no amount with <= 2 decimals."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ValueError("not a number")
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else value) * 100
        if abs(amount) > LARGEST * 100 or amount != amount.to_integral_value():
            raise ValueError("too many decimals or too large")
    except InvalidOperation as error:
        raise ValueError("not a number") from error
    return int(amount)


def parse(value):
    """Cents of what a person typed (``"10 000"``, ``"1,250.50"``) or a number."""
    if isinstance(value, str):
        text = value.replace(" ", "").replace(",", "").replace("_", "")
        try:
            value = Decimal(text)
        except InvalidOperation as error:
            raise ValueError("not a number") from error
    return cents(value)


def number(amount):
    """JSON number of cents: an integer when whole, else with its decimals."""
    if amount is None:
        return None
    return amount // 100 if amount % 100 == 0 else amount / 100


def text(amount):
    """String form used by webhooks: ``"10000"`` or ``"1250.5"``."""
    return str(number(amount))


def decimal_text(amount):
    """Older string form with two decimals: ``"10000.00"``."""
    return f"{amount // 100}.{amount % 100:02d}"


def spoken(amount):
    """``10,000`` or ``1,250.50``, for sentences and the page."""
    whole = f"{amount // 100:,}"
    return whole if amount % 100 == 0 else f"{whole}.{amount % 100:02d}"
