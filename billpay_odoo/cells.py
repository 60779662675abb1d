# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What one cell of a file says: a text, a phone, an amount, a date. No ORM.

Cells come as readers give them: ``None``, texts, numbers, dates. A cell that can be
read in two ways is refused, never guessed.
"""

import re
import unicodedata
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

from . import identity
from .identity import is_blank, without_blanks

# What stands in a cell whose formula was never calculated.
NO_VALUE = "#FORMULA"
LONGEST_CELL = 1000

_ERRORS = ("#REF!", "#N/A", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!")
# ="00123" and '00123: how some programs keep a sheet from eating zeros.
_KEPT = re.compile(r'="([^"]*)"|\'(?=[0-9+=])(.*)', re.DOTALL)
# A workbook keeps 15 digits of a number; a sheet then shows "1.12200000000012E+19".
_SCIENTIFIC = re.compile(r"[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+")
# The number of a row before the name, in lists that were written as texts.
_LISTED = re.compile(r"[0-9]{1,4}\s*[.):-]\s+(?=\S)")


class CellError(ValueError):
    """A cell that makes no sense.

    :ivar str code: why, for the caller to put in words: "formula", "cell_error",
        "digits_lost", "not_a_name", "not_a_phone", "not_an_address", "not_money",
        "not_a_date", "day_or_month" (read in two ways), "mixed_dates" (of a column in
        which a sheet has swapped days and months)
    """

    def __init__(self, code):
        super().__init__(code)
        self.code = code


# === TEXTS === #


def read_text(value):
    """Return a cell as a person sees it, in one line; "" for an empty one.

    :raises CellError: "formula" or "cell_error": the sheet has no value here
    """
    text = _short(cell_text(value))
    if kept := _KEPT.fullmatch(text):
        text = (kept[1] or kept[2] or "").strip()
    if text == NO_VALUE:
        raise CellError("formula")
    if text.upper() in _ERRORS:
        raise CellError("cell_error")
    return text


def cell_text(value):
    """Return a cell's value as text: ``150000.0`` as ``"150000"``."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip() if len(value) < 40 and "\n" not in value else _short(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        # 15 digits are what a workbook keeps; more would be made up.
        return format(value, ".15g")
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, date | time):
        return value.isoformat()
    return _short(str(value))


def _short(text):
    return " ".join(text[: 2 * LONGEST_CELL].split())[:LONGEST_CELL]


def read_name(value):
    """Return a name, without the number of its row: ``12. Asha Juma``.

    :raises CellError: "not_a_name" where there are no letters
    """
    text = read_text(value)
    text = _LISTED.sub("", text, count=1) if _LISTED.match(text) else text
    # "Hana" is a name, though others write it for none.
    if not text or not identity.word_key(text):
        return ""
    if not any(sign.isalpha() for sign in text):
        raise CellError("not_a_name")
    return text


def read_code(value):
    """Return a number or receipt without blanks; "1.12E+13" is refused."""
    text = without_blanks(read_text(value))
    if _SCIENTIFIC.fullmatch(text):
        raise CellError("digits_lost")
    return text


def read_reference(value):
    """Return a reference without blanks; "" for a placeholder such as ``N/A``."""
    text = read_code(value)
    return "" if is_blank(text) else text


def read_number(value):
    """Return a control number as it is stored; with a suffix it stays as it is."""
    text = read_code(value)
    known = identity.number_key(text) in identity.number_spellings(text)
    return identity.number_as_stored(text) if known else text


def read_receipt(value):
    """Return a receipt without blanks and label."""
    read_code(value)
    return identity.receipt_text(read_text(value))


def read_phone(value):
    """Return a phone as text, also one shown as 2.55712345678E+11.

    :raises CellError: "digits_lost", and "not_a_phone" where no phone can be read
    """
    text = read_text(value)
    if is_blank(text) or not text.strip("0+ -"):
        return ""
    bare = without_blanks(text).replace(",", ".")
    if _SCIENTIFIC.fullmatch(bare):
        number = Decimal(bare)
        kept = sum(sign.isdigit() for sign in bare.upper().partition("E")[0])
        text = str(int(number))
        # What a sheet rounded away came out as zeros.
        if number != int(number) or kept < len(text):
            raise CellError("digits_lost")
    # 0700000000 says that there is none, as people fill in a form.
    if re.fullmatch(r"0?[67][0-9]{2}000000", bare):
        return ""
    if re.fullmatch(r"\+?2550?[67][0-9]{2}000000(\.0)?", bare):
        raise CellError("digits_lost")
    is_moment = isinstance(value, date | time) or re.search(r"[0-9]:[0-9]{2}", text)
    if is_moment or not identity.phone_key(text):
        raise CellError("not_a_phone")
    return text


