# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""BillPay collects shillings; invoices and books may be in another currency.

On the day of the invoice a dollar is 2,500 TZS, on the day of the payment 2,600. The
number asks what the invoice said: 2,500 for a dollar.
"""

from odoo import Command
from odoo.tests import tagged

from .ledger import LedgerCommon


@tagged("post_install", "-at_install")
class TestForeignCurrency(LedgerCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.usd = cls.env.ref("base.USD")
        cls.eur = cls.env.ref("base.EUR")
        (cls.usd | cls.eur).active = True
        cls.shillings = cls.company_data
        cls._rates(cls.company, cls.usd, (1 / 2500, 1 / 2600))
        cls.dollars = cls.setup_other_company(name="Dollar Books")
        cls.dollar_company = cls.dollars["company"]
        cls._rates(cls.dollar_company, cls.tzs, (2500, 2600))
        cls._rates(cls.dollar_company, cls.eur, (0.9, 0.8))
        cls._make_application(cls.dollar_company, clickpesa_number_origin="offline")

    @classmethod
    def _rates(cls, company, currency, rates):
        for day, rate in zip(("2026-03-01", "2026-03-05"), rates, strict=True):
            cls.env["res.currency.rate"].create(
                {
                    "name": day,
                    "currency_id": currency.id,
                    "rate": rate,
                    "company_id": company.id,
                }
            )

    def _billed(self, data, currency, amount, asked):
        """An invoice in a currency, and the number that asks for it in TZS."""
        move = self._invoice(
            amount,
            currency_id=currency.id,
            journal_id=data["default_journal_sale"].id,
        )
        number = move.sudo().billpay_number_ids
        number.write({"amount": asked})
        if currency != self.tzs:
            number.write({"bill_amount": amount, "bill_currency_id": currency.id})
        return move, number

    def _paid(self, number, amount):
        row = self._confirmed(number, amount, provider_id=number.provider_id.id)
        self._post(row)
        self.assertEqual(row.state, "posted", row.reason)
        self.assertEqual(row.account_payment_ids.currency_id, self.tzs)
        self.assertEqual(sum(row.account_payment_ids.mapped("amount")), amount)
        return row

    def _exchange(self, move):
        """Balance on the company's exchange accounts for this invoice's payments."""
        term = move.line_ids.filtered(
            lambda line: line.display_type == "payment_term"
        ).matched_credit_ids
        company = move.company_id
        accounts = (
            company.income_currency_exchange_account_id
            | company.expense_currency_exchange_account_id
        )
        lines = term.exchange_move_id.line_ids.filtered(
            lambda line: line.account_id in accounts
        )
        self.assertEqual(set(lines.move_id.mapped("state")) - {"posted"}, set())
        return round(sum(lines.mapped("balance")), 2)

    # === Books in TZS === #

    def test_small_rests_in_every_currency(self):
        """USD 0.10 is 250 shillings, which no number asks for."""
        eur, usd, tzs = self.eur, self.usd, self.tzs
        for data, currency, amount, asked, paid in (
            (self.shillings, usd, 100, 250000, 249750),
            (self.dollars, tzs, 250000, 250000, 249750),
            (self.dollars, eur, 90, 250000, 249750),
        ):
            company = data["company"]
            for account in (False, data["default_account_expense"].id):
                company.billpay_rest_account_id = account
                with self.subTest(company=company.name, currency=currency.name):
                    move, number = self._billed(data, currency, amount, asked)
                    row = self._paid(number, paid)
                    self.assertEqual(move.sudo().billpay_number_ids, number)
                    if not account:
                        self.assertGreater(move.amount_residual, 0)
                        self.assertEqual(move.payment_state, "partial")
                        continue
                    self.assertEqual(move.payment_state, "paid")
                    entry = self._entry(row)
                    self.assertTrue(all(self._receivable(entry).mapped("reconciled")))
                    off = entry.line_ids.filtered(
                        lambda line, account=account: line.account_id.id == account
                    )
                    self.assertEqual(off.amount_currency, 250)

    def test_shilling_books_dollar_invoice_paid_in_full(self):
        move, number = self._billed(self.shillings, self.usd, 100, 250000)
        row = self._paid(number, 250000)
        self.assertEqual(move.amount_residual, 0)
        self.assertIn(move.payment_state, ("paid", "in_payment"))
        self.assertEqual(
            self._items(self._entry(row))["asset_receivable"], (-250000, -250000)
        )
        self.assertTrue(all(self._receivable(self._entry(row)).mapped("reconciled")))
        self.assertEqual(self._exchange(move), 0)
        self.assertFalse(row.attention)

    def test_shilling_books_number_asked_at_another_rate(self):
        """The number was made at 2,550: what it asks closes the invoice."""
        move, number = self._billed(self.shillings, self.usd, 100, 255000)
        row = self._paid(number, 255000)
        self.assertEqual(move.amount_residual, 0)
        self.assertTrue(all(self._receivable(self._entry(row)).mapped("reconciled")))
        # 5,000 TZS more than the invoice was worth in the books: a gain.
        self.assertEqual(self._exchange(move), -5000)
        self.assertFalse(row.attention)

    def test_shilling_books_dollar_invoice_paid_in_part(self):
        move, number = self._billed(self.shillings, self.usd, 100, 255000)
        self._paid(number, 102000)
        self.assertEqual(move.amount_residual, 60)
        self.assertEqual(move.payment_state, "partial")
        term = self._receivable(move)
        self.assertEqual(term.amount_residual, 60 * 2500)
        self.assertEqual(self._exchange(move), -2000)

    def test_shilling_books_dollar_invoice_paid_too_much(self):
        move, number = self._billed(self.shillings, self.usd, 100, 250000)
        row = self._paid(number, 300000)
        self.assertEqual(move.amount_residual, 0)
        credit = self._receivable(self._entry(row))
        self.assertEqual(sum(credit.mapped("amount_residual")), -50000)
        self.assertTrue(row.attention)
        self.assertIn("50,000", row.reason)

    def test_cents_of_a_dollar_invoice_close_it(self):
        move, number = self._billed(self.shillings, self.usd, 100.37, 250926)
        row = self._paid(number, 250926)
        self.assertEqual(move.amount_residual, 0)
        self.assertTrue(all(self._receivable(self._entry(row)).mapped("reconciled")))
        self.assertFalse(row.attention)

    def test_two_parts_of_a_dollar_invoice_close_it(self):
        move, number = self._billed(self.shillings, self.usd, 100, 250000)
        self._paid(number, 100000)
        rest = move.billpay_number_id.sudo()
        self.assertEqual(rest.bill_amount, 60)
        rest.amount = 156000
        self._paid(rest, 156000)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(self._receivable(move).amount_residual, 0)
        self.assertEqual(self._exchange(move), -6000)

    def test_dollar_and_shilling_invoices_in_one_batch(self):
        dollar, number = self._billed(self.shillings, self.usd, 100, 255000)
        plain, plain_number = self._billed(self.shillings, self.tzs, 7000, 7000)
        rows = self._confirmed(number, 255000) | self._confirmed(plain_number, 7000)
        self._post(rows)
        self.assertEqual(rows.mapped("state"), ["posted", "posted"])
        self.assertEqual((dollar | plain).mapped("amount_residual"), [0, 0])
        self.assertEqual(self._exchange(dollar), -5000)
        self.assertEqual(self._exchange(plain), 0)

    def test_cents_of_a_shilling_invoice_leave_a_credit_below_one(self):
        self.tzs.rounding = 0.01
        move, number = self._billed(self.shillings, self.tzs, 1000.5, 1001)
        row = self._paid(number, 1001)
        self.assertEqual(move.amount_residual, 0)
        credit = self._receivable(self._entry(row))
        self.assertAlmostEqual(credit.amount_residual, -0.5)
        self.assertFalse(row.attention)

    # === Books in USD === #

    def test_dollar_books_dollar_invoice_paid_in_full(self):
        move, number = self._billed(self.dollars, self.usd, 100, 250000)
        row = self._paid(number, 250000)
        self.assertEqual(move.amount_residual, 0)
        entry = self._entry(row)
        # 250,000 TZS were worth 96.15 USD on that day: the rest is a loss.
        self.assertEqual(self._items(entry)["asset_receivable"], (-96.15, -250000))
        self.assertTrue(all(self._receivable(entry).mapped("reconciled")))
        self.assertEqual(self._exchange(move), 3.85)
        self.assertFalse(row.attention)

    def test_dollar_books_dollar_invoice_paid_in_part(self):
        move, number = self._billed(self.dollars, self.usd, 100, 250000)
        row = self._paid(number, 100000)
        self.assertEqual(move.amount_residual, 60)
        self.assertEqual(self._receivable(move).amount_residual, 60)
        self.assertTrue(all(self._receivable(self._entry(row)).mapped("reconciled")))
        self.assertEqual(self._exchange(move), 1.54)

    def test_dollar_books_dollar_invoice_paid_too_much(self):
        move, number = self._billed(self.dollars, self.usd, 100, 250000)
        row = self._paid(number, 300000)
        self.assertEqual(move.amount_residual, 0)
        credit = self._receivable(self._entry(row))
        self.assertEqual(sum(credit.mapped("amount_residual_currency")), -50000)
        self.assertTrue(row.attention)

    def test_dollar_books_shilling_invoice(self):
        move, number = self._billed(self.dollars, self.tzs, 250000, 250000)
        row = self._paid(number, 250000)
        self.assertEqual(move.amount_residual, 0)
        self.assertTrue(all(self._receivable(self._entry(row)).mapped("reconciled")))
        # Worth 100 on the invoice, 96.15 when it was paid.
        self.assertEqual(self._exchange(move), 3.85)

    def test_dollar_books_shilling_invoice_paid_in_part(self):
        move, number = self._billed(self.dollars, self.tzs, 250000, 250000)
        self._paid(number, 100000)
        self.assertEqual(move.amount_residual, 150000)
        self.assertEqual(self._receivable(move).amount_residual, 60)

    def test_dollar_books_euro_invoice_paid_in_full(self):
        move, number = self._billed(self.dollars, self.eur, 90, 250000)
        row = self._paid(number, 250000)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(self._receivable(move).amount_residual, 0)
        self.assertTrue(all(self._receivable(self._entry(row)).mapped("reconciled")))

    def test_dollar_books_euro_invoice_paid_in_part(self):
        move, number = self._billed(self.dollars, self.eur, 90, 250000)
        self._paid(number, 100000)
        self.assertEqual(move.amount_residual, 54)
        self.assertEqual(self._receivable(move).amount_residual, 60)

    def test_dollar_books_euro_invoice_paid_too_much(self):
        move, number = self._billed(self.dollars, self.eur, 90, 250000)
        row = self._paid(number, 260000)
        self.assertEqual(move.amount_residual, 0)
        credit = self._receivable(self._entry(row))
        self.assertEqual(sum(credit.mapped("amount_residual_currency")), -10000)
        self.assertTrue(row.attention)

    def test_dollar_books_instalments_of_a_euro_invoice_by_policy(self):
        """An instalment gets what it is worth itself; all of them, what the bill is."""
        move = self._invoice(
            90,
            currency_id=self.eur.id,
            journal_id=self.dollars["default_journal_sale"].id,
            billpay_issue_on="manual",
            invoice_payment_term_id=self._halves().id,
        )
        [number] = self.env["billpay.control.number"]._reserve(
            self.dollar_company.billpay_provider_id.sudo(),
            [
                {
                    "kind": "customer",
                    "partner_id": self.partner.id,
                    "allocation_policy": "oldest",
                }
            ],
        )
        first = self._paid(number, 125000)
        self.assertEqual(move.amount_residual, 45)
        rest = self._paid(number, 125000)
        self.assertEqual(move.amount_residual, 0)
        again = move.copy({"invoice_date": move.invoice_date})
        again.action_post()
        whole = self._paid(number, 250000)
        self.assertEqual(again.amount_residual, 0)
        self.assertEqual(set(again.line_ids.mapped("amount_residual")), {0})
        for row, worth in ((first, -50), (rest, -50), (whole, -100)):
            balances = self._receivable(self._entry(row)).mapped("balance")
            self.assertEqual(sum(balances), worth)

    def test_dollar_invoice_chosen_by_a_person(self):
        """Without a number's rate Odoo's own of the day counts."""
        move = self._invoice(
            100,
            currency_id=self.usd.id,
            journal_id=self.shillings["default_journal_sale"].id,
            billpay_issue_on="manual",
        )
        row = self._confirmed(
            "1122999999",
            260000,
            allocation_ids=[Command.create({"move_id": move.id, "amount": 260000})],
        )
        self._post(row)
        self.assertEqual(row.state, "posted", row.reason)
        self.assertEqual(move.amount_residual, 0)
        self.assertTrue(all(self._receivable(self._entry(row)).mapped("reconciled")))
