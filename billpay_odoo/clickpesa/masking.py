# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Keep secrets out of texts that come from the network layer."""

import re
from urllib.parse import quote, quote_plus

MASK = "***"

# A shorter "secret" is a placeholder; replacing it would only shred the text.
SHORTEST = 4

_BEARER = re.compile(r"(?i)\bbearer\s+[^\s\"',;]+")


def mask(text, secrets):
    """Return ``text`` with every secret replaced by ``***``.

    Percent-encoded spellings and any bearer token are covered too.

    :param text: anything; it is turned into text
    :param secrets: iterable of texts; empty ones and ``None`` are skipped
    """
    text = str(text)
    spellings = set()
    for secret in secrets:
        if isinstance(secret, str) and len(secret) >= SHORTEST:
            spellings.add(secret)
            safe = secret.encode("utf-8", "replace")
            spellings.update((quote(safe, safe=""), quote(safe), quote_plus(safe)))
    # Longest first, so that a secret which contains another leaves no remainder.
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, MASK)
    return _BEARER.sub("Bearer " + MASK, text)
