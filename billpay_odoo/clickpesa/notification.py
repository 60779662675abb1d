# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Webhook deliveries. Source: ClickPesa API docs, webhooks page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from .checksum import UNSIGNED, canonical_json
from .parsing import load_json, read_text
from .values import Payment

_GAPS = re.compile(r"[\s_]+")
# The members that a form's field names: data[customer][name] or data.customer.name.
_STEPS = re.compile(r"[^\[\].]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,9})?")
# What shows that an object is a delivery; the first three, that it is a whole one.
_MEMBERS = ("event", "eventType", "data", "id", "paymentId")
_WORDS = {"null": None, "true": True, "false": False}
# No delivery has so many members, nor members in members to such a depth.
MOST_FIELDS, DEEPEST_FIELD = 100, 8


@dataclass(frozen=True)
class Notification:
    """One delivery: its event in capitals or ``""``, the whole body as ``payload``.

    With ``duplicate_keys`` another parser may read other values than this one did, so
    the body is not to be trusted by itself.
    """

    event: str
    payment: Payment
    payload: dict = field(repr=False, compare=False)
    duplicate_keys: bool = False


def parse_notification(raw):
    """Read a delivery's body (bytes).

    :raises ValueError: anything that is not a JSON object; nothing else is raised
    """
    payload, duplicates = load_json(raw)
    if not isinstance(payload, dict):
        raise ValueError("The body is not a JSON object.")
    event = payload.get("event") or payload.get("eventType")
    data = payload.get("data")
    payment = Payment.parse(data if isinstance(data, dict) else payload)
    if not payment.client_id:
        client_id = read_text(payload.get("clientId"), 128)
        payment = replace(payment, client_id=client_id)
    return Notification(
        event=_GAPS.sub(" ", read_text(event, 64)).upper(),
        payment=payment,
        payload=payload,
        duplicate_keys=duplicates,
    )


def form_bodies(fields):
    """Return the JSON bodies that a delivery sent as form data may stand for.

    The object is in one of the fields, or its members are the fields. Those are all
    text, so several bodies are possible: the signature tells which one was meant.

    :param fields: pairs of name and value
    :return: each body as bytes, the likeliest first; none when it is no delivery
    """
    fields = list(fields)
    if len(fields) > MOST_FIELDS:
        return []
    bodies = [*_whole_bodies(fields), *_member_bodies(fields)]
    return list(dict.fromkeys(bodies))


def _whole_bodies(fields):
    """The object is the value of a field, or, without a name, the form itself."""
    signature = {name: value for name, value in fields if name in UNSIGNED}
    others = [pair for pair in fields if pair[0] not in UNSIGNED]
    # What a form parser made of JSON.
    texts = ["&".join(f"{name}={value}" if value else name for name, value in fields)]
    texts += [value for _name, value in others]
    for text in texts:
        found, _duplicates = _object(text)
        if _is_delivery(found, _MEMBERS[:3] if len(others) > 1 else _MEMBERS):
            yield text.encode()
            if signature and "checksum" not in found:
                yield canonical_json({**found, **signature}).encode()


def _member_bodies(fields):
    members = _members(fields)
    if _is_delivery(members, _MEMBERS):
        yield canonical_json(members).encode()
        # What is no text is written as text; what is null, as an empty one.
        yield canonical_json(_typed(members, words=False)).encode()
        yield canonical_json(_typed(members, words=True)).encode()


def _members(fields):
    """Return the object whose members these fields are, or ``None``."""
    found = {}
    for name, value in fields:
        steps = _STEPS.findall(name)
        if not 0 < len(steps) <= DEEPEST_FIELD:
            return None
        holder = found
        for step in steps[:-1]:
            holder = holder.setdefault(step, {})
            if not isinstance(holder, dict):
                return None
        if steps[-1] in holder:
            return None
        member, duplicates = _object(value)
        holder[steps[-1]] = value if member is None or duplicates else member
    return found


def _typed(value, words):
    if isinstance(value, dict):
        return {name: _typed(member, words) for name, member in value.items()}
    if value == "":
        return None
    if words and isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return float(value) if "." in value else int(value)
        return _WORDS.get(value, value)
    return value


def _object(text):
    """Return the JSON object that a text is, or ``None``; and whether names repeat."""
    try:
        found, duplicates = load_json(text.encode())
    except ValueError:
        return None, False
    return (found, duplicates) if isinstance(found, dict) else (None, False)


def _is_delivery(found, members):
    return bool(found) and any(found.get(name) for name in members)
