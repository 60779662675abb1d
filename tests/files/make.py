# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Write the files of the corpus, and beside each what must become of it.

    python tests/files/make.py

All names, phones, receipts and numbers are made up; headings and layouts are those of
real programs. Beside ``x.csv`` stands ``x.csv.json``:

* ``import``: "run", "numbers" or "payments"; ``sheet``, ``heading_row``: where it is;
* ``mapping``: what each column is, ``null`` for those that are not imported;
* ``asks``: the headings of columns that only a person can choose; ``choose``: what a
  person chooses there; ``order``: how the dates are written, where that is asked;
* ``here``: contacts, numbers and invoices that are in Odoo before;
* ``rows``: of each row the verdict and what is read from it; ``words``: what the reason
  must say; ``hand``: false where a row is left out rightly, such as a failed payment.
"""

import csv
import io
import json
import random
import sys
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import openpyxl
import xlwt

HERE = Path(__file__).parent
CASES = []
MAKERS = []

FIRST = (
    "Asha Baraka Consolata Daudi Esther Farida Godfrey Halima Ibrahim Jackline Khamis "
    "Lulu Mariam Neema Omary Pendo Rajabu Salma Tumaini Upendo Victor Witness Yusuf "
    "Zawadi Amani Bahati Editha Frola Gaspar Happy"
).split()
LAST = (
    "Mwampamba Mwakalinga Ng'ombe Kessy Mbwambo Shayo Lyimo Massawe Ndege Chuwa Mollel "
    "Kimaro Sanga Haule Mgaya Nyoni Mapunda Tarimo Urassa Swai"
).split()


class Case:
    """One file, built row by row."""

    def __init__(self, name, kind, **expected):
        self.path, self.kind = name, kind
        self.sheets, self.rows = [], []
        self.expected = expected
        self.random = random.Random(name)
        self.count = 0
        CASES.append(self)

    def sheet(self, title="Sheet1"):
        self.sheets.append((title, []))
        return self

    @property
    def grid(self):
        if not self.sheets:
            self.sheet()
        return self.sheets[-1][1]

    def line(self, *cells):
        """Add a row of which nothing is expected: a title, an empty row."""
        self.grid.append(list(cells))
        return self

    def head(self, *headings):
        """Add the heading row."""
        self.line(*headings)
        self.expected.setdefault("heading_row", len(self.grid))
        return self

    def row(self, cells, verdict="new", **said):
        """Add a row and what is expected of it."""
        self.grid.append(list(cells))
        self.rows.append({"row": len(self.grid), "verdict": verdict, **said})
        return self

    def person(self):
        """Return a name, a mobile number and its key; no two are the same."""
        n = self.count
        self.count += 1
        first = FIRST[(n * 7 + len(self.path)) % len(FIRST)]
        last = LAST[(n * 3 + n // len(FIRST)) % len(LAST)]
        middle = FIRST[(n * 11 + 5) % len(FIRST)]
        phone = "07%02d1%05d" % (12 + n % 50, (n * 137 + len(self.path)) % 100000)
        return f"{first} {middle} {last}", phone, "255" + phone[1:]

    def data(self):
        return {
            "import": self.kind,
            **self.expected,
            "rows": self.rows,
        }


def maker(function):
    MAKERS.append(function)
    return function


def case(name, kind, mapping, **expected):
    asks = expected.pop("asks", [])
    return Case(name, kind, mapping=mapping, asks=asks, **expected)


# === CLASS LISTS === #


@maker
def plain_english():
    c = case(
        "class_lists/plain_english.xlsx",
        "run",
        {"No": None, "Student Name": "name", "Admission No": "ref", "Class": "tag"}
        | {"Parent Phone": "phone", "Fees": "amount"},
    )
    c.head("No", "Student Name", "Admission No", "Class", "Parent Phone", "Fees")
    for n in range(20):
        name, phone, key = c.person()
        c.row(
            [n + 1, name, f"S{n + 101:04d}", "Form 1A", phone, 350000],
            **{"name": name, "phone": key, "ref": f"S{n + 101:04d}", "amount": 350000},
        )


@maker
def swahili_title_lines():
    c = case(
        "class_lists/swahili_title_lines.xlsx",
        "run",
        {"Na.": None, "Jina la Mwanafunzi": "name", "Darasa": "tag"}
        | {"Jina la Mzazi": "parent", "Simu ya Mzazi": "phone", "Ada": "amount"},
    )
    c.line("SHULE YA SEKONDARI MFANO").line(
        "ORODHA YA WANAFUNZI KIDATO CHA KWANZA 2025"
    )
    c.line()
    c.head(
        "Na.",
        "Jina la Mwanafunzi",
        "Darasa",
        "Jina la Mzazi",
        "Simu ya Mzazi",
        "Ada",
    )
    for n in range(18):
        name, phone, key = c.person()
        parent = c.person()[0]
        c.row(
            [n + 1, name.upper(), "Kidato 1", parent, phone, "350,000/="],
            name=name.upper(),
            phone=key,
            parent=parent,
            amount=350000,
        )
    c.row(
        [None, "JUMLA", None, None, None, "6,300,000/="],
        "unusable",
        hand=False,
        words="total",
    )


@maker
def arabic_and_chinese_names():
    c = case(
        "class_lists/arabic_and_chinese_names.xlsx",
        "run",
        {"Name": "name", "Class": "tag", "Guardian": "parent", "Mobile": "phone"},
    )
    c.head("Name", "Class", "Guardian", "Mobile")
    family = "أحمد حسن"
    names = ["محمد أحمد", "فاطمة أحمد", "علي أحمد", "زينب أحمد", "خديجة أحمد"]
    names += ["王小明", "王小红", "李小龙", "Salma Ahmed", "Иван Петров"]
    for name in names:
        c.row([name, "Std 3", family, "0714100001"], name=name, phone="255714100001")
    c.row(
        ["مُحَمَّد  أحمد", "Std 3", family, "+255 (0) 714 100 001"],
        "same_as",
        words="row 2",
    )


@maker
def split_names_two_heading_rows():
    c = case(
        "class_lists/split_names_two_heading_rows.xlsx",
        "run",
        {
            "S/N": None,
            "Student Surname": "last_name",
            "Student First Name": "first_name",
        }
        | {"Student Middle Name": "middle_name", "Parent Name": "parent"}
        | {"Parent Mobile No": "phone"},
        heading_row=3,
    )
    c.line("MFANO PRIMARY SCHOOL - CLASS LIST").line()
    c.line("S/N", "Student", None, None, "Parent", None)
    c.line(None, "Surname", "First Name", "Middle Name", "Name", "Mobile No")
    for n in range(15):
        name, phone, key = c.person()
        first, middle, last = name.split()
        parent = c.person()[0]
        c.row(
            [n + 1, last, first, middle, parent, int(phone)],
            name=name,
            phone=key,
            parent=parent,
        )


@maker
def semicolon_windows_1252():
    c = case(
        "class_lists/semicolon_windows_1252.csv",
        "run",
        {"Jina kamili": "name", "Namba ya usajili": "ref", "Mkondo": "tag"}
        | {"Simu": "phone", "Barua pepe": "email"},
        write={"delimiter": ";", "encoding": "cp1252"},
    )
    c.head("Jina kamili", "Namba ya usajili", "Mkondo", "Simu", "Barua pepe")
    for n in range(16):
        name, phone, key = c.person()
        if n % 4 == 0:
            name = name.replace("a", "á").replace("'", "’")
        c.row(
            [name, f"2025/{n + 1:03d}", "A", phone, f"mzazi{n}@example.com"],
            name=name,
            phone=key,
            ref=f"2025/{n + 1:03d}",
            email=f"mzazi{n}@example.com",
        )


@maker
def utf_16_from_excel():
    c = case(
        "class_lists/utf_16_from_excel.csv",
        "run",
        {"Student": "name", "Form": "tag", "Phone": "phone"},
        write={"delimiter": "\t", "encoding": "utf-16"},
    )
    c.head("Student", "Form", "Phone")
    for _n in range(14):
        name, phone, key = c.person()
        c.row([name, "II", phone], name=name, phone=key)


@maker
def known_pupils():
    c = case(
        "class_lists/known_pupils.xlsx",
        "run",
        {"Name": "name", "Adm No": "ref", "Phone": "phone"},
        here={
            "contacts": [
                {"name": "Asha Juma Mushi", "ref": "0042", "phone": "0714 200 001"},
                {"name": "Juma Ali Kessy", "phone": "0714 200 002"},
                {"name": "Neema Said Lyimo", "phone": "0714 200 003"},
                {"name": "Amina Said Haule", "ref": "0043", "email": "a@example.com"},
                {"name": "Mama Ng'ombe", "phone": "0714200005"},
                {"name": "Pendo Ng'ombe", "parent": "Mama Ng'ombe"},
            ]
        },
    )
    c.head("Name", "Adm No", "Phone")
    c.row(["ASHA JUMA MUSHI", 42, "-"], "known", contact="Asha Juma Mushi")
    c.row(["juma  ali kessy", "", 714200002], "known", contact="Juma Ali Kessy")
    # A namesake with another phone gets neither the number nor the money.
    c.row(
        ["Neema Said Lyimo", "", "0755200003"],
        "contradicts",
        words="another phone here, 0714 200 003",
    )
    c.row(["Amina S. Haule", "43.0", "HANA"], "known", contact="Amina Said Haule")
    c.row(["PENDO NG’OMBE", "", "0714200005"], "known", contact="Pendo Ng'ombe")
    c.row(["Kessy Juma Ali", "", ""], "looks_like", words="another order")
    c.row(["Rehema Ally Sanga", "0042", ""], "contradicts", words="Asha Juma Mushi")
    for n in range(20):
        name, phone, key = c.person()
        c.row([name, 100 + n, phone], name=name, phone=key)


@maker
def phones_as_people_write_them():
    c = case(
        "class_lists/phones_as_people_write_them.xlsx",
        "run",
        {"Pupil": "name", "Parents Phone": "phone"},
        here={"contacts": [{"name": "Editha Mgaya", "phone": "0714300099"}]},
    )
    c.head("Pupil", "Parents Phone")
    for n, phone in enumerate(
        (
            *("0714300001", "+255 714 300 001", "+255 (0) 714-300-001", 714300001),
            *(255714300001.0, "714300001.0", "0714300001 / 0755300001"),
            *("0714300001 au 0755300001", "Mama: 0714300001", "0714 300 001 (baba)"),
            *("022 211 1234 / 0714300001", "00255714300001", "0714.300.001"),
            *("'0714300001", "255714300001;0755300001", "0714300001,0755300001"),
        )
    ):
        name = f"{FIRST[n]} {LAST[n]}"
        c.row([name, phone], name=name, phone="255714300001")
    c.row(["Editha Mgaya", "2.55714E+11"], "known", contact="Editha Mgaya")
    c.row(["Zawadi Ndege", "022 211 1234"], "unusable", words="Parents Phone")
    c.row(["Tumaini Swai", "HANA"], "unusable", words="phone")


@maker
def csv_damaged_by_excel():
    c = case(
        "class_lists/csv_damaged_by_excel.csv",
        "run",
        {"NAME": "name", "ADM": "ref", "PHONE": "phone", "FEE BALANCE": "amount"},
    )
    c.head("NAME", "ADM", "PHONE", "FEE BALANCE")
    for n in range(14):
        name, phone, key = c.person()
        c.row(
            [name, str(n + 7), phone[1:], "1,250,000.00"],
            name=name,
            phone=key,
            amount=1250000,
        )
    c.row(
        ["Victor Tarimo", "0000099", "2.55713E+11", "400000"],
        "unusable",
        words="2.55713E+11",
    )
    c.row(["Lulu Urassa", "#REF!", "0714400001", "400000"], "unusable", words="#REF!")


@maker
def several_sheets():
    c = case(
        "class_lists/several_sheets.xlsx",
        "run",
        {"Name": "name", "Stream": "tag", "Parent": "parent", "Phone": "phone"},
        sheet="Form 2",
    )
    c.sheet("Cover").line("MFANO SECONDARY").line("Prepared by the office")
    c.sheet("Timetable").line("Day", "Time", "Subject").line("Monday", "08:00", "Maths")
    c.sheet("Form 2")
    c.head("Name", "Stream", "Parent", "Phone")
    for _n in range(12):
        name, phone, key = c.person()
        c.row([name, "East", c.person()[0], phone], name=name, phone=key)


@maker
def old_excel():
    c = case(
        "class_lists/old_excel.xls",
        "run",
        {"Full Name": "name", "Class": "tag", "Mobile No.": "phone"},
    )
    c.head("Full Name", "Class", "Mobile No.")
    for _n in range(14):
        name, phone, key = c.person()
        c.row([name, "Std 5", int(phone)], name=name, phone=key)


@maker
def libreoffice():
    c = case(
        "class_lists/libreoffice.ods",
        "run",
        {"Jina": "name", "Darasa": "tag", "Mlezi": "parent", "Namba ya simu": "phone"},
    )
    c.line("Darasa la tatu")
    c.head("Jina", "Darasa", "Mlezi", "Namba ya simu")
    for _n in range(14):
        name, phone, key = c.person()
        c.row([name, "III", c.person()[0], phone], name=name, phone=key)


@maker
def copied_from_word():
    c = case(
        "class_lists/copied_from_word.csv",
        "run",
        {"S/N": None, "NAMES OF STUDENTS": "name", "SEX": None, "CONTACTS": "phone"},
    )
    c.line("THE MFANO GIRLS' SECONDARY SCHOOL").line("FORM IV 2025")
    c.head("S/N", "NAMES OF STUDENTS", "SEX", "CONTACTS")
    for n in range(16):
        name, phone, key = c.person()
        c.row([n + 1, f"{n + 1}. {name}", "F", phone], name=name, phone=key)


@maker
def two_amounts():
    c = case(
        "class_lists/two_amounts.xlsx",
        "run",
        {"Name": "name", "Phone": "phone", "Amount": "amount", "Amount Paid": None}
        | {"Balance": None},
        asks=["Amount", "Amount Paid", "Balance"],
        choose={"Amount": "ignore", "Amount Paid": "ignore", "Balance": "amount"},
    )
    c.head("Name", "Phone", "Amount", "Amount Paid", "Balance")
    for n in range(12):
        name, phone, key = c.person()
        paid = 50000 * (n % 5)
        c.row([name, phone, 500000, paid, 500000 - paid], name=name, phone=key)
        c.rows[-1]["amount"] = 500000 - paid


@maker
def status_column():
    c = case(
        "class_lists/status_column.xlsx",
        "run",
        {"Student Name": "name", "Status": "status", "Guardian Phone": "phone"},
    )
    c.head("Student Name", "Status", "Guardian Phone")
    for n in range(14):
        name, phone, key = c.person()
        if n in (4, 9):
            c.row(
                [name, "Transferred", phone],
                "unusable",
                hand=False,
                words="Transferred",
            )
        else:
            c.row([name, "Active", phone], name=name, phone=key)


@maker
def siblings_share_a_phone():
    c = case(
        "class_lists/siblings_share_a_phone.csv",
        "run",
        {"Jina": "name", "Mzazi": "parent", "Simu": "phone", "Darasa": "tag"},
        here={
            "contacts": [
                {"name": "Rajabu Omary", "phone": "0714500001"},
                {"name": "Salma Rajabu Omary", "parent": "Rajabu Omary"},
            ]
        },
    )
    c.head("Jina", "Mzazi", "Simu", "Darasa")
    phone = {"phone": "255714500001"}
    for name in ("Yusuf", "Zawadi", "Khamis", "Farida"):
        full = f"{name} Rajabu Omary"
        c.row([full, "Rajabu Omary", "0714500001", "2"], **phone, name=full)
    c.row(
        ["SALMA RAJABU OMARY", "RAJABU OMARY", "0714500001", "5"],
        "known",
        contact="Salma Rajabu Omary",
    )
    c.row(["Yusuf Rajabu Omary", "Rajabu Omary", "0714500001", "2"], "same_as")
    for _n in range(8):
        name, number, key = c.person()
        c.row([name, c.person()[0], number, "3"], name=name, phone=key)


@maker
def bad_optional_cells():
    c = case(
        "class_lists/bad_optional_cells.xlsx",
        "run",
        {"Name": "name", "Phone": "phone", "Email": "email", "Class": "tag"},
    )
    c.head("Name", "Phone", "Email", "Class")
    for n in range(12):
        name, phone, key = c.person()
        bad = ["see file", "none", "mama at gmail", "-", "n/a", "?"][n % 6]
        if n % 2:
            c.row([name, phone, bad, "1"], name=name, phone=key)
        else:
            email = f"parent{n}@example.com"
            c.row([name, bad, email, "1"], name=name, email=email)


@maker
def repeated_headings_of_pages():
    c = case(
        "class_lists/repeated_headings_of_pages.xlsx",
        "run",
        {"Name": "name", "Index No": "ref", "Telephone": "phone"},
    )
    c.head("Name", "Index No", "Telephone")
    for n in range(18):
        if n and n % 6 == 0:
            c.line("Name", "Index No", "Telephone")
        name, phone, key = c.person()
        c.row([name, f"S.0101/{n:04d}", phone], name=name, phone=key)


@maker
def one_reference_for_a_family():
    c = case(
        "class_lists/one_reference_for_a_family.csv",
        "run",
        {"Name": "name", "Reference": "ref", "Phone": "phone"},
        write={"delimiter": ";"},
    )
    c.head("Name", "Reference", "Phone")
    c.row(["Happy Swai", "F-12", "0714600001"], "contradicts", words="Row 3")
    c.row(["Gaspar Swai", "F-12", "0714600001"], "contradicts", words="Row 2")
    for n in range(18):
        name, phone, key = c.person()
        c.row([name, f"F-{n + 20}", phone], name=name, phone=key)


@maker
def kept_zeros_and_sep_line():
    c = case(
        "class_lists/kept_zeros_and_sep_line.csv",
        "run",
        {"Student Name": "name", "Admission Number": "ref", "Parent Contact": "phone"},
        write={"delimiter": "|", "before": "sep=|\r\n"},
    )
    c.head("Student Name", "Admission Number", "Parent Contact")
    for n in range(12):
        name, phone, key = c.person()
        c.row(
            [name, f'="{n + 1:05d}"', f'="{phone}"'],
            name=name,
            phone=key,
            ref=f"{n + 1:05d}",
        )


# === MEMBERS, TENANTS, CUSTOMERS === #


@maker
def church_swahili():
    c = case(
        "member_lists/church_swahili.xlsx",
        "run",
        {"Na": None, "Jina la Muumini": "name", "Jumuiya": "tag"}
        | {"Namba ya Bahasha": "ref", "Simu": "phone", "Ahadi": "amount"},
    )
    c.line("KANISA LA MFANO").line("ORODHA YA WAUMINI NA AHADI 2025").line()
    c.head("Na", "Jina la Muumini", "Jumuiya", "Namba ya Bahasha", "Simu", "Ahadi")
    for n in range(18):
        name, phone, key = c.person()
        c.row(
            [n + 1, name, "Mt. Petro", n + 1, phone, 120000 + 10000 * n],
            name=name,
            phone=key,
            amount=120000 + 10000 * n,
        )


@maker
def saccos():
    c = case(
        "member_lists/saccos.csv",
        "run",
        {"Member No": "ref", "Member Name": "name", "Mobile": "phone"}
        | {"Monthly Contribution": "amount", "Share Balance": None},
        asks=["Monthly Contribution", "Share Balance"],
        choose={"Monthly Contribution": "amount", "Share Balance": "ignore"},
    )
    c.head(
        "Member No", "Member Name", "Mobile", "Monthly Contribution", "Share Balance"
    )
    for n in range(18):
        name, phone, key = c.person()
        c.row(
            [f"MFN/{n + 1:04d}", name, phone, "50,000.00", "1,200,000.00"],
            name=name,
            phone=key,
            amount=50000,
        )


@maker
def vicoba_mixed_languages():
    c = case(
        "member_lists/vicoba_mixed_languages.xlsx",
        "run",
        {"Jina la Mwanachama": "name", "Group": "tag", "WhatsApp Number": "phone"}
        | {"Mchango": "amount"},
    )
    c.head("Jina la Mwanachama", "Group", "WhatsApp Number", "Mchango")
    for _n in range(14):
        name, phone, key = c.person()
        c.row([name, "Upendo", "+255" + phone[1:], "Tsh 20,000"], name=name, phone=key)
        c.rows[-1]["amount"] = 20000


@maker
def mosque_arabic_names():
    c = case(
        "member_lists/mosque_arabic_names.csv",
        "run",
        {"Name": "name", "Phone": "phone", "Contribution": "amount"},
    )
    c.head("Name", "Phone", "Contribution")
    for n, name in enumerate(
        "محمد علي,أحمد حسن,فاطمة يوسف,عمر خالد,زينب سالم,حسين عبدالله,مريم صالح,"
        "Khamis Juma,Said Omar,Ali Hassan".split(",")
    ):
        c.row(
            [name, f"07157000{n:02d}", "٥٠٬٠٠٠"],
            name=name,
            phone=f"2557157000{n:02d}",
            amount=50000,
        )


@maker
def tenants():
    c = case(
        "member_lists/tenants.xlsx",
        "run",
        {
            "Unit No": "ref",
            "Tenant": "name",
            "Phone No": "phone",
            "Monthly Rent": "amount",
        }
        | {"Lease Start": None, "Lease End": None},
    )
    c.line("MFANO APARTMENTS").line("RENT ROLL AS AT 31/03/2025").line()
    c.head("Unit No", "Tenant", "Phone No", "Monthly Rent", "Lease Start", "Lease End")
    for n in range(16):
        name, phone, key = c.person()
        c.row(
            [f"A-{n + 1:02d}", name, phone, 450000.0]
            + [datetime(2024, 7, 1), datetime(2025, 6, 30)],
            name=name,
            phone=key,
            amount=450000,
        )
    c.row([None, "TOTAL", None, 7200000], "unusable", hand=False, words="total")


@maker
def tenants_swahili():
    c = case(
        "member_lists/tenants_swahili.ods",
        "run",
        {"Nyumba": "ref", "Mpangaji": "name", "Simu": "phone", "Kodi": "amount"},
        asks=[],
    )
    c.head("Nyumba", "Mpangaji", "Simu", "Kodi")
    for n in range(12):
        name, phone, key = c.person()
        c.row(
            [f"Na. {n + 1}", name, phone, 200000], name=name, phone=key, amount=200000
        )


@maker
def quickbooks_customers():
    c = case(
        "member_lists/quickbooks_customers.csv",
        "run",
        {"Customer": None, "Phone Numbers": "phone", "Email": "email"}
        | {"Full Name": "name", "Billing Address": None, "Shipping Address": None}
        | {"Open Balance": "amount"},
        # The shop is the customer, not the person who answers the phone.
        choose={"Customer": "name", "Full Name": "ignore"},
    )
    c.line("Mfano Trading Co").line("Customer Contact List").line()
    c.head(
        *("Customer", "Phone Numbers", "Email", "Full Name", "Billing Address"),
        *("Shipping Address", "Open Balance"),
    )
    for n in range(14):
        name, phone, key = c.person()
        c.row(
            [f"{name} Stores", f"Phone: {phone}", f"shop{n}@example.com", name]
            + ["P.O. Box 1 Mfano", "", "125,000.00"],
            name=f"{name} Stores",
            phone=key,
            email=f"shop{n}@example.com",
            amount=125000,
        )


@maker
def sports_club_tabs():
    c = case(
        "member_lists/sports_club_tabs.tsv",
        "run",
        {"First name": "first_name", "Last name": "last_name", "Cell": "phone"}
        | {"E-mail": "email", "Category": "tag"},
        write={"delimiter": "\t"},
    )
    c.head("First name", "Last name", "Cell", "E-mail", "Category")
    for n in range(12):
        name, phone, key = c.person()
        first, _middle, last = name.split()
        c.row(
            [first, last, phone, f"m{n}@example.com", "Junior"],
            name=f"{first} {last}",
            phone=key,
        )


@maker
def bom_and_bad_encoding():
    c = case(
        "member_lists/bom_and_bad_encoding.csv",
        "run",
        {"Jina": "name", "Simu": "phone", "Kikundi": "tag"},
        write={"encoding": "utf-8-sig"},
        here={"contacts": [{"name": "Pendo Ng'ombe", "phone": "0714800001"}]},
    )
    c.head("Jina", "Simu", "Kikundi")
    c.row(["Pendo Ngâ€™ombe", "0714800001", "B"], "known", contact="Pendo Ng'ombe")
    for _n in range(11):
        name, phone, key = c.person()
        c.row([name, phone, "B"], name=name, phone=key)


# === NUMBERS FROM ELSEWHERE === #


@maker
def clickpesa_dashboard_numbers():
    c = case(
        "number_lists/clickpesa_dashboard_numbers.csv",
        "numbers",
        {"BillPay Number": "number", "Customer Name": "customer"}
        | {"Customer Phone": "phone", "Bill Description": "description"}
        | {"Bill Amount": "amount", "Payment Mode": "mode", "Status": "status"},
        here={
            "contacts": [
                {"name": f"{FIRST[n]} {LAST[n]}", "phone": f"07158000{n:02d}"}
                for n in range(14)
            ]
            + [{"name": "Zuhura Omari", "phone": "0715800099"}]
        },
    )
    c.head(
        *("BillPay Number", "Customer Name", "Customer Phone", "Bill Description"),
        *("Bill Amount", "Payment Mode", "Status"),
    )
    for n in range(14):
        name = f"{FIRST[n]} {LAST[n]}"
        c.row(
            [f"77012025{n:04d}", name.upper(), f"2557158000{n:02d}", "School fees"]
            + ["150000", "ALLOW_PARTIAL_AND_OVER_PAYMENT", "ACTIVE"],
            contact=name,
            number=f"77012025{n:04d}",
            amount=150000,
        )
    c.row(
        ["770120259999", "Zuhura Omari", "255765800099", "Fees", "150000", "EXACT", ""],
        "contradicts",
        words="another phone",
    )
    c.rows[-1]["words"] = "another phone here, 0715800099"


@maker
def digits_of_all_kinds():
    c = case(
        "number_lists/digits_of_all_kinds.xlsx",
        "numbers",
        {"Control Number": "number", "Mteja": "customer"},
        here={"contacts": [{"name": f"{FIRST[n]} {LAST[n]}"} for n in range(10)]},
    )
    c.head("Control Number", "Mteja")
    numbers = (
        *(
            "7701 3025 0001",
            "7701-3025-0002",
            "٧٧٠١٣٠٢٥٠٠٠٣",
            "７７０１３０２５０００４",
        ),
        *(770130250005, 770130250006.0, "'770130250007", "770130250008.0"),
        *(" 7701 3025\u00a00009 ", "7701\u20113025\u20130010"),
    )
    for n, number in enumerate(numbers):
        name = f"{FIRST[n]} {LAST[n]}"
        c.row([number, name], contact=name, number=f"77013025{n + 1:04d}")


@maker
def by_reference_and_lost_zeros():
    c = case(
        "number_lists/by_reference_and_lost_zeros.csv",
        "numbers",
        {"Control No": "number", "Student No": "customer_ref", "Name": "customer"},
        here={
            "contacts": [
                {"name": f"{FIRST[n]} {LAST[n]}", "ref": f"00{n + 10}"}
                for n in range(12)
            ]
        },
    )
    c.head("Control No", "Student No", "Name")
    for n in range(12):
        name = f"{FIRST[n]} {LAST[n]}"
        ref = [f"{n + 10}", f"{n + 10}.0", f"00{n + 10}", f" 0{n + 10} "][n % 4]
        c.row([f"77014025{n:04d}", ref, name], contact=name)
    c.row(["770140259999", "10", "Neema Kessy"], "contradicts", words="Asha Mwampamba")


@maker
def nobody_of_that_name():
    c = case(
        "number_lists/nobody_of_that_name.csv",
        "numbers",
        {"Namba ya Malipo": "number", "Jina": "customer", "Simu": "phone"},
        here={
            "contacts": [
                {"name": f"{FIRST[n]} {LAST[n]}", "phone": f"07159000{n:02d}"}
                for n in range(20)
            ]
        },
    )
    c.head("Namba ya Malipo", "Jina", "Simu")
    for n in range(19):
        name = f"{FIRST[n]} {LAST[n]}"
        c.row([f"77015025{n:04d}", name, f"7159000{n:02d}"], contact=name)
    # The phone of somebody else: that one gets no number of a stranger.
    c.row(
        ["770150259998", "Rehema Sanga", "0715900019"],
        "looks_like",
        words=f"{FIRST[19]} {LAST[19]}",
    )


@maker
def zeros_lost_from_numbers():
    c = case(
        "number_lists/zeros_lost_from_numbers.xlsx",
        "numbers",
        {"Bill Pay Number": "number", "Customer": "customer"},
        here={
            "contacts": [{"name": f"{FIRST[n]} {LAST[n]}"} for n in range(12)],
            "numbers": [{"number": "007703250001", "contact": "Zuhura Omari"}],
        },
    )
    c.head("Bill Pay Number", "Customer")
    for n in range(12):
        name = f"{FIRST[n]} {LAST[n]}"
        c.row([f"77032600{n:02d}", name], contact=name, number=f"77032600{n:02d}")
    # Two numbers that differ by zeros: one of them is a sheet's.
    c.row([7703250001, "Zuhura Omari"], "unusable", words="007703250001")
    c.row(["0077-0325-0001", "Zuhura Omari"], "known")


@maker
def invoices_with_numbers():
    c = case(
        "number_lists/invoices_with_numbers.csv",
        "numbers",
        {"Invoice No": "invoice", "Client": "customer", "Control No.": "number"}
        | {"Amount Due": "amount", "Due Date": None},
        here={
            "invoices": [
                {
                    "name": f"INV/2026/{n + 1:05d}",
                    "contact": f"{FIRST[n]} {LAST[n]}",
                    "amount": 1000 * (n + 1),
                }
                for n in range(14)
            ]
        },
    )
    c.head("Invoice No", "Client", "Control No.", "Amount Due", "Due Date")
    for n in range(13):
        name = f"{FIRST[n]} {LAST[n]}"
        c.row(
            [f"inv/2026/{n + 1:05d} ", name, f"77042500{n:02d}", f"{1000 * (n + 1):,}"]
            + ["31/03/2025"],
            contact=name,
            number=f"77042500{n:02d}",
            invoice=f"INV/2026/{n + 1:05d}",
        )
    c.row(
        [
            "INV/2026/00014",
            f"{FIRST[0]} {LAST[0]}",
            "7704250099",
            "14,000",
            "31/03/2025",
        ],
        "unusable",
        words="belongs to",
    )


# === STATEMENTS AND PAYMENTS === #

NUMBERS = [f"7702{n:08d}" for n in range(1, 21)]
CUSTOMERS = {
    "numbers": [
        {"number": number, "contact": f"{FIRST[n]} {LAST[n]}"}
        for n, number in enumerate(NUMBERS)
    ]
}
STARTS = datetime(2025, 3, 3, 8, 15, 20)


def moments(count, step=97):
    return [STARTS + timedelta(minutes=step * n) for n in range(count)]


def money(n):
    """Return an amount as payers pay it: no two in a row have the same step."""
    return 2500 * (1 + (n * n * 7) % 23)


def paid(moment):
    return moment.isoformat(" ")


@maker
def clickpesa_dashboard():
    c = case(
        "statements/clickpesa_dashboard.csv",
        "payments",
        {"Date": "paid_at", "Payment ID": "id", "Order Reference": "number"}
        | {"Payment Reference": "receipt", "Channel": "channel"}
        | {"Customer Name": "payer_name", "Phone Number": "payer_phone"}
        | {"Collected Amount": "amount", "Collected Currency": "currency"}
        | {"Status": "status"},
        here=CUSTOMERS,
    )
    c.head(
        *("Date", "Payment ID", "Order Reference", "Payment Reference", "Channel"),
        *("Customer Name", "Phone Number", "Collected Amount", "Collected Currency"),
        "Status",
    )
    for n, moment in enumerate(moments(18)):
        name, phone, key = c.person()
        status = "FAILED" if n in (5, 11) else "SUCCESS"
        cells = [moment.isoformat() + "+03:00", f"XCP{n:04d}TEST", NUMBERS[n]]
        cells += [f"DCR{n:03d}KQ41", "M-PESA", name, key, f"{money(n)}.00", "TZS"]
        if status == "FAILED":
            c.row([*cells, status], "unusable", hand=False, words="FAILED")
        else:
            c.row([*cells, status], amount=money(n), number=NUMBERS[n])
            c.rows[-1].update(paid_at=paid(moment), receipt=f"DCR{n:03d}KQ41")


@maker
def mpesa_organisation_portal():
    c = case(
        "statements/mpesa_organisation_portal.xlsx",
        "payments",
        {
            "Receipt No.": "receipt",
            "Completion Time": "paid_at",
            "Initiation Time": None,
        }
        | {"Details": "details", "Transaction Status": "status", "Paid In": "amount"}
        | {"Withdrawn": "amount_out", "Balance": None, "Balance Confirmed": None}
        | {"Reason Type": None, "Other Party Info": "payer_name"}
        | {"Linked Transaction ID": "linked", "A/C No.": "number"},
        asks=["Paid In", "Balance"],
        choose={"Paid In": "amount", "Balance": "ignore"},
        here=CUSTOMERS,
    )
    c.line("Organization:", "MFANO SCHOOL")
    c.line("Short Code:", "000000")
    c.line("Time Period:", "From 03-03-2025 00:00:00 To 31-03-2025 23:59:59")
    c.line()
    c.head(
        *("Receipt No.", "Completion Time", "Initiation Time", "Details"),
        *("Transaction Status", "Paid In", "Withdrawn", "Balance"),
        *("Balance Confirmed", "Reason Type", "Other Party Info"),
        *("Linked Transaction ID", "A/C No."),
    )
    balance = 0
    for n, moment in enumerate(moments(16, 1300)):
        name, _phone, key = c.person()
        text = moment.strftime("%d-%m-%Y %H:%M:%S")
        receipt = f"CC{n:02d}X9KQ4{n % 10}"
        balance += money(n)
        party = f"{key} - {name.upper()}"
        details = f"Pay Bill from {party} Acc. {NUMBERS[n]}"
        state = "Completed"
        if n == 7:
            state = "Failed"
        cells = [
            receipt,
            text,
            text,
            details,
            state,
            float(money(n)),
            None,
            balance,
            "true",
        ]
        cells += ["Pay Bill", party, None, NUMBERS[n]]
        if n == 7:
            c.row(cells, "unusable", hand=False, words="Failed")
            continue
        c.row(cells, amount=money(n), number=NUMBERS[n], receipt=receipt)
        c.rows[-1]["paid_at"] = paid(moment)
        if n in (3, 9):
            charge = [receipt, text, text, "Pay Bill Charge", "Completed", None, -200.0]
            c.row(
                [*charge, balance - 200, "true", "Charge", None, None, None],
                "unusable",
                hand=False,
            )


@maker
def mpesa_with_reversal():
    c = case(
        "statements/mpesa_with_reversal.csv",
        "payments",
        {"Receipt No.": "receipt", "Completion Time": "paid_at", "Details": "details"}
        | {
            "Transaction Status": "status",
            "Paid In": "amount",
            "Withdrawn": "amount_out",
        }
        | {"Balance": None, "Linked Transaction ID": "linked", "A/C No.": "number"},
        asks=["Paid In", "Balance"],
        choose={"Paid In": "amount", "Balance": "ignore"},
        here=CUSTOMERS,
    )
    c.head(
        *("Receipt No.", "Completion Time", "Details", "Transaction Status", "Paid In"),
        *("Withdrawn", "Balance", "Linked Transaction ID", "A/C No."),
    )
    for n, moment in enumerate(moments(14, 2000)):
        text = moment.strftime("%d-%m-%Y %H:%M:%S")
        c.row(
            [f"CD{n:02d}Y8LR5{n % 10}", text, "Pay Bill", "Completed", f"{money(n)}.00"]
            + ["", f"{30000 * (n + 1)}.00", "", NUMBERS[n]],
            amount=money(n),
            number=NUMBERS[n],
            **({"state": "unmatched"} if n == 2 else {}),
        )
    c.rows[2]["words"] = "takes this money back"
    c.row(
        [
            "CD99Y8LR59",
            "06-04-2025 10:00:00",
            "Reversal of Transaction",
            "Completed",
            "",
        ]
        + [f"-{money(2)}.00", "100.00", "CD02Y8LR52", ""],
        "unusable",
        hand=False,
        words="takes back the payment in row 4",
    )


@maker
def mixx_by_yas():
    c = case(
        "statements/mixx_by_yas.xlsx",
        "payments",
        {
            "Transaction ID": "id",
            "Date & Time": "paid_at",
            "Sender MSISDN": "payer_phone",
        }
        | {"Sender Name": "payer_name", "Reference": "number", "Amount": "amount"}
        | {"Status": "status", "Balance": None},
        asks=["Amount", "Balance"],
        choose={"Amount": "amount", "Balance": "ignore"},
        here=CUSTOMERS,
    )
    c.line("Mixx by Yas Business Report").line("Merchant: MFANO").line()
    c.head(
        *("Transaction ID", "Date & Time", "Sender MSISDN", "Sender Name", "Reference"),
        *("Amount", "Status", "Balance"),
    )
    for n, moment in enumerate(moments(15, 1440)):
        name, _phone, key = c.person()
        cells = [f"MI250303.{n:04d}.A{n:05d}", moment.strftime("%d/%m/%Y %I:%M:%S %p")]
        cells += [int(key), name.upper(), NUMBERS[n], money(n)]
        if n == 6:
            c.row([*cells, "Pending", 0], "unusable", hand=False, words="Pending")
            continue
        c.row([*cells, "Success", 15000 * (n + 1)], amount=money(n), number=NUMBERS[n])
        c.rows[-1]["paid_at"] = paid(moment)


@maker
def tigo_pesa_swahili():
    c = case(
        "statements/tigo_pesa_swahili.csv",
        "payments",
        {
            "Namba ya Muamala": "id",
            "Tarehe": "paid_at",
            "Simu ya Mlipaji": "payer_phone",
        }
        | {"Jina la Mlipaji": "payer_name", "Kumbukumbu Namba": "number"}
        | {"Kiasi": "amount", "Hali": "status"},
        write={"delimiter": ";", "encoding": "cp1252"},
        here=CUSTOMERS,
    )
    c.head(
        *("Namba ya Muamala", "Tarehe", "Simu ya Mlipaji", "Jina la Mlipaji"),
        *("Kumbukumbu Namba", "Kiasi", "Hali"),
    )
    months = {3: "Machi", 4: "Aprili"}
    for n, moment in enumerate(moments(14, 1440)):
        name, phone, _key = c.person()
        text = f"{moment.day} {months[moment.month]} {moment.year} {moment:%H:%M}"
        c.row(
            [f"TP{n:08d}", text, phone, name, NUMBERS[n], f"{money(n)}", "Imefanikiwa"],
            amount=money(n),
            number=NUMBERS[n],
            paid_at=paid(moment.replace(second=0)),
        )


@maker
def airtel_money():
    c = case(
        "statements/airtel_money.xls",
        "payments",
        {
            "Record No": None,
            "Transaction ID": "id",
            "Transaction Date and Time": "paid_at",
        }
        | {"Service Name": "channel", "Sender MSISDN": "payer_phone"}
        | {"Payer Name": "payer_name", "Transaction Amount": "amount"}
        | {"Transaction Status": "status", "Bill Reference": "number"},
        here=CUSTOMERS,
    )
    c.head(
        *("Record No", "Transaction ID", "Transaction Date and Time", "Service Name"),
        *("Sender MSISDN", "Payer Name", "Transaction Amount", "Transaction Status"),
        "Bill Reference",
    )
    for n, moment in enumerate(moments(14)):
        name, phone, _key = c.person()
        c.row(
            [n + 1, f"PP250303.{n:04d}.B{n:05d}", moment, "Bill Pay", phone[1:], name]
            + [float(money(n)), "Transaction Success", NUMBERS[n]],
            amount=money(n),
            number=NUMBERS[n],
            paid_at=paid(moment),
        )


@maker
def crdb_bank():
    c = case(
        "statements/crdb_bank.xlsx",
        "payments",
        {"Posting Date": "paid_at", "Details": "details", "Value Date": None}
        | {"Transaction Reference": "receipt", "Debit": "amount_out"}
        | {"Credit": "amount", "Book Balance": None},
        asks=["Credit"],
        choose={"Credit": "amount"},
        here=CUSTOMERS,
    )
    c.line("CRDB BANK PLC").line("ACCOUNT STATEMENT").line("Account: 0150000000000")
    c.line("Period: 01-03-2025 - 31-03-2025").line()
    c.head(
        *("Posting Date", "Details", "Value Date", "Transaction Reference", "Debit"),
        *("Credit", "Book Balance"),
    )
    for n, moment in enumerate(moments(14, 1440)):
        day = moment.strftime("%d.%m.%Y")
        c.row(
            [
                day,
                f"SIMBANKING BILLPAY {n}",
                day,
                f"FT25062{n:05d}",
                None,
                float(money(n)),
            ]
            + [1000000.0 + 5 * money(n)],
            amount=money(n),
            receipt=f"FT25062{n:05d}",
            paid_at=f"{moment:%Y-%m-%d} 00:00:00",
            state="unmatched",
        )
    c.row(
        [
            "17.03.2025",
            "LEDGER FEE",
            "17.03.2025",
            "FT2506299999",
            5900.0,
            None,
            994100.0,
        ],
        "unusable",
        hand=False,
        words="pays money out",
    )
    c.row(
        [None, "Closing Balance", None, None, None, None, 994100.0],
        "unusable",
        hand=False,
    )


@maker
def nmb_bank():
    c = case(
        "statements/nmb_bank.csv",
        "payments",
        {"Date": "paid_at", "Value Date": None, "Description": "details"}
        | {"Receipt No": "receipt", "Debit (TZS)": "amount_out"}
        | {"Credit (TZS)": "amount", "Balance": None},
        asks=["Credit (TZS)", "Balance"],
        choose={"Credit (TZS)": "amount", "Balance": "ignore"},
        here=CUSTOMERS,
    )
    c.line("NMB BANK PLC").line("Statement of Account").line()
    c.head(
        *("Date", "Value Date", "Description", "Receipt No", "Debit (TZS)"),
        *("Credit (TZS)", "Balance"),
    )
    for n, moment in enumerate(moments(14, 1440)):
        day = moment.strftime("%d-%b-%y")
        c.row(
            [day, day, "NMB MKONONI PAYMENT", f"NMB{n:07d}", "", f"{money(n):,}.00"]
            + ["1,234,567.00"],
            amount=money(n),
            receipt=f"NMB{n:07d}",
            paid_at=f"{moment:%Y-%m-%d} 00:00:00",
            state="unmatched",
        )


@maker
def quickbooks_sales_receipts():
    c = case(
        "statements/quickbooks_sales_receipts.csv",
        "payments",
        {"Date": "paid_at", "Transaction Type": "details", "Num": "receipt"}
        | {"Name": "payer_name", "Memo/Description": "number", "Amount": "amount"},
        here=CUSTOMERS,
    )
    c.line("Mfano School").line("Transaction List by Date").line("March 2025").line()
    c.head("Date", "Transaction Type", "Num", "Name", "Memo/Description", "Amount")
    for n, moment in enumerate(moments(14, 1440)):
        name, _phone, _key = c.person()
        c.row(
            [moment.strftime("%m/%d/%Y"), "Payment", f"MPX{n:05d}", name, NUMBERS[n]]
            + [f"{money(n):,}.00"],
            amount=money(n),
            number=NUMBERS[n],
            paid_at=f"{moment:%Y-%m-%d} 00:00:00",
        )
    c.row(["TOTAL", "", "", "", "", "1,260,091.00"], "unusable", hand=False)


@maker
def ambiguous_days():
    c = case(
        "statements/ambiguous_days.csv",
        "payments",
        {"Date": "paid_at", "Receipt": "receipt", "Control Number": "number"}
        | {"Amount": "amount"},
        order="dmy",
        here=CUSTOMERS,
    )
    c.head("Date", "Receipt", "Control Number", "Amount")
    for n in range(12):
        c.row(
            [
                f"{n % 4 + 1:02d}/{n // 4 + 2:02d}/2025 09:30",
                f"AMB{n:05d}",
                NUMBERS[n],
                5000,
            ],
            amount=5000,
            number=NUMBERS[n],
            paid_at=f"2025-{n // 4 + 2:02d}-{n % 4 + 1:02d} 09:30:00",
        )


@maker
def american_dates():
    c = case(
        "statements/american_dates.csv",
        "payments",
        {"Payment Date": "paid_at", "Receipt No": "receipt", "Bill Number": "number"}
        | {"Amount Paid": "amount"},
        here=CUSTOMERS,
    )
    c.head("Payment Date", "Receipt No", "Bill Number", "Amount Paid")
    for n, moment in enumerate(moments(14, 1440)):
        c.row(
            [moment.strftime("%m/%d/%Y %I:%M %p"), f"USD{n:05d}", NUMBERS[n], money(n)],
            amount=money(n),
            number=NUMBERS[n],
            paid_at=paid(moment.replace(second=0)),
        )


@maker
def days_swapped_by_excel():
    c = case(
        "statements/days_swapped_by_excel.xlsx",
        "payments",
        {"Date": "paid_at", "Receipt": "receipt", "Control Number": "number"}
        | {"Amount": "amount"},
        here=CUSTOMERS,
    )
    c.head("Date", "Receipt", "Control Number", "Amount")
    for n in range(14):
        day = date(2025, 3, 13) + timedelta(days=n)
        c.row(
            [f"{day:%d/%m/%Y}", f"SWP{n:05d}", NUMBERS[n], 7000],
            amount=7000,
            number=NUMBERS[n],
            paid_at=f"{day} 00:00:00",
        )
    # 3 April, as the sheet of another country has read it: 4 March.
    c.row(
        [datetime(2025, 3, 4), "SWP99999", NUMBERS[15], 7000],
        "unusable",
        words="swapped days and months",
    )


@maker
def excel_serials():
    c = case(
        "statements/excel_serials.csv",
        "payments",
        {
            "Tarehe": "paid_at",
            "Risiti": "receipt",
            "Namba": "number",
            "Kiasi": "amount",
        },
        here=CUSTOMERS,
    )
    c.head("Tarehe", "Risiti", "Namba", "Kiasi")
    for n, moment in enumerate(moments(14, 1440)):
        serial = (moment - datetime(1899, 12, 30)) / timedelta(days=1)
        c.row(
            [f"{serial:.9f}", f"SER{n:05d}", f"{NUMBERS[n]}.0", f"{money(n)}.0"],
            amount=money(n),
            number=NUMBERS[n],
            paid_at=paid(moment),
        )


@maker
def compact_moments():
    c = case(
        "statements/compact_moments.csv",
        "payments",
        {
            "Trans Date": "paid_at",
            "Operator Receipt": "receipt",
            "MSISDN": "payer_phone",
        }
        | {"Account Number": "number", "Amount": "amount"},
        here=CUSTOMERS,
    )
    c.head("Trans Date", "Operator Receipt", "MSISDN", "Account Number", "Amount")
    for n, moment in enumerate(moments(14)):
        _name, _phone, key = c.person()
        c.row(
            [f"{moment:%Y%m%d%H%M%S}", f"CMP{n:05d}", key, NUMBERS[n], f"{money(n)}"],
            amount=money(n),
            number=NUMBERS[n],
            paid_at=paid(moment),
        )


@maker
def control_numbers_with_dashes():
    c = case(
        "statements/control_numbers_with_dashes.xlsx",
        "payments",
        {"Receipt": "receipt", "Date": "paid_at", "Control Number": "number"}
        | {"Amount": "amount"},
        here=CUSTOMERS,
    )
    c.head("Receipt", "Date", "Control Number", "Amount")
    arabic = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
    for n, moment in enumerate(moments(12)):
        digits = NUMBERS[n]
        shown = (
            f"{digits[:4]}-{digits[4:8]}-{digits[8:]}",
            f"{digits[:4]} {digits[4:8]} {digits[8:]}",
            digits.translate(arabic),
            int(digits),
        )[n % 4]
        c.row(
            [f"DSH{n:05d}", moment, shown, money(n)],
            amount=money(n),
            number=digits,
        )
    c.rows[3]["number"] = NUMBERS[3]


@maker
def already_here_and_twice():
    c = case(
        "statements/already_here_and_twice.csv",
        "payments",
        {"Receipt": "receipt", "Date": "paid_at", "Control Number": "number"}
        | {"Amount": "amount"},
        here=CUSTOMERS
        | {
            "payments": [
                {"receipt": "HERE00001", "number": NUMBERS[0], "amount": 5000},
                {"receipt": "HERE00002", "number": NUMBERS[1], "amount": 5000},
            ]
        },
    )
    c.head("Receipt", "Date", "Control Number", "Amount")
    c.row(["here 00001", "2025-03-03 09:00", NUMBERS[0], 5000], "known")
    c.row(["Receipt No. HERE-00002", "2025-03-03 09:00", NUMBERS[1], 5000], "known")
    for n, moment in enumerate(moments(10)):
        c.row(
            [f"NEW{n:05d}", f"{moment:%Y-%m-%d %H:%M}", NUMBERS[n + 2], 5000],
            amount=5000,
            number=NUMBERS[n + 2],
        )
    c.row(["new-00000", "2025-03-03 08:15", NUMBERS[2], 5000], "same_as", words="row 4")


@maker
def cells_that_cannot_be_read():
    c = case(
        "statements/cells_that_cannot_be_read.csv",
        "payments",
        {"Receipt": "receipt", "Date": "paid_at", "Control Number": "number"}
        | {"Amount": "amount", "Phone": "payer_phone", "Currency": "currency"},
        here=CUSTOMERS,
    )
    c.head("Receipt", "Date", "Control Number", "Amount", "Phone", "Currency")
    for n, moment in enumerate(moments(16)):
        good = f"07149000{n:02d}"
        phone = [good, "0712", good, "2.55713E+11", good, "-", good][n % 7]
        c.row(
            [
                f"BAD{n:05d}",
                f"{moment:%d/%m/%Y %H:%M}",
                NUMBERS[n],
                money(n),
                phone,
                "Tsh",
            ],
            amount=money(n),
            number=NUMBERS[n],
        )
    for cells, words in (
        (["BAD00090", "31/02/2025", NUMBERS[0], 3000, "", "TZS"], "31/02/2025"),
        (["BAD00091", "13/03/2025", NUMBERS[0], "150.000", "", "TZS"], "150.000"),
        (["BAD00092", "13/03/2025", "7.70201E+11", 3000, "", "TZS"], "7.70201E+11"),
        (["BAD00093", "13/03/2095", NUMBERS[0], 3000, "", "TZS"], "future"),
        (["-", "13/03/2025", NUMBERS[0], 3000, "", "TZS"], "identifies"),
    ):
        c.row(cells, "unusable", words=words)


@maker
def separate_time_column():
    c = case(
        "statements/separate_time_column.xlsx",
        "payments",
        {"Tarehe": "paid_at", "Muda": "clock", "Risiti": "receipt"}
        | {"Namba ya Malipo": "number", "Kiasi Kilicholipwa": "amount"},
        here=CUSTOMERS,
    )
    c.line("TAARIFA YA MALIPO")
    c.head("Tarehe", "Muda", "Risiti", "Namba ya Malipo", "Kiasi Kilicholipwa")
    for n, moment in enumerate(moments(12)):
        c.row(
            [f"{moment:%Y-%m-%d}", f"{moment:%H:%M}", f"TIM{n:05d}", NUMBERS[n]]
            + ["TZS 25,000/="],
            amount=25000,
            number=NUMBERS[n],
            paid_at=paid(moment.replace(second=0)),
        )


@maker
def cash_book():
    c = case(
        "statements/cash_book.ods",
        "payments",
        {"Date": "paid_at", "Payer": "payer_name", "Receipt No": "receipt"}
        | {"Control No": "number", "Amount (TZS)": "amount", "Remarks": "details"},
        here=CUSTOMERS,
    )
    c.line("FEES COLLECTION - MARCH 2025")
    c.head("Date", "Payer", "Receipt No", "Control No", "Amount (TZS)", "Remarks")
    for n, moment in enumerate(moments(12, 1440)):
        name, _phone, _key = c.person()
        c.row(
            [moment, name, f"ODS{n:05d}", NUMBERS[n], money(n), "M-Pesa"],
            amount=money(n),
            number=NUMBERS[n],
            paid_at=paid(moment),
        )


@maker
def results_in_words():
    c = case(
        "statements/results_in_words.csv",
        "payments",
        {"Receipt": "receipt", "Date": "paid_at", "Control Number": "number"}
        | {"Amount": "amount", "Matokeo": "status"},
        here=CUSTOMERS,
    )
    c.head("Receipt", "Date", "Control Number", "Amount", "Matokeo")
    words = ["Imefanikiwa", "Imelipwa", "Completed", "SUCCESSFUL", "Paid", "Settled"]
    bad = ["Imeshindikana", "Declined", "Cancelled", "Reversed", "Pending", "Rejected"]
    for n, moment in enumerate(moments(18)):
        cells = [f"RES{n:05d}", f"{moment:%Y-%m-%d %H:%M}", NUMBERS[n], money(n)]
        if n % 3 == 2:
            c.row([*cells, bad[n // 3]], "unusable", hand=False)
        else:
            c.row([*cells, words[n % 6]], amount=money(n), number=NUMBERS[n])


@maker
def halopesa():
    c = case(
        "statements/halopesa.csv",
        "payments",
        {"No.": None, "Trans ID": "id", "Trans Date": "paid_at", "From": "payer_phone"}
        | {"Payer": "payer_name", "Control Number": "number", "Amount (TZS)": "amount"}
        | {"Fee": None, "Trans Status": "status"},
        write={"delimiter": ";"},
        here=CUSTOMERS,
    )
    c.line("HALOPESA BUSINESS").line("From 03/03/2025 to 31/03/2025").line()
    c.head(
        *("No.", "Trans ID", "Trans Date", "From", "Payer", "Control Number"),
        *("Amount (TZS)", "Fee", "Trans Status"),
    )
    for n, moment in enumerate(moments(14, 1440)):
        name, phone, _key = c.person()
        c.row(
            [n + 1, f"H{n:09d}", f"{moment:%d-%m-%Y %H:%M:%S}", phone, name, NUMBERS[n]]
            + [f"{money(n)}", "0", "SUCCESSFUL"],
            amount=money(n),
            number=NUMBERS[n],
            paid_at=paid(moment),
        )


@maker
def two_currencies_and_another_amount():
    c = case(
        "statements/two_currencies_and_another_amount.xlsx",
        "payments",
        {"Receipt No": "receipt", "Paid On": "paid_at", "Order Reference": "number"}
        | {"Amount": "amount", "Currency": "currency"},
        here=CUSTOMERS
        | {
            "payments": [
                {"receipt": "CUR00099", "number": NUMBERS[0], "amount": 5000},
            ]
        },
    )
    c.head("Receipt No", "Paid On", "Order Reference", "Amount", "Currency")
    for n, moment in enumerate(moments(18)):
        c.row(
            [f"CUR{n:05d}", moment, NUMBERS[n], money(n), "TZS" if n % 2 else "Tshs"],
            amount=money(n),
            number=NUMBERS[n],
            paid_at=paid(moment),
        )
    c.row(["CUR00090", STARTS, NUMBERS[0], 100, "USD"], "unusable", words="not USD")
    c.row(["CUR00099", STARTS, NUMBERS[0], 6000, "TZS"], "contradicts", words="amount")


# === WRITING === #


def write_csv(path, case):
    options = dict(case.expected.get("write", {}))
    encoding = options.pop("encoding", "utf-8")
    before = options.pop("before", "")
    buffer = io.StringIO(newline="")
    buffer.write(before)
    rows = [["" if cell is None else cell for cell in row] for row in case.sheets[0][1]]
    csv.writer(buffer, **options).writerows(rows)
    path.write_bytes(buffer.getvalue().encode(encoding))


def write_xlsx(path, case):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in case.sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)


def write_xls(path, case):
    book = xlwt.Workbook()
    style = xlwt.easyxf(num_format_str="DD/MM/YYYY HH:MM")
    for title, rows in case.sheets:
        sheet = book.add_sheet(title)
        for place, row in enumerate(rows):
            for column, cell in enumerate(row):
                if isinstance(cell, datetime):
                    sheet.write(place, column, cell, style)
                elif cell is not None:
                    sheet.write(place, column, cell)
    book.save(str(path))


OFFICE = "urn:oasis:names:tc:opendocument:xmlns:"


def write_ods(path, case):
    tables = []
    for title, rows in case.sheets:
        lines = "".join(
            "<table:table-row>%s</table:table-row>" % "".join(map(_ods_cell, row))
            for row in rows
        )
        tables.append(
            "<table:table table:name=%s>%s</table:table>" % (quoteattr(title), lines)
        )
    content = (
        '<?xml version="1.0" encoding="UTF-8"?><office:document-content '
        + " ".join(f'xmlns:{n}="{OFFICE}{n}:1.0"' for n in ("office", "table", "text"))
        + ' office:version="1.2"><office:body><office:spreadsheet>'
        + "".join(tables)
        + "</office:spreadsheet></office:body></office:document-content>"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        kind = "application/vnd.oasis.opendocument.spreadsheet"
        archive.writestr("mimetype", kind, zipfile.ZIP_STORED)
        archive.writestr("content.xml", content)


def _ods_cell(cell):
    if cell is None:
        return "<table:table-cell/>"
    if isinstance(cell, datetime):
        kind = f'office:value-type="date" office:date-value="{cell.isoformat()}"'
    elif isinstance(cell, int | float):
        kind = f'office:value-type="float" office:value="{cell}"'
    else:
        kind = 'office:value-type="string"'
    text = escape(str(cell))
    return f"<table:table-cell {kind}><text:p>{text}</text:p></table:table-cell>"


WRITERS = {
    ".csv": write_csv,
    ".tsv": write_csv,
    ".xlsx": write_xlsx,
    ".xls": write_xls,
    ".ods": write_ods,
}


def cases():
    """Return all cases, made once."""
    if not CASES:
        for make in MAKERS:
            make()
    return CASES


def outcome(case):
    """Return what must become of a file as text: a row a line."""
    parts = []
    for name, value in case.data().items():
        text = json.dumps(value, ensure_ascii=False)
        if name in ("rows", "here"):
            text = text.replace("}, {", "},\n  {")
        if name != "write":
            parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(folder=HERE):
    for case in cases():
        path = Path(folder) / case.path
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[path.suffix](path, case)
        expected = path.with_name(path.name + ".json")
        expected.write_text(outcome(case), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:2])
