# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a poll costs when many numbers wait for their payment.

Two databases, with a thousand and with a hundred thousand open numbers, ask the same
sandbox for the same new payments, one after the other. The poll's cost may grow with
new payments only.
"""

import time
from datetime import datetime, timedelta, timezone

from devtools.bench_results import Bar, Result, Row, paired_ratio
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .tasks import measured, task

NAME = "poll"
TITLE = "new payments found by asking, with 1,000 and with 100,000 open numbers"
FEW, MANY = 1_000, 100_000
PAGE = 100
LIMIT = 1.2
# Statements of a poll, divided by its new payments.
MOST_SQL = 3
# Minutes between the polls; more than a poll looks back behind known ground.
APART = 30


def run(bed):
    count, rounds = (150, 3) if bed.quick else (250, 5)
    sandbox = bed.sandbox()
    sides = {}
    with step(f"two databases, with {FEW:,} and {MANY:,} open numbers"):
        for numbers in (MANY, FEW):
            worker = bed.worker(bed.with_addon())
            worker.do("prepare_company")
            application = worker.do(
                "prepare_application", url=sandbox.url, credentials=SANDBOX
            )
            worker.do("insert_numbers", provider=application["id"], count=numbers)
            sides[numbers] = (worker, application["id"])
    found = {numbers: [] for numbers in sides}
    with step(f"{rounds} rounds of {count} new payments, after a warm-up"):
        for number in range(rounds + 1):
            moment = time.time() - (rounds + 1 - number) * APART * 60
            _pay(sandbox, range(number * count, (number + 1) * count), moment)
            order = list(sides) if number % 2 else list(reversed(sides))
            for numbers in order:
                worker, provider = sides[numbers]
                done = _poll(sandbox, worker, provider, moment)
                if done["new"] != count:
                    raise Problem(f"{done['new']} of {count} payments were found")
                # The first poll of an application is a deep one.
                if number:
                    found[numbers].append(done)
    return _result(found, count, rounds)


def _pay(sandbox, numbers, moment):
    """Payments of these open numbers, made at a moment in the past."""
    sandbox.call("clock", {"reset": True, "advance": moment - time.time()})
    for number in numbers:
        sandbox.pay(f"1122{number:010d}", 150_000, deliver=False)
    sandbox.call("clock", {"reset": True})


def _poll(sandbox, worker, provider, moment):
    """As if the last poll had been just before these payments."""
    until = datetime.fromtimestamp(moment, timezone.utc) - timedelta(seconds=1)
    before = sandbox.count("/payments/all")
    done = worker.do(
        "poll_once", provider=provider, until=until.strftime("%Y-%m-%d %H:%M:%S")
    )
    return {**done, "calls": sandbox.count("/payments/all") - before}


def _result(found, count, rounds):
    rows = tuple(
        Row(
            f"with {numbers:,} open numbers",
            tuple(done["seconds"] for done in found[numbers]),
            found[numbers][-1]["sql"] / count,
        )
        for numbers in (MANY, FEW)
    )
    ratio = paired_ratio(rows[0].samples, rows[1].samples)
    polls = [done for side in found.values() for done in side]
    calls = max(done["calls"] for done in polls)
    sql = max(done["sql"] for done in polls) / count
    return Result(
        NAME,
        "s per poll",
        rows,
        bars=(
            Bar("time with many / few numbers", ratio, LIMIT),
            Bar("calls to ClickPesa", calls, -(-count // PAGE) + 1),
            Bar("SQL per new payment", sql, MOST_SQL),
        ),
        ratio=ratio,
        notes=(f"{count} new payments in a poll, {rounds} rounds",),
    )


@task
def insert_numbers(env, provider, count):
    """Open numbers, as many copies by SQL of one that was reserved in the usual way."""
    owner = env["payment.provider"].browse(provider)
    partner = env["res.partner"].search([("name", "like", "Bench customer")], limit=1)
    values = {
        "partner_id": partner.id,
        "amount": 150_000,
        "mode": "flexible",
        "description": "Goods",
    }
    first = env["billpay.control.number"]._reserve(owner, [values])
    env.flush_all()
    last = f"1122{count - 1:010d}"
    env.cr.execute(
        "UPDATE billpay_control_number SET name = %s WHERE id = %s", (last, first.id)
    )
    # Whatever columns there are, the copies have what the add-on puts into them.
    env.cr.execute(
        "SELECT quote_ident(column_name) FROM information_schema.columns"
        " WHERE table_schema = current_schema()"
        "   AND table_name = 'billpay_control_number'"
        "   AND column_name NOT IN ('id', 'name')"
    )
    columns = ", ".join(name for (name,) in env.cr.fetchall())
    env.cr.execute(
        f"""
        INSERT INTO billpay_control_number (name, {columns})
        SELECT '1122' || lpad(n::text, 10, '0'), {columns}
          FROM billpay_control_number, generate_series(0, %s) n
         WHERE id = %s
        """,
        (count - 2, first.id),
    )
    # As the sync worker leaves them.
    env.cr.execute(
        "UPDATE billpay_control_number"
        "   SET state = 'open', sync_at = NULL, known_active = true,"
        "       known_amount = amount, known_mode = mode,"
        "       known_description = description,"
        "       confirmed_at = now() AT TIME ZONE 'UTC'"
    )
    env.cr.execute("ANALYZE billpay_control_number")
    env.invalidate_all()
    env.cr.commit()


@task
def poll_once(env, provider, until):
    """Run the scheduled poll; seconds, statements, payments that are new.

    :param until: the moment (UTC) up to which an earlier poll has seen everything.
    """
    owner = env["payment.provider"].browse(provider)
    if owner.billpay_polled_until:
        owner.billpay_polled_until = until
    before = env["billpay.payment"].search_count([])
    with measured(env) as found:
        env["payment.provider"]._cron_poll_payments()
    if owner.billpay_poll_error:
        raise ValueError(owner.billpay_poll_error)
    new = env["billpay.payment"].search_count([]) - before
    return {**found.as_dict(), "new": new}
