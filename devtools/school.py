# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A school of 300 pupils for the demo: numbers by a bulk run, and a term's invoices.

Run as a script with the name of the database, in the environment of ``odoo.py``.
"""

import sys
from pathlib import Path

PUPILS = 300


def build(database):
    """Make the school unless it is there, in a process of its own."""
    from . import odoo, paths, postgres
    from .run import run

    known = "SELECT 1 FROM res_partner WHERE ref = 'S-0001' LIMIT 1"
    if postgres.psql(database, known):
        return
    log = paths.subfolder("logs") / f"school-{database}.log"
    run(
        [paths.PYTHON, Path(__file__).absolute(), database],
        what="making the school",
        log=log,
        env=odoo.environment(),
        cwd=paths.ROOT,
    )


def main(database):
    from odoo import SUPERUSER_ID, api
    from odoo.modules.registry import Registry
    from odoo.tools import config

    config.parse_config(
        ["-d", database, "--no-http", "--max-cron-threads=0", "--log-level=warn"],
        setup_logging=True,
    )
    with Registry(database).cursor() as cr:
        env = api.Environment(cr, SUPERUSER_ID, {})
        from odoo.addons.billpay_odoo.demo import school

        domain = [("chart_template", "=", "tz")]
        school.build(env, env["res.company"].search(domain, limit=1), PUPILS)


if __name__ == "__main__":
    # This folder holds modules with common names, and not for us.
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [path for path in sys.path if path != here]
    main(*sys.argv[1:])
