# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The mapping step of the imports, long imports, doubtful rows, runs taken back."""

import base64
import io
import zipfile
from unittest.mock import patch

import openpyxl

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .. import files
from .test_billpay_number_import import ImportCommon, csv_file, xlsx
from .test_billpay_run import RunCommon


@tagged("post_install", "-at_install")
class TestMapping(ImportCommon):
    wizard_model = "billpay.payment.import"

    def _read(self, data, **values):
        wizard = self._wizard(data, **values)
        wizard.action_preview()
        return wizard, {c.heading: c for c in wizard.column_ids}

    def test_every_column_is_shown_with_samples_and_a_guess(self):
        wizard, columns = self._read(
            csv_file(
                ["Receipt", "Date", "Amount", "Teller", ""],
                ["RA0001", "2026-03-02", "5000", "Juma", ""],
                ["RA0002", "2026-03-03", "7000", "Juma", "x"],
            )
        )
        self.assertEqual(wizard.state, "map")
        self.assertEqual(columns["Receipt"].samples, "RA0001 · RA0002")
        self.assertEqual(
            [(c.heading, c.meaning) for c in wizard.column_ids],
            [
                ("Receipt", "receipt"),
                ("Date", "paid_at"),
                ("Amount", "amount"),
                ("Teller", "ignore"),
                ("", "ignore"),
            ],
        )
        wizard.action_check()
        self.assertEqual(wizard.ignored_columns, "Teller, column E")
        self.assertFalse(self._rows(), "nothing is written before Start")

    def test_two_candidates_are_chosen_by_a_person_once(self):
        data = csv_file(
            ["Receipt No.", "Completion Time", "Paid In", "Withdrawn", "Balance"],
            ["RA0001", "2026-03-02 10:00", "5000", "", "5000"],
            ["RA0002", "2026-03-02 10:01", "", "100", "4900"],
        )
        wizard, columns = self._read(data)
        self.assertFalse(columns["Paid In"].meaning)
        self.assertIn("Balance", columns["Paid In"].note)
        with self.assertRaisesRegex(UserError, "Choose what these columns are"):
            wizard.action_check()
        columns["Paid In"].meaning = columns["Balance"].meaning = "amount"
        with self.assertRaisesRegex(UserError, "Two columns are Amount: Paid In"):
            wizard.action_check()
        columns["Balance"].meaning = "ignore"
        wizard.action_check()
        self.assertVerdicts(
            wizard, ("new", "Unmatched"), ("unusable", "It pays money out")
        )
        # The next statement with these headings is known.
        wizard, columns = self._read(data)
        self.assertEqual(columns["Paid In"].meaning, "amount")
        self.assertEqual(columns["Balance"].meaning, "ignore")
        wizard.action_check()
        # What another company chose is its own.
        other = self.setup_other_company(name="Duka la Pili")["company"]
        self.assertFalse(
            self.env["billpay.import.mapping"].search([("company_id", "=", other.id)])
        )

    def test_a_column_that_tells_of_failures_is_not_dropped_without_a_word(self):
        rows = [["RA0001", "2026-03-02", "5000"], ["RA0002", "2026-03-02", "6000"]]
        for heading, words in (
            ("Reply of the operator", ["OK", "FAILED"]),
            ("Column1", ["", "Transaction declined"]),
            ("Maoni", ["", "Imerudishwa"]),
        ):
            with self.subTest(heading):
                wizard, columns = self._read(
                    csv_file(
                        ["Receipt", "Date", "Amount", heading],
                        *([*row, word] for row, word in zip(rows, words, strict=True)),
                    )
                )
                self.assertFalse(columns[heading].meaning)
                with self.assertRaisesRegex(UserError, heading):
                    wizard.action_check()
                columns[heading].meaning = "status"
                wizard.action_check()
                last = wizard.line_ids.sorted("row")[-1]
                self.assertEqual(last.verdict, "unusable", last.reason)

    def test_a_known_column_that_tells_of_failures_now_is_asked_for(self):
        heading = ["Receipt", "Date", "Amount", "Teller"]
        wizard, columns = self._read(
            csv_file(heading, ["RA0001", "2026-03-02", "5000", "Term one"])
        )
        self.assertEqual(columns["Teller"].meaning, "ignore")
        wizard.action_check()
        # The headings are known now, what stands below them is not.
        wizard, columns = self._read(
            csv_file(
                heading,
                ["RA0002", "2026-03-03", "6000", "Term one"],
                ["RA0003", "2026-03-03", "7000", "Transaction reversed"],
            )
        )
        self.assertFalse(columns["Teller"].meaning)
        self.assertEqual(columns["Amount"].meaning, "amount")
        with self.assertRaisesRegex(UserError, "Teller"):
            wizard.action_check()

    def test_details_that_tell_of_a_failure_are_not_booked(self):
        wizard, columns = self._read(
            csv_file(
                ["Receipt", "Date", "Amount", "Remarks"],
                ["RA0001", "2026-03-02", "5000", "Term one"],
                ["RA0002", "2026-03-02", "6000", "Transaction failed"],
            )
        )
        self.assertEqual(columns["Remarks"].meaning, "details")
        wizard.action_check()
        self.assertVerdicts(wizard, ("new", "Unmatched"), ("unusable", "failed"))

    def test_moments_that_cannot_be_are_told_of_the_row(self):
        wizard, _columns = self._read(
            csv_file(
                ["Receipt", "Date", "Amount"],
                ["RA0001", "2026-02-30 10:00:00", "5000"],
                ["RA0002", "2026-03-02 10:00:00", "6000"],
            )
        )
        wizard.action_check()
        self.assertVerdicts(wizard, ("unusable", "is not a date"), ("new", "Unmatched"))

    def test_days_that_can_be_read_in_two_ways_are_asked_for(self):
        data = csv_file(["Receipt", "Date", "Amount"], ["RA0001", "05/06/2026", "5000"])
        wizard, _columns = self._read(data)
        wizard.action_check()
        self.assertTrue(wizard.asks_order)
        self.assertEqual((wizard.state, len(wizard.line_ids)), ("map", 0))
        for order, month in (("dmy", 6), ("mdy", 5)):
            wizard.date_order = order
            wizard.action_check()
            self.assertEqual(wizard.line_ids.paid_at.month, month)

    def test_another_sheet_is_read(self):
        book = openpyxl.load_workbook(io.BytesIO(xlsx(["Notes"], ["of the bursar"])))
        for title, receipt in (("March", "RA0001"), ("April", "RB0001")):
            sheet = book.create_sheet(title)
            sheet.append(["Receipt", "Date", "Amount"])
            sheet.append([receipt, "2026-03-02", 5000])
        buffer = io.BytesIO()
        book.save(buffer)
        wizard, _columns = self._read(buffer.getvalue())
        self.assertEqual(wizard.sheet_ids.mapped("name"), ["Sheet", "March", "April"])
        self.assertEqual(wizard.sheet_id.name, "March")
        wizard.sheet_id = wizard.sheet_ids[2]
        wizard.action_preview()
        self.assertEqual(wizard.sheet_id.name, "April")
        wizard.action_check()
        self.assertEqual(wizard.line_ids.receipt, "RB0001")

    def test_a_refusal_names_column_value_and_what_to_type(self):
        wizard, _columns = self._read(
            csv_file(
                ["Receipt", "Tarehe", "Kiasi"],
                ["RA0001", "32/03/2026", "5000"],
                ["RA0002", "2026-03-02", "5.000"],
                ["1.1E+13", "2026-03-02", "5000"],
                ["RA0004", "25/03/2026", "5000"],
            )
        )
        wizard.action_check()
        self.assertVerdicts(
            wizard,
            ("unusable", "Tarehe: “32/03/2026” is not a date. Write it as 25/11/2026"),
            ("unusable", "Kiasi: “5.000” is not an amount. Write it as 150000"),
            ("unusable", "Receipt: “1.1E+13”: the sheet has lost digits. Format"),
            ("new", ""),
        )

    def test_many_rows_are_imported_one_chunk_after_the_other(self):
        number = self._registered_invoice(5000).billpay_number_id.name
        self._had_since(number, "2026-01-01 10:00:00")
        rows = [
            ["RA000%d" % row, number, "2026-03-02 10:00", str(100 * row)]
            for row in range(1, 6)
        ]
        wizard, _columns = self._read(
            csv_file(["Receipt", "Control number", "Date", "Amount"], *rows)
        )
        wizard.action_check()
        seen = []
        with patch.object(type(wizard), "_chunk", 2):
            while wizard.state != "done":
                wizard.action_import()
                seen.append((wizard.state, wizard.progress, len(self._rows())))
        self.assertEqual(
            seen, [("running", 40, 2), ("running", 80, 4), ("done", 100, 5)]
        )
        self.assertEqual(wizard.made_count, 5)
        # Pressed once more, nothing happens.
        wizard.action_import()
        self.assertEqual(len(self._rows()), 5)
        self._process()
        self.assertEqual(sum(self._rows().account_payment_ids.mapped("amount")), 1500)

    def test_charges_are_no_reversals_and_linked_reversals_are(self):
        """As the organisation portal of M-Pesa writes them."""
        head = ["Receipt No.", "Completion Time", "Details", "Paid In", "Withdrawn"]
        wizard, columns = self._read(
            csv_file(
                [*head, "Linked Transaction ID"],
                ["UA0000001X", "2026-03-02 10:00", "Pay Bill", "5000", "", ""],
                ["UA0000001X", "2026-03-02 10:00", "Pay Bill Charge", "", "50", ""],
                ["UA0000002X", "2026-03-02 10:05", "Pay Bill", "6000", "", ""],
                ["UB0000009X", "2026-03-02 11:00", "Reversal", "", "6000"]
                + ["UA0000002X"],
                ["UC0000003X", "2026-03-02 12:00", "Withdrawal", "", "9000", ""],
            )
        )
        columns["Paid In"].meaning = "amount"
        wizard.action_check()
        self.assertVerdicts(
            wizard,
            ("new", "Unmatched"),
            ("unusable", "pays money out"),
            ("new", "Row 5 takes this money back"),
            ("unusable", "takes back the payment in row 4"),
            ("unusable", "pays money out"),
        )
        wizard.action_import()
        self._process()
        rows = self._rows()
        self.assertEqual(len(rows), 2)
        self.assertFalse(rows.account_payment_ids)

    def test_columns_are_the_clerks_own(self):
        wizard, columns = self._read(
            csv_file(["Receipt", "Date", "Amount"], ["RA0001", "2026-03-02", "5"])
        )
        colleague = self._user("billpay_two", "account.group_account_invoice")
        for user in (colleague, self.auditor):
            with self.assertRaises(AccessError):
                columns["Amount"].with_user(user).meaning = "ignore"
        with self.assertRaises(AccessError):
            columns["Amount"].samples = "x"


