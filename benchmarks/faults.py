# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Two thousand payments while everything goes wrong: is each booked exactly once?

The run is the add-on's own, ``billpay_odoo/tests/fault_run.py``, whose short form is a
test. Here PostgreSQL itself is restarted in the middle. A server that was brought along
(``PGHOST``) is left running, and only its connections are ended.
"""

import socket
import threading

from devtools import postgres
from devtools.bench_results import Bar, Result, Row
from devtools.console import Problem, step, warn

from .tasks import task

NAME = "faults"
TITLE = "payments while workers are killed and the database restarts"
PAYMENTS, QUICK = 2000, 200
SERVERS = 2
KILL_EVERY = 3.0
# Differences that are printed.
SHOWN = 10


def run(bed):
    count = QUICK if bed.quick else PAYMENTS
    with step("a database with the add-on"):
        worker = bed.worker(bed.with_addon())
    with (
        step(f"{count:,} payments, kills, and a restart of the database"),
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        restarts = []
        threading.Thread(
            target=_restart_when_asked, args=(listener, restarts), daemon=True
        ).start()
        found = worker.do(
            "run_faults",
            count=count,
            kill_every=0.5 if bed.quick else KILL_EVERY,
            restart_port=None if postgres.is_external() else listener.getsockname()[1],
        )
    for text in found["differences"][:SHOWN]:
        warn(text)
    return _result(found, count, len(restarts))


def _restart_when_asked(listener, restarts):
    """Restart PostgreSQL when somebody connects, and tell when it is up."""
    try:
        line = listener.accept()[0]
    except OSError:
        return  # closed: the run ended before its middle
    with line:
        postgres.stop()
        postgres.start()
        restarts.append(True)
        line.sendall(b"up\n")


def _result(found, count, restarts):
    facts, sums = found["facts"], found["sums"]
    if not sums:
        raise Problem("the fault run broke: " + "; ".join(found["differences"]))
    missing = sums["clickpesa"] - sums["booked"] - sums["unmatched"]
    planned = ("repeated", "disordered", "silent", "unknown", "under", "over")
    return Result(
        NAME,
        "payments that are not booked exactly once",
        (Row("ours", (len(found["differences"]),)),),
        bars=(
            Bar("differences", len(found["differences"]), 0),
            Bar("TZS at ClickPesa but not in the books", abs(missing), 0),
            Bar(
                "TZS at ClickPesa but not in the ledger",
                abs(sums["clickpesa"] - sums["ledger"]),
                0,
            ),
            Bar("kills", facts.get("killed", 0), 1, at_most=False),
            Bar(
                "interruptions of the database",
                facts.get("restarts", 0),
                1,
                at_most=False,
            ),
        ),
        notes=(
            f"{count:,} payments of {sums['clickpesa']:,} TZS: booked "
            f"{sums['booked']:,}, unmatched {sums['unmatched']:,}; seed "
            f"{found['seed']}",
            ", ".join(f"{name} {facts.get(name, 0)}" for name in planned),
            f"{facts.get('killed', 0)} kills; PostgreSQL restarted "
            f"{restarts} time(s), ending {facts.get('runs ended by the restart', 0)} "
            "runs of a worker",
            f"{facts.get('deliveries', 0):,} deliveries, of which "
            f"{facts.get('refused deliveries', 0)} were not answered with 200; "
            f"{facts['seconds']} s, {facts['prepared_s']} of them to prepare",
        ),
    )


@task(cursor=False)
def run_faults(database, count, kill_every, restart_port):
    """Do the run; what it found.

    :param restart_port: where to ask for a restart of PostgreSQL; ``None``: end the
        connections only.
    """
    from odoo.addons.billpay_odoo.tests.fault_run import FaultRun
    from odoo.addons.billpay_odoo.tests.processes import Database, Processes

    live = Database(database)
    live.connect()
    live("UPDATE ir_cron SET active = false")

    def restart():
        if restart_port is None:
            live.end_connections()
            return
        with socket.create_connection(("127.0.0.1", restart_port)) as line:
            if line.makefile().readline() != "up\n":
                raise AssertionError("PostgreSQL was not restarted")
        live.connect()

    processes = Processes(live)
    try:
        processes.start()
        done = FaultRun(
            live, processes, restart, count, servers=SERVERS, kill_every=kill_every
        ).run()
        return {
            "seed": done.seed,
            "facts": dict(done.facts),
            "differences": done.differences(),
            "sums": None if done.errors else done.sums(),
        }
    finally:
        processes.stop()
        live.close()
