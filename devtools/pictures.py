# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""./dev pictures: the pictures of the documentation, made anew from the demo."""

import subprocess

from . import databases, odoo, paths, processes, school, system, till
from .billing import Billing
from .console import say, step
from .services import services

SCRIPT = paths.ROOT / "docs" / "pictures.py"


def pictures(options):
    """Make all pictures, or the named ones, from a demo of their own.

    :return: exit status.
    """
    system.ensure("chromium", "wkhtmltopdf")
    with services() as running:
        running.start_base()
        database = databases.name("pictures")
        template = databases.template_addons(paths.addons())
        with step(f"database {database}"):
            databases.remove(database)
            databases.copy(template, database)
        sandbox = running.start_sandbox("127.0.0.1", processes.free_port(), None)
        url = running.start_odoo(database, "127.0.0.1", processes.free_port(), 0)
        billing = Billing(url, database, sandbox)
        with step("what is photographed"):
            billing.configure()
            school.build(database)
            till.build(billing)
        done = subprocess.run(
            [paths.PYTHON, SCRIPT, url, database, sandbox, *options.names],
            env=odoo.environment(),
            cwd=paths.ROOT,
            check=False,
        )
    say("Look at each of them before you commit.")
    return done.returncode
