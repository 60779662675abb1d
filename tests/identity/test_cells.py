# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a cell says, and which cells can be read in two ways and are refused."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain.cells import (
    CellError,
    date_order,
    read_amount,
    read_code,
    read_date,
    read_email,
    read_name,
    read_number,
    read_phone,
    read_receipt,
    read_reference,
    read_text,
)

EAT = timezone(timedelta(hours=3))
READERS = (
    read_amount,
    read_code,
    read_date,
    read_email,
    read_name,
    read_number,
    read_phone,
    read_receipt,
    read_reference,
    read_text,
)


def why(reader, *args):
    with pytest.raises(CellError) as caught:
        reader(*args)
    return caught.value.code


# === DATES === #


@pytest.mark.parametrize(
    "value",
    [
        *("25/11/2026", "25-11-2026", "25.11.2026", "25 11 2026", "25/11/26"),
        *("2026-11-25", "2026/11/25", "2026.11.25", "20261125", 20261125),
        *("25 Nov 2026", "25-Nov-26", "25 November 2026", "25NOV2026", "25th Nov 2026"),
        *("Nov 25, 2026", "November 25th, 2026", "2026 Nov 25", "Wed 25 Nov 2026"),
        *("25 Novemba 2026", "Jumatano, 25 Novemba 2026", "tarehe 25/11/2026"),
        *("Jumatano 25-Nov-2026", " 25 / 11 / 2026 ", "25/11/2026 (Wed)"),
        *("٢٥/١١/٢٠٢٦", "２５/１１/２０２６"),
        *(46351, 46351.0, "46351", "46351.0", "11/25/2026"),
    ],
)
def test_spellings_of_one_day(value):
    read = read_date(value)
    assert (read.date() if isinstance(read, datetime) else read) == date(2026, 11, 25)


@pytest.mark.parametrize(
    "value",
    [
        *("25/11/2026 14:30", "25-11-2026 14:30:00", "25.11.2026 14.30"),
        *("25/11/2026 2:30 PM", "25/11/2026 02:30:00 pm", "25/11/2026 2:30 p.m."),
        *("2026-11-25T14:30:00", "2026-11-25 14:30:00.123", "25/11/2026, 14:30"),
        *("20261125143000", 20261125143000, "202611251430", "20261125T143000"),
        *("Nov 25, 2026 2:30 PM", "25 Novemba 2026 14:30", "14:30 25/11/2026"),
        *("25-NOV-26 02.30.00.000000 PM", "25-Nov-2026 14.30.00", "25/11/2026 2.30pm"),
        *("25 Nov 2026 at 14:30 hrs", "11/25/2026 2:30:00 PM", "20261125143000123"),
        *(46351.6041666667, "46351.604166667", datetime(2026, 11, 25, 14, 30, 0, 999)),
    ],
)
def test_spellings_of_one_moment(value):
    assert read_date(value) == datetime(2026, 11, 25, 14, 30)


@pytest.mark.parametrize(
    "value",
    [
        *("2026-11-25T11:30:00Z", "2026-11-25T14:30:00+03:00", "2026-11-25 14:30+0300"),
        *("2026-11-25T11:30:00.000Z", "25/11/2026 14:30 EAT", "25/11/2026 14:30 GMT+3"),
        *("Wed Nov 25 14:30:00 EAT 2026", "Wed, 25 Nov 2026 11:30:00 GMT"),
        *("25/11/2026 11:30 UTC", "2026-11-25T09:30:00-02:00"),
    ],
)
def test_a_moment_with_its_zone(value):
    moment = read_date(value)
    assert moment.utcoffset() is not None
    assert moment == datetime(2026, 11, 25, 14, 30, tzinfo=EAT)


@pytest.mark.parametrize(
    ("value", "hour"),
    [
        ("25/11/2026 12:05 AM", 0),
        ("25/11/2026 12:05 PM", 12),
        ("25/11/2026 9:05 am", 9),
    ],
)
def test_noon_and_midnight(value, hour):
    assert read_date(value) == datetime(2026, 11, 25, hour, 5)


@pytest.mark.parametrize(
    "value",
    [
        *("31/02/2026", "25/11", "Nov 2026", "13:30", "32/01/2026", "25/13/2026"),
        *("25/11/2026 25:00", "25/11/2026 14:61", "25/11/2026 14:30 AM", "yesterday"),
        *("25/11/202", "0712345678", "255710121015", 255712345678, 150000, 46351e5),
        *("12345", "99999", "Juma", "25 Juma 2026", "1764547200000", True, "2026"),
        # Hours of the Swahili clock begin at dawn: 2:30 may be half past eight.
        "25/11/2026 saa 2:30 asubuhi",
        *("25/11/2026 - 26/11/2026", "Nov 25 Dec 26 2026", "1/2/3/2026"),
    ],
)
def test_no_date(value):
    assert why(read_date, value, "dmy") == "not_a_date"


