# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How long tests take is measured, and guessed for those that never ran."""

import pytest

from devtools import durations

CASE = '<testcase classname="{}" name="{}" time="{}"/>'
TEST = """\
@tagged("post_install", "-at_install", "slow")
class TestCrash(Case):
    def test_kill(self): ...

class TestOne(Case):
    @slow
    def test_flood(self): ...

    def test_drop(self): ...

@pytest.mark.slow
def test_sleep(): ...
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "shop" / "tests").mkdir(parents=True)
    (tmp_path / "shop" / "tests" / "test_one.py").write_text(TEST)
    monkeypatch.setattr(durations.paths, "ROOT", tmp_path)
    return tmp_path


def report(root, *cases):
    path = root / "report.xml"
    body = "".join(CASE.format(*case) for case in cases)
    path.write_text(f"<testsuites><testsuite>{body}</testsuite></testsuites>")
    return path


def test_reports_are_kept_and_added_to(root):
    name = "shop.tests.test_one"
    first = report(root, (f"{name}.TestOne", "test_drop", 2), (name, "test_sleep", 1))
    durations.keep(durations.of_report(first, root))
    later = report(root, (f"{name}.TestOne", "test_drop", 1.5))
    durations.keep(durations.of_report(later, root))
    assert durations.load() == {
        "shop/tests/test_one.py": {"TestOne::test_drop": 1.5, "test_sleep": 1}
    }


def test_busy_machine_hardly_changes_what_is_known(root):
    for seconds in (2, 200):
        path = report(root, ("shop.tests.test_one", "test_sleep", seconds))
        durations.keep(durations.of_report(path, root))
    assert durations.load() == {"shop/tests/test_one.py": {"test_sleep": 2.4}}


def test_tests_of_others_are_not_kept(root):
    found = durations.of_report(report(root, ("odoo.addons.x.T", "test", 1)), root)
    assert found == {}
    assert durations.of_report(root / "absent.xml", root) == {}


def test_broken_file_is_no_obstacle(root):
    path = durations.paths.cache() / "durations.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    assert durations.load() == {}


def test_guess_is_what_was_measured_without_the_slow(root):
    known = {
        "shop/tests/test_one.py": {
            "TestCrash::test_kill": 100,
            "TestOne::test_flood[1]": 50,
            "TestOne::test_drop": 2,
            "test_sleep": 10,
        }
    }
    name = "shop/tests/test_one.py"
    assert durations.Guess(root, known)(name) == 162
    assert durations.Guess(root, known)(f"{name}::TestCrash") == 100
    assert durations.Guess(root, known, fast=True)(name) == 2


def test_tag_is_inherited(root):
    (root / "shop" / "tests" / "test_two.py").write_text(
        "class Between(TestCrash): ...\nclass TestTwo(Mixin, Between): ..."
    )
    known = {"shop/tests/test_two.py": {"TestTwo::test_kill": 5, "TestThree::x": 1}}
    assert durations.Guess(root, known, fast=True)("shop/tests/test_two.py") == 1


def test_guess_of_the_unknown_follows_its_length(root):
    known = {"shop/tests/test_one.py": {"test_sleep": len(TEST)}}
    (root / "other.py").write_text("#" * 30)
    assert durations.Guess(root, known)("other.py") == 30
    assert durations.Guess(root, {})("other.py") == 30
    name = "shop/tests/test_one.py"
    some = durations.Guess(root, {})(f"{name}::TestOne")
    assert some == durations.Guess(root, {})(name) / 2
    assert durations.Guess(root, {}, fast=True)(name) == some / 2
