# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Load the arithmetic by itself: importing the add-on around it would need Odoo."""

import importlib.util
import sys
from pathlib import Path

from hypothesis import settings

FILE = Path(__file__).resolve().parents[2] / "billpay_odoo" / "allocation.py"


def load():
    spec = importlib.util.spec_from_file_location("allocation", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["allocation"] = module
    spec.loader.exec_module(module)


load()

# Busy machines are slow; a failing example is printed, so nothing needs to be kept.
settings.register_profile("allocation", deadline=None, database=None)
settings.load_profile("allocation")
