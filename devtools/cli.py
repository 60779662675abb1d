# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The command line of ./dev."""

import argparse
import os
import signal

from . import odoo, paths
from .console import Problem, say, step, warn


def setup(options):
    """Get everything and start PostgreSQL."""
    odoo.ready()
    say("Ready. Try: ./dev demo, ./dev test, ./dev odoo --help")


def run_odoo(arguments):
    """Become the server program."""
    odoo.ready()
    command = odoo.command(*arguments)
    os.execve(command[0], command, odoo.environment())


def main():
    import sys
    if sys.argv[1:2] == ["odoo"]:
        return run_odoo(sys.argv[2:])
    if sys.argv[1:2] == ["setup"]:
        return setup(None)
