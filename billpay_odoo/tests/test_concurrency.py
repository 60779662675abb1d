# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Several processes at once, and processes that die between two steps."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

from odoo.tests import BaseCase, tagged

from clickpesa_sandbox import Sandbox, create_app
from clickpesa_sandbox.server import Server

from .processes import DatabaseCopy, Processes, post

CHECKSUM_KEY = "CHKtest"
CLIENT = "odoo.addons.billpay_odoo.clickpesa.client.ClickPesaClient:"


@tagged("slow")
class ConcurrencyCase(BaseCase):
    """A company on a copy of the database, processes, and the sandbox over HTTP."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.db = DatabaseCopy()
        cls.addClassCleanup(cls.db.drop)
        cls.db.make()
        cls.processes = Processes(cls.db)
        cls.addClassCleanup(cls.processes.stop)
        cls.processes.start()
        cls.company = cls.processes.run("company")

    def setUp(self):
        super().setUp()
        self.sandbox = Sandbox(
            checksum_key=CHECKSUM_KEY, billpay_namba="1122", deliver="manual"
        )
        self.addCleanup(self.sandbox.close)
        server = Server(create_app(self.sandbox)).start()
        self.addCleanup(server.stop)
        self.url = server.url + "/third-parties"
        # Whatever an earlier test left behind is not worked on in this one.
        self.db("UPDATE billpay_control_number SET sync_at = NULL")
        self.db("UPDATE billpay_event SET state = 'logged' WHERE state = 'new'")
        self.db(
            "UPDATE billpay_payment SET state = 'ignored'"
            " WHERE state IN ('received', 'confirmed', 'failed')"
        )
        self.again()

    def again(self, **values):
        """Begin anew: nothing upstream, and an application without payments."""
        self.sandbox.reset()
        self.last_item = self.db.value("SELECT max(id) FROM account_move_line") or 0
        made = self.run_worker(
            "application",
            company=self.company,
            url=self.url,
            checksum_key=CHECKSUM_KEY,
            **values,
        )
        self.provider, self.token = made["id"], made["token"]

    # === Steps of the story === #

    def run_worker(self, task, **arguments):
        return self.begin(task, **arguments).result()

    def begin(self, task, *stops, **arguments):
        worker = self.processes.begin(task, stops=stops, **arguments)
        # A test that fails leaves no worker behind that holds a lock.
        self.addCleanup(worker.kill)
        return worker

    def invoices(self, *amounts):
        """Posted invoices whose numbers ClickPesa knows: ``[[move, number], …]``."""
        made = self.run_worker("invoices", company=self.company, amounts=amounts)
        self.run_worker("sync")
        self.assertEqual(set(self.number_states()), {"open"})
        return made

    def pay(self, number, amount):
        """Pay at the sandbox, whose webhook is lost."""
        return self.sandbox.pay(number, amount, deliver=False)

    def paid_invoice(self, amount=150000):
        """An invoice and a payment of it that nobody here knows of yet."""
        [[move, number]] = self.invoices(amount)
        return move, self.pay(number, amount)

    def delivery(self, payment):
        return json.dumps(self.sandbox.webhook_body(payment["id"]))

    def deliver(self, payment):
        self.run_worker("deliver", provider=self.provider, body=self.delivery(payment))

    def later(self):
        """Let leases and pauses run out."""
        self.db(
            "UPDATE billpay_control_number SET sync_at = '2020-01-01'"
            " WHERE sync_at IS NOT NULL AND provider_id = %s",
            self.provider,
        )
        self.db(
            "UPDATE billpay_payment SET next_try_at = NULL WHERE provider_id = %s",
            self.provider,
        )
        self.db(
            "UPDATE payment_provider SET billpay_paused_until = NULL WHERE id = %s",
            self.provider,
        )

    def number_states(self):
        return [
            state
            for (state,) in self.db(
                "SELECT state FROM billpay_control_number WHERE provider_id = %s",
                self.provider,
            )
        ]

    def numbers_here(self):
        return sorted(
            name
            for (name,) in self.db(
                "SELECT name FROM billpay_control_number WHERE provider_id = %s",
                self.provider,
            )
        )

    def numbers_there(self):
        return sorted(number["number"] for number in self.sandbox.numbers())

    # === What must be true === #

    def assertNothingBooked(self):
        self.assertFalse(
            self.db(
                "SELECT a.id FROM account_payment a"
                " JOIN billpay_payment p ON p.id = a.billpay_payment_id"
                " WHERE p.provider_id = %s",
                self.provider,
            )
        )

    def assertBookedOnce(self, *payments, merged=0):
        """Ledger and journal items say exactly what the sandbox says.

        :param int merged: rows besides, that were found to be one of the payments
        """
        told = sorted((p["id"], int(float(p["collectedAmount"]))) for p in payments)
        self.assertEqual(
            told,
            self.db(
                "SELECT reference, amount::int FROM billpay_payment"
                " WHERE provider_id = %s AND state = 'posted' ORDER BY reference",
                self.provider,
            ),
        )
        self.assertEqual(
            [(len(payments) + merged, merged)],
            self.db(
                "SELECT count(*), count(*) FILTER (WHERE state = 'ignored' AND"
                " merged_into_id IS NOT NULL) FROM billpay_payment"
                " WHERE provider_id = %s",
                self.provider,
            ),
        )
        total = sum(amount for _reference, amount in told)
        # Every item outside the invoices, wherever it came from.
        items = """
            FROM account_move_line l
            JOIN account_move m ON m.id = l.move_id
            JOIN account_account a ON a.id = l.account_id
           WHERE l.company_id = %s AND l.id > %s AND m.move_type = 'entry'
        """
        self.assertEqual(
            [(len(payments), 2 * len(payments), total, total)],
            self.db(
                "SELECT count(DISTINCT m.id), count(*),"
                " sum(l.debit)::int, sum(l.credit)::int" + items,
                self.company,
                self.last_item,
            ),
        )
        self.assertEqual(
            [(len(payments), total, "posted")],
            self.db(
                "SELECT count(*), sum(l.credit)::int, min(m.state)"
                + items
                + "AND a.account_type = 'asset_receivable'",
                self.company,
                self.last_item,
            ),
        )

    def assertPaid(self, *moves):
        self.assertEqual(
            [(0, 0)],
            self.db(
                "SELECT DISTINCT m.amount_residual::int, sum(l.amount_residual)::int"
                " FROM account_move m JOIN account_move_line l ON l.move_id = m.id"
                " JOIN account_account a ON a.id = l.account_id"
                " WHERE m.id IN %s AND a.account_type = 'asset_receivable'"
                " GROUP BY m.id",
                tuple(moves),
            ),
        )


@tagged("post_install", "-at_install")
class TestConcurrency(ConcurrencyCase):
    def test_lost_webhook_is_found_by_the_poll(self):
        move, payment = self.paid_invoice()
        self.run_worker("process")
        self.assertNothingBooked()
        self.run_worker("poll_and_process")
        self.assertBookedOnce(payment)
        self.assertPaid(move)

    def test_one_delivery_at_two_servers_at_once(self):
        servers = self.processes.serve(2)
        move, payment = self.paid_invoice()
        body = self.delivery(payment).encode()
        copies = 8
        gate = threading.Barrier(copies)

        def deliver(index):
            gate.wait(timeout=30)
            path = "/payment/clickpesa/webhook/" + self.token
            return post(servers[index % 2], path, body)

        with ThreadPoolExecutor(copies) as pool:
            statuses = list(pool.map(deliver, range(copies)))
        self.assertEqual(statuses, [200] * copies)
        self.assertEqual(
            self.db(
                "SELECT times, state FROM billpay_event WHERE provider_id = %s",
                self.provider,
            ),
            [(copies, "new")],
        )
        workers = [self.begin("process"), self.begin("process")]
        for worker in workers:
            worker.result()
        self.assertBookedOnce(payment)
        self.assertPaid(move)

    def test_webhook_and_poll_at_the_same_moment(self):
        for first in ("process", "poll"):
            for confirmation in ("query", "signature"):
                with self.subTest(first=first, confirmation=confirmation):
                    self.again(clickpesa_confirmation=confirmation)
                    self._webhook_and_poll(first)

    def _webhook_and_poll(self, first):
        second = "poll" if first == "process" else "process"
        insert = "billpay.ledger:_insert_told:"
        move, payment = self.paid_invoice()
        self.deliver(payment)
        # Both have looked, and have not found it.
        ahead = self.begin(first, insert + "before", insert + "after")
        behind = self.begin(second, insert + "before")
        ahead.reach(insert + "before")
        behind.reach(insert + "before")
        # One has written it, the other now waits for its commit.
        ahead.go().reach(insert + "after")
        behind.go().wait_until_blocked()
        ahead.go().result()
        behind.result()
        self.later()
        self.run_worker("process")
        self.assertBookedOnce(payment)
        self.assertPaid(move)
        [(webhook_at, poll_at)] = self.db(
            "SELECT webhook_at, poll_at FROM billpay_payment WHERE provider_id = %s",
            self.provider,
        )
        self.assertTrue(webhook_at and poll_at)

    def test_two_clicks_get_one_number(self):
        """Both have seen that the invoice has none, and both make one."""
        [[move, _number]] = self.run_worker(
            "invoices", company=self.company, amounts=[150000]
        )
        self.db("DELETE FROM billpay_control_number WHERE move_id = %s", move)
        reserve = "billpay.control.number:_reserve:"
        clicks = [
            self.begin(
                "issue",
                reserve + "before",
                reserve + "after",
                company=self.company,
                move=move,
            )
            for _click in range(2)
        ]
        for click in clicks:
            click.reach(reserve + "before")
        ahead, behind = clicks
        ahead.go().reach(reserve + "after")
        behind.go().wait_until_blocked()
        self.assertIsNone(ahead.go().result())
        self.assertIn("has no open number yet", behind.result())
        self.assertEqual(self.number_states(), ["pending"])

    def test_typed_and_told_at_the_same_instant(self):
        """Neither sees the other, so there are two rows; one is booked.

        Whichever is stored first, and however the workers meet then.
        """
        for first in ("type_receipt", "poll"):
            for meeting in ("one_worker", "both_locked", "both_read", "booked_between"):
                with self.subTest(first=first, meeting=meeting):
                    self.again()
                    self._typed_and_told(first, getattr(self, "_" + meeting))

    def _typed_and_told(self, first, meet):
        move, payment = self.paid_invoice()
        insert = "billpay.ledger:_insert_told:before"
        writers = {
            "type_receipt": self.begin(
                "type_receipt", insert, provider=self.provider, payment=payment
            ),
            "poll": self.begin("poll", insert),
        }
        for writer in writers.values():
            writer.reach(insert)
        # Both have looked, and have found nothing.
        ahead = writers.pop(first)
        [behind] = writers.values()
        ahead.go().result()
        meet(behind)
        self.later()
        self.run_worker("process")
        self.assertBookedOnce(payment, merged=1)
        self.assertPaid(move)
        # Told and typed again, it is known.
        self.deliver(payment)
        self.run_worker("poll_and_process")
        self.run_worker("type_receipt", provider=self.provider, payment=payment)
        self.run_worker("process")
        self.assertBookedOnce(payment, merged=1)

    def _one_worker(self, behind):
        behind.go().result()
        self.run_worker("process")

    def _booked_between(self, behind):
        self.run_worker("process")
        behind.go().result()

    def _both_locked(self, behind):
        """One is about to book a row, and knows no other; its twin's worker waits."""
        ready = "billpay.receipt:_without_twins:after"
        one = self.begin("process", ready).reach(ready)
        behind.go().result()
        self.run_worker("process")
        self.assertNothingBooked()
        one.go().result()

    def _both_read(self, behind):
        """Both have read two rows that wait; one books before the other goes on."""
        behind.go().result()
        read = "billpay.payment:search:after"
        one, other = (self.begin("process", read).reach(read) for _turn in range(2))
        one.go().result()
        other.go().result()

    def test_told_while_a_worker_books_the_typed_receipt(self):
        move, payment = self.paid_invoice()
        self.run_worker("type_receipt", provider=self.provider, payment=payment)
        booked = "billpay.booking:_book:after"
        booking = self.begin("process", booked).reach(booked)
        telling = self.begin("poll")
        telling.wait_until_blocked()
        booking.go().result()
        telling.result()
        self.assertBookedOnce(payment)
        self.assertPaid(move)

    def test_one_receipt_typed_by_two_at_once(self):
        move, payment = self.paid_invoice()
        insert = "billpay.ledger:_insert_told:before"
        typing = [
            self.begin("type_receipt", insert, provider=self.provider, payment=payment)
            for _turn in range(2)
        ]
        for person in typing:
            person.reach(insert)
        for person in typing:
            person.go()
        self.assertEqual([1, 0], sorted((p.result() for p in typing), reverse=True))
        self.run_worker("process")
        self.run_worker("poll_and_process")
        self.assertBookedOnce(payment)
        self.assertPaid(move)

    def test_workers_share_forty_payments(self):
        made = self.invoices(*range(1000, 41000, 1000))
        payments = [
            self.pay(number, 1000 * index)
            for index, (_move, number) in enumerate(made, 1)
        ]
        self.run_worker("poll")
        self.assertNothingBooked()
        small = {"billpay.worker:_post_batch": 7}
        gate = "billpay.worker:_post_due:before"
        booked = "billpay.booking:_book:after"
        first = self.begin("process", gate, booked, constants=small)
        others = [self.begin("process", gate, constants=small) for _turn in range(2)]
        for worker in (first, *others):
            worker.reach(gate)
        # The others begin while the first has booked a batch that nobody sees yet.
        first.go().reach(booked)
        for worker in others:
            worker.go()
        first.go()
        for worker in (first, *others):
            worker.result()
        self.later()
        self.run_worker("process")
        self.assertBookedOnce(*payments)
        self.assertPaid(*(move for move, _number in made))
        self.assertEqual(
            sum(int(float(p["collectedAmount"])) for p in self.sandbox.payments()),
            self.db.value(
                "SELECT sum(amount)::int FROM billpay_payment WHERE provider_id = %s",
                self.provider,
            ),
        )

    def test_two_workers_on_the_same_payment(self):
        """Both have read it as waiting; one books, the other finds it done."""
        move, payment = self.paid_invoice()
        self.run_worker("poll")
        read = "billpay.payment:search:after"
        first, second = (self.begin("process", read) for _turn in range(2))
        first.reach(read)
        second.reach(read)
        first.go()
        second.go()
        first.result()
        second.result()
        self.assertBookedOnce(payment)
        self.assertPaid(move)
        self.assertEqual(
            [(0, None)],
            self.db(
                "SELECT attempts, reason FROM billpay_payment WHERE provider_id = %s",
                self.provider,
            ),
        )

    def test_two_payments_of_one_invoice_at_once(self):
        [[move, number]] = self.invoices(100000)
        # An invoice has one number to pay; money may still come on an older one.
        self.db(
            "UPDATE billpay_control_number SET state = 'closed' WHERE move_id = %s",
            move,
        )
        [other] = self.run_worker(
            "reserve", provider=self.provider, count=1, move_id=move, amount=40000
        )
        self.run_worker("sync")
        payments = [self.pay(number, 60000), self.pay(other, 40000)]
        self.run_worker("poll")
        small = {"billpay.worker:_post_batch": 1}
        # What is locked is skipped, so each takes one of the two.
        booked = "billpay.booking:_book:after"
        first = self.begin("process", booked, constants=small).reach(booked)
        second = self.begin("process", constants={"billpay.worker:_post_batch": 2})
        second.wait_until_blocked()
        first.go().result()
        second.result()
        self.later()
        self.run_worker("process")
        self.assertBookedOnce(*payments)
        self.assertPaid(move)

    # === A checkout === #

    def transaction(self, tx):
        return self.db(
            "SELECT state, payment_id IS NOT NULL, is_post_processed"
            " FROM payment_transaction WHERE id = %s",
            tx,
        )[0]

    def test_checkout_killed_between_payment_and_confirmation(self):
        tx, number = self.run_worker("checkout", company=self.company, amount=150000)
        payment = self.pay(number, 150000)
        self.deliver(payment)
        for point in (
            "billpay.booking:_tell_bills:before",
            "payment.transaction:_billpay_on_money:after",
        ):
            worker = self.begin("process", point)
            worker.reach(point)
            worker.kill()
            self.assertEqual(self.transaction(tx), ("pending", False, False))
            self.assertNothingBooked()
            self.later()
        self.run_worker("process")
        self.assertBookedOnce(payment)
        self.assertEqual(self.transaction(tx), ("done", True, False))
        self.run_worker("process")
        self.assertBookedOnce(payment)

    def test_pay_now_clicked_twice_makes_one_number(self):
        tx, number = self.run_worker("checkout", company=self.company, amount=1000)
        self.db("UPDATE payment_transaction SET state = 'draft' WHERE id = %s", tx)
        self.db(
            "UPDATE billpay_control_number SET state = 'closed' WHERE name = %s", number
        )
        reserve = "billpay.control.number:_reserve:before"
        clicks = [self.begin("pay_now", reserve, tx=tx) for _turn in range(2)]
        for click in clicks:
            # Neither has seen a number of the other.
            click.reach(reserve)
        first = clicks[0].go().result()
        # It conflicts, is replayed as Odoo replays a request, and finds the other's.
        self.assertEqual(clicks[1].go().result(), first)
        self.assertNotEqual(first[1], number)
        living = self.db(
            "SELECT name FROM billpay_control_number WHERE transaction_id = %s"
            " AND state = 'open'",
            tx,
        )
        self.assertEqual(living, [(first[1],)])

    def test_clicks_and_worker_at_once(self):
        move, payment = self.paid_invoice()
        insert = "billpay.ledger:_insert_told:before"
        post_due = "billpay.worker:_post_due:before"
        clicks = [
            self.begin("check", insert, post_due, company=self.company, move=move)
            for _turn in range(2)
        ]
        everybody = [*clicks, self.begin("poll_and_process", insert, post_due)]
        for point in (insert, post_due):
            for worker in everybody:
                worker.reach(point)
            for worker in everybody:
                worker.go()
        answers = [worker.result() for worker in everybody][:2]
        self.assertBookedOnce(payment)
        self.assertPaid(move)
        self.assertEqual(
            ["success", "success"], [answer["type"] for answer in answers], answers
        )

    def test_two_workers_register_numbers_over_a_bad_line(self):
        names = self.run_worker("reserve", provider=self.provider, count=120)
        self.sandbox.faults.random.seed(19)
        self.sandbox.faults.add("drop_after", match="bulk-create", times=1)
        self.sandbox.faults.add("drop_after", match="bulk-create", rate=0.3)
        small = {"billpay.sync:_bulk_limit": 10}
        gate = "billpay.sync:_claim:before"
        for _round in range(20):
            workers = [self.begin("sync", gate, constants=small) for _turn in range(2)]
            for worker in workers:
                worker.reach(gate)
            for worker in workers:
                worker.go()
            for worker in workers:
                worker.result()
            if set(self.number_states()) == {"open"}:
                break
            self.later()
        self.assertEqual(["open"] * 120, self.number_states())
        self.assertEqual(sorted(names), self.numbers_here())
        self.assertEqual(sorted(names), self.numbers_there())

    def test_workers_and_clicks_together_keep_the_budget(self):
        """Token calls count, and every process needs one of its own."""
        self.again(clickpesa_calls_per_minute=6)
        names = self.run_worker("reserve", provider=self.provider, count=12)
        small = {"billpay.sync:_bulk_limit": 1}
        call = CLIENT + "create_order_numbers:before"
        for _minute in range(3):
            before = self.sandbox.count_calls()
            racers = [self.begin("sync", call, constants=small) for _turn in range(4)]
            for racer in racers:
                racer.reach(call)
            waiting = self.db(
                "SELECT name FROM billpay_control_number WHERE provider_id = %s"
                " AND state = 'pending' AND sync_at <= now() AT TIME ZONE 'UTC'",
                self.provider,
            )
            racers.append(self.begin("click_sync", call, name=waiting[0][0]))
            racers[-1].reach(call)
            for racer in racers:
                racer.go()
            for racer in racers:
                racer.result()
            # Nobody else gets through either.
            self.later()
            for _turn in range(2):
                self.run_worker("sync", constants=small)
            made = self.sandbox.count_calls() - before
            self.assertLessEqual(made, 6)
            # The half that is for new numbers is used up, and a click has its own.
            self.assertGreaterEqual(made, 3)
            self.assertEqual(
                self.db(
                    "SELECT state FROM billpay_control_number WHERE name = %s",
                    waiting[0][0],
                ),
                [("open",)],
            )
            # A minute later all are free again.
            self.later()
            self.db("UPDATE billpay_call_slot SET used_at = used_at - interval '66 s'")
        there = self.numbers_there()
        self.assertEqual(len(there), self.number_states().count("open"))
        self.assertLessEqual(set(there), set(names))

    def test_a_row_that_somebody_holds_stops_no_other(self):
        [[_move, name]] = self.invoices(5000)
        self.run_worker("change_amount", name=name, amount=7000)
        self.run_worker("reserve", provider=self.provider, count=3)
        with self.db.holding("billpay_control_number", "name = %s", name):
            self.run_worker("sync")
            self.assertEqual(set(self.number_states()), {"open"})
            self.assertEqual(len(self.numbers_there()), 4)
            self.assertEqual(self.sandbox.number(name)["amount"], 5000)
        self.run_worker("sync")
        self.assertEqual(self.sandbox.number(name)["amount"], 7000)

    def test_two_workers_never_lease_the_same_number(self):
        self.run_worker("reserve", provider=self.provider, count=30)
        lease = "billpay.sync:_claim_once:after"
        call = CLIENT + "create_order_numbers:before"
        first = self.begin("sync", lease, call).reach(lease)
        # The lease of the first is not committed yet.
        self.run_worker("sync")
        self.assertEqual(self.sandbox.count_calls(), 0)
        # Now it is, but ClickPesa has not been asked yet.
        first.go().reach(call)
        self.run_worker("sync")
        self.assertEqual(self.sandbox.count_calls(), 0)
        first.go().result()
        self.assertEqual(set(self.number_states()), {"open"})
        self.assertEqual(self.numbers_here(), self.numbers_there())
        self.assertEqual(self.sandbox.count_calls("/third-parties/billpay"), 1)

    def test_worker_that_outlives_its_lease_takes_no_new_number(self):
        """Refused because another worker was faster is not refused by a stranger."""
        [name] = self.run_worker("reserve", provider=self.provider, count=1)
        call = CLIENT + "create_order_numbers:before"
        slow = self.begin("sync", call).reach(call)
        self.later()
        self.run_worker("sync")
        self.assertEqual(self.number_states(), ["open"])
        slow.go().result()
        self.later()
        self.run_worker("sync")
        self.assertEqual(self.numbers_here(), [name])
        self.assertEqual(self.numbers_there(), [name])
        self.assertEqual(self.number_states(), ["open"])

    def test_click_waits_for_the_worker_that_has_the_number(self):
        [name] = self.run_worker("reserve", provider=self.provider, count=1)
        call = CLIENT + "create_order_numbers:before"
        worker = self.begin("sync", call).reach(call)
        wait = "billpay.sync:_claim:after"
        click = self.begin("click_sync", wait, name=name).reach(wait)
        click.go()
        worker.go().result()
        [outcome] = click.result()
        self.assertEqual(
            outcome,
            {
                **{"name": name, "state": "open", "error": "", "off": ""},
                **{"obstacle": "", "problem": ""},
            },
        )
        self.assertEqual(self.numbers_there(), [name])


