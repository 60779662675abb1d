# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The command line of ./dev."""

import argparse
import os
import signal
import sys

from . import bench, cleaning, demo, linting, locking, odoo, pictures, serve, testing
from .console import Problem, say, warn

EXAMPLES = """\
examples:
  ./dev demo                    Odoo with demo data, the sandbox, and what to try
  ./dev demo --once             the main job without hands, with evidence
  ./dev test                    every test; the last line counts them
  ./dev test --fast             without those that start processes or browsers
  ./dev test --changed          half a minute: the tests of the files you changed
  ./dev test billpay_odoo/tests/test_x.py -k name
  ./dev bench invoice           speed beside Odoo's own way, in one run
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
    # SIGINT too: a shell starts programs in the background with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
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
        if "--beside" in rest:
            rest.remove("--beside")
            return testing.beside(rest)
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
    test.add_argument(
        "--beside", action="store_true", help="In Payment, with the add-on that has it"
    )
    testing.add_options(test)
    test.add_argument("rest", nargs="*", metavar="PATH | pytest option")
    lint = command("lint", linting.lint, "format, rules, Odoo checks, XML")
    lint.add_argument("--fix", action="store_true", help="repair what a program can")
    odoo_help = "the Odoo server program, with any arguments"
    command("odoo", None, odoo_help)
    show = command("demo", demo.demo, "Odoo with demo data and the sandbox")
    show.add_argument("--once", action="store_true", help="the main job without hands")
    show.add_argument("--sandbox-port", type=int, help="default 8079")
    show.add_argument("--port", type=int, help="port of Odoo, default 8069")
    clean_db = command("serve", serve.serve, "a clean database, as a new customer")
    clean_db.add_argument("--db", required=True, metavar="NAME", help="made if new")
    clean_db.add_argument("--port", type=int, default=8069, help="default 8069")
    clean_db.add_argument("--install", action="store_true", help="our add-ons too")
    for server in (show, clean_db):
        server.add_argument("--host", default="127.0.0.1", help="listen here")
        server.add_argument("--workers", type=int, default=0, help="server processes")
    shots = command("pictures", pictures.pictures, "make the documentation's pictures")
    shots.add_argument("names", nargs="*", metavar="NAME", help="default: all of them")
    speed = command("bench", bench.bench, "how fast it is, beside Odoo's own way")
    speed.add_argument("names", nargs="*", metavar="NAME", help="default: all of them")
    speed.add_argument("--quick", action="store_true", help="a small run, to try it")
    speed.add_argument("--json", metavar="PATH", help="default bench-results.json")
    command("stop", cleaning.stop, "end everything this checkout started")
    clean = command("clean", cleaning.clean, "stop, and delete databases and .venv")
    clean.add_argument("--all", action="store_true", help="the downloads as well")
    again = command("lock", locking.lock, "pin the Python packages again")
    again.add_argument("--upgrade", action="store_true", help="newest versions")
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