@tagged("post_install", "-at_install")
class TestReaders(ImportCommon):
    wizard_model = "billpay.payment.import"

    def test_what_a_server_cannot_read_is_said(self):
        old = files._OLD_EXCEL + b"\0" * 600
        self.assertUnreadable(old, "password")
        with patch.object(files, "xlrd", None):
            self.assertUnreadable(old, "install the Python package xlrd")

    def test_delimiters_are_found_below_titles(self):
        for delimiter in ";\t|,":
            text = "\n".join(
                [
                    "Bank of Mbezi, branch 4; Kinondoni",
                    "",
                    delimiter.join(("Receipt", "Date", "Amount", "Name")),
                    delimiter.join(("RA0001", "2026-03-02", "5000", '"Ali, Juma"')),
                    delimiter.join(("RA0002", "2026-03-02", "7000", '"Ali; Asha"')),
                ]
            )
            for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
                with self.subTest(delimiter, encoding=encoding):
                    wizard = self._preview(text.encode(encoding))
                    self.assertEqual(wizard.line_ids.mapped("row"), [4, 5])
                    self.assertEqual(
                        wizard.line_ids.mapped("payer_name"), ["Ali, Juma", "Ali; Asha"]
                    )

    def _ods(self, rows):
        content = (
            '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:'
            'xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:'
            'table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">'
            "<office:body><office:spreadsheet>"
            f'<table:table table:name="One">{rows}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>"
        )
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as book:
            book.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
            book.writestr("content.xml", content)
        return buffer.getvalue()

    def test_repeated_cells_and_rows_of_ods(self):
        cell = "<table:table-cell%s><text:p>x</text:p></table:table-cell>"
        row = "<table:table-row%s>%s</table:table-row>"
        many = ' table:number-%s-repeated="1048576"'
        empty = row % (many % "rows", "<table:table-cell%s/>" % (many % "columns"))
        book = files.read(
            self._ods(row % ("", cell % "") + empty + row % ("", cell % ""))
        )
        self.assertEqual(list(book.sheets[0].rows), [(1, ["x"]), (1048578, ["x"])])
        wide = files.read(self._ods(row % ("", cell % (many % "columns"))))
        [(_number, texts)] = wide.sheets[0].rows
        self.assertEqual(len(texts), files.MAX_COLUMNS)
        bomb = files.read(self._ods(row % (many % "rows", cell % "")))
        with (
            patch.object(files, "MAX_CELLS", 10_000),
            self.assertRaises(files.FileError),
        ):
            list(bomb.sheets[0].rows)


