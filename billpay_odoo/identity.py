# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The normal forms in which receipts, numbers, names and phones are compared.

Two texts mean the same when their keys are equal and not empty. Each key is its own
key, so stored keys can be compared again. Plain Python, no database.
"""

import re
import unicodedata
from collections.abc import Sequence, Set
from dataclasses import replace
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache

# A payment that is known by its receipt only is called so until ClickPesa names it.
PROVISIONAL_PREFIX = "RECEIPT/"
# What was merged into another row has let go of its name.
MERGED_PREFIX = "MERGED/"
OUR_NAMES = (PROVISIONAL_PREFIX, MERGED_PREFIX)

# What people write into a cell that has nothing to say, in the form of `word_key`.
PLACEHOLDERS = frozenset(
    "na nil nill none null nan hana hakuna hamna haipo haina unknown haijulikani "
    "notavailable notapplicable notgiven notprovided noemail nophone nonumber "
    "hanasimu hanaemail hanabaruapepe hakunasimu hakunanamba hanakumbukumbu tba tbc "
    "tbd xx xxx xxxx لايوجد غيرمتوفر 无 没有".split()
)
TANZANIA = "255"

_APOSTROPHES = dict.fromkeys(
    map(ord, "\u0060\u00b4\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb"), "'"
) | dict.fromkeys(
    map(ord, "\u055a\u05f3\u2018\u2019\u201a\u201b\u2032\u2035\ua78b\ua78c\uff07"), "'"
)
# An apostrophe of one encoding read in another, and the signs of Windows-1252.
_BROKEN_APOSTROPHE = re.compile(
    "\u00e2\u20ac[\u2122\u02dc\u02c6]|\u00ca\u00bc|[\x91\x92]"
)
_DASHES = re.compile("[\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d-]")
# Signs that no reader sees: joiners, marks of direction, variants, the Arabic dash.
_UNSEEN = re.compile("[\u034f\u0640\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# A whole number as a spreadsheet writes it into a text file.
_WHOLE = re.compile(r"([0-9]+)[.,]00?")
_EMAIL = re.compile(r"[^\s<>,;\"]+@[^\s<>,;\"]+")
_ASCII_WORD = re.compile("[A-Za-z0-9]+")
_CENT = Decimal("0.01")
_EXACTLY = Context(prec=400, rounding=ROUND_HALF_UP)


def _plain(text):
    """Return a text in capitals, with ASCII digits, one apostrophe and no accents.

    Letters of every script stay, and so do vowels that are written as marks.
    """
    if not isinstance(text, str):
        return ""
    if text.isascii():
        return text.translate(_APOSTROPHES).upper()
    text = _BROKEN_APOSTROPHE.sub("'", text).translate(_APOSTROPHES)
    text = unicodedata.normalize("NFKD", text)
    text = unicodedata.normalize("NFKD", text.casefold().upper())
    kept = (_kept(sign) for sign in text)
    return unicodedata.normalize("NFC", "".join(kept).translate(_APOSTROPHES))


# A table that fills itself: a list of names has a hundred different signs.
@lru_cache(maxsize=4096)
def _kept(sign):
    return "" if _is_dropped(sign) else _digit(sign)


def _digit(sign):
    value = unicodedata.decimal(sign, None)
    return sign if value is None else str(value)


def _is_dropped(sign):
    rank = unicodedata.combining(sign)
    dropped = rank >= 200 or rank == 1 or 10 <= rank <= 36 or _UNSEEN.match(sign)
    return dropped or unicodedata.category(sign) in ("Cf", "Me")


def without_blanks(text):
    """Return a text without blanks, letter case kept; "" for what is no text."""
    return "".join(text.split()) if isinstance(text, str) else ""


def is_blank(value):
    """Tell whether a cell says nothing: ``None``, ``-``, ``N/A``, ``HANA``, ``none``.

    A name is not asked: Hana is one.
    """
    if not isinstance(value, str):
        return value is None or value is False
    word = word_key(value)
    return not word or word in PLACEHOLDERS


def email_key(text):
    """Return the key of an e-mail address; "" is none."""
    found = _EMAIL.search(text.casefold()) if isinstance(text, str) else None
    return found[0] if found else ""


# === WORDS AND NAMES === #


def name_words(name):
    """Return the words of a name in capitals, without accents: ``Ng'ombe`` is one."""
    return _words(_plain(name).replace("'", ""))


def name_parts(name):
    """Return the words to look for in stored names: ``Ng'ombe`` is stored as two."""
    return _words(_plain(name).replace("'", " "))


