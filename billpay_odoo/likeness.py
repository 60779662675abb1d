# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How alike two numbers, receipts or names are. Plain Python, no database.

A slip is one step of the Damerau-Levenshtein distance: a digit swapped with its
neighbour, wrong, missing or one too many.
"""

import difflib
import string

from .identity import name_words, number_key, receipt_key

# Longer ones are no control number: at most 20 characters are ever made.
MAX_LENGTH = 24

# As many leading zeros may be lost at once.
_ZEROS = 4

SWAPPED, REPLACED, MISSING, EXTRA = "swapped", "replaced", "missing", "extra"
ZEROS = "zeros"


def neighbours(number):
    """Return the set of all numbers one slip away from this one, itself left out.

    Leading zeros that a spreadsheet has dropped or a person has added count as one
    slip.
    """
    text = number_key(number)
    if not text or len(text) > MAX_LENGTH:
        return set()
    signs = string.digits + ("" if text.isdecimal() else string.ascii_uppercase)
    found = set()
    for i in range(len(text) + 1):
        head, tail = text[:i], text[i:]
        found.update(head + sign + tail for sign in signs)
        if tail:
            found.add(head + tail[1:])
            found.update(head + sign + tail[1:] for sign in signs)
        if len(tail) > 1:
            found.add(head + tail[1] + tail[0] + tail[2:])
    found.update(with_zeros(text))
    leading = min(len(text) - len(text.lstrip("0")), _ZEROS)
    found.update(text[zeros:] for zeros in range(1, leading + 1))
    return found - {text, ""}


def with_zeros(number):
    """Return the numbers that this one may be without the zeros a sheet has dropped."""
    return ["0" * zeros + number for zeros in range(1, _ZEROS + 1)]


def slip(typed, meant):
    """Say which slip turned the number that was meant into the one that was typed.

    :return: SWAPPED, REPLACED, MISSING (a digit was left out), EXTRA (one too many),
        ZEROS (zeros in front lost or added), or None when it takes more than one slip
    """
    typed, meant = number_key(typed), number_key(meant)
    if typed == meant:
        return None
    if len(typed) == len(meant):
        i, *more = [i for i, sign in enumerate(typed) if sign != meant[i]]
        if not more:
            return REPLACED
        swapped = more == [i + 1] and typed[i : i + 2] == meant[i + 1] + meant[i]
        return SWAPPED if swapped else None
    shorter, longer = sorted((typed, meant), key=len)
    zeros = len(longer) - len(shorter)
    if zeros <= _ZEROS and longer == "0" * zeros + shorter:
        return ZEROS
    if len(longer) != len(shorter) + 1:
        return None
    if any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer))):
        return MISSING if len(typed) < len(meant) else EXTRA
    return None


# Signs that people take for each other.
_ALIKE = str.maketrans("OQILSZB", "0011528")


def nearly_same_receipt(one, other):
    """Tell whether one receipt may be the other, mistyped.

    The letter O for 0 and their like, two signs swapped, a sign too many or too few, or
    a label that hangs on in front. A wrong sign is no such slip: an operator's next
    receipt differs by one. False for receipts that are the same.
    """
    one, other = receipt_key(one), receipt_key(other)
    if one == other or min(len(one), len(other)) < 6:
        return False
    one, other = one.translate(_ALIKE), other.translate(_ALIKE)
    return (
        one == other
        or one.endswith(other)
        or other.endswith(one)
        or slip(one, other) in (SWAPPED, MISSING, EXTRA)
    )


def name_likeness(one, other):
    """Return how alike two names are, 0 to 1; the order of the words does not count.

    Each word of the shorter name is compared with its best counterpart in the longer.
    """
    shorter, longer = sorted((name_words(one), name_words(other)), key=len)
    if not shorter:
        return 0.0
    rest, total = list(longer), 0.0
    for word in shorter:
        best = max(rest, key=lambda w, word=word: _word_likeness(word, w))
        total += _word_likeness(word, best)
        rest.remove(best)
    covered = total / len(shorter)
    if len(shorter) == 1 and len(longer) > 1:
        covered *= 0.7
    return covered


def _word_likeness(one, other):
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
