# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One class in one file, one owner of every truth: the add-ons keep the rules."""

from pathlib import Path

import pytest
import rules

ROOT = Path(__file__).resolve().parents[2]
ADDONS = sorted(path.parent.name for path in ROOT.glob("*/__manifest__.py"))
READ = (".py", ".xml", ".js", ".csv", ".scss", ".cfg", ".toml")
# 45, and the six of books/: two records of what ClickPesa tells (row, day), one of what
# explains a difference, and a service each for fetching, comparing and asking.
MOST_MODEL_FILES = 45 + 6


def read(*folders, without=(), endings=READ):
    """Return ``{path: text}`` of the files in these folders."""
    return {
        str(path.relative_to(ROOT)): path.read_text()
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in endings
        and path.is_file()
        and not set(path.relative_to(ROOT).parts) & {"__pycache__", *without}
    }


@pytest.fixture(scope="module")
def addons():
    """Sources of all add-ons, without their tests."""
    return read(*ADDONS, without=("tests",))


@pytest.mark.parametrize(
    "rule",
    [
        rules.spread_models,
        rules.long_classes,
        rules.twice_defined,
        rules.upward_imports,
        rules.standing_writers,
        rules.converters,
        rules.glue_names,
    ],
    ids=lambda rule: rule.__name__,
)
def test_addons_keep_the_rule(rule, addons):
    broken = rule(addons)
    assert not broken, f"{rule.__doc__}\n" + "\n".join(broken)


def test_nothing_is_excused():
    broken = rules.suppressions(read(*ADDONS, "devtools", "benchmarks"))
    assert not broken, "\n".join(broken)


def test_tests_name_no_files():
    tests = [f"{addon}/tests" for addon in ADDONS]
    tests += [f"tests/{name}" for name in ("allocation", "clickpesa", "devtools")]
    broken = rules.dotted_paths(read(*tests, "benchmarks"))
    assert not broken, "\n".join(broken)


def test_models_are_in_few_files():
    files = read(f"{rules.CORE}/models", endings=(".py",))
    names = [name for name in files if not name.endswith("/__init__.py")]
    assert len(names) <= MOST_MODEL_FILES, "\n".join(names)


def test_rules_look_at_something(addons):
    assert rules.OWNER in addons
    assert rules.MONEY in addons
    assert len([name for name in addons if name.endswith(".py")]) > 50
