# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How long each test took when it last ran on this machine.

Read from the reports that pytest writes and kept beside the downloads, for all
checkouts: a guess that balances the lanes, never a reason to leave a test out of
``./dev test``.
"""

import ast
import functools
import json
import os
import xml.etree.ElementTree as ElementTree

from . import folders, paths

# What one run may add to the time of a test that was quicker before.
SLOWER = 1.2


def _file():
    return paths.cache() / "durations.json"


def load():
    """Return ``{file: {"Class::test": seconds}}``."""
    try:
        return json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}


def of_report(report, project=paths.ROOT):
    """Read a JUnit report.

    :return: ``{file: {"Class::test": seconds}}``, files relative to the checkout
    """
    try:
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return {}
    found = {}
    for case in cases:
        parts = (case.get("classname") or "").split(".")
        for end in range(len(parts), 0, -1):
            path = project.joinpath(*parts[:end]).with_suffix(".py")
            if path.is_file():
                name = "::".join([*parts[end:], case.get("name", "")])
                tests = found.setdefault(str(path.relative_to(paths.ROOT)), {})
                # An error while tearing down is a case of its own.
                tests[name] = tests.get(name, 0) + float(case.get("time") or 0)
                break
    return found


def keep(found):
    """Remember what was measured; what did not run now keeps its time."""
    if not found:
        return
    with folders.lock(_file().with_suffix(".lock")):
        known = load()
        for name, tests in found.items():
            old = known.setdefault(name, {})
            for test, seconds in tests.items():
                # Other work slows a test down: the quickest run is the truest.
                limit = max(old.get(test, seconds) * SLOWER, 0.01)
                old[test] = round(min(seconds, limit), 3)
        temporary = _file().with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(known, indent=0, sort_keys=True))
        temporary.replace(_file())


class Guess:
    """Seconds that test files take: as measured, else by their length."""

    def __init__(self, root=paths.ROOT, known=None, fast=False):
        """:param bool fast: leave out what ``--fast`` leaves out"""
        self._root = root
        self._known = load() if known is None else known
        self._fast = fast
        sizes = sum(self._size(name) for name in self._known)
        total = sum(sum(tests.values()) for tests in self._known.values())
        self._rate = total / sizes if total and sizes else 1

    def _size(self, name):
        try:
            return (self._root / name).stat().st_size
        except OSError:
            return 0

    def __call__(self, target):
        """Return the seconds for a file, or for ``file::name``."""
        name, _mark, node = target.partition("::")
        tests = self._known.get(name)
        slow = slow_names(self._root / name, self._root) if self._fast else ()
        if not tests:
            every = test_names(self._root / name)
            wanted = [x for x in every if _is_in(x, node) and not _is_slow(x, slow)]
            share = len(wanted) / len(every) if every else 1
            return self._rate * self._size(name) * share
        return sum(
            # Even an empty test takes a moment: 0 says that there is none.
            max(seconds, 0.001)
            for test, seconds in tests.items()
            if _is_in(test, node) and not _is_slow(test, slow)
        )


def _is_in(test, node):
    """Whether a test is the one, or in the class, that was named; "" names all."""
    plain = test.partition("[")[0]
    return not node or node in (test, plain) or test.startswith(f"{node}::")


def _is_slow(test, slow):
    return any(_is_in(test, name) for name in slow)


def test_names(path):
    """Return the tests that a file defines, as ``Class::test``."""
    found = []
    for node in _body(path):
        items = node.body if isinstance(node, ast.ClassDef) else [node]
        for item in items:
            if getattr(item, "name", "").startswith("test_"):
                found.append(item.name if item is node else f"{node.name}::{item.name}")
    return found


@functools.cache
def _classes(root):
    """Return ``{class: (its bases, whether it is tagged)}`` of all tests."""
    found = {}
    for path in root.glob("*/tests/*.py"):
        for node in _body(path):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base) for base in node.bases]
                found[node.name] = (bases, _is_tagged(node))
    return found


def _body(path):
    try:
        return ast.parse(path.read_text()).body
    except (OSError, SyntaxError):
        return []


def _inherits_tag(bases, classes):
    return any(
        classes[base][1] or _inherits_tag(classes[base][0], classes)
        for base in bases
        if base in classes
    )


def slow_names(path, root):
    """Return the classes and tests of a file that are tagged as slow."""
    found = set()
    classes = _classes(root)
    for node in _body(path):
        bases = [ast.unparse(base) for base in getattr(node, "bases", ())]
        if _is_tagged(node) or _inherits_tag(bases, classes):
            found.add(node.name)
        for item in getattr(node, "body", ()) if isinstance(node, ast.ClassDef) else ():
            if _is_tagged(item):
                found.add(f"{node.name}::{item.name}")
    return found


def _is_tagged(node):
    return any(
        "slow" in ast.unparse(decorator).replace('"', "'").split("'")
        or ast.unparse(decorator).endswith(".slow")
        or ast.unparse(decorator) == "slow"
        for decorator in getattr(node, "decorator_list", ())
    )
