# SPDX-License-Identifier: LGPL-3.0-or-later
"""The log of API calls, so that a test can say "200 calls" and a person can look."""

import threading
from collections import Counter, deque

from .clock import iso

#: How many calls are kept; counting goes on beyond.
KEPT = 20_000


class Calls:
    def __init__(self, clock):
        self._clock = clock
        self._lock = threading.Lock()
        self.clear()

    def clear(self):
        with self._lock:
            self._log = deque(maxlen=KEPT)
            self._counts = Counter()

    def add(self, method, path, query, status, seconds, body, faults):
        """``body`` is the parsed request; ``status`` None: no answer was given."""
        with self._lock:
            self._counts[method, path, status] += 1
            self._log.append(
                {
                    "method": method,
                    "path": path,
                    "query": query,
                    "status": status,
                    "seconds": round(seconds, 4),
                    "at": iso(self._clock.now()),
                    "body": body,
                    "faults": faults,
                }
            )

    def list(self, path_prefix=None):
        """Calls, oldest first; the prefix may leave out ``/third-parties``."""
        with self._lock:
            return [c for c in self._log if _fits(c["path"], path_prefix)]

    def count(self, path_prefix=None, method=None, status=None):
        with self._lock:
            return sum(
                count
                for (its_method, path, its_status), count in self._counts.items()
                if _fits(path, path_prefix)
                and (method is None or its_method == method.upper())
                and (status is None or its_status == status)
            )


def _fits(path, prefix):
    if not prefix:
        return True
    return path.startswith(prefix) or path.removeprefix("/third-parties").startswith(
        prefix
    )