@tagged("post_install", "-at_install")
class TestDoubtful(RunCommon):
    HEADER = ("Name", "Reference", "Phone")

    def setUp(self):
        super().setUp()
        self.asha.write({"phone": "0712 345 678", "ref": False})

    def _doubtful(self, *row):
        run = self._sheet(self.HEADER, row or ("Asha Mushi", "", "0755000111"))
        self.assertEqual(run.line_ids.verdict, "contradicts")
        self.assertEqual(run.line_ids.candidate_id, self.asha)
        self.assertFalse(run.line_ids.partner_id)
        return run

    def test_it_is_the_contact_that_it_looks_like(self):
        run = self._doubtful()
        clerk = self._user("billpay_one", "account.group_account_invoice")
        line = run.line_ids.with_user(clerk)
        line.with_context(allowed_company_ids=self.company.ids).action_same_contact()
        self.assertEqual((line.verdict, line.partner_id), ("known", self.asha))
        self.assertIn(clerk.name, line.reason)
        run.action_start()
        self._work()
        self.assertEqual(run.line_ids.number_id.partner_id, self.asha)

    def test_it_is_a_new_one(self):
        run = self._doubtful()
        run.line_ids.action_new_contact()
        run.action_start()
        self._work()
        made = run.line_ids.partner_id
        self.assertNotEqual(made, self.asha)
        self.assertEqual(run.line_ids.made_partner_ids, made)
        self.assertEqual(made.phone, "+255755000111")

    def test_two_of_one_reference_become_two(self):
        """Both rows got the first one's contact, and its money."""
        run = self._sheet(
            ("Name", "Reference", "Phone"),
            ("Happy Swai", "F-12", "0714600001"),
            ("Gaspar Swai", "F-12", "0714600001"),
        )
        self.assertEqual(run.line_ids.mapped("verdict"), ["contradicts"] * 2)
        run.line_ids.action_new_contact()
        run.action_start()
        self._work()
        lines = run.line_ids.sorted("row")
        self.assertEqual(lines.mapped("partner_id.name"), ["Happy Swai", "Gaspar Swai"])
        self.assertEqual(len(lines.number_id.partner_id), 2)

    def test_it_is_a_third_one(self):
        other = self._pupil("Asha M. Mushi")
        run = self._doubtful()
        clerk = self._user("billpay_one", "account.group_account_invoice")
        line = run.line_ids.with_user(clerk)
        line.with_context(allowed_company_ids=self.company.ids).partner_id = other
        self.assertEqual((line.state, line.partner_id), ("waiting", other))
        with self.assertRaises(UserError):
            line.partner_id = self.asha  # it is settled
        with self.assertRaises(AccessError):
            line.state = "reserved"

    def test_who_has_a_number_gets_no_second_one(self):
        self._sheet(("Name",), ("Asha Mushi",)).action_start()
        self._work()
        run = self._doubtful()
        run.line_ids.action_same_contact()
        self.assertEqual(run.line_ids.state, "problem")
        self.assertIn("Has the number", run.line_ids.reason)

    def test_nothing_is_chosen_after_the_start(self):
        run = self._sheet(
            self.HEADER,
            ("Asha Mushi", "", "0755000111"),
            ("Zuhura", "", "0755000222"),
        )
        doubtful = run.line_ids.filtered(lambda line: line.verdict == "contradicts")
        run.action_start()
        for act in (doubtful.action_same_contact, doubtful.action_new_contact):
            with self.assertRaises(UserError):
                act()

    def test_bad_optional_cells_cost_themselves(self):
        run = self._sheet(
            ("Name", "Phone", "Email"),
            ("Zuhura", "0712000001", "no mail"),
            ("Amani", "12", "amani@x.tz"),
            ("Baraka", "12", "none"),
            ("Salma", "0712000004", ""),
            ("Neema", "0712000005", "neema@x.tz"),
        )
        lines = run.line_ids.sorted("row")
        self.assertEqual(lines[:3].mapped("verdict"), ["new", "new", "unusable"])
        self.assertIn("Email: “no mail” is no e-mail address", lines[0].reason)
        self.assertIn("Phone: “12” is no Tanzanian mobile number", lines[1].reason)
        self.assertIn("Phone: “12” is no Tanzanian", lines[2].reason)

    def test_totals_and_statuses_are_no_pupils(self):
        run = self._sheet(
            ("Name", "Phone", "Hali"),
            ("Zuhura", "0712000001", "Hai"),
            ("Amani", "0712000002", "Amehama"),
            ("JUMLA", "0712000003", ""),
        )
        lines = run.line_ids.sorted("row")
        self.assertEqual(lines.mapped("verdict"), ["new", "unusable", "unusable"])
        self.assertIn("Hali: Its status is “Amehama”", lines[1].reason)
        self.assertIn("total", lines[2].reason)


