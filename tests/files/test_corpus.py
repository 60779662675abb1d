# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every file of the corpus is read, and its columns are found or asked for.

What becomes of the rows is tried with Odoo: billpay_odoo/tests/test_files.py.
"""

import json
import runpy
from collections import Counter
from pathlib import Path

import pytest
from plain import columns, files

HERE = Path(__file__).parent
EXPECTED = {
    path.with_suffix(""): json.loads(path.read_text("utf-8"))
    for path in sorted(HERE.rglob("*.json"))
}
LEFT_OUT = ("looks_like", "contradicts", "same_as", "unusable")


def shown(path):
    return str(path.relative_to(HERE))


def table(path, vocabulary):
    """Return the sheet whose headings fit best, its headings and the rows below."""
    found = []
    for sheet in files.read(path.read_bytes(), path.name).sheets:
        head = sheet.head()
        texts = [cells for _number, cells in head]
        index, height, headings = columns.find_heading(texts, vocabulary)
        score = columns.likeness(headings, vocabulary)
        found.append((score, sheet, head[index][0], index + height, headings))
    _score, sheet, row, below, headings = max(found, key=lambda item: item[0])
    return sheet, row, headings, [texts for _number, texts in sheet.rows][below:]


@pytest.mark.parametrize("path", EXPECTED, ids=shown)
def test_columns(path):
    expected = EXPECTED[path]
    vocabulary = columns.VOCABULARIES[expected["import"]]
    sheet, row, headings, rows = table(path, vocabulary)
    assert row == expected["heading_row"]
    assert sheet.name == expected.get("sheet", sheet.name)
    samples = [
        [texts[place] if place < len(texts) else "" for texts in rows]
        for place in range(len(headings))
    ]
    guesses = columns.guess(headings, samples, vocabulary)
    mapping = {headings[guess.column]: guess for guess in guesses}
    assert mapping.keys() == expected["mapping"].keys()
    asks = [
        heading
        for heading, guess in mapping.items()
        if guess.rivals
        or not guess.field
        and columns.is_telling(heading, filter(None, samples[guess.column]))
    ]
    assert sorted(asks) == sorted(expected["asks"])
    found = {
        heading: guess.field
        for heading, guess in mapping.items()
        if heading not in asks
    }
    assert found == {name: expected["mapping"][name] for name in found}


def test_the_corpus_is_what_its_maker_writes():
    make = runpy.run_path(str(HERE / "make.py"))
    cases = {case.path: make["outcome"](case) for case in make["cases"]()}
    assert {shown(path): text for path, text in _texts()} == cases


def _texts():
    for path in EXPECTED:
        yield path, path.with_name(path.name + ".json").read_text("utf-8")


def test_how_much_is_left_for_a_person():
    """Nine rows of ten need no hand; what is left out rightly is no work either."""
    assert len(EXPECTED) >= 40
    rows = [row for expected in EXPECTED.values() for row in expected["rows"]]
    by_hand = [
        row for row in rows if row["verdict"] in LEFT_OUT and row.get("hand", True)
    ]
    assert len(by_hand) <= len(rows) / 10, Counter(row["verdict"] for row in by_hand)
    for path in EXPECTED:
        assert path.stat().st_size < 30_000
