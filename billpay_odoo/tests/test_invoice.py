# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestInvoice(BillPayCommon):
    def test_invoice_is_found_by_number_with_and_without_spaces(self):
        move = self._registered_invoice()
        number = move.billpay_number_id
        for typed in (number.name, number.display_number, number.name[4:10]):
            self.assertIn(
                move,
                self.env["account.move"].search([("billpay_number", "ilike", typed)]),
            )

    def test_number_in_full_is_found_with_and_without_spaces(self):
        move, other = self._registered_invoice(), self._invoice(post=False)
        number = move.billpay_number_id
        moves, numbers = self.env["account.move"], self.env["billpay.control.number"]
        ours = [("id", "in", (move | other).ids)]
        # A number without an invoice hides nothing.
        numbers._reserve(self.provider, [{"kind": "customer"}])
        for typed in (number.name, number.display_number):
            for operator, value in (("=", typed), ("in", [typed, "1"])):
                domain = [("billpay_number", operator, value)]
                self.assertEqual(moves.search(domain), move, domain)
                domain = [("display_number", operator, value)]
                self.assertEqual(numbers.search(domain), number, domain)
            domain = [*ours, ("billpay_number", "!=", typed)]
            self.assertEqual(moves.search(domain), other, domain)
            domain = [("id", "=", number.id), ("display_number", "!=", typed)]
            self.assertFalse(numbers.search(domain))
        domain = [*ours, ("billpay_number", "=", False)]
        self.assertEqual(moves.search(domain), other)
        domain = [*ours, ("billpay_number", "!=", False)]
        self.assertEqual(moves.search(domain), move)

    def test_sending_confirms_the_number_first(self):
        move = self._invoice()
        self.assertEqual(move.billpay_number_id.state, "pending")
        with self._workers():
            errors = move._billpay_confirm_before_sending()
        self.assertEqual(errors, {move.id: ""})
        self.assertEqual(move.billpay_number_id.state, "open")
        self.assertEqual(len(self.sandbox.numbers()), 1)

    def test_sending_stops_when_clickpesa_cannot_be_told(self):
        move = self._invoice()
        self.sandbox.faults.add("error", match="bulk-create")
        with self._workers():
            errors = move._billpay_confirm_before_sending()
        self.assertIn("was not sent", errors[move.id])

    def test_number_is_made_on_sending_when_set_so(self):
        self.company.billpay_issue_on = "send"
        move = self._invoice()
        self.assertFalse(move.billpay_number_ids)
        with self._workers():
            errors = move._billpay_confirm_before_sending()
        self.assertEqual(errors, {move.id: ""})
        self.assertEqual(move.billpay_number_id.state, "open")

    def test_check_now_without_clickpesa_says_what_it_means(self):
        move = self._registered_invoice()
        self.provider.clickpesa_base_url = "https://sandbox.example.test/nowhere"
        with self._workers(), self.assertRaises(UserError) as caught:
            move.action_billpay_check()
        self.assertIn("No money is affected", str(caught.exception))

    def test_connection_test_reads_only(self):
        self.provider.clickpesa_webhook_token = "x" * 32
        before = self.sandbox.count_calls(method="POST")
        checks = self.provider._billpay_connection_checks()
        passed = [passed for passed, _sentence in checks]
        self.assertEqual(passed[:-1], [True] * 5, checks)
        tokens = self.sandbox.count_calls("/third-parties/generate-token")
        self.assertEqual(self.sandbox.count_calls(method="POST") - before, tokens)

    def test_connection_test_names_refused_credentials(self):
        self.provider.clickpesa_api_key = "SKwrong"
        [(passed, sentence)] = self.provider._billpay_connection_checks()
        self.assertFalse(passed)
        self.assertNotIn("SKwrong", sentence)
