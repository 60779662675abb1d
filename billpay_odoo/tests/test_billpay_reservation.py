# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What numbers ask for: modes, changes, instalments, other currencies, maxima."""

from datetime import datetime, time, timedelta
from unittest.mock import patch

from freezegun import freeze_time

from odoo import Command, fields
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestNumberAsking(BillPayCommon):
    def _upstream(self, number):
        return {n["number"]: n for n in self.sandbox.numbers()}[number.name]

    def _cash(self, move, amount, date="2026-03-05"):
        """Register a payment that has nothing to do with ClickPesa."""
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        ).create(
            {
                "amount": amount,
                "payment_date": date,
                "journal_id": self.company_data["default_journal_cash"].id,
            }
        ).action_create_payments()

    # === Modes === #

    def test_mode_of_the_invoice_beats_customer_beats_company(self):
        self.company.billpay_default_mode = "exact"
        self.assertEqual(self._invoice().billpay_number_id.mode, "exact")
        self.partner.billpay_mode = "flexible"
        self.assertEqual(self._invoice().billpay_number_id.mode, "flexible")
        move = self._invoice(billpay_mode="exact")
        self.assertEqual(move.billpay_number_id.mode, "exact")

    def test_contact_follows_its_company_as_a_customer(self):
        self.partner.billpay_mode = "exact"
        child = self.env["res.partner"].create(
            {"name": "Duka tawi", "parent_id": self.partner.id, "type": "invoice"}
        )
        self.assertEqual(self._invoice(partner=child).billpay_mode, "exact")

    def test_changed_default_leaves_confirmed_invoices_alone(self):
        move = self._registered_invoice()
        self.company.billpay_default_mode = "exact"
        self._cash(move, 1000)
        self.assertEqual(move.billpay_number_id.mode, "flexible")

    def test_open_number_names_no_amount_and_no_mode(self):
        move = self._registered_invoice(billpay_mode="open")
        number = move.billpay_number_id
        self.assertRecordValues(number, [{"amount": 0, "mode": "flexible"}])
        self.assertIsNone(self._upstream(number)["amount"])
        [call] = self.sandbox.calls("/third-parties/billpay")
        [item] = call["body"]["controlNumbers"]
        self.assertEqual(sorted(item), ["billDescription", "billReference"])

    def test_amount_that_clickpesa_has_is_not_taken_away(self):
        move = self._registered_invoice(150000)
        move.billpay_mode = "open"
        self._cash(move, 50000)
        self._sync()
        self.assertEqual(self._upstream(move.billpay_number_id)["amount"], 100000)

    def test_exact_amount_leaves_room_for_a_discount(self):
        """Whoever pays early pays less, and the phone has to take it."""
        term = self.env["account.payment.term"].create(
            {
                "name": "2/10 net 30",
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
        today = fields.Date.context_today(self.company)
        terms = {"billpay_mode": "exact", "invoice_payment_term_id": term.id}
        move = self._registered_invoice(100000, invoice_date=today, **terms)
        number = move.billpay_number_id
        self.assertRecordValues(number, [{"mode": "flexible", "amount": 100000}])
        payment = self._pay(number.name, 98000)
        self._event(payment)
        self._process()
        self.assertEqual(self._ledger(payment).state, "posted")
        self.assertEqual(move.amount_residual, 0)
        # The ten days are over.
        late = self._registered_invoice(100000, **terms)
        self.assertEqual(late.billpay_number_id.mode, "exact")

    def _early(self, amount, day, **values):
        """An invoice for an exact amount, with a discount for ten days."""
        term = self.env["account.payment.term"].create(
            {
                "name": "2/10 net 30",
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
        return self._registered_invoice(
            amount,
            invoice_date=day,
            invoice_payment_term_id=term.id,
            **{"billpay_mode": "exact", **values},
        )

    def test_after_the_discount_the_exact_amount_is_asked_again(self):
        self.company.billpay_default_mode = "exact"
        today = fields.Date.context_today(self.company)
        cases = {
            "still early": ({}, 5, "flexible"),
            "of the invoice": ({}, 11, "exact"),
            "of the company": ({"billpay_mode": False}, 15, "exact"),
            "any amount": ({"billpay_mode": "flexible"}, 11, "flexible"),
        }
        moves = {}
        for name, (values, _days, _mode) in cases.items():
            moves[name] = self._early(100000, today, **values)
            self.assertEqual(moves[name].billpay_number_id.mode, "flexible", name)
        for name, (_values, days, mode) in cases.items():
            with self.subTest(name):
                move, number = moves[name], moves[name].billpay_number_id
                if name == "of the company":
                    # As an invoice from before the add-on.
                    self.env.cr.execute(
                        "UPDATE account_move SET billpay_mode = NULL WHERE id = %s",
                        [move.id],
                    )
                    self.env.invalidate_all()
                later = today + timedelta(days=days)
                with freeze_time(datetime.combine(later, time(8))):
                    self._run_cron("ir_cron_follow_dates")
                    self.assertEqual(number.mode, mode)
                    self._sync()
                there = self._upstream(number)
                self.assertEqual(there["mode"] == "EXACT", mode == "exact")
                self.assertEqual(there["amount"], 100000)

    def test_a_discount_that_cannot_end_stops_no_other(self):
        today = fields.Date.context_today(self.company)
        bad, good = self._early(1000, today), self._early(2000, today)
        reservation = type(self.env["billpay.reservation"])
        wanted = reservation._wanted_values

        def broken(service, move, *args, **kwargs):
            if move == bad:
                raise ValueError("broken")
            return wanted(service, move, *args, **kwargs)

        later = datetime.combine(today + timedelta(days=11), time(8))
        with (
            freeze_time(later),
            patch.object(reservation, "_wanted_values", broken),
            mute_logger("odoo.addons.billpay_odoo"),
        ):
            self._run_cron("ir_cron_follow_dates")
        self.assertEqual(bad.billpay_number_id.mode, "flexible")
        self.assertEqual(good.billpay_number_id.mode, "exact")

    def test_recurring_invoices_ask_as_the_first_one_did(self):
        for issue_on, mode in (
            ("manual", "exact"),
            ("send", "open"),
            (False, "exact"),
            ("post", "flexible"),
        ):
            with self.subTest(issue_on=issue_on, mode=mode):
                move = self._invoice(
                    post=False,
                    auto_post="monthly",
                    billpay_issue_on=issue_on,
                    billpay_mode=mode,
                )
                move.action_post()
                following = move.search([("auto_post_origin_id", "=", move.id)]) - move
                self.assertRecordValues(
                    following,
                    [
                        {
                            "state": "draft",
                            "billpay_issue_on": issue_on,
                            "billpay_mode": mode,
                        }
                    ],
                )
                following.auto_post = "no"
                following.action_post()
                made = issue_on in (False, "post")
                self.assertEqual(bool(following.billpay_number_id), made)
                if made:
                    expected = "exact" if mode == "exact" else "flexible"
                    self.assertEqual(following.billpay_number_id.mode, expected)
                # A plain copy is a new invoice, for which the defaults count.
                self.assertFalse(move.copy().billpay_issue_on)

    def test_mode_changed_on_the_invoice_is_one_patch(self):
        move = self._registered_invoice()
        move.billpay_mode = "exact"
        calls = self.sandbox.count_calls()
        self._sync()
        self.assertEqual(self.sandbox.count_calls(), calls + 1)
        self.assertEqual(self.sandbox.calls()[-1]["body"]["billPaymentMode"], "EXACT")
        self.assertNotIn("billAmount", self.sandbox.calls()[-1]["body"])
        self.assertEqual(self._upstream(move.billpay_number_id)["mode"], "EXACT")

    # === Changes === #

    def test_ten_edits_are_one_patch_of_what_differs(self):
        move = self._registered_invoice(150000)
        for _edit in range(10):
            self._cash(move, 1000)
        self.partner.name = "Juma H. Hamisi"
        calls = self.sandbox.count_calls()
        self._sync()
        self.assertEqual(self.sandbox.count_calls(), calls + 1)
        body = self.sandbox.calls()[-1]["body"]
        self.assertEqual(body["billAmount"], 140000)
        self.assertIn("Juma H. Hamisi", body["billDescription"])
        self.assertNotIn("billPaymentMode", body)
        self.assertNotIn("billStatus", body)

    def test_due_date_is_told(self):
        move = self._registered_invoice()
        move.invoice_date_due = "2026-04-30"
        self._sync()
        there = self._upstream(move.billpay_number_id)
        self.assertIn("due 30/04/2026", there["description"])

    def test_text_does_not_depend_on_who_changes_the_invoice(self):
        move = self._registered_invoice()
        calls = self.sandbox.count_calls()
        self.env["res.lang"]._activate_lang("fr_FR")
        move.with_context(lang="fr_FR").invoice_date_due = move.invoice_date_due
        self._sync()
        self.assertEqual(self.sandbox.count_calls(), calls)

    def test_amount_edited_after_reset_to_draft(self):
        move = self._registered_invoice(150000)
        number = move.billpay_number_id
        move.button_draft()
        self._sync()
        self.assertEqual(self._upstream(number)["state"], "INACTIVE")
        move.invoice_line_ids.price_unit = 90000
        move.action_post()
        self._sync()
        self.assertEqual(move.billpay_number_id, number)
        self.assertEqual(self._upstream(number)["state"], "ACTIVE")
        self.assertEqual(self._upstream(number)["amount"], 90000)

    def test_failed_attempt_to_pay_does_not_use_a_number_up(self):
        move = self._registered_invoice()
        number = move.billpay_number_id
        self.sandbox.fail_payment(number.name, 150000)
        self._poll()
        failed = self.env["billpay.payment"].search([("number", "=", number.name)])
        self.assertEqual(failed.state, "ignored")
        # As a payment that was bound to its number before it turned out to have failed.
        failed.sudo().control_number_id = number
        move.button_draft()
        move.action_post()
        self.assertEqual((move.billpay_number_id, number.state), (number, "open"))

    def test_draft_after_a_payment_gets_a_new_number(self):
        move = self._registered_invoice(150000)
        number = move.billpay_number_id
        self._pay(number.name, 50000)
        self._poll()
        self._process()
        self._sync()
        move.button_draft()
        move.action_post()
        self.assertNotEqual(move.billpay_number_id, number)
        self.assertIn(move.billpay_number_id.state, ("open", "pending"))

    # === Instalments === #

    def _instalments(self, **values):
        terms = self.env["account.payment.term"].create(
            {
                "name": "Mihula mitatu",
                "line_ids": [
                    Command.create(
                        {"value": "percent", "value_amount": part, "nb_days": days}
                    )
                    for part, days in ((50, 0), (30, 30), (20, 60))
                ],
            }
        )
        return self._registered_invoice(
            100000, invoice_payment_term_id=terms.id, **values
        )

    def test_instalments_as_a_whole_are_flexible(self):
        move = self._instalments(billpay_mode="exact")
        number = move.billpay_number_id
        self.assertRecordValues(number, [{"amount": 100000, "mode": "flexible"}])

    def test_next_instalment_moves_on(self):
        self.company.billpay_instalments = "next"
        move = self._instalments(billpay_mode="exact")
        first = move.billpay_number_id
        self.assertRecordValues(first, [{"amount": 50000, "mode": "exact"}])
        self._pay(first.name, 50000)
        self._poll()
        self._process()
        second = move.billpay_number_id
        self.assertRecordValues(
            second,
            [{"amount": 30000, "mode": "exact", "predecessor_id": first.id}],
        )
        self._sync()
        self._cash(move, 30000)
        self.assertEqual(move.billpay_number_id, second)
        self.assertEqual(second.amount, 20000)
        self._sync()
        self.assertEqual(self._upstream(second)["amount"], 20000)

    # === Several payments on one number === #

    def test_maximum_is_not_sent_unless_switched_on(self):
        self._registered_invoice()
        [call] = self.sandbox.calls("/third-parties/billpay")
        self.assertNotIn("billMaxCollectionAmount", call["body"]["controlNumbers"][0])

    def test_number_with_a_maximum_takes_parts_until_all_is_paid(self):
        self.provider.clickpesa_max_collection = True
        move = self._registered_invoice(150000)
        number = move.billpay_number_id
        self.assertEqual(self._upstream(number)["max_amount"], 150000)
        for part in (50000, 40000):
            self._pay(number.name, part)
            self._poll()
            self._process()
            self._sync()
        self.assertEqual(move.billpay_number_ids, number)
        self.assertRecordValues(
            number, [{"state": "open", "amount": 60000, "max_amount": 150000}]
        )
        self.assertEqual(self._upstream(number)["amount"], 60000)
        self.assertEqual(self._upstream(number)["max_amount"], 150000)
        self._cash(move, 10000)
        self._sync()
        self.assertEqual(self._upstream(number)["max_amount"], 140000)
        self._pay(number.name, 50000)
        self._poll()
        self._process()
        self.assertEqual((number.state, move.payment_state), ("paid", "paid"))

    # === Other currencies === #

    def _dollars(self, amount=100, **values):
        usd = self.env.ref("base.USD")
        usd.active = True
        return self._invoice(amount, currency_id=usd.id, **values)

    def _rate(self, shillings, date):
        self.env["res.currency.rate"].create(
            {
                "currency_id": self.env.ref("base.USD").id,
                "company_id": self.company.id,
                "name": date,
                "inverse_company_rate": shillings,
            }
        )

    def test_dollars_are_asked_for_in_shillings_rounded_up(self):
        self._rate(2500.333, "2026-01-01")
        self._rate(2600, "2026-03-15")
        number = self._dollars(100).billpay_number_id
        self.assertRecordValues(
            number,
            [
                {
                    "amount": 250034,
                    "bill_amount": 100,
                    "bill_currency_id": self.env.ref("base.USD").id,
                    "currency_id": self.tzs.id,
                }
            ],
        )

    def test_rate_of_the_day_on_which_the_number_is_made_stays(self):
        self.company.billpay_rate_date = "issue"
        self._rate(2500, "2026-01-01")
        self._rate(2600, "2026-03-15")
        move = self._dollars(100)
        number = move.billpay_number_id
        self.assertEqual(number.amount, 260000)
        self._rate(2700, "2026-03-20")
        self._cash(move, 50)
        self.assertRecordValues(number, [{"amount": 130000, "bill_amount": 50}])
        move.button_draft()
        move.action_post()
        self.assertRecordValues(number, [{"amount": 135000, "bill_amount": 50}])

    def test_without_a_rate_there_is_no_number_and_a_reason(self):
        move = self._dollars(100)
        self.assertFalse(move.billpay_number_ids)
        self.assertIn("no exchange rate", move.message_ids[0].body)
        with self.assertRaises(UserError) as caught:
            move.action_billpay_issue()
        self.assertIn("no exchange rate", str(caught.exception))
        self._rate(2500, "2026-01-01")
        move.action_billpay_issue()
        self.assertEqual(move.billpay_number_id.amount, 250000)

    def test_shillings_in_dollar_books_need_no_rate(self):
        data = self.setup_other_company(name="Dollar Books")
        company = data["company"]
        self._make_application(company)
        self.env.user.company_id = company
        move = self._invoice(150000, company_id=company.id)
        self.assertRecordValues(
            move.billpay_number_id, [{"amount": 150000, "bill_currency_id": False}]
        )


@tagged("post_install", "-at_install")
class TestFollowsWhatIsDue(BillPayCommon):
    """A payer has the number, whatever became of the company's application."""

    def _empty(self):
        self.company.billpay_provider_id = False

    def _change(self):
        self.company.billpay_provider_id = self._make_application(self.company)

    def _disable(self):
        self.provider.state = "disabled"

    def _keep(self):
        """The application stays what it was."""

    def _there(self, number):
        """What stands at ClickPesa after the worker ran, with an application on."""
        self.provider.state = "test"
        self._sync()
        there = self.sandbox.number(number.name)
        return there["amount"], there["state"]

    FATES = ("_keep", "_empty", "_change", "_disable")

    def _situation(self, fate, currency=None, amount=100000):
        """An exact invoice, registered; then this becomes of its application."""
        self.provider.state = "test"
        self.company.billpay_provider_id = self.provider
        move = self._registered_invoice(
            amount, billpay_mode="exact", currency_id=(currency or self.tzs).id
        )
        getattr(self, fate)()
        return move, move.billpay_number_id.sudo()

    def _pay_in_cash(self, move, amount, **values):
        return (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"amount": amount, "payment_difference_handling": "open", **values})
            ._create_payments()
        )

    def _credit_note(self, amount):
        return self._invoice(amount, move_type="out_refund")

    def _terms(self, moves):
        return moves.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )

    def test_part_paid_in_cash(self):
        for fate in self.FATES:
            with self.subTest(fate=fate):
                move, number = self._situation(fate)
                self._pay_in_cash(move, 60000)
                self.assertEqual(move.amount_residual, 40000)
                self.assertEqual(self._there(number), (40000, "ACTIVE"))

    def test_all_paid_in_cash(self):
        for fate in self.FATES:
            with self.subTest(fate=fate):
                move, number = self._situation(fate)
                self._pay_in_cash(move, 100000)
                self.assertEqual((number.state, move.amount_residual), ("closed", 0))
                self.assertEqual(self._there(number)[1], "INACTIVE")

    def test_credit_note_and_its_undoing(self):
        for fate in self.FATES:
            with self.subTest(fate=fate):
                move, number = self._situation(fate)
                lines = self._terms(move | self._credit_note(25000))
                lines.reconcile()
                self.assertEqual(self._there(number), (75000, "ACTIVE"))
                lines.remove_move_reconcile()
                self.assertEqual(move.amount_residual, 100000)
                self.assertEqual(self._there(number), (100000, "ACTIVE"))

    def test_undone_payment(self):
        for fate in self.FATES:
            with self.subTest(fate=fate):
                move, number = self._situation(fate)
                payment = self._pay_in_cash(move, 30000)
                self.assertEqual(self._there(number), (70000, "ACTIVE"))
                payment.move_id.line_ids.remove_move_reconcile()
                self.assertEqual(move.amount_residual, 100000)
                self.assertEqual(self._there(number), (100000, "ACTIVE"))

    def test_written_off(self):
        account = self.company_data["default_account_expense"]
        for fate in self.FATES:
            with self.subTest(fate=fate):
                move, number = self._situation(fate)
                self._pay_in_cash(
                    move,
                    90000,
                    payment_difference_handling="reconcile",
                    writeoff_account_id=account.id,
                )
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(self._there(number)[1], "INACTIVE")

    def test_entry_reconciled_by_hand(self):
        account = self.company_data["default_account_expense"]
        for fate in self.FATES:
            with self.subTest(fate=fate):
                move, number = self._situation(fate)
                term = self._terms(move)
                entry = self.env["account.move"].create(
                    {
                        "journal_id": self.company_data["default_journal_misc"].id,
                        "line_ids": [
                            Command.create(
                                {
                                    "account_id": term.account_id.id,
                                    "partner_id": term.partner_id.id,
                                    "credit": 45000,
                                }
                            ),
                            Command.create({"account_id": account.id, "debit": 45000}),
                        ],
                    }
                )
                entry.action_post()
                (term | self._terms(entry)).reconcile()
                self.assertEqual(self._there(number), (55000, "ACTIVE"))

    def test_draft_and_cancel(self):
        for buttons in (("button_draft",), ("button_draft", "button_cancel")):
            for fate in self.FATES:
                with self.subTest(fate=fate):
                    move, number = self._situation(fate)
                    for button in buttons:
                        getattr(move, button)()
                    self.assertEqual(number.state, "closed")
                    self.assertEqual(self._there(number)[1], "INACTIVE")

    def test_changed_and_confirmed_again(self):
        for fate in self.FATES:
            with self.subTest(fate=fate):
                move, number = self._situation(fate)
                move.button_draft()
                move.invoice_line_ids.price_unit = 80000
                move.action_post()
                self._sync()
                living = move._billpay_living()
                self.assertLessEqual(len(living), 1)
                for asking in living:
                    self.assertEqual(self._there(asking), (80000, "ACTIVE"))
                if living != number:
                    self.assertEqual(self._there(number)[1], "INACTIVE")

    def test_dollars_in_part(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        rates = self.env["res.currency.rate"]
        for day, rate in (("2026-03-01", 2500), ("2026-03-05", 2600)):
            rates.create(
                {
                    "currency_id": usd.id,
                    "company_id": self.company.id,
                    "name": day,
                    "inverse_company_rate": rate,
                }
            )
        for rate_date in ("invoice", "issue"):
            self.company.billpay_rate_date = rate_date
            rate = 2500 if rate_date == "invoice" else 2600
            for fate in self.FATES:
                with self.subTest(fate=fate):
                    move, number = self._situation(fate, usd, 100)
                    self.assertEqual(number.amount, 100 * rate)
                    self._pay_in_cash(move, 40, currency_id=usd.id)
                    self.assertEqual(move.amount_residual, 60)
                    self.assertEqual(self._there(number), (60 * rate, "ACTIVE"))

    def test_due_again_after_all_was_paid(self):
        """It is asked for again by the same number, or by the new application's."""
        for fate in self.FATES:
            with self.subTest(fate=fate):
                move, number = self._situation(fate)
                payment = self._pay_in_cash(move, 100000)
                payment.move_id.line_ids.remove_move_reconcile()
                living = move._billpay_living()
                self.assertLessEqual(len(living), 1)
                self.provider.state = "test"
                self._sync()
                active = [
                    n["number"]
                    for n in self.sandbox.numbers()
                    if n["state"] == "ACTIVE"
                    and n["number"] in (number | living).mapped("name")
                ]
                self.assertEqual(active, living.mapped("name"))
