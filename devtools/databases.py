# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Databases made once and copied many times.

A template is keyed by what went into it, so that it is made again exactly when that
changes: first Odoo's own modules with their demo data, then a copy of that with our
add-ons. A test run copies the second one, which takes a second or two.
"""

import ast
import contextlib
import os
import re
import shutil
import subprocess

from . import folders, odoo, odoo_tree, paths, postgres, signature
from .console import Problem, say, step
from .run import run

# What the add-on builds on, and the company the demo data has in Tanzania.
BASE_MODULES = ("account", "account_payment", "l10n_tz_account")
# The add-on that the others hang on. It has few modules of Odoo below it.
CORE = "billpay_odoo"
# Commits what every test class would have to make.
COMPANY = f"""
from odoo.addons.{CORE}.tests.company import store
store(env)
"""
# What an add-on does not need, but has to get on with: its tests use it.
BESIDE = {
    "billpay_odoo_pos": ("pos_hr", "pos_loyalty", "pos_restaurant"),
    # Coupons and gift cards change what an order comes to. With the webshop, Odoo
    # brings their page there.
    "billpay_odoo_sale": ("sale_loyalty",),
}


def name(kind):
    """Name of a database of this checkout, apart from others on the same server."""
    return f"bp_{paths.key()[:4]}_{kind}"


def template_base(modules=BASE_MODULES):
    """Name of the template with Odoo's own modules and demo data."""
    key = paths.digest(odoo_tree.version(), *modules)
    kind = "base" if modules == BASE_MODULES else f"base_{paths.digest(*modules)[:6]}"
    title = f"database template ({', '.join(modules)})"
    # As a customer's database grows: accounting first, then what is beside it.
    parent = None if modules == BASE_MODULES else template_base()
    return _template(kind, key, parent, modules, title)


def template_addons(addons):
    """Name of the template that also has these add-ons of ours, and what they need."""
    addons, modules = needed(addons)
    base = template_base(modules)
    title = f"template with {', '.join(addons)}"
    kind = f"addons_{paths.digest(*addons)[:6]}"
    return _template(kind, addons_key(addons), base, addons, title)


def template_tests(addons):
    """Name of the template for these add-ons' tests: theirs has a company as well."""
    parent = template_addons(addons)
    key = paths.digest(parent, paths.ROOT / CORE / "tests" / "company.py", COMPANY)
    kind = f"tests_{paths.digest(*addons)[:6]}"
    title = f"company for the tests of {', '.join(addons)}"
    return _template(kind, key, parent, (), title, COMPANY)


def needed(addons, beside=BESIDE):
    """Return the add-ons of ours that these depend on, themselves included.

    :param dict beside: what their tests use besides
    :return: their names, and those of Odoo's own modules below them
    :rtype: tuple[list[str], tuple[str]]
    """
    known, ours, modules = paths.addons(), set(), set()
    waiting = list(addons)
    while waiting:
        addon = waiting.pop()
        if addon in ours:
            continue
        ours.add(addon)
        modules.update(beside.get(addon, ()))
        manifest = paths.ROOT / addon / "__manifest__.py"
        # What Odoo reads in a manifest: one literal.
        for module in ast.literal_eval(manifest.read_text()).get("depends", ()):
            if module in known:
                waiting.append(module)
            elif module not in BASE_MODULES and (addon != CORE):
                modules.add(module)
    return sorted(ours), (*BASE_MODULES, *sorted(modules))


def addons_key(addons):
    """Hash of everything in these add-ons that an installation stores."""
    return paths.digest(odoo_tree.version(), *addons, *signature.of(addons))


def _template(kind, key, parent, modules, title, script=None):
    wanted = name(f"{kind}_{key}")
    if postgres.exists(wanted):
        return wanted
    with folders.lock(paths.state() / f".{kind}.lock"):
        if postgres.exists(wanted):
            return wanted
        draft = name(f"draft_{kind}")
        with step(title):
            remove(draft)
            if parent:
                copy(parent, draft)
            if modules:
                install(draft, modules, demo=True)
            if script:
                shell(draft, script)
            for old in postgres.databases():
                if re.fullmatch(re.escape(name(kind)) + "_[0-9a-f]{12}", old):
                    remove(old)
            rename(draft, wanted)
    return wanted


def install(database, modules, *, demo, update=(), more=()):
    """Install modules into a database, creating it when it does not exist.

    :param more: further options of the server
    :raise Problem: with the server's own words when a module is not installed after.
    """
    log = paths.subfolder("logs") / f"install-{database}.log"
    options = ["-d", database, "--stop-after-init", "--no-http"]
    options += ["--with-demo"] if demo else []
    options += ["--max-cron-threads=0", "--log-level=warn"]
    options += [*more, *(["-i", ",".join(modules)] if modules else [])]
    options += ["-u", ",".join(update)] if update else []
    output = run(
        odoo.command(*options),
        what=f"installing {', '.join(modules or update)}",
        log=log,
        env=odoo.environment(),
        cwd=paths.ROOT,
    )
    sql = "SELECT name FROM ir_module_module WHERE state = 'installed'"
    missing = set(modules) - set(postgres.psql(database, sql))
    if missing:
        tail = "\n".join(output.strip().splitlines()[-20:])
        raise Problem(f"Not installed: {', '.join(sorted(missing))}\n{tail}")
    for line in output.splitlines():
        if " ERROR " in line and "pg_trgm" not in line:
            say(line)


def shell(database, script):
    """Run a script in the server's shell and return what it printed."""
    options = ["shell", "-d", database, "--no-http", "--log-level=error"]
    done = subprocess.run(
        odoo.command(*options),
        input=script,
        env=odoo.environment(),
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Problem(f"odoo shell: {done.stderr.strip()[-800:]}")
    return done.stdout


def copy(template, database):
    """Copy a database with its attachments (hard links: Odoo never changes them)."""
    postgres.copy(template, database)
    source, target = odoo.filestore(template), odoo.filestore(database)
    shutil.rmtree(target, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=os.link)


def rename(database, new):
    """Rename a database and its attachments."""
    postgres.rename(database, new)
    shutil.rmtree(odoo.filestore(new), ignore_errors=True)
    if odoo.filestore(database).is_dir():
        odoo.filestore(database).rename(odoo.filestore(new))


def remove(database):
    """Drop a database and its attachments."""
    postgres.drop(database)
    shutil.rmtree(odoo.filestore(database), ignore_errors=True)


@contextlib.contextmanager
def temporary(template, lane=0):
    """A copy of a template that is dropped at the end.

    :param int lane: tells those apart that are used at once
    """
    database = name(f"test_{os.getpid()}_{lane}")
    remove(database)
    copy(template, database)
    try:
        yield database
    finally:
        remove(database)
