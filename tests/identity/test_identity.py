# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What is the same, and what is not: both matter where money is booked by it."""

import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain.identity import (
    email_key,
    is_blank,
    mobile_phone,
    name_hint,
    name_key,
    name_parts,
    name_words,
    number_as_stored,
    number_key,
    number_spellings,
    phone_key,
    phone_spellings,
    phones,
    receipt_key,
    receipt_text,
    reference_key,
    same_amount,
    without_blanks,
    word_key,
)

KEYS = {
    email_key,
    name_hint,
    name_key,
    number_key,
    phone_key,
    receipt_key,
    reference_key,
    word_key,
    mobile_phone,
    without_blanks,
    receipt_text,
}


def keys(key, texts):
    return {text: key(text) for text in texts}


def assert_same(key, texts):
    assert len({*keys(key, texts).values()} - {""}) == 1, keys(key, texts)
    assert "" not in keys(key, texts).values()


def assert_different(key, texts):
    assert len({*keys(key, texts).values()}) == len(texts), keys(key, texts)
    assert "" not in keys(key, texts).values()


# === RECEIPTS === #


@pytest.mark.parametrize(
    "texts",
    [
        ("8C12X9KQ41", "8c12x9kq41", " 8C12 X9KQ 41 ", "8C12-X9KQ-41", "8C12X9KQ41."),
        ("8C12X9KQ41", "no. 8C12X9KQ41", "No: 8c12x9kq41", "No.8C12X9KQ41"),
        (
            "8C12X9KQ41",
            "Receipt 8C12X9KQ41",
            "Receipt: 8C12X9KQ41.",
            "RISITI 8C12X9KQ41",
        ),
        ("8C12X9KQ41", "Receipt No. 8C12X9KQ41", "receiptno.8C12X9KQ41"),
        ("8C12X9KQ41", "Transaction ID: 8C12X9KQ41", "Muamala Na. 8C12X9KQ41"),
        ("8C12X9KQ41", "Namba ya risiti: 8C12X9KQ41", "Kumbukumbu namba 8C12X9KQ41"),
        (
            "8C12X9KQ41",
            "８Ｃ１２Ｘ９ＫＱ４１",
            "\u200b8C12X9KQ41\u202c",
            "8C12\u00a0X9KQ41",
        ),
        ("MP260311.1423.A00417", "MP260311 1423 A00417", "mp2603111423a00417"),
        ("123456789", "١٢٣٤٥٦٧٨٩", "123-456-789", "#123456789"),
        ("NOA1B2C3D4", "noa1b2c3d4", "No A1B2C3D4", "NO-A1B2C3D4"),
    ],
)
def test_spellings_of_one_receipt(texts):
    assert_same(receipt_key, texts)


@pytest.mark.parametrize(
    "texts",
    [
        ("8C12X9KQ41", "8C12X9KQ42", "8C12X9K041"),
        ("QWO12345", "QW012345"),
        ("NOA1B2C3D4", "A1B2C3D4"),
        ("REF12345", "12345"),
        ("ABC1234", "1234ABC"),
    ],
)
def test_different_receipts(texts):
    assert_different(receipt_key, texts)


@pytest.mark.parametrize("text", ["", None, "-", "...", "N/A", "hana", "No.", "none"])
def test_no_receipt(text):
    assert receipt_key(text) == receipt_text(text) == ""


def test_a_receipt_is_shown_without_its_label():
    assert receipt_text("Receipt No. 8c12 x9kq 41") == "8c12x9kq41"
    assert receipt_text("MP260311.1423.A00417") == "MP260311.1423.A00417"
    # Not a label: nothing that could be a receipt would be left.
    assert receipt_text("Ref. 12") == "Ref.12"


# === NUMBERS === #


