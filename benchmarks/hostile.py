# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Hostile deliveries beside good ones: how much do the good ones suffer?

Good deliveries are sent alone, then beside a hundred hostile ones per second. Sends to
this machine alone, for a bounded time, and no more than ``rate`` per second.
"""

import contextlib
import http.client
import itertools
import json
import multiprocessing
import os
import random
import secrets
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from urllib.parse import urlsplit

from devtools.bench_results import Bar, Result, Row, paired_ratio
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .tasks import task

NAME = "hostile"
TITLE = "good deliveries beside a hundred hostile ones per second"
RATE = 100
# Seconds of each half of a round: thirty in all, in turns, as the machine wavers.
ROUNDS, SECONDS = 3, 10
SLOWER = 2.0
# Good deliveries before anything is measured.
WARM_UP = 50
MAX_SECONDS = 60
MAX_RATE = 500
# Good deliveries per second, with and without the hostile ones.
GOOD_RATE = 5
SENDERS = 8
# A little more than the webhook takes (bytes).
OVERSIZED = 300 * 1024
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def run(bed):
    rounds, seconds = (1, 5) if bed.quick else (ROUNDS, SECONDS)
    with step("a database with the add-on and Odoo's server"):
        worker = bed.worker(bed.with_addon())
        worker.do("prepare_company")
        application = worker.do(
            "prepare_application", url="http://127.0.0.1:9", credentials=SANDBOX
        )
        server = bed.server(worker.database)
    token = application["token"]
    good = 2 * GOOD_RATE * seconds * rounds
    bodies = worker.do(
        "signed_deliveries",
        first=0,
        count=good + WARM_UP,
        key=SANDBOX["checksum-key"],
    )
    target = _Target("127.0.0.1", server.port, token, {})
    with step("warming up"):
        for body in bodies[good:]:
            if target.post(target.path, body.encode(), {}) != 200:
                raise Problem("the server does not take a good delivery")
    before = worker.do("row_counts")
    numbers = itertools.count()
    with step(f"{rounds} rounds: {seconds} s alone, {seconds} s beside {RATE}/s"):
        found = [
            hostile(
                server.url,
                token,
                lambda _index: bodies[next(numbers)].encode(),
                rate=RATE,
                seconds=seconds,
            )
            for _round in range(rounds)
        ]
    after = worker.do("row_counts")
    growth = {
        name: count - before.get(name, 0)
        for name, count in after.items()
        if count > before.get(name, 0)
    }
    # Each good delivery is a row.
    growth["billpay_event"] = growth.get("billpay_event", 0) - good
    return _result(found, growth, good)


def _result(found, growth, good):
    def figures(part, name):
        return tuple(each[part][name] for each in found)

    def slower(name):
        return paired_ratio(figures("beside", name), figures("alone", name))

    rows = [
        Row(f"{words}, {label}", figures(part, name))
        for name, label in (("p95_ms", "95th percentile"), ("p50_ms", "median"))
        for part, words in (
            ("beside", "good, beside hostile"),
            ("alone", "good, alone"),
            ("hostile", "hostile"),
        )
    ]
    taken, answers = Counter(), Counter()
    for each in found:
        taken.update(each["alone"]["statuses"])
        taken.update(each["beside"]["statuses"])
        answers.update(each["hostile"]["statuses"])
    # There is a row of the day, and a day may end meanwhile.
    return Result(
        NAME,
        "ms to the answer",
        tuple(rows),
        bars=(
            Bar("median beside / alone", slower("p50_ms"), SLOWER),
            Bar("95th percentile beside / alone", slower("p95_ms"), SLOWER),
            Bar("good deliveries not taken", good - taken[200], 0),
            Bar("hostile deliveries taken", answers[200], 0),
            Bar("rows left by the hostile", sum(growth.values()), 2),
        ),
        ratio=slower("p95_ms"),
        notes=(
            f"{answers.total():,} hostile at "
            f"{min(figures('hostile', 'per_second'))}/s, answered with {dict(answers)}",
            f"rows besides good deliveries: {growth}",
        ),
    )


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
    where = parts.hostname, parts.port or 80, token, headers or {}
    target = _Target(*where)
    numbers = itertools.count()

    def good():
        return target.path, signer(next(numbers)), {}

    alone = _send(target, good, GOOD_RATE, seconds, senders=2)
    # A process of its own, as in life: the times of the good ones are not to be
    # those of a thread that waits for the attackers' threads.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as attacker:
        attacker.submit(time.monotonic).result()  # it has started
        attack = attacker.submit(_attack, where, rate, seconds)
        beside = _send(target, good, GOOD_RATE, seconds, senders=2)
        attacked = attack.result()
    return {
        "alone": alone,
        "beside": beside,
        "hostile": attacked,
        "slower": round(beside["p95_ms"] / alone["p95_ms"], 2),
    }


def _attack(where, rate, seconds):
    target = _Target(*where)
    attacks = itertools.cycle(
        (target.unsigned, target.forged, target.noise, target.oversized, target.lost)
    )
    return _send(target, lambda: next(attacks)(), rate, seconds, senders=SENDERS)


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


@task
def row_counts(env):
    """How many rows each table has."""
    env.cr.execute(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n"
        " ON n.oid = c.relnamespace WHERE nspname = 'public' AND relkind = 'r'"
    )
    counts = {}
    for (name,) in env.cr.fetchall():
        env.cr.execute(f"SELECT count(*) FROM {name}")
        [(counts[name],)] = env.cr.fetchall()
    return counts
