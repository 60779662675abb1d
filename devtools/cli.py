# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The command line of ./dev."""

import argparse
import os
import signal
import sys

from . import linting, odoo, postgres, processes, testing
from .console import Problem, say, step, warn

EXAMPLES = """\
examples:
  ./dev demo                    Odoo with demo data, the sandbox, and what to try
  ./dev demo --once             the main job without hands, with evidence
  ./dev test                    every test; the last line counts them
  ./dev test billpay_odoo/tests/test_x.py -k name
  ./dev serve --db shop         a clean database, as a new customer has it
  ./dev odoo shell -d shop      the server program itself, with any arguments
  ./dev stop                    end everything this checkout started

variables: ODOO_PATH (an Odoo 19.0 source tree of your own), PGHOST, PGPORT, PGUSER,
PGPASSWORD (a PostgreSQL of your own), XDG_CACHE_HOME (where downloads are kept)
exit status: 0 done, 1 failed, 2 something is missing and the message names it
"""


def main(arguments=None):
    """Run one command and return its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _dispatch(arguments) or 0
    except Problem as problem:
        warn(f"./dev: {problem}")
        return problem.status
    except KeyboardInterrupt:
        warn("./dev: interrupted")
        return 130


def _interrupt(number, frame):
    raise KeyboardInterrupt


def _dispatch(arguments):
    # These two hand all their arguments on, also the ones that look like ours.
    if arguments[:1] == ["odoo"]:
        return run_odoo(arguments[1:])
    if arguments[:1] == ["test"] and not {"-h", "--help"} & set(arguments):
        rest = arguments[1:]
        if "--core" in rest:
            rest.remove("--core")
            return testing.core(rest)
        return testing.test(rest)
    options = _parser().parse_args(arguments)
    return options.run(options)


def _parser():
    parser = argparse.ArgumentParser(
        prog="./dev",
        description="The one command of billpay_odoo.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name, run, text):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    command("setup", setup, "get everything and start PostgreSQL")
    test = command("test", None, "run every test, or those of some files")
    test.add_argument("--core", action="store_true", help="Odoo's own tests near ours")
    test.add_argument("rest", nargs="*", metavar="PATH | pytest option")
    lint = command("lint", linting.lint, "format, rules, Odoo checks, XML")
    lint.add_argument("--fix", action="store_true", help="repair what a program can")
    odoo_help = "the Odoo server program, with any arguments"
    command("odoo", None, odoo_help)
    command("stop", stop, "end everything this checkout started")
    return parser


def setup(options):
    """Get everything and start PostgreSQL."""
    odoo.ready()
    say("Ready. Try: ./dev demo, ./dev test, ./dev odoo --help")


def run_odoo(arguments):
    """Become the server program."""
    odoo.ready()
    command = odoo.command(*arguments)
    os.execve(command[0], command, odoo.environment())


def stop(options):
    """End what this checkout started."""
    for name in processes.running():
        with step(f"stopping {name}"):
            processes.stop(name)
    if postgres.is_running():
        with step("stopping PostgreSQL"):
            postgres.stop()
