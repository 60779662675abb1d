# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What is installed is pinned and verified, from wherever this machine gets it."""

import re

import pytest

from devtools.paths import REQUIREMENTS

LOCKS = ["uv.txt", "test.txt", "lint.txt"]


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_address(name):
    text = (REQUIREMENTS / name).read_text()
    assert not re.search(r"://|--(extra-)?index-url|--find-links", text)


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_one_version_and_a_hash(name):
    text = (REQUIREMENTS / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9.-]+==\S+ ", line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line


def test_lock_follows_its_wishes():
    wished = (REQUIREMENTS / "odoo.in").read_text()
    locked = (REQUIREMENTS / "test.txt").read_text().lower().replace("_", "-")
    names = re.findall(r"^([A-Za-z][\w.-]*)", wished, re.M)
    assert names
    for name in names:
        assert f"\n{name.lower()}==" in f"\n{locked}", name