@tagged("post_install", "-at_install")
class TestSudden(ConcurrencyCase):
    """A worker that is killed loses nothing and does nothing twice."""

    def kill_at(self, task, point):
        self.begin(task, point).reach(point).kill()

    def test_killed_while_registering_numbers(self):
        for point in (
            "billpay.sync:_claim_once:after",
            "billpay.sync:_claim:after",
            CLIENT + "create_order_numbers:before",
            CLIENT + "create_order_numbers:after",
            "billpay.sync:_store_created:before",
            "billpay.sync:_store_created:after",
        ):
            with self.subTest(point=point):
                self.again()
                names = self.run_worker("reserve", provider=self.provider, count=5)
                self.kill_at("sync", point)
                self.assertEqual(set(self.number_states()), {"pending"})
                self.later()
                self.run_worker("sync")
                self.assertEqual(set(self.number_states()), {"open"})
                self.assertEqual(sorted(names), self.numbers_here())
                self.assertEqual(sorted(names), self.numbers_there())

    def test_killed_while_changing_a_number(self):
        for point in (
            CLIENT + "update_number:before",
            CLIENT + "update_number:after",
            "billpay.sync:_store_known:after",
        ):
            with self.subTest(point=point):
                self.again()
                [[_move, name]] = self.invoices(5000)
                self.run_worker("change_amount", name=name, amount=7000)
                self.kill_at("sync", point)
                self.later()
                self.run_worker("sync")
                self.assertEqual(self.sandbox.number(name)["amount"], 7000)
                self.assertEqual(
                    [("open", 7000, None)],
                    self.db(
                        "SELECT state, known_amount::int, sync_at"
                        " FROM billpay_control_number WHERE provider_id = %s",
                        self.provider,
                    ),
                )

    def test_killed_between_webhook_and_books(self):
        for point in (
            "billpay.ledger:_upsert:after",
            "billpay.worker:_take_events:after",
            "billpay.worker:_take_unconfirmed:before",
            "billpay.worker:_take_unconfirmed:after",
            "billpay.worker:_confirm_one:before",
            CLIENT + "payments:after",
            "billpay.worker:_store_answer:after",
            "billpay.worker:_post_due:before",
            "account.payment:create:after",
            "account.payment:action_post:after",
            "billpay.entries:_reconcile_booked:after",
            "billpay.booking:_book:after",
        ):
            with self.subTest(point=point):
                self.again()
                move, payment = self.paid_invoice()
                self.deliver(payment)
                self.kill_at("process", point)
                self.assertNothingBooked()
                self.later()
                self.run_worker("process")
                self.assertBookedOnce(payment)
                self.assertPaid(move)

    def test_killed_after_the_commit(self):
        move, payment = self.paid_invoice()
        self.run_worker("poll")
        self.kill_at("process", "billpay.worker:_count_waiting:before")
        self.assertBookedOnce(payment)
        self.deliver(payment)
        self.later()
        self.run_worker("poll_and_process")
        self.assertBookedOnce(payment)
        self.assertPaid(move)

    def test_killed_while_polling(self):
        for point in (
            CLIENT + "payments_page:after",
            "billpay.ledger:_upsert:after",
            "billpay.poll:_store_page:after",
        ):
            with self.subTest(point=point):
                self.again()
                move, payment = self.paid_invoice()
                self.kill_at("poll", point)
                self.assertEqual(
                    [(None,)],
                    self.db(
                        "SELECT billpay_polled_until FROM payment_provider"
                        " WHERE id = %s",
                        self.provider,
                    ),
                )
                self.run_worker("poll_and_process")
                self.assertBookedOnce(payment)
                self.assertPaid(move)

    def test_killed_in_a_long_scan(self):
        """A dead worker has lost what it read of one page."""
        payments = [self.pay(f"11229990{n:02}", 1000) for n in range(20)]
        small = {"odoo.addons.billpay_odoo.const:POLL_PAGE": 3}
        read = "/third-parties/payments/all"
        # A page is committed, with the place behind it; or nothing is yet.
        committed, stored = "ir.cron:_commit_progress:before", "_store_page:after"
        for turn, point in enumerate(
            (committed, committed, f"billpay.poll:{stored}", committed), 1
        ):
            how = {"constants": small, "provider": self.provider}
            self.begin("poll_one", point, **how).reach(point).kill()
            self.assertEqual(self.sandbox.count_calls(read), turn)
            pages = turn - (turn > 2)
            self.assertEqual(
                [(3 * pages, None, 3 * pages)],
                self.db(
                    "SELECT (billpay_poll_rest->>'skip')::int, billpay_polled_until,"
                    " (SELECT count(*)::int FROM billpay_payment"
                    "   WHERE provider_id = provider.id)"
                    " FROM payment_provider provider WHERE id = %s",
                    self.provider,
                ),
            )
        self.run_worker("poll", constants=small)
        # Seven pages, and one of them twice.
        self.assertEqual(self.sandbox.count_calls(read), 8)
        self.assertEqual(
            sorted(payment["id"] for payment in payments),
            [
                reference
                for (reference,) in self.db(
                    "SELECT reference FROM billpay_payment"
                    " WHERE provider_id = %s ORDER BY reference",
                    self.provider,
                )
            ],
        )

    def test_killed_between_question_and_answer(self):
        for point in (
            "billpay.worker:_take_questions:before",
            "billpay.worker:_take_questions:after",
            CLIENT + "payments:after",
            "billpay.worker:_store_answer:after",
        ):
            with self.subTest(point=point):
                self.again()
                _move, payment = self.paid_invoice()
                self.run_worker("poll_and_process")
                self.sandbox.set_status(payment["id"], "REVERSED")
                due = "UPDATE billpay_payment SET ask_at = '2020-01-01'"
                self.db(due + " WHERE provider_id = %s", self.provider)
                self.kill_at("process", point)
                self.assertBookedOnce(payment)
                self.db(
                    due + " WHERE provider_id = %s AND ask_at < now() + '1 day'",
                    self.provider,
                )
                self.run_worker("process")
                self.assertEqual(
                    [("reversed", None)],
                    self.db(
                        "SELECT state, ask_at FROM billpay_payment"
                        " WHERE provider_id = %s",
                        self.provider,
                    ),
                )

    def test_killed_in_the_middle_of_a_batch(self):
        made = self.invoices(*[5000] * 10)
        payments = [self.pay(number, 5000) for _move, number in made]
        self.run_worker("poll")
        small = {"billpay.worker:_post_batch": 4}
        # The first batch is committed, the second is not.
        point = "billpay.worker:_count_waiting:before"
        posted = "account.payment:action_post:after"
        worker = self.begin("process", point, constants=small).reach(point)
        worker.kill()
        self.assertEqual(4, self._booked())
        worker = self.begin("process", posted, constants=small).reach(posted)
        worker.kill()
        self.assertEqual(4, self._booked())
        self.run_worker("process")
        self.assertBookedOnce(*payments)
        self.assertPaid(*(move for move, _number in made))

    def _booked(self):
        return self.db.value(
            "SELECT count(*) FROM billpay_payment"
            " WHERE provider_id = %s AND state = 'posted'",
            self.provider,
        )
