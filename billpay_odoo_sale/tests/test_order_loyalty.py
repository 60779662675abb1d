# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Coupons, promotions and gift cards on orders that are paid by control number."""

from odoo import Command
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon

from .test_sale_order import OrderSteps


class LoyaltySteps(OrderSteps):
    def _program(self, program_type="promo_code", code="KARIBU", **reward):
        """A program whose code takes something off an order."""
        values = {"discount": 10, "discount_mode": "percent", **reward}
        return (
            self.env["loyalty.program"]
            .sudo()
            .create(
                {
                    "name": code,
                    "program_type": program_type,
                    "trigger": "with_code",
                    "applies_on": "current",
                    "company_id": self.company.id,
                    "currency_id": self.tzs.id,
                    "rule_ids": [Command.create({"mode": "with_code", "code": code})],
                    "reward_ids": [
                        Command.create({"reward_type": "discount", **values})
                    ],
                }
            )
        )

    def _gift_card(self, amount):
        """A gift card that somebody has, with shillings on it."""
        program = (
            self.env["loyalty.program"]
            .sudo()
            .create(
                {
                    "name": "Zawadi",
                    "program_type": "gift_card",
                    "applies_on": "future",
                    "trigger": "auto",
                    "company_id": self.company.id,
                    "currency_id": self.tzs.id,
                    "reward_ids": [
                        Command.create(
                            {
                                "reward_type": "discount",
                                "discount": 1,
                                "discount_mode": "per_point",
                                "discount_applicability": "order",
                                "required_points": 1,
                                "description": "Kadi ya zawadi",
                            }
                        )
                    ],
                }
            )
        )
        card = self.env["loyalty.card"].sudo()
        return card.create({"program_id": program.id, "points": amount})

    def _use_code(self, order, code):
        """What the customer does with a code in the cart."""
        [(coupon, rewards)] = order._try_apply_code(code).items()
        order._apply_program_reward(rewards, coupon)
        order._update_programs_and_rewards()

    def _goods(self, order):
        order.order_line.product_id.invoice_policy = "order"
        return order

    def _receivable(self, moves):
        return moves.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )

    def assertPaidBy(self, move, rows):
        """The invoice is paid by these payments, and nothing is left of them."""
        entries = rows.account_payment_ids.move_id
        lines = self._receivable(move | entries)
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(set(lines.mapped("amount_residual")), {0})
        self.assertEqual(lines.partner_id, self.partner)
        self.assertEqual(sum(lines.mapped("balance")), 0)
        self.assertEqual(
            sum(entries.line_ids.filtered("debit").mapped("debit")), move.amount_total
        )


