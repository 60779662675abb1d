# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""./dev demo: Odoo, the sandbox and a Tanzanian company, ready to be tried."""

import time

from . import databases, once, paths, postgres, processes, school, till
from .billing import Billing
from .console import say, step
from .services import foreground, services

ODOO_PORT = 8069
SANDBOX_PORT = 8079


def demo(options):
    """Start everything, then stay, or do the main job and end.

    :return: exit status.
    """
    # Scripts run beside whatever a person has open.
    ports = [options.port, options.sandbox_port]
    if options.once:
        ports = [port or processes.free_port() for port in ports]
    port, sandbox_port = ports[0] or ODOO_PORT, ports[1] or SANDBOX_PORT
    processes.check_port(port, "Odoo", "--port")
    processes.check_port(sandbox_port, "the ClickPesa sandbox", "--sandbox-port")
    start = time.monotonic()
    with services() as running:
        running.start_base()
        database = _fresh() if options.once else _kept()
        state = None if options.once else paths.subfolder("data") / "sandbox.state"
        sandbox = running.start_sandbox(options.host, sandbox_port, state)
        url = running.start_odoo(database, options.host, port, options.workers)
        billing = Billing(url, database, sandbox)
        with step("the application, set up over Odoo's external API"):
            billing.configure()
        if options.once:
            once.main_job(billing)
            say(f"\nDone in {time.monotonic() - start:.0f} s.")
            return 0
        with step("an invoice to pay"):
            number = billing.example()
        with step("a school of 300 pupils"):
            school.build(database)
        with step("a shop and an eating house with tills"):
            till.build(billing)
        _tell(url, sandbox, number, time.monotonic() - start)
        foreground(running)
    return 0


def _fresh():
    """A database of its own for one run."""
    database = databases.name("once")
    template = databases.template_addons(paths.addons())
    with step(f"database {database}"):
        databases.remove(database)
        databases.copy(template, database)
    return database


def _kept():
    """The demo's database: kept between starts, updated when the add-ons changed."""
    database = databases.name("demo")
    key = databases.addons_key(paths.addons())
    stamp = paths.state() / "demo.stamp"
    known = stamp.read_text() if stamp.exists() else ""
    if not postgres.exists(database):
        template = databases.template_addons(paths.addons())
        with step(f"database {database}"):
            databases.copy(template, database)
    elif known != key:
        with step("updating the add-ons in the demo database"):
            addons = paths.addons()
            databases.install(database, addons, demo=True, update=addons)
    stamp.write_text(key)
    return database


def _tell(url, sandbox, number, seconds):
    say(
        f"""
Ready after {seconds:.0f} s.

  Odoo       {url}   login admin, password admin (company: TZ Company)
  Sandbox    {sandbox}   plays ClickPesa and the payer's phone

What to try
  1. Odoo, Invoicing: open the newest customer invoice. It has the control number
     {number}.
  2. Sandbox: pay that number, as a customer would with a phone.
  3. Odoo: the invoice is paid, with a reconciled journal entry; nobody typed it.
  4. Make an invoice of your own, confirm it, and see its number, PDF and pay page.
  5. Invoicing, Customers, Bulk Runs: 300 pupils have numbers for tuition, hostel and
     pocket money. Open one, pay any amount at the sandbox, and see the balance.
  6. Point of Sale, {till.SHOP}: sell something, choose BillPay, pay the number at the
     sandbox; the order completes by itself."""
    )