@pytest.mark.parametrize("value", [None, "", " ", "-", "N/A", "hakuna"])
def test_an_empty_date(value):
    assert read_date(value) is None


@pytest.mark.parametrize("value", ["05/06/2026", "5-6-26", "05.06.2026 10:30"])
def test_a_date_that_can_be_read_in_two_ways(value):
    assert why(read_date, value) == why(read_date, value, "ymd") == "day_or_month"
    for order, day in (("dmy", (5, 6)), ("mdy", (6, 5))):
        read = read_date(value, order)
        assert (read.day, read.month, read.year) == (*day, 2026)


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (["05/06/2026", "25/06/2026"], "dmy"),
        (["05/06/2026", "06/25/2026 14:30"], "mdy"),
        (["05/06/2026 2:30 PM", "6/25/2026 2:31 PM"], "mdy"),
        (["05/06/2026", "06/06/2026", "07/06/2026"], None),
        # Somebody typed what others exported.
        (["05/06/2026", "25/06/2026", "06/25/2026"], None),
        (["2026-06-05", "2026-06-06", None, ""], "ymd"),
        (["06/06/2026", "7/7/26"], "ymd"),
        ([datetime(2026, 6, 5), 46351, "25 Nov 2026"], "ymd"),
        (["25/06/2026", datetime(2026, 6, 25)], "dmy"),
        (["25/06/2026", "26/06/2026", datetime(2026, 5, 6)], "mixed"),
        (["rubbish", "-", "99/99/2026", "25/06/2026"], "dmy"),
        ([], "ymd"),
    ],
)
def test_the_whole_column_decides(values, order):
    assert date_order(values) == order
    assert date_order(iter(values)) == order


def test_a_column_that_would_lie_in_the_future():
    values = ["05/06/2026", "06/06/2026", "07/06/2026"]
    assert date_order(values, latest=datetime(2026, 6, 30)) == "dmy"
    assert date_order(values, latest=datetime(2026, 7, 30)) is None
    assert date_order(["06/05/2026"], latest=date(2026, 5, 31)) == "dmy"
    assert date_order(["05/11/2026"], latest=date(2026, 6, 1)) == "mdy"
    assert date_order(["05/11/2026"], latest=date(2026, 12, 1)) is None
    assert date_order(["05/11/2026"], latest=date(2026, 1, 1)) is None


def test_days_and_months_that_a_sheet_has_swapped():
    column = ["25/06/2026", datetime(2026, 7, 6)]
    order = date_order(column)
    assert read_date(column[0], order) == date(2026, 6, 25)
    assert why(read_date, column[1], order) == "mixed_dates"


# === AMOUNTS === #


@pytest.mark.parametrize(
    "value",
    [
        *(150000, 150000.0, Decimal(150000), "150000", "150,000", "150,000.00"),
        *("150 000", "150\u00a0000", "150'000", "TZS 150,000", "150,000/=", "150000="),
        *("Tshs. 150,000/-", "T.Sh 150 000", "TSh150,000", "1,50,000.00", "150000,00"),
        *("shilingi 150,000", "+150,000", "150.000,00", "١٥٠٬٠٠٠", "150,000.00 CR"),
        *(
            "150,000/= only",
            "150 000,00",
            "１５０，０００",
            '="150000"',
            " 150000.0 ",
            150000.0000001,
        ),
    ],
)
def test_spellings_of_one_amount(value):
    assert read_amount(value) == 150000


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("1500.50", "1500.5"),
        ("1500,50", "1500.5"),
        (1500.5, "1500.5"),
        (0.1 + 0.2, "0.3"),
        ("1.500.000", "1500000"),
        ("0", "0"),
        (0, "0"),
        ("(150,000.00)", "-150000"),
        ("-150,000", "-150000"),
        ("\u2212150000", "-150000"),
        ("150,000-", "-150000"),
        ("150,000.00 DR", "-150000"),
        ("- TZS 150,000", "-150000"),
        (-150000.0, "-150000"),
    ],
)
def test_amounts_of_all_kinds(value, amount):
    read = read_amount(value)
    assert read == Decimal(amount)
    assert isinstance(read, Decimal)


@pytest.mark.parametrize(
    "value",
    [
        *("150.000", "15,0000", "150k", "1.5M", "USD 100", "12/05/2026", "abc"),
        *("150,000,00", "1 50", "15 000 5", "1" * 16, 1e16, float("nan"), float("inf")),
        *(True, datetime(2026, 5, 12), "S.4521", "Paid", "100+50", "--5", "5000²", "½"),
    ],
)
def test_no_amount(value):
    assert why(read_amount, value) == "not_money"


@pytest.mark.parametrize("value", [None, "", "-", "–", "N/A", "hakuna"])
def test_an_empty_amount(value):
    assert read_amount(value) is None


