# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What changes many records wakes the workers once, and costs the same for each."""

from datetime import timedelta
from operator import methodcaller

from odoo import Command, fields
from odoo.tests import tagged

from ..const import SEND_CRON
from ..transactions import wake
from .test_billpay_purpose import PurposeCommon

SYNC = "billpay_odoo.ir_cron_sync_numbers"
# What tracking and the first look at a record may cost more, whatever their number.
SPARE = 12
FEW, MANY = 10, 200


class WakesCommon(PurposeCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.provider.clickpesa_number_origin = "api"

    def _triggers(self, name=SYNC):
        self.env.cr.flush()
        domain = [("cron_id", "=", self.env.ref(name).id)]
        return self.env["ir.cron.trigger"].sudo().search(domain)

    def _registered(self, numbers):
        """As the sync worker leaves them."""
        for number in numbers.with_context(tracking_disable=True):
            number.write(
                {
                    "state": "open",
                    "confirmed_at": fields.Datetime.now(),
                    "known_active": True,
                    "known_amount": number.amount,
                    "known_mode": number.mode,
                    "known_description": number.description,
                    "sync_at": False,
                }
            )
        return numbers

    def _customers(self, count):
        """Registered customer numbers of so many new pupils."""
        pupils = self.env["res.partner"].create(
            [
                {"name": f"Pupil {count} {i}", "parent_id": self.parent.id}
                for i in range(count)
            ]
        )
        return self._registered(self._keeps(pupils, self.tuition))

    def _new_transaction(self):
        """Forget what this transaction has done: the tests have one alone."""
        self.env.cr.flush()
        self.env.cr.postcommit.clear()
        self._triggers().unlink()
        self.env.flush_all()
        self.env.invalidate_all()

    def _cost(self, work):
        """Return the statements of a transaction, and its triggers."""
        self._new_transaction()
        before = self.env.cr.sql_log_count
        work()
        self.env.flush_all()
        self.env.cr.flush()
        cost = self.env.cr.sql_log_count - before
        return cost, len(self._triggers())

    def assertFlat(self, prepare, work):
        """Assert that ``work`` wakes once, and costs the same for few and for many."""
        costs = {}
        for count in (FEW, MANY):
            records = prepare(count).with_context(tracking_disable=False)
            costs[count], triggers = self._cost(lambda r=records: work(r))
            self.assertEqual(triggers, 1, count)
        self.assertLessEqual(costs[MANY] - costs[FEW], SPARE, costs)


@tagged("post_install", "-at_install")
class TestWakes(WakesCommon):
    def _change(self, numbers, **values):
        wizard = numbers.env["billpay.number.change"].create(
            {"number_ids": [Command.set(numbers.ids)], **values}
        )
        wizard.action_confirm()

    def _invoiced(self, count):
        """A new customer of so many invoices, each with a registered number."""
        partner = self.env["res.partner"].create(
            {"name": f"Duka {count}", "email": "duka@example.com"}
        )
        line = {"name": "x", "price_unit": 1000, "tax_ids": []}
        values = {
            "move_type": "out_invoice",
            "partner_id": partner.id,
            "invoice_date": "2026-03-01",
            "currency_id": self.tzs.id,
            "invoice_line_ids": [Command.create(line)],
        }
        moves = self.env["account.move"].create([values for _i in range(count)])
        moves.action_post()
        numbers = self._registered(moves.billpay_number_ids.sudo())
        self.assertEqual(len(numbers), count)
        return partner

    def test_change(self):
        for values in (
            {"amount": 5000, "mode": "flexible"},
            {"amount": 7000, "mode": "exact"},
        ):
            with self.subTest(**values):
                self.assertFlat(
                    self._customers,
                    lambda numbers, v=values: self._change(numbers, **v),
                )
        due = self.tuition.number_ids.filtered(lambda n: n.amount == 7000)
        self.assertEqual(len(due.filtered("sync_at")), FEW + MANY)

    def test_close(self):
        self.assertFlat(self._customers, lambda numbers: numbers.action_close())

    def test_reopen(self):
        def closed(count):
            numbers = self._customers(count)
            numbers.action_close()
            numbers.sudo().write({"known_active": False, "sync_at": False})
            return numbers

        self.assertFlat(closed, lambda numbers: numbers.action_reopen())

    def test_retry_and_another_number(self):
        def refused(count):
            numbers = self._customers(count)
            numbers.sudo().write({"state": "failed", "confirmed_at": False})
            return numbers

        for action in ("action_retry", "action_take_another_number"):
            with self.subTest(action):
                self.assertFlat(refused, methodcaller(action))

    def test_rename_a_purpose(self):
        for field in ("name", "description"):
            with self.subTest(field):
                self.assertFlat(
                    self._customers,
                    lambda numbers, f=field: numbers.purpose_id.write(
                        {f: f"Fees {f} {len(numbers)}"}
                    ),
                )

    def test_rename_a_customer(self):
        self.assertFlat(
            self._invoiced, lambda partner: partner.write({"name": "Duka Kuu"})
        )

    def test_cancel_and_reserve(self):
        self.assertFlat(self._customers, lambda numbers: numbers.sudo()._close())
        pupils = self.env["res.partner"].create(
            [{"name": f"New {i}", "parent_id": self.parent.id} for i in range(30)]
        )

        def each_for_itself():
            for pupil in pupils:
                self._keeps(pupil, self.tuition)

        self.assertEqual(self._cost(each_for_itself)[1], 1)


@tagged("post_install", "-at_install")
class TestWakeOnce(WakesCommon):
    def test_at_once_and_the_earliest_of_later_moments(self):
        now = fields.Datetime.now()
        hour, day = now + timedelta(hours=1), now + timedelta(days=1)
        for asked, due in (
            ((day, hour), [hour]),
            ((hour, day), [hour]),
            ((None, None, now), [now]),
            ((day, None, hour, None), [now, hour]),
        ):
            with self.subTest(asked=asked):
                self._new_transaction()
                for at in asked:
                    wake(self.env, SYNC, at)
                moments = self._triggers().sorted("call_at").mapped("call_at")
                self.assertEqual(len(moments), len(due))
                for moment, wanted in zip(moments, due, strict=True):
                    self.assertLess(abs(moment - wanted), timedelta(minutes=1))

    def test_savepoints_do_not_wake_again(self):
        self._new_transaction()
        for _turn in range(5):
            with self.env.cr.savepoint():
                wake(self.env, SYNC)
        self.assertEqual(len(self._triggers()), 1)

    def test_what_is_rolled_back_does_not_count(self):
        self._new_transaction()
        with self.assertRaises(ZeroDivisionError), self.env.cr.savepoint():
            wake(self.env, SYNC)
            self.env.cr.flush()
            raise ZeroDivisionError
        self.assertFalse(self._triggers())
        wake(self.env, SYNC)
        self.assertEqual(len(self._triggers()), 1)

    def test_a_wake_of_the_last_moment_is_not_lost(self):
        self._new_transaction()
        wake(self.env, SYNC)
        poll = "billpay_odoo.ir_cron_poll_payments"
        self.env.cr.precommit.add(lambda: wake(self.env, poll))
        self.assertEqual(len(self._triggers()), 1)
        self.assertTrue(self._triggers(poll))


@tagged("post_install", "-at_install")
class TestDeletedActions(WakesCommon):
    """A scheduled action that somebody deleted stops nobody; the log says so."""

    def _without(self, keys, work):
        """Do it while these actions are deleted, make them again; return the log."""
        self._new_transaction()
        actions = self.env["billpay.health"]._scheduled_actions()
        for key in keys:
            actions[key].unlink()
        with self.assertLogs("odoo.addons.billpay_odoo.transactions", "ERROR") as log:
            for _turn in range(2):
                with self.env.cr.savepoint():
                    work()
        self.env["billpay.health"]._restore_actions()
        self.assertFalse(self.env["billpay.health"]._idle_actions())
        return [record.args[0] for record in log.records]

    def test_invoice_is_confirmed_and_paid(self):
        ours = [
            key
            for key in self.env["billpay.health"]._scheduled_actions()
            if key != SEND_CRON
        ]
        moves = self.env["account.move"]

        def confirm():
            nonlocal moves
            moves += self._invoice(5000)

        logged = self._without(ours, confirm)
        # Once per transaction.
        self.assertEqual(logged, [SYNC])
        self.assertEqual(moves.mapped("state"), ["posted"] * 2)
        self.assertEqual(
            moves.billpay_number_ids.sudo().mapped("state"), ["pending"] * 2
        )
        self._sync()
        payments = [self._pay(m.billpay_number_id.name, 5000) for m in moves]
        waiting = [*payments]

        def notified():
            self._event(waiting.pop())
            self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")

        self.assertEqual(
            self._without(ours, notified), ["billpay_odoo.ir_cron_process_payments"]
        )
        self._process()
        for payment in payments:
            self.assertBooked(self._ledger(payment), 5000)
        self.assertEqual(moves.mapped("amount_residual"), [0, 0])

    def test_application_is_switched_on(self):
        for name in ("sync_numbers", "process_payments", "bulk_runs"):
            with self.subTest(name):
                key = f"billpay_odoo.ir_cron_{name}"
                self.provider.state = "disabled"

                def switch(state="test"):
                    self.provider.state = state

                self.assertEqual(self._without([key], switch), [key])
                self.assertEqual(self.provider.state, "test")

    def test_queue_of_odoo(self):
        def wake_it():
            self.env["payment.provider"]._billpay_trigger(SEND_CRON)

        self.assertEqual(self._without([SEND_CRON], wake_it), [SEND_CRON])
