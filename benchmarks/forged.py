# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Forged deliveries at an application without a checksum key, and an honest invoice.

Nothing tells such a delivery from a true one, so Odoo asks ClickPesa about it. An
attacker sends a hundred a second, each with an id of its own; meanwhile invoices are
confirmed, and their numbers must be registered all the same. Calls are limited as they
are by default. It sends to this machine alone, for a bounded time.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

from devtools.bench_results import Bar, Result, Row
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .books import draft_invoices
from .hostile import SENDERS, _send, _Target
from .tasks import task

NAME = "forged"
TITLE = "an honest invoice's number beside a hundred forged deliveries per second"
RATE = 100
# Seconds of the attack, and seconds between invoices.
SECONDS, PAUSE = 60, 5
# As by default (ClickPesa's own limit).
CALLS_PER_MINUTE = 100
LIMIT = 5.0
PATIENCE = 120


def run(bed):
    seconds = 15 if bed.quick else SECONDS
    sandbox = bed.sandbox()
    sandbox.call("settings", {"checksum_key": ""})
    with step("a database with the add-on and Odoo's server"):
        database = bed.with_addon()
        worker = bed.worker(database)
        worker.do("prepare_company")
        application = worker.do(
            "prepare_application",
            url=sandbox.url,
            credentials=SANDBOX,
            clickpesa_calls_per_minute=CALLS_PER_MINUTE,
            clickpesa_checksum_key=False,
        )
        server = bed.server(database, cron_threads=1)
        alone = worker.do("register_honest", patience=PATIENCE)
    before = len(sandbox.call("calls?prefix="))
    with step(f"{RATE}/s for {seconds} s, an invoice each {PAUSE} s"):
        delays, attacked = _beside(
            worker, ("127.0.0.1", server.port, application["token"], {}), seconds
        )
    kept = worker.do("unsigned_kept")
    calls = len(sandbox.call("calls?prefix=")) - before
    return Result(
        NAME,
        "s until the number is registered",
        (
            Row("invoices, beside the forged", tuple(delays)),
            Row("an invoice, alone", (alone,)),
        ),
        bars=(Bar("slowest invoice, s", max(delays), LIMIT),),
        notes=(
            f"{attacked['count']:,} forged at {attacked['per_second']}/s, answered "
            f"with {attacked['statuses']}; {kept} of them stored",
            f"calls to ClickPesa meanwhile: {calls}",
        ),
    )


def _beside(worker, where, seconds):
    """Confirm invoices beside the attack; their delays, and the attack's figures."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as attacker:
        attacker.submit(time.monotonic).result()  # it has started
        begin = time.monotonic()
        attack = attacker.submit(_forge, where, seconds)
        delays = []
        while time.monotonic() - begin < seconds - PAUSE:
            time.sleep(PAUSE)
            delays.append(worker.do("register_honest", patience=PATIENCE))
        attacked = attack.result()
    if not attacked["statuses"].get(200):
        raise Problem("no forged delivery was taken, so nothing was measured")
    return delays, attacked


def _forge(where, seconds):
    return _send(_Target(*where), _Target(*where).unsigned, RATE, seconds, SENDERS)


@task
def register_honest(env, patience):
    """Confirm an invoice; seconds until its number is registered at ClickPesa.

    The server's scheduled action registers it; this only looks.
    """
    move = draft_invoices(env, 1)
    start = time.monotonic()
    move.action_post()
    env.cr.commit()
    number = move.sudo().billpay_number_id
    while time.monotonic() - start < patience:
        number.invalidate_recordset()
        if number.state == "open":
            seconds = time.monotonic() - start
            env.cr.rollback()
            return seconds
        env.cr.rollback()
        time.sleep(0.05)
    raise ValueError(f"number {number.name} is {number.state}: {number.sync_error}")


@task
def unsigned_kept(env):
    """How many deliveries were stored."""
    return env["billpay.event"].search_count([])
