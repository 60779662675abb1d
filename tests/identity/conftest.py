# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Load the normal forms by themselves: importing the add-on would need Odoo."""

import importlib.util
import sys
import types
from pathlib import Path

from hypothesis import settings

ADDON = Path(__file__).resolve().parents[2] / "billpay_odoo"


def load(*names):
    # A package without the add-on's __init__, in which they find each other.
    package = sys.modules.setdefault("plain", types.ModuleType("plain"))
    package.__path__ = [str(ADDON)]
    for name in names:
        importlib.import_module(f"plain.{name}")


load("identity", "likeness", "cells", "columns")

# Busy machines are slow; a failing example is printed, so nothing needs to be kept.
settings.register_profile("identity", deadline=None, database=None)
settings.load_profile("identity")
