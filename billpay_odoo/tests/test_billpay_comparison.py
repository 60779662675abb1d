# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A day's rows against the payments in Odoo, and what is asked for."""

from datetime import timedelta
from unittest.mock import patch

from odoo.tests import tagged

from ..clickpesa import ClickPesaClient
from .books import BooksCommon

PAYMENTS = "/third-parties/payments/"


@tagged("post_install", "-at_install")
class TestComparison(BooksCommon):
    """Every cause, alone and with others."""

    def test_booked_payments_agree(self):
        rows = [self._booked(1000 * n, hour=8 + n)[0] for n in range(1, 4)]
        self._fetch()
        day = self._day()
        self.assertDay(
            day,
            "agrees",
            payments_amount=6000,
            odoo_amount=6000,
            unbooked_amount=0,
            difference=0,
            row_count=3,
            fees_way="none",
        )
        self.assertFalse(day.item_ids)
        self.assertEqual(set(day.row_ids.mapped("verdict")), {"agrees"})
        self.assertEqual(day.row_ids.payment_id, rows[0] | rows[1] | rows[2])
        # Nothing was asked for or changed.
        for row in rows:
            self.assertEqual(row.state, "posted")
            self.assertFalse(row.attention)

    def test_payments_of_one_number_are_told_apart_by_id(self):
        number = self._number(kind="customer", partner_id=self.partner.id).name
        self._had_since(number, self.yesterday)
        self.sandbox.number_rules.create(
            "customer",
            {
                "billReference": number,
                "customerName": "Juma",
                "customerPhone": "255712345678",
            },
        )
        for amount in (5000, 5000):
            self._event(self._paid(amount, number=number))
        self._process()
        payment = self._paid(700, number=number)
        # One of three is not known; the reference alone would hide it.
        with patch.object(ClickPesaClient, "payments", lambda *a: []):
            self._fetch()
        day = self._day()
        self.assertDay(day, "differs", payments_amount=10700, odoo_amount=10000)
        self.assertEqual(self._items(day), {"unknown": (1, 700)})
        [row] = day.row_ids.filtered(lambda r: r.verdict == "unknown")
        self.assertEqual(row.reference, payment["id"])

    def test_in_transit_then_there(self):
        _row, payment = self._booked(5000, 3, settle=False)
        self._booked(800, 3)
        self._fetch()
        day = self._day(3)
        self.assertDay(day, "open", payments_amount=800, odoo_amount=5800)
        self.assertEqual(self._items(day), {"transit": (1, -5000)})
        self.assertIn("in transit", day.reason)
        self._at(1, lambda: self.sandbox.settle(payment["id"]))
        self._fetch()
        self.assertDay(day, "agrees", difference=-5000, explained_amount=-5000)
        self.assertEqual(self._items(day), {"other_day": (1, -5000)})
        self.assertDay(self._day(), "agrees", difference=5000)
        self.assertEqual(self._items(self._day()), {"other_day": (1, 5000)})
        self.assertEqual(self._items(self._day(2)), {})

    def test_not_in_the_statement_after_a_week(self):
        self._booked(5000, 8, settle=False)
        self._booked(400, 7, settle=False)
        self._fetch()
        day = self._day(8)
        self.assertDay(day, "differs", unexplained_amount=-5000)
        self.assertEqual(self._items(day), {"missing": (1, -5000)})
        self.assertIn("5,000.00", day.reason)
        self.assertDay(self._day(7), "open")

    def test_nothing_is_missing_while_a_day_is_incomplete(self):
        self._booked(5000, 8, settle=False)
        self._paid(600, 4)
        date = self.yesterday - timedelta(days=3)
        self.sandbox.faults.add("no_details", match=str(date), times=-1)
        self._fetch()
        self.assertEqual(self._day(4).state, "incomplete")
        self.assertDay(self._day(8), "open")

    def test_fees_that_are_kept_back(self):
        self.sandbox.settings.update(
            {"statement_fees": "netted", "channel_fee_percent": 2}
        )
        for n in range(1, 4):
            self._booked(10000 * n, hour=8 + n)
        self._fetch()
        day = self._day()
        self.assertDay(
            day,
            "agrees",
            payments_amount=58800,
            odoo_amount=60000,
            difference=-1200,
            explained_amount=-1200,
            fees_way="netted",
        )
        self.assertEqual(self._items(day), {"fee_kept": (3, -1200)})
        self.assertEqual(set(day.row_ids.mapped("verdict")), {"fee_kept"})

    def test_charges_of_a_reversal_are_no_fees_of_payments(self):
        self.sandbox.settings.update(
            {"statement_fees": "netted", "channel_fee_percent": 2}
        )
        _row, old = self._booked(8000, 3)
        for n in range(1, 4):
            self._booked(10000 * n, hour=8 + n)
        self._at(1, lambda: self.sandbox.reverse(old["id"], charges=True))
        self._fetch()
        self._process()
        self._fetch()
        self.assertDay(self._day(), "agrees", fees_way="netted", fees_amount=-1000)

    def test_payment_in_another_currency_is_not_of_this_account(self):
        self._booked(5000)
        _row, payment = self._booked(700, hour=11)
        row = self._ledger(payment).sudo()
        row.write({"currency_id": False, "currency_code": "USD"})
        with patch.object(ClickPesaClient, "payments", lambda *a: []):
            self._fetch()
        day = self._day()
        self.assertDay(day, "differs", odoo_amount=5000, unexplained_amount=700)
        self.assertEqual(self._items(day), {"unknown": (1, 700)})

    def test_fees_as_rows(self):
        self.sandbox.settings.channel_fee_percent = 2
        for n in range(1, 4):
            self._booked(10000 * n, hour=8 + n)
        self._fetch()
        self.assertDay(
            self._day(),
            "agrees",
            payments_amount=60000,
            fees_amount=-1200,
            difference=0,
            fees_way="rows",
        )

    def test_one_that_is_short_is_no_fee(self):
        for n in range(1, 4):
            self._booked(10000 * n, hour=8 + n)
        _row, payment = self._booked(5000, hour=13)
        for amount in (4900, 5100, 1):
            with self.subTest(amount=amount):
                with self.sandbox.store.transaction() as gateway:
                    gateway.execute(
                        "UPDATE entry SET amount=? WHERE id=?",
                        (amount * 100, payment["id"]),
                    )
                self.env.cr.execute("DELETE FROM billpay_statement_row")
                self.env.invalidate_all()
                self._fetch()
                day = self._day()
                self.assertDay(day, "differs", unexplained_amount=amount - 5000)
                self.assertEqual(self._items(day), {"amount": (1, amount - 5000)})
                self.assertIn("another amount", day.reason)

    def test_two_mistakes_that_cancel_each_other_are_two(self):
        payments = [self._booked(5000, hour=8 + n)[1] for n in range(1, 4)]
        with self.sandbox.store.transaction() as gateway:
            for payment, cents in zip(payments, (450000, 550000), strict=False):
                gateway.execute(
                    "UPDATE entry SET amount=? WHERE id=?", (cents, payment["id"])
                )
        self._fetch()
        day = self._day()
        self.assertDay(day, "differs", difference=0, unexplained_amount=0)
        self.assertEqual(self._items(day), {"amount": (2, 0)})

    def test_unmatched_and_put_aside_money_is_at_clickpesa(self):
        self._paid(5000)
        payment = self._paid(700, hour=10)
        self._run_cron("ir_cron_poll_payments")
        row = self._ledger(payment)
        row.sudo()._move_to("ignored", "Not ours", ignored_by_id=self.env.uid)
        self._fetch()
        day = self._day()
        self.assertDay(
            day, "agrees", payments_amount=5700, odoo_amount=5700, unbooked_amount=5700
        )
        action = day.with_context(billpay_figure="unbooked").action_view_payments()
        found = self.env["billpay.payment"].search(action["domain"])
        self.assertEqual(sum(found.mapped("amount")), 5700)

    def test_taken_back_before_it_was_settled(self):
        row, payment = self._booked(5000, 2, settle=False)
        self.sandbox.set_status(payment["id"], "REFUNDED")
        self._run_cron("ir_cron_poll_payments")
        self._process()
        self.assertEqual(row.state, "reversed")
        self._fetch()
        day = self._day(2)
        self.assertDay(day, "agrees", difference=-5000, explained_amount=-5000)
        self.assertEqual(self._items(day), {"reversed": (1, -5000)})

    def test_withdraws_deposits_and_rows_of_no_known_kind(self):
        self._booked(5000)
        self._at(1, lambda: self.sandbox.withdraw(3000))
        self._at(1, lambda: self.sandbox.deposit(100, deliver=False))
        self._at(1, lambda: self.sandbox.account.enter(-7, "Adjustment 12"))
        self._fetch()
        day = self._day()
        self.assertDay(
            day,
            "agrees",
            payments_amount=5000,
            withdraws_amount=-3000,
            other_amount=93,
            closing=2093,
        )
        for figure, amounts in (
            ("payments", [5000]),
            ("withdraws", [-3000]),
            ("other", [-7, 100]),
            ("fees", []),
            ("reversals", []),
            (None, [-3000, -7, 100, 5000]),
        ):
            action = day.with_context(billpay_figure=figure).action_view_rows()
            rows = self.env["billpay.statement.row"].search(action["domain"])
            self.assertEqual(sorted(rows.mapped("amount")), amounts)

    def test_every_item_opens_what_it_counts(self):
        self._booked(5000, 8, settle=False)
        _row, payment = self._booked(700, 8, hour=10)
        self._booked(900, 8, hour=11)
        self._booked(950, 8, hour=12)
        unknown = self._paid(300, 8, hour=14)
        with self.sandbox.store.transaction() as gateway:
            gateway.execute("UPDATE entry SET amount=1 WHERE id=?", (payment["id"],))
        with (
            patch.object(ClickPesaClient, "payments", lambda *a: []),
        ):
            self._fetch()
        day = self._day(8)
        self.assertEqual(
            self._items(day),
            {
                "missing": (1, -5000),
                "amount": (1, -699.99),
                "unknown": (1, unknown["amount"]),
            },
        )
        for item in day.item_ids:
            action = item.action_view()
            found = self.env[action["res_model"]].search(action["domain"])
            self.assertEqual(len(found), item.count, item.cause)
            self.assertTrue(item._sentence())
            self.assertIn(item._sentence(), day.reason)
        self.assertAlmostEqual(
            day.unexplained_amount, sum(day.item_ids.mapped("amount"))
        )


