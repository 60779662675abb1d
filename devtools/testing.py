# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""./dev test: every test there is, and one line that counts them.

Plain tests (the gateway client, the sandbox, these tools) run in pytest processes of
their own. The add-ons' tests run in the real server on a copy of a database template.
"""

import argparse
import subprocess
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from . import (
    changed,
    counting,
    databases,
    durations,
    odoo,
    odoo_tree,
    paths,
    python,
    system,
)
from .console import PRECONDITION, Problem, say, warn

# Servers that test at once: the concurrency tests start more processes by themselves.
LANES = 2
# Files of one batch: a batch costs the start of a server.
FEW = 6
# Seconds of tests that are not worth another one.
SHORT = 12
# Stands for the options that leave out slow tests: not the same with and without Odoo.
FAST = "--fast"
COMMON = ("-p", "no:cacheprovider", "--tb=short", "-q")
# Odoo's own tests near ours: modules, and the files of their tests; empty: all of them.
# A selection of the large ones, along the way of an order and of its money.
CORE = (
    {
        "payment": (),
        "payment_custom": (),
        "payment_demo": (),
        "payment_flutterwave": (),
        "account_payment": (),
        "l10n_id": (),
    },
    {
        "sale": (
            "test_controllers.py",
            "test_payment_flow.py",
            "test_sale_flow.py",
            "test_sale_order.py",
            "test_sale_refund.py",
            "test_sale_to_invoice.py",
        ),
        "website_sale": (
            "test_express_checkout_flows.py",
            "test_main_controller.py",
            "test_sale_process.py",
            "test_website_sale_cart.py",
            "test_website_sale_cart_payment.py",
            "test_website_sale_checkout_steps.py",
            "test_website_sale_invoice.py",
        ),
    },
    {
        "point_of_sale": (
            "test_frontend.py::TestUi::test_01_pos_basic_order",
            "test_frontend.py::TestUi::test_payment_screen_tour",
            "test_frontend.py::TestUi::test_receipt_screen_tour",
            "test_frontend.py::TestUi::test_02_pos_with_invoiced",
            "test_frontend.py::TestUi::test_05_ticket_screen",
            "test_frontend.py::TestUi::test_change_without_cash_method",
            "test_frontend.py::TestUi::test_pos_closing_cash_details",
            "test_frontend.py::TestUi::test_customer_display_popup",
            "test_point_of_sale_flow.py",
            "test_pos_basic_config.py",
            "test_pos_multiple_receivable_accounts.py",
            "test_pos_products_with_tax.py",
            "test_pos_simple_invoiced_orders.py",
            "test_pos_simple_orders.py",
        ),
        "pos_online_payment": (),
        "pos_restaurant": ("test_pos_restaurant_flow.py",),
    },
)

# Add-ons of requirements/beside.in, and what is tested with them.
BESIDE = ["account_in_payment"]
BESIDE_TESTS = ["billpay_odoo/tests/test_in_payment.py"]


def test(arguments):
    """Run tests.

    :param arguments: files or folders (with ::name), ``--fast``, ``--changed``,
        ``--base REV``, and options of pytest.
    :return: exit status.
    """
    how, arguments = choose(arguments)
    selected, options = split(arguments)
    if how.changed:
        found = changed.tests(changed.files(how.base), durations.Guess(fast=True))
        say("Tests of what changed:")
        for name, count in Counter(x.partition("::")[0] for x in found).items():
            say(f"  {name}" + (f" ({count} of its tests)" if name not in found else ""))
        selected += [str(paths.ROOT / name) for name in found]
        if not selected:
            say("  none: no quick test is named after a changed file, or mentions one")
            return 0
    if how.fast or how.changed:
        options = [FAST, *options]
    plain, addons = select(selected)
    odoo.ready()
    total = counting.Count()
    for folder, targets in plain.items():
        say(f"\n== {folder}")
        total += _plain(folder, targets, options)[0]
    if addons:
        say(f"\n== add-ons: {', '.join(map(str, addons))}")
        try:
            total += _addons(addons, options)[0]
        except Problem as problem:
            if problem.status == PRECONDITION:
                raise
            warn(str(problem))
            total += counting.Count(0, 1)
    say(f"\n{total}")
    return total.status


def choose(arguments):
    """Take our own options out of those for pytest.

    :return: ``fast``, ``changed`` and ``base``, and the other arguments
    """
    parser = argparse.ArgumentParser(prog="./dev test", add_help=False)
    add_options(parser)
    how, rest = parser.parse_known_args(arguments)
    if how.base and not how.changed:
        raise Problem("--base goes with --changed.", PRECONDITION)
    return how, rest


def add_options(parser):
    """Declare the options that choose tests."""
    parser.allow_abbrev = False
    parser.add_argument("--fast", action="store_true", help="leave out the slow ones")
    parser.add_argument(
        "--changed",
        action="store_true",
        help="those of changed files, by name and by what they mention; no slow ones",
    )
    parser.add_argument(
        "--base", metavar="REV", help="with --changed: since then, not the last commit"
    )


def split(arguments):
    """Tell files from pytest's options: what exists is a file."""
    selected, options = [], []
    previous = ""
    for argument in arguments:
        # The word after -k or -m is a pattern even when a file has that name.
        is_value = previous in ("-k", "-m", "-p", "-o")
        exists = (Path.cwd() / argument.partition("::")[0]).exists()
        if argument[:1] != "-" and not is_value and exists:
            selected.append(argument)
        elif argument[:1] != "-" and not is_value and "/" in argument:
            raise Problem(f"There is no {argument}.", PRECONDITION)
        else:
            options.append(argument)
        previous = argument
    return selected, options


