# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What can go wrong, told apart by what the caller may do next.

=====================  =====================================================
``Refused``            The gateway said no. The same call will be refused again.
``Unavailable``        Nothing happened, or the call only reads. Try again later.
``OutcomeUnknown``     A write that may have happened. Read back before repeating.
=====================  =====================================================

Every text is fit for a person and free of secrets. The exceptions keep no
reference to the HTTP request, whose headers carry credentials.
"""

import re
from urllib.parse import quote, quote_plus

# A shorter "secret" is a placeholder; replacing it would only shred the text.
SHORTEST_SECRET = 4

_BEARER = re.compile(r"(?i)\bbearer\s+[^\s\"',;]+")


class ClickPesaError(Exception):
    """Base of all errors; ``status`` is ``None`` when there was no answer."""

    def __init__(self, message, status=None):
        super().__init__(message)
        self.message = message
        self.status = status

    def __str__(self):
        return self.message


class Refused(ClickPesaError):
    """The gateway refused the call for good.

    ``application_wide``: the cause lies with the credentials or the settings, so that
    every other call would be refused as well.
    """

    application_wide = False


class AuthenticationRefused(Refused):
    """The credentials were refused, or a fresh token was refused with 401."""

    application_wide = True


class InvalidConfiguration(Refused, ValueError):
    """The settings cannot work: bad address, missing or unsendable credentials."""

    application_wide = True


class FeatureDisabled(Refused):
    """The application lacks a feature switch that the call needs."""

    application_wide = True


class ChecksumRefused(Refused):
    """The request's checksum is wrong, or it is required and no key is set."""

    application_wide = True


class NotFound(Refused):
    """404: the number or payment is not known to the gateway."""


class Conflict(Refused):
    """409: the reference is already used; maybe by an earlier try of ours."""


class Unavailable(ClickPesaError):
    """Try again later; ``retry_after``: in how many seconds, if that is known."""

    def __init__(self, message, status=None, retry_after=None):
        super().__init__(message, status)
        self.retry_after = retry_after


class RateLimited(Unavailable):
    """429: too many requests."""


class BudgetSpent(Unavailable):
    """Our own limit of calls is reached: nothing was sent. Raised by a ``gate``."""


class OutcomeUnknown(ClickPesaError):
    """A write was sent and its outcome is not known; it may have happened."""


def mask(text, secrets):
    """Return anything as text with every secret replaced by ``***``.

    Percent-encoded spellings and any bearer token are covered too.
    """
    text = str(text)
    spellings = set()
    for secret in secrets:
        if isinstance(secret, str) and len(secret) >= SHORTEST_SECRET:
            spellings.add(secret)
            safe = secret.encode("utf-8", "replace")
            spellings.update((quote(safe, safe=""), quote(safe), quote_plus(safe)))
    # Longest first, so that a secret which contains another leaves no remainder.
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, "***")
    return _BEARER.sub("Bearer ***", text)
