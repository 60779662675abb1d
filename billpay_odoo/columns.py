# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which column of a file is what: by its heading, and by what stands in it. No ORM.

A heading that fits is no match when the contents contradict: a "name" without letters,
a "phone" that is a date, an "amount" that counts pupils. Two columns that fit a field
equally well are a choice for a person.
"""

import csv
import re
from collections import Counter, namedtuple
from pathlib import Path

from . import identity
from .cells import CellError, read_amount
from .identity import is_blank, name_words, word_key

# ``rivals``: the other columns that fit the field as well; then a person chooses.
Guess = namedtuple("Guess", "column field score rivals")
# ``strong`` headings mean the field; ``weak`` ones may, where no strong one stands.
Words = namedtuple("Words", "kind strong weak")


def _vocabularies():
    """Return ``{import: {field: Words}}`` of the table beside this file."""
    vocabularies = {}
    with open(Path(__file__).with_suffix(".csv"), encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            words = Words(row["kind"], row["strong"], row["weak"])
            vocabularies.setdefault(row["import"], {})[row["field"]] = words
    return vocabularies


# What each import takes. ClickPesa's own words, those of operators, banks, schools,
# churches and landlords, in English and Swahili.
VOCABULARIES = _vocabularies()

_REFERENCE = frozenset(
    "REFERENCE REF REFNO NO NUMBER MEMO DESCRIPTION ACCOUNT TRX TXN TRANS TRANSACTION"
    " BANK".split()
)
# What tells of a row that does not count, or of a payment that did not stay.
_STATUS = frozenset("status state result hali matokeo outcome".split())
_TELLING = re.compile(
    r"\b(fail(ed|ure)|declined|cancel+ed|reversed|reversal|refund(ed)?|pending|rejected"
    r"|void(ed)?|expired|charge ?back|imeshindikana|imekataliwa|imeghairiwa|imerudi\w*"
    r"|inasubiri)\b",
    re.IGNORECASE,
)
TOTALS = frozenset(
    "total totals grandtotal subtotal jumla jumlakuu jumlayote totalamount"
    " openingbalance closingbalance balancebroughtforward salioanzia".split()
)

_DATE = re.compile(
    r"[0-9]{1,4}[./-]([0-9]{1,2}|[A-Za-z]{3,9})[./-][0-9]{2,4}([ T,].*)?"
    r"|[0-9]{1,2}(st|nd|rd|th)? [A-Za-z]{3,9},? [0-9]{2,4}.*"
    r"|[A-Za-z]{3,9} [0-9]{1,2},? [0-9]{4}.*|20[0-9]{6}([0-9]{6})?"
)
_SERIAL = re.compile(r"[345][0-9]{4}(\.[0-9]+)?")
_TIME = re.compile(r"[0-9]{1,2}[:.][0-9]{2}([:.][0-9]{2})?( ?[AaPp]\.?[Mm]\.?)?")
_DOUBTFUL_AMOUNT = re.compile(r"[-+]?[0-9]{1,3}\.[0-9]{3}")
# "Student's" and "Parents'" in headings.
_OWNER = re.compile(r"(?<=\w)['\u2019]s?\b|(?<=s)['\u2019](?=\s)", re.IGNORECASE)
_OF = frozenset("YA WA LA ZA CHA".split())
_CODE = re.compile(r"[\w./ +#:-]{1,64}")


# === CONTENTS === #


def _is_date(text):
    return bool(_DATE.fullmatch(text))


def _fits_name(text):
    return any(map(str.isalpha, text)) and not _is_date(text) and "@" not in text


def _fits_phone(text):
    return not _is_date(text) and bool(identity.phone_key(text))


def _fits_code(text):
    has_digit = any(map(str.isdigit, text))
    return has_digit and not _is_date(text) and bool(_CODE.fullmatch(text))


def _fits_amount(text):
    try:
        return not _is_date(text) and read_amount(text) is not None
    except CellError as error:
        # 150.000 is an amount that can be read in two ways.
        return error.code == "not_money" and bool(_DOUBTFUL_AMOUNT.fullmatch(text))


_FITS = {
    "text": lambda text: True,
    "name": _fits_name,
    "phone": _fits_phone,
    "email": lambda text: "@" in text,
    "code": _fits_code,
    "amount": _fits_amount,
    "date": lambda text: _is_date(text) or bool(_SERIAL.fullmatch(text)),
    "time": lambda text: bool(_TIME.fullmatch(text)),
}


def _fits_all(kind, samples, is_sure):
    """Tell whether what stands in a column may be of a kind; ``None`` when empty.

    :param bool is_sure: its heading says so
    """
    filled = [text for text in samples if not is_blank(text)]
    if not filled:
        return None
    if kind == "amount" and (
        _counts(filled) or all(t[0] == "0" and t.strip("0") for t in filled)
    ):
        return False
    if kind == "code" and not is_sure and _counts(filled) and int(filled[0]) < 2:
        return False
    good = sum(map(_FITS[kind], filled))
    # A file of damaged cells has still its columns; a column of other things has not.
    return good * 2 >= len(filled)


def _counts(texts):
    """Tell whether a column counts: 1, 2, 3, or admission numbers in a row."""
    if len(texts) < 3 or not all(text.isdigit() and len(text) < 9 for text in texts):
        return False
    steps = Counter(int(b) - int(a) for a, b in zip(texts, texts[1:], strict=False))
    return steps[1] * 5 >= sum(steps.values()) * 4


def is_telling(heading, texts):
    """Tell whether a column may say that payments failed or went back."""
    if any(word_key(word) in _STATUS for word in heading.split()):
        return True
    return any(map(_TELLING.search, set(texts)))


# === HEADINGS === #


def _phrases(words):
    return [phrase.strip() for phrase in words.split(",") if phrase.strip()]


def _table(vocabulary):
    """Return ``{key of a heading: {field: score}}`` and the phrases to look for."""
    exact, within = {}, []
    for field, words in vocabulary.items():
        ranked = (
            (100, [*_phrases(words.strong), field.replace("_", " ")]),
            (60, _phrases(words.weak)),
        )
        for score, phrases in ranked:
            for phrase in phrases:
                scores = exact.setdefault(word_key(phrase), {})
                scores[field] = max(score, scores.get(field, 0))
                parts = name_words(phrase)
                within.append((parts, field, score // 2))
    return exact, within


_TABLES = {}


def _scores(heading, vocabulary):
    """Return ``{field: score}`` of the fields that a heading may mean."""
    if id(vocabulary) not in _TABLES:
        _TABLES[id(vocabulary)] = _table(vocabulary)
    exact, within = _TABLES[id(vocabulary)]
    if scores := exact.get(word_key(heading)):
        return scores
    words, found = name_words(_OWNER.sub("", heading)), {}
    if scores := exact.get("".join(words).lower()):
        return scores
    is_swahili = not _OF.isdisjoint(words)
    whole = f" {' '.join(words)} "
    for parts, field, score in within:
        if set(parts) <= set(words):
            # The longer phrase means more of it, and most as it stands.
            score += 2 * sum(map(len, parts)) - len(words)
            as_it_stands = len(parts) > 1 and f" {' '.join(parts)} " in whole
            score += 20 if as_it_stands else 0
            # "Risiti ya mtandao" is a receipt: what it is comes first.
            score += 20 if is_swahili and parts[0] == words[0] else 0
            found[field] = max(score, found.get(field, 0))
    return found


def likeness(cells, vocabulary):
    """Return how much a row looks like headings; less than nothing for a data row."""
    score = 0
    for text in cells:
        if len(text) > 60 or _is_date(text) or identity.phone_key(text):
            score -= 100
        elif text:
            score += min(100, max(_scores(text, vocabulary).values(), default=0))
    return score


def find_heading(rows, vocabulary):
    """Find the row of headings among the first rows: ``(index, height, headings)``.

    A title over the table is none, even when it names a field.

    :param rows: lists of texts
    """
    best, place, height = 0, None, 1
    is_narrow = max(map(len, rows), default=0) == 1
    for index, cells in enumerate(rows):
        filled = sum(map(bool, cells))
        score = likeness(cells, vocabulary) if filled > 1 or is_narrow else 0
        if score > best:
            best, place, height = score, index, 1
        if index and filled > 1 and _are_groups(rows[index - 1], cells, vocabulary):
            joined = likeness(_joined(rows[index - 1], cells), vocabulary)
            # Below "Parent", a name is not the pupil's, though it fits better alone.
            score = max(score, joined)
            if joined > 0 and score >= best:
                best, place, height = score, index - 1, 2
    if place is None:
        # Nothing is known: the first row that is as wide as most rows.
        widths = [sum(map(bool, cells)) for cells in rows]
        usual = Counter(width for width in widths if width).most_common(1)
        place = widths.index(usual[0][0]) if usual else 0
    headings = rows[place] if rows else []
    if height == 2:
        headings = _joined(headings, rows[place + 1])
    return place, height, headings


def _are_groups(top, bottom, vocabulary):
    """Tell whether a row groups the headings below it: "Student | | | Parent"."""
    if any(map(_has_digits, (*top, *bottom))) or sum(map(bool, top)) < 2:
        return False
    width = max(len(top), len(bottom))
    below = [*bottom, *[""] * (width - len(bottom))]
    above = [*top, *[""] * (width - len(top))]
    is_apart = any(not one and two for one, two in zip(above, below, strict=True))
    # A title block over the table names nothing that stands in it.
    return is_apart and all(
        not under or _scores(over, vocabulary)
        for over, under in zip(above, below, strict=True)
        if over
    )


def _has_digits(text):
    return sum(map(str.isdigit, text)) > 2


def _joined(top, bottom):
    """Return headings that stand over two rows; what is above a group is said once."""
    joined, above = [], ""
    for index in range(max(len(top), len(bottom))):
        over = top[index] if index < len(top) else ""
        under = bottom[index] if index < len(bottom) else ""
        above = over or (above if under else "")
        joined.append(" ".join(filter(None, (above, under))))
    return joined


# === GUESSING === #


def guess(headings, samples, vocabulary):
    """Return the best :class:`Guess` for each column, left to right.

    :param samples: per column what stands in it, in the order of the file
    """
    fitting, refused = [], {}
    for column, heading in enumerate(headings):
        texts = samples[column]
        scores = {}
        for field, score in _scores(heading, vocabulary).items():
            fits = _fits_all(vocabulary[field].kind, texts, score == 100)
            if fits is False and score == 100 and vocabulary[field].kind == "amount":
                refused.setdefault(field, []).append(column)
            if fits is not False:
                # An empty column means little.
                scores[field] = score if fits else score / 10
        fitting.append(scores)
    for heading, texts, scores in zip(headings, samples, fitting, strict=True):
        # What a bank calls a reference is its own; numbers to pay have digits only.
        if "receipt" in vocabulary and _is_reference(heading, texts):
            scores.pop("number", None)
    chosen, rivals = {}, {}
    for _turn in vocabulary:
        _assign(fitting, chosen, rivals)
    for field in ("phone", "payer_phone", "email", "paid_at"):
        _guess_by_contents(field, headings, samples, vocabulary, chosen)
    for column, field in chosen.items():
        # An amount that looks like none gives way to no other without a word.
        if others := [c for c in refused.get(field, ()) if c not in chosen]:
            rivals.setdefault(column, others)
    if "amount" in chosen.values() and "amount_out" in chosen.values():
        # Which of them is the money that came is for a person to say.
        [out] = [column for column, field in chosen.items() if field == "amount_out"]
        for column in (c for c, field in chosen.items() if field == "amount"):
            rivals[column] = [*rivals.get(column, ()), out]
    return [
        Guess(
            column,
            chosen.get(column),
            fitting[column].get(chosen.get(column), 0),
            rivals.get(column, []),
        )
        for column in range(len(headings))
    ]


def _is_reference(heading, texts):
    if not _REFERENCE.issuperset(name_words(heading)):
        return False
    keys = [identity.number_key(text) for text in texts if not is_blank(text)]
    return sum(map(str.isdecimal, keys)) * 5 < len(keys) * 4


def _assign(fitting, chosen, rivals):
    """Give each field the one column that fits it best; equals become rivals."""
    wanted = {}
    for column, scores in enumerate(fitting):
        free = {f: s for f, s in scores.items() if f not in chosen.values()}
        if column not in chosen and free:
            field = max(free, key=free.get)
            wanted.setdefault(field, []).append((free[field], column))
    for field, columns in wanted.items():
        best = max(columns)[0]
        # The same rank, whatever the exact words.
        equal = sorted(column for score, column in columns if score > best * 0.75)
        for column in equal:
            chosen[column] = field
            if len(equal) > 1:
                rivals[column] = [other for other in equal if other != column]


def _guess_by_contents(field, headings, samples, vocabulary, chosen):
    if field not in vocabulary or field in chosen.values():
        return
    kind, found = vocabulary[field].kind, []
    for column, texts in enumerate(samples):
        filled = [text for text in texts if text]
        if column in chosen or len(filled) < 2 or kind == "date" and headings[column]:
            continue
        good = [t for t in filled if kind != "phone" or identity.mobile_phone(t)]
        if len(good) * 5 >= len(filled) * 4 and _fits_all(kind, filled, False):
            found.append(column)
    if len(found) == 1:
        chosen[found[0]] = field