def _words(text):
    if text.isascii():
        return _ASCII_WORD.findall(text)
    kept = [c.isalnum() or unicodedata.category(c)[0] == "M" for c in text]
    signs = (c if keep else " " for c, keep in zip(text, kept, strict=True))
    return [word for word in "".join(signs).split() if any(map(str.isalnum, word))]


def name_key(name):
    """Return the key of a name; the order of its words counts."""
    return " ".join(name_words(name))


def name_hint(name):
    """Return the key of a name whatever the order of its words.

    For a person to judge: ``Juma Ali`` and ``Ali Juma`` may be two people.
    """
    return " ".join(sorted(name_words(name)))


def word_key(text):
    """Return the key of a heading, a channel word or a choice: ``Tigo-Pesa``."""
    return "".join(name_words(text)).lower()


def word_keys(texts):
    """Return the keys of many words: ``{text: key}``."""
    return {text: word_key(text) for text in texts}


def reference_key(text):
    """Return the key of a customer's or an invoice's reference.

    Without blanks, and the leading zeros and ``.0`` that spreadsheets drop and add.
    """
    if is_blank(text):
        return ""
    key = _DASHES.sub("-", without_blanks(_plain(text)))
    if whole := _WHOLE.fullmatch(key):
        key = whole[1]
    return key.lstrip("0") or "0" if key.isdecimal() else key


# === CONTROL NUMBERS === #


def number_as_stored(value):
    """Return what was typed for a control number as numbers are stored.

    Without blanks, dashes and a spreadsheet's ``.0``, with ASCII digits; letter case
    is kept.

    :param value: a text, or a collection of texts (Odoo turns "=" into "in")
    """
    if isinstance(value, str):
        return _undivided(_grouped(_DASHES.sub("", _grouped(value))))
    if isinstance(value, Sequence | Set):
        return [number_as_stored(item) for item in value]
    return value


def _grouped(text):
    """Return a number without blanks, its dashes unified."""
    text = without_blanks(text)
    if text.isascii():
        return text
    signs = unicodedata.normalize("NFKC", text)
    signs = (_digit(c) for c in signs if unicodedata.category(c) != "Cf")
    return _DASHES.sub("-", without_blanks("".join(signs)))


def _undivided(text):
    whole = _WHOLE.fullmatch(text)
    return whole[1] if whole else text


def number_key(text):
    """Return the key of a control number, which is unique; leading zeros count."""
    if not isinstance(text, str):
        return ""
    return number_as_stored(number_as_stored(text).upper())


def number_spellings(sent):
    """Return the keys under which a payment's number may be known, likeliest first.

    ClickPesa may add a suffix after a "-" to repeated payments on a customer number.
    People divide digits by dashes: ``1234-5678-9012`` is one number, ``1234-5678`` may
    be a number and its suffix.
    """
    if not isinstance(sent, str):
        return []
    bare = _undivided(_grouped(sent)).upper()
    groups = bare.split("-")
    length = len(groups[0])
    divided = (
        len(groups) > 2
        and length > 2
        and 0 < len(groups[-1]) <= length
        and all(len(group) == length for group in groups[:-1])
    )
    names = ["".join(groups) if divided else bare, bare, groups[0]]
    return [name for name in dict.fromkeys(names) if name]


# === RECEIPTS === #

_LONG_LABEL = (
    "receipt|risiti|stakabadhi|transaction|muamala|kumbukumbu|reference"
    "|confirmation|namba|number"
)
_SHORT_LABEL = "no|nr|na|ref|id|ya|of|txn|trx|trans|rcpt|rct|code"
# A short label needs a sign behind it: receipts may begin with these letters.
_LABEL = re.compile(
    rf"(?:(?:{_LONG_LABEL})(?:[\s.:#=]*(?:{_LONG_LABEL}|{_SHORT_LABEL}))*[\s.:#=]+"
    rf"|(?:{_SHORT_LABEL})\s*[.:#=]+\s*)",
    re.IGNORECASE,
)


def receipt_text(text):
    """Return a receipt as it is shown: without blanks and labels such as "No."."""
    if not isinstance(text, str) or is_blank(text):
        return ""
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    while label := _LABEL.match(text):
        rest = text[label.end() :].lstrip(" .:#=")
        if is_blank(rest):
            return ""
        signs = sum(sign.isalnum() for sign in rest)
        if signs < 4 or (signs < 8 and not any(sign.isdecimal() for sign in rest)):
            break
        text = rest
    # What stood apart may combine.
    return unicodedata.normalize("NFKC", without_blanks(text))


def receipt_key(receipt):
    """Return the key of an operator's receipt: no signs, no label in front."""
    return "".join(sign for sign in _plain(receipt_text(receipt)) if sign.isalnum())


