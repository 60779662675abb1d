# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The access token: fetched once, shared by threads, renewed shortly before expiry.

Per process and in memory, on purpose: at most one token call per process and hour, no
secret at rest, no row that all workers contend for.
"""

import copy
import threading
from collections import namedtuple

from .errors import ClickPesaError, Unavailable

# Seconds. ClickPesa API docs, generate-token page: valid for one hour.
LIFETIME = 3600
MARGIN = 300
LONGEST_TOKEN = 16 * 1024

Token = namedtuple("Token", "value expires")


def authorization(data, status):
    """The header value from a token answer; the docs' one has its prefix already."""
    value = data.get("token") if isinstance(data, dict) else None
    value = value.strip() if isinstance(value, str) else ""
    scheme, _, token = value.rpartition(" ")
    sendable = token.isascii() and token.isprintable() and len(token) < LONGEST_TOKEN
    if not token or not sendable or scheme.strip().lower() not in ("", "bearer"):
        raise Unavailable("ClickPesa's token answer could not be read.", status)
    return f"Bearer {token}"


class TokenKeeper:
    """Hands out one token to many threads."""

    def __init__(self, clock):
        self._clock = clock
        self._lock = threading.Lock()
        self._token = None
        self._failures = 0
        self._failure = None

    def get(self, fetch, stale=None):
        """Return a token that is not ``stale``; at most one thread fetches it.

        :param fetch: ``fetch() -> str``, asks the gateway for a new token
        :raises ClickPesaError: what the token call raised; threads that waited for
            a call that failed get the same error instead of trying one by one
        """
        token = self._usable(stale)
        if token:
            return token
        arrived = self._failures
        with self._lock:
            token = self._usable(stale)
            if token:
                return token
            if self._failures != arrived:
                raise copy.copy(self._failure)
            asked = self._clock()
            try:
                value = fetch()
            except ClickPesaError as error:
                self._failures += 1
                self._failure = copy.copy(error)
                raise
            # Counted from before the call: the gateway's clock started no later.
            self._token = Token(value, asked + LIFETIME - MARGIN)
            return value

    def current(self):
        """The cached value, fresh or not, or ``None``."""
        return self._token and self._token.value

    def forget(self, value):
        """Drop the token if it still is ``value``."""
        with self._lock:
            if self._token and self._token.value == value:
                self._token = None

    def _usable(self, stale):
        token = self._token
        if token and token.value != stale and self._clock() < token.expires:
            return token.value
        return None
