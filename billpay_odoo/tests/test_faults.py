# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A short fault run: what ``./dev bench faults`` does with two thousand payments."""

from odoo.tests import BaseCase, tagged

from .fault_run import FaultRun
from .processes import DatabaseCopy, Processes

PAYMENTS = 150


@tagged("post_install", "-at_install", "slow")
class TestFaults(BaseCase):
    def test_every_payment_is_booked_once_whatever_goes_wrong(self):
        database = DatabaseCopy()
        self.addCleanup(database.drop)
        database.make()
        processes = Processes(database)
        self.addCleanup(processes.stop)
        processes.start()
        # A restart of the server would end other tests with it.
        run = FaultRun(
            database, processes, database.end_connections, PAYMENTS, kill_every=0.5
        ).run()
        facts = dict(run.facts)
        with self.subTest(seed=run.seed, facts=facts):
            self.assertEqual(run.differences(), [])
            sums = run.sums()
            self.assertEqual(sums["clickpesa"], sums["ledger"])
            self.assertEqual(sums["ledger"], sums["booked"] + sums["unmatched"])
            self.assertTrue(sums["booked"] and sums["unmatched"])
            self.assertEqual(len(run.told), PAYMENTS)
            self.assertEqual(run.facts["restarts"], 1)
            self.assertGreaterEqual(run.facts["killed"], 1)
        # A comparison that compares nothing would have found all well, too.
        self._spoil(database, run)

    def _spoil(self, database, run):
        """Each kind of damage is found."""
        last = (
            "(SELECT max(id) FROM billpay_payment WHERE state = 'posted'"
            " AND provider_id = %s)"
        )
        damages = (
            ("UPDATE billpay_payment SET amount = amount + 1 WHERE id = ", ""),
            (
                "UPDATE account_move SET state = 'draft' WHERE id = ("
                "SELECT max(move_id) FROM account_payment WHERE billpay_payment_id = ",
                ")",
            ),
        )
        for damage, end in damages:
            with self.subTest(damage=damage):
                database(damage + last + end, run.provider)
                kinds = {text.split(":")[0] for text in run.differences()}
                self.assertEqual(kinds, {"missing", "sums differ", "too much"})
