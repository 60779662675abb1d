# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from unittest.mock import patch

from lxml import etree

from odoo import Command
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

    # === What is due changes === #

    def _cash(self, move, amount, **values):
        """The customer pays a part over the counter."""
        return (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"amount": amount, "payment_difference_handling": "open", **values})
            ._create_payments()
        )

    def _patches(self):
        return self.sandbox.count_calls(method="PATCH")

    def test_number_asks_for_what_is_left_after_cash(self):
        move = self._registered_invoice(10000)
        number = move.billpay_number_id
        before = self._patches()
        self._cash(move, 4000)
        self.assertEqual(number.amount, 6000)
        self._sync()
        self._sync()
        self.assertEqual(self._patches() - before, 1)
        self.assertEqual(self.sandbox.number(number.name)["amount"], 6000)
        self.assertEqual(move.billpay_number_ids, number)

    def test_number_follows_a_credit_note(self):
        move = self._registered_invoice(10000)
        credit = self._invoice(2500, move_type="out_refund")
        lines = (move | credit).line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        lines.reconcile()
        self.assertEqual(move.billpay_number_id.amount, 7500)
        lines.remove_move_reconcile()
        self.assertEqual(move.billpay_number_id.amount, 10000)

    def test_number_reopens_when_other_payment_is_taken_back(self):
        move = self._registered_invoice(10000)
        number = move.billpay_number_id
        payment = self._cash(move, 10000)
        self.assertEqual(number.state, "closed")
        self._sync()
        payment.move_id.line_ids.remove_move_reconcile()
        self.assertEqual(number.state, "open")
        self._sync()
        self.assertTrue(number.known_active)
        self.assertEqual(move.billpay_number_ids, number)

    def test_money_on_its_way_is_not_asked_for(self):
        """With accounting installed a payment has no entry before the statement."""
        self.patch(
            type(self.env["account.move"]),
            "_get_invoice_in_payment_state",
            lambda move: "in_payment",
        )
        bank = self.company_data["default_journal_bank"]
        bank.inbound_payment_method_line_ids.payment_account_id = False
        move = self._registered_invoice(10000)
        number = move.billpay_number_id

        def transfer(amount):
            payment = self._cash(move, amount, journal_id=bank.id)
            self.assertFalse(payment.move_id)
            return payment

        first = transfer(4000)
        self.assertEqual((move.amount_residual, number.amount), (10000, 6000))
        second = transfer(6000)
        self.assertEqual(number.state, "closed")
        self.assertFalse(move.billpay_can_issue)
        second.action_reject()
        self.assertRecordValues(number, [{"state": "open", "amount": 6000}])
        # The first one is on the bank statement: paid, and still counted once.
        entry = self.env["account.move"].create(
            {
                "journal_id": bank.id,
                "line_ids": [
                    Command.create(
                        {
                            "account_id": account.id,
                            "partner_id": self.partner.id,
                            "balance": balance,
                        }
                    )
                    for account, balance in (
                        (bank.default_account_id, 4000),
                        (self.company_data["default_account_receivable"], -4000),
                    )
                ],
            }
        )
        entry.action_post()
        (move | entry).line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        ).reconcile()
        self.assertEqual(first.state, "paid")
        self.assertEqual((move.amount_residual, number.amount), (6000, 6000))
        self.assertEqual(move.billpay_number_ids, number)

    def test_own_posting_sends_no_change(self):
        whole, part = self._registered_invoice(10000), self._registered_invoice(9000)
        before = self._patches()
        for move, amount in ((whole, 10000), (part, 4000)):
            self._event(self._pay(move.billpay_number_id.name, amount))
        self._process()
        self._sync()
        self.assertEqual(self._patches(), before)
        self.assertEqual(whole.billpay_number_ids.state, "paid")
        self.assertEqual(part.billpay_number_id.amount, 5000)

    def test_other_open_number_of_a_paid_invoice_is_closed(self):
        move = self._registered_invoice(10000)
        first = move.billpay_number_id
        self._pay(first.name, 4000)
        self._poll()
        self._process()
        self._sync()
        second = move.billpay_number_id
        self.assertNotEqual(first, second)
        # The first is paid once more by other means of ClickPesa: all is paid.
        payment = (
            self.env["billpay.payment"]
            .sudo()
            .search([("control_number_id", "=", first.id)])
        )
        payment.copy(
            {
                "reference": "twice",
                "amount": 6000,
                "state": "confirmed",
                "next_try_at": False,
            }
        )
        self._process()
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(second.state, "closed")

    def test_reconciling_elsewhere_costs_one_query_for_numbers(self):
        self.company.billpay_provider_id = False
        moves = self._invoice(10000) | self._invoice(20000)
        self.env.flush_all()
        asked, execute = [], type(self.env.cr).execute

        def counted(cr, query, *args, **kwargs):
            if 'FROM "billpay_control_number"' in str(query):
                asked.append(query)
            return execute(cr, query, *args, **kwargs)

        with patch.object(type(self.env.cr), "execute", counted):
            self._cash(moves, 30000, group_payment=True)
        self.assertLessEqual(len(asked), 1)

    def test_a_customer_who_keeps_the_name_costs_no_query_for_numbers(self):
        self._invoice(10000)
        Number = type(self.env["billpay.control.number"])
        with patch.object(Number, "search", autospec=True) as asked:
            self.partner.write({"name": self.partner.name, "city": "Mwanza"})
        asked.assert_not_called()

    def test_reopened_number_has_the_invoices_customer(self):
        move = self._registered_invoice(10000)
        number = move.billpay_number_id
        other = self.env["res.partner"].create({"name": "Neema"})
        move.button_draft()
        move.partner_id = other
        move.action_post()
        self.assertEqual(move.billpay_number_id, number)
        self.assertEqual(number.partner_id, other)

    # === Getting a number by hand === #

    def test_button_shows_beside_an_old_number(self):
        self.company.billpay_issue_on = "manual"
        move = self._invoice(10000)
        self.assertTrue(move.billpay_can_issue)
        move.action_billpay_issue()
        self.assertFalse(move.billpay_can_issue)
        move.billpay_number_id.sudo()._close()
        self.assertTrue(move.billpay_can_issue)
        arch = etree.fromstring(move.get_view(view_type="form")["arch"])
        [button] = arch.xpath("//button[@name='action_billpay_issue']")
        self.assertEqual(button.getparent().get("invisible"), "not billpay_can_issue")
        move.action_billpay_issue()
        self.assertEqual(move.billpay_number_state, "pending")

    # === Deleting === #

    def test_draft_invoice_takes_its_unsent_number_along(self):
        move = self._invoice()
        number = move.billpay_number_id
        move.button_draft()
        move.unlink()
        self.assertFalse(number.exists())

    def test_draft_invoice_with_a_known_number_is_not_deleted(self):
        move = self._registered_invoice()
        tried = self._invoice()
        tried.billpay_number_id.sudo().sync_attempts = 1
        for kept in (move, tried):
            kept.button_draft()
            with self.assertRaises(UserError) as caught:
                kept.unlink()
            self.assertIn("Cancel the invoice instead", str(caught.exception))

    # === Sending === #

    def test_sending_confirms_the_number_first(self):
        move = self._invoice()
        self.assertEqual(move.billpay_number_id.state, "pending")
        with self._workers():
            errors = self.env["account.move.send"]._billpay_confirm_before_sending(move)
        self.assertFalse(errors)
        self.assertEqual(move.billpay_number_id.state, "open")
        self.assertEqual(len(self.sandbox.numbers()), 1)

    def test_sending_stops_when_clickpesa_cannot_be_told(self):
        move = self._invoice()
        self.sandbox.faults.add("error", match="bulk-create")
        with self._workers():
            errors = self.env["account.move.send"]._billpay_confirm_before_sending(move)
        self.assertIn("was not sent", errors[move.id]["error_title"])
        self.assertTrue(errors[move.id]["retry"])

    def test_number_is_made_on_sending_when_set_so(self):
        self.company.billpay_issue_on = "send"
        move = self._invoice()
        self.assertFalse(move.billpay_number_ids)
        with self._workers():
            errors = self.env["account.move.send"]._billpay_confirm_before_sending(move)
        self.assertFalse(errors)
        self.assertEqual(move.billpay_number_id.state, "open")

    def test_check_now_without_clickpesa_says_what_it_means(self):
        move = self._registered_invoice()
        self.provider.clickpesa_base_url = "https://sandbox.example.test/nowhere"
        with self._workers(), self.assertRaises(UserError) as caught:
            move.action_billpay_check()
        self.assertIn("No payment is lost", str(caught.exception))

    def test_connection_test_reads_only(self):
        self.provider.clickpesa_webhook_token = "x" * 32
        before = self.sandbox.count_calls(method="POST")
        checks = self.env["billpay.connection.test"]._connection_checks(self.provider)
        passed = [passed for passed, _sentence in checks]
        self.assertEqual(passed[:-1], [True] * 5, checks)
        tokens = self.sandbox.count_calls("/third-parties/generate-token")
        self.assertEqual(self.sandbox.count_calls(method="POST") - before, tokens)

    def test_connection_test_names_refused_credentials(self):
        self.provider.clickpesa_api_key = "SKwrong"
        [(passed, sentence)] = self.env["billpay.connection.test"]._connection_checks(
            self.provider
        )
        self.assertFalse(passed)
        self.assertNotIn("SKwrong", sentence)

    def test_connection_test_names_an_address_where_nothing_is_found(self):
        self.provider.clickpesa_base_url += "/elsewhere"
        [(passed, sentence)] = self.env["billpay.connection.test"]._connection_checks(
            self.provider
        )
        self.assertFalse(passed)
        self.assertIn("API address", sentence)
