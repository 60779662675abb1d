# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How alike two numbers or two names are. Plain Python, no database.

Payers type control numbers on a handset: a digit is swapped with its neighbour, typed
wrong, left out or typed twice. That is one step of the Damerau-Levenshtein distance,
so all numbers one step away can be written down and looked up at once, however many
numbers there are.
"""

import difflib
import string
import unicodedata

# Longer ones are no control number: at most 20 characters are ever made.
MAX_LENGTH = 24

SWAPPED, REPLACED, MISSING, EXTRA = "swapped", "replaced", "missing", "extra"


def neighbours(number):
    """Return every number one slip of the thumb away from this one.

    :param str number: what was typed; letters count as capitals
    :return: at most about 60 × its length texts, without the number itself
    :rtype: set[str]
    """
    text = number.upper()
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
    return found - {text, ""}


def slip(typed, meant):
    """Say which slip turned the number that was meant into the one that was typed.

    :return: SWAPPED, REPLACED, MISSING (a digit was left out), EXTRA (one too many),
        or None when it takes more than one slip
    """
    typed, meant = typed.upper(), meant.upper()
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
    if len(longer) != len(shorter) + 1:
        return None
    if any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer))):
        return MISSING if len(typed) < len(meant) else EXTRA
    return None


def name_words(name):
    """Return the words of a name in capitals, without accents and punctuation."""
    plain = unicodedata.normalize("NFKD", name or "")
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign)).upper()
    return "".join(sign if sign.isalnum() else " " for sign in plain).split()


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


def tanzanian_phone(text):
    """Return a phone number as ClickPesa wants it, ``255…``; "" if it is none.

    :param str text: as people write it, such as ``0712 345 678``
    """
    digits = "".join(sign for sign in text or "" if sign.isdecimal())
    digits = digits.removeprefix("00")
    if len(digits) == 10 and digits.startswith("0"):
        digits = "255" + digits[1:]
    elif len(digits) == 9 and digits[0] in "67":
        digits = "255" + digits
    plausible = len(digits) == 12 and digits.startswith("255") and digits[3] != "0"
    return digits if plausible and digits.isascii() else ""


def phone_spellings(phone, code="255"):
    """Return the ways in which a contact may have this phone number written down.

    Blanks and signs do not matter: Odoo compares without them.

    :param str phone: with the country code, as ClickPesa tells it: 255712345678
    :param str code: the country code that people leave out
    """
    digits = "".join(sign for sign in phone or "" if sign.isdecimal())
    if len(digits) < 7:
        return []
    if digits.startswith("0"):
        digits = code + digits[1:]
    spellings = [f"+{digits}", digits]
    if digits.startswith(code):
        spellings += [f"0{digits[len(code) :]}", digits[len(code) :]]
    return spellings
