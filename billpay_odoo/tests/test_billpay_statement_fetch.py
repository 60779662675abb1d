# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which statements are fetched, which are accepted, and what is stored of them."""

from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..clickpesa import BudgetSpent, ClickPesaClient
from ..transactions import own_transaction
from .books import BooksCommon

FETCH = "odoo.addons.billpay_odoo.models"


@tagged("post_install", "-at_install")
class TestDays(BooksCommon):
    """Days are asked for one by one and follow each other."""

    def test_a_week(self):
        for ago in range(1, 9):
            self._paid(1000 * ago, ago)
        dates = self._statements(self._fetch)
        week = [str(self.yesterday - timedelta(days=n)) for n in range(7, -1, -1)]
        self.assertEqual(dates, week)
        closing = 0
        for ago in range(8, 0, -1):
            day = self._day(ago)
            closing += 1000 * ago
            self.assertDay(day, "agrees", closing=closing, payments_amount=1000 * ago)
        # Again each night, in the same rows.
        rows = self.env["billpay.statement.row"].sudo().search([])
        keys = rows.mapped("key")
        self.assertEqual(self._statements(self._fetch), week)
        self.assertEqual(rows.search([]).mapped("key"), keys)
        self.assertEqual(len(self.env["billpay.day"].sudo().search([])), 8)

    def test_what_was_missed_is_fetched(self):
        for missed, calls in ((0, 8), (5, 8), (12, 12), (90, 8)):
            with self.subTest(missed=missed):
                days = self.env["billpay.day"].sudo().search([])
                days.row_ids.mapped("id")
                self.env.cr.execute("DELETE FROM billpay_statement_row")
                self.env.cr.execute("DELETE FROM billpay_day")
                self.env.invalidate_all()
                self._fetch()
                if missed:
                    self.env.flush_all()
                    self.env.cr.execute(
                        "UPDATE billpay_day SET date = date - %s", (missed,)
                    )
                    self.env.invalidate_all()
                dates = self._statements(self._fetch)
                self.assertEqual(len(dates), calls)
                self.assertEqual(dates[-1], str(self.yesterday))

    def test_run_that_goes_on_leaves_out_what_is_done(self):
        cron = type(self.env["ir.cron"])
        commit, answers = cron._commit_progress, [1, 1, 1, 0]

        def progress(crons, processed=0, **how):
            commit(crons, processed, **how)
            return answers.pop(0) if answers else 1

        with patch.object(cron, "_commit_progress", progress):
            first = self._statements(self._fetch)
        again = self._statements(lambda: self._run_cron("ir_cron_fetch_statement"))
        self.assertTrue(set(first).isdisjoint(again[:1]))
        self.assertEqual(len({*first, *again}), 8)

    def test_late_row_of_last_week(self):
        self._paid(5000, 5)
        self._paid(700, 2)
        late = self._pay_late(300, 4, seen_ago=1)
        self._fetch()
        self.assertFalse(self._day(4).row_ids)
        self.assertEqual(self._day().closing, 5700)
        self._show(late)
        self._fetch()
        self.assertEqual(self._day(4).row_ids.mapped("amount"), [300])
        self.assertEqual(self._day().closing, 6000)
        for ago in range(1, 9):
            self.assertDay(self._day(ago), "agrees")

    def test_late_row_of_an_older_day(self):
        self._paid(5000, 12)
        self._paid(700, 2)
        late = self._pay_late(300, 11, seen_ago=1)
        dates = [self.yesterday - timedelta(days=ago) for ago in range(12)]
        with self._workers(), own_transaction(self.env(su=True)) as env:
            env["billpay.statement.fetch"]._fetch_now(
                self.provider.with_env(env), dates
            )
        self.assertEqual(self._day().closing, 5700)
        self._show(late)
        dates = self._statements(self._fetch)
        # The week does not follow on any more, so the days before are asked for too.
        self.assertIn(str(self.yesterday - timedelta(days=10)), dates)
        self.assertEqual(self._day(11).row_ids.mapped("amount"), [300])
        for ago in range(1, 12):
            day = self._day(ago)
            self.assertFalse(day.trouble)
            self.assertEqual(day.opening, self._day(ago + 1).closing)
        self.assertEqual(self._day().closing, 6000)

    def test_one_day_again_leads_to_those_that_follow(self):
        self._paid(5000, 3)
        self._paid(700, 1)
        late = self._pay_late(300, 3, seen_ago=1)
        self._fetch()
        self._show(late)
        manager = self._user("billpay_b_mgr", "billpay_odoo.group_billpay_manager")
        with self._workers():
            self._day(3).with_user(manager).sudo(False).action_fetch()
        self.assertEqual(
            [self._day(ago).closing for ago in (3, 2, 1)], [5300, 5300, 6000]
        )

    def _pay_late(self, amount, ago, seen_ago):
        """A payment whose row the statement does not show yet."""
        self.sandbox.settings.statement_late = 10**6
        payment = self._paid(amount, ago)
        self.sandbox.settings.statement_late = 0
        return payment

    def _show(self, payment):
        with self.sandbox.store.transaction() as gateway:
            gateway.execute(
                "UPDATE entry SET visible_at=at WHERE id=?", (payment["id"],)
            )

    def test_merchant_with_two_applications_has_one_account(self):
        other = self._make_application(self.company, name="Ya Pili")
        self._paid(5000)
        self._fetch()
        self.assertTrue(self._day())
        self.assertFalse(self._day(provider=other))
        # The one that has the account goes on with it.
        self.provider.state = "disabled"
        self._fetch()
        self.assertEqual(self._day(provider=other).payments_amount, 5000)
        self.provider.state = "test"
        self.env["billpay.day"].sudo().search(
            [("provider_id", "=", self.provider.id)]
        ).write({"asked_at": False})
        self._fetch()
        self.assertEqual(self.env["billpay.payment"].search_count([]), 1)