@pytest.mark.parametrize(
    "texts",
    [
        ("55042914871931", "5504 2914 8719 31", "5504-2914-8719-31", "٥٥٠٤٢٩١٤٨٧١٩٣١"),
        ("55042914871931", " 55042914871931\n", "５５０４２９１４８７１９３１"),
        ("55042914871931", "55042914871931.0", "5504\u20112914\u20138719\u221231"),
        ("Cust001", "CUST001", "cust 001", "cust-001", "CuSt001"),
    ],
)
def test_spellings_of_one_number(texts):
    assert_same(number_key, texts)


@pytest.mark.parametrize(
    "texts",
    [
        ("0123", "123"),
        ("1234", "12340"),
        ("1234.5", "12345"),
        ("150.000", "150"),
        ("12/34", "1234"),
    ],
)
def test_different_numbers(texts):
    assert_different(number_key, texts)


def test_a_number_as_stored():
    assert number_as_stored("cust 0-01") == "cust001"
    assert number_as_stored(["12 34", "٥-6"]) == ["1234", "56"]
    assert number_as_stored({"12 34"}) == ["1234"]
    assert number_as_stored([False, "1"]) == [False, "1"]
    for value in (None, False, 12):
        assert number_as_stored(value) is value


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        ("55042914", ["55042914"]),
        (" cust 001 ", ["CUST001"]),
        ("٥٥٠٤2914", ["55042914"]),
        # ClickPesa's suffix; never read as more digits of another number.
        ("55042914-2", ["55042914-2", "55042914"]),
        ("5504-2914", ["5504-2914", "5504"]),
        ("5504-2914-8719", ["550429148719", "5504-2914-8719", "5504"]),
        ("5504-2914-8719-31", ["55042914871931", "5504-2914-8719-31", "5504"]),
        ("5504-2-8719", ["5504-2-8719", "5504"]),
        ("-", ["-"]),
        ("", []),
        (None, []),
    ],
)
def test_what_a_sent_number_may_mean(sent, names):
    assert number_spellings(sent) == names


# === NAMES AND WORDS === #


@pytest.mark.parametrize(
    "texts",
    [
        ("Asha Juma", "ASHA JUMA", " asha  juma ", "Asha\u00a0Juma", "Áshá Jumá"),
        ("Ng'ombe", "Ng’ombe", "Ngʼombe", "Ng`ombe", "NG´OMBE", "Ng‘ombe", "Ng＇ombe"),
        # As one encoding looks in another.
        ("Ng'ombe", "Ngâ€™ombe", "Ngâ€˜ombe", "NGÊ¼OMBE", "Ng\x92ombe", "Ng\x91ombe"),
        ("Mary-Ann O'Neil", "mary ann o’neil", "Mary–Ann O'Neil"),
        ("J. Mushi", "J Mushi", "j.mushi"),
        ("محمد علي", "مُحَمَّد عَلِي", "محمـد  علي"),
        ("أحمد", "احمد"),
        ("王小明", "王小明 ", "\u200e王小明"),
        ("Straße", "STRASSE"),
        ("ИВАН ПЕТРОВ", "Иван  Петров"),
        ("José", "Jose\u0301", "JOSE"),
    ],
)
def test_spellings_of_one_name(texts):
    assert_same(name_key, texts)


@pytest.mark.parametrize(
    "texts",
    [
        # All of these had one empty key.
        ("محمد", "علي", "فاطمة", "王小明", "李小红", "Иван", "राम", "ሰላም"),
        # Vowels that are written as marks.
        ("कि", "कु", "क"),
        ("が", "か"),
        ("Asha Juma", "Juma Asha", "AshaJuma", "Asha Jumaa"),
        ("Hana", "Hamisi"),
    ],
)
def test_different_names(texts):
    assert_different(name_key, texts)


def test_the_order_of_words_is_a_hint():
    assert_same(name_hint, ("Asha Juma Mushi", "MUSHI, Asha Juma", "juma  mushi asha"))
    assert_different(name_hint, ("Asha Juma", "Asha Asha Juma", "Asha"))
    assert_same(name_hint, ("محمد علي", "علي محمد"))


