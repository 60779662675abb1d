# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What customers see of their own numbers, and nobody else's."""

from odoo import Command
from odoo.tests import HttpCase, tagged

from .test_billpay_purpose import PurposeCommon


@tagged("post_install", "-at_install")
class TestStatement(PurposeCommon):
    def assertProven(self, number):
        """The statement ends with what the journal items leave open."""
        number.invalidate_recordset()
        statement = self.env["billpay.statement"]._statement(
            number, date_to=number.company_id._billpay_today()
        )
        statements = self.env["billpay.statement"]
        bills = statements._bill_lines(number)[number]
        open_items = bills | statements._payment_lines(number)[number]
        left = sum(open_items.mapped("amount_residual"))
        self.assertEqual(statement["closing"], left)
        self.assertEqual(statement["closing"], number.balance)
        return statement

    def test_ends_with_what_the_books_say(self):
        number = self._keeps(self.asha, self.tuition)
        self._fee(self.asha, self.tuition, 50000, invoice_date="2025-11-01")
        self._fee(self.asha, self.tuition, 30000)
        self._fee(self.asha, self.hostel, 99000)
        self._fee(self.juma, self.tuition, 77000)
        self._pay_number(number, 60000)
        statement = self.assertProven(number)
        self.assertEqual(statement["opening"], 50000)
        self.assertEqual(
            [
                (line["due"], line["paid"], line["balance"])
                for line in statement["lines"]
            ],
            [(30000, 0, 80000), (0, 60000, 20000)],
        )
        self._pay_number(number, 25000)
        statement = self.assertProven(number)
        self.assertEqual(statement["closing"], -5000)

    def test_money_from_elsewhere_and_for_others_is_told(self):
        self.tuition.reach = "any"
        number = self._keeps(self.asha, self.tuition)
        fee = self._fee(self.asha, self.tuition, 50000)
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=fee.ids
        ).create({"amount": 20000, "payment_date": "2026-03-02"})._create_payments()
        self._keeps(self.asha, self.hostel)
        self._fee(self.asha, self.hostel, 8000)
        self._pay_number(number, 38000)
        statement = self.assertProven(number)
        texts = [line["text"] for line in statement["lines"]]
        self.assertIn("Paid in another way", texts)
        self.assertTrue([text for text in texts if text.startswith("Used for")])
        self.assertEqual(statement["closing"], 0)

    def test_credit_notes_count(self):
        number = self._keeps(self.asha, self.tuition)
        fee = self._fee(self.asha, self.tuition, 50000)
        refund = fee._reverse_moves([{"invoice_date": fee.invoice_date}])
        refund.invoice_line_ids.price_unit = 10000
        refund.action_post()
        self.assertEqual(refund.billpay_purpose_id, self.tuition)
        statement = self.assertProven(number)
        self.assertEqual(statement["closing"], 40000)

    def test_prints(self):
        number = self._keeps(self.asha, self.tuition)
        fee = self._fee(self.asha, self.tuition, 50000)
        html, _type = self.env["ir.actions.report"]._render_qweb_html(
            "billpay_odoo.report_billpay_statement", number.ids
        )
        text = html.decode()
        for words in (number.display_number, fee.name, "50,000", "Asha Mushi"):
            self.assertIn(words, text)