@tagged("post_install", "-at_install")
class TestShapes(BooksCommon):
    """The same days, however ClickPesa writes them."""

    def test_every_shape_has_the_same_figures(self):
        self.sandbox.settings.channel_fee_percent = 2.5
        paid = [self._paid(1000 * n, 2, hour=8 + n) for n in range(1, 5)]
        self._paid(9000, 1)
        self._at(1, lambda: self.sandbox.reverse(paid[0]["id"], charges=True))
        self._at(1, lambda: self.sandbox.withdraw(2000), hour=13)
        self._at(1, lambda: self.sandbox.deposit(700, deliver=False), hour=14)
        keys = set()
        for form in ("full", "reduced"):
            for dates in ("moment", "day"):
                for amounts in ("number", "string"):
                    self.sandbox.settings.update(
                        {
                            "statement_form": form,
                            "statement_dates": dates,
                            "statement_amounts": amounts,
                        }
                    )
                    self.sandbox.faults.add("unordered_rows", times=-1)
                    with self.subTest(form=form, dates=dates, amounts=amounts):
                        self._fetch()
                        day = self._day()
                        self.assertFalse(day.trouble)
                        self.assertEqual(
                            (
                                day.opening,
                                day.payments_amount,
                                day.fees_amount,
                                day.reversals_amount,
                                day.withdraws_amount,
                                day.other_amount,
                                day.closing,
                            ),
                            (9750, 9000, -1225, -1000, -2000, 700, 15225),
                        )
                        self.assertEqual(day.fees_way, "rows")
                        rows = self.env["billpay.statement.row"].sudo().search([])
                        keys = keys or set(rows.mapped("key"))
                        # The key does not depend on how it is written.
                        self.assertEqual(set(rows.mapped("key")), keys)
        self.assertEqual(day.closing, self.sandbox.balance())

    def _check_zone(self, hours, zone, ago):
        self.sandbox.settings.filter_utc_offset_hours = hours
        self._paid(5000, 3, hour=22)
        self._paid(700, 2, hour=9)
        self._fetch()
        self.assertEqual(self._day(ago).zone, zone)
        self.assertIn(5000, self._day(ago).row_ids.mapped("amount"))
        for other in range(1, 9):
            self.assertDay(self._day(other), "agrees")
            # The day of a payment is the one that ClickPesa has.
            self.assertEqual(self._day(other).difference, 0)

    def test_days_of_utc(self):
        self._check_zone(0, "utc", 3)

    def test_days_of_dar_es_salaam(self):
        self._check_zone(3, "eat", 2)

    def test_two_rows_of_one_id_and_twins(self):
        payment = self._paid(5000)
        for _time in range(2):
            self._at(
                1,
                lambda: self.sandbox.account.enter(
                    -50, "Stamp duty fee", entry_id=payment["id"]
                ),
            )
        self._fetch()
        self._fetch()
        day = self._day()
        self.assertEqual(
            sorted(day.row_ids.mapped("amount")), [-50, -50, 5000], day.trouble
        )
        self.assertEqual(len(set(day.row_ids.mapped("reference"))), 1)
        self.assertDay(day, "agrees", payments_amount=5000, fees_amount=-100)

    def test_rows_without_words_are_what_their_payment_says(self):
        payment = self._paid(5000)
        for amount in (-5000, -120):
            self._at(
                1,
                lambda amount=amount: self.sandbox.account.enter(
                    amount, "TRX 0815", entry_id=payment["id"]
                ),
            )
        self._at(1, lambda: self.sandbox.account.enter(-9, "TRX 0816"), hour=13)
        self._fetch()
        kinds = {row.amount: row.kind for row in self._day().row_ids}
        self.assertEqual(
            kinds,
            {5000: "payment", -5000: "reversal", -120: "fee", -9: "other"},
        )


