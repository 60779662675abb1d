# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The order in which files are imported means nothing.

A copy of the add-on whose packages import their files in another order loads, and an
invoice is paid in it: numbered, registered, found by the poll, booked, reconciled.
"""

import random
import re
import shutil
from pathlib import Path

from odoo.tests import tagged

from .processes import Processes
from .test_concurrency import ConcurrencyCase

ADDON = Path(__file__).parents[1]
# Packages of the add-on whose files Odoo imports.
PACKAGES = ("models", "models/*", "wizards", "controllers")
SEEDS = (1, 2, 3)
# Two of these packages build on each other at import: what is imported, not an order.
IMPORT = re.compile(r"^from \. import \w+\n", re.M)


class ShuffledProcesses(Processes):
    """Processes on a copy of the add-on with its imports in another order."""

    def __init__(self, database, seed):
        super().__init__(database)
        self.orders = {}
        self._shuffle(random.Random(seed))

    def _shuffle(self, dice):
        addons = self._folder / "addons"
        addons.mkdir()
        for path in ADDON.parent.glob("*/__manifest__.py"):
            if path.parent != ADDON:
                (addons / path.parent.name).symlink_to(path.parent)
        copy = addons / ADDON.name
        shutil.copytree(ADDON, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for pattern in PACKAGES:
            for package in sorted(copy.glob(pattern + "/__init__.py")):
                self._shuffle_package(package, dice)

    def _shuffle_package(self, package, dice):
        text = package.read_text()
        imports = IMPORT.findall(text)
        shuffled = dice.sample(imports, len(imports))
        self.orders[package.parent.name] = imports, shuffled
        rest = iter(shuffled)
        package.write_text(IMPORT.sub(lambda _match: next(rest), text))

    def _settings(self):
        settings = super()._settings()
        ours = str(ADDON.parent)
        folders = [
            str(self._folder / "addons") if Path(folder) == ADDON.parent else folder
            for folder in settings["addons_path"].split(",")
        ]
        assert ours not in folders, folders
        return {**settings, "addons_path": ",".join(folders)}


@tagged("post_install", "-at_install", "billpay_concurrency")
class TestImportOrder(ConcurrencyCase):
    def test_add_on_works_whatever_is_imported_first(self):
        ordered = self.processes
        self.addCleanup(setattr, type(self), "processes", ordered)
        for seed in SEEDS:
            with self.subTest(seed=seed):
                processes = ShuffledProcesses(self.db, seed)
                self.addCleanup(processes.stop)
                for imports, shuffled in processes.orders.values():
                    self.assertCountEqual(imports, shuffled)
                models = processes.orders["models"]
                self.assertNotEqual(*models, "this seed changes nothing")
                processes.start()
                type(self).processes = processes
                self.assertIn(
                    str(processes._folder), self.run_worker("where_the_add_on_is")
                )
                self.again()
                _move, payment = self.paid_invoice()
                self.run_worker("poll_and_process")
                self.assertBookedOnce(payment)