@tagged("post_install", "-at_install")
class TestThirdEar(BooksCommon):
    """Nothing but the statement has heard of it."""

    def _unheard(self, count, ago=1):
        """Invoices that were paid while webhook and poll were dead."""
        found = []
        for n in range(count):
            move = self._invoice(1000 + n)
            number = move.billpay_number_id.name
            self._had_since(number, self.yesterday)
            found.append((move, self._paid(1000 + n, ago, number=number)))
        self.env.cr.execute(
            "UPDATE billpay_control_number SET create_date = create_date - "
            "interval '30 days'"
        )
        self.env.invalidate_all()
        return found

    def test_a_day_without_webhook_and_poll(self):
        for count in (1, 5, 23):
            with self.subTest(count=count):
                before = self.sandbox.count_calls(PAYMENTS)
                found = self._unheard(count)
                self._fetch()
                calls = self.sandbox.count_calls(PAYMENTS) - before
                self.assertEqual(calls, count if count <= 5 else 1)
                self.assertDay(self._day(), "agrees")
                self._process()
                for move, payment in found:
                    self.assertBooked(self._ledger(payment), payment["amount"])
                    self.assertEqual(move.amount_residual, 0)
        # Who hears of it afterwards books nothing again.
        everything = self.env["billpay.payment"].search_count([])
        entries = self.env["account.payment"].search_count([])
        for _move, payment in found:
            self._event(payment)
        self._run_cron("ir_cron_poll_payments")
        self._process()
        self._fetch()
        self.assertEqual(self.env["billpay.payment"].search_count([]), everything)
        self.assertEqual(self.env["account.payment"].search_count([]), entries)
        self.assertEqual(everything, 29)
        day = self._day()
        self.assertDay(day, "agrees", unbooked_amount=0, difference=0)

    def test_what_clickpesa_does_not_know_makes_the_day_red(self):
        payment = self._paid(5000)
        with self.sandbox.store.transaction() as gateway:
            gateway.execute("DELETE FROM payment WHERE id=?", (payment["id"],))
        self._fetch()
        day = self._day()
        self.assertDay(day, "differs", unexplained_amount=5000)
        for word in ("5,000.00", "not report", "Enter Payment"):
            self.assertIn(word, day.reason.replace("\N{NO-BREAK SPACE}", " "))
        self.assertFalse(self.env["billpay.payment"].search([]))

    def test_reversals(self):
        for days, charges in ((1, None), (3, True), (7, 250)):
            with self.subTest(days=days):
                row, payment = self._booked(5000, 8)
                move = row.move_id
                self._at(
                    days,
                    lambda p=payment, c=charges: self.sandbox.reverse(p["id"], c),
                    hour=20,
                )
                self._fetch()
                day = self._day(days)
                self.assertDay(day, "open", reversals_amount=-5000)
                self.assertEqual(self._items(day), {"reversing": (1, -5000)})
                self._process()
                self.assertEqual(row.state, "reversed", row.reason)
                self.assertEqual(move.amount_residual, 5000)
                entry = row.account_payment_ids.move_id
                mirror = entry.reversal_move_ids
                self.assertRecordValues(
                    (entry | mirror).line_ids.sorted(
                        lambda li: (li.move_id.id, li.debit)
                    ),
                    [
                        {"debit": 0.0, "credit": 5000.0},
                        {"debit": 5000.0, "credit": 0.0},
                    ]
                    * 2,
                )
                self._fetch()
                self.assertDay(day, "agrees")
                self.assertDay(self._day(8), "agrees")

    def test_statement_and_query_contradict(self):
        row, payment = self._booked(5000, 3)
        self._at(1, lambda: self.sandbox.account.take_back(payment["id"], "REVERSED"))
        self._fetch()
        day = self._day()
        self.assertDay(day, "differs")
        self.assertEqual(self._items(day), {"not_reversed": (1, -5000)})
        self.assertBooked(row, 5000)
        self.assertTrue(row.attention)
        self.assertIn("shows this payment as reversed", row.reason)
        # Whoever has seen it is not called again by each night.
        row.action_mark_seen()
        self._fetch()
        self.assertFalse(row.attention)
        # What ClickPesa says next ends it.
        self.sandbox.set_status(payment["id"], "REVERSED")
        self._fetch()
        self._process()
        self.assertEqual(row.state, "reversed")
        self._fetch()
        self.assertDay(day, "agrees")

    def test_only_to_notify(self):
        self.provider.clickpesa_reversal = "alert"
        row, payment = self._booked(5000, 3)
        self._at(1, lambda: self.sandbox.reverse(payment["id"]))
        self._fetch()
        self._process()
        self.assertEqual(row.state, "posted")
        self.assertIn("still posted", row.reason)
        self._fetch()
        self.assertDay(self._day(), "differs")

    def test_reversal_of_what_odoo_never_had(self):
        payment = self._paid(5000, 5)
        self._at(1, lambda: self.sandbox.reverse(payment["id"]))
        self._fetch()
        self.assertEqual(self._ledger(payment).state, "ignored")
        for ago in (1, 5):
            self.assertDay(self._day(ago), "agrees")

    def test_questions_stay_within_their_share(self):
        self._unheard(2)
        shares = []
        client = type(self.provider)._billpay_client

        def noted(provider, patience=None, share="person"):
            shares.append(share)
            return client(provider, patience, share)

        with patch.object(type(self.provider), "_billpay_client", noted):
            self._fetch()
        self.assertEqual(shares, ["poll", "question"])