@tagged("post_install", "-at_install")
class TestOrderLoyalty(LoyaltySteps, BillPayCommon):
    def test_a_coupon_before_the_number(self):
        self._program()
        order = self._goods(self._order())
        self._use_code(order, "KARIBU")
        self.assertEqual(order.amount_total, 135000)
        tx = self._order_checkout(order)
        self.assertEqual(self._number_of(tx).amount, 135000)
        row = self._paid(self._number_of(tx), 135000)
        self.assertBooked(row, 135000)
        self._post_process()
        self.assertEqual((order.state, order.amount_total), ("sale", 135000))
        self.assertFalse(row.attention)
        move = order._create_invoices()
        move.action_post()
        self.assertPaidBy(move, row)
        self.assertFalse(move._billpay_living())

    def test_a_coupon_after_the_number(self):
        """The number asks for what is left, and money that comes confirms the order."""
        self._program()
        order = self._goods(self._order())
        tx = self._order_checkout(order)
        number = self._number_of(tx)
        self._use_code(order, "KARIBU")
        self._sync()
        self.assertEqual(self._number_of(tx), number)
        self.assertEqual(number.amount, 135000)
        self.assertEqual(self.sandbox.number(number.name)["amount"], 135000)
        row = self._paid(number, 135000)
        self._post_process()
        self.assertEqual((order.state, row.attention), ("sale", False))
        move = order._create_invoices()
        move.action_post()
        self.assertPaidBy(move, row)

    def test_nothing_is_left_to_pay(self):
        """By a coupon for all of it, before the number or after."""
        for before in (True, False):
            with self.subTest(before=before):
                code = f"BURE{before:d}"
                self._program(code=code, discount=100)
                order = self._goods(self._order())
                tx = None
                if not before:
                    tx = self._order_checkout(order)
                self._use_code(order, code)
                self.assertEqual(order.amount_total, 0)
                if tx:
                    self._sync()
                    self.assertFalse(tx._billpay_living())
                    page = tx._billpay_page()
                    self.assertEqual((page["state"], page["qr"]), ("settled", ""))
                order.action_confirm()
                move = order._create_invoices()
                move.action_post()
                self.assertEqual((move.amount_total, move.payment_state), (0, "paid"))
                self.assertFalse(move.billpay_number_ids)

    def test_a_gift_card_pays_a_part(self):
        card = self._gift_card(50000)
        order = self._goods(self._order())
        self._use_code(order, card.code)
        self.assertEqual(order.amount_total, 100000)
        tx = self._order_checkout(order)
        number = self._number_of(tx)
        self.assertEqual(number.amount, 100000)
        row = self._paid(number, 100000)
        self._post_process()
        self.assertEqual((order.state, card.points), ("sale", 0))
        move = order._create_invoices()
        move.action_post()
        self.assertEqual(move.amount_total, 100000)
        self.assertPaidBy(move, row)

    def test_a_gift_card_that_was_used_meanwhile(self):
        """Two orders count on one card. The money of the second is not lost: a person
        is told which order waits, and why."""
        card = self._gift_card(50000)
        orders = self._goods(self._order()), self._goods(self._order())
        checkouts = []
        for order in orders:
            self._use_code(order, card.code)
            checkouts.append(self._order_checkout(order))
        rows = [self._paid(self._number_of(tx), 100000) for tx in checkouts]
        self._post_process()
        self.assertEqual(sorted(order.state for order in orders), ["draft", "sale"])
        [waiting] = [order for order in orders if order.state == "draft"]
        row = rows[orders.index(waiting)]
        self.assertBooked(row, 100000)
        self.assertTrue(waiting.transaction_ids.is_post_processed)
        self.assertTrue(row.attention)
        self.assertIn(waiting.name, row.reason)
        self.assertIn("rewards", row.reason)
        self.assertIn(waiting.name, str(row.activity_ids.note))
        # The seller takes the card off and confirms: the invoice asks for the rest.
        waiting.order_line.filtered("is_reward_line").unlink()
        waiting.action_confirm()
        move = waiting._create_invoices()
        move.action_post()
        self._sync()
        self.assertEqual(move.amount_residual, 50000)
        self.assertEqual(move._billpay_living().mapped("amount"), [50000])

    def test_a_coupon_that_ended_meanwhile(self):
        """Odoo would confirm the order at the full price: a person decides."""
        program = self._program()
        order = self._goods(self._order())
        self._use_code(order, "KARIBU")
        tx = self._order_checkout(order)
        program.active = False
        row = self._paid(self._number_of(tx), 135000)
        self._post_process()
        self.assertBooked(row, 135000)
        self.assertNotEqual(order.state, "sale")
        self.assertEqual(order.amount_total, 135000)
        self.assertTrue(tx.is_post_processed)
        self.assertTrue(row.attention)
        for text in (order.name, "150,000", "135,000"):
            self.assertIn(text, row.reason)
        self.assertIn(order.name, str(row.activity_ids.note))
        # The seller keeps the promise: a discount by hand, then Confirm.
        order.order_line.filtered("is_reward_line").unlink()
        order.order_line.price_unit = 135000
        order.action_confirm()
        move = order._create_invoices()
        move.action_post()
        self.assertPaidBy(move, row)
