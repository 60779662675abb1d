# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import json
from dataclasses import replace
from datetime import datetime
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..clickpesa import ClickPesaClient, Payment, parse_notification
from ..transactions import own_transaction
from .common import BillPayCommon

LOG = "odoo.addons.billpay_odoo"


@tagged("post_install", "-at_install")
class TestPayment(BillPayCommon):
    def test_exact_payment_pays_the_invoice(self):
        move = self._registered_invoice(150000)
        number = move.billpay_number_id
        payment = self._pay(number.name, 150000)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 150000)
        self.assertEqual(move.amount_residual, 0)
        self.assertIn(move.payment_state, ("paid", "in_payment"))
        self.assertEqual(number.state, "paid")
        self.assertEqual(number.amount_paid, 150000)
        self.assertEqual(move.billpay_number_ids, number)
        entry = row.account_payment_ids.move_id
        matched = entry.line_ids.matched_debit_ids.debit_move_id.move_id
        self.assertEqual(matched, move)
        self.assertIn(row.receipt, row.account_payment_ids.memo)
        self.assertIn(row.reference, entry.ref)
        self.assertFalse(row.attention)

    def test_partial_payment_leaves_a_successor_for_the_rest(self):
        move = self._registered_invoice(150000)
        first = move.billpay_number_id
        payment = self._pay(first.name, 60000)
        self._event(payment)
        self._process()
        self.assertBooked(self._ledger(payment), 60000)
        self.assertEqual(move.amount_residual, 90000)
        self.assertEqual(move.payment_state, "partial")
        self.assertEqual(first.state, "paid")
        second = move.billpay_number_id
        self.assertEqual(second.predecessor_id, first)
        self.assertEqual(first.successor_id, second)
        self.assertEqual(second.amount, 90000)
        self._sync()
        rest = self._pay(second.name, 90000)
        self._event(rest)
        self._process()
        self.assertBooked(self._ledger(rest), 90000)
        self.assertEqual(move.amount_residual, 0)

    def test_over_payment_is_the_customers_credit(self):
        move = self._registered_invoice(150000)
        payment = self._pay(move.billpay_number_id.name, 170000)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 170000)
        self.assertEqual(move.amount_residual, 0)
        credit = row.account_payment_ids.move_id.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        self.assertEqual(credit.amount_residual, -20000)
        self.assertEqual(credit.partner_id, self.partner)
        self.assertTrue(row.attention)

    def test_same_payment_again_is_booked_once(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        for _repeat in range(3):
            self._event(payment)
            self._process()
        self._poll()
        self._process()
        row = self._ledger(payment)
        self.assertEqual(len(row), 1)
        self.assertBooked(row, 150000)
        events = row.event_ids
        self.assertRecordValues(events, [{"times": 3, "state": "done"}])
        self.assertTrue(row.webhook_at and row.poll_at)

    def test_lost_webhook_is_found_by_the_poll(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll()
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 150000)
        self.assertFalse(row.webhook_at)
        self.assertEqual(move.amount_residual, 0)

    def test_late_webhook_after_the_poll_books_nothing(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll()
        self._process()
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 150000)
        self.assertTrue(row.webhook_at)

    def test_settlement_updates_and_never_books_again(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll()
        self._process()
        self.sandbox.settle()
        self._poll()
        self._process()
        row = self._ledger(payment)
        self.assertEqual(row.status, "SETTLED")
        self.assertBooked(row, 150000)

    def test_announcement_that_clickpesa_denies_is_never_booked(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._event(payment)
        self.sandbox.reset()
        self._process()
        row = self._ledger(payment)
        self.assertEqual(row.state, "received")
        self.assertFalse(row.account_payment_ids)
        self.assertIn("does not know", row.reason)
        self.assertGreater(row.next_try_at, self.env.cr.now())
        self.assertEqual(move.amount_residual, 150000)

    def test_announced_amount_is_not_believed(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 5000)
        body = self.sandbox.webhook_body(payment["id"])
        body["data"]["collectedAmount"] = "150000"
        self._store(body)
        self._process()
        self.assertBooked(self._ledger(payment), 5000)
        self.assertEqual(move.amount_residual, 145000)

    def _store(self, body, signed=True):
        raw = json.dumps(body).encode()
        self.env["billpay.event"]._store_delivery(
            self.provider.sudo(),
            raw,
            parse_notification(raw),
            signed=signed,
        )

    def test_signature_confirmation_asks_nobody(self):
        self.provider.clickpesa_confirmation = "signature"
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        calls = self.sandbox.count_calls()
        self._event(payment, signed=True)
        self._process()
        self.assertBooked(self._ledger(payment), 150000)
        self.assertEqual(self.sandbox.count_calls(), calls)

    def test_unsigned_delivery_is_a_hint_even_with_signature_confirmation(self):
        self.provider.clickpesa_confirmation = "signature"
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        calls = self.sandbox.count_calls()
        self._event(payment, signed=False)
        self._process()
        self.assertBooked(self._ledger(payment), 150000)
        self.assertGreater(self.sandbox.count_calls(), calls)

    def test_number_never_issued_stays_in_sight(self):
        payment = self._pay("1122999999", 7000)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertEqual(row.state, "unmatched")
        self.assertIn("1122999999", row.reason)
        self.assertFalse(row.account_payment_ids)

    def test_digits_that_clickpesa_has_not_confirmed_match_nothing(self):
        """After a restored backup they may be another bill's there."""
        move = self._invoice(7000)
        payment = self._pay("1122999999", 7000)
        self._tell_only(payment, orderReference=move.billpay_number_id.name)
        self._process()
        self.assertEqual(self._ledger(payment).state, "unmatched")
        self.assertEqual(move.amount_residual, 7000)

    def test_nightly_look_reaches_back_to_known_ground(self):
        self.provider.sudo().billpay_polled_until = "2020-01-01 00:00:00"
        payments = []
        for index, year in enumerate((2020, 2023, 2026)):
            self.sandbox.clock.set(datetime(year, 1, 2))
            payments.append(self._pay(f"11229990{index}", 1000))
        self.sandbox.clock.reset()
        with self._workers(), own_transaction(self.env(su=True)) as env:
            env["payment.provider"]._cron_poll_payments_deep()
        for payment in payments:
            self.assertTrue(self._ledger(payment))

    def test_suffixed_reference_finds_its_number(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll_as(payment, orderReference=move.billpay_number_id.name + "-8943")
        self.assertBooked(self._ledger(payment), 150000)
        self.assertEqual(move.amount_residual, 0)

    def _poll_as(self, payment, **changes):
        """Upsert a payment as a query tells it, with changed members, and book."""
        told = Payment.parse({**self.sandbox.payment(payment["id"]), **changes})
        self.env["billpay.ledger"]._upsert(
            self.provider.sudo(), [told], source="poll", trusted=True
        )
        self._process()

    def test_wrong_currency_is_never_booked(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll_as(payment, collectedCurrency="USD")
        row = self._ledger(payment)
        self.assertEqual(row.state, "unmatched")
        self.assertIn("USD", row.reason)
        self.assertFalse(row.account_payment_ids)

    def test_text_amount_with_decimals_is_read(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll_as(payment, collectedAmount="150000.00")
        self.assertBooked(self._ledger(payment), 150000)

    def test_unusable_amount_is_never_booked(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll_as(payment, collectedAmount="lots")
        row = self._ledger(payment)
        self.assertEqual(row.state, "unmatched")
        self.assertFalse(row.account_payment_ids)

    def test_pending_waits_and_success_books(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self.sandbox.set_status(payment["id"], "PROCESSING")
        self._poll()
        calls = self.sandbox.count_calls("/third-parties/payments/11")
        self._process()
        self._process()
        self.assertEqual(
            self.sandbox.count_calls("/third-parties/payments/11"), calls + 1
        )
        self.assertEqual(self._ledger(payment).state, "received")
        self._poll_as(payment, status="SOMETHING-NEW")
        self.assertFalse(self._ledger(payment).account_payment_ids)
        self.sandbox.set_status(payment["id"], "SUCCESS")
        self._poll()
        self._process()
        self.assertBooked(self._ledger(payment), 150000)

    def test_failed_payment_is_no_money_until_it_succeeds(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll_as(payment, status="FAILED")
        self.assertEqual(self._ledger(payment).state, "ignored")
        self._poll_as(payment)
        self.assertBooked(self._ledger(payment), 150000)

    def test_failed_after_all_is_not_booked(self):
        """ClickPesa's last word counts until the money is booked."""
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll_only()
        row = self._ledger(payment)
        self.assertEqual(row.state, "confirmed")
        row.sudo().write({"state": "failed", "next_try_at": "2100-01-01"})
        self.sandbox.set_status(payment["id"], "FAILED")
        self._poll()
        row.sudo().next_try_at = False
        self._process()
        self.assertEqual(row.state, "ignored")
        self.assertFalse(row.account_payment_ids)
        self.assertEqual(move.amount_residual, 150000)

    def test_old_news_does_not_undo_newer(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._tell_only(payment, updatedAt="2026-03-01T10:00:00Z")
        self._tell_only(payment, status="FAILED", updatedAt="2026-03-01T09:00:00Z")
        self._process()
        self.assertBooked(self._ledger(payment), 150000)

    def _tell_only(self, payment, **changes):
        told = Payment.parse({**self.sandbox.payment(payment["id"]), **changes})
        self.env["billpay.ledger"]._upsert(
            self.provider.sudo(), [told], source="poll", trusted=True
        )

    def test_unmatched_waits_quietly_and_binds_when_its_number_appears(self):
        payment = self._pay("1122999999", 7000)
        self._poll()
        self._process()
        row = self._ledger(payment)
        confirmed_at, messages = row.confirmed_at, row.message_ids
        for _poll in range(2):
            self._poll()
            self._process()
        self.assertEqual(row.state, "unmatched")
        self.assertEqual(row.confirmed_at, confirmed_at)
        self.assertEqual(row.message_ids, messages)
        move = self._registered_invoice(7000)
        self.env.cr.execute(
            "UPDATE billpay_control_number SET name = '1122999999' WHERE id = %s",
            (move.billpay_number_id.id,),
        )
        self.env.invalidate_all()
        self._poll()
        self._process()
        self.assertBooked(row, 7000)
        self.assertEqual(move.amount_residual, 0)

    def test_one_delivery_that_breaks_stops_only_itself(self):
        moves = [self._registered_invoice(1000), self._registered_invoice(2000)]
        payments = [
            self._pay(moves[0].billpay_number_id.name, 1000),
            self._pay(moves[1].billpay_number_id.name, 2000),
        ]
        for payment in payments:
            self._event(payment)
        ledger_class = type(self.env["billpay.ledger"])
        insert = ledger_class._insert_told

        def broken(ledger, vals_list):
            if payments[0]["id"] in [vals["reference"] for vals in vals_list]:
                raise ZeroDivisionError
            return insert(ledger, vals_list)

        with (
            patch.object(ledger_class, "_insert_told", broken),
            mute_logger(LOG),
        ):
            self._process()
            self.assertBooked(self._ledger(payments[1]), 2000)
            self._poll()
            self.assertIn(payments[0]["id"], self.provider.billpay_poll_error)
            self.assertFalse(self.provider.billpay_polled_until)
        states = self.env["billpay.event"].search([], limit=2).mapped("state")
        self.assertEqual(sorted(states), ["done", "failed"])
        self._poll()
        self._process()
        self.assertBooked(self._ledger(payments[0]), 1000)

    def test_poll_reads_on_when_the_total_is_not_told(self):
        for amount in (1000, 2000, 3000):
            self._pay(self._registered_invoice(amount).billpay_number_id.name, amount)
        page = ClickPesaClient.payments_page

        def silent(client, **kw):
            return replace(page(client, **{**kw, "limit": 1}), total=None)

        with patch.object(ClickPesaClient, "payments_page", silent):
            self._poll_only()
        found = self.env["billpay.payment"].search([("state", "=", "confirmed")])
        self.assertEqual(sum(found.mapped("amount")), 6000)

    def test_payment_of_another_application_goes_to_its_own_ledger(self):
        other = self.setup_other_company(name="Shule ya Pili", currency_id=self.tzs.id)
        theirs = self._make_application(other["company"], clickpesa_client_id="IDother")
        payment = self._pay("1122999999", 7000)
        self._tell_only(payment, clientId="IDother")
        self.assertEqual(self._ledger(payment).sudo().provider_id, theirs)

    def test_announcement_to_the_wrong_merchant_moves_to_its_own(self):
        """A webhook may go to one application, and name none."""
        other = self.setup_other_company(name="Shule ya Pili", currency_id=self.tzs.id)
        theirs = self._make_application(
            other["company"],
            clickpesa_client_id="IDother",
            clickpesa_billpay_namba="3344",
        )
        payment = self._pay("1122999999", 7000)
        told = self.sandbox.payment(payment["id"])
        self._upsert_from("webhook", {**told, "clientId": ""}, trusted=False)
        row = self._ledger(payment).sudo()
        self.assertEqual(row.provider_id, self.provider)
        self._upsert_from("query", {**told, "clientId": "IDother"}, trusted=True)
        self.assertEqual(self._ledger(payment).sudo(), row)
        self.assertEqual(row.provider_id, theirs)
        self.assertEqual(row.company_id, other["company"])
        # Announced once more: it stands for itself.
        self._upsert_from("webhook", {**told, "clientId": ""}, trusted=False)
        self._upsert_from("query", {**told, "clientId": "IDother"}, trusted=True)
        stray = self._ledger(payment).sudo() - row
        self.assertEqual(stray.state, "ignored")
        self.assertEqual(stray.merged_into_id, row)
        self.assertEqual(row.state, "confirmed")

    def test_number_of_a_sharing_company_takes_its_money_along(self):
        other = self.setup_other_company(name="Shule ya Pili", currency_id=self.tzs.id)
        theirs = self._make_application(other["company"])
        theirs.clickpesa_number_origin = "offline"
        payment = self._pay("1122999999", 7000)
        # ClickPesa need not name the application.
        told = {**self.sandbox.payment(payment["id"]), "clientId": ""}
        self._upsert_from("poll", told, trusted=True)
        self._process()
        row = self._ledger(payment).sudo()
        self.assertEqual((row.provider_id, row.state), (self.provider, "unmatched"))
        number = self.env["billpay.control.number"]._reserve(
            theirs.sudo(), [{"kind": "customer", "partner_id": self.partner.id}]
        )
        number.sudo().name = "1122999999"
        self._upsert_from("poll", told, trusted=True)
        self._process()
        self.assertEqual(self._ledger(payment).sudo(), row)
        self.assertEqual(row.provider_id, theirs)
        self.assertBooked(row, 7000)
        # What is booked does not move.
        number.sudo().name = "1122999998"
        self._upsert_from("poll", {**told, "clientId": "IDsandbox"}, trusted=True)
        self.assertEqual(self._ledger(payment).sudo(), row)
        self.assertEqual(row.provider_id, theirs)

    def _upsert_from(self, source, told, *, trusted):
        self.env["billpay.ledger"]._upsert(
            self.provider.sudo(), [Payment.parse(told)], source=source, trusted=trusted
        )

    def test_channel_is_the_companys_own(self):
        general = self.env["billpay.channel"]._find_by_code("M-PESA")
        own = general.sudo().copy({"company_id": self.company.id})
        payment = self._pay("1122999999", 7000)
        self._poll()
        self.assertEqual(self._ledger(payment).channel_id, own)

    def test_surplus_is_told_in_the_currency_of_the_payment(self):
        dollar = self.setup_other_company(name="Dollar Books")
        self.assertNotEqual(dollar["company"].currency_id, self.tzs)
        self.env["res.currency.rate"].create(
            {
                "name": "2020-01-01",
                "currency_id": self.tzs.id,
                "rate": 2500,
                "company_id": dollar["company"].id,
            }
        )
        provider = self._make_application(dollar["company"])
        journal = dollar["default_journal_sale"]
        move = self._invoice(150000, journal_id=journal.id)
        self._sync()
        self.assertEqual(move.billpay_number_id.provider_id, provider)
        payment = self._pay(move.billpay_number_id.name, 170000)
        self._poll()
        self._process()
        row = self._ledger(payment)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(row.account_payment_ids.currency_id, self.tzs)
        self.assertIn("20,000", row.reason)

    def test_rounding_up_cents_is_no_surplus_to_look_at(self):
        self.tzs.rounding = 0.01
        move = self._registered_invoice(1000.5)
        payment = self._pay(move.billpay_number_id.name, 1001)
        self._poll()
        self._process()
        self.assertEqual(move.amount_residual, 0)
        self.assertFalse(self._ledger(payment).attention)

    def test_payment_on_a_cancelled_invoice_is_credit(self):
        move = self._registered_invoice()
        name = move.billpay_number_id.name
        payment = self._pay(name, 150000)
        move.button_draft()
        move.button_cancel()
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 150000)
        self.assertTrue(row.attention)

    def test_one_bad_payment_stops_only_itself(self):
        good, bad = self._registered_invoice(1000), self._registered_invoice(2000)
        payments = [
            self._pay(bad.billpay_number_id.name, 2000),
            self._pay(good.billpay_number_id.name, 1000),
        ]
        entries = type(self.env["billpay.entries"])
        prepare = entries._prepare_account_payment

        def broken(service, payment, part):
            if payment.move_id == bad:
                raise UserError(payment.env._("The account is archived."))
            return prepare(service, payment, part)

        self._poll_only()
        with (
            patch.object(entries, "_prepare_account_payment", broken),
            mute_logger(LOG),
        ):
            self._process()
        row = self._ledger(payments[0])
        self.assertEqual(row.state, "failed")
        self.assertIn("The account is archived.", row.reason)
        self.assertBooked(self._ledger(payments[1]), 1000)
        self.assertEqual(bad.amount_residual, 2000)
        row.sudo().next_try_at = False
        self._process()
        self.assertBooked(row, 2000)

    def _poll_only(self):
        """Poll, without the payments worker that it wakes."""
        with self._workers(), own_transaction(self.env(su=True)) as env:
            env["payment.provider"]._cron_poll_payments()

    def test_two_payments_on_one_invoice_in_one_batch(self):
        move = self._registered_invoice(150000)
        payment = self._pay(move.billpay_number_id.name, 60000)
        self._poll_only()
        self._poll_as_new(payment, "SECOND1", 90000)
        self._process()
        self.assertEqual(move.amount_residual, 0)
        rows = self.env["billpay.payment"].search([("move_id", "=", move.id)])
        self.assertEqual(set(rows.mapped("state")), {"posted"})
        self.assertEqual(sum(rows.account_payment_ids.mapped("amount")), 150000)

    def _poll_as_new(self, payment, payment_id, amount):
        told = Payment.parse(
            {
                **self.sandbox.payment(payment["id"]),
                "id": payment_id,
                "collectedAmount": amount,
            }
        )
        self.env["billpay.ledger"]._upsert(
            self.provider.sudo(), [told], source="poll", trusted=True
        )

    def test_accounting_date_is_the_day_in_dar_es_salaam(self):
        move = self._registered_invoice()
        self._had_since(move.billpay_number_id.name, "2026-03-01 10:00:00")
        payment = self._pay(move.billpay_number_id.name, 150000)
        # 22:30 UTC on the last of March is 01:30 on the first of April there.
        self._poll_as(payment, createdAt="2026-03-31T22:30:00.000Z")
        row = self._ledger(payment)
        self.assertEqual(str(row.account_payment_ids.date), "2026-04-01")
        self.assertEqual(str(row.account_payment_ids.move_id.date), "2026-04-01")

    def test_locked_period_books_on_an_open_day(self):
        move = self._registered_invoice()
        self._had_since(move.billpay_number_id.name, "2026-03-01 10:00:00")
        payment = self._pay(move.billpay_number_id.name, 150000)
        self.company.fiscalyear_lock_date = "2026-04-30"
        self._poll_as(payment, createdAt="2026-03-31T10:00:00.000Z")
        row = self._ledger(payment)
        self.assertBooked(row, 150000)
        self.assertGreater(str(row.account_payment_ids.move_id.date), "2026-04-30")
        self.assertEqual(str(row.paid_at.date()), "2026-03-31")
        self.assertEqual(move.amount_residual, 0)

    def test_enterprise_books_an_entry_too(self):
        """Without an outstanding account Enterprise makes no entry by itself."""
        move = self._registered_invoice()
        line = self.provider.journal_id.inbound_payment_method_line_ids.filtered(
            lambda line: line.payment_provider_id == self.provider
        )
        line.payment_account_id = False
        payment = self._pay(move.billpay_number_id.name, 150000)
        with patch.object(
            type(self.env["account.move"]),
            "_get_invoice_in_payment_state",
            lambda _self: "in_payment",
        ):
            self._poll()
            self._process()
            self.assertBooked(self._ledger(payment), 150000)
            self.assertEqual(move.payment_state, "in_payment")
        self.assertEqual(move.amount_residual, 0)

    def test_database_refuses_a_second_booking(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        self._poll()
        self._process()
        booked = self._ledger(payment).account_payment_ids
        with self.assertRaises(Exception) as caught, mute_logger("odoo.sql_db"):
            booked.sudo().copy({"billpay_payment_id": booked.billpay_payment_id.id})
        self.assertIn("billpay_part_unique", str(caught.exception))

    def test_payments_are_never_deleted(self):
        payment = self._pay("1122999999", 7000)
        self._poll()
        with self.assertRaises(UserError):
            self._ledger(payment).unlink()

    def test_poll_pages_to_known_ground_only(self):
        names = []
        for _index in range(3):
            move = self._registered_invoice(1000)
            names.append(move.billpay_number_id.name)
            self._pay(names[-1], 1000)
        self._poll_only()
        calls = self.sandbox.count_calls("/third-parties/payments/all")
        self._poll_only()
        self.assertEqual(
            self.sandbox.count_calls("/third-parties/payments/all"), calls + 1
        )
        self.assertEqual(
            self.env["billpay.payment"].search_count([("number", "in", names)]), 3
        )

    def test_poll_trouble_is_noted_on_the_application(self):
        self.provider.clickpesa_client_id = "IDwrong"
        with mute_logger("odoo.addons.billpay_odoo"):
            self._poll_only()
        self.assertIn("Invalid client details", self.provider.billpay_poll_error)
        self.assertFalse(self.provider.billpay_polled_until)

    def test_check_now_books_what_clickpesa_knows(self):
        move = self._registered_invoice()
        payment = self._pay(move.billpay_number_id.name, 150000)
        with self._workers():
            action = move.action_billpay_check()
        self.assertEqual(action["params"]["type"], "success")
        self.assertBooked(self._ledger(payment), 150000)
        self.assertEqual(move.amount_residual, 0)

    def test_check_now_tells_of_a_payment_that_cannot_be_booked(self):
        move = self._registered_invoice()
        self._pay(move.billpay_number_id.name, 150000)
        with (
            patch.object(
                type(self.env["billpay.booking"]), "_book", side_effect=OSError
            ),
            mute_logger(LOG),
            self._workers(),
        ):
            action = move.action_billpay_check()
        self.assertEqual(action["params"]["type"], "warning")
        self.assertIn("not posted", action["params"]["message"])

    def test_instalments_are_paid_oldest_first(self):
        terms = self.env["account.payment.term"].create(
            {
                "name": "Halves",
                "line_ids": [
                    Command.create(
                        {"value": "percent", "value_amount": 50, "nb_days": days}
                    )
                    for days in (30, 60)
                ],
            }
        )
        move = self._registered_invoice(100000, invoice_payment_term_id=terms.id)
        payment = self._pay(move.billpay_number_id.name, 70000)
        self._poll()
        self._process()
        self.assertBooked(self._ledger(payment), 70000)
        lines = move.line_ids.filtered(
            lambda line: line.display_type == "payment_term"
        ).sorted("date_maturity")
        self.assertEqual(lines.mapped("amount_residual"), [0, 30000])
