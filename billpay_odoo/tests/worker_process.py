# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The other side of ``processes.py``; started by it as a script, imported by nobody.

Odoo and the registry are loaded once. Each worker is then a fork with a pid, cursors
and connections of its own, as in Odoo's multi-process server, and ready at once. A
worker can be stopped before or after a step, which is how two of them meet in the
narrowest place, and where one of them is killed.
"""

import functools
import importlib
import json
import os
import resource
import signal
import socket
import sys
import threading
import traceback
from datetime import datetime

# This folder holds modules with common names, and not for us.
sys.path[:] = [path for path in sys.path if path != os.path.dirname(__file__)]

import odoo  # noqa: E402
from odoo import SUPERUSER_ID, Command, api  # noqa: E402
from odoo.exceptions import UserError  # noqa: E402
from odoo.modules.registry import Registry  # noqa: E402
from odoo.service.model import retrying  # noqa: E402
from odoo.tools import config  # noqa: E402

TASKS = {}


def task(function):
    TASKS[function.__name__] = function
    return function


def find_task(name):
    """Return a task of this file, or of an add-on's: ``dotted.module:function``."""
    module, colon, function = name.partition(":")
    if not colon:
        return TASKS[name]
    return getattr(importlib.import_module(module), function)


# === WHAT IS NEEDED BEFORE === #


@task
def company(env):
    """Make a company that keeps its books in shillings."""
    made = env["res.company"].create(
        {
            "name": "Duka la Wengi",
            "currency_id": env.ref("base.TZS").id,
            "country_id": env.ref("base.tz").id,
        }
    )
    env.ref("base.TZS").active = True
    env["account.chart.template"].try_loading(
        "generic_coa", company=made, install_demo=False
    )
    made.currency_id = env.ref("base.TZS")
    env["res.partner"].create({"name": "Juma Hamisi", "company_id": made.id})
    return made.id


@task
def application(env, company, url, checksum_key, **values):
    """Make the only active application of the company."""
    made = env["res.company"].browse(company)
    providers = env["payment.provider"]
    providers.search([("code", "=", "clickpesa")]).write({"state": "disabled"})
    template = env.ref("billpay_odoo.payment_provider_clickpesa")
    provider = template.copy({"company_id": company})
    provider.write(
        {
            # A journal takes no two payment methods of one name.
            "name": "ClickPesa %s" % provider.id,
            "clickpesa_base_url": url,
            "clickpesa_client_id": "IDsandbox",
            "clickpesa_api_key": "SKsandbox",
            "clickpesa_checksum_key": checksum_key,
            "clickpesa_billpay_namba": "1122",
            "clickpesa_calls_per_minute": 0,
            "state": "test",
            **values,
        }
    )
    made.billpay_provider_id = provider
    # Read by the settings page too; it makes the journal's payment method.
    assert provider.journal_id
    return {"id": provider.id, "token": provider.clickpesa_webhook_token}


