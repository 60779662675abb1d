# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Request bodies for control numbers, and readers of the bulk answer.

Source: ClickPesa API docs, BillPay pages. Unknown and empty members are refused or
undefined there, so only what is set is sent.
"""

import re
from collections import Counter

from .parsing import clean_text, read_identity, read_text, to_ascii
from .values import MODE_WORDS, BulkReply, check_mode, wire_amount

LONGEST_DESCRIPTION = 500
LONGEST_NAME = 256
LARGEST_BATCH = 50

_NOT_DIGITS = re.compile(r"[^0-9]")


def create_body(request, *, customer, ascii_only):
    """Return the body for a :class:`NumberRequest`.

    :param customer: also send the customer's name, phone and e-mail
    :param ascii_only: transliterate text, because the body gets signed
    """
    tidy = to_ascii if ascii_only else clean_text
    body = {}
    if request.reference:
        body["billReference"] = request.reference
    if request.amount is not None:
        body["billAmount"] = request.amount
        if request.mode:
            body["billPaymentMode"] = MODE_WORDS[request.mode]
    if request.max_amount is not None:
        body["billMaxCollectionAmount"] = request.max_amount
    body["billDescription"] = tidy(request.description or "", LONGEST_DESCRIPTION)
    if customer:
        email = tidy(request.customer_email or "", 254)
        body["customerName"] = tidy(request.customer_name or "", LONGEST_NAME)
        body["customerPhone"] = wire_phone(request.customer_phone, bool(email))
        body["customerEmail"] = email
    return {name: value for name, value in body.items() if value != ""}


def update_body(
    *,
    amount=None,
    mode=None,
    description=None,
    active=None,
    max_amount=None,
    ascii_only,
):
    """Return the body of an update: the members that are not ``None``.

    :raises ValueError: nothing to change, or a value that cannot be right
    """
    body = {}
    if active is not None:
        body["billStatus"] = "ACTIVE" if active else "INACTIVE"
    if amount is not None:
        body["billAmount"] = wire_amount(amount)
    if check_mode(mode) is not None:
        body["billPaymentMode"] = MODE_WORDS[mode]
    if max_amount is not None:
        body["billMaxCollectionAmount"] = wire_amount(max_amount)
    if description is not None:
        tidy = to_ascii if ascii_only else clean_text
        body["billDescription"] = tidy(description, LONGEST_DESCRIPTION)
    if not body:
        raise ValueError("An update changes at least one thing.")
    return body


def wire_phone(phone, optional=False):
    """Return a Tanzanian phone as ``255XXXXXXXXX``.

    Another country's number is left out when it is ``optional`` (an e-mail address
    is there), else sent as digits for the gateway to judge.
    """
    digits = _NOT_DIGITS.sub("", phone or "")
    if len(digits) == 10 and digits[0] == "0":
        digits = "255" + digits[1:]
    elif len(digits) == 9 and digits[0] in "67":
        digits = "255" + digits
    elif digits.startswith("2550") and len(digits) == 13:
        digits = "255" + digits[4:]
    if optional and not (len(digits) == 12 and digits.startswith("255")):
        return ""
    return digits


def bulk_reply(data, requests):
    """Read a bulk answer into a :class:`BulkReply`.

    The answer lists the numbers made without their positions, and the refused items
    by position. Where every item names its reference, the two must agree.

    :raises ValueError: the answer does not account for every item exactly once
    """
    numbers, errors = data.get("billPayNumbers"), data.get("errors") or []
    if not isinstance(errors, list) or not isinstance(numbers or [], list):
        raise ValueError("members of the wrong type")
    created = tuple(_number(item) for item in numbers or [])
    reasons = {}
    for error in errors:
        index = error.get("index") if isinstance(error, dict) else None
        if isinstance(index, bool) or not isinstance(index, int) or index in reasons:
            raise ValueError("a refused item without its position")
        reasons[index] = _reason(error)
    if "" in created or len(created) + len(reasons) != len(requests):
        raise ValueError("not every item is accounted for")
    if all(request.reference for request in requests):
        missing = _missing(created, requests)
        if missing != sorted(reasons):
            # The docs do not say whether positions count from 0 or from 1.
            if [position + 1 for position in missing] != sorted(reasons):
                raise ValueError("numbers and refused items contradict each other")
            reasons = {index - 1: reason for index, reason in reasons.items()}
    elif not all(0 <= index < len(requests) for index in reasons):
        raise ValueError("a refused item that was not asked for")
    return BulkReply(created=created, errors=reasons)


def _missing(created, requests):
    """Positions whose reference was not made; of twins the first one was."""
    made, missing = Counter(number.upper() for number in created), []
    for position, request in enumerate(requests):
        reference = request.reference.upper()
        made[reference] -= 1
        if made[reference] < 0:
            missing.append(position)
    return missing


def _number(item):
    return read_identity(item.get("billPayNumber") if isinstance(item, dict) else item)


def _reason(error):
    reason = error.get("reason")
    if isinstance(reason, list):
        reason = "; ".join(filter(None, (read_text(part, 200) for part in reason)))
    return read_text(reason, 500) or "Refused without a reason."
