# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How many payments a second are posted and reconciled.

Ours is the payments worker with confirmed payments of a backlog, all its commits
included. Odoo's own ways work in a database without the add-on: the register wizard
for one invoice after the other, and a plain batch. All run as the superuser, as a
worker does; nobody's access is checked, which favours nobody.
"""

from devtools.bench_results import Bar, Result, Row, paired_ratio
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .books import AMOUNT, accountant, make_posted_invoices
from .tasks import measured, task

NAME = "posting"
TITLE = "payments posted and reconciled, beside Odoo's own ways"
FASTER, STATEMENTS = 6, 15
WARM_UP = 20


def run(bed):
    count, rounds = (40, 2) if bed.quick else (200, 3)
    with step("two databases, with and without the add-on"):
        plain = bed.worker(bed.without_addon())
        ours = bed.worker(bed.with_addon())
        for worker in (plain, ours):
            worker.do("prepare_company")
        application = ours.do(
            "prepare_application", url="http://127.0.0.1:9", credentials=SANDBOX
        )
    ways = {
        "ours, the payments worker": (
            ours,
            "post_ours",
            {"provider": application["id"]},
        ),
        "account.payment.register, one by one": (plain, "post_register", {}),
        "plain batch: create, post, one plan": (plain, "post_batch", {}),
    }
    found = {label: [] for label in ways}
    with step(f"{rounds} rounds of {count} payments each way, after a warm-up"):
        for number in range(rounds + 1):
            for label, (worker, name, more) in ways.items():
                size = count if number else WARM_UP
                done = worker.do(name, count=size, **more)
                if done["paid"] != size:
                    raise Problem(f"{label}: {done['paid']} of {size} invoices paid")
                if number:
                    found[label].append(done)
    rows = [
        Row(
            label,
            tuple(count / done["seconds"] for done in found[label]),
            found[label][-1]["sql"] / count,
        )
        for label in ways
    ]
    register = paired_ratio(rows[0].samples, rows[1].samples)
    return Result(
        NAME,
        "payments/s",
        tuple(rows),
        bars=(
            Bar("rate / register wizard", register, FASTER, at_most=False),
            Bar("SQL per payment", rows[0].sql, STATEMENTS),
        ),
        ratio=register,
        notes=(f"{count} payments of {count} invoices, {rounds} rounds",),
    )


def _superuser(env):
    return accountant(env)(su=True)


def _paid(moves):
    moves.invalidate_recordset()
    return len(moves.filtered(lambda m: m.payment_state in ("paid", "in_payment")))


@task
def post_ours(env, provider, count):
    """Let the payments worker book confirmed payments of fresh invoices."""
    made = make_posted_invoices(env, count)
    make_confirmed_payments(env, provider, made["numbers"])
    with measured(env) as found:
        env["billpay.payment"]._cron_process_payments()
    moves = env["account.move"].browse(made["moves"])
    booked = env["billpay.payment"].search_count(
        [("state", "=", "posted"), ("move_id", "in", moves.ids)]
    )
    return {**found.as_dict(), "paid": min(_paid(moves), booked)}


def make_confirmed_payments(env, provider, numbers):
    """What a poll would have stored: numbers open at ClickPesa, and paid there."""
    from odoo import fields

    from odoo.addons.billpay_odoo.clickpesa import Payment

    records = env["billpay.control.number"].search([("name", "in", numbers)])
    now = fields.Datetime.now()
    for number in records.with_context(tracking_disable=True):
        number.write(
            {
                "state": "open",
                "confirmed_at": now,
                "known_active": True,
                "known_amount": number.amount,
                "known_mode": number.mode,
                "known_description": number.description,
                "sync_at": False,
            }
        )
    moment = fields.Datetime.to_string(now).replace(" ", "T") + ".000Z"
    told = [
        Payment.parse(
            {
                "id": f"{name}LCP",
                "status": "SUCCESS",
                "paymentReference": f"R{name}",
                "orderReference": name,
                "collectedAmount": str(AMOUNT),
                "collectedCurrency": "TZS",
                "channel": "M-PESA",
                "createdAt": moment,
                "updatedAt": moment,
                "customer": {
                    "customerName": "ASHA JUMA",
                    "customerPhoneNumber": "255712345678",
                },
            }
        )
        for name in numbers
    ]
    ledger = env["billpay.payment"]
    owner = env["payment.provider"].browse(provider)
    rows, failures = ledger.env["billpay.ledger"]._upsert_each(
        owner, told, source="poll", trusted=True
    )
    if failures or set(rows.mapped("state")) != {"confirmed"}:
        raise ValueError(f"payments are not confirmed: {failures[:3]}")
    env.cr.commit()


@task
def post_register(env, count):
    """Pay fresh invoices with Odoo's wizard, one by one.

    Each has a transaction and an environment of its own, as a click has. In one long
    transaction Odoo reads less for each, yet gets slower with every one it has done.
    """
    from odoo import api

    made = make_posted_invoices(env, count)
    env = _superuser(env)
    with measured(env) as found:
        for move in made["moves"]:
            with env.registry.cursor() as cr:
                click = api.Environment(cr, env.uid, env.context, env.su)
                click["account.payment.register"].with_context(
                    active_model="account.move", active_ids=[move]
                ).create({})._create_payments()
    return {
        **found.as_dict(),
        "paid": _paid(env["account.move"].browse(made["moves"])),
    }


@task
def post_batch(env, count):
    """Pay fresh invoices at once: create, post, one reconciliation plan."""
    made = make_posted_invoices(env, count)
    env = _superuser(env)
    journal = env["account.journal"].search(
        [("type", "=", "bank"), ("company_id", "=", env.company.id)], limit=1
    )
    method = journal.inbound_payment_method_line_ids[:1]
    with measured(env) as found:
        moves = env["account.move"].browse(made["moves"])
        payments = env["account.payment"].create(
            [
                {
                    "payment_type": "inbound",
                    "partner_type": "customer",
                    "partner_id": move.partner_id.id,
                    "amount": move.amount_residual,
                    "currency_id": move.currency_id.id,
                    "journal_id": journal.id,
                    "payment_method_line_id": method.id,
                    "memo": move.name,
                }
                for move in moves
            ]
        )
        payments.action_post()
        receivable = [
            records.line_ids.filtered(
                lambda line: line.account_id.account_type == "asset_receivable"
            )
            for records in (*moves, *payments.move_id)
        ]
        env["account.move.line"]._reconcile_plan(
            [
                receivable[index] + receivable[index + count]
                for index in range(len(moves))
            ]
        )
    return {**found.as_dict(), "paid": _paid(moves)}
