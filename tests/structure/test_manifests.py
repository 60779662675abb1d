# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the Apps menu, a store of apps and pip read of each add-on."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADDONS = sorted(path.parent for path in ROOT.glob("billpay_odoo*/__manifest__.py"))
# The store's rule.
LONGEST_NAME = 25


def manifest(addon):
    return ast.literal_eval((addon / "__manifest__.py").read_text())


@pytest.fixture(params=ADDONS, ids=lambda path: path.name)
def addon(request):
    return request.param


def test_all_add_ons_are_read():
    assert len(ADDONS) >= 4


def test_name_is_short_and_the_add_ons_own(addon):
    names = [manifest(other)["name"] for other in ADDONS]
    name = manifest(addon)["name"]
    assert 0 < len(name) <= LONGEST_NAME
    assert names.count(name) == 1
    assert name in (addon / "README.rst").read_text().splitlines()


def test_version_licence_and_summary(addon):
    said = manifest(addon)
    assert re.fullmatch(r"19\.0\.\d+\.\d+\.\d+", said["version"])
    assert said["license"] == "LGPL-3"
    assert 20 < len(said["summary"]) < 160
    assert said["author"] and said["category"]


def test_files_are_there(addon):
    said = manifest(addon)
    for name in (*said.get("data", ()), *said.get("demo", ())):
        assert (addon / name).is_file(), name
    for pictures in said.get("images", ()):
        assert (addon / pictures).is_file(), pictures
    assert (addon / "static/description/icon.png").is_file()


def test_glue_waits_for_what_it_glues(addon):
    said = manifest(addon)
    if addon.name == "billpay_odoo":
        assert not said.get("auto_install")
    else:
        assert any(name.startswith("billpay_odoo") for name in said["depends"])
        assert said["auto_install"]


def test_people_find_it():
    said = manifest(ROOT / "billpay_odoo")
    text = (said["name"] + " " + said["summary"]).lower()
    for word in ("billpay", "m-pesa", "school", "tanzania", "shop", "invoice"):
        assert word in text


def test_pip_builds_it(addon):
    text = (addon / "pyproject.toml").read_text()
    assert 'requires = ["whool"]' in text
    assert 'build-backend = "whool.buildapi"' in text
