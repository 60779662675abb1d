# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How many deliveries a second the webhook takes.

Distinct, signed deliveries at a real server, beside the webhook of ``payment_xendit``
on the same server (it updates a transaction and makes no call either) and beside
``/web/health``, which does nothing at all: on the same server, and on one that serves
no database, which is the floor of Odoo's HTTP. Scheduled actions do not run meanwhile.
"""

import json
import statistics

from devtools.bench_results import Bar, Result, Row, paired_ratio
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .books import accountant
from .load import Request, rate
from .tasks import task

NAME = "webhook"
TITLE = "deliveries taken, beside payment_xendit's webhook and /web/health"
OURS, XENDIT, HEALTH, FLOOR = (
    "/payment/clickpesa/webhook/",
    "/payment/xendit/webhook",
    "/web/health",
    "/web/health without a database",
)
PATHS = (OURS, XENDIT, HEALTH, FLOOR)
CLIENTS = (1, 4)
STATEMENTS, OVER_XENDIT, OF_HEALTH = 10, 1.5, 0.55
CALLBACK_TOKEN = "bench-callback-token"
JSON = ("Content-Type", "application/json")


def run(bed):
    count, rounds = (100, 2) if bed.quick else (300, 5)
    with step("a database with the add-on and payment_xendit"):
        database = bed.with_addon(extra=("payment_xendit",))
        worker = bed.worker(database)
        worker.do("prepare_company")
        application = worker.do(
            "prepare_application", url="http://127.0.0.1:9", credentials=SANDBOX
        )
        worker.do("prepare_xendit")
    with step("Odoo's servers, with and without a database"):
        server, floor = bed.server(database), bed.server(None)
    load = _Load(worker, server, floor, application, count)
    with step("warming up"):
        for path in PATHS:
            load.rate(path, clients=4)
    found = {}
    with step(f"{rounds} rounds of {count} requests each, {CLIENTS} clients"):
        for _round in range(rounds):
            for clients in CLIENTS:
                for path in PATHS:
                    speed = load.rate(path, clients)
                    found.setdefault((path, clients), []).append(speed)
    load.check()
    return _result(found, server, count, rounds)


class _Load:
    """Makes requests that were never sent before, and counts what arrived."""

    def __init__(self, worker, server, floor, application, count):
        self.worker, self.server, self.floor = worker, server, floor
        self.count = count
        self.application, self.sent = application, 0

    def rate(self, path, clients):
        server = self.floor if path == FLOOR else self.server
        return rate(server.port, self._requests(path), clients)

    def _requests(self, path):
        if path in (HEALTH, FLOOR):
            return [Request("GET", HEALTH)] * self.count
        if path == XENDIT:
            headers = (JSON, ("x-callback-token", CALLBACK_TOKEN))
            bodies = self.worker.do("xendit_deliveries", count=self.count)
            return [Request("POST", XENDIT, b.encode(), headers) for b in bodies]
        bodies = self.worker.do(
            "signed_deliveries",
            first=self.sent,
            count=self.count,
            key=SANDBOX["checksum-key"],
        )
        self.sent += self.count
        address = OURS + self.application["token"]
        return [Request("POST", address, b.encode(), (JSON,)) for b in bodies]

    def check(self):
        """Whether the work was really done.

        :raise Problem: it was not.
        """
        stored = self.worker.do("stored_deliveries")
        if stored != {"signed": self.sent, "waiting": self.sent}:
            raise Problem(f"{self.sent} deliveries were sent, stored are {stored}")
        undone = self.worker.do("unfinished_transactions")
        if undone:
            raise Problem(f"payment_xendit left {undone} transactions undone")


def _result(found, server, count, rounds):
    names = {
        OURS: "ours",
        XENDIT: "payment_xendit",
        HEALTH: "/web/health",
        FLOOR: "/web/health, no database",
    }
    # The first requests also load what later ones find in memory.
    sql = {path: statistics.median(server.queries(path) or [0]) for path in PATHS[:-1]}
    rows = [
        Row(
            f"{names[path]}, {clients} client{'s' if clients > 1 else ''}",
            tuple(found[path, clients]),
            sql.get(path),
        )
        for clients in CLIENTS
        for path in PATHS
    ]
    bars = [Bar("SQL per delivery", max(server.queries(OURS)[count:]), STATEMENTS)]
    for clients in CLIENTS:
        ours = found[OURS, clients]
        for path, limit in ((XENDIT, OVER_XENDIT), (FLOOR, OF_HEALTH)):
            bars.append(
                Bar(
                    f"rate / {names[path]} ({clients} at once)",
                    paired_ratio(ours, found[path, clients]),
                    limit,
                    at_most=False,
                )
            )
    return Result(
        NAME,
        "requests/s",
        tuple(rows),
        bars=tuple(bars),
        ratio=bars[1].value,
        notes=(f"{count} requests, {rounds} rounds; one server process",),
    )


@task
def prepare_xendit(env):
    """Configure payment_xendit as a shop in Indonesia would."""
    company = accountant(env).company
    env["res.currency"].with_context(active_test=False).search(
        [("name", "=", "IDR")]
    ).active = True
    provider = env.ref("payment.payment_provider_xendit")
    if provider.company_id != company:
        provider = provider.copy({"company_id": company.id, "name": "Xendit bench"})
    provider.write(
        {
            "xendit_public_key": "bench",
            "xendit_secret_key": "bench",
            "xendit_webhook_token": CALLBACK_TOKEN,
            "state": "test",
        }
    )
    env.cr.commit()
    return provider.id


@task
def xendit_deliveries(env, count):
    """Transactions that wait for their payment, and the bodies that tell of it."""
    provider = env["payment.provider"].search(
        [("code", "=", "xendit"), ("state", "=", "test")], limit=1
    )
    method = env.ref("payment.payment_method_card")
    currency = env.ref("base.IDR")
    partner = env["res.partner"].search([("name", "like", "Bench customer")], limit=1)
    start = env["payment.transaction"].search_count([])
    made = env["payment.transaction"].create(
        [
            {
                "provider_id": provider.id,
                "payment_method_id": method.id,
                "reference": f"XB{start + number:06d}",
                "amount": 150_000,
                "currency_id": currency.id,
                "partner_id": partner.id,
                "operation": "online_redirect",
            }
            for number in range(count)
        ]
    )
    made._set_pending()
    bodies = [
        json.dumps(
            {
                "id": f"579c8d61f23fa4ca35e52da4-{transaction.id}",
                "external_id": transaction.reference,
                "status": "PAID",
                "amount": 150_000,
                "paid_amount": 150_000,
                "currency": "IDR",
                "payment_method": "CREDIT_CARD",
                "description": transaction.reference,
            }
        )
        for transaction in made
    ]
    env.cr.commit()
    return bodies


@task
def signed_deliveries(env, first, count, key):
    """Bodies as ClickPesa sends them, with a checksum; no two are alike."""
    from odoo.addons.billpay_odoo.clickpesa import sign

    bodies = []
    for number in range(first, first + count):
        reference = f"1122{number:010d}"
        body = {
            "event": "PAYMENT RECEIVED",
            "data": {
                "id": f"{reference}LCP{number}",
                "status": "SUCCESS",
                "paymentReference": f"RCPT{number:07d}",
                "orderReference": reference,
                "collectedAmount": "150000",
                "collectedCurrency": "TZS",
                "message": "Payment received",
                "channel": "M-PESA",
                "createdAt": "2026-03-01T09:00:00.000Z",
                "updatedAt": "2026-03-01T09:00:05.000Z",
                "customer": {
                    "customerName": "ASHA JUMA",
                    "customerEmail": None,
                    "customerPhoneNumber": "255712345678",
                },
            },
        }
        bodies.append(json.dumps(sign(body, key)))
    return bodies


@task
def stored_deliveries(env):
    """How many deliveries are there with a valid signature, and wait."""
    env.cr.execute(
        "SELECT count(*) FILTER (WHERE signed), count(*) FILTER (WHERE state = 'new')"
        "  FROM billpay_event"
    )
    signed, waiting = env.cr.fetchone()
    return {"signed": signed, "waiting": waiting}


@task
def unfinished_transactions(env):
    domain = [("provider_code", "=", "xendit"), ("state", "!=", "done")]
    return env["payment.transaction"].search_count(domain)
