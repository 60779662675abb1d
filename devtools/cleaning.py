# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""./dev stop and ./dev clean: nothing stays running, nothing stays on the disk."""

import shutil

from . import paths, postgres, processes
from .console import say, step


def stop(options):
    """End what this checkout started, PostgreSQL last."""
    names = processes.running()
    for name in names:
        with step(f"stopping {name}"):
            processes.stop(name)
    if postgres.is_running():
        with step("stopping PostgreSQL"):
            postgres.stop()
    elif not names:
        say("Nothing of this checkout was running.")


def clean(options):
    """Stop, then delete this checkout's databases and environments."""
    stop(options)
    with step("deleting databases and virtual environments"):
        postgres.remove()
        shutil.rmtree(paths.state(), ignore_errors=True)
        shutil.rmtree(paths.VENV, ignore_errors=True)
        (paths.ROOT / ".venv.lock").unlink(missing_ok=True)
    if options.all:
        with step("deleting downloads"):
            shutil.rmtree(paths.cache(), ignore_errors=True)
