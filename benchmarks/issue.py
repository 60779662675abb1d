# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Ten thousand control numbers registered by the sync worker, and a run for as many.

The numbers are reserved before; what is measured is the worker with its calls, commits
and memory, beside the same worker when it registers them singly. The sandbox answers
at once and shares the machine, so a second here is a second of ours and not of
ClickPesa.

The run is one of ``billpay.run`` for posted invoices. Its worker is killed with SIGKILL
while it reserves, and the sync worker while it registers; others go on. Its invoices
are then sent: the click, and the worker that hands them to Odoo's queue.

Cards and changes are of customers' numbers. Cards are printed under the memory limit
that Odoo's server sets itself by default, which wkhtmltopdf inherits.
"""

import base64
import time
from unittest.mock import patch

from devtools.bench_results import Bar, Result, Row
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .books import accountant, make_posted_invoices
from .tasks import measured, task

NAME = "issue"
TITLE = "order numbers registered in bulk, beside one call for each"
BULK = 50
STATEMENTS, MEGABYTES = 1, 150
# Statements for a card, and for a line of a run that is sent; seconds of that click.
CARD, LINE, CLICK = 0.5, 0.1, 10
PURPOSES = 3
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
        if any(done["calls"] != single for done in alone):
            raise Problem("the numbers were not registered singly")
    with step(f"a run for {count:,} invoices, killed twice"):
        bulk = _run(bed, database, clerk, sandbox, count)
    with step(f"sending its {count:,} invoices"):
        sent = clerk.do("send_bench_run", run=bulk["run"])
        if sent["queued"] != count:
            raise Problem(f"{sent['queued']} of {count} invoices wait for sending")
    pupils = 200 if bed.quick else 1_000
    with step(f"{pupils:,} customers with {PURPOSES} numbers each"):
        clerk.do("prepare_bench_cards", provider=provider, count=pupils)
    with step(f"{pupils:,} cards"):
        # Limited for the rest of its life.
        cards = bed.worker(database).do("print_bench_cards", count=pupils)
    with step(f"{PURPOSES * pupils:,} numbers ask for another amount"):
        changed = clerk.do("change_bench_numbers")
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
        Row("Send All, the click", (count / sent["click"],), sent["click_sql"] / count),
        Row("Send All, the worker", (count / sent["seconds"],), sent["sql"] / count),
        Row("cards, as one PDF", (pupils / cards["seconds"],), cards["sql"] / pupils),
        Row(
            "Change",
            (changed["numbers"] / changed["seconds"],),
            changed["sql"] / changed["numbers"],
        ),
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
            Bar("Send All: seconds of the click", sent["click"], CLICK),
            Bar("Send All: SQL per line, in the click", rows[3].sql, LINE),
            Bar("cards: pages that are missing", pupils // 10 - cards["pages"], 0),
            Bar("cards: SQL per card", rows[5].sql, CARD),
            Bar("Change: SQL per number", rows[6].sql, STATEMENTS),
            Bar("Change: times that the worker is woken", changed["woken"], 1),
        ),
        ratio=rows[0].median / rows[1].median,
        notes=(
            f"{count:,} numbers in {ours['seconds']:.1f} s",
            f"run: prepared in {bulk['prepared']:.1f} s, {bulk['kills']} workers"
            f" killed, {bulk['seconds']:.1f} s from start to end",
            f"Send All: click {sent['click']:.1f} s, worker {sent['seconds']:.1f} s",
            f"{pupils:,} cards in {cards['seconds']:.1f} s; largest wkhtmltopdf"
            f" {cards['megabytes']:.0f} MB of {cards['limit']:.0f} MB",
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
        "run": run,
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
def send_bench_run(env, run):
    """Press Send All, and let the worker hand the invoices to Odoo's queue."""
    run = accountant(env)["billpay.run"].browse(run)
    for partner in run.line_ids.partner_id.filtered(lambda partner: not partner.email):
        partner.email = f"bench{partner.id}@example.com"
    env.cr.commit()
    with measured(env) as click:
        run.action_send_all()
    with measured(env) as work:
        env["billpay.run"]._cron_bulk_runs()
    return {
        **work.as_dict(),
        "click": click.seconds,
        "click_sql": click.sql,
        "queued": env["account.move"].search_count([("sending_data", "!=", False)]),
    }


@task
def prepare_bench_cards(env, provider, count):
    """Give customers numbers of several purposes, which ClickPesa knows."""
    company = env["payment.provider"].browse(provider).company_id
    names = [f"Bench purpose {number}" for number in range(PURPOSES)]
    purposes = env["billpay.purpose"].create(
        [
            {"name": name, "company_id": company.id, "default_amount": 150_000}
            for name in names
        ]
    )
    pupils = env["res.partner"].create(
        [
            {
                "name": f"Pupil {number:05d}",
                "email": f"pupil{number}@example.com",
                "company_id": company.id,
            }
            for number in range(count)
        ]
    )
    for purpose in purposes:
        purpose._reserve(pupils)
    env.flush_all()
    env.cr.execute(
        "UPDATE billpay_control_number SET state = 'open', sync_at = NULL,"
        " confirmed_at = now(), known_active = true, known_amount = amount,"
        " known_mode = mode, known_description = description"
        " WHERE purpose_id = ANY(%s)",
        (purposes.ids,),
    )


@task
def print_bench_cards(env, count):
    """Print cards as a click does, as a server with Odoo's default limits."""
    import io
    import resource

    from odoo.service.server import set_limit_memory_hard
    from odoo.tools import config
    from odoo.tools.pdf import PdfFileReader

    set_limit_memory_hard()
    env = accountant(env)
    numbers = env["billpay.control.number"].search(
        [("purpose_id.name", "=", "Bench purpose 0")], limit=count
    )
    wizard = env["billpay.card.print"].create({"number_ids": [(6, 0, numbers.ids)]})
    with measured(env) as found:
        wizard.action_print()
    content = base64.b64decode(wizard.with_context(bin_size=False).download)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        **found.as_dict(),
        "pages": PdfFileReader(io.BytesIO(content)).getNumPages(),
        "megabytes": largest / 1024,
        "limit": config["limit_memory_hard"] / 1024**2,
    }


@task
def change_bench_numbers(env):
    """Let all of them ask for another amount; how often the worker is woken for it."""
    env = accountant(env)
    numbers = env["billpay.control.number"].search(
        [("purpose_id.name", "like", "Bench purpose")]
    )
    triggers = env["ir.cron.trigger"].sudo()
    before = triggers.search_count([])
    change = env["billpay.number.change"].create(
        {"number_ids": [(6, 0, numbers.ids)], "amount": 175_000, "mode": "flexible"}
    )
    with measured(env) as found:
        change.action_confirm()
    due = numbers.search_count([("id", "in", numbers.ids), ("sync_at", "!=", False)])
    if due != len(numbers):
        raise ValueError(f"{due} of {len(numbers)} numbers are due")
    return {
        **found.as_dict(),
        "numbers": len(numbers),
        "woken": triggers.search_count([]) - before,
    }


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
    numbers, sync = env["billpay.control.number"], type(env["billpay.sync"])
    before = numbers.search_count([("state", "=", "open")])
    with (
        patch.object(sync, "_bulk_limit", bulk),
        _Memory() as memory,
        measured(env) as found,
    ):
        numbers._cron_sync_numbers()
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
