# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One payment is one line of its order, whichever device says what, and when."""

from itertools import permutations
from uuid import uuid4

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon

from .common import TillSteps


class Device:
    """A till's device and its copy of one order, which may be an old one."""

    def __init__(self, test, uuid, session, amount=45000):
        self.test, self.uuid, self.session = test, uuid, session
        self.amount, self.line = amount, str(uuid4())
        self.lines, self.product_line = [], str(uuid4())

    def waits(self, number=False, amount=None, status="waitingCard", **values):
        """Add the line with which this device waits for the money."""
        self.lines = [
            Command.create(
                {
                    "payment_method_id": self.test.billpay.id,
                    "amount": amount or self.amount,
                    "billpay_number": number,
                    "payment_status": status,
                    "payment_date": fields.Datetime.to_string(fields.Datetime.now()),
                    "uuid": self.line,
                    **values,
                }
            )
        ]
        return self

    def cash(self, amount):
        self.lines = [
            *self.lines,
            Command.create(
                {
                    "payment_method_id": self.test.cash.id,
                    "amount": amount,
                    "payment_date": fields.Datetime.to_string(fields.Datetime.now()),
                    "uuid": str(uuid4()),
                }
            ),
        ]
        return self

    def send(self, state="draft", **values):
        test = self.test
        known = test._order(self.uuid)
        sale = test._sale(
            self.session, [], amount=self.amount, state=state, uuid=self.uuid
        )
        if known:
            sale["lines"] = [
                Command.update(
                    known.lines[:1].id,
                    {
                        "price_unit": self.amount,
                        "price_subtotal": self.amount,
                        "price_subtotal_incl": self.amount,
                    },
                )
            ]
        sale["payment_ids"] = [list(command) for command in self.lines]
        sale["access_token"] = str(uuid4())
        sale["amount_return"] = 0
        return test._send({**sale, **values})


