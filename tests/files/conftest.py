# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Load the readers by themselves: importing the add-on would need Odoo."""

import importlib
import sys
import types
from pathlib import Path

ADDON = Path(__file__).resolve().parents[2] / "billpay_odoo"

package = sys.modules.setdefault("plain", types.ModuleType("plain"))
package.__path__ = [str(ADDON)]
for name in ("identity", "cells", "columns", "files"):
    importlib.import_module(f"plain.{name}")