def test_words_of_a_name():
    assert name_words("Ng'ombe, O. (Bi)") == ["NGOMBE", "O", "BI"]
    assert name_parts("Ng’ombe O'Neil") == ["NG", "OMBE", "O", "NEIL"]
    assert name_words("!?") == name_words(None) == name_words(12) == []


@pytest.mark.parametrize(
    "texts",
    [
        ("Tigo-Pesa", "TIGO PESA", "tigopesa", "Tigo_Pesa", "T.I.G.O Pesa"),
        ("Kiasi (TZS)", "kiasi tzs"),
        ("رسوم", "رُسوم"),
    ],
)
def test_spellings_of_one_word(texts):
    assert_same(word_key, texts)


def test_words_of_every_script_are_words():
    assert_different(word_key, ("رسوم", "كتب", "学费", "书费", "fees"))
    assert word_key(None) == word_key(7) == word_key("-") == ""
    assert word_key("Status") == "status"


# === REFERENCES === #


@pytest.mark.parametrize(
    "texts",
    [
        ("S001/24", "s001/24", "S 001 / 24"),
        ("0042", "42", "42.0", "00042", "٤٢"),
        ("INV/2026/00001", "inv/2026/00001 "),
        ("A-1", "a–1", "A - 1"),
    ],
)
def test_spellings_of_one_reference(texts):
    assert_same(reference_key, texts)


@pytest.mark.parametrize("texts", [("S001", "S01"), ("A-1", "A1"), ("1/11", "11/1")])
def test_different_references(texts):
    assert_different(reference_key, texts)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-", "–", "--", "N/A", "n.a.", "NA", "HANA", "Hakuna", "none", None),
        *("Not available", "hana simu", "TBA", "لا يوجد", "xxx", "...", "#", "Nil"),
    ],
)
def test_placeholders_are_empty(text):
    assert is_blank(text)
    assert reference_key(text) == receipt_key(text) == phone_key(text) == ""


def test_no_placeholders():
    assert not any(map(is_blank, ("0", "Hanania", "NA1", "王", 0, 0.0)))


# === PHONES === #


@pytest.mark.parametrize(
    "texts",
    [
        (
            *("255712345678", "0712345678", "712345678", "+255712345678"),
            *("+255 (0) 712 345 678", "00255 712 345 678", "2550712345678"),
            *("0712-345-678", "(0712) 345678", "0712 345 678 (mama)", "255712345678.0"),
            *("712345678.0", "٠٧١٢٣٤٥٦٧٨", "０７１２３４５６７８", "tel: 0712.345.678"),
            *("0712345678/0755123456", "0712345678, 0755 123 456", "255,712,345,678"),
            *("0712345678 or 0755123456", "0712 345 678 au 0755 123 456"),
            *("0712345678 0755123456", "0712345678-0755123456", "0712345678\n022211"),
            *("12345 / 0712345678", "N/A / 0712345678", "0712345678 ext 12"),
        ),
        ("+254 712 345 678", "254712345678", "00254712345678"),
        ("022 211 1234", "+255 22 211 1234", "0222111234"),
    ],
)
def test_spellings_of_one_phone(texts):
    assert_same(phone_key, texts)


def test_different_phones():
    # Their last nine digits are the same.
    assert_different(phone_key, ("0712345678", "+254712345678", "+1 712 345 678"))


@pytest.mark.parametrize(
    "text",
    ["", None, "0712", "-", "hakuna", "255712", "0712 345 67", "2557123456789", 7],
)
def test_no_phone(text):
    assert phone_key(text) == mobile_phone(text) == ""
    assert phone_spellings(text) == []


@pytest.mark.parametrize(
    ("text", "mobile"),
    [
        ("0712 345 678", "255712345678"),
        ("+255 (0) 655 345 678", "255655345678"),
        ("022 211 1234", ""),
        ("022 211 1234 / 0712 345 678", "255712345678"),
        ("+254 712 345 678", ""),
        ("255012345678", ""),
        ("12/05/2026", ""),
        ("2026-05-12 10:30:00", ""),
    ],
)
def test_mobile_phones_of_tanzania(text, mobile):
    assert mobile_phone(text) == mobile


