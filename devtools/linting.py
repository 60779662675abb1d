# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""./dev lint: format, rules, the Odoo community's mandatory checks, readable XML."""

import subprocess
import xml.etree.ElementTree as ElementTree

from . import paths, python
from .console import say, warn

# Written by others or made by programs.
SKIPPED = {".git", ".venv", "node_modules", "__pycache__"}


def lint(options):
    """Run all linters, also after one complained.

    :return: exit status.
    """
    programs = python.lint_environment() / "bin"
    checks = {
        "ruff format": lambda: _ruff(programs, "format", fix=options.fix),
        "ruff check": lambda: _ruff(programs, "check", fix=options.fix),
        "pylint-odoo": lambda: _pylint(programs),
        "XML": _xml,
    }
    failed = []
    for title, check in checks.items():
        clean = check()
        say(f"{' ok' if clean else 'BAD'} {title}")
        failed += [] if clean else [title]
    if failed:
        hint = "" if options.fix else "; ./dev lint --fix repairs what a program can"
        warn(f"./dev lint: not clean: {', '.join(failed)}{hint}")
    return 1 if failed else 0


def _run(command):
    command = [str(part) for part in command]
    return subprocess.run(command, cwd=paths.ROOT).returncode == 0


def _ruff(programs, action, fix):
    options = ["--quiet", "--no-cache"]
    if action == "format":
        options += [] if fix else ["--check", "--diff"]
    elif fix:
        options += ["--fix"]
    return _run([programs / "ruff", action, *options, paths.ROOT])


def _pylint(programs):
    if not paths.addons():
        return True
    options = ["--rcfile", paths.ROOT / ".pylintrc-mandatory", "--jobs", "2"]
    return _run([programs / "python", "-m", "pylint", *options, *paths.addons()])


def _files(*suffixes):
    for path in sorted(paths.ROOT.rglob("*")):
        inside = path.relative_to(paths.ROOT).parts
        if path.suffix in suffixes and not SKIPPED & set(inside):
            yield path


def _xml():
    clean = True
    for path in _files(".xml", ".svg"):
        try:
            ElementTree.parse(path)
        except ElementTree.ParseError as error:
            warn(f"{path.relative_to(paths.ROOT)}: {error}")
            clean = False
    return clean