def plain_folders():
    """Folders of tests that need no Odoo."""
    found = [path for path in paths.ROOT.glob("tests/*") if _has_tests(path)]
    for project in paths.ROOT.glob("*/pyproject.toml"):
        # An add-on has one for pip, and its tests need Odoo.
        if project.parent.name not in paths.addons() and _has_tests(
            project.parent / "tests"
        ):
            found.append(project.parent / "tests")
    return sorted(path.relative_to(paths.ROOT) for path in found)


def _has_tests(folder):
    return next(folder.rglob("test_*.py"), None) is not None


def select(selected):
    """Sort the wanted files into plain folders and add-on tests.

    :return: dict from plain folder to its targets, and a list of add-on targets.
    """
    plain = plain_folders()
    tested = [Path(name) / "tests" for name in paths.addons()]
    if not selected:
        existing = [path for path in tested if _has_tests(paths.ROOT / path)]
        return {folder: [folder] for folder in plain}, existing
    groups, addons = {}, []
    for text in selected:
        name, mark, node = text.partition("::")
        try:
            path = (Path.cwd() / name).resolve().relative_to(paths.ROOT)
        except ValueError as error:
            raise Problem(f"{name} is not in this checkout.", PRECONDITION) from error
        target = f"{path}{mark}{node}"
        inside = [
            folder for folder in plain if path == folder or folder in path.parents
        ]
        below = [folder for folder in plain if path in folder.parents]
        own = [name for name in paths.addons() if path.parts[:1] == (name,)]
        for folder in inside:
            groups.setdefault(folder, []).append(target)
        for folder in below:
            groups[folder] = [folder]
        if own:
            addons.append(target)
        if not (inside or below or own):
            raise Problem(f"No tests are known in {path}.", PRECONDITION)
    return groups, addons


def _plain(folder, targets, options):
    # pytest-odoo would want a database.
    fast = ("-m", "not slow") if FAST in options else ()
    options = ["-p", "no:odoo", *fast, *(part for part in options if part != FAST)]
    project = paths.ROOT / folder.parent
    if not (project / "pyproject.toml").is_file():
        project = paths.ROOT
    return _pytest(targets, options, project=project)


def _addons(targets, options):
    """Run the add-ons' tests, each add-on's with what it needs and nothing else.

    Many files are cut into batches, and two lanes take them as they get free: each
    has a server and a copy of the database of its own.
    """
    system.ensure("chromium", "wkhtmltopdf")
    guess = durations.Guess(fast=FAST in options)
    batches = []
    # Those that need a template of their own come first: it is made in their lane.
    for addon in reversed(paths.addons()):
        own = [target for target in targets if Path(target).parts[0] == addon]
        if own:
            batches += [(addon, batch) for batch in cut(own, paths.ROOT, guess)]
    if len(batches) == 1:
        addon, batch = batches[0]
        return _batch(databases.template_tests([addon]), batch, options)
    # All templates grow from this one.
    databases.template_base()
    total, skipped = counting.Count(), []
    with ThreadPoolExecutor(LANES) as lanes:
        running = {
            lanes.submit(_printed, lane, addon, batch, options): batch
            for lane, (addon, batch) in enumerate(batches)
        }
        for done in as_completed(running):
            count, names = done.result()
            total, skipped = total + count, skipped + names
    return total, skipped


