"""A hundred checkouts at once on two server processes, beside Odoo's wire transfer.

Each payer has a session of its own and presses "Pay now" when all others do: Odoo makes
the transaction, the number is registered with the sandbox, which answers in 100 ms, and
the status page shows it. What is measured is from the click to the page. Payers by wire
transfer (``payment_custom``) ask the same servers for the same pages, and no number. A
round of theirs stands beside each of ours, and every second time before it.
"""

import http.cookiejar
import itertools
import json
import re
import threading
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from devtools.bench_results import (
    Bar,
    Result,
    Row,
    median,
    paired_ratio,
    percentile,
)
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .books import accountant
from .tasks import task

NAME = "checkout"
TITLE = "a hundred payers press Pay now, by control number and by wire transfer"
PAYERS, SERVERS = 100, 2
AMOUNT = 45_000.0
LATENCY = 0.1
OVER_WIRE = 1.6
# How many press at the same moment in the other part of the run.
FEW = 4
_payers = itertools.count(1)


def run(bed):
    payers, rounds = (20, 2) if bed.quick else (PAYERS, 4)
    sandbox = bed.sandbox()
    with step("a database with the add-on and payment_custom, and two servers"):
        worker = bed.worker(bed.with_addon(extra=("payment_custom",)))
        worker.do("prepare_company")
        application = worker.do(
            "prepare_application", url=sandbox.url, credentials=SANDBOX
        )
        shops = {
            kind: worker.do("prepare_shop", provider=provider, amount=AMOUNT)
            for kind, provider in (
                (_Payer, application["id"]),
                (_WirePayer, worker.do("prepare_wire")),
            )
        }
        servers = [bed.server(worker.database) for _each in range(SERVERS)]
        sandbox.call(
            "faults",
            {"kind": "latency", "match": "/billpay", "seconds": LATENCY, "times": -1},
        )
    with step("warming up"):
        for kind in shops:
            _together(servers, kind, shops[kind], SERVERS * FEW, FEW)
    found = {}
    for at_once in (FEW, payers):
        with step(f"{rounds} rounds of {payers} payers each, {at_once} at once"):
            for turn in range(rounds):
                for kind in sorted(shops, key=list(shops).index, reverse=turn % 2):
                    paid = _together(servers, kind, shops[kind], payers, at_once)
                    found.setdefault((kind, at_once), []).append(paid)
    numbers = [
        number
        for (kind, _at_once), every in found.items()
        for number in (number for paid in every for _seconds, number in paid)
        if kind is _Payer
    ]
    known = set(worker.do("open_numbers"))
    there = {number["number"] for number in sandbox.call("numbers")}
    return _result(found, payers, numbers, known & there, servers)


def _result(found, payers, numbers, registered, servers):
    rows, bars = [], []
    for at_once in (FEW, payers):
        slow = {}
        for kind in (_Payer, _WirePayer):
            seconds = [[each for each, _number in x] for x in found[kind, at_once]]
            slow[kind] = [percentile(x, 95) for x in seconds]
            sql = kind.statements(servers) if at_once == FEW else None
            title = f"{kind.title}, {at_once} at once"
            rows.append(Row(f"{title}, 95th percentile", tuple(slow[kind]), sql))
            rows.append(Row(f"{title}, median", tuple(map(median, seconds))))
        bars.append(
            Bar(
                f"95th percentile / wire transfer ({at_once} at once)",
                paired_ratio(slow[_Payer], slow[_WirePayer]),
                OVER_WIRE,
            )
        )
    return Result(
        NAME,
        "s from Pay now to the page",
        tuple(rows),
        bars=(
            Bar("numbers that two payers share", len(numbers) - len(set(numbers)), 0),
            Bar("numbers not confirmed", len(set(numbers) - registered), 0),
            *bars,
        ),
        ratio=bars[0].value,
        notes=(
            f"ClickPesa answers in {LATENCY} s; {SERVERS} server processes; SQL: of "
            "the requests alone",
        ),
    )


