# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Headings of schools, churches, landlords, banks and operators, as they come."""

import pytest
from plain.columns import VOCABULARIES, guess

CONTENTS = {
    "count": ("1", "2", "3", "4", "5"),
    "name": ("Asha Juma", "Baraka Ali", "Neema Said", "Juma Kessy", "Salma Omari"),
    "phone": ("0714123456", "0755987654", "0621333444", "0782555666", "0744777888"),
    "money": ("350000", "125000", "350000", "90000", "410000"),
    "ref": ("S0123", "S0456", "S0789", "S0321", "S0555"),
    "number": ("550429148719", "550429148888", "550429149999", "550429141111")
    + ("550429142222",),
    "moment": ("03/03/2025 10:20", "14/03/2025 11:30", "15/03/2025 08:00")
    + ("17/03/2025 12:00", "25/03/2025 09:00"),
    "receipt": ("CC12X9KQ41", "CC13X9KQ42", "CC14X0KQ43", "CC15X9KQ44", "CC16X9KQ45"),
    "text": ("School fees", "Term 1", "School fees", "Hostel", "Term 1"),
    "parent": ("Mama Asha", "Baba Ali", "Mama Neema", "Baba Juma", "Mama Salma"),
    "none": ("",) * 5,
}


def table(*columns):
    """Turn "Heading = contents → field" lines into headings, contents and fields."""
    headings, samples, fields = [], [], []
    for column in columns:
        heading, _sign, rest = column.partition(" = ")
        contents, _sign, field = rest.partition(" → ")
        headings.append(heading)
        samples.append(list(CONTENTS[contents]))
        fields.append(field or None)
    return headings, samples, fields


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        (
            "run",
            ("# = count", "Student's Name = name → name", "Class/Stream = text → tag")
            + ("Parent/Guardian Contact = phone → phone",)
            + ("Fee Amount (TZS) = money → amount",),
        ),
        (
            "run",
            ("NA = count", "JINA LA MTOTO = name → name", "DARASA = text → tag")
            + ("NAMBA YA SIMU YA MZAZI = phone → phone", "DENI (TSH) = money → amount"),
        ),
        (
            "run",
            ("Adm. No = ref → ref", "Pupil's Full Name = name → name")
            + ("Guardian’s Name = parent → parent", "Guardian’s Phone = phone → phone"),
        ),
        (
            "run",
            ("Customer Name = name → name", "Customer No. = ref → ref")
            + ("Contact Phone = phone → phone", "Balance Due = money → amount"),
        ),
        (
            "run",
            ("Jina la kwanza = name → first_name", "Jina la ukoo = name → last_name")
            + ("Simu = phone → phone", "MICHANGO = money → amount"),
        ),
        ("run", ("الاسم = name → name", "الهاتف = phone → phone")),
        (
            "run",
            ("姓名 = name → name", "电话 = phone → phone", "金额 = money → amount"),
        ),
        ("run", ("Parents' Phone = phone → phone", "Pupils' Names = name → name")),
        (
            "run",
            ("Jina la Mwanafunzi = name → name", "Tarehe ya kuzaliwa = moment")
            + ("Mzazi/Mlezi = parent → parent", "Mawasiliano = phone → phone"),
        ),
        (
            "payments",
            ("Txn ID = receipt → id", "Txn Date = moment → paid_at")
            + ("Txn Amount = money → amount", "Payer MSISDN = phone → payer_phone")
            + ("Bill Ref No = number → number",),
        ),
        (
            "payments",
            ("Date = moment → paid_at", "Payer Name = name → payer_name")
            + ("Phone = phone → payer_phone", "Control Number = number → number")
            + ("Reference = receipt → receipt", "Amount = money → amount"),
        ),
        (
            "payments",
            ("Date = moment → paid_at", "Reference No = number → number")
            + ("Receipt = receipt → receipt", "Amount = money → amount"),
        ),
        (
            "payments",
            ("Date = moment → paid_at", "Reference Number = number → number")
            + ("Transaction Reference = receipt → receipt", "Amount = money → amount"),
        ),
        (
            "payments",
            ("Posting Date = moment → paid_at", "Description = text → details")
            + ("Ref. No = receipt → receipt", "Credit = money → amount"),
        ),
        (
            "payments",
            ("Risiti ya mtandao = receipt → receipt", "Siku = moment → paid_at")
            + ("Namba ya malipo = number → number", "Fedha = money → amount"),
        ),
        (
            "payments",
            ("Tarehe ya muamala = moment → paid_at", "Mlipaji = name → payer_name")
            + ("Namba ya risiti = receipt → receipt", "Kiasi (TZS) = money → amount")
            + ("Kumbukumbu namba = number → number",),
        ),
        (
            "payments",
            ("createdAt = moment → paid_at", "id = receipt → id")
            + ("orderReference = number → number", "collectedAmount = money → amount")
            + ("paymentPhoneNumber = phone → payer_phone", "message = text"),
        ),
        ("numbers", ("BillPay No = number → number", "Customer = name → customer")),
        (
            "numbers",
            ("Namba ya kumbukumbu = number → number", "Jina = name → customer")
            + ("Kiasi = money → amount",),
        ),
        (
            "numbers",
            ("billPayNumber = number → number", "billCustomerName = name → customer")
            + ("billAmount = money → amount", "billDescription = text → description"),
        ),
    ],
)
def test_headings(kind, columns):
    headings, samples, fields = table(*columns)
    guesses = guess(headings, samples, VOCABULARIES[kind])
    found = {headings[one.column]: one.field for one in guesses}
    assert found == dict(zip(headings, fields, strict=True))
    assert not any(one.rivals for one in guesses)


@pytest.mark.parametrize(
    ("kind", "columns", "asked"),
    [
        (
            "payments",
            ("Date = moment", "Control Number = number", "Reference = number")
            + ("Amount = money",),
            {"Control Number", "Reference"},
        ),
        (
            "run",
            ("Names = name", "Total Fees (TZS) = money", "Paid = money")
            + ("Balance = money",),
            {"Total Fees (TZS)", "Paid", "Balance"},
        ),
        ("run", ("Name = name", "Phone 1 = phone", "Phone 2 = phone"))
        + ({"Phone 1", "Phone 2"},),
        (
            "run",
            ("Student = name", "Mother's Name = parent", "Mother's Phone = phone")
            + ("Father's Name = parent", "Father's Phone = phone"),
            {"Mother's Name", "Mother's Phone", "Father's Name", "Father's Phone"},
        ),
    ],
)
def test_two_that_fit_are_a_choice(kind, columns, asked):
    headings, samples, _fields = table(*columns)
    guesses = guess(headings, samples, VOCABULARIES[kind])
    assert {headings[one.column] for one in guesses if one.rivals} == asked