def read_email(value):
    """Return an e-mail address; "" for a placeholder.

    :raises CellError: "not_an_address"
    """
    text = read_text(value)
    if is_blank(text):
        return ""
    address = identity.email_key(text)
    if not address:
        raise CellError("not_an_address")
    return address


# === AMOUNTS === #

_MONEY_WORDS = re.compile(
    r"(?<![a-z])(tzs|t\.?\s?sh(illing)?s?|sh(illing)?s?|shilingi)\.?(?![a-z])"
    r"|/=|/-|(?<=[0-9])=|\b(?:only|tu)$",
    re.IGNORECASE,
)
_CENTS = r"(?:{}[0-9]{{1,2}})?"
_AMOUNTS = (
    # 150000.00, 150,000.00, 150 000, 150'000 and 1,50,000 as Indian programs write it
    (re.compile(r"[0-9]+" + _CENTS.format(r"\.")), "."),
    (re.compile(r"[0-9]{1,3}([, '][0-9]{3})+" + _CENTS.format(r"\.")), "."),
    (re.compile(r"[0-9]{1,2}(,[0-9]{2})+,[0-9]{3}" + _CENTS.format(r"\.")), "."),
    # 150000,00 and 1.500.000,00: with one dot, 150.000 may be either
    (re.compile(r"[0-9]+,[0-9]{1,2}"), ","),
    (re.compile(r"[0-9]{1,3}([. ][0-9]{3})+,[0-9]{1,2}"), ","),
    (re.compile(r"[0-9]{1,3}(\.[0-9]{3}){2,}"), ","),
)
_NEGATIVE = re.compile(
    r"[-\u2010-\u2015\u2212]\s*(.+)|\((.+)\)"
    r"|(.+?)\s*(?:[-\u2010-\u2015\u2212]|dr\.?)",
    re.IGNORECASE,
)
_SEPARATORS = str.maketrans("\u066b\u066c\u2019\u02bc", ".,''")


def read_amount(value):
    """Return an amount as ``Decimal``, below zero where it is; ``None`` for no amount.

    Takes ``150000``, ``150,000.00``, ``TZS 150 000/=`` and ``(150,000)``.

    :raises CellError: "not_money", also for what could be read in two ways, such as
        ``150.000``; "digits_lost"
    """
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        amount = Decimal(format(value, ".15g") if isinstance(value, float) else value)
        if not amount.is_finite() or abs(amount) >= 10**15:
            raise CellError("not_money")
        # 150000.00000001: what a sheet calculated.
        return amount.quantize(Decimal("0.01")).normalize() + 0
    text = read_text(value)
    if isinstance(value, date | time | bool):
        raise CellError("not_money")
    if is_blank(text):
        return None
    if _has_raised(text):
        raise CellError("not_money")
    text = unicodedata.normalize("NFKC", text).translate(_SEPARATORS)
    text = "".join(map(identity._digit, text))
    bare = " ".join(_MONEY_WORDS.sub(" ", text).split())
    sign = 1
    if negative := _NEGATIVE.fullmatch(bare):
        bare, sign = next(filter(None, negative.groups())).strip(), -1
    bare = re.sub(r"^\+\s*|\s*cr\.?$", "", bare, flags=re.IGNORECASE)
    if _SCIENTIFIC.fullmatch(bare):
        raise CellError("digits_lost")
    for form, point in _AMOUNTS:
        if form.fullmatch(bare):
            whole, _point, cents = bare.partition(point)
            digits = re.sub(r"[^0-9]", "", whole)
            if len(digits) <= 15:
                return sign * Decimal("%s.%s" % (digits, cents or "0")).normalize() + 0
    raise CellError("not_money")


# === DATES === #

_MONTHS = (
    "january januari",
    "february februari",
    "march machi marchi",
    "april aprili",
    "may mei",
    "june juni",
    "july julai",
    "august agosti",
    "september septemba sept",
    "october oktoba",
    "november novemba",
    "december desemba disemba",
)
_DAYS = (
    "monday tuesday wednesday thursday friday saturday sunday "
    "jumatatu jumanne jumatano alhamisi ijumaa jumamosi jumapili tues thur thurs"
)


def _beginnings(words):
    return {word[:size] for word in words.split() for size in range(3, len(word) + 1)}


