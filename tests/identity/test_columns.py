"""Which column of a file is what."""

import pytest
from plain.columns import VOCABULARIES, find_heading, guess, is_telling


def guessed(kind, *columns):
    """Return ``{heading: (field, is for a person to choose)}``."""
    headings = [heading for heading, _texts in columns]
    guesses = guess(headings, [list(t) for _h, t in columns], VOCABULARIES[kind])
    return {
        heading: (one.field, bool(one.rivals))
        for heading, one in zip(headings, guesses, strict=True)
    }


NAMES = ("Asha Mushi", "Juma Ali", "Neema John", "Peter Said")
PHONES = ("0712345678", "0755 123 456", "+255713000111", "0654111222")
MONEY = ("450000", "450,000", "TZS 1,200,000", "35000")
CODES = ("S-001", "S-017", "S-020", "S-101")


@pytest.mark.parametrize(
    ("kind", "one", "other", "field"),
    [
        ("run", "Amount", "Amount Paid", "amount"),
        ("run", "Fees", "Balance", "amount"),
        ("run", "Kiasi", "Deni", "amount"),
        ("payments", "Amount", "Balance", "amount"),
        ("payments", "Paid In", "Balance", "amount"),
        ("payments", "Credit", "Balance", "amount"),
    ],
)
def test_two_amounts_are_a_choice(kind, one, other, field):
    for pair in ((one, other), (other, one)):
        found = guessed(kind, *((heading, MONEY) for heading in pair))
        assert found == {one: (field, True), other: (field, True)}


def test_a_damaged_amount_gives_way_to_no_other():
    damaged = ("0042", "Form 1", "n/a x", "0077")
    found = guessed("run", ("Amount", damaged), ("Balance", MONEY))
    assert found["Balance"] == ("amount", True)


def test_two_references_are_a_choice():
    digits = ("55042914871931", "55042914871945", "55042914871958", "5504291487196")
    for pair in (("Reference", "Control Number"), ("Control Number", "Reference")):
        found = guessed("payments", *((heading, digits) for heading in pair))
        assert found == dict.fromkeys(pair, ("number", True))


def test_money_in_is_a_choice_beside_money_out():
    out = ("", "5000", "", "")
    for way in (1, -1):
        columns = [("Paid In", MONEY), ("Withdrawn", out)][::way]
        found = guessed("payments", *columns)
        assert found["Paid In"] == ("amount", True)
        assert found["Withdrawn"] == ("amount_out", False)


@pytest.mark.parametrize(
    ("kind", "heading", "texts"),
    [
        ("run", "Name", ("101", "102", "107", "110")),
        ("run", "Name", ("2026-01-02 00:00:00",) * 4),
        ("run", "Phone", ("01/02/2026", "15/02/2026", "20/02/2026", "21/02/2026")),
        ("run", "Phone", NAMES),
        ("run", "Amount", ("1001", "1002", "1003", "1004", "1005")),
        ("run", "Amount", ("0042", "0077", "0101", "0002")),
        ("run", "Amount", ("Form 1", "Form 2", "Form 1", "Form 3")),
        ("payments", "Date", MONEY),
        ("payments", "Receipt", ("25/11/2026", "26/11/2026", "27/11/2026")),
        ("numbers", "Control Number", NAMES),
    ],
)
def test_contents_that_contradict_are_no_match(kind, heading, texts):
    assert guessed(kind, (heading, texts))[heading][0] is None


def test_a_phone_without_heading_is_found_by_what_it_holds():
    found = guessed("run", ("Jina", NAMES), ("Mawasiliano", PHONES), ("S/N", "1234"))
    assert [field for field, _asked in found.values()] == ["name", "phone", None]


@pytest.mark.parametrize(
    ("kind", "headings"),
    [
        (
            "payments",
            "Receipt No.=receipt; Completion Time=paid_at; Details=details;"
            " Transaction Status=status; Other Party Info=payer_name; A/C No.=number",
        ),
        (
            "payments",
            "Transaction ID=id; Transaction Date=paid_at; Sender MSISDN=payer_phone;"
            " Transaction Amount=amount; Transaction Status=status",
        ),
        (
            "payments",
            "id=id; Order Reference=number; Payment Reference=receipt; Status=status;"
            " Collected Amount=amount; Created At=paid_at; Channel=channel",
        ),
        (
            "run",
            "Jina la mwanafunzi=name; Namba ya usajili=ref; Darasa=tag; Mzazi=parent;"
            " Simu ya mzazi=phone; Ada ya shule=amount",
        ),
        ("run", "First Name=first_name; Surname=last_name; Adm No.=ref; Stream=tag"),
        ("run", "Jina la mpangaji=name; Namba ya nyumba=ref; Kodi=amount; Simu=phone"),
        ("numbers", "Namba ya malipo=number; Mteja=customer; Kiasi=amount"),
    ],
)
def test_words_of_schools_churches_landlords_and_operators(kind, headings):
    texts = {
        "name": NAMES,
        "code": CODES,
        "phone": PHONES,
        "amount": MONEY,
        "date": ("2026-03-02 10:00:00", "2026-03-03 10:00:00", "2026-03-04 00:00:00"),
        "text": ("Form 1", "Completed", "Form 2"),
    }
    wanted = dict(pair.strip().split("=") for pair in headings.split(";"))
    vocabulary = VOCABULARIES[kind]
    found = guessed(
        kind, *((heading, texts[vocabulary[f].kind]) for heading, f in wanted.items())
    )
    assert found == {heading: (field, False) for heading, field in wanted.items()}


def test_a_title_is_no_heading():
    rows = [
        ["SHULE YA MSINGI MBEZI", "", "Simu", "022 211 1234"],
        ["Customer payments, Term 1"],
        [],
        ["S/N", "Jina", "Darasa", "Simu"],
        ["1", "Asha Mushi", "Form 1", "0712345678"],
        ["2", "Juma Ali", "Form 2", "0755123456"],
    ]
    assert find_heading(rows, VOCABULARIES["run"]) == (3, 1, rows[3])


def test_headings_over_two_rows_are_joined():
    rows = [
        ["No", "Student", "", "Parent", ""],
        ["", "Name", "Class", "Name", "Phone"],
        ["1", "Asha Mushi", "Form 1", "Neema Mushi", "0712345678"],
    ]
    place, height, headings = find_heading(rows, VOCABULARIES["run"])
    assert (place, height) == (0, 2)
    assert headings == [
        "No",
        "Student Name",
        "Student Class",
        "Parent Name",
        "Parent Phone",
    ]


@pytest.mark.parametrize(
    ("heading", "texts", "telling"),
    [
        ("Hali", ["Hai"], True),
        ("Txn State", ["1"], True),
        ("Remarks", ["paid", "transaction FAILED"], True),
        ("Notes", ["", "Imerudishwa"], True),
        ("Notes", ["declined by bank"], True),
        ("Notes", ["Late", "Failsworth street"], False),
        ("Town", ["Mbezi"], False),
    ],
)
def test_columns_that_may_say_what_does_not_count(heading, texts, telling):
    assert is_telling(heading, texts) is telling