@pytest.mark.parametrize(
    ("text", "mobiles"),
    [
        ("0712345678 / 0755 123 456", ["255712345678", "255755123456"]),
        ("0712345678, 255712345678", ["255712345678"]),
        ("022 211 1234 au 0712345678", ["255712345678"]),
        ("0712345678 (mama) 0655123456 (baba)", ["255712345678", "255655123456"]),
        ("mama 0712345678; baba: HANA", ["255712345678"]),
        ("+255 (0) 712-345-678 or 0655123456.0", ["255712345678", "255655123456"]),
        ("O712345678", ["255712345678"]),
        # Stands for none, and what a sheet has rounded.
        *(("0700000000", []), ("0000000000", [])),
        ("255713000000", ["255713000000"]),
        *(("022 211 1234", []), ("+254712345678", []), ("-", []), (None, [])),
    ],
)
def test_all_mobile_numbers_of_a_cell(text, mobiles):
    assert phones(text) == mobiles
    assert mobile_phone(text) == next(iter(mobiles), "")


def test_spellings_of_a_phone_to_look_for():
    expected = ["+255712345678", "255712345678", "0712345678", "712345678"]
    assert phone_spellings("0712 345 678") == expected
    assert phone_spellings("+254712345678") == ["+254712345678", "254712345678"]


# === AMOUNTS === #


def test_amounts():
    assert same_amount(1000, Decimal("1000.00"))
    assert same_amount(1000.004, "1000")
    assert same_amount(None, 0.0)
    assert same_amount(0.1 + 0.2, 0.3)
    assert not same_amount(1000, 1000.01)
    assert not same_amount(1000.004, 1000.006)
    assert not same_amount(1e300, 1e301)


# === EVERYTHING === #


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("neema@example.com", " Neema@Example.COM ", True),
        ("Neema <neema@example.com>", "neema@example.com", True),
        ("neema@example.com, n@example.com", "neema@example.com", True),
        ("neema@example.com", "neema@example.tz", False),
        ("neema_m@example.com", "neemaXm@example.com", False),
        ("n%@example.com", "neema@example.com", False),
    ],
)
def test_addresses(one, other, same):
    assert (email_key(one) == email_key(other)) is same


@pytest.mark.parametrize("text", ["", "-", "hana", "neema", "@", "a b", "neema@", None])
def test_no_address(text):
    assert email_key(text) == ""


@pytest.mark.parametrize("key", sorted(KEYS, key=lambda key: key.__name__))
@given(text=st.text() | st.text("0123456789 -+()./o-OnN", max_size=30))
def test_a_key_is_its_own_key(key, text):
    assert key(key(text)) == key(text)


@pytest.mark.parametrize("key", [name_key, word_key, receipt_key, reference_key])
def test_a_key_is_its_own_key_with_every_sign(key):
    # Beyond stand ideographs, private signs and tags.
    for code in (*range(0x20000), *range(0xE0000, 0xE0200), sys.maxunicode):
        text = f"a{chr(code)}1"
        assert key(key(text)) == key(text), hex(code)


@given(text=st.text())
def test_letter_case_and_blanks_do_not_count(text):
    for key in (name_key, word_key, receipt_key, reference_key):
        assert key(f"  {text}\t") == key(text)
    ascii_text = text.encode("ascii", "ignore").decode()
    for key in (name_key, word_key, receipt_key, reference_key, number_key):
        assert key(ascii_text.lower()) == key(ascii_text.upper())


@given(text=st.text(), other=st.none() | st.integers() | st.binary() | st.booleans())
def test_nothing_breaks_them(text, other):
    for key in KEYS:
        assert isinstance(key(text), str)
        assert key(other) == ""
    assert all(number_spellings(text))
