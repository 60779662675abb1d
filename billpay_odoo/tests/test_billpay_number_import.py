# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Numbers that were issued elsewhere become known here."""

import base64
import io
import zipfile
from unittest.mock import patch

import openpyxl

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import BaseCase, tagged
from odoo.tools import mute_logger

from .. import files, spreadsheet
from ..files import FileError
from .test_billpay_receipt import ManualCommon


def xlsx(*rows):
    """Return a workbook of these rows, with the types of their values."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def csv_file(*rows, delimiter=","):
    return "\n".join(delimiter.join(row) for row in rows).encode()


class ImportCommon(ManualCommon):
    wizard_model = None

    def _workbook(self, wizard, action):
        self.assertIn("/download?download=true", action["url"])
        book = openpyxl.load_workbook(io.BytesIO(base64.b64decode(wizard.download)))
        return [list(row) for row in book.active.iter_rows(values_only=True)]

    def _wizard(self, data=None, user=None, **values):
        return (
            self.env[self.wizard_model]
            .with_user(user or self.clerk)
            .with_context(allowed_company_ids=self.company.ids)
            .create(
                {
                    "application": str(self.provider.id),
                    "file": base64.b64encode(data) if data is not None else False,
                    "filename": "numbers.xlsx",
                    **values,
                }
            )
        )

    def _preview(self, data, **values):
        wizard = self._wizard(data, **values)
        wizard.action_preview()
        wizard.action_check()
        return wizard

    def assertVerdicts(self, wizard, *expected):
        """Each line's verdict, and a part of its reason."""
        lines = wizard.line_ids.sorted("row")
        found = [(line.verdict, line.reason or "") for line in lines]
        # "skip": left out, for one reason or another.
        left_out = ("looks_like", "contradicts", "same_as", "unusable")
        self.assertEqual(
            [
                "skip" if wanted == "skip" and verdict in left_out else verdict
                for (verdict, _r), (wanted, _p) in zip(found, expected, strict=True)
            ],
            [wanted for wanted, _part in expected],
            found,
        )
        for (_verdict, reason), (_same, part) in zip(found, expected, strict=True):
            self.assertIn(part, reason)

    def assertUnreadable(self, data, part):
        wizard = self._wizard(data)
        with self.assertRaises(UserError) as caught:
            wizard.action_preview()
            wizard.action_check()
        self.assertIn(part, str(caught.exception))
        self.assertIn("Nothing was changed", str(caught.exception))
        self.assertFalse(wizard.line_ids)


