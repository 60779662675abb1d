# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Many payments through everything that goes wrong, then a comparison of the books.

Of the payments 20 % are announced more than once, 10 % out of order, 10 % not at all
(the poll finds them), 5 % name a number nobody has, and 5 % are too small or too large.
Two payment workers book meanwhile, one of them is killed again and again in the middle
of a transaction, and the database ends every connection once.

``./dev test`` runs a short form, ``./dev bench faults`` all of it.
"""

import contextlib
import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import psycopg2

from clickpesa_sandbox import Sandbox, create_app
from clickpesa_sandbox.server import Server

from .processes import eventually, post

CHECKSUM_KEY = "CHKtest"
NAMBA = "1122"
SENDERS = 4
# Invoices in one task, so that each is done in time.
INVOICES = 200
# Seconds between two runs of a worker that found nothing, and between two polls.
PAUSE, POLL_EVERY = 0.2, 2
# Seconds until a worker is through with its backlog.
PATIENCE = 600
# How often a delivery is tried that was not answered with 200.
TRIES = 5
# Rounds of polling and booking after the last delivery.
ROUNDS = 10
# What a worker may die of when the database ends its connection.
CONNECTION_ENDED = ("OperationalError", "InterfaceError", "AdminShutdown")


@dataclass
class Planned:
    """One payment that will be made.

    ``due`` is what its invoice asks for, ``None`` when no invoice has the number (TZS).
    """

    number: str
    amount: int
    move: int | None
    due: int | None
    kinds: set
    paid: dict = field(default_factory=dict)


class FaultRun:
    """One run, on a database in which nothing else happens.

    :param database: ``processes.Database``, connected
    :param processes: ``processes.Processes``, started
    :param restart: called once in the middle; ends every connection to the database
    :param int count: how many payments
    :param int servers: Odoo servers that take deliveries
    :param float kill_every: seconds between two kills
    :param int seed: of the plan, which is told when something is wrong
    """

    def __init__(
        self, database, processes, restart, count, servers=1, kill_every=3.0, seed=None
    ):
        self.db, self.processes, self.restart = database, processes, restart
        self.count, self.kill_every = count, kill_every
        self.servers = servers
        self.seed = random.randrange(10**6) if seed is None else seed
        self.random = random.Random(self.seed)
        self.facts = Counter()
        self.errors = []
        self._over = threading.Event()
        self._killed, self._victim = set(), None
        self._restarted = False
        self._ends = contextlib.ExitStack()

    # === BEFORE === #

    def prepare(self):
        """Make company, application, invoices with registered numbers, and the plan."""
        self.sandbox = Sandbox(
            checksum_key=CHECKSUM_KEY, billpay_namba=NAMBA, deliver="manual"
        )
        self._ends.callback(self.sandbox.close)
        server = Server(create_app(self.sandbox)).start()
        self._ends.callback(server.stop)
        run = self.processes.run
        self.company = run("company")
        made = run(
            "application",
            company=self.company,
            url=server.url + "/third-parties",
            checksum_key=CHECKSUM_KEY,
        )
        self.provider = made["id"]
        self.path = "/payment/clickpesa/webhook/" + made["token"]
        kinds = self._kinds()
        amounts = [
            self.random.randrange(20, 900) * 1000
            for each in kinds
            if "unknown" not in each
        ]
        bills = []
        for first in range(0, len(amounts), INVOICES):
            part = amounts[first : first + INVOICES]
            bills += run("invoices", company=self.company, amounts=part)
        run("sync")
        left = self.db.value(
            "SELECT count(*) FROM billpay_control_number"
            " WHERE provider_id = %s AND state <> 'open'",
            self.provider,
        )
        if left:
            raise AssertionError("%s numbers were not registered" % left)
        # Booked is what comes from here on.
        self.last_item = self.db.value("SELECT max(id) FROM account_move_line")
        asked = iter(zip(bills, amounts, strict=True))
        self.plan = [self._planned(index, each, asked) for index, each in kinds]
        self.ports = self.processes.serve(self.servers)

    def _kinds(self):
        """``[(index, kinds)]``: what happens to each payment, exact in numbers."""
        kinds = [set() for _each in range(self.count)]
        for name, percent in (
            ("repeated", 20),
            ("disordered", 10),
            ("silent", 10),
            ("unknown", 5),
            ("under", 2.5),
            ("over", 2.5),
        ):
            # What is not announced is neither repeated nor late, and what is unknown
            # owes nothing.
            apart = {
                "silent": {"repeated", "disordered"},
                "under": {"unknown"},
                "over": {"unknown", "under"},
            }.get(name, set())
            free = [each for each in kinds if not each & apart]
            chosen = self.random.sample(free, max(1, round(self.count * percent / 100)))
            for each in chosen:
                each.add(name)
                self.facts[name] += 1
        return list(enumerate(kinds))

    def _planned(self, index, kinds, asked):
        if "unknown" in kinds:
            amount = self.random.randrange(20, 900) * 1000
            return Planned(f"{NAMBA}999{index:06d}", amount, None, None, kinds)
        (move, number), due = next(asked)
        share = self.random.randrange(1000, due, 1000)
        change = (-share if "under" in kinds else 0) + (share if "over" in kinds else 0)
        return Planned(number, due + change, move, due, kinds)

    # === MEANWHILE === #

    def run(self):
        """Let it all happen, and end when nothing is left to be done."""
        begin = time.monotonic()
        with self._ends:
            self.prepare()
            self.facts["prepared_s"] = round(time.monotonic() - begin)
            others = [
                self._thread(self._work, "first"),
                self._thread(self._work, "second"),
                self._thread(self._poll),
                self._thread(self._kill),
            ]
            try:
                self._steps = iter(self._story())
                self._turn = threading.Lock()
                senders = [self._thread(self._send) for _each in range(SENDERS)]
                for thread in senders:
                    thread.join()
                if not self.errors:
                    # The victim has been working for a while, and dies as well.
                    eventually(
                        lambda: self.facts["killed"] or self.errors, "a first kill"
                    )
            finally:
                self._over.set()
                for thread in others:
                    thread.join()
            if not self.errors:
                self._settle()
            self.told = self.sandbox.payments()
            self.facts["seconds"] = round(time.monotonic() - begin)
        return self

    def _thread(self, target, *args):
        def guarded():
            try:
                target(*args)
            except Exception as error:  # noqa: BLE001 - the run's caller is told
                self.errors.append("%s: %s" % (type(error).__name__, error))

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    def _story(self):
        """What happens in which order: ``[("pay" | "tell" | …, payment)]``."""
        steps, far = [], max(10, self.count // 4)
        for index, payment in enumerate(self.plan):
            steps.append((index, "pay", payment))
            if "silent" in payment.kinds:
                continue
            late = "disordered" in payment.kinds
            told = index + (self.random.uniform(5, far) if late else 0.5)
            steps.append((told, "tell", payment))
            if late:
                # An older word comes after the last one.
                steps.append((told + self.random.random() * 5, "tell_older", payment))
            if "repeated" in payment.kinds:
                again = told + self.random.choice((0.01, self.random.uniform(1, far)))
                steps.append((again, "tell", payment))
        steps.append((self.count / 2, "restart", None))
        return [step[1:] for step in sorted(steps, key=lambda step: step[0])]

    def _send(self):
        while not self.errors:
            with self._turn:
                kind, payment = next(self._steps, (None, None))
                if kind == "pay":
                    payment.paid = self.sandbox.pay(
                        payment.number, payment.amount, deliver=False
                    )
            if kind is None:
                return
            if kind == "restart":
                self._restarted = True
                self.restart()
                self.facts["restarts"] += 1
            elif kind != "pay":
                self._tell(payment, older=kind == "tell_older")

    def _tell(self, payment, older):
        """Deliver, and again a few times when the answer is not 200."""
        change = older and {
            "status": "PROCESSING",
            "updatedAt": "2020-01-01T00:00:00.000Z",
        }
        body = self.sandbox.webhook_body(payment.paid["id"], change=change or None)
        for _each in range(TRIES):
            port = self.random.choice(self.ports)
            self.facts["deliveries"] += 1
            try:
                status = post(port, self.path, json.dumps(body).encode())
            except (OSError, http.client.HTTPException) as error:
                status = type(error).__name__
            if status == 200:
                return
            self.facts["refused deliveries"] += 1
            if not self._restarted:
                self.errors.append("a delivery was answered with %s" % status)
            self._over.wait(PAUSE)
        self.facts["lost deliveries"] += 1

    def _work(self, name):
        """One payment worker: runs again and again, whatever becomes of a run."""
        while not self._over.is_set():
            self._run_worker("process", victim=name == "second")
            self._over.wait(PAUSE)

    def _poll(self):
        while not self._over.wait(POLL_EVERY):
            self._run_worker("poll")

    def _run_worker(self, task, victim=False):
        pid = None
        try:
            worker = self.processes.begin(task)
            pid = worker.pid
            if victim:
                self._victim = pid
            worker.result(PATIENCE)
        except (AssertionError, OSError) as error:
            if pid in self._killed:
                return
            ended = any(word in str(error) for word in CONNECTION_ENDED)
            if not (self._restarted and ended):
                self.errors.append(str(error))
            self.facts["runs ended by the restart"] += 1
        finally:
            if victim:
                self._victim = None

    def _kill(self):
        """Kill the second worker now and then, while it is writing."""
        while not self._over.wait(self.kill_every):
            while not self._over.wait(0.01):
                pid = self._victim
                if pid is None or pid in self._killed:
                    continue
                with contextlib.suppress(psycopg2.Error, ProcessLookupError):
                    if self.db.connections(pid, "backend_xid IS NOT NULL"):
                        self._killed.add(pid)
                        os.kill(pid, signal.SIGKILL)
                        self.facts["killed"] += 1
                        break

    # === AFTERWARDS === #

    def _settle(self):
        """Let pauses run out, poll and book until nothing waits."""
        for _round in range(ROUNDS):
            self.db(
                "UPDATE billpay_payment SET next_try_at = NULL"
                " WHERE provider_id = %s AND next_try_at IS NOT NULL",
                self.provider,
            )
            self.db(
                "UPDATE payment_provider SET billpay_paused_until = NULL WHERE id = %s",
                self.provider,
            )
            self.processes.begin("poll").result(PATIENCE)
            self.processes.begin("process").result(PATIENCE)
            if not self.waiting():
                return

    def waiting(self):
        """How many deliveries and payments still wait for a worker."""
        return self.db.value(
            "SELECT (SELECT count(*) FROM billpay_event"
            "         WHERE provider_id = %s AND state = 'new')"
            "     + (SELECT count(*) FROM billpay_payment WHERE provider_id = %s"
            "         AND state IN ('received', 'confirmed', 'failed'))",
            self.provider,
            self.provider,
        )

    def sums(self):
        """Sums (TZS) of all that ClickPesa, the ledger and the books have.

        ``booked`` are the receivable sides of all entries of the company since the run
        began: with fees, that is what the payer paid.

        :return: ``clickpesa``, ``ledger``, ``booked``, ``unmatched``
        :rtype: dict
        """
        [sums] = self.db(
            """
            SELECT (SELECT COALESCE(sum(amount), 0)::bigint FROM billpay_payment
                     WHERE provider_id = %s),
                   (SELECT COALESCE(sum(l.credit - l.debit), 0)::bigint
                      FROM account_move_line l
                      JOIN account_move m ON m.id = l.move_id
                      JOIN account_account a ON a.id = l.account_id
                     WHERE l.company_id = %s AND l.id > %s AND m.state = 'posted'
                       AND m.move_type = 'entry'
                       AND a.account_type = 'asset_receivable'),
                   (SELECT COALESCE(sum(amount), 0)::bigint FROM billpay_payment
                     WHERE provider_id = %s AND state = 'unmatched')
            """,
            self.provider,
            self.company,
            self.last_item,
            self.provider,
        )
        told = sum(int(float(row["collectedAmount"])) for row in self.told)
        names = ("ledger", "booked", "unmatched")
        return {"clickpesa": told, **dict(zip(names, sums, strict=True))}

    def differences(self):
        """What ClickPesa and the books do not agree on, payment by payment.

        :return: one text for each; none when all is well
        :rtype: list[str]
        """
        wrong = list(self.errors)
        if wrong:
            return wrong
        sums = self.sums()
        if not (
            sums["clickpesa"] == sums["ledger"] == sums["booked"] + sums["unmatched"]
        ):
            wrong.append("sums differ: %s" % sums)
        if waiting := self.waiting():
            wrong.append("%s deliveries or payments still wait" % waiting)
        unknown = {each.paid["id"] for each in self.plan if "unknown" in each.kinds}
        expected = Counter()
        for row in self.told:
            amount, stranger = int(float(row["collectedAmount"])), row["id"] in unknown
            state = "unmatched" if stranger else "posted"
            expected[row["id"], amount, state, 0 if stranger else amount] += 1
        found = Counter(self.db(self._PER_PAYMENT, self.provider))
        wrong += ["missing: %s" % (row,) for row in (expected - found).elements()]
        wrong += ["too much: %s" % (row,) for row in (found - expected).elements()]
        return wrong + self._invoices()

    # Reference, amount, state, and what its posted entries take off the receivable.
    _PER_PAYMENT = """
        SELECT p.reference, p.amount::bigint, p.state,
               COALESCE(sum(l.credit - l.debit), 0)::bigint
          FROM billpay_payment p
          LEFT JOIN account_payment ap ON ap.billpay_payment_id = p.id
          LEFT JOIN account_move m ON m.id = ap.move_id AND m.state = 'posted'
          LEFT JOIN (account_move_line l
                     JOIN account_account a ON a.id = l.account_id
                      AND a.account_type = 'asset_receivable') ON l.move_id = m.id
         WHERE p.provider_id = %s
         GROUP BY p.id
    """

    def _invoices(self):
        """Invoices that owe something else than they should."""
        owed = {
            each.move: max(0, each.due - each.amount)
            for each in self.plan
            if each.move is not None
        }
        residuals = self.db(
            "SELECT id, amount_residual::bigint FROM account_move WHERE id = ANY(%s)",
            list(owed),
        )
        return [
            "invoice %s owes %s and not %s" % (move, residual, owed[move])
            for move, residual in residuals
            if residual != owed[move]
        ]
