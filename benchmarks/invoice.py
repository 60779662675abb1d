# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What control numbers cost whoever confirms invoices.

The same invoices are confirmed in a database without the add-on and in one with it and
a configured application. Numbers are only reserved: registering them is the sync
worker's work, and it does not run meanwhile.
"""

from devtools.bench_results import Bar, Result, Row, paired_ratio
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .books import accountant, draft_invoices
from .tasks import measured, task

NAME = "invoice"
TITLE = "confirming a batch of invoices, with and without control numbers"
LIMIT = 1.10
# In another currency each number needs a rate, which is looked up once for all.
FOREIGN, FOREIGN_LIMIT, STATEMENTS = "USD", 1.06, 1.06


def run(bed):
    count, rounds = (50, 5) if bed.quick else (200, 7)
    with step("two databases, with and without the add-on"):
        plain = bed.worker(bed.without_addon())
        ours = bed.worker(bed.with_addon())
        for worker in (plain, ours):
            worker.do("prepare_company")
            worker.do("prepare_rates", currency=FOREIGN)
        # Nobody calls it here: the address is a place where nothing answers.
        ours.do("prepare_application", url="http://127.0.0.1:9", credentials=SANDBOX)
        ours.do("rate_of_the_numbers_day")
    rows, bars, notes = [], [], []
    for currency, limit in (("TZS", LIMIT), (FOREIGN, FOREIGN_LIMIT)):
        with step(f"{rounds} rounds of {count} invoices in {currency}"):
            samples = _rounds(ours, plain, count, rounds, currency)
        ratios = {
            key: paired_ratio(*([f[key] for f in samples[w]] for w in (ours, plain)))
            for key in ("seconds", "sql", "cpu")
            if None not in [found[key] for w in samples for found in samples[w]]
        }
        bars.append(Bar(f"time with / without, {currency}", ratios["seconds"], limit))
        bars.append(Bar(f"SQL with / without, {currency}", ratios["sql"], STATEMENTS))
        rows += [
            Row(
                f"{label}, {currency}",
                tuple(1000 * found["seconds"] / count for found in samples[worker]),
                samples[worker][-1]["sql"] / count,
            )
            for label, worker in (
                ("with control numbers", ours),
                ("without the add-on", plain),
            )
        ]
        if "cpu" in ratios:
            notes.append(
                f"{currency}: processor time with / without: {ratios['cpu']:.3f}"
            )
    return Result(
        NAME,
        "ms per invoice",
        tuple(rows),
        bars=tuple(bars),
        ratio=bars[0].value,
        notes=(f"{count} invoices in one batch, {rounds} rounds", *notes),
    )


def _rounds(ours, plain, count, rounds, currency):
    """Let both confirm invoices after a warm-up; what each found, round by round."""
    samples = {plain: [], ours: []}
    for number in range(rounds + 1):
        # Turn and turn about: whoever comes second is not always the same.
        for worker in (plain, ours) if number % 2 else (ours, plain):
            found = worker.do("post_invoices", count=count, currency=currency)
            if worker is ours and found["numbers"] != count:
                raise Problem(f"{found['numbers']} numbers for {count} invoices")
            if number:
                samples[worker].append(found)
    return samples


@task
def prepare_rates(env, currency):
    """Let a currency have rates of three days."""
    env = accountant(env)
    env = env(su=True)
    foreign = env.ref(f"base.{currency}")
    foreign.active = True
    days = ("2024-01-01", "2026-01-01", "2026-06-01")
    rates = env["res.currency.rate"]
    rates.search([("currency_id", "=", foreign.id)]).unlink()
    rates.create(
        [
            {
                "currency_id": foreign.id,
                "company_id": env.company.id,
                "name": day,
                "inverse_company_rate": 2400 + 100 * number,
            }
            for number, day in enumerate(days)
        ]
    )


@task
def rate_of_the_numbers_day(env):
    """Not of the invoice, which Odoo has looked up for itself."""
    accountant(env).company.sudo().billpay_rate_date = "issue"


@task
def post_invoices(env, count, currency):
    """Confirm fresh invoices; seconds, statements, numbers made."""
    moves = draft_invoices(env, count, currency)
    with measured(env) as found:
        moves.action_post()
    numbers = 0
    if "billpay_number_ids" in moves._fields:
        numbers = len(moves.sudo().billpay_number_ids)
    return {**found.as_dict(), "numbers": numbers}