@tagged("post_install", "-at_install")
class TestTillClaim(TillSteps, BillPayCommon):
    def setUp(self):
        super().setUp()
        self.session = self._open()

    def _order(self, uuid):
        return self.env["pos.order"].search([("uuid", "=", uuid)])

    def _device(self, uuid=None, session=None, amount=45000):
        return Device(self, uuid or str(uuid4()), session or self.session, amount)

    def _waiting(self, amount=45000, device=None):
        """An order on the server whose customer pays now."""
        device = device or self._device(amount=amount)
        order = device.waits(status="waiting").send()
        stand = self._ask(device.uuid, amount, line=device.line)
        device.waits(stand["number"])
        return device, order, stand["number"]

    def _money(self, number, amount=45000):
        return self._told(number, amount, reference="LCP" + uuid4().hex[:10].upper())

    def assertOneLine(self, order, row, amount=45000):
        line = order.payment_ids.filtered("billpay_payment_id")
        self.assertEqual(line.billpay_payment_id, row)
        self.assertEqual((line.amount, line.payment_status), (amount, "done"))
        self.assertEqual(order.payment_ids.filtered("is_billpay"), line)
        self.assertEqual(order.amount_paid, sum(order.payment_ids.mapped("amount")))
        self.assertTrue(line.billpay_paid)
        return line

    # === One payment, one line === #

    def test_what_is_too_much_is_said(self):
        for amount, paid, change, left in (
            (45000, 50000, False, 5000),
            (45000, 50000, True, 0),
            (2500.5, 2501, False, 0),
            (2500.5, 2600, False, 99),
        ):
            with self.subTest(amount=amount, paid=paid, change=change):
                self.till.billpay_change = change
                device, _order, number = self._waiting(amount)
                self._money(number, paid)
                [stand] = self.till.billpay_status([device.uuid])
                self.assertEqual(stand["left"], left)
                self.assertEqual(stand["received"], paid)

    def test_the_line_of_the_device_becomes_the_paid_one(self):
        device, order, number = self._waiting()
        row = self._money(number)
        line = self.assertOneLine(order, row)
        self.assertEqual(line.uuid, device.line)
        self.assertEqual(line.transaction_id, row.receipt or row.reference)
        [stand] = self.till.billpay_status([device.uuid])
        self.assertEqual((stand["order"], stand["left"]), ("draft", 0))
        self.assertEqual([item["id"] for item in stand["lines"]], line.ids)
        self.assertTrue(stand["lines"][0]["billpay_paid"])
        device.lines = []
        device.send("paid")
        self.assertEqual((order.state, order.payment_ids), ("paid", line))
        self._close_till(self.session)
        self.assertSettled(order, 45000)
        self.assertFalse(row.attention)

    def test_two_devices_in_every_order_of_events(self):
        def ask(one, two, stand):
            stand |= self._ask(one.uuid, line=one.line)

        def ask_other(one, two, stand):
            stand |= self._ask(two.uuid, line=two.line)

        def first(one, two, stand):
            one.waits(stand.get("number", False)).send()

        def second(one, two, stand):
            two.waits(stand.get("number", False)).send()

        def proof(one, two, stand):
            # As tills did it before: each with a line and a proof of its own.
            number = stand.get("number", False)
            two.waits(number, status="done", transaction_id=str(uuid4())).send()

        def money(one, two, stand):
            stand["row"] = self._money(stand["number"])

        for events in permutations((first, second, proof, money)):
            for begin in ((ask,), (ask, ask_other)):
                with (
                    self.subTest([event.__name__ for event in begin + events]),
                    self.env.cr.savepoint() as savepoint,
                ):
                    uuid, stand = str(uuid4()), {}
                    one, two = self._device(uuid), self._device(uuid)
                    for event in begin + events:
                        event(one, two, stand)
                    order = self._order(uuid)
                    # Both are silent for a while, and send what they have once more.
                    one.send()
                    two.send()
                    self.till.billpay_status([uuid])
                    self.assertOneLine(order, stand["row"])
                    one.lines = []
                    one.send("paid")
                    self.assertEqual((order.state, order.amount_paid), ("paid", 45000))
                    self.assertEqual(two.send("paid"), order)
                    self.assertOneLine(order, stand["row"])
                    savepoint.rollback()
                self.env.invalidate_all()

    def test_tills_that_share_orders(self):
        other = self._make_till("Duka la Posta")
        self.till.trusted_config_ids = other
        other.trusted_config_ids = self.till
        session = self._open(other)
        told = []
        device, order, number = self._waiting()
        self.patch(
            type(self.till), "_notify", lambda till, *what, **_kw: told.append(till.id)
        )
        # The other till asks for the same order: the customer has one number.
        stand = self._ask(device.uuid, till=other)
        self.assertEqual(stand["number"], number)
        twin = self._device(device.uuid, session).waits(number)
        twin.send()
        self.assertEqual(order.config_id, other)
        row = self._money(number)
        self.assertEqual(set(told), {self.till.id, other.id})
        self.assertOneLine(order, row)
        for till in (self.till, other):
            [stand] = till.billpay_status([device.uuid])
            self.assertEqual([len(stand["lines"]), stand["state"]], [1, "paid"])
        device.send()
        twin.send()
        self.assertOneLine(order, row)
        stranger = self._make_till("Duka la Mbezi")
        self.assertEqual(stranger.billpay_status([device.uuid]), [])

    def test_an_order_that_owes_nothing_takes_nothing_and_asks_again(self):
        device, order, number = self._waiting()
        device.lines = []
        order.payment_ids.unlink()
        device.cash(45000).send()
        row = self._money(number)
        self.assertFalse(order.payment_ids.filtered("billpay_payment_id"))
        [stand] = self.till.billpay_status([device.uuid])
        self.assertEqual((stand["left"], stand["lines"]), (45000, []))
        # The cashier gives the cash back.
        device.lines = [Command.delete(order.payment_ids.id)]
        device.send()
        self.assertOneLine(order, row)

    def test_how_much_of_the_money_a_line_takes(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        for change, came, asked, amount in (
            (False, 45000, 45000, 45000),
            (False, 50000, 45000, 45000),
            (True, 50000, 45000, 50000),
            (False, 30000, 45000, 30000),
            (True, 30000, 45000, 30000),
            (False, 30000, 20000, 30000),
        ):
            with self.subTest(change=change, came=came, asked=asked):
                self.till.billpay_change = change
                device = self._device()
                device.waits(status="waiting", amount=asked)
                order = device.send()
                stand = self._ask(device.uuid, asked, line=device.line)
                self.assertOneLine(order, self._money(stand["number"], came), amount)

    def test_the_rest_by_a_second_number_and_in_cash(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        device, order, number = self._waiting()
        rows = self._money(number, 20000)
        device.line = str(uuid4())
        device.waits(status="waiting", amount=25000).send()
        stand = self._ask(device.uuid, 25000, line=device.line)
        self.assertNotEqual(stand["number"], number)
        rows |= self._money(stand["number"], 15000)
        lines = order.payment_ids.sorted("id")
        self.assertEqual(lines.mapped("amount"), [20000, 15000])
        self.assertEqual(lines.billpay_payment_id, rows)
        device.lines = []
        device.cash(10000).send("paid")
        self.assertEqual((order.state, order.amount_paid), ("paid", 45000))
        self._close_till(self.session)
        self.assertSettled(order, 35000)

    def test_a_paid_line_follows_the_changed_order(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        device, order, number = self._waiting()
        row = self._money(number, 60000)
        self.assertOneLine(order, row, 45000)
        device.amount = 52000
        device.send()
        self.assertOneLine(order, row, 52000)
        device.amount = 70000
        device.send()
        self.assertOneLine(order, row, 60000)
        device.amount = 40000
        device.send()
        self.assertOneLine(order, row, 40000)

    def test_money_for_an_order_without_a_line(self):
        device = self._device()
        order = device.send()
        number = self._ask(device.uuid)["number"]
        row = self._money(number)
        self.assertOneLine(order, row)

    def test_money_before_its_order_arrives(self):
        for state in ("draft", "paid"):
            with self.subTest(state):
                device, [item] = self._device(), self._lease()[:1]
                row = self._money(item["number"])
                device.waits(
                    item["number"],
                    status="waitingCard" if state == "draft" else "done",
                )
                order = device.send(state)
                self.assertEqual(order.state, state)
                line = self.assertOneLine(order, row)
                self.assertEqual(line.uuid, device.line)

    def test_an_old_copy_is_finished_with_what_it_lets_be_paid_later(self):
        """It sold on without network, when a part of it had been paid."""
        self.till.billpay_later = "always"
        device = self._device(amount=20000)
        order = device.send()
        number = self._ask(device.uuid, 20000)["number"]
        row = self._money(number, 20000)
        for amount in (45000, 20000):
            with self.subTest(amount), self.env.cr.savepoint() as savepoint:
                device.amount = amount
                device.waits(number, status="done").send("paid")
                self.assertEqual((order.state, order.amount_paid), ("paid", amount))
                self.assertEqual(order.payment_ids.billpay_payment_id, row)
                self.assertEqual(
                    sum(order.payment_ids.filtered("billpay_paid").mapped("amount")),
                    20000,
                )
                savepoint.rollback()
            self.env.invalidate_all()

    def test_no_cash_for_what_is_paid(self):
        device, order, number = self._waiting()
        row = self._money(number)
        stale = self._device(device.uuid).cash(45000)
        with self.assertRaisesRegex(UserError, "meanwhile"), self.env.cr.savepoint():
            stale.send("paid")
        self.env.invalidate_all()
        self.assertEqual(order.state, "draft")
        self.assertOneLine(order, row)

    # === What is paid stays === #

    def test_a_paid_line_cannot_be_changed_or_deleted(self):
        device, order, number = self._waiting()
        row = self._money(number)
        line = self.assertOneLine(order, row)
        cashier = new_test_user(
            self.env,
            "claim_cashier",
            "base.group_user,point_of_sale.group_pos_user",
            company_id=self.company.id,
            company_ids=self.company.ids,
        )
        for user in (cashier, self.env.user, self.env.ref("base.user_root")):
            mine, its = line.with_user(user), order.with_user(user)
            changes = (
                lambda mine=mine: mine.write({"amount": 1}),
                lambda mine=mine: mine.write({"payment_method_id": self.cash.id}),
                lambda mine=mine: mine.unlink(),
                lambda mine=mine, its=its: its.write(
                    {"payment_ids": [Command.delete(mine.id)]}
                ),
                lambda its=its: its.write({"payment_ids": [Command.clear()]}),
                lambda its=its: its.remove_from_ui(its.ids),
                lambda its=its: its.with_context(
                    device_identifier="1"
                ).action_pos_order_cancel(),
                lambda its=its: (its.write({"state": "cancel"}), its.unlink()),
            )
            for index, change in enumerate(changes):
                with (
                    self.subTest(user=user.login, change=index),
                    self.assertRaisesRegex(UserError, "came by BillPay"),
                    self.env.cr.savepoint(),
                ):
                    change()
                self.env.invalidate_all()
        # Nor do devices, whatever their copy says; nothing is said about it.
        for command in (
            Command.delete(line.id),
            Command.unlink(line.id),
            Command.update(line.id, {"amount": 1, "payment_status": "retry"}),
            Command.update(line.id, {"payment_method_id": self.cash.id}),
        ):
            device.lines = [command]
            device.send()
            self.assertOneLine(order, row)

    def test_a_device_speaks_of_a_line_that_is_gone(self):
        device, order, number = self._waiting()
        twin = self._device(device.uuid).waits(status="waiting").send().payment_ids
        gone = (twin - twin.filtered(lambda p: p.uuid == device.line)).id
        row = self._money(number)
        self.assertOneLine(order, row)
        for command in (
            Command.update(gone, {"amount": 45000}),
            Command.delete(gone),
            Command.unlink(gone),
        ):
            device.lines = [command]
            device.send()
            self.assertOneLine(order, row)

    def test_nobody_says_what_stands_behind_a_line(self):
        device, order, number = self._waiting()
        row = self._money(number)
        cashier = new_test_user(
            self.env,
            "claim_cashier",
            "base.group_user,point_of_sale.group_pos_user",
            company_id=self.company.id,
            company_ids=self.company.ids,
        )
        other = self._device().waits(status="done", transaction_id="PROOF").send()
        line = other.payment_ids
        self.assertFalse(line.transaction_id)
        self.assertFalse(line.billpay_paid)
        with self.assertRaises(AccessError):
            line.with_user(cashier).write({"billpay_payment_id": row.id})
        line.with_user(cashier).write({"transaction_id": "PROOF"})
        self.assertFalse(line.billpay_paid)

    def test_money_taken_back_leaves_the_open_order(self):
        device, order, number = self._waiting()
        row = self._money(number)
        self.assertOneLine(order, row)
        row.sudo()._flag("Back", due=self.env.cr.now(), status="REVERSED")
        self._process()
        self.assertEqual(row.state, "reversed")
        self.assertFalse(order.payment_ids)
        self.assertEqual(order.amount_paid, 0)

    def test_accountants_cancel_what_a_till_may_not(self):
        device, order, number = self._waiting()
        row = self._money(number)
        order.action_pos_order_cancel()
        self.assertEqual(order.state, "cancel")
        self.assertBooked(row, 45000)

    # === Split and changed orders === #

    def _asks(self, uuid):
        """What asks for an order now: amount and whether it is asked for there."""
        numbers = self.env["billpay.control.number"]._till_numbers(self.till, uuid)
        living = numbers._living()
        self.assertLessEqual(len(living), 1)
        return living.amount

    def _there(self, number):
        self._sync()
        there = self.sandbox.number(number)
        return there["amount"] if there["status"] == "ACTIVE" else 0

    def test_the_number_of_a_bill_follows_its_order(self):
        device = self._device()
        order = device.send()
        number = self._ask(device.uuid)["number"]
        known = {"billpay_number": number}
        for amount in (60000, 20000, 0, 30000, 30000.4):
            device.amount = amount
            device.send(**known)
            wanted = 30001 if amount == 30000.4 else amount
            self.assertEqual(self._asks(device.uuid), wanted)
            self.assertEqual(self._there(number), wanted)
        # Cash that was taken is not asked for.
        device.amount = 45000
        device.cash(15000).send(**known)
        self.assertEqual(self._asks(device.uuid), 30000)
        row = self._money(number, 30000)
        self.assertOneLine(order, row, 30000)
        self.assertFalse(self._asks(device.uuid))

    def test_the_parts_of_a_split_bill(self):
        device = self._device(amount=90000)
        order = device.send()
        number = self._ask(device.uuid, 90000)["number"]
        # As the till splits: both are sent, and the new one gets a bill of its own.
        device.amount = 60000
        device.send(billpay_number=number)
        other = self._device(amount=30000)
        part = other.send()
        second = self._ask(other.uuid, 30000)["number"]
        self.assertEqual((self._there(number), self._there(second)), (60000, 30000))
        rows = self._money(second, 30000)
        self.assertOneLine(part, rows, 30000)
        self.assertFalse(order.payment_ids)
        rows = self._money(number, 60000)
        self.assertOneLine(order, rows, 60000)
        # Merged again: the one that is thrown away asks for nothing any more.
        third, fourth = self._device(amount=5000), self._device(amount=7000)
        third.send(), fourth.send()
        numbers = [self._ask(d.uuid, d.amount)["number"] for d in (third, fourth)]
        self.till.billpay_cancel(third.uuid)
        self._order(third.uuid).with_context(
            device_identifier="1"
        ).action_pos_order_cancel()
        fourth.amount = 12000
        fourth.send(billpay_number=numbers[1])
        self.assertEqual([self._there(n) for n in numbers], [0, 12000])

    def test_the_number_asks_for_the_line_while_the_customer_pays(self):
        device = self._device()
        device.waits(status="waiting", amount=20000)
        order = device.send()
        number = self._ask(device.uuid, 20000, line=device.line)["number"]
        for amount, asked in ((60000, 20000), (15000, 15000), (45000, 20000)):
            device.amount = amount
            device.lines = []
            device.send(billpay_number=number)
            self.assertEqual(self._asks(device.uuid), asked)
        row = self._money(number, 20000)
        self.assertOneLine(order, row, 20000)

    def test_the_number_follows_the_customer(self):
        device = self._device()
        device.send()
        stand = self._ask(device.uuid)
        number = self._number(stand).sudo()
        self.assertEqual(number.partner_id, self.till._billpay_customer())
        device.send(partner_id=self.partner.id, billpay_number=stand["number"])
        self.assertEqual(number.partner_id, self.partner)