def _together(servers, kind, shop, payers, at_once):
    crowd = [kind(servers[n % len(servers)].url, shop) for n in range(payers)]
    gate = threading.Barrier(at_once) if at_once == payers else None

    def press(payer):
        if gate:
            gate.wait(timeout=60)
        return payer.pay_now()

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(press, crowd))


class _Payer:
    """A browser with cookies of its own, without scripts."""

    title = "control number"
    path = "/payment/clickpesa/checkout"
    # What the page shows in the end.
    shown = r'data-watch-url="/billpay/(\w+)/'

    @classmethod
    def statements(cls, servers):
        """SQL statements of the requests that follow a click."""
        return sum(
            median([n for server in servers for n in server.queries(path)])
            for path in ("/payment/transaction", cls.path, "/payment/status")
        )

    def __init__(self, url, shop):
        self.url, self.shop = url, shop
        self.name = f"PAYER{next(_payers)}"
        jar = http.cookiejar.CookieJar()
        self._open = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(jar)
        ).open
        # The page with the payment form: it brings the session.
        query = urllib.parse.urlencode(
            {
                name: shop[name]
                for name in ("amount", "currency_id", "partner_id", "access_token")
            }
        )
        self._read(f"/payment/pay?{query}")

    def _read(self, path, body=None, headers=None):
        request = urllib.request.Request(self.url + path, body, headers or {})
        with self._open(request, timeout=60) as answer:
            return answer.read().decode()

    def pay_now(self):
        """Return the seconds, and the number that the page shows."""
        start = time.monotonic()
        order = {
            "jsonrpc": "2.0",
            "method": "call",
            "params": {
                "provider_id": self.shop["provider_id"],
                "payment_method_id": self.shop["payment_method_id"],
                "token_id": None,
                "flow": "redirect",
                "tokenization_requested": False,
                "landing_route": "/my",
                "is_validation": False,
                # As an order's name: else payers of one second share a reference.
                "reference_prefix": self.name,
                **{
                    name: self.shop[name]
                    for name in ("amount", "currency_id", "partner_id", "access_token")
                },
            },
        }
        answer = json.loads(
            self._read(
                "/payment/transaction",
                json.dumps(order).encode(),
                {"Content-Type": "application/json"},
            )
        )
        if "error" in answer:
            raise Problem(f"no transaction: {answer['error']['data']['message']}")
        page = self._read(self.path, self._form(answer["result"]))
        seconds = time.monotonic() - start
        found = re.search(self.shown, page)
        if not found:
            raise Problem(f"the status page shows no {self.title}")
        return seconds, found[1]

    def _form(self, _values):
        return b""


class _WirePayer(_Payer):
    title = "wire transfer"
    path = "/payment/custom/process"
    shown = r"(Finalize your payment)"

    def _form(self, values):
        return urllib.parse.urlencode({"reference": values["reference"]}).encode()


@task
def prepare_shop(env, provider, amount):
    """Let anybody pay with this provider, and make the link that lets them."""
    from odoo.addons.payment import utils as payment_utils

    provider = env["payment.provider"].browse(provider)
    provider.write({"state": "enabled", "is_published": True})
    method = provider.with_context(active_test=False).payment_method_ids[:1]
    method.active = True
    env = accountant(env)
    partner = env["res.partner"].search([("name", "like", "Bench customer")], limit=1)
    currency = env.ref("base.TZS")
    env.cr.commit()
    return {
        "provider_id": provider.id,
        "payment_method_id": method.id,
        "partner_id": partner.id,
        "currency_id": currency.id,
        "amount": amount,
        "access_token": payment_utils.generate_access_token(
            partner.id, amount, currency.id, env=env
        ),
    }


@task
def prepare_wire(env):
    """Configure wire transfers for the company; the provider's id."""
    company = accountant(env).company
    provider = env.ref("payment.payment_provider_transfer")
    if provider.company_id != company:
        provider = provider.copy({"company_id": company.id, "name": "Wire bench"})
    provider._transfer_ensure_pending_msg_is_set()
    env.cr.commit()
    return provider.id


@task
def open_numbers(env):
    env.cr.rollback()
    numbers = env["billpay.control.number"].search(
        [("transaction_id", "!=", False), ("state", "=", "open")]
    )
    return numbers.mapped("name")
