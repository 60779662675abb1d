# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""System packages (browser, PDF printer): installed when root, else named."""

import importlib.util
import os
import shlex
import shutil

from .console import PRECONDITION, Problem, step
from .run import run


def is_debian():
    """Whether apt can get what is missing."""
    try:
        with open("/etc/os-release") as handle:
            lines = handle.read().splitlines()
    except OSError:
        return False
    return "ID=debian" in lines and bool(shutil.which("apt-get"))


def _has_venv():
    return all(map(importlib.util.find_spec, ("venv", "ensurepip")))


def _has_browser():
    return any(map(shutil.which, ("chromium", "google-chrome", "chromium-browser")))


# package, whether it is there
PACKAGES = {
    "python3-venv": _has_venv,
    "wkhtmltopdf": lambda: shutil.which("wkhtmltopdf"),
    "chromium": _has_browser,
}


def ensure(*names):
    """Make sure these packages are there.

    :raise Problem: status 2 with the command to type, when this user cannot install.
    """
    missing = [name for name in names if not PACKAGES[name]()]
    if not missing:
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if not is_debian():
        raise Problem(
            f"Missing programs: {', '.join(missing)} (Debian's names).\n"
            "Install them with your system's package manager and try again.",
            PRECONDITION,
        )
    if os.geteuid():
        raise Problem(
            "Missing system packages. Type this, then try again:\n"
            f"  sudo apt-get update && sudo {shlex.join(install)}",
            PRECONDITION,
        )
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    lists = ["-o", "Acquire::Retries=3"]
    with step(f"system packages: {', '.join(missing)}"):
        run(["apt-get", *lists, "update"], what="apt-get update", env=env)
        run(install[:1] + lists + install[1:], what="apt-get install", env=env)
    still = [name for name in missing if not PACKAGES[name]()]
    if still:
        raise Problem(f"Installed, but still not found: {', '.join(still)}")
