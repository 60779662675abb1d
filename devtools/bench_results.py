# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a benchmark found: medians, ratios, bars, the table and the JSON file."""

import json
import statistics
from dataclasses import dataclass, field

from .console import Problem


@dataclass(frozen=True)
class Bar:
    """One thing that is asked of a figure.

    :param what: words for the table, such as "time with / without".
    :param value: what was measured; ``None`` when it was not, which is not met.
    :param limit: what is asked for.
    :param at_most: whether the limit is the largest good value, else the smallest.
    """

    what: str
    value: float | None
    limit: float
    at_most: bool = True

    @property
    def met(self):
        """Whether the figure is on the good side; exactly the limit is."""
        if self.value is None:
            return False
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    def __str__(self):
        return f"{self.what} {'≤' if self.at_most else '≥'} {self.limit:g}"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    :param label: whose way was measured.
    :param samples: what each round brought, in the unit of the benchmark.
    :param sql: SQL statements per item; ``None`` when there are none to count.
    """

    label: str
    samples: tuple[float, ...]
    sql: float | None = None

    @property
    def median(self):
        return median(self.samples)


@dataclass(frozen=True)
class Result:
    """What one benchmark found.

    :param unit: of ``ours`` and ``baseline``, such as "payments/s".
    :param rows: ours first, then what it is measured beside.
    :param ratio: ours to the first baseline; ``None`` without one.
    :param bars: all of them must be met.
    :param notes: further facts, one short sentence each.
    """

    name: str
    unit: str
    rows: tuple[Row, ...]
    bars: tuple[Bar, ...]
    ratio: float | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def ours(self):
        return self.rows[0].median

    @property
    def baseline(self):
        return self.rows[1].median if len(self.rows) > 1 else None

    @property
    def met(self):
        return all(bar.met for bar in self.bars)

    def as_dict(self):
        """What ``bench-results.json`` says of it."""
        return {
            "unit": self.unit,
            "ours": short(self.ours),
            "baseline": short(self.baseline),
            "ratio": short(self.ratio),
            "sql_per_item": short(self.rows[0].sql),
            "bar": "; ".join(map(str, self.bars)),
            "met": self.met,
            "bars": [
                {
                    "what": bar.what,
                    "value": short(bar.value),
                    "limit": bar.limit,
                    "rule": "at most" if bar.at_most else "at least",
                    "met": bar.met,
                }
                for bar in self.bars
            ],
            "rows": [
                {
                    "what": row.label,
                    "median": short(row.median),
                    "samples": [short(sample) for sample in row.samples],
                    "sql_per_item": short(row.sql),
                }
                for row in self.rows
            ],
            "notes": list(self.notes),
        }


def median(samples):
    """The middle of what was measured.

    :raise Problem: nothing was.
    """
    if not samples:
        raise Problem("a benchmark measured nothing")
    return statistics.median(samples)


def percentile(samples, percent):
    """The value that ``percent`` of the samples do not exceed (nearest rank)."""
    if not samples:
        raise Problem("a benchmark measured nothing")
    ordered = sorted(samples)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank), 1) - 1]


def paired_ratio(ours, baseline):
    """The middle of the ratios of rounds that ran one right after the other.

    What slows the machine for a while slows both of a pair, so this wavers less than
    the ratio of the medians.
    """
    return median([one / other for one, other in zip(ours, baseline, strict=True)])


def short(number):
    """Four digits are more than a measurement is worth."""
    if number is None:
        return None
    return float(f"{number:.4g}")


def shown(number):
    """A figure for the table: no exponent, no digits without meaning."""
    if number is None:
        return "-"
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def table(result):
    """The lines a person reads."""
    heads = ("", result.unit, "all rounds", "ratio", "SQL per item")
    cells = [heads]
    for row in result.rows:
        first = row is result.rows[0]
        low, high = min(row.samples), max(row.samples)
        many = len(row.samples) > 1
        cells.append(
            (
                row.label,
                shown(row.median),
                f"{shown(low)} to {shown(high)}" if many else "-",
                "" if first or not row.median else shown(result.ours / row.median),
                shown(row.sql),
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [f"== {result.name}"]
    for line in cells:
        texts = [
            text.ljust(width) if index == 0 else text.rjust(width)
            for index, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append(("  " + "  ".join(texts)).rstrip())
    lines += [f"  {note}" for note in result.notes]
    for bar in result.bars:
        mark = "met   " if bar.met else "MISSED"
        lines.append(f"  {mark} {bar}: {shown(bar.value)}")
    return lines


def write(path, results):
    """Write the JSON file: one object per benchmark.

    What an earlier run found about others stays, so that a single benchmark can be
    repeated.

    :raise Problem: the file cannot be written.
    """
    known = {}
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = {}
    known = known if isinstance(known, dict) else {}
    found = {**known, **{result.name: result.as_dict() for result in results}}
    try:
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise Problem(f"{path} cannot be written: {error.strerror}") from error
