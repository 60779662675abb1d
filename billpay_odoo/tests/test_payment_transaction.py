# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Paying at a checkout: a number per transaction, which follows the money."""

from contextlib import ExitStack
from datetime import timedelta
from itertools import count
from unittest.mock import patch

from odoo import Command, fields
from odoo.http import root
from odoo.tests import tagged
from odoo.tools import mute_logger

from .. import crowd
from ..exceptions import NumberSpaceExhausted
from .common import BillPayCommon, BillPayHttpCommon, slow

_references = count(1)


class CheckoutSteps:
    """Transactions as Odoo's checkout makes them."""

    def _transaction(self, amount=150000, **values):
        method = self.env.ref("billpay_odoo.payment_method_billpay")
        method.active = True
        return (
            self.env["payment.transaction"]
            .sudo()
            .create(
                {
                    "provider_id": self.provider.id,
                    "payment_method_id": method.id,
                    "amount": amount,
                    "currency_id": self.tzs.id,
                    "partner_id": self.partner.id,
                    "reference": "S%05d" % next(_references),
                    "operation": "online_redirect",
                    "landing_route": "/my",
                    **values,
                }
            )
        )

    def _checkout(self, tx):
        with self._workers():
            payable = tx._billpay_checkout()
        return payable

    def _number_of(self, tx):
        return tx.billpay_number_ids.sorted("id")[-1:]

    def _paid(self, number, amount):
        payment = self._pay(number.name, amount)
        self._event(payment)
        self._process()
        return self._ledger(payment)


