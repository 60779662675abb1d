# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Virtual environments, filled from the hash-pinned locks in requirements/."""

import os
import re
import subprocess
import sys

from . import folders, paths, system
from .console import step, warn
from .run import run


def stamp(lock):
    """Text that changes with the lock and with the Python that made the folder."""
    return f"{paths.digest(lock)} {sys.version} {sys.executable}"


def _create(folder):
    command = [sys.executable, "-m", "venv", folder]
    run(command, what="virtual environment")


def uv():
    """The fast installer, itself installed by pip from its own lock."""
    lock = paths.REQUIREMENTS / "uv.txt"
    folder = paths.cache() / f"uv-{paths.digest(stamp(lock))}"

    def build(target):
        _create(target)
        _pip_install(target, lock)

    folders.in_place(folder, stamp(lock), build)
    return folder / "bin" / "uv"


def _pip_install(folder, lock):
    python = folder / "bin" / "python"
    options = ["--no-deps", "--require-hashes", "--disable-pip-version-check"]
    run(
        [python, "-m", "pip", "install", *options, "-r", lock],
        what=f"installing {lock.name}",
    )


def index_of_pip():
    """The package index this machine's pip is set to, for uv, which does not look."""
    if any(name.startswith(("UV_INDEX", "UV_DEFAULT_INDEX")) for name in os.environ):
        return {}
    found = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    found = os.environ.get("PIP_INDEX_URL") or found
    return {"UV_DEFAULT_INDEX": found} if re.match(r"https?://", found) else {}


def _fill(folder, lock):
    _create(folder)
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    env = {
        **os.environ,
        **index_of_pip(),
        "UV_CACHE_DIR": str(paths.cache() / "uv-cache"),
        "UV_LINK_MODE": "copy",
        "UV_NO_CONFIG": "1",
    }
    command = [uv(), "pip", "install", "--python", folder / "bin" / "python"]
    command += [*options, "--compile-bytecode", "-r", lock]
    done = subprocess.run(
        [str(part) for part in command],
        env=env,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        # pip is slower but knows proxies and mirrors that uv may not.
        warn(f"uv: {done.stderr.strip().splitlines()[-1:]}; trying pip")
        _pip_install(folder, lock)


def environment(folder, lock_name):
    """Return folder, a virtual environment with exactly the packages of a lock."""
    lock = paths.REQUIREMENTS / lock_name
    if not folders.is_complete(folder, stamp(lock)):
        system.ensure("python3-venv")
        with step(f"Python packages ({lock_name})"):
            folders.in_place(folder, stamp(lock), lambda target: _fill(target, lock))
    return folder


def main_environment():
    """The checkout's .venv: Odoo's requirements and the test tools."""
    return environment(paths.VENV, "test.txt")


def beside():
    """Return the folder of the add-ons that ours are tested beside."""
    lock = paths.REQUIREMENTS / "beside.txt"
    folder = paths.cache() / f"beside-{paths.digest(stamp(lock))}"

    def build(target):
        command = [sys.executable, "-m", "pip", "install", "--target", target]
        command += ["--no-deps", "--require-hashes", "--disable-pip-version-check"]
        run([*command, "-r", lock], what=f"installing {lock.name}")

    folders.complete(folder, stamp(lock), build)
    return folder / "odoo" / "addons"


def lint_environment():
    """The linters, apart, so that they cannot move a version Odoo runs on."""
    return environment(paths.subfolder("venvs") / "lint", "lint.txt")
