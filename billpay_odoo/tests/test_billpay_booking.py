# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Booking in batches: what is in the books, at what price, and what stops what."""

from unittest.mock import patch

from odoo import Command
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .ledger import LedgerCommon

LOG = "odoo.addons.billpay_odoo"
BATCH = 20


@tagged("post_install", "-at_install")
class TestPosting(LedgerCommon):
    def _batch(self, count=BATCH):
        moves = self.env["account.move"]
        rows = self.env["billpay.payment"].sudo()
        for index in range(count):
            move = self._invoice(1000 + index)
            moves |= move
            rows |= self._confirmed(move.billpay_number_id, 1000 + index)
        return moves, rows

    def test_a_credit_note_says_that_money_goes_back_by_hand(self):
        [move], [row] = self._batch(1)
        self._post(row)
        refund = move._reverse_moves([{"invoice_date": "2026-03-20"}])
        refund.action_post()
        self.assertTrue(refund.billpay_refund_by_hand)
        other = self._invoice(5000)._reverse_moves()
        self.assertFalse(other.billpay_refund_by_hand)

    def test_batch_is_booked_and_reconciled(self):
        moves, rows = self._batch()
        self._post(rows)
        for move, row in zip(moves, rows, strict=True):
            self.assertBooked(row, move.amount_total)
            paid = self._receivable(self._entry(row)).matched_debit_ids
            self.assertEqual(paid.debit_move_id.move_id, move)
            self.assertIn(move.payment_state, ("paid", "in_payment"))
            self.assertEqual(move.amount_residual, 0)
            self.assertEqual(move.billpay_number_ids.mapped("state"), ["paid"])

    def test_batch_costs_few_statements(self):
        _moves, rows = self._batch()
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        rows.env["billpay.worker"]._post_due(rows.ids)
        self.env.flush_all()
        spent = self.env.cr.sql_log_count - before
        self.assertEqual(set(rows.mapped("state")), {"posted"})
        self.assertLessEqual(spent, 15 * BATCH)

    def test_larger_batch_hardly_costs_more(self):
        spent = []
        for count in (5, BATCH):
            _moves, rows = self._batch(count)
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            rows.env["billpay.worker"]._post_due(rows.ids)
            self.env.flush_all()
            spent.append(self.env.cr.sql_log_count - before)
        self.assertLess(spent[1] - spent[0], BATCH)

    def test_entries_are_numbered_without_a_gap(self):
        _moves, rows = self._batch(5)
        self._post(rows)
        _moves, more = self._batch(3)
        self._post(more)
        entries = (rows | more).account_payment_ids.move_id.sorted("id")
        numbers = entries.mapped("sequence_number")
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + 8)))
        self.assertEqual(len(set(entries.mapped("name"))), 8)
        for payment in (rows | more).account_payment_ids:
            self.assertEqual(payment.name, payment.move_id.name)

    def test_entries_of_several_days_and_years_have_names_of_their_own(self):
        rows = self.env["billpay.payment"].sudo()
        days = ("2025-12-31", "2026-01-01", "2026-01-01", "2025-12-31", "2026-03-05")
        for day in days:
            move = self._invoice(1000)
            rows |= self._confirmed(
                move.billpay_number_id, 1000, paid_at=day + " 10:00:00"
            )
        self._post(rows)
        for year, count in (("2025", 2), ("2026", 3)):
            entries = rows.account_payment_ids.move_id.filtered(
                lambda entry, year=year: entry.date.year == int(year)
            )
            self.assertEqual(len(entries), count)
            self.assertTrue(all(year in name for name in entries.mapped("name")))
            self.assertEqual(
                sorted(entries.mapped("sequence_number")), list(range(1, count + 1))
            )

    def test_payment_is_like_any_other(self):
        """It opens, goes back to draft, is confirmed again and cancelled."""
        move = self._invoice(5000)
        row = self._post(self._confirmed(move.billpay_number_id, 5000))
        payment = row.account_payment_ids
        self.assertEqual(payment.move_id.origin_payment_id, payment)
        self.assertEqual(payment.move_id.line_ids.payment_id, payment)
        self.assertEqual(payment.reconciled_invoice_ids, move)
        self.assertEqual(payment.amount, 5000)
        self.assertEqual(payment.destination_account_id, self._term(move).account_id)
        self.assertTrue(payment.outstanding_account_id)
        self.assertEqual(payment.payment_method_code, "clickpesa")
        payment.action_draft()
        self.assertEqual(payment.move_id.state, "draft")
        with Form(payment.with_user(self.env.user)) as form:
            form.memo = "Looked at"
        payment.action_post()
        self.assertEqual(payment.move_id.state, "posted")
        self.assertEqual(self._receivable(payment.move_id).credit, 5000)
        payment.action_cancel()
        self.assertEqual(payment.state, "canceled")
        self.assertEqual(move.amount_residual, 5000)
        self.assertTrue(row.attention)

    def _term(self, move):
        return move.line_ids.filtered(lambda line: line.display_type == "payment_term")

    def test_archived_account_stops_only_its_own_payment(self):
        account = self.company_data["default_account_receivable"].copy()
        moves, rows = self._batch(3)
        partner = self.partner.copy({"property_account_receivable_id": account.id})
        bad = self._invoice(700, partner=partner)
        row = self._confirmed(bad.billpay_number_id, 700)
        account.active = False
        with mute_logger(LOG):
            self._post(rows | row, together=False)
        self.assertEqual(row.state, "failed")
        self.assertIn("archived", row.reason)
        self.assertGreater(row.next_try_at, self.env.cr.now())
        for move, good in zip(moves, rows, strict=True):
            self.assertBooked(good, move.amount_total)
        numbers = sorted(self._entry(rows).mapped("sequence_number"))
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + 3)))
        account.active = True
        row.next_try_at = False
        self.assertBooked(self._post(row), 700)
        self.assertEqual(bad.amount_residual, 0)

    def test_hash_locked_journal_is_hashed(self):
        self.company_data["default_journal_bank"].restrict_mode_hash_table = True
        _moves, rows = self._batch(3)
        self._post(rows)
        entries = self._entry(rows).sorted("sequence_number")
        self.assertTrue(all(entries.mapped("inalterable_hash")))
        self.assertEqual(
            entries.mapped("secure_sequence_number"),
            sorted(entries.mapped("secure_sequence_number")),
        )

    def test_bad_one_of_many_costs_few_more_tries(self):
        moves, rows = self._batch(16)
        tries = []
        booking = type(self.env["billpay.booking"])
        book = booking._book

        def counted(service, payments):
            tries.append(len(payments))
            if rows[5] in payments:
                raise ZeroDivisionError
            return book(service, payments)

        with (
            patch.object(booking, "_book", counted),
            mute_logger(LOG),
        ):
            self._post(rows, together=False)
        self.assertEqual(rows[5].state, "failed")
        self.assertIn("server's log", rows[5].reason)
        self.assertEqual(set((rows - rows[5]).mapped("state")), {"posted"})
        self.assertEqual(sorted(tries), [1, 1, 2, 2, 4, 4, 8, 8, 16])

    def test_closed_journal_stops_only_its_application(self):
        moves, rows = self._batch(2)
        journal = self.company_data["default_journal_bank"].copy()
        other = self._make_application(
            self.company, clickpesa_client_id="IDother", name="Other"
        )
        other.journal_id = journal
        move = self._invoice(700)
        move.billpay_number_ids.sudo()._close()
        number = self.env["billpay.control.number"]._reserve(
            other.sudo(), [{"move_id": move.id, "partner_id": self.partner.id}]
        )
        number.sudo().write({"state": "open", "confirmed_at": self.env.cr.now()})
        row = self._confirmed(number, 700, provider_id=other.id)
        journal.active = False
        with mute_logger(LOG):
            self._post(rows | row, together=False)
        self.assertEqual(row.state, "failed")
        for good_move, good in zip(moves, rows, strict=True):
            self.assertBooked(good, good_move.amount_total)

    def test_locked_period_books_on_the_first_open_day(self):
        moves, rows = self._batch(2)
        self.company.fiscalyear_lock_date = "2026-04-30"
        self._post(rows)
        for move, row in zip(moves, rows, strict=True):
            self.assertBooked(row, move.amount_total)
            self.assertEqual(str(self._entry(row).date), "2026-05-01")
            self.assertEqual(str(row.account_payment_ids.date), "2026-05-01")
            self.assertEqual(str(row.paid_at.date()), "2026-03-05")

    def test_analytic_rules_are_still_asked(self):
        analytic = self.env["account.analytic.account"].create(
            {
                "name": "Shule",
                "plan_id": self.env["account.analytic.plan"]
                .create({"name": "Branches"})
                .id,
            }
        )
        self.env["account.analytic.distribution.model"].create(
            {
                "partner_id": self.partner.id,
                "analytic_distribution": {str(analytic.id): 100},
            }
        )
        move = self._invoice(5000)
        row = self._post(self._confirmed(move.billpay_number_id, 5000))
        self.assertEqual(
            self._receivable(self._entry(row)).analytic_distribution,
            {str(analytic.id): 100},
        )

    def _tax_on_payment(self):
        self.company.tax_exigibility = True
        account = self.company_data["default_account_revenue"]
        return self.company_data["default_tax_sale"].copy(
            {
                "name": "On payment",
                "tax_exigibility": "on_payment",
                "cash_basis_transition_account_id": account.copy(
                    {"reconcile": True}
                ).id,
            }
        )

    def test_tax_due_on_payment_is_of_each_payments_day(self):
        """As when the payments are registered one by one."""
        tax = self._tax_on_payment()
        moves = self.env["account.move"]
        for _i in range(2):
            move = self._invoice(10000, post=False)
            move.invoice_line_ids.tax_ids = tax
            move.action_post()
            moves |= move
        ours, theirs = moves
        half = ours.amount_total / 2
        days = ("2026-03-05", "2026-04-05")
        rows = self.env["billpay.payment"].sudo()
        for day in days:
            paid_at = f"{day} 10:00:00"
            rows |= self._confirmed(ours.billpay_number_id, half, paid_at=paid_at)
        self._post(rows)
        for day in days:
            self.env["account.payment.register"].with_context(
                active_model="account.move", active_ids=theirs.ids
            ).create({"amount": half, "payment_date": day})._create_payments()
        self.assertEqual(moves.mapped("amount_residual"), [0, 0])
        taxes = [
            sorted(
                (str(line.date), line.account_id.code, line.balance)
                for line in move.tax_cash_basis_created_move_ids.line_ids
            )
            for move in moves
        ]
        self.assertEqual(taxes[0], taxes[1])
        self.assertEqual(len(taxes[0]), 8)

    def _closed_tax_period(self, kind, locks):
        """Pay an invoice with taxes; return row and invoice. ``kind``: see below."""
        tax, values = self.company_data["default_tax_sale"], {}
        if kind == "on payment":
            tax = self._tax_on_payment()
        elif kind == "discount":
            term = self.env["account.payment.term"].create(
                {
                    "name": "2% in ten days",
                    "early_discount": True,
                    "discount_percentage": 2,
                    "discount_days": 10,
                    "early_pay_discount_computation": "included",
                    "line_ids": [
                        Command.create(
                            {"value": "percent", "value_amount": 100, "nb_days": 30}
                        )
                    ],
                }
            )
            values["invoice_payment_term_id"] = term.id
        move = self._invoice(100000, post=False, **values)
        move.invoice_line_ids.tax_ids = tax
        move.action_post()
        due = move.line_ids.filtered(lambda line: line.display_type == "payment_term")
        amount = due.discount_amount_currency or due.amount_residual
        self.company.sudo().write(locks)
        row = self._post(self._confirmed(move.billpay_number_id, amount))
        self.assertEqual(row.state, "posted", row.reason)
        self.assertEqual(move.amount_residual, 0)
        return row, move

    def test_closed_tax_period_books_taxes_on_the_first_open_day(self):
        fiscal = {"fiscalyear_lock_date": "2026-02-28", "tax_lock_date": "2026-03-31"}
        later = {"fiscalyear_lock_date": "2026-04-30", "tax_lock_date": "2026-03-31"}
        sales = {"sale_lock_date": "2026-06-30", "tax_lock_date": "2026-03-31"}
        for kind, locks, day in (
            ("on payment", {"tax_lock_date": "2026-03-31"}, "2026-04-01"),
            ("on payment", later, "2026-05-01"),
            ("discount", {"tax_lock_date": "2026-03-31"}, "2026-04-01"),
            ("discount", fiscal, "2026-04-01"),
            ("discount", sales, "2026-04-01"),
            # Nothing of it is in the tax report: the day of the payment.
            ("plain", {"tax_lock_date": "2026-03-31"}, "2026-03-05"),
        ):
            savepoint = self.env.cr.savepoint()
            with self.subTest(kind, locks=locks), savepoint:
                row, move = self._closed_tax_period(kind, locks)
                taxes = move.tax_cash_basis_created_move_ids
                self.assertEqual(len(taxes), int(kind == "on payment"))
                entries = self._entry(row) | taxes
                self.assertEqual(set(entries.mapped("state")), {"posted"})
                self.assertEqual(set(map(str, entries.mapped("date"))), {day})
                self.assertEqual(str(row.account_payment_ids.date), day)
                savepoint.rollback()
                self.env.invalidate_all()

    def test_entry_with_taxes_of_a_closed_period_is_undone_on_an_open_day(self):
        for kind in ("on payment", "discount"):
            savepoint = self.env.cr.savepoint()
            with self.subTest(kind), savepoint:
                row, move = self._closed_tax_period(kind, {})
                entry = self._entry(row)
                self.company.sudo().tax_lock_date = "2026-03-31"
                self.env["billpay.decision"]._undo_match(row, "Wrong one")
                self.assertEqual(row.state, "unmatched", row.reason)
                self.assertEqual(move.amount_residual, move.amount_total)
                for reverse in entry.reversal_move_ids:
                    self.assertGreater(str(reverse.date), "2026-03-31")
                savepoint.rollback()
                self.env.invalidate_all()

    def test_entry_with_taxes_of_a_closed_period_is_taken_back_on_an_open_day(self):
        for kind in ("on payment", "discount"):
            savepoint = self.env.cr.savepoint()
            with self.subTest(kind), savepoint:
                row, move = self._closed_tax_period(kind, {})
                entry = self._entry(row)
                self.company.sudo().tax_lock_date = "2026-03-31"
                row.write({"status": "REVERSED", "told_at": "2026-03-20 10:00:00"})
                self.env["billpay.reversal"].sudo()._take_back(row)
                self.assertEqual(row.state, "reversed", row.reason)
                self.assertEqual(move.amount_residual, move.amount_total)
                day = "2026-04-01" if kind == "discount" else "2026-03-20"
                mirror = entry.reversal_move_ids
                self.assertEqual((mirror.state, str(mirror.date)), ("posted", day))
                taxes = move.tax_cash_basis_created_move_ids
                balance = sum(taxes.line_ids.filtered("tax_line_id").mapped("balance"))
                self.assertEqual(balance, 0)
                savepoint.rollback()
                self.env.invalidate_all()

    def test_order_of_a_part_stands_when_an_invoice_is_paid_twice(self):
        first, second = self._invoice(10000), self._invoice(20000)
        rows = self._confirmed(first.billpay_number_id, 6000)
        rows |= self._confirmed(
            "1122999999",
            9000,
            matched_partner_id=self.partner.id,
            allocation_ids=[
                Command.create({"move_id": first.id, "amount": 4000, "sequence": 1}),
                Command.create({"move_id": second.id, "amount": 5000, "sequence": 2}),
            ],
        )
        self._post(rows)
        self.assertEqual(first.amount_residual, 0)
        self.assertEqual(second.amount_residual, 15000)

    def test_persons_choice_is_booked_in_its_order(self):
        """Part of one invoice, another of somebody else, the rest is credit."""
        sister = self.partner.copy({"name": "Neema Hamisi"})
        first, second = self._invoice(50000), self._invoice(20000, partner=sister)
        row = self._confirmed("1122999999", 100000, state="unmatched")
        row.write(
            {
                "matched_partner_id": self.partner.id,
                "state": "confirmed",
                "allocation_ids": [
                    (0, 0, {"move_id": first.id, "amount": 30000, "sequence": 1}),
                    (0, 0, {"move_id": second.id, "amount": 90000, "sequence": 2}),
                ],
            }
        )
        self._post(row)
        self.assertEqual(row.state, "posted", row.reason)
        self.assertEqual(first.amount_residual, 20000)
        self.assertEqual(second.amount_residual, 0)
        lines = self._receivable(self._entry(row))
        self.assertEqual(sum(lines.mapped("credit")), 100000)
        credit = lines.filtered(lambda line: line.amount_residual)
        self.assertEqual(credit.mapped("partner_id"), self.partner)
        self.assertEqual(sum(credit.mapped("amount_residual")), -50000)
        self.assertEqual(sum(row.account_payment_ids.mapped("amount")), 100000)
        self.assertFalse(row.attention)
        # Its own number keeps asking for the rest.
        self.assertEqual(first.billpay_number_id.amount, 20000)

    def test_persons_choice_pays_no_more_than_chosen(self):
        """Two invoices of one customer, a part of the older one."""
        older, newer = self._invoice(50000), self._invoice(20000)
        row = self._confirmed(
            "1122999999",
            45000,
            matched_partner_id=self.partner.id,
            allocation_ids=[
                Command.create({"move_id": older.id, "amount": 30000}),
                Command.create({"move_id": newer.id, "amount": 10000}),
            ],
        )
        self._post(row)
        self.assertEqual(row.state, "posted", row.reason)
        self.assertEqual(older.amount_residual, 20000)
        self.assertEqual(newer.amount_residual, 10000)
        lines = self._receivable(self._entry(row))
        self.assertEqual(sum(lines.mapped("amount_residual")), -5000)
        self.assertEqual(sum(row.account_payment_ids.mapped("amount")), 45000)

    def test_persons_choice_of_a_customer_is_credit(self):
        row = self._confirmed("1122999999", 7000, matched_partner_id=self.partner.id)
        self.assertBooked(self._post(row), 7000)
        credit = self._receivable(self._entry(row))
        self.assertEqual(credit.partner_id, self.partner)
        self.assertEqual(credit.amount_residual, -7000)
        self.assertFalse(row.attention)

    def test_persons_choice_is_not_told_on_the_numbers_invoice(self):
        move = self._invoice(5000)
        row = self._confirmed(
            move.billpay_number_id, 5000, matched_partner_id=self.partner.copy().id
        )
        before = move.message_ids
        self.assertBooked(self._post(row), 5000)
        self.assertEqual(move.amount_residual, 5000)
        self.assertEqual(move.message_ids, before)
        # ClickPesa closes a number when it is paid: the invoice asks by another.
        self.assertEqual(move.billpay_number_id.amount, 5000)
        self.assertEqual(move.billpay_number_id.state, "open")

    def test_entry_is_of_the_commercial_partner(self):
        company = self.env["res.partner"].create({"name": "Duka", "is_company": True})
        clerk = self.partner.copy({"parent_id": company.id})
        move = self._invoice(5000, partner=clerk)
        row = self._post(self._confirmed(move.billpay_number_id, 5000))
        self.assertEqual(self._entry(row).line_ids.partner_id, company)
        self.assertEqual(row.partner_id, clerk)