@tagged("post_install", "-at_install")
class TestCheckout(CheckoutSteps, BillPayCommon):
    def test_offered_for_shillings_only_unless_converted(self):
        def offered(currency):
            return self.provider in self.env[
                "payment.provider"
            ].sudo()._get_compatible_providers(
                self.company.id, self.partner.id, 1000, currency_id=currency.id
            )

        usd = self.env.ref("base.USD")
        self.assertTrue(offered(self.tzs))
        self.assertFalse(offered(usd))
        self.provider.clickpesa_convert = True
        self.assertTrue(offered(usd))
        self.provider.state = "disabled"
        self.assertFalse(offered(self.tzs))

    def test_the_operators_are_the_brands(self):
        method = self.env.ref("billpay_odoo.payment_method_billpay").sudo()
        self.assertEqual(
            method.brand_ids.mapped("name"),
            ["M-Pesa", "Mixx by Yas", "Airtel Money", "HaloPesa", "CRDB"],
        )
        self.assertTrue(all(method.brand_ids.mapped("image_payment_form")))

    def test_number_is_known_to_clickpesa_before_it_is_shown(self):
        tx = self._transaction()
        self.assertIsNone(tx._billpay_page())
        self.assertTrue(self._checkout(tx))
        number = self._number_of(tx)
        self.assertEqual((tx.state, number.state), ("pending", "open"))
        [there] = self.sandbox.numbers()
        self.assertEqual(there["number"], number.name)
        self.assertEqual((number.amount, number.mode), (150000, "exact"))
        self.assertEqual(tx._billpay_page()["number"], number.name)
        # A reload finds it again.
        self.assertTrue(self._checkout(tx))
        self.assertEqual(len(tx.billpay_number_ids), 1)

    def test_number_is_reserved_with_the_transaction(self):
        tx = self._transaction()
        values = tx._get_specific_rendering_values({})
        self.assertEqual(values, {"api_url": "/payment/clickpesa/checkout"})
        number = self._number_of(tx)
        self.assertEqual((tx.state, number.state), ("draft", "pending"))
        self.assertFalse(self.sandbox.numbers())
        self.assertTrue(self._checkout(tx))
        self.assertEqual(tx.billpay_number_ids, number)
        self.assertEqual((tx.state, number.state), ("pending", "open"))

    def test_what_keeps_it_from_a_number_is_told_at_the_page(self):
        tx, numbering = self._transaction(), type(self.env["billpay.numbering"])

        def used_up(*_args, **_how):
            raise NumberSpaceExhausted("The digits are used up.")

        with patch.object(numbering, "_next_references", used_up):
            tx._get_specific_rendering_values({})
            self.assertEqual((tx.state, tx.billpay_number_ids.ids), ("draft", []))
            self.assertFalse(self._checkout(tx))
        self.assertEqual(tx.state, "error")
        # The next one finds the digits that an administrator has added.
        self.assertTrue(self._checkout(self._transaction()))

    def test_an_application_that_was_switched_off_after_pay_now(self):
        tx = self._transaction()
        tx._get_specific_rendering_values({})
        self.provider.state = "disabled"
        self.assertFalse(self._checkout(tx))
        self.assertEqual((tx.state, tx._billpay_living().ids), ("error", []))

    def test_paid_once_and_booked_once(self):
        tx = self._transaction()
        self._checkout(tx)
        row = self._paid(self._number_of(tx), 150000)
        self.assertBooked(row, 150000)
        self.assertEqual(tx.state, "done")
        self.assertEqual(tx.payment_id, row.account_payment_ids)
        self.assertFalse(row.attention)
        # Odoo's own post-processing makes no second payment.
        payments = self.env["account.payment"].search_count([])
        tx._post_process()
        self.assertEqual(self.env["account.payment"].search_count([]), payments)
        self.assertTrue(tx.is_post_processed)
        self.assertEqual(self._number_of(tx).state, "paid")

    def test_invoice_of_the_portal_is_reconciled(self):
        move = self._registered_invoice()
        tx = self._transaction(invoice_ids=[Command.set(move.ids)])
        self._checkout(tx)
        # One debt has one number: the checkout shows the invoice's.
        self.assertEqual(self._number_of(tx), move.billpay_number_id)
        row = self._paid(self._number_of(tx), 150000)
        self.assertBooked(row, 150000)
        self.assertEqual((tx.state, move.amount_residual), ("done", 0))
        self.assertEqual(move.billpay_number_id.state, "paid")
        tx._post_process()
        self.assertEqual(move.amount_residual, 0)

    def test_checkouts_of_an_invoice_show_its_number(self):
        """By hand, for a part, twice: one debt is asked for once at ClickPesa."""
        for issue_on, amounts in (
            ("post", (150000, 150000)),
            ("manual", (150000,)),
            ("post", (60000, 150000)),
        ):
            with self.subTest(issue_on=issue_on, amounts=amounts):
                move = self._invoice(150000, billpay_issue_on=issue_on)
                for amount in amounts:
                    tx = self._transaction(amount, invoice_ids=[Command.set(move.ids)])
                    self.assertTrue(self._checkout(tx))
                    self.assertFalse(move.billpay_can_issue)
                self._sync()
                [number] = move.sudo().billpay_number_ids
                active = [n for n in self.sandbox.numbers() if n["state"] == "ACTIVE"]
                self.assertEqual(
                    [(n["number"], n["amount"]) for n in active],
                    [(number.name, 150000)],
                )
                self.assertEqual(tx._billpay_page()["number"], number.name)
                row = self._paid(number, 150000)
                self.assertBooked(row, 150000)
                self.assertEqual((tx.state, move.amount_residual), ("done", 0))
                self.assertFalse(row.attention)

    def _in_cash(self, moves):
        wizard = self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=moves.ids
        )
        wizard.create({"group_payment": False})._create_payments()

    def _credited(self, moves):
        for move in moves:
            refund = self._invoice(move.amount_residual, move_type="out_refund")
            (move | refund).line_ids.filtered(
                lambda line: line.account_type == "asset_receivable"
            ).reconcile()

    def _on_their_numbers(self, moves):
        for move in moves:
            number = move.billpay_number_id.sudo()
            self.assertBooked(self._paid(number, move.amount_residual), 30000)

    def test_checkouts_of_what_was_paid_otherwise_ask_for_nothing(self):
        """Of several invoices; of the ones that are still due it asks for the rest."""
        for pay in (self._in_cash, self._credited, self._on_their_numbers):
            with self.subTest(pay.__name__):
                partner = self.partner.copy()
                moves = self._invoice(30000, partner=partner)
                moves |= self._invoice(30000, partner=partner)
                self._sync()
                tx = self._transaction(60000, invoice_ids=[Command.set(moves.ids)])
                self._checkout(tx)
                number = self._number_of(tx)
                pay(moves[:1])
                self._sync()
                self.assertEqual((number.state, number.amount), ("open", 30000))
                self.assertEqual(self.sandbox.number(number.name)["amount"], 30000)
                pay(moves[1:])
                self.assertEqual(set(moves.mapped("amount_residual")), {0})
                self._sync()
                self.assertEqual(number.state, "closed")
                self.assertEqual(self.sandbox.number(number.name)["state"], "INACTIVE")

    def test_money_that_is_taken_back_is_told_on_what_was_paid(self):
        seller = self._user("checkout_seller", "account.group_account_invoice")
        for status, reversal in (
            ("REVERSED", "auto"),
            ("REFUNDED", "alert"),
            ("FAILED", "auto"),
        ):
            with self.subTest(status=status, reversal=reversal):
                self.provider.sudo().clickpesa_reversal = reversal
                move = self._registered_invoice(invoice_user_id=seller.id)
                tx = self._transaction(invoice_ids=[Command.set(move.ids)])
                self._checkout(tx)
                row = self._paid(self._number_of(tx), 150000)
                payment = row.reference
                self.sandbox.set_status(payment, status)
                row.sudo()._flag("Taken back", due=self.env.cr.now(), status=status)
                self._process()
                taken = status == "REVERSED"
                self.assertEqual(row.state, "reversed" if taken else "posted")
                self.assertEqual(move.amount_residual, 150000 if taken else 0)
                activity = move.activity_ids
                self.assertEqual(activity.user_id, seller)
                self.assertIn(row.display_name, activity.summary)

    def test_a_part_keeps_it_waiting_and_asks_for_the_rest(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        tx = self._transaction()
        self._checkout(tx)
        first = self._number_of(tx)
        row = self._paid(first, 100000)
        self.assertBooked(row, 100000)
        self.assertEqual(tx.state, "pending")
        self.assertFalse(tx.payment_id)
        rest = self._number_of(tx)
        self.assertEqual((rest.amount, rest.predecessor_id), (50000, first))
        self.assertTrue(row.attention)
        self.assertIn("50,000", row.reason)
        self._sync()
        second = self._paid(rest, 50000)
        self.assertBooked(second, 50000)
        self.assertEqual(tx.state, "done")
        self.assertFalse(second.attention)

    def test_too_much_is_credit_and_told(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        tx = self._transaction()
        self._checkout(tx)
        row = self._paid(self._number_of(tx), 160000)
        self.assertBooked(row, 160000)
        self.assertEqual(tx.state, "done")
        self.assertTrue(row.attention)
        self.assertIn("10,000", row.reason)
        self.assertTrue(row.activity_ids)

    def test_money_after_the_end_is_credit_and_told(self):
        tx = self._transaction()
        self._checkout(tx)
        number = self._number_of(tx)
        payment = self._pay(number.name, 150000)
        tx._set_canceled()
        self.assertEqual(number.state, "closed")
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 150000)
        self.assertEqual(tx.state, "cancel")
        self.assertFalse(tx.payment_id)
        self.assertIn("expired before it was paid", row.reason)
        self.assertTrue(row.activity_ids)

    def test_a_second_payment_is_credit_and_told(self):
        tx = self._transaction()
        self._checkout(tx)
        number = self._number_of(tx)
        self._paid(number, 150000)
        twice = (
            self.env["billpay.payment"]
            .sudo()
            .create(
                {
                    "provider_id": self.provider.id,
                    "reference": "LCPTWICE",
                    "number": number.name,
                    "amount": 150000,
                    "currency_id": self.tzs.id,
                    "currency_code": "TZS",
                    "paid_at": fields.Datetime.now(),
                    "status": "SUCCESS",
                    "state": "confirmed",
                    "confirmed_at": fields.Datetime.now(),
                }
            )
        )
        self._process()
        self.assertBooked(twice, 150000)
        self.assertIn("paid already", twice.reason)
        self.assertEqual(len(tx.payment_id), 1)
        self.assertNotEqual(tx.payment_id, twice.account_payment_ids)

    def test_cancelled_at_the_shop_is_closed_at_clickpesa(self):
        tx = self._transaction()
        self._checkout(tx)
        tx._set_canceled()
        self._sync()
        [there] = self.sandbox.numbers()
        self.assertEqual(there["status"], "INACTIVE")

    def test_old_checkouts_are_given_up(self):
        old, young = self._transaction(), self._transaction()
        self._checkout(old)
        self._checkout(young)
        old.last_state_change = fields.Datetime.now() - timedelta(hours=49)
        self._run_cron("ir_cron_expire_checkouts")
        self.assertEqual((old.state, young.state), ("cancel", "pending"))
        self.assertEqual(self._number_of(old).state, "closed")
        self.provider.clickpesa_checkout_hours = 0
        young.last_state_change = fields.Datetime.now() - timedelta(days=300)
        self._run_cron("ir_cron_expire_checkouts")
        self.assertEqual(young.state, "pending")

    def test_money_on_its_way_is_waited_for(self):
        tx = self._transaction()
        self._checkout(tx)
        number = self._number_of(tx)
        self.env["billpay.payment"].sudo().create(
            {
                "provider_id": self.provider.id,
                "reference": "LCPLATE",
                "number": number.name,
                "amount": 150000,
                "currency_id": self.tzs.id,
                "status": "SUCCESS",
                "state": "confirmed",
            }
        )
        tx.last_state_change = fields.Datetime.now() - timedelta(hours=49)
        self._run_cron("ir_cron_expire_checkouts")
        self.assertEqual(tx.state, "pending")

    def test_a_checkout_left_by_a_crash_is_given_up(self):
        tx = self._transaction()
        number = tx._billpay_reserve()
        self.assertEqual((tx.state, number.state), ("draft", "pending"))
        tx.last_state_change = fields.Datetime.now() - timedelta(hours=49)
        other = self._transaction()
        other.last_state_change = tx.last_state_change
        self._run_cron("ir_cron_expire_checkouts")
        self.assertEqual((tx.state, number.state), ("cancel", "closed"))
        # A click that never came to a number is Odoo's own business.
        self.assertEqual(other.state, "draft")

    def test_a_part_of_what_is_given_up_is_told(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        tx = self._transaction()
        self._checkout(tx)
        row = self._paid(self._number_of(tx), 100000)
        row.action_mark_seen()
        self._sync()
        tx.last_state_change = fields.Datetime.now() - timedelta(hours=49)
        self._run_cron("ir_cron_expire_checkouts")
        self.assertEqual(tx.state, "cancel")
        self.assertTrue(row.attention)
        self.assertIn("100,000", row.reason)
        self.assertFalse(tx._billpay_living())

    def test_one_that_fails_does_not_keep_the_others(self):
        first, second = self._transaction(), self._transaction()
        for tx, hours in ((first, 50), (second, 49)):
            self._checkout(tx)
            tx.last_state_change = fields.Datetime.now() - timedelta(hours=hours)
        expire = type(first)._billpay_expire

        def broken(tx):
            if tx == first:
                raise ValueError("broken")
            return expire(tx)

        self.patch(type(first), "_billpay_expire", broken)
        with mute_logger("odoo.addons.billpay_odoo"):
            self._run_cron("ir_cron_expire_checkouts")
        self.assertEqual((first.state, second.state), ("pending", "cancel"))

    # === Parts, and the books === #

    def _parts(self, *amounts, **values):
        """A checkout paid in parts; return it and the ledger's rows."""
        self.provider.clickpesa_checkout_mode = "flexible"
        tx = self._transaction(sum(amounts), **values)
        self._checkout(tx)
        rows = self.env["billpay.payment"]
        for amount in amounts:
            rows += self._paid(self._number_of(tx), amount)
            self._sync()
        return tx, rows

    def test_all_parts_pay_the_invoice_that_comes_later(self):
        tx, rows = self._parts(100000, 30000, 20000)
        self.assertEqual(tx.state, "done")
        move = self._invoice(150000, post=False)
        move.transaction_ids = tx
        move.action_post()
        self.assertEqual((move.amount_residual, move.payment_state), (0, "paid"))
        lines = rows.account_payment_ids.move_id.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        self.assertEqual(sorted(lines.mapped("credit")), [20000, 30000, 100000])
        self.assertTrue(all(lines.mapped("reconciled")))
        self.assertFalse(move.billpay_number_ids)

    def test_money_of_an_order_pays_no_other_invoice(self):
        self.company.billpay_apply_credit = True
        tx, rows = self._parts(100000, 50000)
        other = self._invoice(150000)
        self.assertEqual(other.amount_residual, 150000)
        own = self._invoice(120000, post=False)
        own.transaction_ids = tx
        own.action_post()
        self.assertEqual(own.amount_residual, 0)
        # What is over when the order is invoiced is credit like any other.
        third = self._invoice(150000)
        self.assertEqual(third.amount_residual, 120000)
        self.assertEqual(len(rows.account_payment_ids), 2)

    def test_money_of_a_cancelled_order_is_ordinary_credit(self):
        self.company.billpay_apply_credit = True
        tx = self._transaction()
        self._checkout(tx)
        payment = self._pay(self._number_of(tx).name, 150000)
        tx._set_canceled()
        self._event(payment)
        self._process()
        self.assertEqual(self._invoice(150000).amount_residual, 0)

    def test_a_part_is_booked_though_no_digits_are_left(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        tx = self._transaction()
        self._checkout(tx)
        number = self._number_of(tx)

        def used_up(*_args, **_how):
            raise NumberSpaceExhausted("The digits are used up.")

        self.patch(type(self.env["billpay.numbering"]), "_next_references", used_up)
        row = self._paid(number, 100000)
        self.assertBooked(row, 100000)
        self.assertEqual((tx.state, len(tx.billpay_number_ids)), ("pending", 1))
        self.assertTrue(row.attention)
        self.assertIn("no number could be created", row.reason)

    def test_what_a_person_assigned_elsewhere_does_not_count(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        tx = self._transaction()
        self._checkout(tx)
        first = self._paid(self._number_of(tx), 100000)
        first.sudo().matched_partner_id = self.partner
        self.assertEqual(tx._billpay_received(), 0)

    def test_a_failed_click_leaves_what_is_part_paid(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        tx = self._transaction()
        self._checkout(tx)
        self._paid(self._number_of(tx), 100000)
        self.sandbox.faults.add("error", times=-1)
        self.assertTrue(self._checkout(tx))
        self.assertEqual(tx.state, "pending")
        rest = self._number_of(tx)
        self.assertEqual((rest.state, rest.amount), ("pending", 50000))
        self.sandbox.faults.clear()
        rest.sudo().sync_at = fields.Datetime.now()
        self._sync()
        self.assertEqual(rest.state, "open")

    # === ClickPesa does not answer === #

    def test_a_crowd_is_not_waited_for_without_end(self):
        self.patch(type(self.env["payment.transaction"]), "_billpay_patience", 0.05)
        tx = self._transaction()
        with ExitStack() as others:
            for _other in range(crowd.AT_ONCE):
                self.assertTrue(others.enter_context(crowd.turn(1)))
            self.assertFalse(self._checkout(tx))
        self.assertEqual(tx.state, "error")
        self.assertTrue(self._checkout(self._transaction()))

    def test_nobody_came_to_a_number_that_this_snapshot_does_not_have(self):
        unseen = self.env["billpay.control.number"].browse(2**31 - 1)
        with self._workers():
            outcome = self.env["billpay.sync"]._sync_with_others(unseen, 0)
        self.assertEqual(
            outcome,
            {
                **dict.fromkeys(("name", "state", "error", "problem"), ""),
                "obstacle": "unknown",
            },
        )

    def test_without_clickpesa_nothing_is_half_done(self):
        self.sandbox.faults.add("error", times=-1)
        tx = self._transaction()
        self.assertFalse(self._checkout(tx))
        self.assertEqual(tx.state, "error")
        self.assertIn("Nothing was paid", tx.state_message)
        self.assertEqual(self._number_of(tx).state, "closed")
        self.sandbox.faults.clear()
        self._sync()
        self.assertFalse([n for n in self.sandbox.numbers() if n["status"] == "ACTIVE"])
        again = self._transaction()
        self.provider.billpay_paused_until = False
        self.assertTrue(self._checkout(again))

    def test_offline_number_begins_with_the_namba(self):
        self.provider.clickpesa_checkout_offline = True
        self.sandbox.faults.add("error", times=-1)
        for prefix in ("88", "99112", "112"):
            with self.subTest(prefix):
                self.provider.clickpesa_number_prefix = prefix
                tx = self._transaction()
                self.assertTrue(self._checkout(tx))
                registered, offline = tx.sudo().billpay_number_ids.sorted("id")
                self.assertEqual(registered.name[: len(prefix)], prefix)
                self.assertEqual(registered.state, "closed")
                self.assertEqual(offline.name[:4], "1122")
                self.assertEqual((offline.origin, offline.state), ("offline", "open"))

    def test_offline_number_where_the_company_allows_it(self):
        self.provider.clickpesa_checkout_offline = True
        self.sandbox.faults.add("error", times=-1)
        tx = self._transaction()
        self.assertTrue(self._checkout(tx))
        number = self._number_of(tx)
        self.assertEqual(
            (tx.state, number.origin, number.state), ("pending", "offline", "open")
        )
        self.assertEqual(len(tx._billpay_living()), 1)

    def _dollars(self):
        self.provider.clickpesa_convert = True
        usd = self.env.ref("base.USD")
        usd.active = True
        self.env["res.currency.rate"].create(
            {
                "currency_id": usd.id,
                "company_id": self.company.id,
                "name": "2026-01-01",
                "rate": 1 / 2500,
            }
        )
        return usd

    def test_what_was_asked_stands_when_the_rate_changes(self):
        usd = self._dollars()
        move = self._invoice(10.01, currency_id=usd.id)
        self.provider.clickpesa_checkout_mode = "flexible"
        tx = self._transaction(
            10.01, currency_id=usd.id, invoice_ids=[Command.set(move.ids)]
        )
        self._checkout(tx)
        first = self._number_of(tx)
        usd.rate_ids.filtered(lambda r: r.company_id == self.company).rate = 1 / 3000
        self._paid(first, 20000)
        rest = self._number_of(tx)
        self.assertEqual((rest.amount, rest.bill_rate), (5025, first.bill_rate))
        self.assertAlmostEqual(rest.amount / rest.bill_amount, first.bill_rate)
        self._sync()
        row = self._paid(rest, 5025)
        self.assertBooked(row, 5025)
        self.assertEqual((tx.state, move.amount_residual), ("done", 0))
        self.assertFalse(row.attention)

    def test_other_currencies_are_asked_for_in_shillings(self):
        usd = self._dollars()
        tx = self._transaction(10.01, currency_id=usd.id)
        self._checkout(tx)
        number = self._number_of(tx)
        self.assertEqual((number.amount, number.bill_amount), (25025, 10.01))
        self._paid(number, 25025)
        self.assertEqual(tx.state, "done")


@tagged("post_install", "-at_install")
class TestCheckoutPages(CheckoutSteps, BillPayHttpCommon):
    def test_the_status_page_shows_how_to_pay(self):
        tx = self._transaction()
        session = self.authenticate(None, None)
        session["__payment_monitored_tx_id__"] = tx.id
        root.session_store.save(session)
        answer = self.url_open("/payment/clickpesa/checkout", data={}, method="POST")
        self.assertTrue(answer.url.endswith("/payment/status"))
        number = self._number_of(tx)
        self.assertEqual(tx.state, "pending")
        self.assertIn(number.name, answer.text)
        self.assertIn('id="billpay"', answer.text)

    def test_without_clickpesa_there_is_a_way_back(self):
        self.sandbox.faults.add("error", times=-1)
        tx = self._transaction()
        session = self.authenticate(None, None)
        session["__payment_monitored_tx_id__"] = tx.id
        root.session_store.save(session)

        def press(referrer):
            return self.url_open(
                "/payment/clickpesa/checkout",
                data={},
                method="POST",
                headers={"Referer": referrer},
            )

        answer = press(f"{self.base_url()}/shop/payment?x=1")
        self.assertEqual(answer.status_code, 200)
        self.assertIn("Nothing was paid", answer.text)
        self.assertIn('href="/shop/payment?x=1"', answer.text)
        self.assertEqual(tx.state, "error")
        self.assertNotIn("evil", press("https://evil.example/shop").text)
        for path in ("//evil.example", "///evil.example/x", "/\\evil.example", "[evil"):
            with self.subTest(path=path):
                answer = press(f"{self.base_url()}{path}")
                self.assertEqual(answer.status_code, 200)
                self.assertNotIn("evil", answer.text)
                self.assertIn('href="/my"', answer.text)
        # As a part of the page's own address it leads nowhere else.
        answer = press(f"{self.base_url()}/shop//x?to=//evil.example")
        self.assertIn('href="/shop//x?to=//evil.example"', answer.text)

    def test_strangers_make_no_number(self):
        tx = self._transaction()
        self.authenticate(None, None)
        answer = self.url_open(
            "/payment/clickpesa/checkout",
            data={"reference": tx.reference},
            method="POST",
        )
        self.assertEqual(answer.status_code, 200)
        self.assertFalse(tx.billpay_number_ids)
        self.assertEqual(tx.state, "draft")

    @slow
    def test_an_invoice_is_paid_in_the_portal(self):
        self.provider.write({"state": "enabled", "is_published": True})
        self.env.ref("billpay_odoo.payment_method_billpay").active = True
        move = self._registered_invoice(150000)
        own = move.billpay_number_id
        self.start_tour(move.get_portal_url(), "billpay_invoice", login=None)
        [tx] = move.transaction_ids
        number = self._number_of(tx.sudo())
        self.assertEqual((tx.state, number.state), ("pending", "open"))
        self.assertEqual(number, own)
        row = self._paid(number, 150000)
        self.assertBooked(row, 150000)
        self.assertEqual((tx.state, move.amount_residual), ("done", 0))
        self.assertEqual(own.state, "paid")