@tagged("post_install", "-at_install")
class TestTakeBack(RunCommon):
    def test_unpaid_numbers_and_unused_contacts_go(self):
        run = self._sheet(
            ("Name", "Parent", "Phone"),
            ("Zuhura Ally", "Ally Hassan", "0712000001"),
            ("Amani Ally", "Ally Hassan", "0712000001"),
            ("Baraka Said", "Said Omari", "0712000002"),
            ("Asha Mushi", "Neema Mushi", "0712345678"),
        )
        run.action_start()
        self._work()
        lines = run.line_ids.sorted("row")
        zuhura, amani, baraka, asha = lines.partner_id
        paid = lines[0].number_id
        self._had_since(paid.name, "2026-01-01 10:00:00")
        self.env["billpay.payment"].sudo().create(
            {
                "provider_id": self.provider.id,
                "reference": "LCPBACK",
                "number": paid.name,
                "amount": 5000,
                "currency_id": self.env.ref("base.TZS").id,
                "currency_code": "TZS",
                "paid_at": "2026-03-01 10:00:00",
                "status": "SUCCESS",
                "state": "confirmed",
                "confirmed_at": "2026-03-01 10:00:00",
            }
        )
        self._process()
        context = {"active_model": "billpay.run", "active_id": run.id}
        wizard = self.env["billpay.run.undo"].with_context(**context).create({})
        self.assertEqual((wizard.number_count, wizard.paid_count), (3, 1))
        self.assertEqual((wizard.contact_count, wizard.used_count), (3, 2))
        wizard.action_take_back()
        self.assertEqual(paid.state, "open")
        self.assertEqual(set(lines[1:].number_id.mapped("state")), {"closed"})
        self.assertEqual(run.state, "cancelled")
        # Zuhura has paid, her parent has her; Asha was here before.
        kept = zuhura | zuhura.parent_id | asha | asha.parent_id
        self.assertEqual(set(kept.mapped("active")), {True})
        gone = amani | baraka | baraka.parent_id
        self.assertEqual(set(gone.mapped("active")), {False})

    def test_only_what_has_run_and_by_whom_may(self):
        run = self._sheet(("Name", "Phone"), ("Zuhura", "0712000001"))
        wizard = self.env["billpay.run.undo"].create({"run_id": run.id})
        with self.assertRaises(UserError):
            wizard.action_take_back()
        auditor = self._user("billpay_look", "account.group_account_readonly")
        with self.assertRaises(AccessError):
            self.env["billpay.run.undo"].with_user(auditor).create({"run_id": run.id})


@tagged("post_install", "-at_install")
class TestMappingOfLists(RunCommon):
    def test_first_and_last_names_are_one_name(self):
        run = self._sheet(
            ("First Name", "Surname", "Phone"), ("Zuhura", "Ally", "0712000001")
        )
        self.assertEqual(run.line_ids.new_name, "Zuhura Ally")

    def test_what_the_file_is_not(self):
        wizard = self._wizard(
            source="sheet",
            file=base64.b64encode(csv_file(["Kiasi", "Simu"], ["5", "0712000001"])),
            purpose_ids=[Command.set(self.tuition.ids)],
        )
        wizard.action_preview()
        with self.assertRaisesRegex(UserError, "no column Name; its columns are"):
            wizard.action_prepare()
        wizard.action_back()
        self.assertEqual((wizard.state, bool(wizard.file)), ("upload", True))
        self.assertFalse(wizard.column_ids)
