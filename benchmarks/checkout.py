# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A hundred checkouts at once, on two server processes.

Each payer has a session of its own and presses "Pay now" when all others do: Odoo makes
the transaction, the number is registered with the sandbox, which answers in 100 ms, and
the status page shows it. What is measured is from the click to the page.
"""

import http.cookiejar
import itertools
import json
import re
import statistics
import threading
import time
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from devtools.bench_results import Bar, Result, Row
from devtools.console import Problem, step
from devtools.services import SANDBOX

from .books import accountant
from .tasks import task

NAME = "checkout"
TITLE = "a hundred payers press Pay now on two server processes"
PAYERS, SERVERS = 100, 2
AMOUNT = 45_000.0
LATENCY = 0.1
SECONDS = 1.5
# How many press at the same moment in the other part of the run.
FEW = 4
_payers = itertools.count(1)


def run(bed):
    payers = 20 if bed.quick else PAYERS
    sandbox = bed.sandbox()
    with step("a database with the add-on, and two servers"):
        worker = bed.worker(bed.with_addon())
        worker.do("prepare_company")
        application = worker.do(
            "prepare_application", url=sandbox.url, credentials=SANDBOX
        )
        shop = worker.do("prepare_shop", provider=application["id"], amount=AMOUNT)
        servers = [bed.server(worker.database) for _each in range(SERVERS)]
        sandbox.call(
            "faults",
            {"kind": "latency", "match": "/billpay", "seconds": LATENCY, "times": -1},
        )
    with step("warming up"):
        for server in servers:
            _Payer(server.url, shop).pay_now()
    with step(f"{payers} payers, {FEW} at a time"):
        few = _together(servers, shop, payers, FEW)
    with step(f"{payers} payers, all at once"):
        crowd = _together(servers, shop, payers, payers)
    numbers = [number for _seconds, number in few + crowd]
    known = set(worker.do("open_numbers"))
    there = {number["number"] for number in sandbox.call("numbers")}
    return Result(
        NAME,
        "s from Pay now to the number",
        (
            Row(f"{FEW} at a time, 95th percentile", (_p95(few),)),
            Row(f"{FEW} at a time, median", (_median(few),)),
            Row(f"all {payers} at once, 95th percentile", (_p95(crowd),)),
            Row(f"all {payers} at once, median", (_median(crowd),)),
        ),
        bars=(
            Bar("numbers that two payers share", len(numbers) - len(set(numbers)), 0),
            Bar("numbers not confirmed", len(set(numbers) - (known & there)), 0),
            Bar(f"95th percentile, {FEW} at a time, s", _p95(few), SECONDS),
            Bar("95th percentile, all at once, s", _p95(crowd), SECONDS),
        ),
        notes=(f"ClickPesa answers in {LATENCY} s; {SERVERS} server processes",),
    )


def _p95(found):
    return sorted(seconds for seconds, _number in found)[int(0.95 * (len(found) - 1))]


def _median(found):
    return statistics.median(seconds for seconds, _number in found)


def _together(servers, shop, payers, at_once):
    crowd = [_Payer(servers[n % len(servers)].url, shop) for n in range(payers)]
    gate = threading.Barrier(at_once) if at_once == payers else None

    def press(payer):
        if gate:
            gate.wait(timeout=60)
        return payer.pay_now()

    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(press, crowd))


class _Payer:
    """A browser with cookies of its own, without scripts."""

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
        page = self._read("/payment/clickpesa/checkout", b"")
        found = re.search(r'data-watch-url="/billpay/(\w+)/', page)
        if not found:
            raise Problem("the status page shows no number")
        return time.monotonic() - start, found[1]


@task
def prepare_shop(env, provider, amount):
    """Let anybody pay by control number, and make the link that lets them."""
    from odoo.addons.payment import utils as payment_utils

    env["payment.provider"].browse(provider).write(
        {"state": "enabled", "is_published": True}
    )
    method = env.ref("billpay_odoo.payment_method_billpay")
    method.active = True
    env = accountant(env)
    partner = env["res.partner"].search([("name", "like", "Bench customer")], limit=1)
    currency = env.ref("base.TZS")
    env.cr.commit()
    return {
        "provider_id": provider,
        "payment_method_id": method.id,
        "partner_id": partner.id,
        "currency_id": currency.id,
        "amount": amount,
        "access_token": payment_utils.generate_access_token(
            partner.id, amount, currency.id, env=env
        ),
    }


@task
def open_numbers(env):
    env.cr.rollback()
    numbers = env["billpay.control.number"].search(
        [("transaction_id", "!=", False), ("state", "=", "open")]
    )
    return numbers.mapped("name")
