# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Payments of a spreadsheet go through the same ledger as ClickPesa's own word."""

from datetime import datetime, timedelta
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_billpay_number_import import ImportCommon, csv_file, xlsx

HEADER = ["ClickPesa ID", "Control number", "Amount", "Receipt", "Date"]


@tagged("post_install", "-at_install")
class TestImportPayments(ImportCommon):
    wizard_model = "billpay.payment.import"

    def _wizard(self, *args, **values):
        # As a person says who is asked.
        return super()._wizard(*args, **{"date_order": "dmy", **values})

    def _registered_invoice(self, *args, **values):
        move = super()._registered_invoice(*args, **values)
        # Files tell of payments of days that are long over.
        self._had_since(move.billpay_number_id.name, "2026-01-01 10:00:00")
        return move

    def _import(self, data):
        wizard = self._preview(data)
        wizard.action_import()
        self._process()
        return wizard

    def test_rows_are_booked_like_any_payment(self):
        first, second = self._registered_invoice(150000), self._registered_invoice(7000)
        names = [move.billpay_number_id.name for move in (first, second)]
        wizard = self._import(
            xlsx(
                ["Tarehe", "Kiasi", "Namba", "Risiti", "id", "Hali", "Simu", "Sarafu"],
                [datetime(2026, 3, 2, 1, 30), 150000.0, names[0], "R0001", None]
                + ["Success", 255712345678, "TZS"],
                ["02/03/2026 14:00", "7,000", names[1], None, "X1LCP99", None, None],
            )
        )
        self.assertEqual(wizard.made_count, 2)
        rows = self._rows().sorted("id")
        self.assertRecordValues(
            rows,
            [
                {
                    "reference": "RECEIPT/R0001",
                    "provisional": True,
                    "payer_phone": "255712345678",
                    "entered_how": "import",
                    "confirmed_by_id": self.clerk.id,
                    # Half past one at night in Dar es Salaam.
                    "paid_at": datetime(2026, 3, 1, 22, 30),
                },
                {
                    "reference": "X1LCP99",
                    "provisional": False,
                    "payer_phone": "",
                    "entered_how": "import",
                    "confirmed_by_id": self.clerk.id,
                    "paid_at": datetime(2026, 3, 2, 11, 0),
                },
            ],
        )
        self.assertBooked(rows[0], 150000)
        self.assertBooked(rows[1], 7000)
        self.assertEqual(str(rows[0].account_payment_ids.date), "2026-03-02")
        self.assertEqual((first | second).mapped("amount_residual"), [0, 0])
        self.assertIn(self.clerk.name, "".join(rows[0].message_ids.mapped("body")))

    def _told_of(self, given_out, told):
        """Import a payment of an invoice whose digits were given out at a moment."""
        move = self._registered_invoice(5000)
        number = move.billpay_number_id.sudo()
        number.digits_at = given_out
        known = self._rows()
        line = ["", number.name, "5000", f"RD{number.id}X9", told]
        self._import(csv_file(HEADER, line))
        return self._rows() - known

    def test_files_tell_the_day_or_the_minute_only(self):
        for given_out, told in (
            # In Dar es Salaam it is three hours later than in these.
            (datetime(2026, 3, 2, 9, 0), "2026-03-02"),
            (datetime(2026, 3, 2, 20, 59), "02/03/2026"),
            (datetime(2026, 3, 1, 21, 5), "2026-03-02"),
            (datetime(2026, 3, 2, 9, 0), "46083"),
            (datetime(2026, 3, 2, 9, 30, 50), "02/03/2026 12:30"),
            (datetime(2026, 3, 2, 9, 30, 50), "2026-03-02T09:30:00Z"),
        ):
            with self.subTest(given_out=given_out, told=told):
                self.assertBooked(self._told_of(given_out, told), 5000)

    def test_what_files_date_before_the_digits_is_held(self):
        for given_out, told in (
            (datetime(2026, 3, 2, 21, 5), "2026-03-02"),
            (datetime(2026, 3, 3, 9, 0), "02/03/2026"),
            (datetime(2026, 3, 2, 9, 32), "02/03/2026 12:30"),
            (datetime(2026, 3, 2, 9, 31, 50), "02/03/2026 12:30:40"),
        ):
            with self.subTest(given_out=given_out, told=told):
                row = self._told_of(given_out, told)
                self.assertEqual(row.state, "unmatched")
                self.assertIn("before Odoo gave out", row.reason)
                self.assertFalse(row.account_payment_ids)

    def test_what_is_here_already_is_never_made_twice(self):
        move = self._registered_invoice(150000)
        number = move.billpay_number_id.name
        payment = self._pay(number, 150000)
        self._poll()
        self._process()
        data = csv_file(
            HEADER,
            [
                payment["id"],
                number,
                "150000",
                payment["paymentReference"],
                "2026-03-02",
            ],
            ["", number, "150000", payment["paymentReference"].lower(), "2026-03-02"],
            ["", number, "150001", payment["paymentReference"], "2026-03-02"],
        )
        wizard = self._preview(data)
        self.assertVerdicts(
            wizard,
            ("known", "already"),
            ("skip", "row 2"),
            ("contradicts", "compare the amounts"),
        )
        with self.assertRaises(UserError):
            wizard.action_import()
        self.assertEqual(len(self._rows()), 1)
        self.assertBooked(self._ledger(payment), 150000)

    def test_imported_twice_is_booked_once(self):
        move = self._registered_invoice(150000)
        data = csv_file(
            HEADER, ["", move.billpay_number_id.name, "150000", "R0001", "2026-03-02"]
        )
        first, second = self._preview(data), self._preview(data)
        first.action_import()
        with self.assertRaises(UserError):
            second.action_import()
        self._process()
        self.assertEqual(len(self._rows()), 1)
        self.assertBooked(self._rows(), 150000)

    def test_id_completes_what_was_typed_from_a_receipt(self):
        move = self._registered_invoice(150000)
        number = move.billpay_number_id.name
        payment = self._pay(number, 150000)
        typed = self._type(number, receipt=payment["paymentReference"])
        wizard = self._preview(
            csv_file(
                HEADER,
                [payment["id"], number, "150000", payment["paymentReference"]]
                + ["2026-03-02"],
            )
        )
        self.assertVerdicts(wizard, ("new", "gets its ClickPesa ID"))
        wizard.action_import()
        self._process()
        self.assertEqual(self._rows(), typed)
        self.assertEqual(typed.reference, payment["id"])
        self._poll()
        self._process()
        self.assertEqual(self._rows(), typed)
        self.assertBooked(typed, 150000)

    def test_clickpesa_tells_later_of_what_was_imported(self):
        move = self._registered_invoice(150000)
        number = move.billpay_number_id.name
        payment = self._pay(number, 150000)
        self._import(
            csv_file(
                HEADER,
                ["", number, "150000", payment["paymentReference"], "2026-03-02"],
            )
        )
        self._event(payment)
        self._poll()
        self._process()
        self.assertEqual(self._rows(), self._ledger(payment))
        self.assertBooked(self._rows(), 150000)

    def test_payment_and_its_reversal_in_one_file_wait_for_a_person(self):
        """Neither is booked by itself, in whichever way the file takes money back."""
        day = "2026-03-02"
        for name, money, back in (
            (
                "status",
                ["LCP1", 5000, "RA001", ""],
                ["LCP1", 5000, "RA001", "REVERSED"],
            ),
            ("words", ["", 5000, "RA002", "Paid"], ["", 5000, "r-a002", "Refunded"]),
            (
                "charges",
                ["", 5000, "RA003", ""],
                ["", 5000, "RA003", "Reverse with charges"],
            ),
            ("minus", ["", "5 000", "RA004", ""], ["", "-5 000", "RA004", ""]),
            ("brackets", ["", 5000, "RA005", ""], ["", "(5 000)", "RA005", "Success"]),
            ("own receipt", ["", 5000, "RA006", ""], ["", "-5000", "RB006", ""]),
            ("part", ["", 5000, "RA007", ""], ["", "-2000", "RA007", ""]),
            (
                "Swahili",
                ["", 5000, "RA008", "Imelipwa"],
                ["", 5000, "RA008", "Imerudishwa"],
            ),
        ):
            for first in (True, False):
                with self.subTest(name, money_first=first):
                    move = self._invoice(5000)
                    number = move.billpay_number_id.sudo()
                    self._make_known(number)
                    self._had_since(number.name, "2026-01-01 10:00:00")
                    lines = [
                        [f"{cells[0]}X{first:d}" if cells[0] else "", number.name]
                        + [str(cells[1]), f"{cells[2]}{first:d}", day, cells[3]]
                        for cells in (money, back)
                    ]
                    # A payment beside the pair is booked as ever.
                    other = self._invoice(700)
                    theirs = other.billpay_number_id.sudo()
                    self._make_known(theirs)
                    self._had_since(theirs.name, "2026-01-01 10:00:00")
                    lines.append(
                        ["", theirs.name, "700", f"OK{name[:2]}99{first:d}", day, ""]
                    )
                    known = self._rows()
                    wizard = self._import(
                        csv_file(
                            [*HEADER, "Status"], *(lines if first else lines[::-1])
                        )
                    )
                    verdicts = wizard.line_ids.sorted("row").mapped("verdict")
                    wanted = ["done", "unusable", "done"]
                    self.assertEqual(verdicts, wanted if first else wanted[::-1])
                    held = (self._rows() - known).filtered(lambda r: r.amount == 5000)
                    self.assertEqual(len(held), 1)
                    self.assertEqual(held.state, "unmatched", held.reason)
                    self.assertIn("takes this money back", held.reason)
                    self.assertFalse(held.account_payment_ids)
                    self.assertEqual(move.amount_residual, 5000)
                    self.assertEqual(other.amount_residual, 0)
                    # A later run of the worker changes nothing.
                    self._process()
                    self.assertEqual(held.state, "unmatched")

    def test_file_takes_back_what_is_booked(self):
        """With both rows or with the reversal alone: ClickPesa is asked."""
        for both in (True, False):
            for word, amount, stays in (
                ("REVERSED", "-5000", False),
                ("Refunded", "5000", False),
                ("", "-5000", False),
                # ClickPesa knows nothing of it: the file was wrong.
                ("REVERSED", "-5000", True),
                ("", "(5000)", True),
            ):
                for named in ("id", "receipt"):
                    with self.subTest(both=both, word=word, stays=stays, named=named):
                        move = self._registered_invoice(5000)
                        number = move.billpay_number_id.name
                        payment = self._pay(number, 5000)
                        self._poll()
                        self._process()
                        row = self._ledger(payment)
                        self.assertBooked(row, 5000)
                        before = self._rows()
                        if not stays:
                            self.sandbox.set_status(payment["id"], "REVERSED")
                        name = payment["id"] if named == "id" else ""
                        lines = [
                            [name, number, money, row.receipt, "2026-03-02", status]
                            for money, status in (("5000", "SETTLED"), (amount, word))
                        ]
                        wizard = self._preview(
                            csv_file([*HEADER, "Status"], *lines[0 if both else 1 :])
                        )
                        back = wizard.line_ids.sorted("row")[-1]
                        self.assertEqual(back.verdict, "unusable")
                        self.assertIn("ClickPesa is asked", back.reason)
                        wizard.action_import()
                        self.assertTrue(row.attention)
                        self.assertIn("imported file", row.reason)
                        self.assertBooked(row, 5000)
                        self._process()
                        self.assertEqual(self._rows(), before)
                        if stays:
                            self.assertBooked(row, 5000)
                            self.assertFalse(row.attention, row.reason)
                            self.assertFalse(row.reason)
                            self.assertEqual(move.amount_residual, 0)
                        else:
                            self.assertEqual(row.state, "reversed")
                            self.assertEqual(row.status, "REVERSED")
                            self.assertEqual(move.amount_residual, 5000)
                            self.assertEqual(move.payment_state, "not_paid")
                            entry = row.account_payment_ids.move_id
                            mirror = entry.reversal_move_ids
                            self.assertEqual(mirror.mapped("state"), ["posted"])
                            self.assertNotIn("imported file", row.reason or "")

    def test_reversal_without_its_payment_is_left_out(self):
        wizard = self._preview(
            csv_file(
                [*HEADER, "Status"],
                ["", "1122", "-5000", "RC001", "2026-03-02", ""],
                ["", "1122", "5000", "RC002", "2026-03-02", "REVERSED"],
                ["", "1122", "(5000", "RC003", "2026-03-02", ""],
            )
        )
        self.assertVerdicts(
            wizard,
            ("skip", "takes money back"),
            ("skip", "takes money back"),
            ("skip", "not an amount"),
        )

    def test_rows_that_cannot_be_right_say_why(self):
        tomorrow = (datetime.now() + timedelta(days=2)).strftime("%Y-%m-%d")
        wizard = self._preview(
            csv_file(
                [*HEADER, "Currency", "Status"],
                ["", "1122", "5", "", "2026-03-02", "", ""],
                ["", "1122", "5", "cash", "2026-03-02", "", ""],
                ["1.1E+13", "1122", "5", "R1", "2026-03-02", "", ""],
                ["", "1122", "0", "R0004", "2026-03-02", "", ""],
                ["", "1122", "", "R0005", "2026-03-02", "", ""],
                ["", "1122", "5.000", "R0006", "2026-03-02", "", ""],
                ["", "1122", "5", "R0007", "", "", ""],
                ["", "1122", "5", "R0008", "13/14/2026", "", ""],
                ["", "1122", "5", "R0009", tomorrow, "", ""],
                ["", "1122", "5", "R0010", "2026-03-02", "USD", ""],
                ["", "1122", "5", "R0011", "2026-03-02", "", "FAILED"],
                ["", "1122", "5", "R0012", "2026-03-02", "", "PENDING"],
                ["RECEIPT/9", "1122", "5", "R0013", "2026-03-02", "", ""],
                ["", "1122", "5", "R0014", "2026-03-02T09:00:00Z", "tzs", "settled"],
            )
        )
        self.assertVerdicts(
            wizard,
            ("skip", "Neither"),
            ("skip", "no receipt"),
            ("skip", "lost digits"),
            ("skip", "above zero"),
            ("skip", "above zero"),
            ("skip", "not an amount"),
            ("skip", "no date"),
            ("skip", "not a date"),
            ("skip", "future"),
            ("skip", "not USD"),
            ("skip", "FAILED"),
            ("skip", "PENDING"),
            ("skip", "no ClickPesa ID"),
            ("new", "Unmatched"),
        )
        wizard.action_import()
        self._process()
        row = self._rows()
        self.assertRecordValues(
            row,
            [
                {
                    "state": "unmatched",
                    "status": "SETTLED",
                    "paid_at": datetime(2026, 3, 2, 9, 0),
                }
            ],
        )

    def test_payments_before_go_live_are_imported_and_not_booked(self):
        self.provider.sudo().billpay_book_from = "2026-03-02 00:00:00"
        number = self._registered_invoice(5000).billpay_number_id.name
        wizard = self._preview(
            csv_file(
                HEADER,
                ["", number, "2000", "R0001", "2026-03-01"],
                ["", number, "3000", "R0002", "2026-03-03"],
            )
        )
        self.assertVerdicts(wizard, ("new", "Before Go-Live"), ("new", ""))
        wizard.action_import()
        self._process()
        early, later = self._rows().sorted("paid_at")
        self.assertRecordValues(
            early, [{"state": "unmatched", "is_early": True, "amount": 2000}]
        )
        self.assertFalse(early.account_payment_ids)
        self.assertBooked(later, 3000)

    @mute_logger("odoo.addons.billpay_odoo")
    def test_one_row_that_cannot_be_stored_stops_only_itself(self):
        number = self._registered_invoice(5000).billpay_number_id.name
        wizard = self._preview(
            csv_file(
                HEADER,
                ["", number, "2000", "R0001", "2026-03-02"],
                ["", number, "3000", "R0002", "2026-03-02"],
            )
        )
        model = self.env.registry["billpay.ledger"]
        insert = model._insert_told

        def fails(payments, vals_list):
            if "R0001" in [vals["receipt"] for vals in vals_list]:
                raise RuntimeError("disk")
            return insert(payments, vals_list)

        with patch.object(model, "_insert_told", fails):
            wizard.action_import()
        self.assertEqual(wizard.made_count, 1)
        self.assertVerdicts(wizard, ("skip", "could not be stored"), ("done", ""))
        self._process()
        self.assertBooked(self._rows(), 3000)

    def test_clerks_only_and_their_company_only(self):
        with self.assertRaises(AccessError):
            self._wizard(b"amount,date\n1,2", user=self.auditor)
        foreign = self._make_application(
            self.setup_other_company(name="Duka la Pili")["company"]
        )
        with self.assertRaises(AccessError):
            self._preview(b"amount,date\n1,2", application=str(foreign.id))

    def test_template_is_understood(self):
        wizard = self._wizard()
        header = self._workbook(wizard, wizard.action_template())[0]
        filled = self._preview(
            xlsx(header, ["", "1122", 5, "", "R0001", "", "", "", "2026-03-02"])
        )
        self.assertFalse(filled.ignored_columns)
        self.assertVerdicts(filled, ("new", "Unmatched"))

    def _imported_as(self, name, payment):
        return csv_file(
            HEADER,
            [name, payment["orderReference"], "150000", payment["paymentReference"]]
            + ["2026-03-02"],
        )

    def test_wrong_id_makes_no_second_payment_of_a_receipt(self):
        move = self._registered_invoice(150000)
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll()
        self._process()
        wizard = self._preview(self._imported_as("OPERATOR123", payment))
        self.assertVerdicts(wizard, ("known", "already"))
        with self.assertRaises(UserError):
            wizard.action_import()
        self.assertEqual(self._rows(), self._ledger(payment))

    def test_receipt_that_was_imported_under_a_wrong_id_is_booked_once(self):
        move = self._registered_invoice(150000)
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._import(self._imported_as("OPERATOR123", payment))
        imported = self._rows()
        self.assertBooked(imported, 150000)
        self._poll()
        self._process()
        told = self._ledger(payment)
        self.assertEqual(told.state, "unmatched")
        self.assertIn("OPERATOR123", told.reason)
        # It stays with the person, however often it is looked at.
        self._poll()
        self._process()
        self.assertEqual(told.state, "unmatched")
        self.assertFalse(told.account_payment_ids)
        # A person says that it is another payment after all.
        self.env["billpay.decision"]._match_by_hand(told, [], self.partner)
        self.assertBooked(told, 150000)

    def test_wrong_id_and_clickpesas_word_in_one_batch(self):
        move = self._registered_invoice(150000)
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._preview(self._imported_as("OPERATOR123", payment)).action_import()
        self._poll()
        self._process()
        told = self._ledger(payment)
        self.assertBooked(told, 150000)
        self.assertEqual((self._rows() - told).state, "unmatched")
        self.assertEqual(len(self._rows().account_payment_ids), 1)

    def test_one_receipt_and_amount_under_two_ids_of_clickpesa_waits(self):
        for same_number in (True, False):
            for together in (True, False):
                with self.subTest(same_number=same_number, together=together):
                    self.sandbox.reset()
                    before = self._rows()
                    number = (
                        self.env["billpay.control.number"]
                        ._reserve(
                            self.provider.sudo(),
                            [{"kind": "customer", "partner_id": self.partner.id}],
                        )
                        .name
                    )
                    self._sync()
                    first = self._pay(number, 150000)
                    if not together:
                        self._poll()
                        self._process()
                    if not same_number:
                        other = self._registered_invoice(150000)
                        number = other.billpay_number_id.name
                    second = self._pay(number, 150000)
                    with self.sandbox.store.transaction() as gateway:
                        gateway.execute(
                            "UPDATE payment SET receipt = ? WHERE id = ?",
                            (first["paymentReference"], second["id"]),
                        )
                    for _turn in range(2):
                        self._poll()
                        self._process()
                    rows = self._rows() - before
                    self.assertEqual(len(rows), 2)
                    held = rows.filtered(lambda row: row.state == "unmatched")
                    self.assertEqual(len(held), 1)
                    self.assertIn(held, held.search(held._todo_domain()))
                    self.assertIn((rows - held).reference, held.reason)
                    self.assertBooked(rows - held, 150000)
                    self.assertFalse(held.account_payment_ids)
                    # A person says that it is another payment.
                    self.env["billpay.decision"]._match_by_hand(held, [], self.partner)
                    self.assertBooked(held, 150000)

    def test_statement_whose_transaction_id_is_the_receipt(self):
        """Operators' statements call the receipt a transaction id."""
        spellings = (str, str.lower, "No. {}".format, "{}.".format)
        for first in ("told", "statement", "typed"):
            for spelled in spellings:
                self.sandbox.reset()
                before = self._rows()
                move = self._registered_invoice(150000)
                number = move.billpay_number_id.name
                payment = self._pay(number, 150000)
                name = spelled(payment["paymentReference"])
                if "No" in name:
                    name = payment["paymentReference"] + "."
                statement = csv_file(
                    ["Transaction ID", "Control number", "Amount", "Date"],
                    [name, number, "150000", "2026-03-02"],
                )
                with self.subTest(first=first, name=name):
                    if first == "told":
                        self._poll()
                        self._process()
                        self.assertVerdicts(
                            self._preview(statement), ("known", "already")
                        )
                    elif first == "typed":
                        self._type(number, receipt=payment["paymentReference"])
                        self.assertVerdicts(
                            self._preview(statement), ("known", "already")
                        )
                    else:
                        self._import(statement)
                    self._poll()
                    self._process()
                    row = self._rows() - before
                    self.assertBooked(row, 150000)
                    self.assertEqual(row.reference, payment["id"])
                    self.assertEqual(row.receipt, payment["paymentReference"])
                    self.assertEqual(move.amount_residual, 0)
                    self.assertEqual(len(move.billpay_payment_ids), 1)

    def test_id_of_clickpesa_typed_as_the_receipt(self):
        for told_first in (True, False):
            with self.subTest(told_first=told_first):
                self.sandbox.reset()
                before = self._rows()
                move = self._registered_invoice(150000)
                payment = self._pay(move.billpay_number_id.name, 150000)
                if told_first:
                    self._poll()
                    self._process()
                self._entry(
                    number=move.billpay_number, receipt=payment["id"]
                ).action_enter()
                self._process()
                self._poll()
                self._process()
                row = self._rows() - before
                self.assertBooked(row, 150000)
                self.assertEqual(row.reference, payment["id"])
                self.assertEqual(move.amount_residual, 0)