_MONTH = {
    word: month for month, words in enumerate(_MONTHS, 1) for word in _beginnings(words)
}
_NO_DATE = _beginnings(_DAYS) | set("at on of tarehe the hrs hours hr".split())
# Day zero of the numbers by which workbooks mean dates, and which are taken for one:
# from 1970 to 2099.
_SERIAL_ZERO = datetime(1899, 12, 30)
_SERIALS = range(25569, 73051)

_CLOCK = re.compile(
    r"(?<![0-9:.])(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,:][0-9]{1,9})?)?"
    r"\s*(?P<half>[ap]\.?\s?m\b\.?)?"
    r"\s*(?P<zone>(?:utc|gmt)?[+-][0-9]{1,2}:?(?:[0-9]{2})?(?![0-9])"
    r"|(?:z|utc|gmt|eat)\b)?",
)
# 14.30 behind a date, and 02.30.15.000000 PM as Oracle writes it.
_DOTTED_CLOCK = re.compile(
    r"(?<=[0-9][ t])[0-9]{1,2}\.[0-9]{2}(?:\.[0-9]{2}(?:\.[0-9]{1,9})?)?"
    r"\s*(?:[ap]\.?m\.?)?$"
)
_DIGITS = re.compile(
    r"(?P<year>(?:19|20)[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?:[ t]?(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})"
    r"(?:(?P<second>[0-9]{2})(?:\.?[0-9]{3})?)?)?"
)
_PARTS = re.compile(r"([0-9]{1,4})\s*([./ -])\s*([0-9]{1,2})\s*\2\s*([0-9]{1,4})")
_YEAR = re.compile(r"[0-9]{4}")


def date_order(values, latest=None):
    """Return in which order a column writes its dates: "dmy", "mdy" or "ymd".

    One date that can be read in one way decides for the others. "ymd" where there is
    nothing to decide, "mixed" where a sheet of another country has swapped days and
    months of those dates it could read, and ``None`` where a person has to say.

    :param latest: a moment, without zone, after which no date of the column can be
    """
    found, doubtful, swapped = set(), [], 0
    for value in values:
        if isinstance(value, date):
            value = value.isoformat()
        try:
            parts = _numeric(value)
        except ValueError:
            # No date, or a zone that is none: +99:99.
            continue
        if not parts:
            continue
        first, second = parts[:2]
        if first > 31:
            # What a workbook took for a date.
            swapped = max(swapped, parts[2])
            continue
        if first > 12 >= second:
            found.add("dmy")
        elif second > 12 >= first:
            found.add("mdy")
        elif first != second and first <= 12:
            doubtful.append(parts)
    if found == {"dmy"} and 0 < swapped <= 12 and not doubtful:
        return "mixed"
    if len(found) == 1:
        return found.pop()
    if not doubtful:
        return "dmy" if found else "ymd"
    if latest and not found:
        limit = latest.date() if isinstance(latest, datetime) else latest
        fitting = {
            order
            for order in ("dmy", "mdy")
            if all(_in_order(parts, order) <= limit for parts in doubtful)
        }
        if len(fitting) == 1:
            return fitting.pop()
    return None


def read_date(value, order=None):
    """Return what a cell says: a ``date``, or a ``datetime`` where it has a time.

    With a zone (``Z``, ``+03:00``, ``EAT``) the moment is aware, else it is as the
    file's clocks show it. ``None`` for an empty cell.

    :param order: "dmy", "mdy", "ymd" or "mixed", of the whole column: `date_order`
    :raises CellError: "not_a_date"; "day_or_month" for ``05/06/2026`` without order
    """
    if isinstance(value, datetime):
        return _refuse_swapped(value.replace(microsecond=0), order)
    if isinstance(value, date):
        return _refuse_swapped(value, order)
    if isinstance(value, bool | time):
        raise CellError("not_a_date")
    text = _date_text(value)
    if not text:
        return None
    try:
        return _serial(text) or _of_digits(text) or _of_text(text, order)
    except (ValueError, OverflowError) as error:
        if isinstance(error, CellError):
            raise
        raise CellError("not_a_date") from None


def _refuse_swapped(value, order):
    if order == "mixed" and value.day <= 12:
        raise CellError("mixed_dates")
    return value


def _has_raised(text):
    """Tell whether a footnote's mark, as in 5000², would count as a digit."""
    return not text.isascii() and any(unicodedata.category(c) == "No" for c in text)


def _date_text(value):
    text = read_text(value)
    if is_blank(text):
        return ""
    text = unicodedata.normalize("NFKC", text).lower()
    return " ".join("".join(map(identity._digit, text)).split())


