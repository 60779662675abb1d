# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The server program: one that Odoo can start again by its path."""

import contextlib
import os
import signal
import subprocess
import urllib.request

import pytest

from devtools import odoo, odoo_tree, processes, rpc
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


@pytest.fixture
def cache(monkeypatch):
    """The Odoo that everybody has."""
    for name, value in CACHE.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


def test_evented_server_starts_as_odoo_starts_it(cache):
    """Odoo puts ``gevent`` behind its own path (``long_polling_spawn``)."""
    python, program = odoo.command()
    done = subprocess.run(
        [python, program, "gevent", "--version"],
        env=odoo.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Odoo Server 19.0" in done.stdout


def test_server_with_workers_has_its_evented_one(cache):
    """What ``./dev serve --workers`` starts answers on both ports; no database yet."""
    ports = {"http": processes.free_port(), "gevent": processes.free_port()}
    server = subprocess.Popen(
        odoo.command(
            *("--workers=1", "--max-cron-threads=0", "--http-interface=127.0.0.1"),
            *(f"--{name}-port={port}" for name, port in ports.items()),
        ),
        env=odoo.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for port in ports.values():
            url = f"http://127.0.0.1:{port}/web/health"

            def answers(url=url):
                with contextlib.suppress(OSError):
                    return urllib.request.urlopen(url, timeout=5).status

            assert rpc.until(answers, 60, url) == 200
        assert server.poll() is None
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
