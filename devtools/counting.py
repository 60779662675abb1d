# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Count tests from the reports pytest writes, and say the counting line."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass


@dataclass(frozen=True)
class Count:
    """How many tests passed and failed; a skipped one guards nothing: it failed."""

    passed: int = 0
    failed: int = 0

    def __add__(self, other):
        return Count(self.passed + other.passed, self.failed + other.failed)

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed"

    @property
    def status(self):
        """Exit status: no test at all is a failure too."""
        return 0 if self.passed and not self.failed else 1


def outcomes(path):
    """Return how each test of a JUnit report ended.

    :return: dict of ``class::name`` to ``passed``, ``failed`` or ``skipped``; empty
        when the run broke before it wrote one
    """
    try:
        suites = ElementTree.parse(path).getroot().iter("testsuite")
    except (OSError, ElementTree.ParseError):
        return {}
    ends = {}
    for case in (case for suite in suites for case in suite.iter("testcase")):
        name = f"{case.get('classname')}::{case.get('name')}"
        broken = case.find("failure") is not None or case.find("error") is not None
        skipped = case.find("skipped") is not None
        end = "failed" if broken else "skipped" if skipped else "passed"
        # An error while tearing down is a case of its own with the same name.
        ends[name] = "failed" if ends.get(name) == "failed" else end
    return ends


def of_report(path, status, skips_fail=True):
    """Count one run of pytest.

    :param path: its JUnit report; a run that broke early has none.
    :param status: its exit status; 5 means that no test was selected.
    :return: Count, and the names of skipped tests with their reasons.
    """
    try:
        suites = ElementTree.parse(path).getroot().iter("testsuite")
    except (OSError, ElementTree.ParseError):
        return Count(0, 0 if status == 5 else 1), []
    passed = failed = 0
    skipped = []
    for case in (case for suite in suites for case in suite.iter("testcase")):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skip is not None:
            name = f"{case.get('classname')}::{case.get('name')}"
            skipped.append(f"{name} ({skip.get('message', 'no reason')})")
        else:
            passed += 1
    if skips_fail:
        failed += len(skipped)
    if status not in (0, 5) and not failed:
        failed = 1
    return Count(passed, failed), skipped
