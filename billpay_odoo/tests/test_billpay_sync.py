# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import timedelta
from unittest.mock import patch

from stdnum.iso7064 import mod_97_10

from odoo import fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..clickpesa import ClickPesaClient, NotFound, NumberRequest, Refused
from ..transactions import own_transaction
from .common import BillPayCommon


@tagged("post_install", "-at_install")
class TestControlNumber(BillPayCommon):
    def test_posting_reserves_a_number_without_any_call(self):
        move = self._invoice(150000)
        number = move.billpay_number_id
        self.assertRecordValues(
            number,
            [
                {
                    "state": "pending",
                    "kind": "order",
                    "origin": "api",
                    "amount": 150000,
                    "mode": "flexible",
                    "partner_id": self.partner.id,
                    "provider_id": self.provider.id,
                    "company_id": self.company.id,
                }
            ],
        )
        self.assertEqual(self.sandbox.count_calls(), 0)
        self.assertEqual(number.name[:4], "1122")
        self.assertTrue(number.name.isdigit())
        self.assertTrue(mod_97_10.is_valid(number.name))
        self.assertEqual(number.display_number.replace(" ", ""), number.name)

    def test_worker_registers_fifty_numbers_in_one_call(self):
        moves = self.env["account.move"].concat(
            *[self._invoice(1000 + i, post=False) for i in range(51)]
        )
        moves.action_post()
        self._sync()
        self.assertEqual(set(moves.billpay_number_ids.mapped("state")), {"open"})
        self.assertEqual(self.sandbox.count_calls("/third-parties/billpay"), 2)
        upstream = {n["number"]: n for n in self.sandbox.numbers()}
        for move in moves:
            there = upstream[move.billpay_number_id.name]
            self.assertEqual(there["amount"], move.amount_total)
            self.assertIn(move.name, there["description"])

    def test_idle_worker_makes_no_call(self):
        self._registered_invoice()
        calls = self.sandbox.count_calls()
        self._sync()
        self.assertEqual(self.sandbox.count_calls(), calls)

    def test_cents_are_rounded_up_to_the_shilling(self):
        self.tzs.rounding = 0.01
        move = self._invoice(1000.4)
        self.assertEqual(move.billpay_number_id.amount, 1001)

    def test_timeout_after_the_work_was_done_makes_no_twin(self):
        move = self._invoice()
        self.sandbox.faults.add("timeout_after", match="bulk-create", times=1)
        self._sync()
        number = move.billpay_number_id
        self.assertEqual(number.state, "pending")
        self.assertTrue(number.sync_error)
        self.assertEqual(len(self.sandbox.numbers()), 1)
        number.sudo().sync_at = "2020-01-01"
        name = number.name
        self._sync()
        self.assertEqual((number.state, number.name), ("open", name))
        self.assertEqual(len(self.sandbox.numbers()), 1)

    def test_number_taken_by_somebody_else_takes_the_next_one(self):
        move = self._invoice()
        number = move.billpay_number_id
        taken = number.name
        self.provider._billpay_client().create_order_numbers(
            [NumberRequest(reference=taken, amount=999, description="Foreign")]
        )
        self._sync()
        self.assertEqual(number.state, "open")
        self.assertNotEqual(number.name, taken)
        self.assertIn(taken, move.message_ids.mapped("body")[0])
        amounts = {n["number"]: n["amount"] for n in self.sandbox.numbers()}
        self.assertEqual(amounts, {taken: 999, number.name: 150000})

    def test_pauses_grow_while_clickpesa_is_down(self):
        number = self._invoice().billpay_number_id.sudo()
        self.sandbox.faults.add("error", match="bulk-create", times=-1)
        pauses = []
        for attempt in (1, 2, 3):
            number.sync_at = "2020-01-01"
            self._sync()
            self.assertEqual(number.sync_attempts, attempt)
            pauses.append((number.sync_at - fields.Datetime.now()).total_seconds())
        self.assertLess(pauses[0] * 1.2, pauses[1])
        self.assertLess(pauses[1] * 1.2, pauses[2])

    def test_number_of_unknown_outcome_is_switched_off_when_cancelled(self):
        move = self._invoice()
        self.sandbox.faults.add("timeout_after", match="bulk-create", times=1)
        self._sync()
        move.button_draft()
        number = move.billpay_number_id.sudo()
        self.assertEqual(number.state, "closed")
        number.sync_at = "2020-01-01"
        self._sync()
        self.assertEqual([n["state"] for n in self.sandbox.numbers()], ["INACTIVE"])

    def test_number_cancelled_before_clickpesa_had_it_is_never_made_there(self):
        for trouble in ("error", "timeout", "off", "credentials"):
            for cancel in ("button_draft", "button_cancel"):
                with self.subTest(trouble, cancel=cancel):
                    self.sandbox.reset()
                    move = self._invoice()
                    number = move.billpay_number_id.sudo()
                    if trouble == "off":
                        self.provider.state = "disabled"
                    elif trouble == "credentials":
                        self.provider.clickpesa_api_key = "SKwrong"
                    else:
                        self.sandbox.faults.add(trouble, match="bulk-create", times=1)
                    self._sync()
                    self.assertEqual(number.state, "pending")
                    move.button_draft()
                    if cancel == "button_cancel":
                        move.button_cancel()
                    self.assertEqual(number.state, "closed")
                    self.provider.write(
                        {"state": "test", "clickpesa_api_key": "SKsandbox"}
                    )
                    if number.sync_at:
                        number.sync_at = "2020-01-01"
                    posts = self.sandbox.count_calls("/third-parties/billpay", "POST")
                    self._sync()
                    self.assertEqual(
                        self.sandbox.count_calls("/third-parties/billpay", "POST"),
                        posts,
                    )
                    self.assertEqual(self.sandbox.numbers(), [])
                    self.assertRecordValues(
                        number,
                        [{"state": "closed", "sync_at": False, "sync_error": False}],
                    )

    def test_a_strangers_number_is_not_switched_off_with_a_cancelled_one(self):
        move = self._invoice()
        number = move.billpay_number_id.sudo()
        self.sandbox.faults.add("error", match="bulk-create", times=1)
        self._sync()
        client = self.provider._billpay_client()
        client.create_order_numbers(
            [NumberRequest(reference=number.name, description="A stranger's")]
        )
        move.button_draft()
        number.sync_at = "2020-01-01"
        self._sync()
        [there] = self.sandbox.numbers()
        self.assertEqual(there["state"], "ACTIVE")
        self.assertRecordValues(number, [{"state": "closed", "sync_at": False}])

    def test_changed_amount_after_an_unknown_outcome_is_adopted_and_patched(self):
        number = self._invoice().billpay_number_id.sudo()
        self.sandbox.faults.add("timeout_after", match="bulk-create", times=1)
        self._sync()
        number.write({"amount": 90000, "sync_at": "2020-01-01"})
        name = number.name
        self._sync()
        [there] = self.sandbox.numbers()
        self.assertEqual((there["number"], there["amount"]), (name, 90000))
        self.assertRecordValues(number, [{"state": "open", "name": name}])

    def test_outcome_of_an_expired_lease_changes_nothing(self):
        """A slow worker learns of a refusal after another one has settled the row."""
        number = self._invoice().billpay_number_id.sudo()
        with self._workers(), own_transaction(self.env(su=True)) as env:
            slow = env["billpay.sync"]._claim(number.ids)
            tries = {slow.id: slow.sync_attempts}
            slow.sync_at = "2020-01-01"
            name = slow.name
            fast = env["billpay.sync"]._claim(number.ids)
            fast.env["billpay.sync"]._sync_claimed(fast)
            self.assertEqual(fast.state, "open")
            self.env["billpay.sync"]._store_collision(slow, tries)
            self.env["billpay.sync"]._store_trouble(
                slow, Refused("already used"), tries
            )
            self.assertRecordValues(
                slow, [{"name": name, "state": "open", "sync_error": False}]
            )

    def test_impossible_number_stops_only_itself(self):
        bad, good = self._invoice(), self._invoice()
        bad.billpay_number_id.sudo().amount = -5
        self._sync()
        self.assertEqual(bad.billpay_number_id.state, "failed")
        self.assertTrue(bad.billpay_number_id.sync_error)
        self.assertEqual(good.billpay_number_id.state, "open")
        good.billpay_number_id.sudo().amount = -5
        self._sync()
        self.assertTrue(good.billpay_number_id.sync_error)

    def test_badly_typed_address_stops_only_its_application(self):
        good = self._invoice()
        other = self.setup_other_company(name="Shule ya Pili", currency_id=self.tzs.id)
        broken = self._make_application(other["company"])
        bad = self._invoice_of(other)
        self.env.cr.execute(
            "UPDATE payment_provider SET clickpesa_base_url = 'api/x' WHERE id = %s",
            (broken.id,),
        )
        self.env.invalidate_all()
        self._sync()
        self._poll()
        self.assertEqual(good.billpay_number_id.state, "open")
        number = bad.sudo().billpay_number_id
        self.assertEqual(number.state, "pending")
        self.assertTrue(number.sync_error)
        self.assertTrue(broken.billpay_poll_error)
        self.assertTrue(self.provider.billpay_polled_until)

    def test_outage_is_noted_and_retried_later(self):
        move = self._invoice()
        self.sandbox.faults.add("error", match="bulk-create", times=1)
        self._sync()
        number = move.billpay_number_id
        self.assertEqual(number.state, "pending")
        self.assertTrue(number.sync_error)
        self.assertGreater(number.sync_at, self.env.cr.now())
        calls = self.sandbox.count_calls()
        self._sync()  # not due yet
        self.assertEqual(self.sandbox.count_calls(), calls)
        number.sudo().sync_at = "2020-01-01"
        self._sync()
        self.assertEqual(number.state, "open")
        self.assertFalse(number.sync_error)

    def test_refused_credentials_keep_numbers_waiting(self):
        move = self._invoice()
        self.provider.clickpesa_api_key = "SKwrong"
        self._sync()
        number = move.billpay_number_id
        self.assertEqual(number.state, "pending")
        self.assertIn("API-Key", number.sync_error)
        self.assertNotIn("SKwrong", number.sync_error)

    def test_reset_to_draft_switches_the_number_off_and_posting_on_again(self):
        move = self._registered_invoice()
        number = move.billpay_number_id
        move.button_draft()
        self.assertEqual(number.state, "closed")
        self._sync()
        [there] = self.sandbox.numbers()
        self.assertEqual(there["state"], "INACTIVE")
        move.action_post()
        self.assertEqual(move.billpay_number_id, number)
        self.assertEqual(number.state, "open")
        self._sync()
        [there] = self.sandbox.numbers()
        self.assertEqual(there["state"], "ACTIVE")

    def test_a_changed_amount_is_one_patch(self):
        number = self._registered_invoice().billpay_number_id.sudo()
        for amount in (140000, 130000, 120000):
            number.amount = amount
        self._sync()
        [there] = self.sandbox.numbers()
        self.assertEqual(there["amount"], 120000)
        self.assertEqual(self.sandbox.count_calls(method="PATCH"), 1)
        self.assertFalse(number.sync_at)

    def test_paid_in_cash_closes_the_number(self):
        move = self._registered_invoice()
        number = move.billpay_number_id
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        ).create({})._create_payments()
        self.assertIn(move.payment_state, ("paid", "in_payment"))
        self.assertEqual(number.state, "closed")
        self._sync()
        self.assertEqual(self.sandbox.numbers()[0]["state"], "INACTIVE")

    def test_full_credit_note_closes_the_number(self):
        move = self._registered_invoice()
        number = move.billpay_number_id
        move._reverse_moves(cancel=True)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(number.state, "closed")
        self._sync()
        self.assertEqual(self.sandbox.numbers()[0]["state"], "INACTIVE")

    def test_number_of_another_application_is_not_reopened(self):
        move = self._registered_invoice()
        old = move.billpay_number_id
        move.button_draft()
        other = self._make_application(self.company, name="Mauzo ya pili")
        self.company.billpay_provider_id = other
        self.provider.state = "disabled"
        move.action_post()
        self.assertEqual(old.state, "closed")
        self.assertEqual(move.billpay_number_id.provider_id, other)

    def test_a_number_that_went_out_comes_back_whenever_it_was_made(self):
        """The payer has it, although the invoice got it by hand or when sent."""
        for moment in ("manual", "send"):
            with self.subTest(moment):
                self.company.billpay_issue_on = moment
                move = self._invoice()
                self.assertFalse(move.billpay_number_ids)
                move._billpay_reserve()
                self._sync()
                number = move.billpay_number_id
                move.button_draft()
                self.assertEqual(number.state, "closed")
                move.action_post()
                self.assertEqual(number.state, "open")
                cash = (
                    self.env["account.payment.register"]
                    .with_context(active_model="account.move", active_ids=move.ids)
                    .create({})
                    ._create_payments()
                )
                self.assertEqual(number.state, "closed")
                cash.move_id.line_ids.remove_move_reconcile()
                self.assertEqual(number.state, "open")
                self._sync()
                [there] = [
                    n for n in self.sandbox.numbers() if n["number"] == number.name
                ]
                self.assertEqual(there["state"], "ACTIVE")

    def test_an_invoice_may_go_out_without_a_number_that_nobody_has(self):
        """How an outage of ClickPesa is passed by."""
        move = self._invoice()
        move.button_draft()
        move.billpay_issue_on = "manual"
        move.action_post()
        self.assertEqual(move.billpay_number_state, "closed")
        with self._workers():
            self.assertEqual(
                self.env["account.move.send"]._billpay_confirm_before_sending(move), {}
            )

    def test_a_refused_change_does_not_hold_up_the_next_one(self):
        move = self._registered_invoice(150000)
        number = move.billpay_number_id.sudo()
        with patch.object(
            ClickPesaClient, "update_number", side_effect=Refused("No such word.")
        ):
            move.invoice_date_due = "2026-12-31"
            self._sync()
        self.assertEqual(number.sync_error, "No such word.")
        self.assertGreater(number.sync_at, fields.Datetime.now())
        move.button_draft()
        move.button_cancel()
        self._sync()
        self.assertEqual(self.sandbox.numbers()[0]["state"], "INACTIVE")
        self.assertFalse(number.sync_at)

    def test_what_clickpesa_does_not_know_is_switched_off(self):
        """As with another account: else it would be tried for ever."""
        move = self._registered_invoice()
        number = move.billpay_number_id.sudo()
        self.sandbox.reset()
        move.button_draft()
        self._sync()
        self.assertRecordValues(
            number,
            [{"sync_at": False, "sync_error": False, "known_active": False}],
        )
        self.assertEqual(self.sandbox.calls()[-1]["method"], "PATCH")

    def test_duplicate_of_an_invoice_has_no_number(self):
        move = self._registered_invoice()
        self.assertFalse(move.copy().billpay_number_ids)

    def test_disabled_application_makes_no_call_and_no_number(self):
        self.provider.state = "disabled"
        move = self._invoice()
        self.assertFalse(move.billpay_number_ids)
        self._sync()
        self._poll()
        self.assertEqual(self.sandbox.count_calls(), 0)

    def test_neutralised_database_makes_no_call(self):
        self._invoice()
        self.env["ir.config_parameter"].sudo().set_param(
            "database.is_neutralized", True
        )
        self._sync()
        self._poll()
        self.assertEqual(self.sandbox.count_calls(), 0)

    def test_issue_moments(self):
        self.company.billpay_issue_on = "manual"
        move = self._invoice()
        self.assertFalse(move.billpay_number_ids)
        self.assertTrue(move.billpay_can_issue)
        move.action_billpay_issue()
        self.assertEqual(move.billpay_number_id.state, "pending")
        with self.assertRaises(UserError):
            move.action_billpay_issue()
        own = self._invoice(billpay_issue_on="post")
        self.assertTrue(own.billpay_number_ids)

    def test_only_shilling_invoices_get_a_number(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        self.assertFalse(self._invoice(currency_id=usd.id).billpay_number_ids)

    def test_two_companies_keep_their_numbers_apart(self):
        other = self.setup_other_company(name="Shule ya Pili", currency_id=self.tzs.id)
        self._make_application(other["company"])
        ours = self._invoice()
        theirs = self._invoice_of(other)
        self.assertNotEqual(ours.billpay_number_id.name, theirs.billpay_number_id.name)
        user = self.env["res.users"].create(
            {
                "name": "Accountant",
                "login": "billpay-accountant",
                "company_id": self.company.id,
                "company_ids": self.company.ids,
                "group_ids": [(4, self.env.ref("account.group_account_invoice").id)],
            }
        )
        visible = self.env["billpay.control.number"].with_user(user).search([])
        self.assertIn(ours.billpay_number_id.id, visible.ids)
        self.assertNotIn(theirs.billpay_number_id.id, visible.ids)
        self.assertNotIn(
            "clickpesa_api_key",
            self.env["payment.provider"].with_user(user).fields_get(),
        )

    def _invoice_of(self, company_data):
        move = (
            self.env["account.move"]
            .with_context(allowed_company_ids=company_data["company"].ids)
            .create(
                {
                    "move_type": "out_invoice",
                    "partner_id": self.partner.id,
                    "currency_id": self.tzs.id,
                    "invoice_line_ids": [
                        (0, 0, {"name": "x", "price_unit": 500, "tax_ids": []})
                    ],
                }
            )
        )
        move.action_post()
        return move

    def test_one_number_is_unique_whatever_the_letter_case(self):
        number = self._invoice().billpay_number_id.sudo()
        values = {
            "provider_id": self.provider.id,
            "currency_id": self.tzs.id,
            "name": "ABC123",
        }
        number.create(values)
        with self.assertRaises(Exception) as caught, mute_logger("odoo.sql_db"):
            number.create({**values, "name": "abc123"})
        self.assertIn("name_unique", str(caught.exception))

    def test_used_numbers_are_not_deleted(self):
        number = self._invoice().billpay_number_id.sudo()
        with self.assertRaises(UserError):
            number.unlink()

    def test_namba_has_four_digits(self):
        for wrong in ("12", "12a4", "١١٢٢"):
            with self.assertRaises(ValidationError):
                self.provider.clickpesa_billpay_namba = wrong

    def test_signature_confirmation_needs_a_key(self):
        with self.assertRaises(ValidationError):
            self.provider.write(
                {"clickpesa_checksum_key": False, "clickpesa_confirmation": "signature"}
            )


@tagged("post_install", "-at_install")
class TestWrongClocks(BillPayCommon):
    """A server whose clock was ahead left leases and pauses behind."""

    AHEAD = (timedelta(days=1), timedelta(days=30), timedelta(days=366))

    def _frozen(self, ahead, error=False):
        """An invoice whose number was leased, or put into a pause, so far ahead."""
        move = self._invoice()
        move.billpay_number_id.sudo().write(
            {
                "sync_at": fields.Datetime.now() + ahead,
                "sync_error": error,
                "sync_attempts": 1,
            }
        )
        return move

    def _send(self, move):
        with self._workers():
            sending = self.env["account.move.send"]
            self.assertEqual(sending._billpay_confirm_before_sending(move), {})

    def _click(self, move):
        with self._workers():
            self.env["billpay.sync"]._sync_now(move.billpay_number_id, patience=0)

    def test_lease_or_pause_that_ends_too_late_is_free(self):
        ways = {"cron": lambda _move: self._sync(), "click": self._click}
        ways["send"] = self._send
        for ahead in self.AHEAD:
            for error in (False, "ClickPesa did not answer."):
                for way, go in ways.items():
                    with self.subTest(way, ahead=ahead, error=error):
                        move = self._frozen(ahead, error)
                        number = move.billpay_number_id
                        go(move)
                        self.assertEqual(
                            (number.state, number.sync_at), ("open", False)
                        )
                        self.assertEqual(
                            self.sandbox.number(number.name)["amount"], 150000
                        )

    def test_change_with_such_a_lease_is_made(self):
        for ahead in self.AHEAD:
            with self.subTest(ahead=ahead):
                number = self._registered_invoice().billpay_number_id.sudo()
                number.write({"amount": 90000})
                number.write({"sync_at": fields.Datetime.now() + ahead})
                self._sync()
                self.assertEqual(number.known_amount, 90000)
                self.assertEqual(self.sandbox.number(number.name)["amount"], 90000)

    def test_retry_of_a_refused_number(self):
        for ahead in self.AHEAD:
            with self.subTest(ahead=ahead):
                number = self._frozen(ahead, "Refused.").billpay_number_id.sudo()
                number.state = "failed"
                number.action_retry()
                self._sync()
                self.assertEqual(number.state, "open")

    def test_lease_and_pause_that_can_be_are_kept(self):
        leased = self._frozen(timedelta(seconds=170)).billpay_number_id
        paused = self._frozen(timedelta(hours=7), "No answer.").billpay_number_id
        self._sync()
        self.assertEqual((leased | paused).mapped("state"), ["pending", "pending"])
        self.assertEqual(self.sandbox.numbers(), [])

    def test_pause_of_an_application_that_ends_too_late_is_over(self):
        for ahead in self.AHEAD:
            with self.subTest(ahead=ahead):
                move = self._invoice()
                self.provider.sudo().write(
                    {
                        "billpay_paused_until": fields.Datetime.now() + ahead,
                        "billpay_trouble": "No answer.",
                        "billpay_trouble_count": 3,
                    }
                )
                self.assertFalse(self.provider._billpay_is_paused())
                self._sync(paused=True)
                self.assertEqual(move.billpay_number_id.state, "open")
                self.assertFalse(self.provider.billpay_paused_until)
        move = self._invoice()
        in_an_hour = fields.Datetime.now() + timedelta(hours=1)
        self.provider.sudo().billpay_paused_until = in_an_hour
        self.assertTrue(self.provider._billpay_is_paused())
        self._sync(paused=True)
        self.assertEqual(move.billpay_number_id.state, "pending")

    def test_call_slots_that_were_used_in_the_future_are_free(self):
        self.provider.clickpesa_calls_per_minute = 10
        for ahead in self.AHEAD:
            with self.subTest(ahead=ahead):
                slots = self.env["billpay.call.slot"].sudo()
                slots.search([]).unlink()
                self._registered_invoice()
                slots = slots.search([])
                self.assertTrue(slots)
                slots.used_at = fields.Datetime.now() + ahead
                self._registered_invoice()


@tagged("post_install", "-at_install")
class TestMovedToProduction(BillPayCommon):
    """ClickPesa does not know numbers that it has confirmed."""

    def _gone(self):
        """From now on another ClickPesa answers, without the numbers of the first."""
        self.sandbox.reset()

    def _settle(self):
        for _round in range(3):
            self._sync()

    def assertThere(self, number, **values):
        """ClickPesa has it as Odoo wants it, once, and Odoo knows."""
        there = [n for n in self.sandbox.numbers() if n["number"] == number.name]
        self.assertEqual(len(there), 1)
        mode = "EXACT" if number.mode == "exact" else "ALLOW_PARTIAL_AND_OVER_PAYMENT"
        expected = {
            "state": "ACTIVE",
            "amount": number.amount or None,
            "mode": mode if number.amount else there[0]["mode"],
            **values,
        }
        self.assertEqual({name: there[0][name] for name in expected}, expected)
        self.assertRecordValues(
            number,
            [
                {
                    "state": "open",
                    "sync_at": False,
                    "sync_error": False,
                    "known_active": True,
                    "known_amount": number.amount,
                    "known_description": number.description,
                }
            ],
        )

    def test_changed_number_is_registered_again_under_the_same_digits(self):
        def lower(move):
            refund = self._invoice(50000, move_type="out_refund")
            (move | refund).line_ids.filtered(
                lambda line: line.account_type == "asset_receivable"
            ).reconcile()

        def rename(move):
            move.billpay_number_id.sudo()._want({"description": "Ada ya muhula"})

        def exact(move):
            move.billpay_number_id.sudo()._want({"mode": "exact"})

        def confirm_again(move):
            move.action_post()

        for change in (lower, rename, exact, confirm_again):
            with self.subTest(change.__name__):
                move = self._registered_invoice(150000)
                number = move.billpay_number_id
                name = number.name
                if change == confirm_again:
                    move.button_draft()
                    self._sync()
                self._gone()
                change(move)
                self._settle()
                self.assertEqual(move.billpay_number_id, number)
                self.assertEqual(number.name, name)
                self.assertEqual(number.amount, move.amount_residual)
                self.assertThere(number, kind="order")
                self.assertIn("registers it again", number.message_ids[0].body)
                # And it is paid as any other.
                self._pay(name, number.amount)
                self._poll()
                self._process()
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(number.state, "paid")

    def test_number_of_a_customer(self):
        purpose = self.env["billpay.purpose"].create(
            {"name": "Ada", "company_id": self.company.id}
        )
        number = purpose._reserve(self.partner).sudo()
        self._sync()
        name = number.name
        for values in (
            {"amount": 25000},
            {"amount": 30000, "mode": "exact"},
            {"description": "Ada ya pili"},
        ):
            with self.subTest(values):
                self._gone()
                number._want(values)
                self._settle()
                self.assertEqual(number.name, name)
                self.assertThere(number, kind="customer")

    def test_number_of_a_checkout(self):
        """An order number without an invoice."""
        number = (
            self.env["billpay.control.number"]
            ._reserve(
                self.provider.sudo(),
                [{"kind": "order", "amount": 45000, "description": "S00042"}],
            )
            .sudo()
        )
        self._sync()
        name = number.name
        self._gone()
        number._want({"amount": 40000})
        self._settle()
        self.assertEqual(number.name, name)
        self.assertThere(number, kind="order")

    def test_what_is_closed_is_not_registered_again(self):
        move = self._registered_invoice()
        self._gone()
        move.button_cancel()
        self._settle()
        self.assertEqual(self.sandbox.numbers(), [])
        self.assertEqual(move.billpay_number_id.state, "closed")
        self.assertFalse(move.billpay_number_id.sync_at)

    def test_digits_that_another_merchant_has_there_are_exchanged(self):
        move = self._registered_invoice()
        number = move.billpay_number_id
        name = number.name
        self._gone()
        number.sudo()._want({"amount": 140000})
        with self._workers(), own_transaction(self.env(su=True)) as env:
            claimed = env["billpay.sync"]._claim(number.ids)
            env["billpay.sync"]._sync_claimed(claimed)
        self.assertEqual(number.state, "pending")
        self.provider._billpay_client().create_order_numbers(
            [NumberRequest(reference=name, amount=999, description="Foreign")]
        )
        self._settle()
        self.assertNotEqual(number.name, name)
        self.assertThere(number)
        self.assertEqual(self.sandbox.number(name)["amount"], 999)

    def test_404_to_a_change_of_what_is_there_is_a_refusal(self):
        number = self._registered_invoice().billpay_number_id.sudo()
        name = number.name
        number._want({"amount": 140000})
        with patch.object(
            ClickPesaClient, "update_number", side_effect=NotFound("Cannot PATCH")
        ) as update:
            self._settle()
        self.assertEqual(update.call_count, 1)
        self.assertRecordValues(
            number, [{"state": "open", "name": name, "sync_error": "Cannot PATCH"}]
        )
        self.assertEqual([n["amount"] for n in self.sandbox.numbers()], [150000])
        number.sync_at = "2020-01-01"
        self._settle()
        self.assertThere(number)

    def test_404_to_a_creation_is_a_refusal(self):
        number = self._invoice().billpay_number_id
        with patch.object(
            ClickPesaClient, "create_order_numbers", side_effect=NotFound("Cannot POST")
        ) as create:
            self._settle()
        self.assertEqual(create.call_count, 1)
        self.assertEqual((number.state, number.sync_error), ("failed", "Cannot POST"))
        self.assertEqual(self.sandbox.numbers(), [])

    def test_number_that_was_there_after_all_is_adopted(self):
        number = self._registered_invoice().billpay_number_id.sudo()
        number._want({"description": "Ada ya muhula"})
        self._sync()
        name = number.name
        # ClickPesa's answers were wrong for a moment.
        number._want({"amount": 140000})
        with (
            patch.object(ClickPesaClient, "update_number", side_effect=NotFound("no")),
            patch.object(
                type(self.env["billpay.sync"]), "_is_missing", lambda *_args: True
            ),
        ):
            with self._workers(), own_transaction(self.env(su=True)) as env:
                claimed = env["billpay.sync"]._claim(number.ids)
                env["billpay.sync"]._sync_claimed(claimed)
        self.assertEqual(number.state, "pending")
        self._settle()
        self.assertEqual(number.name, name)
        self.assertThere(number)
