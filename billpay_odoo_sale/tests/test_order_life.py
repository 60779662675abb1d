# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What becomes of an order beside the straight way: down payments, taken back."""

from datetime import timedelta

from odoo import Command, fields
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon

from .test_order_loyalty import LoyaltySteps


@tagged("post_install", "-at_install")
class TestDownPayments(LoyaltySteps, BillPayCommon):
    def _pay_online(self, order, amount, **values):
        """What the portal does with *Pay*, of a part or of the rest."""
        tx = self._transaction(
            amount,
            reference=f"{order.name}-{len(order.transaction_ids) + 1}",
            sale_order_ids=[Command.set(order.ids)],
            **values,
        )
        self._checkout(tx)
        return tx

    def _invoiced(self, order, **values):
        wizard = self.env["sale.advance.payment.inv"].sudo()
        wizard = wizard.create({"sale_order_ids": order.ids, **values})
        move = wizard._create_invoices(order)
        move.action_post()
        return move

    def _register(self, moves):
        self._sync()
        numbers = moves._billpay_living()
        self.assertEqual(set(numbers.mapped("state")) - {"open"}, set())
        return numbers

    def test_prepayment_confirms_and_the_final_invoice_deducts_it(self):
        for percent in (0.3, 0.5):
            with self.subTest(percent=percent):
                order = self._goods(self._order(prepayment_percent=percent))
                part = order._get_prepayment_required_amount()
                tx = self._pay_online(order, part)
                number = self._number_of(tx)
                self.assertEqual(number.amount, 150000 * percent)
                first = self._paid(number, part)
                self._post_process()
                self.assertEqual((order.state, order.amount_paid), ("sale", part))
                self.assertFalse(first.attention, first.reason)
                down = self._invoiced(
                    order, advance_payment_method="fixed", fixed_amount=part
                )
                self.assertPaidBy(down, first)
                self.assertFalse(down._billpay_living())
                final = self._invoiced(order, advance_payment_method="delivered")
                self.assertEqual(final.amount_residual, 150000 - part)
                [rest] = self._register(final)
                self.assertEqual(rest.amount, 150000 - part)
                second = self._paid(rest, rest.amount)
                self.assertPaidBy(final, second)
                self.assertFalse(second.attention)

    def test_prepayment_is_deducted_from_one_invoice_over_all(self):
        order = self._goods(self._order(prepayment_percent=0.3))
        tx = self._pay_online(order, 45000)
        first = self._paid(self._number_of(tx), 45000)
        self._post_process()
        move = order._create_invoices()
        move.action_post()
        self.assertEqual(move.amount_residual, 105000)
        [rest] = self._register(move)
        self.assertEqual(rest.amount, 105000)
        second = self._paid(rest, 105000)
        self.assertPaidBy(move, first | second)

    def test_prepayment_with_automatic_invoices(self):
        self.env["ir.config_parameter"].sudo().set_param("sale.automatic_invoice", True)
        order = self._goods(self._order(prepayment_percent=0.3))
        tx = self._pay_online(order, 45000)
        first = self._paid(self._number_of(tx), 45000)
        self._post_process()
        [down] = order.invoice_ids
        self.assertEqual(down.amount_total, 45000)
        self.assertPaidBy(down, first)
        self.assertFalse(down._billpay_living())
        # The rest, by the link that the seller sends.
        values = order._get_default_payment_link_values()
        self.assertEqual(values["amount"], 105000)
        later = self._pay_online(order, values["amount"])
        self.assertEqual(self._number_of(later).amount, 105000)
        second = self._paid(self._number_of(later), 105000)
        self._post_process()
        final = order.invoice_ids - down
        self.assertEqual(final.amount_total, 105000)
        self.assertPaidBy(final, second)
        self.assertEqual((order.amount_paid, second.attention), (150000, False))

    def test_parts_of_cents_are_asked_in_whole_shillings(self):
        """A third of an order comes to cents: what was asked confirms it."""
        order = self._goods(self._order(100001, prepayment_percent=0.333))
        part = order._get_prepayment_required_amount()
        self.assertEqual(part, 33300.33)
        tx = self._pay_online(order, part)
        number = self._number_of(tx)
        self.assertEqual(number.amount, 33301)
        row = self._paid(number, 33301)
        self._post_process()
        self.assertEqual((tx.state, order.state), ("done", "sale"))
        self.assertFalse(row.attention, row.reason)
        move = order._create_invoices()
        move.action_post()
        [rest] = self._register(move)
        self.assertEqual(rest.amount, 66700)
        second = self._paid(rest, 66700)
        self.assertPaidBy(move, row | second)

    def test_a_down_payment_is_asked_before_anything_was_paid(self):
        for values in (
            {"advance_payment_method": "percentage", "amount": 30},
            {"advance_payment_method": "fixed", "fixed_amount": 45000},
        ):
            with self.subTest(**values):
                order = self._goods(self._order(require_payment=False))
                order.action_confirm()
                down = self._invoiced(order, **values)
                [number] = self._register(down)
                self.assertEqual(number.amount, 45000)
                first = self._paid(number, 45000)
                self.assertPaidBy(down, first)
                final = self._invoiced(order, advance_payment_method="delivered")
                [rest] = self._register(final)
                self.assertEqual(rest.amount, 105000)
                second = self._paid(rest, 105000)
                self.assertPaidBy(final, second)
                self.assertFalse((first | second).filtered("attention"))

    def test_a_down_payment_of_a_dollar_order(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        self.provider.clickpesa_convert = True
        self.env["res.currency.rate"].create(
            {
                "currency_id": usd.id,
                "company_id": self.company.id,
                "name": "2026-01-01",
                "inverse_company_rate": 2500,
            }
        )
        dollars = self.env["product.pricelist"].sudo()
        dollars = dollars.create({"name": "Dollars", "currency_id": usd.id})
        order = self._order(100, pricelist_id=dollars.id, prepayment_percent=0.3)
        order.order_line.price_unit = 100
        self._goods(order)
        tx = self._pay_online(order, 30, currency_id=usd.id)
        number = self._number_of(tx)
        self.assertEqual(number.amount, 75000)
        first = self._paid(number, 75000)
        self._post_process()
        self.assertEqual((order.state, order.amount_paid), ("sale", 30))
        self.assertFalse(first.attention, first.reason)
        down = self._invoiced(order, advance_payment_method="fixed", fixed_amount=30)
        self.assertEqual((down.currency_id, down.amount_residual), (usd, 0))
        final = self._invoiced(order, advance_payment_method="delivered")
        self.assertEqual(final.amount_residual, 70)
        [rest] = self._register(final)
        self.assertEqual(rest.amount, 175000)
        second = self._paid(rest, 175000)
        lines = self._receivable(
            down | final | (first | second).account_payment_ids.move_id
        )
        self.assertEqual(set(lines.mapped("amount_residual")), {0})
        self.assertEqual(set(lines.mapped("amount_residual_currency")), {0})
        self.assertEqual(lines.partner_id, self.partner)
        self.assertEqual(sum(lines.mapped("balance")), 0)


@tagged("post_install", "-at_install")
class TestOrderAgain(LoyaltySteps, BillPayCommon):
    def test_a_copy_of_an_order_has_no_number(self):
        for paid in (False, True):
            with self.subTest(paid=paid):
                order = self._goods(self._order())
                tx = self._order_checkout(order)
                if paid:
                    self._paid(self._number_of(tx), 150000)
                    self._post_process()
                again = order.copy()
                self.assertFalse(again.transaction_ids)
                self.assertFalse(again.billpay_number)
                self.assertFalse(again.billpay_number_problem)
                self.assertFalse(again.billpay_payment_ids)
                self.assertEqual((again.billpay_paid, again.amount_paid), (0, 0))
                other = self._order_checkout(again)
                self.assertNotEqual(self._number_of(other), self._number_of(tx))
                row = self._paid(self._number_of(other), 150000)
                self._post_process()
                self.assertEqual((again.state, row.attention), ("sale", False))

    def test_quotations_of_one_customer_are_paid_apart(self):
        """What recurs each month: the same goods, the same sum, each its own money."""
        orders = [self._goods(self._order()) for _month in range(3)]
        checkouts = [self._order_checkout(order) for order in orders]
        numbers = [self._number_of(tx) for tx in checkouts]
        self.assertEqual(len({number.name for number in numbers}), 3)
        row = self._paid(numbers[1], 150000)
        self._post_process()
        self.assertEqual([o.state for o in orders], ["sent", "sale", "sent"])
        self.assertEqual([n.state for n in numbers], ["open", "paid", "open"])
        move = orders[1]._create_invoices()
        move.action_post()
        self.assertPaidBy(move, row)


@tagged("post_install", "-at_install")
class TestOrderTakenBack(LoyaltySteps, BillPayCommon):
    def _paid_order(self, **values):
        order = self._goods(self._order(**values))
        tx = self._order_checkout(order)
        row = self._paid(self._number_of(tx), 150000)
        self._post_process()
        self.assertEqual((order.state, order.amount_paid), ("sale", 150000))
        return order, tx, row

    def _refund(self, move, **values):
        wizard = self.env["account.move.reversal"].with_context(
            active_model="account.move", active_ids=move.ids
        )
        wizard = wizard.create({"journal_id": move.journal_id.id, **values})
        return wizard

    def test_money_that_was_taken_back_pays_no_order(self):
        """The order asks for it again, and the customer sees how to pay."""
        order, tx, row = self._paid_order()
        number = self._number_of(tx)
        self._take_back(row)
        self._process()
        self.assertEqual(row.state, "reversed")
        self.assertEqual((order.amount_paid, order.billpay_paid), (0, 0))
        self.assertEqual(tx.state, "pending")
        [again] = tx._billpay_living()
        self.assertEqual((again.amount, again.predecessor_id), (150000, number))
        self.assertIn(again.display_number, str(order.activity_ids.mapped("note")))
        values = order._get_default_payment_link_values()
        self.assertEqual((values["amount"], values["amount_max"]), (150000, 150000))
        # What was mirrored stays as it is.
        self._post_process()
        entry = row.account_payment_ids.move_id
        self.assertEqual(entry.state, "posted")
        lines = self._receivable(entry | entry.reversal_move_ids)
        self.assertEqual(sum(lines.mapped("balance")), 0)
        self.assertTrue(all(lines.mapped("reconciled")))
        self.assertEqual(order.state, "sale")
        self._sync()
        self.assertEqual(tx._billpay_page()["number"], again.name)
        # The customer pays once more, and the invoice is paid by that alone.
        second = self._paid(again, 150000)
        self._post_process()
        self.assertEqual((order.amount_paid, tx.state), (150000, "done"))
        self.assertEqual(tx.payment_id, second.account_payment_ids)
        self.assertFalse(second.attention, second.reason)
        move = order._create_invoices()
        move.action_post()
        self.assertPaidBy(move, second)

    def test_a_part_that_was_taken_back(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        order = self._goods(self._order())
        tx = self._order_checkout(order)
        first = self._paid(self._number_of(tx), 60000)
        self._sync()
        second = self._paid(self._number_of(tx), 90000)
        self._post_process()
        self.assertEqual((tx.state, order.state), ("done", "sale"))
        self._take_back(second)
        self._process()
        self.assertEqual((order.billpay_paid, order.amount_paid), (60000, 0))
        [rest] = tx._billpay_living()
        self.assertEqual(rest.amount, 90000)
        move = order._create_invoices()
        move.action_post()
        self._sync()
        self.assertEqual(move.amount_residual, 90000)
        [number] = move._billpay_living()
        self.assertEqual(number.amount, 90000)
        third = self._paid(number, 90000)
        self.assertPaidBy(move, first | third)

    def test_money_of_an_invoiced_order_that_was_taken_back(self):
        order, tx, row = self._paid_order()
        move = order._create_invoices()
        move.action_post()
        self.assertPaidBy(move, row)
        self._take_back(row)
        self._process()
        self.assertEqual(move.amount_residual, 150000)
        self._sync()
        # One number asks for it, the invoice's.
        [number] = (move.billpay_number_ids | tx.billpay_number_ids)._living()
        self.assertEqual((number.move_id, number.amount), (move, 150000))
        second = self._paid(number, 150000)
        self.assertPaidBy(move, second)
        self.assertEqual((tx.state, order.amount_paid), ("done", 150000))

    def test_a_credit_note_of_a_paid_order(self):
        order, tx, row = self._paid_order()
        move = order._create_invoices()
        move.action_post()
        wizard = self._refund(move)
        credit = self.env["account.move"].browse(wizard.refund_moves()["res_id"])
        credit.action_post()
        self._sync()
        self.assertPaidBy(move, row)
        # The shop owes it: no number asks for anything.
        self.assertEqual(credit.amount_residual, 150000)
        numbers = order.transaction_ids.billpay_number_ids | (
            (move | credit).billpay_number_ids
        )
        self.assertFalse(numbers._living())
        self.assertFalse(tx._billpay_living())
        # The money goes out as Odoo does it.
        register = self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=credit.ids
        )
        register.create({})._create_payments()
        self.assertEqual(credit.amount_residual, 0)
        self.assertEqual(row.state, "posted")
        self.assertFalse(row.attention)

    def test_a_corrected_invoice_of_a_paid_order(self):
        order, _tx, row = self._paid_order()
        move = order._create_invoices()
        move.action_post()
        wizard = self._refund(move)
        new = self.env["account.move"].browse(wizard.modify_moves()["res_id"])
        new.action_post()
        self._sync()
        residuals = [m.amount_residual for m in (move, new)]
        asked = sum((move | new)._billpay_living().mapped("amount"))
        # Money of the customer that is free pays the corrected one, or it asks.
        self.assertEqual(asked, sum(residuals), (residuals, row.reason))

    def test_no_refund_is_offered_that_nobody_makes(self):
        _order, tx, row = self._paid_order()
        self.assertEqual(tx.provider_id.support_refund, "none")
        payment = row.account_payment_ids
        self.assertEqual(payment.amount_available_for_refund, 0)


@tagged("post_install", "-at_install")
class TestOrderTooLate(LoyaltySteps, BillPayCommon):
    def _expired_order(self):
        order = self._goods(self._order())
        tx = self._order_checkout(order)
        tx._post_process()
        number = self._number_of(tx)
        payment = self._pay(number.name, 150000)
        tx.last_state_change = fields.Datetime.now() - timedelta(hours=49)
        self._run_cron("ir_cron_expire_checkouts")
        self.assertEqual((tx.state, number.state), ("cancel", "closed"))
        return order, tx, payment

    def test_money_after_the_end_is_told_with_the_order(self):
        order, tx, payment = self._expired_order()
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 150000)
        self.assertEqual((order.state, tx.state), ("sent", "cancel"))
        self.assertIn(order.name, row.reason)
        self.assertIn(order.name, str(row.activity_ids.note))
        self.assertEqual(order.billpay_reason, row.reason)
        # The customer reads it at the order.
        self.assertIn("150,000", tx.state_message)
        self.assertIn("do not pay again", tx.state_message)
        self.assertTrue([b for b in order.message_ids.mapped("body") if "expired" in b])
        # Free money of the customer, with which the seller pays the order's invoice.
        [line] = self._receivable(row.account_payment_ids.move_id)
        self.assertEqual(
            (line.partner_id, line.amount_residual), (self.partner, -150000)
        )
        order.action_confirm()
        move = order._create_invoices()
        move.action_post()
        if move.amount_residual:
            move.js_assign_outstanding_line(line.id)
        self.assertPaidBy(move, row)
        self._sync()
        self.assertFalse(move._billpay_living())
