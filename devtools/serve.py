# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""./dev serve: a clean database, as a new customer in Tanzania has it."""

from . import databases, folders, odoo_tree, paths, postgres
from .console import Problem, say, step, warn
from .rpc import Odoo
from .services import foreground, services

MODULES = ("account", "l10n_tz_account")
# The company is Tanzanian before the accounts come, as the set-up page makes it.
COUNTRY = """
country, currency = env.ref("base.tz"), env.ref("base.TZS")
currency.active = True
env.company.write({"country_id": country.id, "currency_id": currency.id})
env.ref("base.user_admin").tz = "Africa/Dar_es_Salaam"
env.cr.commit()
"""
CHART = """
if env.company.chart_template != "tz":
    env["account.chart.template"].try_loading("tz", company=env.company)
    env.cr.commit()
print("CHART", env.company.chart_template, env.company.currency_id.name)
"""


def serve(options):
    """Create the database if it is new, start Odoo on it, stay until Ctrl-C."""
    with services() as running:
        running.start_base()
        if postgres.exists(options.db):
            say(f" ok database {options.db} (it exists already)")
        else:
            template = _template()
            with step(f"database {options.db}"):
                databases.copy(template, options.db)
        if options.install:
            with step(f"installing {', '.join(paths.addons())}"):
                databases.install(options.db, paths.addons(), demo=False)
        url = running.start_odoo(
            options.db, options.host, options.port, options.workers
        )
        try:
            Odoo(url, options.db).call("ir.module.module", "update_list")
        except Problem as problem:
            warn(f"The Apps list was not updated: {problem}")
        say(f"\nOdoo: {url}  (login admin, password admin)")
        if not options.install:
            say("Our add-ons are in the Apps menu; remove the filter and search.")
        foreground(running)


def _template():
    key = paths.digest(odoo_tree.version(), COUNTRY, CHART, *MODULES)
    wanted = databases.name(f"clean_{key}")
    with folders.lock(paths.state() / ".clean.lock"):
        if postgres.exists(wanted):
            return wanted
        draft = databases.name("draft_clean")
        with step(f"template of a clean database ({', '.join(MODULES)})"):
            databases.remove(draft)
            databases.install(draft, ("base",), demo=False)
            databases.shell(draft, COUNTRY)
            databases.install(draft, MODULES, demo=False)
            if "CHART tz TZS" not in databases.shell(draft, CHART):
                raise Problem("The company did not get the Tanzanian chart of accounts")
            for old in postgres.databases():
                if old.startswith(databases.name("clean_")):
                    databases.remove(old)
            databases.rename(draft, wanted)
    return wanted
