# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Webhook deliveries. Source: ClickPesa API docs, webhooks page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from .parsing import load_json, read_text
from .values import Payment

_GAPS = re.compile(r"[\s_]+")


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
