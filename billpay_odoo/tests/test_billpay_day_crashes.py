# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Fetching days in several processes, some of which are killed."""

from datetime import datetime, time, timedelta

from odoo.tests import tagged

from .test_concurrency import ConcurrencyCase


@tagged("post_install", "-at_install", "slow")
class TestDayCrashes(ConcurrencyCase):
    """A day is stored whole or not at all, and what it shows is booked once."""

    points = (
        "billpay.statement.fetch:_store:before",
        "billpay.statement.fetch:_upsert:after",
        "billpay.statement.fetch:_store:after",
        "billpay.comparison:_write_items:after",
        "billpay.third.ear:_hear:before",
        "billpay.third.ear:_store:after",
        "billpay.third.ear:_after:after",
    )

    def _unheard(self):
        """Invoices that were paid and settled while webhook and poll were dead."""
        self.again(billpay_book_from="2020-01-01 00:00:00")
        amounts = [1000 * n for n in range(1, 10)]
        made = self.invoices(*amounts)
        self.db(
            "UPDATE billpay_control_number SET"
            " create_date = create_date - interval '40 days',"
            " digits_at = digits_at - interval '40 days'"
        )
        self.sandbox.settings.update({"token_lifetime": 10**9})
        payments = []
        for index, ((_move, number), amount) in enumerate(
            zip(made, amounts, strict=True)
        ):
            day = datetime.now().date() - timedelta(days=1 + index % 3)
            self.sandbox.clock.set(datetime.combine(day, time(9)))
            payments.append(self.pay(number, amount))
            self.sandbox.settle(payments[-1]["id"])
        self.sandbox.clock.reset()
        return payments

    def _check(self, payments):
        self.run_worker("process")
        self.assertBookedOnce(*payments)
        found = self.db(
            "SELECT state, coalesce(opening, 0), coalesce(closing, 0),"
            " coalesce(payments_amount, 0), coalesce(odoo_amount, 0)"
            " FROM billpay_day WHERE provider_id = %s ORDER BY date",
            self.provider,
        )
        self.assertEqual(len(found), 8)
        balance = 0
        for state, opening, closing, paid, ours in found:
            self.assertEqual((state, opening), ("agrees", balance))
            self.assertEqual((closing, paid), (opening + ours, ours))
            balance = closing
        self.assertEqual(balance, self.sandbox.balance())
        rows = self.db.value(
            "SELECT count(*) FROM billpay_statement_row WHERE provider_id = %s",
            self.provider,
        )
        self.assertEqual(rows, len(payments))

    def _forget_asking(self):
        self.db("UPDATE billpay_day SET asked_at = NULL")

    def test_killed_on_the_way(self):
        payments = self._unheard()
        for point in self.points:
            with self.subTest(point=point):
                worker = self.begin("fetch_statement", point)
                worker.reach(point).kill()
                self._forget_asking()
        self.run_worker("fetch_statement")
        self._check(payments)

    def test_killed_before_it_asks(self):
        payments = self._unheard()
        point = "billpay.third.ear:_hear:before"
        self.begin("fetch_statement", point).reach(point).kill()
        # The days are there, and the next run has none to fetch.
        self.run_worker("fetch_statement")
        self._check(payments)

    def test_two_at_once(self):
        payments = self._unheard()
        workers = [self.begin("fetch_statement") for _turn in range(2)]
        for worker in workers:
            worker.result()
        self.run_worker("fetch_statement")
        self._check(payments)
