# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How long it takes from the payer's payment to the paid invoice.

The sandbox is paid five times a second and announces each payment by webhook to a real
server with one thread for scheduled actions. Each payment is confirmed by asking the
sandbox, as the default is. What counts is when a reader of the database sees the
invoice as paid.
"""

import time

from devtools.bench_results import Bar, Result, Row, median, percentile
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .books import AMOUNT
from .tasks import task

NAME = "latency"
TITLE = "from the payment to the paid invoice, at five payments a second"
PER_SECOND = 5
WARM_UP = 10
LIMIT = 2.0
# Seconds to wait for the last ones: longer than the pause before a second try.
PATIENCE = 150
SETTLED = 3


def run(bed):
    seconds = 10 if bed.quick else 60
    count = seconds * PER_SECOND
    sandbox = bed.sandbox()
    with step(f"{count} invoices with registered numbers"):
        database = bed.with_addon()
        worker = bed.worker(database)
        worker.do("prepare_company")
        application = worker.do(
            "prepare_application", url=sandbox.url, credentials=SANDBOX
        )
        made = worker.do("make_posted_invoices", count=count + WARM_UP)
        worker.do("register_all")
    bills = list(zip(made["moves"], made["numbers"], strict=True))
    with step("Odoo's server with one thread for scheduled actions"):
        server = bed.server(database, cron_threads=1)
        hook = f"{server.url}/payment/clickpesa/webhook/{application['token']}"
        sandbox.call("settings", {"webhook_url": hook})
        _measure(worker, sandbox, bills[:WARM_UP])
        # What a server does first after its start is not what is asked for.
        time.sleep(SETTLED)
    with step(f"{count} payments in {seconds} s"):
        delays = _measure(worker, sandbox, bills[WARM_UP:])
    slow = percentile(delays, 95)
    return Result(
        NAME,
        "s to the paid invoice (95th percentile)",
        (Row("ours", (slow,)),),
        bars=(Bar("95th percentile, s", slow, LIMIT),),
        notes=(
            f"{count} payments; median {median(delays):.2f} s, "
            f"slowest {max(delays):.2f} s",
        ),
    )


def _measure(worker, sandbox, bills):
    """Pay these at an even pace; seconds until each invoice was paid."""
    worker.send(
        "watch_paid",
        moves=[move for move, _number in bills],
        patience=len(bills) / PER_SECOND + PATIENCE,
    )
    begun, start = {}, time.monotonic()
    for index, (move, number) in enumerate(bills):
        time.sleep(max(0.0, start + index / PER_SECOND - time.monotonic()))
        begun[str(move)] = time.time()
        sandbox.pay(number, AMOUNT, deliver=True)
    late = time.monotonic() - start - (len(bills) - 1) / PER_SECOND
    if late > 1:
        raise Problem(f"the sandbox was paid {late:.1f} s too slowly for this pace")
    paid = worker.receive()
    if len(paid) != len(bills):
        raise Problem(
            f"only {len(paid)} of {len(bills)} invoices were paid in time; "
            f"{worker.do('ledger_states')}"
        )
    return [paid[move] - begun[move] for move in begun]


@task
def register_all(env):
    """Register every reserved number; an error when one is left."""
    numbers = env["billpay.control.number"]
    numbers._cron_sync_numbers()
    left = numbers.search_count([("state", "!=", "open")])
    if left:
        raise ValueError(f"{left} numbers are not open")


@task
def watch_paid(env, moves, patience):
    """Look until these invoices are paid; the moment of each, seconds since 1970.

    On a connection of its own that sees every commit at once.
    """
    import psycopg2

    from odoo import sql_db

    connection = psycopg2.connect(**sql_db.connection_info_for(env.cr.dbname)[1])
    connection.autocommit = True
    env.cr.commit()
    waiting, seen = set(moves), {}
    deadline = time.monotonic() + patience
    try:
        with connection.cursor() as cr:
            while waiting and time.monotonic() < deadline:
                cr.execute(
                    "SELECT id FROM account_move WHERE id = ANY(%s)"
                    " AND payment_state IN ('paid', 'in_payment')",
                    (list(waiting),),
                )
                now = time.time()
                for (move,) in cr.fetchall():
                    seen[str(move)] = now
                    waiting.discard(move)
                time.sleep(0.02)
    finally:
        connection.close()
    return seen


@task
def ledger_states(env):
    """Where deliveries and payments are, for a message."""
    counts = []
    for model in ("billpay.event", "billpay.payment"):
        found = env[model]._read_group([], ["state"], ["__count"])
        counts.append(f"{model}: {dict(found)}")
    late = env["billpay.payment"].search([("state", "!=", "posted")], limit=1)
    if late:
        counts.append(f"{late.reference}: {late.reason}, next try {late.next_try_at}")
    return "; ".join(counts)
