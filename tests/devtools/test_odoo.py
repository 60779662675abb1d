# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The server program: one that Odoo can start again by its path."""

import os
import subprocess

import pytest

from devtools import odoo, odoo_tree
from devtools.console import Problem

# Where Odoo is, before each test gets a cache of its own.
CACHE = {name: os.environ.get(name) for name in ("XDG_CACHE_HOME", "ODOO_PATH")}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Return a function that makes files of an Odoo of one's own."""

    def make(package, program=None):
        folder = tmp_path / package
        (folder / "odoo").mkdir(parents=True)
        (folder / "odoo" / "release.py").write_text("version_info = (19, 0, 0)")
        if program:
            path = tmp_path / program
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("import odoo.cli; odoo.cli.main()")
        monkeypatch.setenv("ODOO_PATH", str(folder))
        return folder

    return make


@pytest.mark.parametrize(
    ("package", "program"),
    [
        ("source", "source/odoo-bin"),
        ("usr/lib/python3/dist-packages", "usr/bin/odoo"),
        ("venv/lib/python3.12/site-packages", "venv/bin/odoo"),
    ],
)
def test_program_is_a_file(tree, tmp_path, package, program):
    tree(package, program)
    assert odoo_tree.program() == tmp_path / program
    command = odoo.command("-d", "x", "--workers", 2)
    assert command[1:] == [str(tmp_path / program), "-d", "x", "--workers", "2"]


def test_missing_program_is_named(tree):
    folder = tree("source")
    with pytest.raises(Problem, match=f"{folder}/odoo-bin"):
        odoo_tree.program()


def test_evented_server_starts_as_odoo_starts_it(monkeypatch):
    """Odoo puts ``gevent`` behind its own path (``long_polling_spawn``)."""
    for name, value in CACHE.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    python, program = odoo.command()
    done = subprocess.run(
        [python, program, "gevent", "--version"],
        env=odoo.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Odoo Server 19.0" in done.stdout