@tagged("post_install", "-at_install")
class TestImportNumbers(ImportCommon):
    wizard_model = "billpay.number.import"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.billpay_issue_on = "manual"
        cls.asha = cls.env["res.partner"].create(
            {
                "name": "Asha Mrisho",
                "ref": "S-0042",
                "email": "Asha@Example.com",
                "phone": "+255 712 345 678",
            }
        )

    def test_customers_are_found_however_they_are_written(self):
        contacts = self.env["res.partner"]
        ali, fatma, ngombe, number_42, kenyan = contacts.create(
            [
                {"name": "محمد علي"},
                {"name": "فاطمة حسن"},
                {"name": "Ng'ombe  Juma"},
                {"name": "Forty-two", "ref": "0042"},
                {"name": "Kamau", "phone": "+254 713 000 111"},
            ]
        )
        here = contacts.create({"name": "Neema", "phone": "0713 000 111"})
        data = csv_file(
            ("Number", "Customer", "Reference", "Phone"),
            ("11", "مُحَمَّد علي", "-", "N/A"),
            ("12", "فاطمة  حسن", "", "hana"),
            ("13", "NG’OMBE JUMA", "none", ""),
            ("14", "", "42.0", ""),
            ("15", "", "", "+255 (0) 713 000 111"),
            ("16", "", "", "00254713000111"),
            ("17", "", "", "0713000111 / 0755 000 000"),
            ("18", "", "N/A", "-"),
        )
        wizard = self._preview(data)
        lines = wizard.line_ids.sorted("row")
        self.assertEqual(
            [line.partner_id for line in lines],
            [ali, fatma, ngombe, number_42, here, kenyan, here, contacts],
            lines.mapped("reason"),
        )

    def test_a_namesake_with_another_phone_is_for_a_person(self):
        data = csv_file(
            ("Number", "Customer", "Phone", "Reference"),
            ("21", "ASHA MRISHO", "0755000111", ""),
            ("22", "ASHA MRISHO", "0712345678", ""),
            ("23", "Asha Mrisho", "0755000111", "S-0042"),
            ("24", "Asha Mrisho", "", ""),
        )
        self.assertVerdicts(
            self._preview(data),
            ("skip", "has another phone here, +255 712 345 678"),
            ("new", ""),
            ("new", ""),
            ("new", ""),
        )

    def test_a_namesake_with_another_address_is_for_a_person(self):
        self.env["res.partner"].create({"name": "Rehema Ali", "email": "rehema@x.tz"})
        data = csv_file(
            ("Number", "Customer", "Email", "Phone"),
            ("21", "Rehema Ali", "else@x.tz", ""),
            ("22", "REHEMA ALI", "Rehema@X.tz", ""),
            ("23", "Rehema Ali", "", ""),
            ("24", "Rehema Ali", "else@x.tz", "-"),
        )
        self.assertVerdicts(
            self._preview(data),
            ("skip", "has another e-mail address here, rehema@x.tz. Choose one"),
            ("new", ""),
            ("new", ""),
            ("skip", "another e-mail address"),
        )

    def test_mother_and_daughter_of_one_name_are_two(self):
        contacts = self.env["res.partner"]
        mother = contacts.create({"name": "Halima Said", "phone": "0712 111 222"})
        contacts.create(
            {"name": "Halima Said", "parent_id": mother.id, "type": "other"}
        )
        company = contacts.create({"name": "Duka Kuu", "is_company": True})
        contacts.create({"name": "Duka Kuu", "parent_id": company.id})
        data = csv_file(
            ("Number", "Customer", "Phone"),
            ("31", "Halima Said", ""),
            ("32", "Halima Said", "0712111222"),
            ("33", "Duka Kuu", ""),
        )
        wizard = self._preview(data)
        self.assertVerdicts(
            wizard, ("skip", "2 contacts fit"), ("new", ""), ("new", "")
        )
        self.assertEqual(wizard.line_ids.partner_id, mother | company)

    def test_signs_of_searches_are_letters(self):
        contacts = self.env["res.partner"]
        contacts.create([{"name": "Duka la Juma", "ref": "K-55"}, {"name": "Duka Ali"}])
        self._invoice(1000, name="INV/2026/7001")
        rows = [
            (str(41 + place), *row)
            for place, row in enumerate(
                (f"Duka {sign}", f"K{sign}55", f"INV/2026/7{sign}1")
                for sign in ("%", "_", "\\", "%%_")
            )
        ]
        customers = [(number, name, "", "") for number, name, _ref, _move in rows]
        references = [("5" + n, "", ref, "") for n, _name, ref, _move in rows]
        invoices = [("6" + n, "", "", move) for n, _name, _ref, move in rows]
        header = ("Number", "Customer", "Reference", "Invoice")
        wizard = self._preview(csv_file(header, *customers, *references, *invoices))
        self.assertEqual(set(wizard.line_ids.mapped("verdict")), {"unusable"})
        self.assertFalse(
            wizard.line_ids.partner_id | wizard.line_ids.move_id.partner_id
        )

    def test_digits_of_numbers_are_read_however_they_are_written(self):
        data = csv_file(
            ("Number", "Reference"),
            ("5504-2914-8719-31", "S-0042"),
            ("٥٥٠٤٢٩١٤٨٧١٩٣٢", "S-0042"),
            ("55042914871933.0", "S-0042"),
            ("55042914871934-2", "S-0042"),
        )
        wizard = self._preview(data)
        lines = wizard.line_ids.sorted("row")
        self.assertEqual(
            lines[:3].mapped("name"),
            ["55042914871931", "55042914871932", "55042914871933"],
        )
        self.assertEqual(lines.mapped("verdict"), ["new", "new", "new", "unusable"])
        self.assertIn("is no control number", lines[3].reason)

    def test_letter_case_of_an_imported_number_does_not_count(self):
        for name, sent in (
            ("Cust001", "CUST001"),
            ("cust002", "Cust002-1"),
            ("CuST003", "cUst003"),
        ):
            with self.subTest(name):
                data = csv_file(("Number", "Reference"), (name, "S-0042"))
                self._preview(data).action_import()
                row = self._told(sent, 5000)
                self.assertEqual(row.control_number_id.name, name)
                self.assertBooked(row, 5000)
                # And money that was there before its number.
                row = self._told(sent.replace("00", "10"), 6000)
                self.assertEqual(row.state, "unmatched")
                data = csv_file(
                    ("Number", "Reference"), (name.replace("00", "10"), "S-0042")
                )
                self._preview(data).action_import()
                self.env.cr.flush()
                self._process()
                self.assertBooked(row, 6000)

    def _told(self, number, amount):
        """A payment that ClickPesa has confirmed, handled by the worker."""
        row = (
            self.env["billpay.payment"]
            .sudo()
            .create(
                {
                    "provider_id": self.provider.id,
                    "reference": "LCP%s%s" % (number, amount),
                    "number": number,
                    "amount": amount,
                    "currency_id": self.tzs.id,
                    "currency_code": "TZS",
                    "paid_at": fields.Datetime.now(),
                    "status": "SUCCESS",
                    "state": "confirmed",
                    "confirmed_at": fields.Datetime.now(),
                }
            )
        )
        self._process()
        return row

    def _numbers(self):
        return self.env["billpay.control.number"].search(
            [("provider_id", "=", self.provider.id)]
        )

    def test_numbers_are_linked_and_their_money_is_booked(self):
        move = self._invoice(150000, partner=self.asha)
        calls = self.sandbox.count_calls()
        wizard = self._preview(
            xlsx(
                ["Malipo ya mwaka"],
                ["Ankara", "Kiasi", "Namba", "Njia", "Maelezo", "Rangi"],
                [move.name, 150000.0, 92727335, "EXACT", "Ada", "red"],
                [None, None, "ABC 123", None, "Daima", None],
            )
        )
        self.assertEqual(wizard.ignored_columns, "Rangi")
        self.assertVerdicts(wizard, ("new", ""), ("skip", "no invoice and no customer"))
        self.assertEqual(wizard.line_ids.mapped("row"), [3, 4])
        self.assertFalse(self._numbers(), "a preview creates nothing")
        wizard.line_ids[1].partner_id = self.asha
        self.assertVerdicts(wizard, ("new", ""), ("new", ""))
        wizard.action_import()
        self.assertEqual((wizard.state, wizard.made_count), ("done", 2))
        self._sync()
        self.assertRecordValues(
            self._numbers().sorted("id"),
            [
                {
                    "name": "92727335",
                    "kind": "order",
                    "origin": "imported",
                    "state": "open",
                    "amount": 150000,
                    "mode": "exact",
                    "description": "Ada",
                    "move_id": move.id,
                    "partner_id": self.asha.id,
                    "sync_at": False,
                },
                {
                    "name": "ABC123",
                    "kind": "customer",
                    "origin": "imported",
                    "state": "open",
                    "amount": 0,
                    "mode": "flexible",
                    "description": "Daima",
                    "move_id": False,
                    "partner_id": self.asha.id,
                    "sync_at": False,
                },
            ],
        )
        self.assertTrue(all(number.confirmed_at for number in self._numbers()))
        self.assertEqual(self.sandbox.count_calls(), calls, "nothing is sent")
        action = wizard.action_view_numbers()
        self.assertEqual(action["domain"], [("id", "in", self._numbers().ids[::-1])])
        row = self._type("92727335")
        self.assertBooked(row, 150000)
        self.assertEqual(move.amount_residual, 0)
        row = self._type("abc123", receipt="R0002", amount=5000)
        self.assertBooked(row, 5000)
        self.assertEqual(row.partner_id, self.asha)

    def test_money_that_came_first_finds_its_number(self):
        payment = self._pay("1122777", 9000)
        self._poll()
        self._process()
        row = self._ledger(payment)
        self.assertEqual(row.state, "unmatched")
        wizard = self._preview(csv_file(["number", "ref"], ["1122777", "S-0042"]))
        wizard.action_import()
        row.with_user(self.clerk).action_process_now()
        self._process()
        self.assertBooked(row, 9000)
        self.assertEqual(row.partner_id, self.asha)

    def test_customers_are_found_by_what_is_theirs_alone(self):
        namesake = self.env["res.partner"].create({"name": "Asha Mrisho"})
        company = self.env["res.partner"].create(
            {"name": "Shule", "is_company": True, "email": "shule@example.com"}
        )
        self.env["res.partner"].create(
            {"name": "Bursar", "parent_id": company.id, "email": "shule@example.com"}
        )
        wizard = self._preview(
            csv_file(
                ["control number", "mteja", "customer reference", "simu", "email"],
                ["N1", "", "s-0042", "", ""],
                ["N2", "", "", "0712345678", ""],
                ["N3", "", "", "", "asha@example.COM"],
                ["N4", "asha  MRISHO", "", "", ""],
                ["N5", "Asha Mrisho", "S-0042", "", ""],
                ["N6", "Shule", "S-0042", "", ""],
                ["N7", "", "", "", "shule@example.com"],
                ["N8", "Nobody", "", "", ""],
            )
        )
        self.assertVerdicts(
            wizard,
            ("new", ""),
            ("new", ""),
            ("new", ""),
            ("skip", "2 contacts fit"),
            ("new", ""),
            ("skip", "different customers"),
            ("new", ""),
            ("skip", "No customer is called Nobody"),
        )
        partners = wizard.line_ids.mapped(lambda line: line.partner_id.id)
        self.assertEqual(
            partners,
            [self.asha.id] * 3 + [False, self.asha.id, False, company.id, False],
        )
        self.assertTrue(namesake)

    def test_invoice_that_carried_its_customers_number_shows_the_imported_one(self):
        purpose = self.env["billpay.purpose"].create(
            {
                "name": "Ada",
                "company_id": self.company.id,
                "invoice_number": "customer",
            }
        )
        self.company.billpay_issue_on = "post"
        for name, amount, mode in (
            ("92727341", 150000.0, "EXACT"),
            ("92727342", 150000.0, "flexible"),
            ("92727343", None, None),
        ):
            with self.subTest(name):
                move = self._invoice(
                    150000, partner=self.asha, billpay_purpose_id=purpose.id
                )
                kept = move.billpay_carried_number_id
                self.assertTrue(kept)
                row = ["Ankara", "Kiasi", "Namba", "Njia"], [move.name, amount, name]
                wizard = self._preview(xlsx(row[0], [*row[1], mode]))
                wizard.action_import()
                self.assertFalse(move.billpay_carried_number_id)
                self.assertEqual(move.billpay_number_id.name, name)
                # Money on the customer's number pays it as before.
                kept.sudo().write({"state": "open", "confirmed_at": "2026-03-01"})
                self._had_since(kept.name, "2026-03-01 12:00:00")
                row = self._type(kept.name, receipt=f"R{name}")
                self.assertBooked(row, 150000)
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(move.billpay_number_id.state, "closed")

    def test_invoices_that_cannot_take_a_number(self):
        paid = self._invoice(5000)
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=paid.ids
        ).create({})._create_payments()
        numbered = self._invoice(6000)
        numbered.action_billpay_issue()
        draft = self._invoice(7000, post=False)
        draft.payment_reference = "DRAFT7"
        free = self._invoice(8000)
        foreign = self.setup_other_company(name="Duka la Pili")["company"]
        wizard = self._preview(
            csv_file(
                ["Number", "Invoice", "Customer"],
                ["N1", paid.name, ""],
                ["N2", numbered.name, ""],
                ["N3", "DRAFT7", ""],
                ["N4", free.payment_reference, ""],
                ["N5", free.name, ""],
                ["N6", "INV/none", ""],
                ["N7", free.name, "Asha Mrisho"],
            )
        )
        self.assertVerdicts(
            wizard,
            ("skip", "paid already"),
            ("skip", "could be paid twice"),
            ("skip", "not confirmed"),
            ("new", ""),
            ("skip", "Row 5 has a number for this invoice"),
            ("skip", "No invoice is called INV/none"),
            ("skip", "belongs to Juma Hamisi, not to Asha Mrisho"),
        )
        wizard.action_import()
        self.assertEqual(free.billpay_number_id.name, "N4")
        self.assertEqual(len(numbered.billpay_number_ids), 1)
        self.assertTrue(foreign)

    def test_bad_and_repeated_numbers_are_skipped_with_a_reason(self):
        self._wizard()
        wizard = self._preview(csv_file(["number", "ref"], ["Old1", "S-0042"]))
        wizard.action_import()
        wizard = self._preview(
            xlsx(
                ["Number", "Ref", "Kind", "Amount", "Mode"],
                ["old1", "S-0042"],
                ["New1", "S-0042"],
                ["NEW1", "S-0042"],
                ["12-34", "S-0042"],
                ["1" * 21, "S-0042"],
                [1.12e19, "S-0042"],
                ["1.12E+13", "S-0042"],
                [None, "S-0042"],
                ["N9", "S-0042", "thing"],
                ["N10", "S-0042", None, "150.000"],
                ["N11", "S-0042", None, "-5"],
                ["N12", "S-0042", None, None, "half"],
                ["=A2", "S-0042"],
                ["  N14  ", "S-0042", "CUSTOMER", "TZS 150,000/=", "Exact"],
                [11220000000197, "S-0042", "order", 1250.5],
            )
        )
        self.assertVerdicts(
            wizard,
            ("known", "in Odoo already"),
            ("new", ""),
            ("skip", "row 3"),
            ("skip", "1 to 20 letters and digits"),
            ("skip", "1 to 20 letters and digits"),
            ("skip", "lost digits"),
            ("skip", "lost digits"),
            ("skip", "no control number"),
            ("skip", "no kind"),
            ("skip", "not an amount"),
            ("skip", "not an amount"),
            ("skip", "no mode"),
            ("skip", "formula"),
            ("new", ""),
            ("new", ""),
        )
        wizard.action_import()
        self.assertEqual(
            sorted(self._numbers().mapped("name")),
            ["11220000000197", "N14", "New1", "Old1"],
        )
        report = self._workbook(wizard, wizard.action_report())
        self.assertEqual(len(report), 16)
        self.assertEqual(report[3][1], "Same as Another Row")
        self.assertIn("row 3", report[3][2])
        self.assertEqual(report[2][1], "Imported")

    def test_template_is_understood_and_runs_nothing(self):
        wizard = self._wizard()
        header = self._workbook(wizard, wizard.action_template())[0]
        self.assertEqual(header[0], "Control number")
        filled = self._preview(
            xlsx(header, ["N1", "order", 5, "", "=cmd()", "", "", "S-0042"])
        )
        self.assertFalse(filled.ignored_columns)
        self.assertVerdicts(filled, ("new", ""))
        evil = self._preview(csv_file(["number", "customer"], ["N2", "=cmd()"]))
        rows = self._workbook(evil, evil.action_report())
        self.assertIn("=cmd()", rows[1][2])

    def test_number_made_meanwhile_is_not_made_again(self):
        wizard = self._preview(csv_file(["number", "ref"], ["N1", "S-0042"]))
        self._preview(csv_file(["number", "ref"], ["n1", "S-0042"])).action_import()
        with self.assertRaises(UserError):
            wizard.action_import()
        self.assertEqual(len(self._numbers()), 1)

    @mute_logger("odoo.addons.billpay_odoo.files")
    def test_files_that_are_no_table_are_refused(self):
        good = xlsx(["Number"], ["N1"])
        bomb = io.BytesIO()
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/workbook.xml", b"0" * (301 * 1024 * 1024))
        other = io.BytesIO()
        with zipfile.ZipFile(other, "w") as archive:
            archive.writestr("word/document.xml", b"<x/>")
        for part, data in (
            ("Choose an XLSX or CSV", None),
            ("no rows", b"\n\n"),
            ("no rows", csv_file(["number"])),
            ("no column Control Number", csv_file(["colour", "size"], ["red", "1"])),
            ("larger than 20 MB", b"x" * (21 * 1024 * 1024)),
            ("larger than 20 MB", bomb.getvalue()),
            ("more than 50000", csv_file(["number"], *[["N1"]] * 60000)),
            ("password", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100),
            ("not a spreadsheet", b"%PDF-1.7"),
            ("not a spreadsheet", b"\x89PNG\r\n\x1a\n\0\0"),
            ("not a spreadsheet", other.getvalue()),
            ("damaged", good[:-200]),
            ("damaged", b"PK\x03\x04" + b"1" * 50),
            ("UTF-8", "number,mteja\nN1,Zaïna\x81\n".encode("latin-1")),
        ):
            with self.subTest(part, size=len(data or b"")):
                self.assertUnreadable(data, part)
        self.assertFalse(self._numbers())
        self.assertVerdicts(self._preview(good), ("skip", "no invoice"))

    def test_other_writings_of_csv(self):
        rows = (["Namba", "Ref"], ["N1", "S-0042"])
        for data in (
            csv_file(*rows, delimiter=";"),
            csv_file(*rows, delimiter="\t"),
            b"\xef\xbb\xbf" + csv_file(*rows),
            csv_file(*rows).decode().encode("utf-16"),
            b'"Namba","Ref"\r\n="N1",S-0042\r\n'.replace(b'="N1"', b'"=""N1"""'),
        ):
            with self.subTest(data[:20]):
                wizard = self._preview(data)
                self.assertVerdicts(wizard, ("new", ""))
                self.assertEqual(wizard.line_ids.name, "N1")

    def test_closing_an_imported_number_says_what_it_does_not_do(self):
        move = self._invoice(5000)
        self._preview(
            csv_file(["number", "invoice"], ["N1", move.name])
        ).action_import()
        number = move.billpay_number_id
        calls = self.sandbox.count_calls()
        move.button_cancel()
        self.assertEqual(number.state, "closed")
        self.assertIn("payers can still use", number.message_ids[:1].body)
        self._sync()
        self.assertEqual(self.sandbox.count_calls(), calls)
        row = self._type("N1", amount=5000)
        self.assertBooked(row, 5000)
        self.assertTrue(row.attention)

    def test_exact_number_from_elsewhere_is_replaced_when_another_amount_is_due(self):
        """ClickPesa is not told of it, so phones go on to take the old amount."""
        move = self._invoice(5000)
        self._preview(
            csv_file(
                ["number", "invoice", "amount", "mode"],
                ["N1", move.name, "5000", "exact"],
            )
        ).action_import()
        imported = move.billpay_number_id
        move.invoice_date_due = "2026-12-31"
        self.assertEqual(imported.state, "open")
        lines = (move | self._invoice(2000, move_type="out_refund")).line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        lines.reconcile()
        self.assertEqual((imported.state, imported.amount), ("closed", 5000))
        number = move.billpay_number_id
        self.assertRecordValues(
            number, [{"amount": 3000, "origin": "api", "predecessor_id": imported.id}]
        )

    def test_only_accountants_import(self):
        with self.assertRaises(AccessError):
            self._wizard(b"number\nN1", user=self.auditor)

    def test_other_companies_are_out_of_reach(self):
        foreign = self.setup_other_company(name="Duka la Pili")["company"]
        provider = self._make_application(foreign)
        self.env["res.partner"].create(
            {"name": "Pili", "ref": "P-1", "company_id": foreign.id}
        )
        with self.assertRaises(AccessError):
            self._preview(b"number\nN1", application=str(provider.id))
        wizard = self._preview(csv_file(["number", "ref"], ["N1", "P-1"]))
        self.assertVerdicts(wizard, ("skip", "No customer"))