@tagged("post_install", "-at_install")
class TestPortal(PurposeCommon, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.mother = cls._visitor("neema", cls.parent)
        cls.pupil_user = cls._visitor("asha", cls.asha)
        cls.stranger = cls._visitor("stranger", cls.partner.copy())

    @classmethod
    def _visitor(cls, login, partner):
        return (
            cls.env["res.users"]
            .sudo()
            .with_context(no_reset_password=True)
            .create(
                {
                    "name": partner.name,
                    "login": "%s_portal" % login,
                    "password": "%s_portal" % login,
                    "partner_id": partner.id,
                    "company_id": cls.company.id,
                    "company_ids": [Command.set(cls.company.ids)],
                    "group_ids": [Command.set(cls.env.ref("base.group_portal").ids)],
                }
            )
        )

    def _open(self, user, path):
        self.authenticate(user.login, user.login)
        return self.url_open(path)

    def test_a_mother_sees_the_numbers_of_each_child(self):
        asha = self._keeps(self.asha, self.tuition)
        juma = self._keeps(self.juma, self.hostel)
        closed = self._keeps(self.juma, self.tuition)
        closed.action_close()
        self._fee(self.asha, self.tuition, 50000)
        self._pay_number(asha, 20000)
        page = self._open(self.mother, "/my/billpay").text
        for words in (
            "Asha Mushi",
            "Juma Mushi",
            asha.display_number,
            juma.display_number,
            "30,000",
            "Tuition",
            "Nothing is due",
        ):
            self.assertIn(words, page)
        self.assertNotIn(closed.display_number, page)
        page = self._open(self.mother, f"/my/billpay/{asha.id}").text
        for words in ("Balance before", "50,000", "20,000", "RCPT", asha.name):
            self.assertIn(words, page)
        answer = self.url_open(f"/my/billpay/{asha.id}/statement")
        self.assertEqual(answer.status_code, 200)
        self.assertEqual(answer.headers["Content-Type"], "application/pdf")
        # Odoo's tests render reports as pages: what is on them can be read.
        self.assertIn("Balance before", answer.text)
        self.assertIn(asha.display_number, answer.text)

    def test_nobody_sees_the_numbers_of_others(self):
        asha = self._keeps(self.asha, self.tuition)
        juma = self._keeps(self.juma, self.tuition)
        for user, number in (
            (self.stranger, asha),
            (self.pupil_user, juma),
        ):
            page = self._open(user, "/my/billpay")
            self.assertNotIn(number.display_number, page.text)
            for path in (
                f"/my/billpay/{number.id}",
                f"/my/billpay/{number.id}/statement",
            ):
                self.assertEqual(self.url_open(path).status_code, 404)
        page = self._open(self.pupil_user, "/my/billpay").text
        self.assertIn(asha.display_number, page)
        self.assertIn(
            "no control number yet", self._open(self.stranger, "/my/billpay").text
        )

    def test_a_visitor_without_login_is_asked_for_it(self):
        number = self._keeps(self.asha, self.tuition)
        self.authenticate(None, None)
        answer = self.url_open(f"/my/billpay/{number.id}")
        self.assertIn("/web/login", answer.url)
        self.assertNotIn(number.display_number, answer.text)

    def test_an_invoice_that_carries_the_number_asks_for_what_it_owes(self):
        self.tuition.write({"invoice_number": "customer", "default_amount": 90000})
        first = self._fee(self.asha, self.tuition, 50000)
        second = self._fee(self.asha, self.tuition, 7000)
        number = first.billpay_number_id
        address = self.env["billpay.pay.page"]._document_for(second, "en_US")["url"]
        path = address.removeprefix(number.company_id.get_base_url())
        self.authenticate(None, None)
        for where, shown, hidden in (
            (first.get_portal_url(), "50,000", "TZS\u00a090,000"),
            (second.get_portal_url(), "TZS\u00a07,000", "TZS\u00a090,000"),
            (path, "TZS\u00a07,000", "TZS\u00a090,000"),
            (path.partition("?")[0], "TZS\u00a090,000", "TZS\u00a07,000"),
            (path[:-1] + "x", "TZS\u00a090,000", "TZS\u00a07,000"),
        ):
            with self.subTest(where=where):
                page = self.url_open(where)
                self.assertEqual(page.status_code, 200)
                self.assertIn(shown, page.text)
                self.assertNotIn(hidden, page.text)
        # The number stays open when the invoice is paid, and asks for nothing there.
        self._pay_number(number, 50000)
        self.assertEqual((first.amount_residual, number.state), (0, "open"))
        page = self.url_open(first.get_portal_url()).text
        self.assertNotIn("o_billpay_payee", page)
        self.assertNotIn("TZS\u00a050,000", page)

    def test_home_has_a_tile(self):
        self._keeps(self.asha, self.tuition)
        self.assertIn("/my/billpay", self._open(self.mother, "/my").text)

    def test_digits_that_are_no_number_are_not_found(self):
        answer = self._open(self.mother, "/my/billpay/999999999999999999")
        self.assertEqual(answer.status_code, 404)