@tagged("post_install", "-at_install")
class TestRefused(BooksCommon):
    """What does not add up counts for nothing, and says why."""

    faults = {
        "half_statement": ("Opening balance", "closing balance is"),
        "lost_row": ("Opening balance", "closing balance is"),
        "wrong_balance": ("the balance should be", "shows"),
        "foreign_currency": ("in USD, not in TZS",),
        "old_row": ("2016-05-01", "another day"),
        "no_details": ("no opening or closing balance",),
    }

    def _three(self):
        return [self._paid(1000 * n, hour=8 + n) for n in range(1, 4)]

    def test_new_day(self):
        self._three()
        for fault, words in self.faults.items():
            with self.subTest(fault=fault):
                self.sandbox.faults.add(fault, match=str(self.yesterday))
                self._fetch()
                day = self._day()
                self.assertEqual(day.state, "incomplete")
                for word in (*words, "no money is affected"):
                    self.assertIn(word, day.reason)
                self.assertFalse(day.row_ids)
                self.assertFalse(day.payments_amount or day.closing)
                # Nothing of an incomplete day is asked for or booked.
                self.assertFalse(self.env["billpay.payment"].search([]))
                # The days before are not touched by it.
                self.assertEqual(self._day(2).state, "agrees")
        self._fetch()
        self.assertDay(self._day(), "agrees", payments_amount=6000)
        self.assertFalse(self._day().trouble)

    def test_day_that_was_accepted_stays(self):
        self._three()
        self._fetch()
        day = self._day()
        before = day.read()[0]
        for fault, words in self.faults.items():
            with self.subTest(fault=fault):
                self.sandbox.faults.add(fault, match=str(self.yesterday))
                self._fetch()
                self.assertIn(words[0], day.trouble)
                self.assertIn(words[0], day.reason)
                after = day.read()[0]
                changed = {n for n in before if before[n] != after[n]}
                self.assertLessEqual(
                    changed, {"trouble", "reason", "asked_at", "write_date"}
                )

    def test_figures_of_the_sentence(self):
        self._three()
        self.sandbox.faults.add("lost_row", match=str(self.yesterday))
        self._fetch()
        reason = self._day().reason.replace("\N{NO-BREAK SPACE}", " ")
        for figure in ("0.00", "4,000.00", "6,000.00"):
            self.assertIn(figure, reason)

    def test_row_that_is_not_told_any_more(self):
        paid = self._three()
        self._fetch()
        with self.sandbox.store.transaction() as gateway:
            gateway.execute("DELETE FROM entry WHERE id=?", (paid[1]["id"],))
        self._fetch()
        day = self._day()
        self.assertIn(paid[1]["id"], day.trouble)
        self.assertEqual(len(day.row_ids), 3)
        self.assertEqual(day.closing, 6000)

    def test_days_that_do_not_follow_each_other(self):
        self._paid(500, 2)
        self._three()
        original = ClickPesaClient.account_statement

        def shifted(client, start, end, **how):
            told = original(client, start, end, **how)
            if start == self.yesterday:
                lost = told.opening
                told = told.__class__.parse(
                    {
                        "accountDetails": {
                            "openingBalance": str(told.opening + 77),
                            "closingBalance": str(told.closing + 77),
                        },
                        "transactions": [
                            {**row.raw, "balance": row.raw["balance"] + 77}
                            for row in told.rows
                        ],
                    }
                )
                self.assertNotEqual(lost, told.opening)
            return told

        with patch.object(ClickPesaClient, "account_statement", shifted):
            self._fetch()
        day = self._day()
        self.assertEqual(day.state, "incomplete")
        self.assertIn("577.00", day.reason)
        self.assertIn("500.00", day.reason)
        self.assertFalse(day.row_ids)
        self._fetch()
        self.assertDay(day, "agrees", opening=500)

    def test_errors_of_the_call(self):
        self._paid(5000)
        for how, words, days in (
            ({"status": 500, "times": -1}, "", 8),
            ({}, "Unauthorized", 8),
        ):
            with self.subTest(words=words), mute_logger(FETCH):
                if how:
                    self.sandbox.faults.add("error", match="statement", **how)
                else:
                    self.sandbox.faults.add("expired_token", match="statement", times=4)
                with patch.object(ClickPesaClient, "_retrying", _once):
                    self._fetch()
                self.sandbox.faults.clear()
                found = self.env["billpay.day"].sudo().search([])
                self.assertEqual(len(found), days)
                self.assertEqual(set(found.mapped("state")), {"incomplete"})
                self.assertIn(words, found[0].reason)
                self.assertFalse(found.row_ids)
        # It heals by itself: what was not asked for need not wait.
        self._run_cron("ir_cron_fetch_statement")
        self.assertDay(self._day(), "agrees", payments_amount=5000)

    def test_400_of_one_day_stops_no_other(self):
        self._paid(5000)
        original = ClickPesaClient.account_statement

        def refused(client, start, end, **how):
            if start == self.yesterday - timedelta(days=3):
                how["currency"] = "KES"
            return original(client, start, end, **how)

        with patch.object(ClickPesaClient, "account_statement", refused):
            self._fetch()
        self.assertEqual(self._day(4).state, "incomplete")
        self.assertIn("currency must be", self._day(4).reason)
        self.assertDay(self._day(), "agrees", payments_amount=5000)

    def test_limit_of_calls_is_no_trouble(self):
        original = ClickPesaClient.account_statement
        calls = []

        def limited(client, start, end, **how):
            if len(calls) == 3:
                raise BudgetSpent("limit", retry_after=7)
            calls.append(start)
            return original(client, start, end, **how)

        trigger = self.env["ir.cron.trigger"].sudo()
        cron = self.env.ref("billpay_odoo.ir_cron_fetch_statement").sudo()
        with patch.object(ClickPesaClient, "account_statement", limited):
            self._fetch()
        self.assertTrue(trigger.search([("cron_id", "=", cron.id)]))
        days = self.env["billpay.day"].sudo().search([])
        self.assertEqual(set(days.mapped("state")), {"agrees"})
        self.assertFalse(any(days.mapped("trouble")))
        self._run_cron("ir_cron_fetch_statement")
        self.assertEqual(len(days.search([])), 8)

    def test_one_merchants_trouble_stops_no_other(self):
        company = self.setup_other_company(
            name="Shule ya Pili", currency_id=self.tzs.id
        )["company"]
        bad = self._make_application(
            company,
            clickpesa_client_id="IDother",
            clickpesa_billpay_namba="3344",
        )
        self._paid(5000)
        with mute_logger(FETCH):
            self._fetch()
        self.assertDay(self._day(), "agrees", payments_amount=5000)
        self.assertEqual(self._day(provider=bad).state, "incomplete")
        broken = type(self.env["billpay.statement.fetch"])
        store = broken._store

        def fails(service, provider, date, told):
            if date == self.yesterday:
                raise ValueError("not foreseen")
            return store(service, provider, date, told)

        with patch.object(broken, "_store", fails), mute_logger(FETCH):
            self._fetch()
        self.assertIn("server's log", self._day().trouble)
        self.assertEqual(self._day().payments_amount, 5000)


