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


def of_report(path, status, skips_fail=True):
    """Count one run of pytest.

    :param path: its JUnit report; a run that broke early has none.
    :param status: its exit status; 5 means that no test was selected.
    :return: Count, and the names of skipped tests.
    """
    try:
        suites = ElementTree.parse(path).getroot().iter("testsuite")
    except (OSError, ElementTree.ParseError):
        return Count(0, 0 if status == 5 else 1), []
    passed = failed = 0
    skipped = []
    for suite in suites:
        outcomes = {}
        for case in suite.iter("testcase"):
            # A test whose tear-down breaks is written twice.
            name = f"{case.get('classname')}::{case.get('name')}"
            bad = any(case.find(tag) is not None for tag in ("failure", "error"))
            outcome = "failed" if bad else "passed"
            if case.find("skipped") is not None:
                outcome = "skipped"
            if outcomes.get(name) != "failed":
                outcomes[name] = outcome
        values = list(outcomes.values())
        passed += values.count("passed")
        failed += values.count("failed")
        skipped += [name for name, value in outcomes.items() if value == "skipped"]
    if skips_fail:
        failed += len(skipped)
    if status not in (0, 5) and not failed:
        failed = 1
    return Count(passed, failed), skipped
