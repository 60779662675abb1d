# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Ten thousand control numbers registered by the sync worker, and a run for as many.

The numbers are reserved before; what is measured is the worker with its calls, commits
and memory, beside the same worker when it registers them singly. The sandbox answers
at once and shares the machine, so a second here is a second of ours and not of
ClickPesa.

The run is one of ``billpay.run`` for posted invoices. Its worker is killed with SIGKILL
while it reserves, and the sync worker while it registers; others go on.
"""

import time

from devtools.bench_results import Bar, Result, Row
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .books import accountant, make_posted_invoices
from .tasks import measured, task

NAME = "issue"
TITLE = "order numbers registered in bulk, beside one call for each"
BULK = 50
STATEMENTS, MEGABYTES = 1, 150
CREATION = "/billpay/"
BULK_CREATION = "/billpay/bulk-create-order-control-numbers"


def run(bed):
    count, single = (1_000, 50) if bed.quick else (10_000, 200)
    sandbox = bed.sandbox()
    with step("a database with the add-on"):
        database = bed.with_addon()
        # Reserving has a process of its own: its memory is not the sync worker's.
        clerk, worker = bed.worker(database), bed.worker(database)
        worker.do("prepare_company")
        application = worker.do(
            "prepare_application", url=sandbox.url, credentials=SANDBOX
        )
    provider = application["id"]

    def register(size, bulk=BULK):
        clerk.do("reserve_bench_numbers", provider=provider, count=size)
        before = sandbox.count(CREATION)
        done = worker.do("register_numbers", bulk=bulk)
        if done["open"] != size:
            raise Problem(f"{done['open']} of {size} numbers were registered")
        return {**done, "calls": sandbox.count(CREATION) - before, "size": size}

    with step("warming up"):
        register(BULK)
    with step(f"{single} numbers singly, {count:,} in bulk, {single} singly"):
        alone = [register(single, bulk=1)]
        ours = register(count)
        alone.append(register(single, bulk=1))
    with step(f"a run for {count:,} invoices, killed twice"):
        bulk = _run(bed, database, clerk, sandbox, count)
    rows = (
        Row(
            "in bulk, the sync worker", (count / ours["seconds"],), ours["sql"] / count
        ),
        Row(
            "one call for each",
            tuple(single / done["seconds"] for done in alone),
            alone[-1]["sql"] / single,
        ),
        Row("a run, from start to end", (count / bulk["seconds"],)),
    )
    return Result(
        NAME,
        "numbers/s",
        rows,
        bars=(
            Bar("calls to ClickPesa", ours["calls"], count // BULK),
            Bar("SQL per number", rows[0].sql, STATEMENTS),
            Bar("growth of memory, MB", ours["megabytes"], MEGABYTES),
            Bar("run: numbers that are missing", count - bulk["numbers"], 0),
            Bar("run: twins, here or there", bulk["twins"], 0),
            # What a killed worker has asked for is asked for once more.
            Bar("run: bulk calls", bulk["calls"], count // BULK + 1),
            Bar("run: growth of memory, MB", bulk["megabytes"], MEGABYTES),
        ),
        ratio=rows[0].median / rows[1].median,
        notes=(
            f"{count:,} numbers in {ours['seconds']:.1f} s",
            f"run: prepared in {bulk['prepared']:.1f} s, {bulk['kills']} workers"
            f" killed, {bulk['seconds']:.1f} s from start to end",
        ),
    )


def _run(bed, database, clerk, sandbox, count):
    """Let a run do its work, and kill a worker of each kind on the way."""
    prepared = clerk.do("prepare_bench_run", count=count)
    run, start, kills = prepared["run"], time.monotonic(), 0
    before = sandbox.count(BULK_CREATION)
    worker = bed.worker(database)
    worker.send("work_run")
    _wait(lambda: clerk.do("run_counts", run=run)["reserved"] >= count // 3)
    kills += _kill(worker)
    worker = bed.worker(database)
    reserving = worker.do("work_run")
    if clerk.do("run_counts", run=run)["reserved"] != count:
        raise Problem("the run did not reserve all of its numbers")
    worker.send("register_numbers", bulk=BULK)
    _wait(lambda: sandbox.count(BULK_CREATION) - before >= count // BULK // 2)
    kills += _kill(worker)
    # What the killed worker had leased is free after some minutes: now.
    clerk.do("end_leases")
    worker = bed.worker(database)
    registering = worker.do("register_numbers", bulk=BULK)
    worker.do("work_run")
    seconds = time.monotonic() - start
    found = clerk.do("run_counts", run=run)
    there = [number["number"] for number in sandbox.call("numbers")]
    return {
        "seconds": seconds,
        "prepared": prepared["seconds"],
        "kills": kills,
        "numbers": found["open"],
        "twins": found["twins"] + len(there) - len(set(there)),
        "calls": sandbox.count(BULK_CREATION) - before,
        "megabytes": max(reserving["megabytes"], registering["megabytes"]),
    }


def _wait(condition, patience=300):
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise Problem("a run does not go on")
        time.sleep(0.05)


def _kill(worker):
    worker.kill()
    return 1


@task
def prepare_bench_run(env, count):
    """Make posted invoices without numbers, and start a run for them.

    The invoices are copies of one, in the database: confirming ten thousand is not what
    is measured.
    """
    env = accountant(env)
    env.company.billpay_issue_on = "manual"
    move = env["account.move"].browse(make_posted_invoices(env, 1)["moves"])
    env.flush_all()
    moves = _copies(
        env, "account_move", {"name": "'BENCH/' || n", "id": None}, move.id, count - 1
    )
    _copies(env, "account_move_line", {"move_id": "n", "id": None}, move.id, moves)
    env.cr.commit()
    env.invalidate_all()
    start = time.perf_counter()
    wizard = env["billpay.run.wizard"].create(
        {"source": "invoices", "move_ids": [(6, 0, [move.id, *moves])]}
    )
    run = env["billpay.run"].browse(wizard.action_prepare()["res_id"])
    if run.waiting_count != count:
        raise ValueError(f"{run.waiting_count} lines instead of {count}")
    run.action_start()
    env.cr.commit()
    return {"run": run.id, "seconds": time.perf_counter() - start}


def _copies(env, table, values, move, new):
    """Copy rows of an invoice: so many times, or once for each new invoice."""
    env.cr.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
        " AND is_generated = 'NEVER'",
        (table,),
    )
    columns = [
        name for (name,) in env.cr.fetchall() if values.get(name, "") is not None
    ]
    source = ", ".join(values.get(name) or f't."{name}"' for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    key = "id" if table == "account_move" else "move_id"
    if isinstance(new, int):
        new = list(range(new))
    env.cr.execute(
        f"INSERT INTO {table} ({names}) SELECT {source}"
        f" FROM {table} t, unnest(%s) n WHERE t.{key} = %s RETURNING id",
        (new, move),
    )
    return [row for (row,) in env.cr.fetchall()]


@task
def work_run(env):
    """Let the run worker do all that is due."""
    with _Memory() as memory:
        env["billpay.run"]._cron_bulk_runs()
    return {"megabytes": memory.megabytes}


@task
def run_counts(env, run):
    env.cr.rollback()
    env.cr.execute(
        """
        SELECT count(*) FILTER (WHERE line.state = 'reserved'),
               count(DISTINCT number.id) FILTER (WHERE number.state = 'open'),
               count(number.id) - count(DISTINCT number.move_id)
          FROM billpay_run_line line
     LEFT JOIN billpay_control_number number ON number.move_id = line.move_id
         WHERE line.run_id = %s
        """,
        (run,),
    )
    reserved, opened, twins = env.cr.fetchone()
    return {"reserved": reserved, "open": opened, "twins": twins}


@task
def end_leases(env):
    env.cr.execute(
        "UPDATE billpay_control_number SET sync_at = now() AT TIME ZONE 'UTC'"
        " WHERE sync_at IS NOT NULL"
    )
    env.cr.commit()


@task
def reserve_bench_numbers(env, provider, count):
    """Reserve order numbers for customers, without any call."""
    owner = env["payment.provider"].browse(provider)
    partners = env["res.partner"].search([("name", "like", "Bench customer")])
    for start in range(0, count, 1000):
        env["billpay.control.number"]._reserve(
            owner,
            [
                {
                    "kind": "order",
                    "partner_id": partners[number % len(partners)].id,
                    "amount": 150_000,
                    "mode": "flexible",
                    "description": f"Order {number}",
                }
                for number in range(start, min(start + 1000, count))
            ],
        )
        env.cr.commit()
        env.invalidate_all()


@task
def register_numbers(env, bulk):
    """Let the sync worker do all that is due.

    :param bulk: numbers in one call.
    """
    from odoo.addons.billpay_odoo import const

    usual, const.BULK_LIMIT = const.BULK_LIMIT, bulk
    numbers = env["billpay.control.number"]
    before = numbers.search_count([("state", "=", "open")])
    try:
        with _Memory() as memory, measured(env) as found:
            numbers._cron_sync_numbers()
    finally:
        const.BULK_LIMIT = usual
    env.invalidate_all()
    return {
        **found.as_dict(),
        "open": numbers.search_count([("state", "=", "open")]) - before,
        "megabytes": memory.megabytes,
    }


class _Memory:
    """How much this process grew at its largest, in MB of resident memory."""

    megabytes = 0.0

    def __enter__(self):
        # The kernel's own peak, counted from now on.
        with open("/proc/self/clear_refs", "w") as handle:
            handle.write("5")
        self._before = self._read("VmRSS")
        return self

    def __exit__(self, *_error):
        self.megabytes = (self._read("VmHWM") - self._before) / 1024

    @staticmethod
    def _read(name):
        with open("/proc/self/status") as handle:
            line = next(line for line in handle if line.startswith(name))
        return int(line.split()[1])
