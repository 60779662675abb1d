# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Files as they really come, through the imports: see tests/files/make.py.

Each file of the corpus is chosen, mapped, checked and started as a person would, and
what becomes of it is held against what stands beside it.
"""

import base64
import json
from datetime import datetime
from pathlib import Path

from odoo import Command, fields
from odoo.tests import tagged

from ..identity import mobile_phone, number_key, receipt_key
from .test_billpay_receipt import ManualCommon
from .test_billpay_run import RunCommon

CORPUS = Path(__file__).resolve().parents[2] / "tests/files"
WIZARDS = {
    "run": "billpay.run.wizard",
    "numbers": "billpay.number.import",
    "payments": "billpay.payment.import",
}
# Rows of these verdicts are not imported as they stand.
LEFT_OUT = ("looks_like", "contradicts", "same_as", "unusable")


def corpus():
    """Yield ``(file, what must become of it)``."""
    for path in sorted(CORPUS.rglob("*.json")):
        yield path.with_suffix(""), json.loads(path.read_text("utf-8"))


@tagged("post_install", "-at_install")
class TestFiles(RunCommon, ManualCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.billpay_issue_on = "manual"

    # === WHAT IS HERE BEFORE === #

    def _prepare_here(self, here):
        self.here = {}
        for values in here.get("contacts", ()):
            parent = self.here.get(values.get("parent"))
            self._contact(**{**values, "parent_id": parent and parent.id})
        for values in here.get("numbers", ()):
            partner = self._contact(values["contact"])
            self._customer_number(values["number"], partner)
        for values in here.get("invoices", ()):
            partner = self._contact(values["contact"])
            self._invoice(values["amount"], partner=partner, name=values["name"])
        for values in here.get("payments", ()):
            entry = ManualCommon._entry(
                self, **values, paid_at=datetime(2025, 3, 1, 9, 0)
            )
            entry.action_enter()
            self._process()
        self.assertEqual(set(self._rows().mapped("state")) - {"posted"}, set())

    def _contact(self, name, parent=None, **values):
        contact = self.env["res.partner"].create({"name": name, **values})
        self.here[name] = contact
        return contact

    def _customer_number(self, name, partner):
        self.env["billpay.control.number"].sudo().create(
            {
                "name": name,
                "kind": "customer",
                "origin": "imported",
                "state": "open",
                "provider_id": self.provider.id,
                "partner_id": partner.id,
                "currency_id": self.env.ref("base.TZS").id,
                "purpose_id": self.tuition.id,
                "known_active": True,
                "confirmed_at": fields.Datetime.now(),
            }
        )
        self._had_since(name, "2025-01-01 10:00:00")

    # === AS A PERSON DOES IT === #

    def _import(self, path, expected):
        """Choose a file, map its columns as the guess says or a person, and check."""
        wizard = self.env[WIZARDS[expected["import"]]].with_company(self.company)
        values = {
            "file": base64.b64encode(path.read_bytes()),
            "filename": path.name,
        }
        if expected["import"] == "run":
            values |= {
                "source": "sheet",
                "purpose_ids": [Command.set(self.tuition.ids)],
            }
        else:
            values["application"] = str(self.provider.id)
            wizard = wizard.with_user(self.clerk)
        wizard = wizard.create(values)
        wizard.action_preview()
        if sheet := expected.get("sheet"):
            self.assertEqual(wizard.sheet_id.name, sheet)
        columns = {column.heading: column for column in wizard.column_ids}
        # A column with nothing in it, heading included, is not shown.
        self.assertEqual(columns.keys(), expected["mapping"].keys())
        asked = [heading for heading, c in columns.items() if not c.meaning]
        self.assertEqual(sorted(asked), sorted(expected["asks"]))
        for heading, field in expected["mapping"].items():
            if heading not in asked:
                meaning = columns[heading].meaning
                self.assertEqual(meaning, field or "ignore", heading)
        for heading, field in expected.get("choose", {}).items():
            columns[heading].meaning = field
        return wizard

    def _check(self, wizard, expected):
        """Let the rows be checked, and return their lines by row."""
        if wizard._name == "billpay.run.wizard":
            run = self.env["billpay.run"].browse(wizard.action_prepare()["res_id"])
            return run, run.line_ids
        wizard.action_check()
        if order := expected.get("order"):
            self.assertTrue(wizard.asks_order)
            self.assertFalse(wizard.line_ids)
            wizard.date_order = order
            wizard.action_check()
        return wizard, wizard.line_ids

    def assertRows(self, lines, expected):
        """Each row's verdict, and that what is refused says why and what to type."""
        by_row = {line.row: line for line in lines}
        wanted = {row["row"]: row for row in expected["rows"]}
        self.assertEqual(by_row.keys(), wanted.keys())
        found = {number: line.verdict for number, line in by_row.items()}
        verdicts = {number: row["verdict"] for number, row in wanted.items()}
        texts = {number: line.reason for number, line in by_row.items()}
        self.assertEqual(found, verdicts, texts)
        for number, row in wanted.items():
            reason = by_row[number].reason or ""
            self.assertIn(row.get("words", ""), reason)
            if row["verdict"] in LEFT_OUT:
                self.assertTrue(reason.endswith("."), reason)
        return by_row

    # === WHAT BECOMES OF THE ROWS === #

    def _check_run(self, run, by_row, expected):
        before = self.env["res.partner"].search([])
        run.action_start()
        self._work()
        for row in expected["rows"]:
            line = by_row[row["row"]]
            partner = line.partner_id
            if row["verdict"] in LEFT_OUT:
                self.assertFalse(line.number_id, row)
                continue
            self.assertTrue(line.number_id, (row, line.reason))
            self.assertEqual(line.number_id.partner_id, partner)
            if row["verdict"] == "known":
                self.assertEqual(partner, self.here[row["contact"]], row)
                continue
            self.assertNotIn(partner, before, row)
            self._check_contact(partner, line, row)
        made = self.env["res.partner"].search([]) - before
        numbers = made.billpay_number_ids
        new = [row for row in expected["rows"] if row["verdict"] == "new"]
        self.assertEqual(len(numbers), len(new))

    def _check_contact(self, partner, line, row):
        family = partner | partner.parent_id
        if "name" in row:
            self.assertEqual(partner.name, row["name"])
        if "ref" in row:
            self.assertEqual(partner.ref, row["ref"])
        if "parent" in row:
            self.assertEqual(partner.parent_id.name, row["parent"])
        if "phone" in row:
            phones = [mobile_phone(one.phone) for one in family if one.phone]
            self.assertEqual(phones, [row["phone"]], row)
        if "email" in row:
            self.assertIn(row["email"], family.mapped("email"))
        if "amount" in row:
            self.assertEqual(line.number_id.amount, row["amount"])

    def _check_numbers(self, wizard, by_row, expected):
        wizard.action_import()
        for row in expected["rows"]:
            number = by_row[row["row"]].number_id
            if row["verdict"] in LEFT_OUT:
                self.assertFalse(number, row)
                continue
            if row["verdict"] == "known":
                self.assertFalse(number)
                continue
            self.assertEqual(number.partner_id, self.here[row["contact"]], row)
            self.assertEqual(number.move_id.name or "", row.get("invoice", ""))
            if "number" in row:
                self.assertEqual(number_key(number.name), row["number"])
            if "amount" in row:
                self.assertEqual(number.amount, row["amount"])

    def _check_payments(self, wizard, by_row, expected):
        before = self._rows()
        wizard.action_import()
        self._process()
        made, total = self._rows() - before, 0
        zone = self.company._billpay_tz()
        for row in expected["rows"]:
            payment = by_row[row["row"]].payment_id.sudo()
            if row["verdict"] in LEFT_OUT:
                self.assertFalse(payment, row)
                continue
            if row["verdict"] == "known":
                self.assertFalse(payment & made)
                continue
            total += row["amount"]
            self.assertIn(payment, made)
            self.assertEqual(payment.amount, row["amount"])
            if "paid_at" in row:
                moment = fields.Datetime.context_timestamp(
                    wizard.with_context(tz=str(zone)), payment.paid_at
                )
                self.assertEqual(moment.strftime("%Y-%m-%d %H:%M:%S"), row["paid_at"])
            if "receipt" in row:
                names = payment.receipt_key, payment.reference_key
                self.assertIn(receipt_key(row["receipt"]), names)
            self.assertEqual(payment.state, row.get("state", "posted"), payment.reason)
            if payment.state == "posted":
                number = payment.control_number_id
                self.assertEqual(number.name, row["number"])
                self.assertBooked(payment, row["amount"])
                self.assertEqual(payment.partner_id, number.partner_id)
        self.assertEqual(sum(made.mapped("amount")), total)

    def _test_file(self, path, expected):
        self._prepare_here(expected.get("here", {}))
        wizard = self._import(path, expected)
        made, lines = self._check(wizard, expected)
        by_row = self.assertRows(lines, expected)
        checks = {
            "run": self._check_run,
            "numbers": self._check_numbers,
            "payments": self._check_payments,
        }
        checks[expected["import"]](made, by_row, expected)


def _add_test(path, expected):
    def test(self):
        self._test_file(path, expected)

    name = "test_%s_%s" % (path.parent.name, path.name.replace(".", "_"))
    setattr(TestFiles, name, test)


for _path, _expected in corpus():
    _add_test(_path, _expected)