def cut(targets, root, guess):
    """Cut tests into batches that take about equally long.

    :param targets: files, folders or ``file::name``, relative to ``root``
    :param guess: function from a target to seconds
    :return: lists of targets; a short selection is one batch
    """
    files = []
    for target in targets:
        path = root / target
        if path.is_dir():
            files += [str(f.relative_to(root)) for f in sorted(path.rglob("test_*.py"))]
        else:
            files.append(str(target))
    seconds = {name: guess(name) for name in files}
    few = len({name.partition("::")[0] for name in seconds})
    count = -(-few // FEW) if few >= FEW else 1
    if len(seconds) > 1 and sum(seconds.values()) > SHORT:
        count = max(count, LANES)
    batches = [[] for _ in range(count)]
    taken = [0] * count
    # The longest first, each to where there is most time left.
    for name in sorted(seconds, key=seconds.get, reverse=True):
        shortest = taken.index(min(taken))
        batches[shortest].append(name)
        taken[shortest] += seconds[name]
    return [batch for batch in batches if batch]


def _printed(lane, addon, batch, options):
    """Run one batch beside others, and print what it said when it is over."""
    template = databases.template_tests([addon])
    start = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        result = _batch(template, batch, options, lane, output)
        output.seek(0)
        text = output.read().rstrip()
    seconds = time.monotonic() - start
    say(f"\n-- {', '.join(batch)}: {result[0]} ({seconds:.0f} s)\n{text}")
    for name in result[1]:
        say(f"SKIPPED: {name}")
    return result


def _batch(template, batch, options, lane=0, output=None):
    with databases.temporary(template, lane) as database:
        return _odoo_pytest(database, batch, options, template, output=output)


def _odoo_pytest(database, targets, options, template, skips_fail=True, output=None):
    server = [
        f"--odoo-database={database}",
        "--odoo-http",
        "--odoo-log-level=warn",
        f"--odoo-extra=db-filter=^{database}$",
        "--odoo-extra=max-cron-threads=0",
    ]
    if FAST in options:
        # The tags of Odoo; a plugin of this checkout, which is the working folder.
        options = ["-p", "devtools.fast", *(part for part in options if part != FAST)]
    extra = {"BILLPAY_DEV_DB": database, "BILLPAY_DEV_TEMPLATE": template}
    return _pytest(
        targets, [*server, *options], extra=extra, skips_fail=skips_fail, output=output
    )


def _pytest(
    targets, options, extra=None, project=paths.ROOT, skips_fail=True, output=None
):
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [paths.PYTHON, "-m", "pytest", "-c", project / "pyproject.toml"]
        command += ["--rootdir", project, f"--junit-xml={report}", *COMMON]
        command += [*options, *(paths.ROOT / target for target in targets)]
        done = subprocess.run(
            [str(part) for part in command],
            cwd=project,
            env={**odoo.environment(), **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output and subprocess.STDOUT,
        )
        count, skipped = counting.of_report(report, done.returncode, skips_fail)
        durations.keep(durations.of_report(report, project))
    for name in skipped if output is None else ():
        say(f"SKIPPED{' (counts as failed)' if skips_fail else ''}: {name}")
    return count, skipped


def beside(options):
    """Our tests of the state *In Payment*, beside the add-ons that bring it.

    :return: exit status
    """
    odoo.ready()
    folders = f"{odoo_tree.addons_path()},{python.beside()}"
    with databases.temporary(databases.template_tests([databases.CORE])) as database:
        more = [f"--addons-path={folders}"]
        databases.install(database, BESIDE, demo=False, more=more)
        extra = [f"--odoo-extra=addons-path={folders}", *options]
        count, _skipped = _odoo_pytest(database, BESIDE_TESTS, extra, database)
    say(f"\n{count}")
    return count.status


def core(options):
    """Odoo's own tests near ours, without and with our add-ons.

    :return: exit status 0 when each test ends the same with them as without.
    """
    odoo.ready()
    system.ensure("chromium", "wkhtmltopdf")
    base = odoo_tree.source()
    outcomes = {"without": {}, "with": {}}
    for modules in CORE:
        targets = []
        for module, files in modules.items():
            [tests] = [
                folder / module / "tests"
                for folder in (base / "odoo" / "addons", base / "addons")
                if (folder / module / "tests").is_dir()
            ]
            targets += [tests / name for name in files] or [tests]
        for title, addons in (("without", []), ("with", _beside(modules))):
            say(f"\n== Odoo's own tests {title} our add-ons: {', '.join(modules)}")
            with databases.temporary(databases.template_base()) as database:
                databases.install(database, [*modules, *addons], demo=True)
                outcomes[title].update(_core_outcomes(database, targets, options))
    return _compare(outcomes["without"], outcomes["with"])


def _beside(modules):
    """Our add-ons that install no more of Odoo than these modules.

    Else a test could end differently for what Odoo brings along.
    """
    there = {*databases.BASE_MODULES, *modules}
    return [
        addon for addon in paths.addons() if set(databases.needed([addon])[1]) <= there
    ]


def _core_outcomes(database, targets, options):
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "core.xml"
        options = [*options, f"--junit-xml={report}"]
        _odoo_pytest(database, targets, options, database, False)
        return counting.outcomes(report)


def _compare(without, with_ours):
    """Say how both runs ended, and where they differ.

    :return: exit status
    """
    say()
    for title, outcomes in (("without", without), ("with", with_ours)):
        ends = ", ".join(
            f"{sum(end == kind for end in outcomes.values())} {kind}"
            for kind in ("passed", "failed", "skipped")
        )
        say(f"{title} our add-ons: {len(outcomes)} tests, {ends}")
    different = {
        name: (without.get(name, "missing"), with_ours.get(name, "missing"))
        for name in sorted({*without, *with_ours})
        if without.get(name) != with_ours.get(name)
    }
    for name, ends in different.items():
        warn(f"{name}: {ends[0]} without, {ends[1]} with our add-ons")
    if not different and without:
        say("Each test ends the same.")
    return 1 if different or not without else 0