def _serial(text):
    """Return the date that a workbook's own number means, or ``None``."""
    if not re.fullmatch(r"[0-9]{5}(\.[0-9]+)?", text):
        return None
    if int(text[:5]) not in _SERIALS:
        raise CellError("not_a_date")
    moment = _SERIAL_ZERO + timedelta(seconds=round(float(text) * 86400))
    return moment if "." in text else moment.date()


def _of_digits(text):
    """Return the moment of ``20261125143000`` or ``20261125``, or ``None``."""
    match = _DIGITS.fullmatch(text.removesuffix(".0"))
    if not match:
        return None
    parts = {name: int(part) for name, part in match.groupdict().items() if part}
    if "hour" in parts:
        return datetime(**parts)
    return date(**parts)


def _of_text(text, order):
    clock, text = _clock(text)
    day = _day(text, order)
    if clock is None:
        return day
    hour, minute, second, zone = clock
    return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=zone)


def _clock(text):
    """Return hour, minute, second and zone of a text, and the text without them."""
    if dotted := _DOTTED_CLOCK.search(text):
        text = text[: dotted.start()] + dotted[0].replace(".", ":", 2)
    match = _CLOCK.search(text)
    if not match:
        return None, text
    hour, minute = int(match["hour"]), int(match["minute"])
    if half := match["half"]:
        if half[0] == "p" and hour < 12:
            hour += 12
        elif half[0] == "a" and hour == 12:
            hour = 0
        elif half[0] == "a" and hour > 12:
            raise CellError("not_a_date")
    zone = _zone(match["zone"])
    # Java writes the zone before the year.
    rest = f"{text[: match.start()]} {text[match.end() :]}"
    return (hour, minute, int(match["second"] or 0), zone), rest


def _zone(text):
    if not text:
        return None
    if text == "eat":
        return timezone(timedelta(hours=3))
    offset = re.search(r"([+-])([0-9]{1,2}?):?([0-9]{2})?$", text)
    if not offset:
        return timezone.utc
    # +03:00, +0300, +3:00, +300, +03 and +3
    ahead = timedelta(hours=int(offset[2]), minutes=int(offset[3] or 0))
    return timezone(-ahead if offset[1] == "-" else ahead)


def _day(text, order):
    text = re.sub(r"(?<=[0-9])(st|nd|rd|th)\b", "", text)
    # "2026-11-25T" keeps the letter in front of the clock.
    text = re.sub(r"[()]|(?<=[0-9])t\s*$", " ", text.strip(" ,"))
    words = re.findall(r"[^\W\d_]+", text)
    months = [_MONTH[word] for word in words if word in _MONTH]
    if not set(words) <= {*_MONTH, *_NO_DATE} or len(months) > 1:
        raise CellError("not_a_date")
    if months:
        numbers = re.findall(r"[0-9]+", text)
        if len(numbers) != 2:
            raise CellError("not_a_date")
        # 2026 Nov 25, else the year comes last.
        day, year = numbers if not _YEAR.fullmatch(numbers[0]) else numbers[::-1]
        if len(day) > 2:
            raise CellError("not_a_date")
        return date(_full_year(year), months[0], int(day))
    text = re.sub(r"[^\W\d_]+", " ", text).strip(" ,")
    match = _PARTS.fullmatch(text)
    if not match:
        raise CellError("not_a_date")
    one, two, three = match[1], match[3], match[4]
    if len(one) > 2:
        return _refuse_swapped(date(_full_year(one), int(two), int(three)), order)
    first, second = int(one), int(two)
    if first == second or first > 12 or second > 12:
        order = "mdy" if second > 12 else "dmy"
    if order == "mixed":
        order = "dmy"
    if order not in ("dmy", "mdy"):
        raise CellError("day_or_month")
    return _in_order((first, second, _full_year(three)), order)


def _numeric(value):
    """Return the numbers of a date such as ``05/06/2026``, or ``None``."""
    if not isinstance(value, str):
        return None
    _clock_of, text = _clock(_date_text(value))
    match = _PARTS.fullmatch(re.sub(r"[^\W\d_]+", " ", text).strip(" ,"))
    if not match:
        return None
    if len(match[1]) > 2:
        return int(match[1]), int(match[3]), int(match[4])
    parts = int(match[1]), int(match[3]), _full_year(match[4])
    # 00/05/2026 and 05/06/0000 are no dates in any order.
    return parts if min(parts) > 0 and max(parts[:2]) <= 31 else None


def _in_order(parts, order):
    first, second, year = parts
    return date(year, *((second, first) if order == "dmy" else (first, second)))


def _full_year(text):
    if len(text) == 2:
        year = int(text)
        return year + (2000 if year < 70 else 1900)
    if not _YEAR.fullmatch(text):
        raise CellError("not_a_date")
    return int(text)
