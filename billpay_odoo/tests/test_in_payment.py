# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Invoices that are *In Payment*: money that is on its way in another way."""

from unittest.mock import patch

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import config

from .ledger import LedgerCommon


@tagged("post_install", "-at_install")
class TestInPayment(LedgerCommon):
    """Where accounting is installed, cash has no entry before its statement.

    Run as it is, the state comes from Odoo's own hook; `./dev test --beside` runs it
    with the add-on of the Odoo Community Association that sets it.
    """

    def setUp(self):
        super().setUp()
        if "account_in_payment" in self.env.registry._init_modules:
            # As Odoo's own tests expect it, that add-on keeps still while any run.
            tested = patch.dict(config._runtime_options, {"test_enable": False})
            self.startPatcher(tested)
        else:
            self.patch(
                type(self.env["account.move"]),
                "_get_invoice_in_payment_state",
                lambda move: "in_payment",
            )
        state = self.env["account.move"]._get_invoice_in_payment_state()
        self.assertEqual(state, "in_payment")
        self.cash = self.company_data["default_journal_cash"]
        self.cash.inbound_payment_method_line_ids.payment_account_id = False

    def _pay_cash(self, move, amount):
        payment = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create(
                {
                    "amount": amount,
                    "journal_id": self.cash.id,
                    "payment_difference_handling": "open",
                }
            )
            ._create_payments()
        )
        self.assertFalse(payment.move_id)
        self.assertEqual(move.payment_state, "in_payment")
        return payment

    def _at_bank(self, payment):
        """The statement shows the cash: it pays the invoice."""
        account = self.company_data["default_account_receivable"]
        entry = self.env["account.move"].create(
            {
                "journal_id": self.cash.id,
                "line_ids": [
                    Command.create(
                        {
                            "account_id": item.id,
                            "partner_id": self.partner.id,
                            "balance": balance,
                        }
                    )
                    for item, balance in (
                        (self.cash.default_account_id, payment.amount),
                        (account, -payment.amount),
                    )
                ],
            }
        )
        entry.action_post()
        move = payment.invoice_ids
        (self._receivable(move) | self._receivable(entry)).filtered(
            lambda line: not line.reconciled
        ).reconcile()

    def test_paid_in_cash_and_by_phone_is_flagged(self):
        for cash, phone, used in (
            (150000, 150000, 0),
            (150000, 60000, 0),
            (100000, 150000, 50000),
            (100000, 60000, 50000),
        ):
            with self.subTest(cash=cash, phone=phone):
                move = self._invoice(150000)
                number = move.billpay_number_id
                payment = self._pay_cash(move, cash)
                row = self._post(self._confirmed(number, phone))
                self.assertEqual(row.state, "posted")
                over = phone - used
                self.assertEqual(row.credit_open, over)
                self.assertTrue(row.is_over)
                self.assertTrue(row.attention)
                self.assertIn(f"{over:,}", row.reason)
                self.assertEqual(move.amount_residual, 150000 - used)
                self.assertFalse(move.billpay_number_ids._living())
                self._at_bank(payment)
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(row.credit_open, over)

    def test_what_is_left_beside_the_cash_is_paid_by_phone(self):
        for values, cash in (
            ({}, 40000),
            ({"invoice_payment_term_id": self._halves().id}, 40000),
            ({"invoice_payment_term_id": self._halves().id}, 90000),
        ):
            with self.subTest(values=values, cash=cash):
                move = self._invoice(150000, **values)
                payment = self._pay_cash(move, cash)
                number = move.billpay_number_id
                self.assertEqual(number.amount, 150000 - cash)
                row = self._post(self._confirmed(number, number.amount))
                self.assertFalse(row.attention, row.reason)
                self.assertFalse(row.is_over)
                self.assertEqual(row.credit_open, 0)
                self.assertEqual(move.amount_residual, cash)
                self.assertFalse(move.billpay_number_ids._living())
                self._at_bank(payment)
                self.assertEqual(move.amount_residual, 0)

    def test_cash_that_a_person_validated_is_not_asked_for_again(self):
        """No statement has shown it, whatever the phone has paid meanwhile."""
        for cash in (40000, 75000, 140000):
            with self.subTest(cash=cash):
                move = self._invoice(150000)
                payment = self._pay_cash(move, cash)
                payment.action_validate()
                number = move.billpay_number_id
                self.assertEqual(number.amount, 150000 - cash)
                row = self._post(self._confirmed(number, number.amount))
                self.assertEqual(row.credit_open, 0)
                self.assertEqual(move.amount_residual, cash)
                self.assertFalse(move.billpay_number_ids._living())
                self.assertEqual(move._billpay_left(), 0)
                self._at_bank(payment)
                self.assertEqual(move.amount_residual, 0)

    def test_two_by_phone_are_flagged(self):
        move = self._invoice(150000)
        number = move.billpay_number_id
        first = self._post(self._confirmed(number, 150000))
        self.assertEqual(move.payment_state, "in_payment")
        second = self._post(self._confirmed(number, 150000))
        self.assertFalse(first.attention)
        self.assertTrue(second.attention)
        self.assertEqual(second.credit_open, 150000)

    def test_customers_number_pays_the_next_invoice(self):
        purpose = self.env["billpay.purpose"].create(
            {"name": "Ada", "company_id": self.company.id}
        )
        number = self._number(
            kind="customer", partner_id=self.partner.id, purpose_id=purpose.id
        )
        values = {"billpay_purpose_id": purpose.id}
        first = self._invoice(150000, invoice_date_due="2026-03-01", **values)
        second = self._invoice(90000, invoice_date_due="2026-03-02", **values)
        self._pay_cash(first, 150000)
        row = self._post(self._confirmed(number, 90000))
        self.assertEqual(row.state, "posted", row.reason)
        self.assertEqual(first.amount_residual, 150000)
        self.assertEqual(second.amount_residual, 0)

    def test_screens_ask_for_what_is_not_on_its_way(self):
        page = self.env["billpay.pay.page"]
        for cash, left, state in ((40000, 110000, "open"), (150000, 0, "settled")):
            with self.subTest(cash=cash):
                move = self._invoice(150000)
                number = move.billpay_number_id
                self._pay_cash(move, cash)
                self.assertEqual(move._billpay_left(), left)
                self.assertEqual(page._get_amount_due(number), left)
                self.assertEqual(page._get_page_state(number), state)
                sending = self.env["account.move.send"]
                printed = sending._billpay_document_number(move)
                self.assertEqual(bool(printed), bool(left))

    def test_a_person_matches_what_is_not_on_its_way(self):
        clerk = self._user("coming_clerk", "account.group_account_invoice")
        move = self._invoice(150000)
        self._pay_cash(move, 40000)
        decision, none = self.env["billpay.decision"], self.env["res.partner"]
        row = self._confirmed("1122999999", 150000, state="unmatched")
        row = row.with_user(clerk)
        chosen = move.with_user(clerk)
        for amount in (150000, 110001):
            with self.assertRaisesRegex(UserError, "110,000"):
                decision._match_by_hand(row, [(chosen, amount)], none)
        decision._match_by_hand(row, [(chosen, 110000)], none)
        self.assertEqual(row.state, "posted", row.reason)
        self.assertEqual(move.amount_residual, 40000)
        self.assertEqual(row.credit_open, 40000)
        found = self.env["billpay.suggestion"]._open_bill_domain(row)
        self.assertIn(move, move.search(found))
