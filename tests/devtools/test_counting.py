# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The counting line must never be better than the truth."""

import pytest

from devtools.counting import Count, of_report

CASE = '<testcase classname="c" name="{}">{}</testcase>'


def report(tmp_path, *outcomes):
    cases = [
        CASE.format(f"t{number}", f"<{outcome}/>" if outcome else "")
        for number, outcome in enumerate(outcomes)
    ]
    path = tmp_path / "report.xml"
    text = f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"
    path.write_text(text)
    return path


def test_failures_and_errors_count_as_failed(tmp_path):
    path = report(tmp_path, "", "", "failure", "error")
    assert of_report(path, 1) == (Count(2, 2), [])


def test_skipped_test_counts_as_failed_and_is_named(tmp_path):
    path = report(tmp_path, "", "skipped")
    assert of_report(path, 0) == (Count(1, 1), ["c::t1 (no reason)"])


def test_skips_of_odoo_itself_are_only_named(tmp_path):
    path = report(tmp_path, "", "skipped")
    assert of_report(path, 0, skips_fail=False) == (Count(1, 0), ["c::t1 (no reason)"])


def test_same_name_in_two_modules_is_two_tests(tmp_path):
    path = tmp_path / "report.xml"
    cases = CASE.format("t", "") * 2
    path.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    assert of_report(path, 0) == (Count(2, 0), [])


def test_run_without_report_is_a_failure(tmp_path):
    assert of_report(tmp_path / "absent.xml", 3) == (Count(0, 1), [])


def test_broken_report_is_a_failure(tmp_path):
    path = tmp_path / "report.xml"
    path.write_text("<testsuites><testsuite>")
    assert of_report(path, 0) == (Count(0, 1), [])


def test_bad_status_with_only_passed_tests_is_a_failure(tmp_path):
    assert of_report(report(tmp_path, ""), 2) == (Count(1, 1), [])


def test_nothing_selected_here_is_no_failure_yet(tmp_path):
    assert of_report(report(tmp_path), 5) == (Count(0, 0), [])


@pytest.mark.parametrize(
    ("count", "status"),
    [(Count(1, 0), 0), (Count(1, 1), 1), (Count(0, 0), 1), (Count(0, 1), 1)],
)
def test_status_follows_the_line(count, status):
    assert count.status == status


def test_line_is_what_readers_of_the_log_look_for():
    assert str(Count(7, 2) + Count(5, 1)) == "12 passed, 3 failed"
