# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How many files a reader opens who follows one delivery into the books.

A payer pays an invoice at the sandbox; its signed delivery is posted to the webhook, in
the worker's own process; the payments worker confirms it and books it. The tracer of
the tests (``billpay_odoo/tests/tracing.py``) records the way and says how it counts.
"""

import functools
import importlib.util

from devtools import paths
from devtools.bench_results import Bar, Result, Row
from devtools.console import Problem, say, step
from devtools.services import SANDBOX

from .books import AMOUNT
from .tasks import task

NAME = "way"
TITLE = "files on the way of one delivery, from the request to the posted entry"
CONFIRMATIONS = ("query", "signature")


@functools.cache
def load_tracing():
    """The tracer, without the package of the tests, which needs Odoo."""
    path = paths.ROOT / "billpay_odoo" / "tests" / "tracing.py"
    spec = importlib.util.spec_from_file_location("billpay_tracing", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(bed):
    sandbox = bed.sandbox()
    with step("a database with the add-on, invoices and their numbers"):
        worker = bed.worker(bed.with_addon())
        worker.do("prepare_company")
        application = worker.do(
            "prepare_application", url=sandbox.url, credentials=SANDBOX
        )
        made = worker.do("make_posted_invoices", count=len(CONFIRMATIONS))
        worker.do("register_all")
    found = {}
    for confirmation, move, number in zip(
        CONFIRMATIONS, made["moves"], made["numbers"], strict=True
    ):
        with step(f"a delivery, confirmed by {confirmation}"):
            payment = sandbox.pay(number, AMOUNT, deliver=False)
            # Newest first: the one that was kept back just now.
            delivery = sandbox.call("deliveries?limit=1")[0]
            done = worker.do(
                "trace_delivery",
                provider=application["id"],
                token=application["token"],
                confirmation=confirmation,
                body=delivery["body"],
                move=move,
            )
        if not done["booked"]:
            raise Problem(f"payment {payment['id']} was not booked: {done['state']}")
        say(f"\nconfirmed by {confirmation}: {done['summary']}")
        say("\n".join([*done["sequence"], "", *done["table"]]))
        found[confirmation] = done
    return _result(found)


def _result(found):
    limits = load_tracing()
    rows = tuple(
        Row(f"confirmed by {confirmation}", (done["changes"],))
        for confirmation, done in found.items()
    )
    changes = max(done["changes"] for done in found.values())
    rooms = max(done["rooms"] for done in found.values())
    return Result(
        NAME,
        "changes of file",
        rows,
        bars=(
            Bar("changes of file", changes, limits.MOST_CHANGES),
            Bar("files of ours", rooms, limits.MOST_ROOMS),
        ),
        notes=tuple(f"by {name}: {done['summary']}" for name, done in found.items()),
    )


@task
def trace_delivery(env, provider, token, confirmation, body, move):
    """Post a delivery to the webhook and run the payments worker; the way it took."""
    from werkzeug.test import Client

    from odoo.http import root

    env["payment.provider"].browse(provider).clickpesa_confirmation = confirmation
    env.cr.commit()
    env.registry.clear_all_caches()
    client = Client(root, use_cookies=False)
    with load_tracing().Tracer() as tracer:
        answer = client.post(
            f"/payment/clickpesa/webhook/{token}",
            data=body,
            content_type="application/json",
        )
        env["billpay.payment"]._cron_process_payments()
    if answer.status_code != 200:
        raise ValueError(f"the webhook answered {answer.status}")
    env.invalidate_all()
    invoice = env["account.move"].browse(move)
    ledger = env["billpay.payment"].search([("move_id", "=", move)])
    entry = ledger.account_payment_ids.move_id
    return {
        "booked": invoice.payment_state in ("paid", "in_payment")
        and entry.mapped("state") == ["posted"],
        "state": ledger.mapped("state"),
        "changes": tracer.changes,
        "rooms": len(tracer.rooms),
        "summary": tracer.summary(),
        "table": tracer.table(),
        "sequence": tracer.sequence(),
    }