@task
def invoices(env, company, amounts):
    """Post one customer invoice per amount (TZS); return ``[[move, number], …]``."""
    env = env(context={"allowed_company_ids": [company]})
    partner = env["res.partner"].search([("company_id", "=", company)], limit=1)
    moves = env["account.move"].create(
        [
            {
                "move_type": "out_invoice",
                "partner_id": partner.id,
                "currency_id": env.ref("base.TZS").id,
                "invoice_line_ids": [
                    Command.create(
                        {
                            "name": "Ada ya shule",
                            "price_unit": amount,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
            }
            for amount in amounts
        ]
    )
    moves.action_post()
    return [[move.id, move.billpay_number_id.name] for move in moves]


@task
def prepare_run(env, company, count):
    """Post invoices that get no number by themselves; start a run for them."""
    env = env(context={"allowed_company_ids": [company]})
    env["res.company"].browse(company).billpay_issue_on = "manual"
    moves = [move for move, _number in invoices(env, company, [1000] * count)]
    wizard = env["billpay.run.wizard"].create(
        {"source": "invoices", "move_ids": [Command.set(moves)]}
    )
    run = env["billpay.run"].browse(wizard.action_prepare()["res_id"])
    run.action_start()
    return run.id


@task
def customers(env, company, count):
    """Make customers who can have numbers, and a purpose to have them for."""
    partners = env["res.partner"].create(
        [
            {"name": "Pupil %s" % index, "phone": "0712345678", "company_id": company}
            for index in range(count)
        ]
    )
    purpose = env["billpay.purpose"].create(
        {"name": "Tuition %s" % partners[0].id, "company_id": company}
    )
    return {"partners": partners.ids, "purpose": purpose.id}


@task
def prepare_customer_run(env, company, count):
    """Start a run for new customers; return the run and their purpose."""
    made = customers(env, company, count)
    env = env(context={"allowed_company_ids": [company]})
    wizard = env["billpay.run.wizard"].create(
        {
            "source": "contacts",
            "partner_ids": [Command.set(made["partners"])],
            "purpose_ids": [Command.set([made["purpose"]])],
        }
    )
    run = env["billpay.run"].browse(wizard.action_prepare()["res_id"])
    run.action_start()
    return run.id


@task
def bulk_runs(env):
    env["billpay.run"]._cron_bulk_runs()


@task
def within_memory(env, names, megabytes):
    """Run workers with so much more memory, as ``limit_memory_hard`` leaves to one."""
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + megabytes * 2**20,) * 2)
    for name in names:
        TASKS[name](env)


@task
def keep_number(env, purpose, partner):
    """Give a customer a number, as a click does."""
    number = retrying(
        lambda: (
            env["billpay.purpose"]
            .browse(purpose)
            ._reserve(env["res.partner"].browse(partner))
        ),
        env,
    )
    env.cr.commit()
    return number.name


@task
def checkout(env, company, amount):
    """Begin a checkout; return the transaction and the number to pay."""
    env = env(context={"allowed_company_ids": [company]})
    provider = env["res.company"].browse(company).billpay_provider_id
    method = env.ref("billpay_odoo.payment_method_billpay")
    method.active = True
    partner = env["res.partner"].search([("company_id", "=", company)], limit=1)
    tx = env["payment.transaction"].create(
        {
            "provider_id": provider.id,
            "payment_method_id": method.id,
            "amount": amount,
            "currency_id": env.ref("base.TZS").id,
            "partner_id": partner.id,
            "operation": "online_redirect",
            "landing_route": "/my",
        }
    )
    env.cr.commit()
    return pay_now(env, tx.id)


@task
def pay_now(env, tx):
    """What "Pay now" leads to, replayed on a conflict as Odoo does."""
    tx = env["payment.transaction"].browse(tx)
    retrying(tx._billpay_checkout, env)
    env.cr.commit()
    env.invalidate_all()
    return [tx.id, tx.billpay_number_ids.sorted("id")[-1:].name]


@task
def reserve(env, provider, count, **values):
    """Reserve numbers that ClickPesa does not know yet."""
    numbers = env["billpay.control.number"]._reserve(
        env["payment.provider"].browse(provider), [dict(values)] * count
    )
    return numbers.mapped("name")


# === WHAT IS TESTED === #


@task
def deliver(env, provider, body):
    """Store a delivery as the webhook does."""
    # A program of its own: there is no package to be relative to.
    # pylint: disable=odoo-addons-relative-import
    from odoo.addons.billpay_odoo.clickpesa import parse_notification
    from odoo.addons.billpay_odoo.transactions import committed

    return committed(
        env,
        lambda: env["billpay.event"]._store_delivery(
            env["payment.provider"].browse(provider),
            body.encode(),
            parse_notification(body.encode()),
            signed=True,
        ),
    )


@task
def receive(env, token, body):
    """Do in this process what the webhook does; return whether it woke the worker."""
    # pylint: disable=odoo-addons-relative-import
    from odoo.addons.billpay_odoo.clickpesa import parse_notification
    from odoo.addons.billpay_odoo.controllers.webhook import BillPayWebhook

    address = env["billpay.event"]._find_address(token)
    stored = env["billpay.event"]._store_delivery(
        address,
        body.encode(),
        parse_notification(body.encode()),
        signed=True,
        version=address.version,
    )
    return BillPayWebhook._wake_worker(env, stored)


@task
def sync(env):
    env["billpay.control.number"]._cron_sync_numbers()


@task
def process(env):
    env["billpay.payment"]._cron_process_payments()


@task
def poll(env):
    env["payment.provider"]._cron_poll_payments()


@task
def fetch_statement(env):
    env["billpay.day"]._cron_fetch_statement()


@task
def poll_one(env, provider):
    env["billpay.poll"]._poll(env["payment.provider"].browse(provider))


@task
def type_receipt(env, provider, payment):
    """An accountant types the receipt of a payment of the sandbox."""
    # pylint: disable=odoo-addons-relative-import
    from odoo.addons.billpay_odoo.transactions import committed
    from odoo.addons.billpay_odoo.wizards.billpay_payment_import import told_payment

    told = told_payment(
        {
            "number": payment["orderReference"],
            "receipt": payment["paymentReference"],
            "amount": int(float(payment["collectedAmount"])),
            "paid_at": datetime.now(),
        }
    )
    env = env(user=env.ref("base.user_admin"), su=False)
    provider = env["payment.provider"].sudo().browse(provider)
    enter = env["billpay.receipt"]._enter
    _rows, new, _completed, failures = committed(
        env, lambda: enter(provider, [told], source="typed")
    )
    assert not failures
    return len(new)


@task
def where_the_add_on_is(env):
    return sys.modules["odoo.addons.billpay_odoo"].__file__


@task
def poll_and_process(env):
    poll(env)
    process(env)


@task
def check(env, company, move):
    """A click on "Check Payment Now"."""
    env = env(context={"allowed_company_ids": [company]})
    return env["account.move"].browse(move).action_billpay_check()["params"]


@task
def issue(env, company, move):
    """A click on "Get Control Number"; return what it said, if it said no."""
    env = env(context={"allowed_company_ids": [company]})
    invoice = env["account.move"].browse(move)
    try:
        # As Odoo answers a request.
        retrying(invoice.action_billpay_issue, env)
    except UserError as error:
        return str(error)


@task
def click_sync(env, name):
    """A person waits for this number to be registered."""
    number = env["billpay.control.number"].search([("name", "=", name)])
    return list(env["billpay.sync"]._sync_now(number).values())


@task
def change_amount(env, name, amount):
    number = env["billpay.control.number"].search([("name", "=", name)])
    number.amount = amount


# === THE PROCESS === #


class Line:
    """The connection of a worker to the test: one JSON object per line."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._stream = self._socket.makefile("rw")

    def say(self, **message):
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()

    def stop_at(self, point):
        """Tell that the point is reached, and wait for leave to go on."""
        self.say(at=point)
        if not self._stream.readline():
            os._exit(1)  # the test is gone


def owner_of(registry, name):
    """Return the class of a model, or of a dotted Python name."""
    if name in registry:
        return registry[name]
    module, _dot, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def set_stop(registry, line, point):
    """Make the worker stop when it passes ``OWNER:METHOD:before|after`` first."""
    owner, method, moment = point.split(":")
    owner = owner_of(registry, owner)
    original = getattr(owner, method)
    passed = []

    def stop(record):
        if passed:
            return
        passed.append(True)
        if moment == "after" and isinstance(record, odoo.models.BaseModel):
            # What the step wrote is to be in the database, yet uncommitted.
            record.env.flush_all()
        line.stop_at(point)

    @functools.wraps(original)
    def stopping(self, *args, **kwargs):
        if moment == "before":
            stop(self)
        result = original(self, *args, **kwargs)
        if moment == "after":
            stop(self)
        return result

    setattr(owner, method, stopping)


def work(database, order):
    """Do one task, in the forked process."""
    line = Line(order["port"])
    line.say(pid=os.getpid())
    threading.current_thread().dbname = database
    try:
        registry = Registry(database).check_signaling()
        for name, value in order["constants"].items():
            owner, _colon, constant = name.rpartition(":")
            setattr(owner_of(registry, owner), constant, value)
        # Its connections carry the name of this process, not of its mother.
        registry._db = odoo.sql_db.db_connect(database)
        for point in order["stops"]:
            set_stop(registry, line, point)
        with registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            result = find_task(order["task"])(env, **order["arguments"])
        line.say(result=result)
    except BaseException:  # noqa: BLE001 - whatever it was, the test is to show it
        line.say(error=traceback.format_exc())


def end_all():
    """End this process, its workers and the servers: the test is over or gone."""
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main(configuration, database):
    config.parse_config(
        ["-c", configuration, "-d", database, "--no-http", "--max-cron-threads=0"],
        setup_logging=True,
    )
    Registry(database)
    odoo.sql_db.close_all()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # readline() and not iteration: that would read ahead, into the forks.
    while text := sys.stdin.readline():
        order = json.loads(text)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if "command" in order:
                os.dup2(os.open(os.devnull, os.O_RDWR), 0)
                os.dup2(2, 1)
                os.execv(order["command"][0], order["command"])
            work(database, order)
            os._exit(0)
    end_all()


if __name__ == "__main__":
    main(*sys.argv[1:])