@tagged("post_install", "-at_install")
class TestSheets(BaseCase):
    """Files that are small, and large to read."""

    def _sheet(self, *rows):
        """Return a workbook of rows as they stand in its file."""
        source = zipfile.ZipFile(io.BytesIO(xlsx(["Control number"])))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as book:
            for file in source.infolist():
                content = source.read(file)
                if file.filename == "xl/worksheets/sheet1.xml":
                    text = (
                        '<worksheet xmlns="http://schemas.openxmlformats.org/'
                        'spreadsheetml/2006/main"><sheetData>%s</sheetData></worksheet>'
                    )
                    content = (text % "".join(rows)).encode()
                book.writestr(file.filename, content)
        return buffer.getvalue()

    def _cells(self, row, *columns):
        cells = "".join(f'<c r="{c}{row}"><v>7</v></c>' for c in columns)
        return f'<row r="{row}">{cells}</row>'

    def _read(self, data):
        return [row for sheet in files.read(data).sheets for row in sheet.rows]

    def assertRefused(self, data, code):
        with self.assertRaises(FileError) as caught:
            self._read(data)
        self.assertEqual(caught.exception.code, code)

    def test_rows_count_wherever_their_cell_is(self):
        for column in ("B", "GS", "XFD"):
            with self.subTest(column):
                rows = [self._cells(row, column) for row in range(1, 101)]
                self.assertEqual(len(self._read(self._sheet(*rows))), 100)
        far = "\n".join(["number", *["," * 300 + "x"] * 100])
        self.assertEqual(len(self._read(far.encode())), 101)

    def test_few_bytes_are_not_much_work(self):
        corner = self._cells(1048576, "XFD")
        rows = self._read(self._sheet(self._cells(1, "A", "C"), corner))
        self.assertEqual(rows, [(1, ["7", "", "7"]), (1048576, [])])
        with patch.object(files, "MAX_CELLS", 1000):
            many = ['<row r="%d"/>' % row for row in range(1, 1100)]
            self.assertRefused(self._sheet(*many), "too_many_cells")
            wide = [self._cells(1, *["A"] * 1100)]
            self.assertRefused(self._sheet(*wide), "too_many_cells")
            texts = xlsx(*[[f"text {row}"] for row in range(1100)])
            self.assertRefused(texts, "too_many_cells")

    def test_gaps_and_their_numbers_stay(self):
        rows = self._read(self._sheet(self._cells(2, "A"), self._cells(9, "B")))
        self.assertEqual(rows, [(2, ["7"]), (9, ["", "7"])])

    def test_any_text_may_name_a_sheet(self):
        for title, expected in (
            ("Term 1/2026", "Term 1 2026"),
            ("[a]:b*c?d\\e\nf", "a b c d e f"),
            ("'quoted'", "quoted"),
            ("History", "Sheet1"),
            ("///", "Sheet1"),
            ("x" * 40, "x" * 31),
        ):
            with self.subTest(title):
                data = spreadsheet.write_xlsx(title, ["Name"], [["=1+1"]])
                book = openpyxl.load_workbook(io.BytesIO(data))
                self.assertEqual(book.sheetnames, [expected])
                self.assertEqual(book.active["A2"].data_type, "s")
