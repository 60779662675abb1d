# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Setting up an application, and taking the add-on away again."""

from unittest.mock import patch

from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import tagged
from odoo.tools import config

from .. import uninstall_hook
from .common import BASE_URL, BillPayCommon


@tagged("post_install", "-at_install")
class TestApplication(BillPayCommon):
    # === Settings === #

    def test_copy_of_an_application_asks_for_each_payment(self):
        self.provider.clickpesa_confirmation = "signature"
        copy = self.provider.copy()
        self.assertEqual(copy.clickpesa_confirmation, "query")
        self.assertFalse(copy.sudo().clickpesa_checksum_key)

    def test_blanks_around_pasted_settings_are_left_out(self):
        pasted = {
            "clickpesa_base_url": f" {BASE_URL} ",
            "clickpesa_client_id": "IDsandbox\n",
            "clickpesa_api_key": "\tSKsandbox ",
            "clickpesa_checksum_key": " CHKtest",
            "clickpesa_billpay_namba": " 1122",
        }
        stripped = {name: text.strip() for name, text in pasted.items()}
        self.provider.write(pasted)
        self.assertRecordValues(self.provider, [stripped])
        created = self.provider.create(
            {"name": "Second", "code": "clickpesa", **pasted}
        )
        self.assertRecordValues(created, [stripped])

    def test_address_that_cannot_work_is_refused(self):
        for address in (
            "api.clickpesa.com",
            "ftp://x.example",
            "https://a b.example",
            # Everybody on the way could read the API key.
            "http://api.clickpesa.com/third-parties",
            "http://41.59.0.1:8060",
            "http://localhost.example.com",
        ):
            with self.assertRaises(ValidationError) as caught:
                self.provider.clickpesa_base_url = address
            self.assertIn("https://", str(caught.exception))
        for address in ("http://127.0.0.1:8060/x", "http://192.168.1.9", BASE_URL):
            self.provider.clickpesa_base_url = address
        self.provider.write({"state": "disabled", "clickpesa_base_url": False})

    # === Companies === #

    def test_application_of_a_stranger_is_refused(self):
        stranger = self.setup_other_company(name="Duka la Neema")["company"]
        with self.assertRaises(ValidationError) as caught:
            stranger.billpay_provider_id = self.provider
        self.assertIn("wrong books", str(caught.exception))
        with self.assertRaises(ValidationError):
            self.provider.company_id = stranger

    def test_branch_uses_the_application_of_its_parent(self):
        self.company.write(
            {"child_ids": [Command.create({"name": "Duka la Asha, Mwanza"})]}
        )
        branch = self.company.child_ids
        self.cr.precommit.run()  # the chart of accounts of the branch
        self.env.user.company_ids |= branch
        branch.write(
            {"billpay_provider_id": self.provider.id, "billpay_issue_on": "post"}
        )
        move = self._invoice(5000, company_id=branch.id)
        number = move.billpay_number_ids
        self.assertEqual(number.provider_id, self.provider)
        self.assertEqual(number.company_id, branch)
        self._sync()
        self.assertEqual(number.state, "open")
        payment = self._pay(number.name, 5000)
        self._event(payment)
        self._process()
        self.assertBooked(self._ledger(payment), 5000)
        self.assertEqual(move.amount_residual, 0)

    def _moved_applications(self, other):
        """Applications that came to another company, each in another way."""
        values = {
            "state": "test",
            "clickpesa_client_id": "ID",
            "clickpesa_api_key": "K",
        }
        lines = self.env["account.payment.method.line"]
        [own] = self.provider._billpay_method_lines()
        bank = self.env["account.journal"].search(
            [("company_id", "=", other.id), ("type", "=", "bank")], limit=1
        )

        def copied(name, namba, **default):
            copy = self.provider.copy({"name": name, **default})
            copy.write({**values, "clickpesa_billpay_namba": namba})
            # Shown on a screen, as after every save.
            self.assertTrue(copy.journal_id)
            self.env.flush_all()
            return copy

        yield "copied", copied("First", "2201", company_id=other.id)
        # A line that payments of a journal long gone still refer to.
        lines.create(
            {
                "name": "Left over",
                "sequence": 0,
                "payment_method_id": own.payment_method_id.id,
                "payment_account_id": own.payment_account_id.id,
            }
        )
        yield "copied beside it", copied("Second", "2202", company_id=other.id)
        company_only = copied("Third", "2203")
        company_only.company_id = other
        yield "company changed", company_only
        both = copied("Fourth", "2204")
        both.write({"company_id": other.id, "journal_id": bank.id})
        yield "company and journal changed", both

    def test_application_of_another_company_books_there(self):
        """Its method line never keeps the first company's outstanding account."""
        other = self.setup_other_company(name="Gym", currency_id=self.tzs.id)["company"]
        self.env.user.company_ids |= other
        check = self.env["billpay.connection.test"]._check_books
        for count, (how, provider) in enumerate(self._moved_applications(other), 1):
            with self.subTest(how):
                [line] = provider._billpay_method_lines()
                self.assertEqual(line.journal_id.company_id, other)
                self.assertEqual(line.payment_account_id.company_ids, other)
                self.assertTrue(check(provider)[0])
                row = self.env["billpay.payment"].sudo()
                row = row.create(
                    {
                        "provider_id": provider.id,
                        "reference": "LCPMOVED%s" % count,
                        "receipt": "RCPTMOVED%s" % count,
                        "amount": 5000,
                        "currency_id": self.tzs.id,
                        "paid_at": "2026-03-05 10:00:00",
                        "status": "SUCCESS",
                        "state": "confirmed",
                        "confirmed_at": "2026-03-05 10:01:00",
                        "matched_partner_id": self.partner.id,
                    }
                )
                row.env["billpay.worker"]._post_due(row.ids)
                self.assertBooked(row, 5000)
                entry = row.account_payment_ids.move_id
                self.assertEqual(entry.company_id, other)
                self.assertIn(line.payment_account_id, entry.line_ids.account_id)

    def test_connection_test_names_accounts_of_another_company(self):
        other = self.setup_other_company(name="Gym", currency_id=self.tzs.id)["company"]
        [line] = self.provider._billpay_method_lines()
        foreign = line.payment_account_id.copy(
            {"company_ids": [Command.set(other.ids)]}
        )
        self.env.cr.execute(
            "UPDATE account_payment_method_line SET payment_account_id = %s"
            " WHERE id = %s",
            [foreign.id, line.id],
        )
        line.invalidate_recordset()
        passed, text = self.env["billpay.connection.test"]._check_books(self.provider)
        self.assertFalse(passed)
        for part in (foreign.name, "Gym", line.journal_id.name, "cannot use"):
            self.assertIn(part, text)
        self.provider.journal_id = line.journal_id
        passed, _text = self.env["billpay.connection.test"]._check_books(self.provider)
        self.assertTrue(passed, "choosing the journal sets the account")

    # === Testing the connection === #

    def test_only_worker_does_not_ask_itself(self):
        with (
            patch.dict(config.options, {"workers": 1}),
            patch("requests.get") as asked,
        ):
            *_others, (passed, sentence) = self.env[
                "billpay.connection.test"
            ]._connection_checks(self.provider)
        asked.assert_not_called()
        self.assertIsNone(passed)
        self.assertIn("was not tested", sentence)
        with patch.dict(config.options, {"workers": 1}):
            self.provider.action_billpay_test_connection()
        self.assertIn("was not tested", self.provider.billpay_connection_report)

    def test_credentials_that_cannot_be_sent_are_one_failed_line(self):
        self.provider.clickpesa_api_key = "SK\u00e9sandbox"
        [(passed, sentence)] = self.env["billpay.connection.test"]._connection_checks(
            self.provider
        )
        self.assertFalse(passed)
        self.assertIn("API key", sentence)

    # === Uninstalling === #

    def test_uninstalling_is_not_stopped_by_booked_payments(self):
        move = self._registered_invoice(150000)
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        booked = row.account_payment_ids
        uninstall_hook(self.env(su=True))
        self.assertBooked(row, 150000)
        self.assertTrue(booked.payment_method_id.exists())
        self.assertRecordValues(self.provider, [{"code": "none", "state": "disabled"}])

    def test_uninstalling_without_payments_removes_the_method(self):
        uninstall_hook(self.env(su=True))
        methods = self.env["account.payment.method"].search(
            [("code", "=", "clickpesa")]
        )
        self.assertFalse(methods)
        self.assertRecordValues(self.provider, [{"code": "none", "state": "disabled"}])
        # Nothing holds on to the counter, which goes with the add-on.
        self.env.ref("billpay_odoo.sequence_control_number").unlink()

    def test_two_applications_of_one_company_book_in_one_journal(self):
        second = self._make_application(self.company, name="Mauzo ya pili")
        self.assertNotEqual(self.provider.copy().name, self.provider.name)
        second.journal_id = self.provider.journal_id
        self.company.billpay_provider_id = second
        move = self._registered_invoice(1000)
        payment = self._pay(move.billpay_number_id.name, 1000)
        self._poll()
        self._process()
        row = self._ledger(payment)
        self.assertEqual(row.provider_id, second)
        self.assertBooked(row, 1000)
        line = row.account_payment_ids.payment_method_line_id
        self.assertEqual(line.payment_provider_id, second)
