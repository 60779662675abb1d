# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The architecture page says what is there, in a length that people read."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ADDON = ROOT / "billpay_odoo"
PAGE = (ROOT / "docs" / "architecture.rst").read_text()
MODEL = re.compile(r'^    _name = "(billpay\.[a-z.]+)"', re.M)
MOST_WORDS = 2500


def models():
    """Names of the models and services of all add-ons, wizards left out."""
    files = ROOT.glob("billpay_odoo*/models/**/*.py")
    return {name for path in files for name in MODEL.findall(path.read_text())}


def test_every_model_is_on_the_page():
    missing = sorted(name for name in models() if f"``{name}``" not in PAGE)
    assert not missing


def test_every_model_on_the_page_exists():
    named = set(re.findall(r"``(billpay\.[a-z.]+)``", PAGE))
    assert named
    assert not sorted(named - models())


def test_every_file_on_the_page_exists():
    named = set(re.findall(r"``((?:[a-z_]+/)*[a-z_]+\.py)``", PAGE))
    assert named
    missing = [
        name
        for name in sorted(named)
        if not list(ROOT.glob(name)) and not list(ADDON.rglob(name))
    ]
    assert not missing


def test_the_page_is_short():
    assert len(PAGE.split()) <= MOST_WORDS
