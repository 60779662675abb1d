# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which invoices a payment pays, and what becomes of credit."""

import math

from freezegun import freeze_time

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged

from .ledger import LedgerCommon


@tagged("post_install", "-at_install")
class TestAllocation(LedgerCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        number = cls._number(kind="customer", partner_id=cls.partner.id)
        cls.account_number = number.sudo()

    def _due(self, amount, day, **values):
        return self._invoice(amount, invoice_date_due=day, **values)

    def _pay_account(self, amount, **values):
        return self._post(self._confirmed(self.account_number, amount, **values))

    def test_invoices_that_fit_exactly_are_paid(self):
        old = self._due(50000, "2026-03-10")
        fit = self._due(30000, "2026-03-20") | self._due(12000, "2026-03-30")
        row = self._pay_account(42000)
        self.assertBooked(row, 42000)
        self.assertEqual(fit.mapped("amount_residual"), [0, 0])
        self.assertEqual(old.amount_residual, 50000)
        self.assertEqual(self._receivable(self._entry(row)).amount_residual, 0)
        self.assertFalse(row.attention)

    def test_else_the_oldest_due_is_paid_first(self):
        newer = self._due(30000, "2026-03-20")
        older = self._due(50000, "2026-03-10")
        row = self._pay_account(60000)
        self.assertBooked(row, 60000)
        self.assertEqual(older.amount_residual, 0)
        self.assertEqual(newer.amount_residual, 20000)
        self.assertEqual(newer.billpay_number_id.amount, 20000)

    def test_oldest_does_not_look_for_what_fits(self):
        self.account_number.allocation_policy = "oldest"
        older = self._due(50000, "2026-03-10")
        newer = self._due(30000, "2026-03-20")
        self._pay_account(30000)
        self.assertEqual(older.amount_residual, 20000)
        self.assertEqual(newer.amount_residual, 30000)

    def test_credit_leaves_invoices_alone(self):
        self.account_number.allocation_policy = "credit"
        move = self._due(30000, "2026-03-20")
        row = self._pay_account(30000)
        self.assertBooked(row, 30000)
        self.assertEqual(move.amount_residual, 30000)
        self.assertEqual(self._receivable(self._entry(row)).amount_residual, -30000)
        self.assertFalse(row.attention)

    def test_surplus_is_credit(self):
        move = self._due(30000, "2026-03-20")
        row = self._pay_account(31000)
        self.assertEqual(move.amount_residual, 0)
        [line] = self._receivable(self._entry(row))
        self.assertEqual(line.amount_residual, -1000)

    def test_instalments_count_by_their_own_dates(self):
        halves = self._invoice(
            40000, invoice_payment_term_id=self._halves().id, invoice_date="2026-03-01"
        )
        between = self._due(10000, "2026-04-15")
        self.account_number.allocation_policy = "oldest"
        row = self._pay_account(25000)
        self.assertBooked(row, 25000)
        terms = halves.line_ids.filtered(
            lambda line: line.display_type == "payment_term"
        ).sorted("date_maturity")
        self.assertEqual(terms.mapped("amount_residual"), [0, 20000])
        self.assertEqual(between.amount_residual, 5000)

    def test_payments_of_one_batch_do_not_pay_the_same_twice(self):
        first = self._due(10000, "2026-03-10")
        second = self._due(20000, "2026-03-20")
        rows = self._confirmed(self.account_number, 15000)
        rows |= self._confirmed(self.account_number, 15000)
        rows |= self._confirmed(self.account_number, 500)
        self._post(rows)
        for row, amount in zip(rows, (15000, 15000, 500), strict=True):
            self.assertBooked(row, amount)
        self.assertEqual((first | second).mapped("amount_residual"), [0, 0])
        credit = self._receivable(self._entry(rows))
        self.assertEqual(credit.mapped("amount_residual"), [0, 0, -500])

    def test_equal_payments_of_one_batch_pay_equal_invoices(self):
        moves = self._due(10000, "2026-03-10") | self._due(10000, "2026-03-20")
        rows = self._confirmed(self.account_number, 10000)
        rows |= self._confirmed(self.account_number, 10000)
        self._post(rows)
        self.assertEqual(moves.mapped("amount_residual"), [0, 0])

    def test_other_customers_and_companies_are_left_alone(self):
        other = self._invoice(9000, partner=self.partner.copy())
        theirs = self.setup_other_company(name="Shule", currency_id=self.tzs.id)
        foreign = self._invoice(9000, journal_id=theirs["default_journal_sale"].id)
        row = self._pay_account(9000)
        self.assertEqual((other | foreign).mapped("amount_residual"), [9000, 9000])
        self.assertEqual(self._receivable(self._entry(row)).amount_residual, -9000)

    def test_each_number_of_a_customer_has_its_own_policy(self):
        """Also in one batch with a number that pays the oldest."""
        savings = self._number(kind="customer", partner_id=self.partner.id).sudo()
        savings.allocation_policy = "credit"
        move = self._due(30000, "2026-03-20")
        rows = self._confirmed(savings, 5000)
        rows |= self._confirmed(self.account_number, 7000)
        self._post(rows)
        self.assertEqual(move.amount_residual, 23000)
        credit = self._receivable(self._entry(rows[0]))
        self.assertEqual(credit.amount_residual, -5000)

    def test_customer_number_stays_open(self):
        self._pay_account(500)
        self.assertEqual(self.account_number.state, "open")
        self.assertEqual(self.account_number.amount_paid, 500)

    # === Credit and the next invoice === #

    def test_credit_pays_the_next_invoice_when_wanted(self):
        self.company.billpay_apply_credit = True
        row = self._pay_account(30000)
        move = self._invoice(50000)
        self.assertEqual(move.amount_residual, 20000)
        self.assertEqual(move.billpay_number_id.amount, 20000)
        credit = self._receivable(self._entry(row))
        self.assertEqual(credit.matched_debit_ids.debit_move_id.move_id, move)
        covered = self._invoice(10000)
        self.assertEqual(covered.amount_residual, 10000)

    def test_invoice_that_credit_covers_gets_no_number(self):
        self.company.billpay_apply_credit = True
        self._pay_account(30000)
        moves = self._invoice(20000) | self._invoice(25000)
        self.assertEqual(moves.mapped("amount_residual"), [0, 15000])
        self.assertFalse(moves[0].sudo().billpay_number_ids)
        self.assertEqual(moves[1].billpay_number_id.amount, 15000)

    def test_credit_stays_credit_by_default(self):
        self._pay_account(30000)
        move = self._invoice(50000)
        self.assertEqual(move.amount_residual, 50000)

    def test_warning_of_a_surplus_ends_with_the_credit(self):
        def apply(row, customer):
            self.company.billpay_apply_credit = True
            self._invoice(10000, partner=customer)
            self.company.billpay_apply_credit = False

        def use(row, customer):
            bill = self._invoice(10000, partner=customer)
            self.env["billpay.decision"]._use_credit(row, bill)

        def by_hand(row, customer):
            bill = self._invoice(10000, partner=customer)
            items = self._receivable(self._entry(row)) | self._receivable(bill)
            items.filtered(lambda item: not item.reconciled).reconcile()

        def pay_back(row, customer):
            payout = self.env["account.payment"].create(
                {
                    "payment_type": "outbound",
                    "partner_id": customer.id,
                    "amount": 10000,
                    "currency_id": self.tzs.id,
                    "journal_id": self.company_data["default_journal_cash"].id,
                }
            )
            payout.action_post()
            items = self._receivable(self._entry(row))
            items |= self._receivable(payout.move_id)
            items.filtered(lambda item: not item.reconciled).reconcile()

        for index, step in enumerate((apply, use, by_hand, pay_back)):
            with self.subTest(step.__name__):
                customer = self.partner.copy({"name": "Neema %s" % index})
                move = self._invoice(50000, partner=customer)
                row = self._post(self._confirmed(move.billpay_number_id, 60000))
                self.assertTrue(row.attention)
                self.assertIn("10,000", row.reason)
                step(row, customer)
                self.env.invalidate_all()
                self.assertEqual(row.credit_open, 0)
                self.assertFalse(row.attention, row.reason)
                self.assertFalse(row.reason)
                self.assertFalse(row.warned)
                self.assertBooked(row, 60000)
                self.assertEqual(move.amount_residual, 0)

    def test_warning_of_a_surplus_stays_while_a_part_is_open(self):
        move = self._invoice(50000)
        row = self._post(self._confirmed(move.billpay_number_id, 60000))
        for amount, left in ((4000, 6000), (1000, 5000)):
            bill = self._invoice(amount)
            self.env["billpay.decision"]._use_credit(row, bill)
            self.assertEqual(bill.amount_residual, 0)
            self.assertEqual(row.credit_open, left)
            self.assertTrue(row.attention)
            self.assertIn("customer credit", row.reason)
        self.env["billpay.decision"]._use_credit(row, self._invoice(5000))
        self.assertEqual(row.credit_open, 0)
        self.assertFalse(row.attention, row.reason)

    def test_credit_that_clickpesa_took_back_pays_nothing(self):
        self.company.billpay_apply_credit = True
        row = self._pay_account(30000)
        # Alert only: the entry stands.
        row.sudo().status = "REVERSED"
        move = self._due(30000, "2026-03-20")
        self.assertEqual(move.amount_residual, 30000)

    def test_instalments_on_two_accounts_are_both_paid(self):
        other = self.company_data["default_account_receivable"].copy()
        move = self._invoice(
            10000, post=False, invoice_payment_term_id=self._halves().id
        )
        terms = move.line_ids.filtered(
            lambda line: line.display_type == "payment_term"
        ).sorted("date_maturity")
        terms[1].account_id = other
        move.action_post()
        row = self._post(self._confirmed(move.billpay_number_id, 10000))
        self.assertEqual(row.state, "posted", row.reason)
        self.assertFalse(row.attention)
        self.assertEqual(move.amount_residual, 0)
        receivable = self._receivable(self._entry(row))
        self.assertEqual(receivable.account_id, terms.account_id)
        self.assertEqual(receivable.mapped("credit"), [5000, 5000])
        self.assertEqual(receivable.mapped("amount_residual"), [0, 0])

    def test_only_credit_of_control_numbers_is_used(self):
        self.company.billpay_apply_credit = True
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.partner.id,
                "amount": 30000,
                "currency_id": self.tzs.id,
                "date": "2026-03-02",
                "journal_id": self.company_data["default_journal_bank"].id,
            }
        )
        payment.action_post()
        move = self._invoice(50000)
        self.assertEqual(move.amount_residual, 50000)

    # === Small rests === #

    def _rests(self):
        """``(invoice, payment, rest written off)``: the rest is below 500 TZS."""
        yield 150000, 149700, 300
        yield 150000.75, 150000, 0.75
        yield 10000, 9501, 499

    def test_small_rest_stays_open_without_a_number(self):
        for asked, paid, rest in self._rests():
            with self.subTest(asked=asked, paid=paid):
                move = self._invoice(asked)
                number = move.billpay_number_id
                row = self._post(self._confirmed(number, paid))
                self.assertBooked(row, paid)
                self.assertAlmostEqual(move.amount_residual, rest)
                self.assertEqual(move.sudo().billpay_number_ids, number)
                self.assertEqual(number.state, "paid")
                self.assertFalse(move.billpay_can_issue)
                # What is nowhere asked for is not announced to the payer.
                page = self.env["billpay.pay.page"]
                self.assertEqual(page._get_page_state(number.sudo()), "paid")

    def test_small_rest_is_written_off_with_the_payment(self):
        account = self.company_data["default_account_expense"]
        self.company.billpay_rest_account_id = account
        for asked, paid, rest in self._rests():
            with self.subTest(asked=asked, paid=paid):
                move = self._invoice(asked)
                row = self._post(self._confirmed(move.billpay_number_id, paid))
                self.assertEqual(row.state, "posted", row.reason)
                self.assertEqual(move.payment_state, "paid")
                entry = self._entry(row)
                off = entry.line_ids.filtered(lambda line: line.account_id == account)
                self.assertRecordValues(
                    off | self._receivable(entry),
                    [
                        {"balance": rest, "partner_id": self.partner.id},
                        {"balance": -asked, "partner_id": self.partner.id},
                    ],
                )
                self.assertEqual(row.account_payment_ids.amount, paid)
                self.assertEqual(len(move.sudo().billpay_number_ids), 1)

    def test_part_that_was_written_off_is_no_credit(self):
        """What the entry of a cancelled invoice wrote off was never paid."""
        account = self.company_data["default_account_expense"]
        self.company.billpay_rest_account_id = account
        self.company.billpay_apply_credit = True
        for asked, paid in ((150000, 149700), (10000, 9501)):
            with self.subTest(asked=asked, paid=paid):
                customer = self.partner.copy({"name": "Neema %s" % asked})
                move = self._invoice(asked, partner=customer)
                row = self._post(self._confirmed(move.billpay_number_id, paid))
                self.assertEqual(move.payment_state, "paid")
                move.button_draft()
                move.button_cancel()
                row.invalidate_recordset()
                self._assert_no_credit(row, asked, paid, customer)
                # Confirmed again, it is as it was.
                move.button_draft()
                move.action_post()
                self.assertEqual(move.payment_state, "paid")
                self.assertFalse(row.attention, row.reason)

    def test_discount_that_was_taken_is_no_credit(self):
        self.company.billpay_apply_credit = True
        for computation in ("included", "excluded", "mixed"):
            with self.subTest(computation):
                term = self.env["account.payment.term"].create(
                    {
                        "name": computation,
                        "early_discount": True,
                        "discount_percentage": 10,
                        "discount_days": 30,
                        "early_pay_discount_computation": computation,
                        "line_ids": [
                            Command.create(
                                {
                                    "value": "percent",
                                    "value_amount": 100,
                                    "nb_days": 60,
                                }
                            )
                        ],
                    }
                )
                customer = self.partner.copy({"name": "Neema " + computation})
                move = self._invoice(
                    100000, partner=customer, invoice_payment_term_id=term.id
                )
                row = self._post(self._confirmed(move.billpay_number_id, 90000))
                self.assertEqual(move.payment_state, "paid")
                move.button_draft()
                move.button_cancel()
                row.invalidate_recordset()
                self._assert_no_credit(row, 100000, 90000, customer)

    def _assert_no_credit(self, row, open_amount, paid, customer):
        """More is open than was paid: no invoice takes it, and a person is called."""
        self.assertEqual(row.amount, paid)
        self.assertTrue(row.attention)
        self.assertIn("wrote off a part", row.reason)
        self.assertIn(f"{paid:,}", row.reason)
        self.assertIn("Undo Match", row.reason)
        [item] = self._receivable(self._entry(row))
        self.assertEqual(item.amount_residual, -open_amount)
        # Not by itself, and not by a person.
        following = self._invoice(open_amount, partner=customer)
        self.assertEqual(following.amount_residual, open_amount)
        self.assertEqual(following.payment_state, "not_paid")
        with self.assertRaises(UserError) as caught:
            self.env["billpay.decision"]._use_credit(row, following)
        self.assertIn("wrote off", str(caught.exception))
        self.assertEqual(following.amount_residual, open_amount)
        self.assertEqual(item.amount_residual, -open_amount)

    def test_small_rest_says_why_it_gets_no_number(self):
        self.company.billpay_issue_on = "manual"
        for asked, paid, rest in ((100000, 99700, "300"), (10000, 9501, "499")):
            for minimum, small in ((500, True), (1000, True), (100, False)):
                with self.subTest(asked=asked, minimum=minimum):
                    self.company.billpay_minimum_rest = minimum
                    move = self._invoice(asked)
                    self.env["account.payment.register"].with_context(
                        active_model="account.move", active_ids=move.ids
                    ).create({"amount": paid})._create_payments()
                    self.assertEqual(move.amount_residual, asked - paid)
                    self.assertEqual(move.billpay_can_issue, not small)
                    if small:
                        with self.assertRaises(UserError) as caught:
                            move.action_billpay_issue()
                        told = str(caught.exception)
                        for part in (rest, str(minimum), move.name, "smallest rest"):
                            self.assertIn(part, told)
                        self.assertFalse(move.billpay_number_id)
                    else:
                        move.action_billpay_issue()
                        self.assertEqual(move.billpay_number_id.amount, asked - paid)

    def test_what_is_no_small_rest_is_asked_for(self):
        self.company.billpay_rest_account_id = self.company_data[
            "default_account_expense"
        ]
        for asked, paid, minimum in (
            (150000, 149500, 500),
            (150000, 149700, 200),
            (150000, 149999, 0),
            # Nobody has most of a bill written off.
            (400, 100, 500),
        ):
            with self.subTest(asked=asked, paid=paid, minimum=minimum):
                self.company.billpay_minimum_rest = minimum
                move = self._invoice(asked)
                number = move.billpay_number_id
                self.assertEqual(number.amount, asked, "a small bill is asked for")
                self.assertBooked(self._post(self._confirmed(number, paid)), paid)
                self.assertEqual(move.amount_residual, asked - paid)
                rest = move.billpay_number_id - number
                self.assertEqual(rest.amount, asked - paid if asked > 400 else 0)

    def test_customers_number_asks_for_a_small_rest_the_next_time(self):
        self.company.billpay_rest_account_id = self.company_data[
            "default_account_expense"
        ]
        move = self._due(50000, "2026-03-10")
        self.assertBooked(self._pay_account(49700), 49700)
        self.assertEqual(move.amount_residual, 300)
        self._pay_account(300)
        self.assertEqual(move.amount_residual, 0)

    def test_small_rest_of_one_of_two_instalments_is_no_rest(self):
        self.company.billpay_rest_account_id = self.company_data[
            "default_account_expense"
        ]
        move = self._invoice(40000, invoice_payment_term_id=self._halves().id)
        first = move.billpay_number_id
        self.assertBooked(self._post(self._confirmed(first, 19800)), 19800)
        self.assertEqual(move.amount_residual, 20200)
        self.assertEqual(move.billpay_number_id.amount, 20200)
        row = self._post(self._confirmed(move.billpay_number_id, 20000))
        self.assertEqual(row.state, "posted", row.reason)
        self.assertEqual(move.payment_state, "paid")

    # === Early payment discount === #

    def test_discount_with_a_fraction_closes_with_whole_shillings(self):
        """2 % of 123,457 is 2,469.14; what the page asks for is rounded up."""
        for asked, paid, discount in (
            (123457, 120988, 2469),
            (99999, 98000, 1999),
            (1234.56, 1210, 24.56),
            # Rounded down by the payer: it is less than a shilling.
            (123457, 120987, 2470),
        ):
            with self.subTest(asked=asked, paid=paid):
                move = self._discounted(asked)
                number = move.billpay_number_id.sudo()
                with freeze_time("2026-03-05 10:00:00"):
                    page = self.env["billpay.pay.page"]._pay_page_values(number, "en")
                self.assertIn(
                    f"{paid:,}" if discount != 2470 else "", page["t"]["early"]
                )
                self.assertIn("11 Mar 2026", page["t"]["early"])
                row = self._post(self._confirmed(number, paid))
                self.assertEqual(row.state, "posted", row.reason)
                self.assertEqual(move.payment_state, "paid")
                self.assertAlmostEqual(self._loss(row).balance, discount)
                [line] = self._receivable(self._entry(row))
                self.assertAlmostEqual(line.balance, -asked)
                self.assertTrue(line.reconciled, "no credit of cents is left")
                self.assertEqual(row.account_payment_ids.amount, paid)
                self.assertFalse(row.attention)

    def test_discount_with_a_fraction_and_taxes_closes_as_well(self):
        for computation in ("included", "excluded", "mixed"):
            with self.subTest(computation):
                move = self._discounted(123457, post=False)
                move.invoice_payment_term_id.early_pay_discount_computation = (
                    computation
                )
                move.invoice_line_ids.tax_ids = self.company_data["default_tax_sale"]
                move.action_post()
                [due] = move.line_ids.filtered("discount_date")
                paid = math.ceil(due.discount_amount_currency)
                row = self._post(self._confirmed(move.billpay_number_id, paid))
                self.assertEqual(row.state, "posted", row.reason)
                self.assertEqual(move.payment_state, "paid")
                [line] = self._receivable(self._entry(row))
                self.assertTrue(line.reconciled)
                self.assertAlmostEqual(
                    sum(self._entry(row).line_ids.mapped("balance")), 0
                )

    def test_page_says_nothing_of_a_discount_that_does_not_hold(self):
        plain, late, part = self._invoice(1000), self._discounted(), self._discounted()
        self._post(self._confirmed(part.billpay_number_id, 1000))
        for move, day in (
            (plain, "2026-03-05"),
            (late, "2026-03-12"),
            (part, "2026-03-05"),
        ):
            with self.subTest(move.name), freeze_time(f"{day} 10:00:00"):
                number = move.billpay_number_id.sudo()
                page = self.env["billpay.pay.page"]._pay_page_values(number, "en")
                self.assertFalse(page["early_amount"])

    def _discounted(self, amount=100000, **values):
        term = self.env["account.payment.term"].create(
            {
                "name": "2% in ten days",
                "early_discount": True,
                "discount_percentage": 2,
                "discount_days": 10,
                "line_ids": [
                    Command.create(
                        {"value": "percent", "value_amount": 100, "nb_days": 30}
                    )
                ],
            }
        )
        return self._invoice(amount, invoice_payment_term_id=term.id, **values)

    def _loss(self, row):
        account = self.company.account_journal_early_pay_discount_loss_account_id
        return self._entry(row).line_ids.filtered(
            lambda line: line.account_id == account
        )

    def test_early_payment_with_discount_closes_the_invoice(self):
        move = self._discounted()
        row = self._post(self._confirmed(move.billpay_number_id, 98000))
        self.assertEqual(row.state, "posted", row.reason)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(self._loss(row).balance, 2000)
        self.assertEqual(self._receivable(self._entry(row)).balance, -100000)
        self.assertEqual(row.account_payment_ids.amount, 98000)
        self.assertFalse(row.attention)

    def test_discount_is_what_odoo_itself_books(self):
        tax = self.company_data["default_tax_sale"]
        move = self._discounted(100000)
        move.button_draft()
        move.invoice_line_ids.tax_ids = tax
        move.action_post()
        due = move.line_ids.filtered(lambda line: line.discount_date)
        twin = move.copy({"invoice_date": move.invoice_date})
        twin.action_post()
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=twin.ids)
            .create({"payment_date": "2026-03-05"})
        )
        theirs = wizard._create_payments().move_id
        amount = due.discount_amount_currency
        row = self._post(self._confirmed(move.billpay_number_id, amount))
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(self._booked(self._entry(row)), self._booked(theirs))

    def _booked(self, entry):
        return sorted(
            (line.account_id.id, line.balance, line.tax_tag_ids.ids)
            for line in entry.line_ids
            if line.account_id.account_type != "asset_current"
        )

    def test_a_changed_payment_keeps_the_tax_of_its_discount(self):
        """Odoo makes one journal item of all that is written off."""
        # The discount is on the tax as well, so both are written off.
        term_values = {"early_pay_discount_computation": "included"}
        move = self._discounted(100000)
        move.button_draft()
        move.invoice_payment_term_id.write(term_values)
        move.invoice_line_ids.tax_ids = self.company_data["default_tax_sale"]
        move.action_post()
        due = move.line_ids.filtered(lambda line: line.discount_date)
        amount = due.discount_amount_currency
        row = self._post(self._confirmed(move.billpay_number_id, amount))
        payment, entry = row.account_payment_ids, self._entry(row)
        self.assertEqual(len(entry.line_ids), 4)
        told = self._said(entry)
        edits = (
            {"payment_reference": "x"},
            {"amount": amount - 1000},
            {"amount": amount, "memo": "y"},
            {"date": "2026-03-06"},
        )
        for values in edits:
            with self.subTest(values):
                before = {name: payment[name] for name in values}
                payment.action_draft()
                payment.sudo().write(values)
                self.assertEqual(self._said(entry)[1], told[1])
                payment.sudo().write(before)
                payment.action_post()
                self.assertEqual(self._said(entry), told)
                self.assertEqual(move.amount_residual, 0)
                self.assertFalse(row.attention, row.reason)

    def _said(self, entry):
        """What the entry says: money and receivable, and what is written off."""
        said = ([], [])
        for line in entry.line_ids:
            tax = (line.tax_ids.ids, line.tax_repartition_line_id.id)
            is_written_off = bool(
                line.account_id.account_type
                not in ("asset_receivable", "asset_current", "asset_cash")
            )
            said[is_written_off].append(
                (
                    line.account_id.id,
                    line.balance,
                    line.amount_currency,
                    line.tax_tag_ids.ids,
                    tax,
                )
            )
        return tuple(sorted(items) for items in said)

    def test_late_payment_gets_no_discount(self):
        move = self._discounted()
        row = self._post(
            self._confirmed(
                move.billpay_number_id, 98000, paid_at="2026-03-20 10:00:00"
            )
        )
        self.assertBooked(row, 98000)
        self.assertEqual(move.amount_residual, 2000)

    def test_less_than_the_discounted_amount_is_a_part(self):
        move = self._discounted()
        self.assertBooked(
            self._post(self._confirmed(move.billpay_number_id, 97000)), 97000
        )
        self.assertEqual(move.amount_residual, 3000)

    def test_early_payment_in_full_takes_no_discount(self):
        move = self._discounted()
        self.assertBooked(
            self._post(self._confirmed(move.billpay_number_id, 100000)), 100000
        )
        self.assertEqual(move.amount_residual, 0)
