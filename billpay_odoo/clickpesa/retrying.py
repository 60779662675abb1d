# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Repeat what is safe to repeat, for a bounded time."""

from .errors import Unavailable

DELAYS = (1, 2, 4)  # seconds

# A try with less time than this would only fail.
SHORTEST_TRY = 1


def retrying(attempt, *, patience, clock, sleep):
    """Return ``attempt(limit)``, repeated on :class:`Unavailable`.

    ``patience`` is the budget in seconds for waiting and repeating; 0 means one try.
    The first try has its full timeouts (``limit`` is ``None``), a later one only what
    is left of the budget, so that nobody waits much longer than for one slow call.
    """
    started = clock()
    limit = None
    for delay in DELAYS:
        try:
            return attempt(limit)
        except Unavailable as error:
            wait = max(delay, error.retry_after or 0)
            left = patience - (clock() - started) - wait
            if left <= 0:
                raise
        sleep(wait)
        limit = max(left, SHORTEST_TRY)
    return attempt(limit)
