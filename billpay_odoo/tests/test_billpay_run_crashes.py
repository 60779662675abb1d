# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bulk runs whose workers are killed at any moment: one number per line, no twin."""

from odoo.tests import tagged

from .test_concurrency import CLIENT, ConcurrencyCase

SETTLE = "billpay.run.line:_settle:after"
CHUNK = {"billpay.run:_chunk": 100}


@tagged("post_install", "-at_install", "billpay_concurrency")
class TestRunCrashes(ConcurrencyCase):
    def setUp(self):
        super().setUp()
        # Whatever an earlier test left behind is not worked on in this one.
        self.db("UPDATE billpay_run SET state = 'cancelled' WHERE state = 'running'")

    def _lines(self, run):
        """``{state: count}`` of the lines, and how many have a number."""
        counts = dict(
            self.db(
                "SELECT state, count(*) FROM billpay_run_line WHERE run_id = %s"
                " GROUP BY 1",
                run,
            )
        )
        linked = self.db.value(
            "SELECT count(DISTINCT number_id) FROM billpay_run_line WHERE run_id = %s",
            run,
        )
        return counts, linked

    def assertComplete(self, run, count):
        counts, linked = self._lines(run)
        self.assertEqual(counts, {"reserved": count})
        self.assertEqual(linked, count)
        here = self.numbers_here()
        self.assertEqual(len(here), count)
        self.assertEqual(here, self.numbers_there())
        self.assertEqual(set(self.number_states()), {"open"})

    def _finish(self, run):
        for _turn in range(10):
            self.run_worker("bulk_runs", constants=CHUNK)
            self.run_worker("sync")
            state = self.db.value("SELECT state FROM billpay_run WHERE id = %s", run)
            if state == "done":
                return
            self.later()
        self.fail("The run does not end.")

    def test_memory_of_a_run_is_bounded(self):
        """A prefork server gives a worker so much, however long the run is."""
        count = 1000
        run = self.run_worker("prepare_customer_run", company=self.company, count=count)
        self.run_worker("within_memory", names=["bulk_runs", "sync"], megabytes=64)
        self.assertEqual(self._lines(run), ({"reserved": count}, count))
        self._finish(run)
        self.assertComplete(run, count)

    def test_killed_in_a_chunk_and_in_a_call(self):
        """600 invoices; SIGKILL before a commit, and before an answer is stored."""
        run = self.run_worker("prepare_run", company=self.company, count=600)
        between = "billpay.run:_count_waiting:before"
        for point in (between, SETTLE):
            worker = self.begin("bulk_runs", point, constants=CHUNK)
            worker.reach(point)
            worker.kill()
        # The chunk that was committed is there, of the other one nothing is.
        self.assertEqual(self._lines(run), ({"reserved": 100, "waiting": 500}, 100))
        self.assertEqual(len(self.numbers_here()), 100)
        create = CLIENT + "create_order_numbers:after"
        worker = self.begin("sync", create)
        worker.reach(create)
        worker.kill()
        self.assertEqual(len(self.numbers_there()), 50)
        self.later()
        self._finish(run)
        self.assertComplete(run, 600)
        asked = self.db(
            "SELECT move_id, count(*) FROM billpay_control_number"
            " WHERE provider_id = %s GROUP BY 1 HAVING count(*) > 1",
            self.provider,
        )
        self.assertEqual(asked, [])

    def test_two_workers_share_a_run(self):
        run = self.run_worker("prepare_customer_run", company=self.company, count=300)
        workers = [
            self.begin("bulk_runs", SETTLE, constants=CHUNK) for _turn in range(2)
        ]
        for worker in workers:
            worker.reach(SETTLE)
        # Both are in the middle of a chunk: not of the same one.
        for worker in workers:
            worker.go()
        for worker in workers:
            worker.result()
        self._finish(run)
        self.assertComplete(run, 300)

    def test_two_clicks_give_a_customer_one_number(self):
        self.run_worker("prepare_customer_run", company=self.company, count=1)
        partner, purpose = self.db(
            "SELECT partner_id, purpose_id FROM billpay_run_line ORDER BY id DESC"
        )[0]
        reserve = "billpay.control.number:_reserve:before"
        clicks = [
            self.begin("keep_number", reserve, purpose=purpose, partner=partner)
            for _turn in range(2)
        ]
        for click in clicks:
            click.reach(reserve)
        first = clicks[0].go().result()
        # It reads anew, as Odoo replays a request, and finds the other one's.
        second = clicks[1].go()
        self.assertEqual(second.result(), first)
        self.assertEqual(self.numbers_here(), [first])
