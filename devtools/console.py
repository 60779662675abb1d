# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a person sees: steps with their time, and problems with the way out."""

import contextlib
import sys
import time

FAILED = 1
PRECONDITION = 2


class Problem(Exception):
    """Something ends the command: the message says what to do next.

    :param message: one or a few short lines.
    :param status: exit status; 1 failed, 2 a precondition is missing.
    """

    def __init__(self, message, status=FAILED):
        super().__init__(message)
        self.status = status


def say(text=""):
    """Print one line at once, also into a pipe or a log."""
    print(text, flush=True)


def warn(text):
    """Print one line where errors go."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(title):
    """Show that a step began and, when it is done, its seconds.

    A step that fails is named in the message.
    """
    say(f"... {title}")
    start = time.monotonic()
    try:
        yield
    except Problem as problem:
        if problem.status == PRECONDITION:
            raise
        raise Problem(f"step failed: {title}: {problem}") from problem
    say(f" ok {title} ({time.monotonic() - start:.1f} s)")