# === TEXTS, PHONES, CODES === #


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (" Asha \n Juma ", "Asha Juma"),
        (12.0, "12"),
        (12, "12"),
        (0.5, "0.5"),
        (True, "true"),
        (datetime(2026, 11, 25, 14, 30), "2026-11-25 14:30:00"),
        (date(2026, 11, 25), "2026-11-25"),
        ('="00123"', "00123"),
        ("'00123", "00123"),
        ("'Asha", "'Asha"),
        ("-", "-"),
    ],
)
def test_texts(value, text):
    assert read_text(value) == text


def test_what_a_sheet_has_spoilt():
    assert why(read_text, "#FORMULA") == "formula"
    assert why(read_text, "#REF!") == why(read_text, "#N/A") == "cell_error"
    for reader in READERS:
        assert why(reader, "#VALUE!") == "cell_error"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("12. Asha Juma", "Asha Juma"),
        ("12) Asha Juma", "Asha Juma"),
        ("3 - ASHA  JUMA", "ASHA JUMA"),
        ("Hana", "Hana"),
        ("Juma 2", "Juma 2"),
        ("محمد علي", "محمد علي"),
        ("王小明", "王小明"),
        ("-", ""),
        (None, ""),
    ],
)
def test_names(value, name):
    assert read_name(value) == name


@pytest.mark.parametrize("value", [12, "0712345678", "4521", 46351.5])
def test_a_name_without_letters(value):
    assert why(read_name, value) == "not_a_name"


@pytest.mark.parametrize(
    ("value", "phone"),
    [
        (712345678, "712345678"),
        (255712345678.0, "255712345678"),
        ("2.55712345678E+11", "255712345678"),
        ("2,55712345678E+11", "255712345678"),
        ("'+255712345678", "+255712345678"),
        ("0712 345 678 / 0755 123 456", "0712 345 678 / 0755 123 456"),
        ("HANA", ""),
        ("-", ""),
        ("0", ""),
        (0, ""),
        ("0700000000", ""),
        ("0700 000 000", ""),
        (None, ""),
    ],
)
def test_phones(value, phone):
    assert read_phone(value) == phone


def test_spoilt_phones():
    assert why(read_phone, "2.55713E+11") == "digits_lost"
    assert why(read_phone, 255713000000) == "digits_lost"
    assert why(read_phone, 255713000000.0) == "digits_lost"
    assert why(read_phone, "255713000000") == "digits_lost"
    for value in ("0712", "see below", datetime(2026, 5, 12), "25/11/2026"):
        assert why(read_phone, value) == "not_a_phone"


def test_codes():
    assert read_code(" 12 34 ") == "1234"
    assert read_code(42.0) == "42"
    assert why(read_code, "1.12E+13") == why(read_code, 1.12e19) == "digits_lost"
    assert read_reference("N/A") == ""
    assert read_reference(7) == "7"
    assert read_number("5504-2914-8719-31") == read_number(55042914871931)
    assert read_number("٥٥٠٤٢٩١٤٨٧١٩٣١") == "55042914871931"
    assert read_number("5504-2") == "5504-2"
    assert read_receipt("Receipt No. 8c12 x9kq 41") == "8c12x9kq41"
    assert read_email("Neema <neema@example.com>") == "neema@example.com"
    assert read_email("hana") == ""
    assert why(read_email, "neema at example") == "not_an_address"


@given(
    value=st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.datetimes()
    | st.dates()
    | st.text()
    | st.text("0123456789/.-: ,apmzT+()E'=", max_size=24)
)
def test_any_cell_is_read_or_refused(value):
    for reader in READERS:
        try:
            reader(value)
        except CellError as error:
            assert error.code
    date_order([value])


@given(moment=st.datetimes(datetime(1970, 1, 2), datetime(2060, 1, 1)))
def test_every_date_is_read_as_it_was_written(moment):
    moment = moment.replace(microsecond=0)
    for form in ("%d/%m/%Y %H:%M:%S", "%d-%b-%Y %I:%M:%S %p", "%Y%m%d%H%M%S"):
        assert read_date(moment.strftime(form), "dmy") == moment
    if moment.day <= 12:
        assert read_date(moment.strftime("%m/%d/%Y %H:%M:%S"), "mdy") == moment
    # A workbook's number; noon keeps the rounding of seconds away from midnight.
    noon = moment.replace(hour=12, minute=0, second=0)
    assert read_date((noon - datetime(1899, 12, 30)) / timedelta(days=1)) == noon


@pytest.mark.parametrize(
    "text", ["0/5/2026", "05/06/0000", "05/06/2026 10:00 +99:99", "00/00/0000"]
)
def test_what_is_no_date_leaves_the_order_of_a_column_alone(text):
    latest = datetime(2026, 12, 1)
    assert date_order([text], latest) == "ymd"
    assert date_order([text, "25/11/2026"], latest) == "dmy"


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("GMT+3:00", 3), ("+1:00", 1), ("+0300", 3), ("+03", 3), ("-5", -5), ("+12", 12)],
)
def test_zones_are_read_with_one_digit_too(zone, hours):
    said = read_date(f"2026-11-25 14:30 {zone}")
    assert said.utcoffset() == timedelta(hours=hours)
