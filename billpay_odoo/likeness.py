# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How alike two numbers, receipts or names are. Plain Python, no database.

Payers type control numbers on a handset: a digit is swapped with its neighbour, typed
wrong, left out or typed twice. That is one step of the Damerau-Levenshtein distance,
so all numbers one step away can be written down and looked up at once, however many
numbers there are.
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
    """Return every number one slip of the thumb away from this one.

    Leading zeros that a spreadsheet has dropped or a person has added count as one
    slip.

    :param str number: what was typed
    :return: at most about 60 × its length texts, without the number itself
    :rtype: set[str]
    """
    text = number_key(number)
    if not text or len(text) > MAX_LENGTH:
        return set()
    signs = (
        string.digits if text.isdecimal() else string.digits + string.ascii_uppercase
    )
    found = set()
    for i in range(len(text) + 1):
        head, tail = text[:i], text[i:]
        found.update(head + sign + tail for sign in signs)
        if tail:
            found.add(head + tail[1:])
            found.update(head + sign + tail[1:] for sign in signs)
        if len(tail) > 1:
            found.add(head + tail[1] + tail[0] + tail[2:])
    found.update("0" * zeros + text for zeros in range(1, _ZEROS + 1))
    found.update(text[zeros:] for zeros in range(1, _leading_zeros(text) + 1))
    return found - {text, ""}


def _leading_zeros(text):
    return min(len(text) - len(text.lstrip("0")), _ZEROS)


def slip(typed, meant):
    """Say which slip turned the number that was meant into the one that was typed.

    :return: SWAPPED, REPLACED, MISSING (a digit was left out), EXTRA (one too many),
        ZEROS (zeros in front lost or added), or None when it takes more than one slip
    """
    typed, meant = number_key(typed), number_key(meant)
    if typed == meant:
        return None
    if len(typed) == len(meant):
        differing = [
            i
            for i, pair in enumerate(zip(typed, meant, strict=True))
            if len({*pair}) > 1
        ]
        if len(differing) == 1:
            return REPLACED
        if len(differing) == 2:
            i, j = differing
            if j == i + 1 and typed[i] == meant[j] and typed[j] == meant[i]:
                return SWAPPED
        return None
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
    receipt differs by one. Never take such receipts for equal; hold the second payment
    for a person.

    :return: False for receipts that are the same
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

    Operators cut names and turn them round: each word of the shorter name is compared
    with its best counterpart in the longer one. A single common word is no likeness
    between names that both have several.
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
