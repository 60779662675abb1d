# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Processes that die at the till's worst moments, and tills that ask at once."""

from uuid import uuid4

from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.test_concurrency import ConcurrencyCase

TASKS = "odoo.addons.billpay_odoo_pos.tests.till_tasks:"


@tagged("post_install", "-at_install")
class TestTillCrashes(ConcurrencyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.made = None

    def at_till(self, task, **arguments):
        return self.run_worker(TASKS + task, company=self.company, **arguments)

    def begin_at_till(self, task, *stops, **arguments):
        return self.begin(TASKS + task, *stops, company=self.company, **arguments)

    def setUp(self):
        super().setUp()
        self.db("UPDATE pos_session SET state = 'closed' WHERE state != 'closed'")
        self.db("UPDATE account_journal SET code = 'X' || id WHERE code = 'TCSH'")
        self.db("UPDATE pos_config SET active = false")
        self.made = self.at_till("make_till")
        self.uuid = str(uuid4())

    def sold(self):
        """Orders, their payments, and what is open on the customer's account."""
        [row] = self.db(
            "SELECT count(DISTINCT o.id), count(p.id), min(o.state),"
            "       count(p.billpay_number_id),"
            "       sum(l.debit)::int, sum(l.amount_residual)::int"
            "  FROM pos_order o JOIN pos_payment p ON p.pos_order_id = o.id"
            "  LEFT JOIN account_move_line l ON l.id = p.billpay_line_id"
            " WHERE o.session_id = %s",
            self.made["session"],
        )
        return row

    def test_killed_between_payment_and_confirmation(self):
        stand = self.at_till("ask", uuid=self.uuid, amount=45000)
        payment = self.pay(stand["number"], 45000)
        self.deliver(payment)
        for point in (
            "pos.order:_billpay_on_money:before",
            "pos.order:_billpay_on_money:after",
        ):
            worker = self.begin("process", point)
            worker.reach(point)
            worker.kill()
            self.assertNothingBooked()
            [stand] = self.at_till("status", uuid=self.uuid)
            self.assertEqual(stand["state"], "waiting")
            self.later()
        self.run_worker("process")
        self.assertBookedOnce(payment)
        [stand] = self.at_till("status", uuid=self.uuid)
        self.assertEqual((stand["state"], stand["received"]), ("paid", 45000))

    def test_killed_while_an_order_is_received(self):
        [number, *_rest] = self.at_till("lease", device="aaaaaaaa-1111")
        payment = self.pay(number, 45000)
        self.deliver(payment)
        self.run_worker("process")
        self.assertBookedOnce(payment)
        sale = {"made": self.made, "uuid": self.uuid, "number": number, "amount": 45000}
        point = "pos.order:_billpay_bind:after"
        worker = self.begin_at_till("send", point, **sale)
        worker.reach(point)
        worker.kill()
        self.assertEqual(self.sold()[0], 0)
        # The till sends it again, and again, as it does without an answer.
        first = self.at_till("send", **sale)
        self.assertEqual(self.at_till("send", **sale), first)
        self.assertEqual(self.sold(), (1, 1, "paid", 1, None, None))
        point = "pos.session:_reconcile_account_move_lines:after"
        worker = self.begin_at_till("close", point, made=self.made)
        worker.reach(point)
        worker.kill()
        self.assertEqual(self.sold(), (1, 1, "paid", 1, None, None))
        self.assertTrue(self.at_till("close", made=self.made)["successful"])
        self.assertEqual(self.sold(), (1, 1, "done", 1, 45000, 0))

    def test_paid_while_the_session_is_being_closed(self):
        [number, *_rest] = self.at_till("lease", device="aaaaaaaa-2222")
        self.at_till(
            "send", made=self.made, uuid=self.uuid, number=number, amount=45000
        )
        payment = self.pay(number, 45000)
        self.deliver(payment)
        # The books of the session are made, and not committed: the worker cannot see
        # them, and books the money as credit.
        point = "pos.session:_reconcile_account_move_lines:after"
        closing = self.begin_at_till("close", point, made=self.made)
        closing.reach(point)
        self.run_worker("process")
        self.assertTrue(closing.go().result()["successful"])
        # Neither saw the other.
        self.assertEqual(self.sold(), (1, 1, "done", 1, 45000, 45000))
        self.at_till("meet")
        self.assertEqual(self.sold(), (1, 1, "done", 1, 45000, 0))

    # === One payment, one line === #

    def waiting(self):
        """An open order on the server, and a payment of it that is not booked."""
        line = self.uuid + "-one"
        stand = self.at_till("ask", uuid=self.uuid, amount=45000)
        self.draft(line, stand["number"]).result()
        payment = self.pay(stand["number"], 45000)
        self.deliver(payment)
        return stand["number"], payment

    def draft(self, line, number, *stops):
        sale = {"made": self.made, "uuid": self.uuid, "amount": 45000}
        return self.begin_at_till(
            "send", *stops, **sale, number=number, state="draft", line=line
        )

    def lines(self):
        """Of the order: amounts, whether paid, and what the order has of it."""
        return self.db(
            "SELECT p.amount::int, p.billpay_payment_id IS NOT NULL,"
            "       o.amount_paid::int, o.state"
            "  FROM pos_payment p JOIN pos_order o ON o.id = p.pos_order_id"
            " WHERE o.uuid = %s ORDER BY p.id",
            self.uuid,
        )

    def assertOneLine(self, payment):
        self.assertBookedOnce(payment)
        self.assertEqual(self.lines(), [(45000, True, 45000, "draft")])

    def test_killed_between_the_line_and_its_commit(self):
        number, payment = self.waiting()
        point = "billpay.till.claim:_take:after"
        worker = self.begin("process", point)
        worker.reach(point)
        worker.kill()
        self.assertNothingBooked()
        self.assertEqual(self.lines(), [(45000, False, 45000, "draft")])
        self.later()
        self.run_worker("process")
        self.assertOneLine(payment)

    def test_a_device_sends_its_copy_while_money_is_booked(self):
        number, payment = self.waiting()
        point = "billpay.till.claim:_take:after"
        worker = self.begin("process", point)
        worker.reach(point)
        other = self.draft(self.uuid + "-two", number)
        worker.go().result()
        other.result()
        self.assertOneLine(payment)

    def test_money_is_booked_while_a_device_sends_its_copy(self):
        number, payment = self.waiting()
        point = "pos.order:_billpay_bind:after"
        other = self.draft(self.uuid + "-two", number, point)
        other.reach(point)
        worker = self.begin("process")
        other.go().result()
        worker.result()
        self.draft(self.uuid + "-three", number).result()
        self.assertOneLine(payment)

    def test_two_devices_ask_at_once(self):
        number, payment = self.waiting()
        self.run_worker("process")
        self.db("DELETE FROM pos_payment WHERE billpay_payment_id IS NOT NULL")
        point = "billpay.till.claim:_lock:before"
        devices = [
            self.begin_at_till("status", point, uuid=self.uuid) for _turn in range(2)
        ]
        for device in devices:
            device.reach(point)
        for device in devices:
            device.go()
        for device in devices:
            [stand] = device.result()
            self.assertEqual((stand["state"], stand["left"]), ("paid", 0))
        self.assertOneLine(payment)

    def test_two_clicks_make_one_number(self):
        point = "billpay.control.number:_reserve:before"
        clicks = [
            self.begin_at_till("ask", point, uuid=self.uuid, amount=45000)
            for _turn in range(2)
        ]
        for click in clicks:
            click.reach(point)
        first = clicks[0].go().result()
        self.assertEqual(clicks[1].go().result()["number"], first["number"])
        self.assertEqual(len(self.sandbox.numbers()), 1)

    def test_devices_that_lease_at_once_share_nothing(self):
        point = "billpay.numbering:_next_references:before"
        devices = [
            self.begin_at_till("lease", point, device=f"aaaaaaaa-{index:04d}")
            for index in range(4)
        ]
        for device in devices:
            device.reach(point)
        for device in devices:
            device.go()
        names = [name for device in devices for name in device.result()]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual(len(names), 4 * 60)
