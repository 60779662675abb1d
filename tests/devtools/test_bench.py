# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What ./dev bench makes of figures; nothing is timed here."""

import json
import types

import pytest

import benchmarks
from benchmarks import tasks
from devtools import bench
from devtools.bench_results import (
    Bar,
    Result,
    Row,
    median,
    paired_ratio,
    percentile,
    short,
    table,
    write,
)
from devtools.console import PRECONDITION, Problem


def result(name="posting", value=7.0, limit=6, baseline=True):
    rows = [Row("ours", (40.0, 50.0, 60.0), 12.25)]
    rows += [Row("one by one", (7.0, 8.0, 9.0), 113.4)] if baseline else []
    bars = (Bar("rate beside one by one", value, limit, at_most=False),)
    return Result(name, "payments/s", tuple(rows), bars, value, ("a note",))


def test_median_is_not_moved_by_one_slow_round():
    assert median([3, 1, 100]) == 3


def test_nothing_measured_is_said_in_words():
    for function in (median, lambda samples: percentile(samples, 95)):
        with pytest.raises(Problem, match="measured nothing"):
            function([])


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 50), (95, 95), (100, 100)]
)
def test_percentile_is_a_value_that_was_measured(percent, expected):
    assert percentile(range(1, 101), percent) == expected


def test_percentile_of_few_is_the_worst():
    assert percentile([1, 2, 9], 95) == 9


def test_paired_ratio_ignores_a_slow_spell_of_the_machine():
    assert paired_ratio([1.1, 11.0, 1.1], [1.0, 10.0, 1.0]) == pytest.approx(1.1)


def test_paired_ratio_wants_as_many_of_both():
    with pytest.raises(ValueError, match="shorter"):
        paired_ratio([1, 2], [1])


@pytest.mark.parametrize(
    ("value", "at_most", "met"),
    [
        (10, True, True),
        (10.001, True, False),
        (10, False, True),
        (9.999, False, False),
        (None, True, False),
        (None, False, False),
    ],
)
def test_bar_is_met_up_to_its_limit_and_never_without_a_value(value, at_most, met):
    assert Bar("it", value, 10, at_most).met is met


def test_one_missed_bar_is_enough():
    bars = (Bar("a", 1, 2), Bar("b", 3, 2))
    found = Result("x", "s", (Row("ours", (1.0,)),), bars)
    assert not found.met


def test_json_object_has_what_readers_look_for():
    found = result().as_dict()
    assert found["unit"] == "payments/s"
    assert (found["ours"], found["baseline"], found["ratio"]) == (50, 8, 7)
    assert found["sql_per_item"] == 12.25
    assert found["bar"] == "rate beside one by one ≥ 6"
    assert found["met"] is True


def test_no_baseline_is_null():
    found = result(baseline=False).as_dict()
    assert found["baseline"] is None


def test_file_has_one_object_per_benchmark_and_keeps_the_others(tmp_path):
    path = tmp_path / "results.json"
    write(path, [result("posting"), result("poll", value=5)])
    write(path, [result("poll", value=8)])
    found = json.loads(path.read_text())
    assert set(found) == {"posting", "poll"}
    assert [found[name]["met"] for name in ("posting", "poll")] == [True, True]


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_broken_file_is_replaced(tmp_path, text):
    path = tmp_path / "results.json"
    path.write_text(text)
    write(path, [result()])
    assert list(json.loads(path.read_text())) == ["posting"]


def test_file_that_cannot_be_written_is_said_in_words(tmp_path):
    with pytest.raises(Problem, match="cannot be written"):
        write(tmp_path, [result()])


@pytest.mark.parametrize(
    ("number", "expected"), [(None, None), (0, 0), (1234.567, 1235), (0.123456, 0.1235)]
)
def test_figures_have_four_digits(number, expected):
    assert short(number) == expected


def test_table_shows_medians_ratios_statements_and_bars():
    lines = table(result(value=5.0))
    ours, other = lines[2], lines[3]
    assert ours.split() == ["ours", "50", "40", "to", "60", "12.2"]
    assert other.split() == [*"one by one 8 7 to 9 6.25 113".split()]
    assert lines[-1] == "  MISSED rate beside one by one ≥ 6: 5"
    assert len({len(line) for line in lines[1:4]}) == 1


def module(name):
    return types.SimpleNamespace(NAME=name, TITLE=name)


KNOWN = {name: module(name) for name in ("invoice", "posting", "webhook")}


def test_all_benchmarks_run_when_none_is_named():
    assert list(bench.choose([], KNOWN)) == ["invoice", "posting", "webhook"]


def test_named_benchmarks_run_once_in_their_order():
    names = ["webhook", "invoice", "webhook"]
    assert list(bench.choose(names, KNOWN)) == ["invoice", "webhook"]


def test_unknown_benchmark_names_the_known_ones():
    with pytest.raises(Problem, match=r"no benchmark fast.*invoice, posting") as found:
        bench.choose(["fast"], KNOWN)
    assert found.value.status == PRECONDITION


@pytest.mark.parametrize(
    ("values", "broken", "status"),
    [((7,), [], 0), ((7, 5), [], 1), ((7,), ["poll"], 1), ((), ["poll"], 1)],
)
def test_status_follows_bars_and_broken_ones(values, broken, status, capsys):
    results = [result(f"bench{value}", value=value) for value in values]
    assert bench.conclude(results, broken) == status
    errors = capsys.readouterr().err
    assert ("bench5" in errors) is (5 in values)
    assert ("not measured: poll" in errors) is bool(broken)


def test_every_benchmark_is_found_with_its_texts():
    found = benchmarks.discover()
    assert set(benchmarks.ORDER) <= set(found)
    for name, module in found.items():
        assert module.__name__ == f"benchmarks.{name}"
        assert module.TITLE and callable(module.run)


def test_two_tasks_of_one_name_are_refused():
    def prepare_company(env):
        pass

    benchmarks.discover()
    with pytest.raises(ValueError, match="two benchmarks have a task prepare_company"):
        tasks.task(prepare_company)
