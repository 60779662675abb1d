# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Ten thousand control numbers registered by the sync worker.

The numbers are reserved before; what is measured is the worker with its calls, commits
and memory, beside the same worker when it registers them singly. The sandbox answers
at once and shares the machine, so a second here is a second of ours and not of
ClickPesa.
"""

from devtools.bench_results import Bar, Result, Row
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .tasks import measured, task

NAME = "issue"
TITLE = "order numbers registered in bulk, beside one call for each"
BULK = 50
STATEMENTS, MEGABYTES = 1, 150
CREATION = "/billpay/"


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
    rows = (
        Row(
            "in bulk, the sync worker", (count / ours["seconds"],), ours["sql"] / count
        ),
        Row(
            "one call for each",
            tuple(single / done["seconds"] for done in alone),
            alone[-1]["sql"] / single,
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
        ),
        ratio=rows[0].median / rows[1].median,
        notes=(f"{count:,} numbers in {ours['seconds']:.1f} s",),
    )


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
