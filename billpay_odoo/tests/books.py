# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Days of ClickPesa's account, at the sandbox and in Odoo."""

from datetime import datetime, time, timedelta

from odoo import fields
from odoo.tests import tagged

from .ledger import LedgerCommon

CLIENT = "/third-parties/account/statement"


@tagged("post_install", "-at_install")
class BooksCommon(LedgerCommon):
    """Webhook and poll are silent unless a test lets them hear."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.sandbox.settings.update, self.sandbox.settings.as_dict())
        self.sandbox.settings.update({"token_lifetime": 10**9, "channel_limits": {}})
        self.yesterday = fields.Datetime.now().date() - timedelta(days=1)
        # Of one test only: each begins with numbers that nobody has paid.
        self.digits = iter(range(10**6))

    def _go_to(self, ago=1, hour=9):
        """Set ClickPesa's clock to an hour (UTC) of so many days ago."""
        date = fields.Datetime.now().date() - timedelta(days=ago)
        self.sandbox.clock.set(datetime.combine(date, time.min) + timedelta(hours=hour))

    def _paid(self, amount, ago=1, hour=9, *, settle=True, number=None, **how):
        """A payer pays so many days ago; the money is in the balance at once."""
        self._go_to(ago, hour)
        number = number or f"11227{next(self.digits):06}"
        payment = self._pay(number, amount, **how)
        if settle:
            self.sandbox.settle(payment["id"])
        self.sandbox.clock.reset()
        return payment

    def _at(self, ago, work, hour=12):
        self._go_to(ago, hour)
        result = work()
        self.sandbox.clock.reset()
        return result

    def _booked(self, amount, ago=1, hour=9, **how):
        """A payment of an invoice that Odoo has booked: its row, and the payment."""
        move = self._invoice(amount)
        number = move.billpay_number_id
        moment = datetime.combine(
            fields.Datetime.now().date() - timedelta(days=ago), time.min
        )
        self._had_since(number.name, moment)
        payment = self._paid(amount, ago, hour, number=number.name, **how)
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, payment["amount"])
        return row, payment

    def _fetch(self):
        self._forget_asking()
        self._run_cron("ir_cron_fetch_statement")

    def _forget_asking(self):
        """Let the next fetch not be the one that goes on with the last."""
        self.env["billpay.day"].sudo().search([]).write({"asked_at": False})

    def _day(self, ago=1, provider=None):
        date = fields.Datetime.now().date() - timedelta(days=ago)
        provider = provider or self.provider
        return (
            self.env["billpay.day"]
            .sudo()
            .search([("provider_id", "=", provider.id), ("date", "=", date)])
        )

    def _items(self, day):
        return {item.cause: (item.count, item.amount) for item in day.item_ids}

    def _statements(self, work):
        """Return the days that this work asks ClickPesa for."""
        before = len(self.sandbox.calls(CLIENT))
        work()
        return [
            call["query"].partition("startDate=")[2][:10]
            for call in self.sandbox.calls(CLIENT)[before:]
        ]

    def assertDay(self, day, state, **figures):
        self.assertEqual(day.state, state, day.reason)
        for name, value in figures.items():
            self.assertEqual(day[name], value, name)
        # What explains, explains; the account adds up.
        sums = sum(day.row_ids.mapped("amount"))
        self.assertAlmostEqual(day.opening + sums, day.closing)
        named = (
            day.payments_amount
            + day.reversals_amount
            + day.fees_amount
            + day.withdraws_amount
            + day.other_amount
        )
        self.assertAlmostEqual(named, sums)
        self.assertAlmostEqual(day.difference, day.payments_amount - day.odoo_amount)
        if state != "differs":
            self.assertEqual(day.unexplained_amount, 0)
