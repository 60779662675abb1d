# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Hostile deliveries beside good ones: how much do the good ones suffer?

Standard library only. Sends to this machine alone, for a bounded time, and no more than
``rate`` per second.
"""

import contextlib
import http.client
import itertools
import json
import os
import random
import secrets
import statistics
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

MAX_SECONDS = 60
MAX_RATE = 500
# Good deliveries per second, with and without the hostile ones.
GOOD_RATE = 5
SENDERS = 8
# A little more than the webhook takes (bytes).
OVERSIZED = 300 * 1024
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def hostile(url, token, signer, rate=100, seconds=30, headers=None):
    """Send good deliveries alone, then with hostile ones, each for ``seconds``.

    Hostile are, in turn: no signature, a wrong one, random bytes, too large, an
    unknown address.

    :param str url: address of an Odoo server on this machine
    :param str token: of the webhook address
    :param signer: ``signer(index)`` returns the body (bytes) of a good delivery that
        was not sent before
    :param float rate: hostile deliveries per second
    :param float seconds: how long each half lasts
    :param dict headers: sent with every request, such as ``X-Odoo-Database``
    :return: ``alone`` and ``beside``: figures of the good deliveries (``count``,
        ``p50_ms``, ``p95_ms``, ``statuses``); ``hostile``: the same of the others, and
        their ``per_second``; ``slower``: how many times p95 grew
    :rtype: dict
    :raise ValueError: another machine, or more than the bounds
    """
    parts = urlsplit(url)
    if parts.hostname not in LOOPBACK:
        raise ValueError("Hostile deliveries are sent to this machine only.")
    if not (0 < seconds <= MAX_SECONDS and 0 < rate <= MAX_RATE):
        raise ValueError("At most %s seconds and %s/s." % (MAX_SECONDS, MAX_RATE))
    target = _Target(parts.hostname, parts.port or 80, token, headers or {})
    numbers = itertools.count()

    def good():
        return target.path, signer(next(numbers)), {}

    attacks = itertools.cycle(
        (target.unsigned, target.forged, target.noise, target.oversized, target.lost)
    )

    def bad():
        return next(attacks)()

    alone = _send(target, good, GOOD_RATE, seconds, senders=2)
    results = {}

    def attack():
        results["hostile"] = _send(target, bad, rate, seconds, senders=SENDERS)

    attacker = threading.Thread(target=attack)
    attacker.start()
    beside = _send(target, good, GOOD_RATE, seconds, senders=2)
    attacker.join()
    return {
        "alone": alone,
        "beside": beside,
        "hostile": results["hostile"],
        "slower": round(beside["p95_ms"] / alone["p95_ms"], 2),
    }


class _Target:
    """Where deliveries go, and what hostile ones look like."""

    def __init__(self, host, port, token, headers):
        self.host, self.port, self.headers = host, port, headers
        self.path = "/payment/clickpesa/webhook/%s" % token

    def _body(self, **more):
        return {
            "event": "PAYMENT RECEIVED",
            "data": {
                "id": "HOSTILE%s" % secrets.token_hex(8),
                "status": "SUCCESS",
                "collectedAmount": "1000000",
                "collectedCurrency": "TZS",
                "orderReference": "1122%s" % random.randrange(10**10),
            },
            **more,
        }

    def unsigned(self):
        return self.path, json.dumps(self._body()).encode(), {}

    def forged(self):
        body = self._body(checksum=secrets.token_hex(32))
        return self.path, json.dumps(body).encode(), {}

    def noise(self):
        return self.path, os.urandom(2048), {}

    def oversized(self):
        return self.path, b"x" * OVERSIZED, {}

    def lost(self):
        path = self.path.rpartition("/")[0] + "/" + secrets.token_urlsafe(24)
        return path, json.dumps(self._body()).encode(), {}

    def post(self, path, body, headers):
        """Return the status, or the name of what went wrong on the way."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        with contextlib.closing(connection):
            try:
                connection.request(
                    "POST",
                    path,
                    body,
                    {"Content-Type": "application/json", **self.headers, **headers},
                )
            except (BrokenPipeError, ConnectionResetError):
                # Refused before it was read; the answer may be there all the same.
                pass
            try:
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException) as error:
                return type(error).__name__
            return response.status


def _send(target, make, rate, seconds, senders):
    """Send ``rate`` requests per second from several threads; return figures.

    Each request has its moment, whether the one before was answered or not: a slow
    server is not spared.
    """
    begin = time.monotonic()
    turns = iter(range(int(rate * seconds)))
    lock = threading.Lock()
    times, statuses = [], Counter()

    def work():
        while True:
            with lock:
                turn = next(turns, None)
            if turn is None:
                return
            with lock:
                request = make()
            due = begin + turn / rate
            time.sleep(max(0.0, due - time.monotonic()))
            # From when it was due: waiting for a free sender counts as waiting.
            status = target.post(*request)
            with lock:
                times.append(time.monotonic() - due)
                statuses[status] += 1

    threads = [threading.Thread(target=work) for _each in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "count": len(times),
        "per_second": round(len(times) / (time.monotonic() - begin), 1),
        "p50_ms": round(1000 * statistics.median(times), 1),
        "p95_ms": round(1000 * sorted(times)[int(0.95 * (len(times) - 1))], 1),
        "statuses": dict(statuses),
    }
