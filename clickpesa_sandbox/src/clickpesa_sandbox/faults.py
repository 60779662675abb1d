# SPDX-License-Identifier: LGPL-3.0-or-later
"""Things that go wrong on purpose, per API call or per webhook."""

import itertools
import random
import threading
from dataclasses import dataclass, field

from .errors import SandboxError
from .settings import LONGEST

#: kind: (applies to, options with defaults, explanation)
KINDS = {
    "latency": ("call", {"seconds": 2.0}, "The answer takes this long."),
    "error": (
        "call",
        {"status": 500},
        "5xx; nothing was done. From 502 on the body is a proxy's HTML page.",
    ),
    "error_after": ("call", {"status": 500}, "5xx, although the work was done."),
    "timeout_before": (
        "call",
        {"seconds": 35.0},
        "No answer in time; nothing was done.",
    ),
    "timeout_after": (
        "call",
        {"seconds": 35.0},
        "No answer in time, although the work was done.",
    ),
    "drop_before": ("call", {}, "Connection closed; nothing was done."),
    "drop_after": ("call", {}, "Connection closed, although the work was done."),
    "rate_limit": ("call", {"retry_after": 60}, "429; nothing was done."),
    "malformed_json": ("call", {}, "The work is done, the answer is cut JSON."),
    "expired_token": (
        "call",
        {},
        "401 and the token is worthless from now on; nothing was done.",
    ),
    "lost": ("webhook", {}, "Kept back; only a resend or the query API tells."),
    "duplicate": ("webhook", {"copies": 1}, "Sent again this many times."),
    "late": ("webhook", {"seconds": 30.0}, "Sent this much later."),
    "out_of_order": (
        "webhook",
        {"seconds": 30.0},
        "Waits until another one has overtaken it, at most this long.",
    ),
    "unsigned": ("webhook", {}, "Without checksum."),
    "wrong_signature": ("webhook", {}, "With a checksum that does not fit."),
    "header_signature": ("webhook", {}, "Checksum in X-ClickPesa-Signature only."),
    "old_form": (
        "webhook",
        {"form": "old"},
        "Older payload: old (eventType, paymentId, amount) or flat (no data).",
    ),
    "amount_form": (
        "webhook",
        {"form": "number"},
        'Amount as number (10000), string ("10000") or decimal ("10000.00").',
    ),
    "half_statement": ("statement", {}, "Only the first half of the rows comes."),
    "lost_row": ("statement", {}, "One row is missing; the balances count it."),
    "unordered_rows": ("statement", {}, "The rows come in any order."),
    "wrong_balance": ("statement", {}, "One row has a wrong running balance."),
    "foreign_currency": ("statement", {}, "The account is said to be in USD."),
    "old_row": ("statement", {}, "The first row says that it is ten years old."),
    "no_details": ("statement", {}, "Opening and closing balance are missing."),
    "suffixed_reference": (
        "payment",
        {},
        "The payment's orderReference gets a suffix (NUMBER-1234).",
    ),
}
#: Other words people use for them.
ALIASES = {
    "5xx": "error",
    "429": "rate_limit",
    "too_many_requests": "rate_limit",
    "malformed": "malformed_json",
    "wrong_checksum": "wrong_signature",
    "timeout": "timeout_after",
    "drop": "drop_after",
}
#: What may be chosen for a ``form`` option.
FORMS = {
    "old_form": ("old", "flat"),
    "amount_form": ("number", "string", "decimal"),
}


@dataclass
class Fault:
    """One armed fault. ``left`` is how often it still strikes; None: until cleared."""

    id: int
    kind: str
    match: str = ""
    left: int | None = 1
    rate: float | None = None
    options: dict = field(default_factory=dict)
    struck: int = 0

    @property
    def target(self):
        return KINDS[self.kind][0]

    def as_dict(self):
        return {
            "id": self.id,
            "kind": self.kind,
            "match": self.match,
            "times": self.left,
            "rate": self.rate,
            "options": self.options,
            "struck": self.struck,
        }


class Faults:
    """The armed faults. ``random`` may be seeded for repeatable rates."""

    def __init__(self):
        self.random = random.Random()
        self._armed = []
        self._lock = threading.Lock()
        self._ids = itertools.count(1)

    def add(self, kind, match="", times=None, rate=None, **options):
        """Arm a fault; returns it.

        ``match`` is a part of ``"METHOD /path"`` (calls) or of ``"EVENT REFERENCE"``
        (webhooks, payments); empty matches all. ``times`` counts strikes, -1 or
        ``"always"`` means until cleared; ``rate`` (0 to 1) strikes by chance. Without
        both it strikes once. Options per kind are in ``KINDS``; a duration may also be
        called ``latency`` or ``delay``. SandboxError on anything else.
        """
        kind = ALIASES.get(kind, kind)
        if kind not in KINDS:
            raise SandboxError(
                f"There is no fault {kind!r}; there are {', '.join(KINDS)}."
            )
        defaults = KINDS[kind][1]
        for other in ("latency", "delay"):
            if other in options and "seconds" in defaults:
                options["seconds"] = options.pop(other)
        unknown = set(options) - set(defaults)
        if unknown:
            raise SandboxError(f"{kind} has no option {', '.join(sorted(unknown))}.")
        try:
            options = defaults | {
                name: type(defaults[name])(value) for name, value in options.items()
            }
            rate = None if rate in (None, "") else float(rate)
            if times in (None, ""):
                times = 1 if rate is None else None
            elif times == "always" or int(times) < 0:
                times = None
            else:
                times = int(times)
        except (TypeError, ValueError, OverflowError):
            raise SandboxError(
                f"{kind}: times is a whole number, rate and durations are numbers."
            ) from None
        if rate is not None and not 0 <= rate <= 1:
            raise SandboxError("rate is between 0 and 1.")
        if times == 0:
            raise SandboxError("times is at least 1, or -1 for until cleared.")
        if "status" in options and not 500 <= options["status"] <= 599:
            raise SandboxError("status is between 500 and 599.")
        if not 0 <= options.get("seconds", 0) <= LONGEST:
            raise SandboxError("seconds is at least 0 and at most a year.")
        if not 1 <= options.get("copies", 1) <= 1000:
            raise SandboxError("copies is between 1 and 1000.")
        if kind in FORMS and options["form"] not in FORMS[kind]:
            raise SandboxError(f"form is one of {', '.join(FORMS[kind])}.")
        with self._lock:
            fault = Fault(next(self._ids), kind, str(match or ""), times, rate, options)
            self._armed.append(fault)
        return fault

    def strike(self, target, text):
        """Faults of ``target`` that hit ``text`` now, as ``{kind: options}``."""
        hits = {}
        with self._lock:
            for fault in list(self._armed):
                if fault.target != target or fault.kind in hits:
                    continue
                if fault.match.lower() not in text.lower():
                    continue
                if fault.rate is not None and self.random.random() >= fault.rate:
                    continue
                hits[fault.kind] = fault.options
                fault.struck += 1
                if fault.left is not None:
                    fault.left -= 1
                    if fault.left <= 0:
                        self._armed.remove(fault)
        return hits

    def remove(self, fault_id):
        """Disarm one; SandboxError if it is not armed any more."""
        with self._lock:
            for fault in self._armed:
                if fault.id == fault_id:
                    self._armed.remove(fault)
                    return
        raise SandboxError(f"Fault {fault_id} is not armed any more.")

    def clear(self):
        with self._lock:
            self._armed.clear()

    def as_list(self):
        with self._lock:
            return [fault.as_dict() for fault in self._armed]
