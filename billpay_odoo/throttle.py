# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""An allowance for what strangers make us do: so much at once and per second."""

import threading
import time


class Allowance:
    """A bucket of tokens per key, in the memory of this process.

    What is not allowed is counted, and the count is handed out with the next token.
    Keys are our own, never what a stranger sends: memory stays small.

    :param int burst: tokens of a full bucket
    :param float per_second: tokens that are added per second
    """

    def __init__(self, burst, per_second, clock=time.monotonic):
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._buckets = {}
        self._lock = threading.Lock()

    def take(self, key):
        """Return 0 for no token; else 1 plus how many asked in vain since the last."""
        now = self._clock()
        with self._lock:
            tokens, since, missed = self._buckets.get(key, (self._burst, now, 0))
            tokens = min(self._burst, tokens + (now - since) * self._per_second)
            if tokens < 1:
                self._buckets[key] = (tokens, now, missed + 1)
                return 0
            self._buckets[key] = (tokens - 1, now, 0)
            return missed + 1

    def give_back(self, key, missed):
        """Count ``missed`` again: what was to be done with them did not last."""
        with self._lock:
            tokens, since, more = self._buckets[key]
            self._buckets[key] = (tokens, since, more + missed)
