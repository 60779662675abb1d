# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What control numbers cost whoever confirms invoices.

The same invoices are confirmed in a database without the add-on and in one with it and
a configured application. Numbers are only reserved: registering them is the sync
worker's work, and it does not run meanwhile.
"""

from devtools.bench_results import Bar, Result, Row, paired_ratio
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .books import draft_invoices
from .tasks import measured, task

NAME = "invoice"
TITLE = "confirming a batch of invoices, with and without control numbers"
LIMIT = 1.10


def run(bed):
    count, rounds = (50, 5) if bed.quick else (200, 7)
    with step("two databases, with and without the add-on"):
        plain = bed.worker(bed.without_addon())
        ours = bed.worker(bed.with_addon())
        for worker in (plain, ours):
            worker.do("prepare_company")
        # Nobody calls it here: the address is a place where nothing answers.
        ours.do("prepare_application", url="http://127.0.0.1:9", credentials=SANDBOX)
    samples = {plain: [], ours: []}
    with step(f"{rounds} rounds of {count} invoices in each, after a warm-up"):
        for number in range(rounds + 1):
            # Turn and turn about: whoever comes second is not always the same.
            for worker in (plain, ours) if number % 2 else (ours, plain):
                found = worker.do("post_invoices", count=count)
                if worker is ours and found["numbers"] != count:
                    raise Problem(f"{found['numbers']} numbers for {count} invoices")
                if number:
                    samples[worker].append(found)
    seconds = {
        worker: tuple(found["seconds"] for found in samples[worker])
        for worker in samples
    }
    ratio = paired_ratio(seconds[ours], seconds[plain])
    rows = tuple(
        Row(
            label,
            tuple(1000 * value / count for value in seconds[worker]),
            samples[worker][-1]["sql"] / count,
        )
        for label, worker in (
            ("with control numbers", ours),
            ("without the add-on", plain),
        )
    )
    notes = [f"{count} invoices in one batch, {rounds} rounds"]
    cpu = {worker: [found["cpu"] for found in samples[worker]] for worker in samples}
    if None not in [*cpu[ours], *cpu[plain]]:
        used = paired_ratio(cpu[ours], cpu[plain])
        notes.append(f"processor time with / without: {used:.3f}")
    return Result(
        NAME,
        "ms per invoice",
        rows,
        bars=(Bar("time with / without", ratio, LIMIT),),
        ratio=ratio,
        notes=tuple(notes),
    )


@task
def post_invoices(env, count):
    """Confirm fresh invoices; seconds, statements, numbers made."""
    moves = draft_invoices(env, count)
    with measured(env) as found:
        moves.action_post()
    numbers = 0
    if "billpay_number_ids" in moves._fields:
        numbers = len(moves.sudo().billpay_number_ids)
    return {**found.as_dict(), "numbers": numbers}
