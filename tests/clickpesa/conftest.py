# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Load the client by itself: importing the add-on around it would need Odoo."""

import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "billpay_odoo" / "clickpesa"


def load_client():
    if "clickpesa" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "clickpesa",
            FOLDER / "__init__.py",
            submodule_search_locations=[str(FOLDER)],
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules["clickpesa"] = module
        spec.loader.exec_module(module)


load_client()
