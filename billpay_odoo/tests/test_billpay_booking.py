# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Booking in batches: what is in the books, at what price, and what stops what."""

from unittest.mock import patch

from odoo import Command
from odoo.exceptions import AccessError, RedirectWarning, UserError
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
            move = self._invoice(1000, invoice_date=day)
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


@tagged("post_install", "-at_install")
class TestBookedAgain(LedgerCommon):
    """Odoo payments and invoices that leave the books and come back."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.clerk = cls._user("books_clerk", "account.group_account_invoice")

    def _booked(self, amount=150000, paid=None, **values):
        move = self._invoice(amount, **values)
        row = self._confirmed(move.billpay_number_id, paid or move.amount_total)
        return move, self._post(row)

    def _partials(self, entry):
        lines = entry.line_ids
        return (lines.matched_debit_ids | lines.matched_credit_ids).sorted("id")

    # === Edits of what is booked === #

    def _edits(self, payment):
        other = self.partner.copy({"name": "Neema"})
        bank = self.company_data["default_journal_bank"].copy()
        receivable = self.company_data["default_account_receivable"].copy()
        return {
            "amount": 15000,
            "partner_id": other.id,
            "date": "2026-03-20",
            "currency_id": self.env.ref("base.USD").id,
            "journal_id": bank.id,
            "destination_account_id": receivable.id,
            "outstanding_account_id": self.company_data["default_account_expense"].id,
            "payment_type": "outbound",
        }

    def test_what_is_booked_is_not_edited_in_the_payment(self):
        _move, row = self._booked()
        payment = row.account_payment_ids.with_user(self.clerk)
        for state in ("posted", "draft"):
            for name, value in self._edits(payment).items():
                with (
                    self.subTest(state=state, field=name),
                    self.assertRaises(RedirectWarning) as caught,
                ):
                    payment.write({name: value})
                text, action, button, _context = caught.exception.args
                self.assertIn(row.display_name, text)
                self.assertIn("150,000", text)
                self.assertEqual(button, "Undo Match")
                self.assertEqual(action["res_model"], "billpay.payment.reason")
            if state == "posted":
                payment.action_draft()
        payment.action_post()
        self.assertBooked(row, 150000)
        self.assertFalse(row.attention)

    def test_what_is_booked_is_not_edited_in_its_entry(self):
        _move, row = self._booked()
        payment = row.account_payment_ids.with_user(self.clerk)
        payment.action_draft()
        entry = payment.move_id
        debit = entry.line_ids.filtered("debit")
        other = self.partner.copy({"name": "Neema"})
        expense = self.company_data["default_account_expense"]
        edits = {
            "customer": lambda: entry.write({"partner_id": other.id}),
            "date": lambda: entry.write({"date": "2026-03-20"}),
            "items": lambda: entry.write(
                {"line_ids": [Command.update(debit.id, {"debit": 15000})]}
            ),
            "account": lambda: debit.write({"account_id": expense.id}),
            "amount": lambda: debit.write({"amount_currency": 15000}),
            "owner": lambda: entry.line_ids.write({"partner_id": other.id}),
            "new item": lambda: entry.line_ids.create(
                {"move_id": entry.id, "account_id": expense.id}
            ),
            "no item": lambda: debit.unlink(),
        }
        for name, edit in edits.items():
            with self.subTest(name), self.assertRaises(RedirectWarning):
                edit()
        payment.action_post()
        self.assertBooked(row, 150000)
        self.assertFalse(row.attention)

    def test_who_may_not_undo_gets_no_button(self):
        _move, row = self._booked()
        payment = row.account_payment_ids.with_user(self._user("books_guest"))
        with self.assertRaises(UserError) as caught:
            payment._billpay_refuse_edit()
        self.assertNotIsInstance(caught.exception, AccessError)

    def test_an_edit_that_came_through_is_told_with_both_figures(self):
        other = self.partner.copy({"name": "Neema"})
        edits = {
            "15,000": {"amount": 15000},
            "Neema": {"partner_id": other.id},
            "04/01/2026": {"date": "2026-04-01"},
            "1,500,000": {"amount": 1500000, "memo": "x"},
        }
        for told, values in edits.items():
            with self.subTest(values):
                move, row = self._booked()
                payment = row.account_payment_ids
                before = {name: payment[name] for name in values}
                payment.action_draft()
                payment.sudo().write(values)
                payment.action_post()
                self.assertEqual(row.state, "posted")
                self.assertTrue(row.attention)
                self.assertIn("150,000", row.reason)
                self.assertIn(told, row.reason)
                # Set back, it is as it was: the invoice is paid and nothing is to do.
                payment.action_draft()
                payment.sudo().write(before)
                payment.action_post()
                self.assertFalse(row.attention, row.reason)
                self.assertFalse(row.reason)
                self.assertBooked(row, 150000)
                self.assertEqual(move.amount_residual, 0)

    def test_a_match_is_undone_whatever_became_of_the_entry(self):
        """What is in no books is not reversed in them."""
        leave = {
            "draft": lambda payment: payment.action_draft(),
            "cancelled": lambda payment: payment.action_cancel(),
            "reset": lambda payment: payment.move_id.button_draft(),
            "cancelled entry": lambda payment: payment.move_id.button_cancel(),
        }
        for name, act in leave.items():
            with self.subTest(name):
                move, row = self._booked()
                payment, entry = row.account_payment_ids, self._entry(row)
                act(payment.with_user(self.clerk))
                decision = self.env["billpay.decision"]
                decision._undo_match(row.with_user(self.clerk), "Wrong")
                self.assertEqual(row.state, "unmatched")
                self.assertEqual((payment.state, entry.state), ("canceled", "cancel"))
                self.assertFalse(entry.reversal_move_ids)
                self.assertEqual(move.amount_residual, 150000)

    def test_an_edit_that_came_through_is_undone_and_matched_again(self):
        """As the reason in To Do says."""
        for values in ({"amount": 15000}, {"date": "2026-04-01"}):
            with self.subTest(values):
                move, row = self._booked()
                payment = row.account_payment_ids
                payment.action_draft()
                payment.sudo().write(values)
                payment.action_post()
                self.assertIn("Undo Match", row.reason)
                decision, mine = self.env["billpay.decision"], row.with_user(self.clerk)
                decision._undo_match(mine, "Changed")
                bill = [(move.with_user(self.clerk), 150000)]
                decision._match_by_hand(mine, bill, self.env["res.partner"])
                self.assertBooked(row, 150000)
                self.assertEqual(move.amount_residual, 0)
                self.assertFalse(row.attention)
                self.assertEqual(payment.move_id.state, "cancel")

    def test_two_parts_out_of_the_books_are_two_warnings(self):
        first, second = self._invoice(50000), self._invoice(20000)
        row = self._confirmed(
            "1122999999",
            40000,
            matched_partner_id=self.partner.id,
            allocation_ids=[
                Command.create({"move_id": first.id, "amount": 30000}),
                Command.create({"move_id": second.id, "amount": 10000}),
            ],
        )
        one, two = self._post(row).account_payment_ids
        one.action_cancel()
        two.action_cancel()
        for payment, attention in ((one, True), (two, False)):
            payment.action_draft()
            payment.action_post()
            self.assertEqual(row.attention, attention)
        self.assertEqual((first + second).mapped("amount_residual"), [20000, 10000])
        self.assertEqual(row.credit_open, 0)

    def test_an_edit_from_before_the_upgrade_is_compared_with_the_ledger(self):
        for values in ({"amount": 15000}, {"currency_id": self.env.ref("base.USD").id}):
            with self.subTest(values):
                _move, row = self._booked()
                payment = row.account_payment_ids
                payment.action_draft()
                payment.move_id.sudo().billpay_before = False
                payment.sudo().write(values)
                payment.action_post()
                self.assertTrue(row.attention)
                self.assertIn("150,000", row.reason)

    # === Cancelled and confirmed again === #

    def _leave_and_return(self, payment, how):
        """As the reason in To Do says."""
        payment = payment.with_user(self.clerk)
        entry = payment.move_id
        if how == "payment":
            payment.action_cancel()
            payment.action_draft()
            payment.action_post()
        elif how == "draft first":
            payment.action_draft()
            payment.action_cancel()
            payment.action_draft()
            payment.action_post()
        elif how == "draft":
            payment.action_draft()
            payment.action_post()
        else:
            entry.button_draft()
            entry.button_cancel()
            entry.button_draft()
            entry.action_post()
        self.env.invalidate_all()

    WAYS = ("payment", "draft first", "draft", "entry")

    def test_confirmed_again_it_pays_what_it_paid(self):
        for how in self.WAYS:
            for paid, left, credit in (
                (150000, 0, 0),
                (60000, 90000, 0),
                (170000, 0, 20000),
            ):
                with self.subTest(how=how, paid=paid):
                    move, row = self._booked(paid=paid)
                    numbers = move.billpay_number_ids
                    told = row.attention, row.reason
                    entry, payment = self._entry(row), row.account_payment_ids
                    self._leave_and_return(payment, how)
                    self.assertEqual(self._entry(row), entry)
                    self.assertBooked(row, paid)
                    self.assertIn(payment.state, ("in_process", "paid"))
                    self.assertEqual(move.amount_residual, left)
                    self.assertEqual(row.credit_open, credit)
                    self.assertEqual((row.attention, row.reason), told)
                    asking = move.billpay_number_ids._living()
                    self.assertEqual(asking.mapped("amount"), [left] if left else [])
                    self.assertEqual(move.billpay_number_ids, numbers)

    def test_confirmed_again_it_pays_what_a_person_chose(self):
        for how in self.WAYS:
            with self.subTest(how):
                first, second = self._invoice(50000), self._invoice(20000)
                row = self._confirmed(
                    "1122999999",
                    45000,
                    matched_partner_id=self.partner.id,
                    allocation_ids=[
                        Command.create(
                            {"move_id": first.id, "amount": 30000, "sequence": 1}
                        ),
                        Command.create(
                            {"move_id": second.id, "amount": 10000, "sequence": 2}
                        ),
                    ],
                )
                self._post(row)
                self._leave_and_return(row.account_payment_ids[0], how)
                self.assertEqual(first.amount_residual, 20000)
                self.assertEqual(second.amount_residual, 10000)
                self.assertEqual(row.credit_open, 5000)
                self.assertFalse(row.attention, row.reason)

    def test_confirmed_again_it_pays_an_invoice_in_dollars(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        self.env["res.currency.rate"].create(
            {
                "name": "2026-03-01",
                "currency_id": usd.id,
                "rate": 1 / 2500,
                "company_id": self.company.id,
            }
        )
        for how in self.WAYS:
            for paid, left in ((250000, 0), (100000, 60)):
                with self.subTest(how=how, paid=paid):
                    move, row = self._booked(100, paid, currency_id=usd.id)
                    self.assertEqual(move.amount_residual, left)
                    self._leave_and_return(row.account_payment_ids, how)
                    self.assertEqual(move.amount_residual, left)
                    self.assertEqual(row.credit_open, 0)
                    self.assertFalse(row.attention, row.reason)

    def test_confirmed_again_it_is_on_the_bank_statement_as_before(self):
        for how in self.WAYS:
            with self.subTest(how):
                move, row = self._booked()
                payment, entry = row.account_payment_ids, self._entry(row)
                account = payment.outstanding_account_id
                bank = self.env["account.move"].create(
                    {
                        "journal_id": entry.journal_id.id,
                        "date": "2026-03-06",
                        "line_ids": [
                            Command.create({"account_id": item.id, "balance": balance})
                            for item, balance in (
                                (account, -150000),
                                (entry.journal_id.default_account_id, 150000),
                            )
                        ],
                    }
                )
                bank.action_post()
                items = (entry | bank).line_ids
                items = items.filtered(lambda i, a=account: i.account_id == a)
                items.reconcile()
                self._leave_and_return(payment, how)
                self.assertEqual(items.mapped("reconciled"), [True, True])
                self.assertEqual(move.amount_residual, 0)
                self.assertFalse(row.attention, row.reason)

    def test_confirmed_again_what_was_paid_otherwise_stays_in_sight(self):
        for cash, left in ((150000, 150000), (100000, 100000)):
            with self.subTest(cash=cash):
                move, row = self._booked()
                payment = row.account_payment_ids.with_user(self.clerk)
                payment.action_cancel()
                self.env["account.payment.register"].with_context(
                    active_model="account.move", active_ids=move.ids
                ).create({"amount": cash})._create_payments()
                payment.action_draft()
                payment.action_post()
                self.assertBooked(row, 150000)
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(row.credit_open, left)
                self.assertTrue(row.attention)
                self.assertIn(move.name, row.reason)
                self.assertIn("Use Credit", row.reason)

    def test_a_warning_of_another_cause_stays(self):
        for how in self.WAYS:
            with self.subTest(how):
                _move, row = self._booked()
                row._flag("ClickPesa now reports another amount.")
                self._leave_and_return(row.account_payment_ids, how)
                self.assertTrue(row.attention)
                self.assertEqual(row.reason, "ClickPesa now reports another amount.")

    def test_mirror_that_counts_no_more_leaves_no_warning(self):
        for leave in ("button_draft", "button_cancel"):
            with self.subTest(leave):
                move, row = self._booked()
                entry = self._entry(row)
                mirror = entry._reverse_moves([{"date": entry.date}], cancel=False)
                mirror.action_post()
                self.assertTrue(row.attention)
                self.assertIn("not in the books", row.reason)
                if leave == "button_cancel":
                    mirror.button_draft()
                getattr(mirror.with_user(self.clerk), leave)()
                self.assertFalse(row.attention, row.reason)
                self.assertFalse(row.reason)
                self.assertBooked(row, 150000)
                self.assertEqual(move.amount_residual, 0)
                # Posted again, it counts again.
                if mirror.state == "cancel":
                    mirror.button_draft()
                mirror.action_post()
                self.assertTrue(row.attention)

    def test_one_of_two_mirrors_still_counts(self):
        _move, row = self._booked()
        entry = self._entry(row)
        mirrors = [
            entry._reverse_moves([{"date": entry.date}], cancel=False)
            for _each in range(2)
        ]
        for mirror in mirrors:
            mirror.action_post()
        for mirror, attention in zip(mirrors, (True, False), strict=True):
            mirror.button_draft()
            self.assertEqual(row.attention, attention, row.reason)

    # === Invoices that are cancelled, credited, and come back === #

    def test_an_invoice_confirmed_again_unchanged_moves_nothing(self):
        ways = {
            "draft": lambda move: move.button_draft(),
            "cancelled": lambda move: move.button_cancel(),
            "draft, then cancelled": lambda move: (
                move.button_draft(),
                move.button_cancel(),
            ),
        }
        for how, leave in ways.items():
            for paid, left in ((150000, 0), (60000, 90000), (170000, 0)):
                with self.subTest(how=how, paid=paid):
                    move, row = self._booked(paid=paid)
                    told = row.attention, row.reason, row.credit_open
                    numbers = move.billpay_number_ids
                    asked = numbers.mapped(lambda n: (n.name, n.state, n.amount))
                    entry, partials = self._entry(row), self._partials(move)
                    leave(move.with_user(self.clerk))
                    self.assertTrue(row.attention)
                    self.assertIn(move.display_name, row.reason)
                    if move.state == "cancel":
                        move.with_user(self.clerk).button_draft()
                    move.with_user(self.clerk).action_post()
                    self.env.invalidate_all()
                    self.assertEqual(move.amount_residual, left)
                    self.assertEqual((row.attention, row.reason, row.credit_open), told)
                    self.assertEqual(self._entry(row), entry)
                    if how == "draft":
                        self.assertEqual(self._partials(move), partials)
                    self.assertEqual(move.billpay_number_ids, numbers)
                    self.assertEqual(
                        numbers.mapped(lambda n: (n.name, n.state, n.amount)), asked
                    )

    def test_an_invoice_changed_and_confirmed_again_asks_for_the_rest(self):
        for how in ("draft", "cancelled"):
            for price, left, credit in ((200000, 50000, 0), (100000, 0, 50000)):
                with self.subTest(how=how, price=price):
                    move, row = self._booked()
                    if how == "cancelled":
                        move.button_cancel()
                    move.with_user(self.clerk).button_draft() if (
                        move.state != "draft"
                    ) else None
                    move.invoice_line_ids.price_unit = price
                    move.with_user(self.clerk).action_post()
                    self.env.invalidate_all()
                    self.assertEqual(move.amount_residual, left)
                    self.assertEqual(row.credit_open, credit)
                    asking = move.billpay_number_ids._living()
                    self.assertEqual(asking.mapped("amount"), [left] if left else [])
                    self.assertEqual(row.attention, bool(credit))
                    if credit:
                        self.assertIn("50,000", row.reason)
                        other = self._invoice(50000)
                        row.env["billpay.decision"]._use_credit(
                            row.with_user(self.clerk), other.with_user(self.clerk)
                        )
                        self.assertFalse(row.attention, row.reason)

    def test_money_does_not_follow_an_invoice_to_another_customer(self):
        for reach in ("commercial", "contact"):
            with self.subTest(reach):
                self.company.billpay_entries_on = reach
                move, row = self._booked()
                move.button_cancel()
                move.button_draft()
                move.partner_id = self.partner.copy({"name": "Neema"})
                move.with_user(self.clerk).action_post()
                self.env.invalidate_all()
                self.assertEqual(move.amount_residual, 150000)
                self.assertEqual(row.credit_open, 150000)
                self.assertTrue(row.attention)
                self.assertIn(move.name, row.reason)

    def test_warning_names_whose_the_money_is(self):
        for who in ("Neema", "Asha & Sons", "Zawadi (2)"):
            with self.subTest(who):
                move, row = self._booked()
                move.button_cancel()
                move.button_draft()
                move.partner_id = self.partner.copy({"name": who})
                move.with_user(self.clerk).action_post()
                self.env.invalidate_all()
                self.assertEqual(move.amount_residual, 150000)
                self.assertEqual(row.credit_open, 150000)
                self.assertIn("credit of " + self.partner.name, row.reason)
                self.assertNotIn(who, row.reason)
                [item] = self._receivable(self._entry(row))
                self.assertEqual(item.partner_id, self.partner)
                self.assertEqual(item.amount_residual, -150000)

    def test_money_that_was_taken_back_pays_nothing_again(self):
        for status, paid in (("REVERSED", 150000), ("REFUNDED", 60000), ("FAILED", 1)):
            with self.subTest(status):
                move, row = self._booked(paid=paid)
                # Alert only: its entry stands.
                row.status = status
                move.button_cancel()
                self.assertFalse(row.attention)
                move.button_draft()
                move.with_user(self.clerk).action_post()
                self.env.invalidate_all()
                self.assertEqual(move.amount_residual, 150000)
                self.assertEqual(row.credit_open, paid)

    def test_money_that_came_while_the_invoice_was_closed_pays_it(self):
        for paid, left in ((150000, 0), (50000, 100000)):
            with self.subTest(paid=paid):
                move = self._invoice(150000)
                number = move.billpay_number_id
                move.button_draft()
                row = self._post(self._confirmed(number, paid))
                self.assertEqual(row.credit_open, paid)
                move.with_user(self.clerk).action_post()
                self.env.invalidate_all()
                self.assertEqual(move.amount_residual, left)
                self.assertEqual(row.credit_open, 0)
                asking = move.billpay_number_ids._living()
                self.assertEqual(asking.mapped("amount"), [left] if left else [])

    def test_a_cancelled_invoice_leaves_money_to_do(self):
        move, row = self._booked()
        move.with_user(self.clerk).button_cancel()
        self.assertEqual((row.state, row.credit_open), ("posted", 150000))
        self.assertTrue(row.attention)
        self.assertIn(move.name, row.reason)
        self.assertIn("150,000", row.reason)
        self.assertIn(row, row.search(row._todo_domain()))
        # Used for another invoice, nothing is left to do.
        other = self._invoice(150000)
        row.env["billpay.decision"]._use_credit(
            row.with_user(self.clerk), other.with_user(self.clerk)
        )
        self.assertEqual(other.amount_residual, 0)
        self.assertFalse(row.attention, row.reason)

    def test_a_credited_invoice_leaves_money_to_do(self):
        for how in ("kept", "reversed", "part"):
            with self.subTest(how):
                move, row = self._booked()
                refund = move._reverse_moves(
                    [{"invoice_date": "2026-03-20"}], cancel=how == "reversed"
                )
                if how == "part":
                    refund.invoice_line_ids.price_unit = 50000
                if refund.state == "draft":
                    self.assertFalse(row.attention)
                    refund.with_user(self.clerk).action_post()
                self.assertTrue(row.attention)
                self.assertIn(move.name, row.reason)
                self.assertIn("50,000", row.reason)
                # The money goes back, from the credit note or from the credit.
                owed = self._receivable(
                    self._entry(row) if how == "reversed" else refund
                )
                journal = self.company_data["default_journal_cash"]
                payout = self.env["account.payment"].create(
                    {
                        "payment_type": "outbound",
                        "partner_id": self.partner.id,
                        "amount": abs(owed.amount_residual),
                        "currency_id": self.tzs.id,
                        "journal_id": journal.id,
                    }
                )
                payout.action_post()
                (owed | self._receivable(payout.move_id)).reconcile()
                self.assertFalse(row.attention, row.reason)
                # Is the payout taken back, the money is in sight again.
                payout.action_cancel()
                self.assertTrue(row.attention)

    def test_an_unreconciled_invoice_leaves_money_to_do(self):
        move, row = self._booked()
        self._receivable(move).remove_move_reconcile()
        self.assertTrue(row.attention)
        self.assertIn(move.name, row.reason)
        (self._receivable(move) | self._receivable(self._entry(row))).reconcile()
        self.assertFalse(row.attention)
