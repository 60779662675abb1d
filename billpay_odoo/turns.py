# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Payers who wait in front of a screen are served a few at a time.

A crowd at one server process waits here: each needs connections of its own besides
the request's, and the pool ends at 64.
"""

import threading
from contextlib import contextmanager

# How many payers one process serves at a time.
AT_ONCE = 4
_turns = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn(patience):
    """Yield whether it is the caller's turn, after ``patience`` seconds at most."""
    mine = _turns.acquire(timeout=patience)
    try:
        yield mine
    finally:
        if mine:
            _turns.release()