def _once(client, attempt):
    return attempt(None)


@tagged("post_install", "-at_install")
class TestSilence(BooksCommon):
    def test_no_call_where_none_is_to_be_made(self):
        parameters = self.env["ir.config_parameter"].sudo()

        def neutralise():
            parameters.set_param("database.is_neutralized", "1")

        def switch_off():
            parameters.set_param("database.is_neutralized", False)
            self.provider.state = "disabled"

        def without_key():
            self.provider.write({"state": "test", "clickpesa_api_key": False})

        self._fetch()
        day, before = self._day(), len(self.sandbox.calls())
        for silence in (neutralise, switch_off, without_key):
            with self.subTest(silence=silence.__name__):
                silence()
                self._fetch()
                with self._workers(), self.assertRaises(UserError):
                    day.sudo(False).with_user(self._manager()).action_fetch()
        self.assertEqual(len(self.sandbox.calls()), before)

    def _manager(self):
        login = f"billpay_b_{next(self.digits)}"
        return self._user(login, "billpay_odoo.group_billpay_manager")

    def test_idle_costs_little(self):
        self.provider.state = "disabled"
        self._fetch()
        days = self.env["billpay.day"].sudo()
        self.env.flush_all()
        with self.assertQueryCount(2):
            days._cron_fetch_statement()

    def test_who_may(self):
        self._paid(5000)
        self._fetch()
        day = self._day().sudo(False)
        user = self._user("billpay_b_user", "billpay_odoo.group_billpay_user")
        theirs = day.with_user(user)
        self.assertEqual(theirs.payments_amount, 5000)
        self.assertEqual(theirs.row_ids.mapped("amount"), [5000])
        for call in (theirs.action_fetch, theirs.action_fetch_week):
            with self.assertRaises(AccessError):
                call()
        for name, value in (("state", "agrees"), ("closing", 1), ("trouble", "x")):
            with self.assertRaises(AccessError):
                theirs.write({name: value})
        with self.assertRaises(UserError):
            day.sudo().unlink()
        with self.assertRaises(UserError):
            day.sudo().row_ids.unlink()
        for name, value in (("amount", 1), ("key", "x"), ("reference", "y")):
            with self.assertRaises(UserError):
                day.sudo().row_ids.write({name: value})
        before = len(self.env["ir.cron.trigger"].sudo().search([]))
        manager = self._manager()
        self.assertTrue(day.with_user(manager).action_fetch_week())
        self.env.cr.precommit.run()
        after = len(self.env["ir.cron.trigger"].sudo().search([]))
        self.assertEqual(after, before + 1)
        # The account is of all departments.
        user.billpay_all_departments = False
        self.assertFalse(self.env["billpay.day"].with_user(user).search([]))
        self.assertFalse(self.env["billpay.statement.row"].with_user(user).search([]))

    def test_other_companies_see_nothing(self):
        self._paid(5000)
        self._fetch()
        company = self.setup_other_company(name="Shule ya Pili")["company"]
        stranger = self._user(
            "billpay_b_other", "account.group_account_manager", company=company
        )
        for name in ("billpay.day", "billpay.statement.row", "billpay.day.item"):
            self.assertFalse(self.env[name].with_user(stranger).search([]))
        with self.assertRaises(AccessError):
            self._day().sudo(False).with_user(stranger).action_view_payments()

    def test_statements_per_row(self):
        """Rows are stored and compared in batches."""
        counts = {}
        for count, ago in ((50, 2), (250, 1)):
            paid = [self._paid(1000 + n, ago, hour=9) for n in range(count)]
            rows = self.env["billpay.payment"].sudo()
            rows.create(
                [
                    {
                        "provider_id": self.provider.id,
                        "reference": payment["id"],
                        "amount": payment["amount"],
                        "currency_id": self.tzs.id,
                        "status": "SETTLED",
                        "state": "unmatched",
                        "paid_at": fields.Datetime.to_datetime(
                            payment["createdAt"][:19].replace("T", " ")
                        ),
                    }
                    for payment in paid
                ]
            )
            self.env.flush_all()
            self.env.invalidate_all()
            date = self.yesterday - timedelta(days=ago - 1)
            told = self.provider.sudo()._billpay_client().account_statement(date, date)
            before = self.env.cr.sql_log_count
            self.env["billpay.statement.fetch"]._store(self.provider.sudo(), date, told)
            self.env.flush_all()
            counts[count] = self.env.cr.sql_log_count - before
            self.assertDay(self._day(ago), "agrees", row_count=count)
        self.assertLessEqual(counts[250] - counts[50], 0.1 * 200)
        self.assertLessEqual(counts[250], 0.3 * 250)
