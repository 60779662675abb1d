# SPDX-License-Identifier: LGPL-3.0-or-later
"""A clock that can be moved, so that an hour passes in a test without waiting."""

import time
from datetime import datetime, timezone

from .errors import SandboxError

#: Where the clock may stand, seconds since 1970: the years 2000 to 2100.
FIRST, LAST = 946684800, 4102444800


def iso(seconds):
    """``2026-03-01T09:00:00.000Z`` for seconds since 1970; None stays None."""
    if seconds is None:
        return None
    # Milliseconds are cut, not rounded: a moment must never appear to be later than
    # another one that followed it.
    moment = datetime.fromtimestamp(int(seconds * 1000) / 1000, tz=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class Clock:
    """Machine time plus an offset in seconds."""

    def __init__(self, offset=0.0, on_change=None):
        self.offset = float(offset)
        self._on_change = on_change

    def now(self):
        """Seconds since 1970, UTC."""
        return time.time() + self.offset

    def iso(self):
        return iso(self.now())

    def advance(self, seconds):
        """Move forward (or, negative, back) by ``seconds``; SandboxError if too far."""
        offset = self.offset + float(seconds)
        if not FIRST <= time.time() + offset <= LAST:
            raise SandboxError("The clock stays between the years 2000 and 2100.")
        self.offset = offset
        if self._on_change:
            self._on_change(self.offset)

    def set(self, moment):
        """Jump to ``moment``: a datetime (naive means UTC) or seconds since 1970."""
        if isinstance(moment, datetime):
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=timezone.utc)
            moment = moment.timestamp()
        self.advance(float(moment) - self.now())

    def reset(self):
        """Back to the time of the machine."""
        self.advance(-self.offset)
