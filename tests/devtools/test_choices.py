# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What ./dev decides before it starts anything."""

import pytest

from devtools import cli, databases, odoo_tree, paths, postgres, system, testing
from devtools.console import PRECONDITION, Problem, step


def test_files_are_told_from_options(monkeypatch):
    monkeypatch.chdir(paths.ROOT)
    selected, options = testing.split(["tests/devtools", "-k", "tests", "-x"])
    assert selected == ["tests/devtools"]
    assert options == ["-k", "tests", "-x"]


def test_mistyped_file_is_named(monkeypatch):
    monkeypatch.chdir(paths.ROOT)
    with pytest.raises(Problem, match=r"no tests/test_nothing\.py"):
        testing.split(["tests/test_nothing.py"])


def test_one_file_selects_its_own_run_only(monkeypatch):
    monkeypatch.chdir(paths.ROOT)
    name = "tests/devtools/test_choices.py"
    plain, addons = testing.select([name + "::test_x"])
    assert {str(folder): targets for folder, targets in plain.items()} == {
        "tests/devtools": [name + "::test_x"]
    }
    assert addons == []


def test_no_selection_means_every_folder_of_tests():
    plain, _ = testing.select([])
    assert {"tests/devtools", "clickpesa_sandbox/tests"} <= set(map(str, plain))


def test_a_few_files_run_in_one_server(tmp_path):
    names = make_files(tmp_path, testing.FEW - 1)
    assert testing.cut([*names, names[0]], tmp_path, lambda name: 1) == [names]


def test_a_few_files_that_take_long_run_in_two(tmp_path):
    names = make_files(tmp_path, 3)
    batches = testing.cut(names, tmp_path, {n: 30 for n in names}.get)
    assert sorted(map(len, batches)) == [1, 2]


def test_one_long_file_is_one_batch(tmp_path):
    [name] = make_files(tmp_path, 1)
    assert testing.cut([name], tmp_path, lambda name: 500) == [[name]]


def test_many_files_are_cut_into_batches_that_take_equally_long(tmp_path):
    names = make_files(tmp_path, 9)
    seconds = dict(zip(names, [90, 30, 30, 30, 1, 1, 1, 1, 1], strict=True))
    batches = testing.cut([""], tmp_path, seconds.get)
    assert sorted(sum(batches, [])) == sorted(names)
    assert sorted(sum(map(seconds.get, batch)) for batch in batches) == [92, 93]


def make_files(folder, count):
    names = [f"test_{index}.py" for index in range(count)]
    for name in names:
        (folder / name).touch()
    return names


def test_our_options_are_told_from_those_of_pytest():
    how, rest = testing.choose(["--changed", "-k", "name", "--base", "main", "-x"])
    assert (how.changed, how.fast, how.base) == (True, False, "main")
    assert rest == ["-k", "name", "-x"]
    how, rest = testing.choose(["--fast", "--durations=5", "tests/devtools"])
    assert (how.changed, how.fast, how.base) == (False, True, None)
    assert rest == ["--durations=5", "tests/devtools"]


def test_base_alone_is_refused():
    with pytest.raises(Problem, match="--changed") as found:
        testing.choose(["--base", "main"])
    assert found.value.status == PRECONDITION


def test_an_addon_is_tested_with_what_it_needs():
    ours, modules = databases.needed(["billpay_odoo"])
    assert ours == ["billpay_odoo"]
    assert modules == databases.BASE_MODULES


def test_missing_package_is_named_to_those_who_are_not_root(monkeypatch):
    monkeypatch.setitem(system.PACKAGES, "chromium", lambda: False)
    monkeypatch.setattr(system, "is_debian", lambda: True)
    monkeypatch.setattr(system.os, "geteuid", lambda: 1000)
    with pytest.raises(Problem, match="sudo apt-get install .*chromium") as found:
        system.ensure("chromium")
    assert found.value.status == 2


def test_other_systems_are_told_about_odoo_path(monkeypatch):
    monkeypatch.setattr(system, "is_debian", lambda: False)
    with pytest.raises(Problem, match="ODOO_PATH") as found:
        odoo_tree.source()
    assert found.value.status == 2


def test_own_source_must_be_odoo_19(tmp_path, monkeypatch):
    monkeypatch.setenv("ODOO_PATH", str(tmp_path))
    with pytest.raises(Problem, match=r"no odoo/release\.py"):
        odoo_tree.source()
    (tmp_path / "odoo").mkdir()
    release = tmp_path / "odoo" / "release.py"
    release.write_text("version_info = (18, 0, 0, FINAL, 0, '')")
    with pytest.raises(Problem, match=r"not Odoo 19\.0"):
        odoo_tree.source()
    release.write_text("version_info = (19, 0, 0, FINAL, 0, '')")
    assert odoo_tree.source() == tmp_path


def test_own_server_is_used_as_it_is(monkeypatch):
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGUSER", "me")
    assert postgres.environment() == {"PGHOST": "db.example", "PGUSER": "me"}
    assert not postgres.start()
    assert not postgres.stop()


def test_socket_path_stays_within_the_kernel_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ("long" * 30)))
    monkeypatch.setattr(postgres.os, "geteuid", lambda: 1000)
    path = postgres.environment()["PGHOST"] + "/.s.PGSQL.5432"
    assert len(path) < 108


def test_database_name_cannot_carry_sql():
    with pytest.raises(Problem):
        postgres.identifier('x"; DROP DATABASE y')
    assert postgres.identifier("shop-1") == '"shop-1"'


def test_problem_is_one_message_and_its_status(monkeypatch, capsys):
    monkeypatch.chdir(paths.ROOT)
    assert cli.main(["test", "tests/nothing_here.py"]) == 2
    assert "There is no tests/nothing_here.py" in capsys.readouterr().err


def test_failed_step_is_named():
    with (
        pytest.raises(Problem, match="step failed: the roof: no tiles"),
        step("the roof"),
    ):
        raise Problem("no tiles")


def test_missing_precondition_keeps_its_own_words_and_status():
    with pytest.raises(Problem, match="^type this$") as found, step("the roof"):
        raise Problem("type this", PRECONDITION)
    assert found.value.status == 2
