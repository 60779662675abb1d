# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Tills in a real browser."""

import json
from unittest.mock import patch
from uuid import uuid4

from odoo import Command
from odoo.tests import new_test_user, tagged

from odoo.addons.billpay_odoo.clickpesa import parse_notification
from odoo.addons.billpay_odoo.tests.common import BillPayHttpCommon
from odoo.addons.point_of_sale.tests.common import archive_products

from .common import TillSteps


class TillTourCommon(TillSteps, BillPayHttpCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        archive_products(cls.env)
        cls.product = cls._make_product()
        cls.cashier = new_test_user(
            cls.env,
            "till_cashier",
            "base.group_user,point_of_sale.group_pos_user,stock.group_stock_user",
            password="till_cashier",
            company_id=cls.company.id,
            company_ids=[Command.set(cls.company.ids)],
        )

    def setUp(self):
        super().setUp()
        # The tour's customer pays here: at the sandbox, and the workers book it.
        tills = type(self.env["pos.config"])
        test = self

        def billpay_pay_in_test(till, number, amount):
            payment = test.sandbox.pay(number, amount, deliver=False)
            raw = json.dumps(test.sandbox.webhook_body(payment["id"])).encode()
            provider = till.sudo()._billpay_provider()
            till.env["billpay.event"]._store_delivery(
                provider, raw, parse_notification(raw), signed=True
            )
            till.env.ref(
                "billpay_odoo.ir_cron_process_payments"
            ).sudo().method_direct_trigger()
            return True

        def billpay_set_in_test(till, values):
            till.sudo().write(values)
            return True

        for method in (billpay_pay_in_test, billpay_set_in_test):
            known = patch.object(tills, method.__name__, method, create=True)
            known.start()
            self.addCleanup(known.stop)

    def _tour(self, name, till=None):
        till = till or self.till
        till.with_user(self.cashier).open_ui()
        self.start_tour(f"/pos/ui/{till.id}", name, login="till_cashier")
        session = till.current_session_id
        [order] = session.order_ids
        return session, order


@tagged("post_install", "-at_install", "slow")
class TestTillTours(TillTourCommon):
    def test_a_sale_online(self):
        session, order = self._tour("billpay_till_online")
        [line] = order.payment_ids
        self.assertEqual((order.state, line.amount), ("paid", 45000))
        number = line.billpay_number_id
        self.assertEqual((number.pos_order_id, number.state), (order, "paid"))
        row = number.payment_ids
        self.assertBooked(row, 45000)
        self.assertEqual(line.transaction_id, row.receipt)
        self._close_till(session)
        self.assertSettled(order, 45000)
        self.assertFalse(row.attention)

    def test_a_sale_without_network(self):
        session, order = self._tour("billpay_till_offline")
        number = order.payment_ids.billpay_number_id
        self.assertEqual((number.origin, number.pos_order_id), ("offline", order))
        self.assertEqual(order.billpay_state, "waiting")
        self._close_till(session)
        row = self._paid_at_till(number.name, 45000)
        self.assertBooked(row, 45000)
        self.assertSettled(order, 45000)

    def test_a_bill_of_a_restaurant_is_paid_later(self):
        floor = self.env["restaurant.floor"]
        till = self._make_till("Mgahawa", module_pos_restaurant=True)
        till.floor_ids.unlink()
        floor.create(
            {
                "name": "Veranda",
                "pos_config_ids": [Command.link(till.id)],
                "table_ids": [
                    Command.create(
                        {
                            "table_number": 5,
                            "seats": 4,
                            "position_h": 100,
                            "position_v": 100,
                        }
                    )
                ],
            }
        )
        session, order = self._tour("billpay_restaurant_bill", till)
        self.assertEqual(order.state, "paid")
        self.assertEqual(order.billpay_state, "paid")
        row = order.payment_ids.billpay_number_id.payment_ids
        self.assertBooked(row, 45000)
        self._close_till(session)
        self.assertSettled(order, 45000)

    def test_a_part_and_the_rest_in_cash(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        session, order = self._tour("billpay_till_part")
        self.assertEqual(sorted(order.payment_ids.mapped("amount")), [15000, 30000])
        self._close_till(session)
        self.assertSettled(order, 30000)

    def test_warnings_go_with_their_order(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        self.till.with_user(self.cashier).open_ui()
        url = f"/pos/ui/{self.till.id}"
        self.start_tour(url, "billpay_till_warnings", login="till_cashier")
        finished = self.till.current_session_id.order_ids.filtered(
            lambda order: order.state == "paid"
        )
        self.assertEqual(finished.billpay_state, "over")

    def test_the_customer_display_follows_the_order(self):
        self.start_tour(
            f"/pos_customer_display/{self.till.id}/{self.till.access_token}",
            "billpay_customer_display",
            login="till_cashier",
        )

    def test_cancelled_and_paid_in_cash(self):
        _session, order = self._tour("billpay_till_cancel")
        self.assertEqual(order.payment_ids.payment_method_id, self.cash)
        numbers = self.env["billpay.control.number"]._till_numbers(
            self.till, order.uuid
        )
        self.assertEqual(numbers.mapped("state"), ["closed"])
        self.assertTrue(numbers.pos_given_up)

    def test_a_setting_that_changes_reaches_the_till_after_a_reload(self):
        self.till.write({"billpay_later": "never", "billpay_lang": "sw"})
        session = self._open()
        self.start_tour(
            f"/pos/ui/{self.till.id}", "billpay_till_settings", login="till_cashier"
        )
        self.assertFalse(session.order_ids)

    def test_closing_and_a_range_that_is_used_up(self):
        session = self._open()
        for amount, paid in ((45000, True), (20000, True), (30000, False)):
            uuid = str(uuid4())
            stand = self._ask(uuid, amount)
            if paid:
                self._paid_at_till(stand["number"], amount)
            line = (self.billpay, amount, stand["number"])
            self._send(self._sale(session, [line], amount=amount, uuid=uuid))
        self.start_tour(
            f"/pos/ui/{self.till.id}", "billpay_till_walks", login="till_cashier"
        )
        self.assertEqual(len(session.order_ids), 4)
        self._close_till(session)

    def test_every_cashier_takes_billpay(self):
        names = ("Msaidizi", "Keshia", "Meneja")
        employees = (
            self.env["hr.employee"]
            .sudo()
            .create([{"name": name, "company_id": self.company.id} for name in names])
        )
        minimal, basic, advanced = employees
        self.till.write(
            {
                "module_pos_hr": True,
                "minimal_employee_ids": [Command.set(minimal.ids)],
                "basic_employee_ids": [Command.set(basic.ids)],
                "advanced_employee_ids": [Command.set(advanced.ids)],
            }
        )
        session = self._open()
        self.start_tour(
            f"/pos/ui/{self.till.id}", "billpay_till_cashiers", login="till_cashier"
        )
        orders = session.order_ids
        self.assertEqual(orders.employee_id, employees)
        self.assertEqual(orders.mapped("billpay_state"), ["paid"] * 3)
        self._close_till(session)
        for order in orders:
            self.assertSettled(order, 45000)

    def test_rewards_and_points_of_an_order_that_finishes_by_itself(self):
        programs = self.env["loyalty.program"].sudo()
        programs.search([]).active = False
        discount = {
            "reward_type": "discount",
            "discount": 10,
            "discount_mode": "percent",
        }
        programs.create(
            {
                "name": "Ten percent",
                "program_type": "promotion",
                "trigger": "auto",
                "applies_on": "current",
                "company_id": self.company.id,
                "currency_id": self.tzs.id,
                "rule_ids": [Command.create({"minimum_qty": 1})],
                "reward_ids": [Command.create(discount)],
            }
        )
        points = programs.create(
            {
                "name": "Points",
                "program_type": "loyalty",
                "trigger": "auto",
                "applies_on": "both",
                "company_id": self.company.id,
                "currency_id": self.tzs.id,
                "rule_ids": [
                    Command.create(
                        {"reward_point_mode": "order", "reward_point_amount": 7}
                    )
                ],
                "reward_ids": [Command.create({**discount, "required_points": 100})],
            }
        )
        session = self._open()
        self.start_tour(
            f"/pos/ui/{self.till.id}", "billpay_till_loyalty", login="till_cashier"
        )
        [order] = session.order_ids
        self.assertEqual((order.state, order.amount_total), ("paid", 40500))
        self.assertEqual(order.billpay_state, "paid")
        [card] = points.coupon_ids
        self.assertEqual((card.partner_id, card.points), (self.partner, 7))
        self._close_till(session)
        self.assertSettled(order, 40500)