def reference_as_receipt(reference):
    """Return ClickPesa's id of a payment as a receipt's key, "" for a name of ours.

    People and statements take one for the other.
    """
    ours = (reference or "").startswith(OUR_NAMES)
    return "" if ours else receipt_key(reference)


def payment_keys(receipt, reference):
    """Return the stored keys of a payment's two names, ``False`` for none."""
    return receipt_key(receipt) or False, reference_as_receipt(reference) or False


def told_names(told):
    """Return the keys of all names under which a payment was told."""
    return {receipt_key(told.receipt), reference_as_receipt(told.id)} - {""}


def without_our_names(told):
    """Return what was told, under a name that is not one of ours.

    Else it could stand in the way of the receipt that a person enters.
    """
    if told.id.startswith(OUR_NAMES):
        return replace(told, id="ClickPesa " + told.id)
    return told


def same_amount(one, other):
    """Tell whether two amounts are equal to the cent; no amount is zero."""
    return _cents(one) == _cents(other)


def _cents(amount):
    return Decimal(str(amount or 0)).quantize(_CENT, context=_EXACTLY)


# === PHONES === #

_BETWEEN_PHONES = re.compile(r"[/,;|&\n]+|\b(?:or|and|au|na)\b", re.IGNORECASE)
# How most cells look, and quickly read.
_SIMPLE_PHONE = re.compile(r"(?:\+?255|0)?([67][0-9]{8})")
_WHOLE_PHONE = re.compile(r"(?<=[0-9]{9})[.,]00?(?![0-9])")
_EXTENSION = re.compile(r"(?:\bext|\bx)\W*[0-9]+\W*$", re.IGNORECASE)


def phone_key(text):
    """Return the key of a phone: its digits with the country code, ``255712345678``.

    Of two in one cell the first good one counts; without a country code it is
    Tanzanian; "" is none.
    """
    return next(_phones(text), "")


def phone_keys(text):
    """Return the keys of all phones of a cell, landlines and foreign ones too."""
    return list(dict.fromkeys(_phones(text)))


def phones(text):
    """Return the Tanzanian mobile numbers of a cell, as keys, the first one first."""
    return list(filter(_is_mobile, phone_keys(text)))


def mobile_phone(text):
    """Return a Tanzanian mobile number as ClickPesa wants it, "" for anything else."""
    return next(filter(_is_mobile, _phones(text)), "")


def phone_spellings(phone):
    """Return how a contact may have this phone written down; signs do not matter."""
    key = phone_key(phone)
    if not key:
        return []
    spellings = [f"+{key}", key]
    if key.startswith(TANZANIA):
        local = key.removeprefix(TANZANIA)
        spellings += [f"0{local}", local]
    return spellings


def _is_mobile(key):
    return len(key) == 12 and key.startswith(TANZANIA) and key[3] in "67"


def _phones(text):
    """Yield the phones of a cell, as keys."""
    if not isinstance(text, str):
        return
    if simple := _SIMPLE_PHONE.fullmatch(text):
        if key := _whole_phone(TANZANIA + simple[1], True):
            yield key
        return
    if not text.isascii():
        text = "".join(map(_digit, unicodedata.normalize("NFKC", text)))
    text = text.strip()
    text = _EXTENSION.sub("", _WHOLE_PHONE.sub("", text))
    parts = _BETWEEN_PHONES.split(text)
    # Signs inside of one number may be what stands between two elsewhere.
    for part in [*parts, text] if len(parts) > 1 else parts:
        digits = "".join(sign for sign in part if sign in "0123456789")
        plus = part.lstrip(" (").startswith("+")
        if key := _whole_phone(digits, plus):
            yield key
            continue
        for size in (10, 12, 13):
            both = digits[:size], digits[size:]
            keys = [_whole_phone(one, False) for one in both]
            if all(map(_is_mobile, keys)):
                yield from keys
                break


def _whole_phone(digits, plus):
    """Return the key of one number's digits, or ""."""
    if digits.startswith("00"):
        digits, plus = digits[2:], True
    if digits.startswith(TANZANIA + "0"):
        digits = TANZANIA + digits[4:]  # +255 (0) 712 …
    elif digits.startswith("0"):
        digits = TANZANIA + digits[1:]
    elif len(digits) == 9 and digits[0] in "67":
        if plus:
            return ""  # of no country; as a key it would become a Tanzanian number
        digits = TANZANIA + digits
    if digits.startswith(TANZANIA):
        # 0700 000 000 stands for no phone. A business may have 0713 000 000; in a file
        # it is one that a sheet rounded: cells.py.
        is_made_up = _is_mobile(digits) and digits.endswith("00000000")
        return digits if len(digits) == 12 and not is_made_up else ""
    return digits if 9 <= len(digits) <= 15 else ""
