# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A checkout's number asks what its order still owes, here and at ClickPesa."""

from itertools import product

from odoo import Command
from odoo.modules.module import load_script
from odoo.tests import tagged
from odoo.tools import file_path

from odoo.addons.billpay_odoo.tests.common import BillPayCommon

from .test_sale_order import OrderSteps


class BillSteps(OrderSteps):
    """What happens to an order beside its number."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.wire = cls.env["payment.provider"].sudo()
        cls.wire = cls.wire.create(
            {
                "name": "Wire",
                "code": "none",
                "state": "test",
                "company_id": cls.company.id,
            }
        )
        line = cls.provider.journal_id.inbound_payment_method_line_ids.filtered(
            lambda line: line.payment_provider_id == cls.provider
        )
        cls.env["account.payment.method.line"].create(
            {
                "name": "Wire",
                "journal_id": line.journal_id.id,
                "payment_method_id": cls.env.ref(
                    "account.account_payment_method_manual_in"
                ).id,
                "payment_provider_id": cls.wire.id,
                "payment_account_id": line.payment_account_id.id,
            }
        )

    def _orders(self, price=150000, **values):
        order = self._order(price, **values)
        order.order_line.product_id.invoice_policy = "order"
        return order

    def _press_pay_now(self, order, amount=None, **values):
        tx = self._transaction(
            order.amount_total if amount is None else amount,
            sale_order_ids=[Command.set(order.ids)],
            reference=f"{order.name}/{len(order.transaction_ids)}",
            **values,
        )
        payable = self._checkout(tx)
        return (tx, payable)

    def _by_wire(self, order, amount, state="done", invoices=None):
        self.wire.support_manual_capture = "full_only"
        tx = self._transaction(
            amount,
            provider_id=self.wire.id,
            reference=f"wire/{self.env['payment.transaction'].search_count([])}",
            sale_order_ids=[Command.set(order.ids if order else [])],
            invoice_ids=[Command.set(invoices.ids if invoices else [])],
        )
        getattr(tx, "_set_" + state)()
        return tx

    def _in_cash(self, moves, amount=None):
        register = self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=moves.ids
        )
        values = {"payment_difference_handling": "open"}
        if amount:
            values["amount"] = amount
        return register.create(values)._create_payments()

    def _asked(self, *records):
        """``{digits: shillings}`` with which ClickPesa asks, once all is sent."""
        self._sync()
        self.env.invalidate_all()
        numbers = self.env["billpay.control.number"].sudo()
        for record in records:
            numbers |= record.sudo().billpay_number_ids
        return {
            there["number"]: there["amount"]
            for there in self.sandbox.numbers()
            if there["state"] == "ACTIVE" and there["number"] in numbers.mapped("name")
        }

    def _all_asked(self):
        self._sync()
        return sorted(
            there["amount"]
            for there in self.sandbox.numbers()
            if there["state"] == "ACTIVE"
        )

    def _open_credit(self, rows):
        lines = rows.account_payment_ids.move_id.line_ids
        lines = lines.filtered(lambda line: line.account_type == "asset_receivable")
        return -sum(lines.mapped("amount_residual"))

    def _todo_of(self, row, *words):
        self.assertTrue(row.attention)
        self.assertTrue(row.activity_ids)
        for word in words:
            self.assertIn(word, row.reason)


@tagged("post_install", "-at_install")
class TestNumberAsksWhatTheOrderOwes(BillSteps, BillPayCommon):
    def test_number_follows_the_order(self):
        order = self._orders()
        tx, _payable = self._press_pay_now(order)
        number = self._number_of(tx)
        for price in (200000, 90000):
            order.order_line.price_unit = price
            self.assertEqual(self._asked(tx), {number.name: price})
            self.assertEqual(tx.amount, price)
        goods = order.order_line.product_id
        line = {"product_id": goods.id, "price_unit": 5}
        order.order_line = [Command.create(line)]
        self.assertEqual(self._asked(tx), {number.name: 90005})
        row = self._paid(number, 90005)
        self._post_process()
        self.assertBooked(row, 90005)
        self.assertEqual((tx.state, order.state), ("done", "sale"))
        self.assertEqual(order.amount_paid, 90005)
        self.assertFalse(row.attention)

    def test_order_without_lines_asks_for_nothing_until_it_has_some(self):
        order = self._orders()
        tx, _payable = self._press_pay_now(order)
        number = self._number_of(tx)
        order.order_line.price_unit = 0
        self.assertEqual((self._asked(tx), number.state), ({}, "closed"))
        order.order_line.price_unit = 300000
        self.assertEqual(self._asked(tx), {number.name: 300000})

    def test_pay_now_again_shows_the_same_number(self):
        for between in ("nothing", "changed", "expired", "cancelled", "sent"):
            with self.subTest(between):
                order = self._orders()
                first, _payable = self._press_pay_now(order)
                number = self._number_of(first)
                if between == "changed":
                    order.order_line.price_unit = 180000
                elif between == "expired":
                    first._billpay_expire()
                elif between == "cancelled":
                    order._action_cancel()
                    order.action_draft()
                elif between == "sent":
                    order.action_quotation_sent()
                second, payable = self._press_pay_now(order)
                self.assertTrue(payable)
                self.assertEqual(self._number_of(second), number)
                self.assertEqual((first.state, second.state), ("cancel", "pending"))
                asked = self._asked(first, second)
                self.assertEqual(asked, {number.name: order.amount_total})
                row = self._paid(number, order.amount_total)
                self._post_process()
                self.assertEqual((second.state, order.state), ("done", "sale"))
                self.assertFalse(row.attention)

    def test_second_checkout_after_a_part(self):
        """The first one ends with what it got; the order is paid by both."""
        self.provider.clickpesa_checkout_mode = "flexible"
        order = self._orders()
        first, _payable = self._press_pay_now(order)
        part = self._paid(self._number_of(first), 60000)
        rest = self._number_of(first)
        second, payable = self._press_pay_now(order)
        self.assertTrue(payable)
        self.assertEqual(self._asked(first, second), {rest.name: 90000})
        self.assertEqual((first.state, first.amount), ("done", 60000))
        self.assertEqual((second.state, second.amount), ("pending", 90000))
        self._post_process()
        self.assertNotEqual(order.state, "sale")
        row = self._paid(rest, 90000)
        self._post_process()
        self.assertEqual((second.state, order.state), ("done", "sale"))
        self.assertEqual(order.amount_paid, 150000)
        self.assertFalse(row.attention)
        move = order._create_invoices()
        move.action_post()
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(self._open_credit(part | row), 0)

    def test_other_application_takes_over(self):
        other = self._make_application(self.company)
        order = self._orders()
        first, _payable = self._press_pay_now(order)
        second, payable = self._press_pay_now(order, provider_id=other.id)
        self.assertTrue(payable)
        self.assertEqual(first.state, "cancel")
        self.assertEqual(len(self._asked(first, second)), 1)
        self.assertEqual(self._number_of(second).provider_id, other)
        self.assertEqual(self._number_of(first).state, "closed")

    # === Cancelled === #

    def test_cancelled_in_each_way(self):
        def rejected(order):
            order.state = "cancel"

        def deleted(order):
            order.unlink()

        for how in (lambda o: o._action_cancel(), rejected, deleted):
            with self.subTest(how.__name__):
                order = self._orders()
                tx, _payable = self._press_pay_now(order)
                number = self._number_of(tx)
                how(order)
                self.assertEqual(self._asked(tx), {})
                self.assertEqual((tx.state, number.state), ("cancel", "closed"))
                self.assertIsNone(tx._billpay_page())
                state = self.env["billpay.pay.page"]._get_page_state(number.sudo())
                self.assertEqual(state, "cancelled" if order.exists() else "closed")

    def test_cancelled_after_a_part(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        order = self._orders()
        tx, _payable = self._press_pay_now(order)
        row = self._paid(self._number_of(tx), 60000)
        row.action_mark_seen()
        order._action_cancel()
        self.assertEqual(self._asked(tx), {})
        self._todo_of(row, order.name, "60,000", "cancelled")
        self.assertEqual(self._open_credit(row), 60000)

    def test_money_for_a_cancelled_order(self):
        order = self._orders()
        tx, _payable = self._press_pay_now(order)
        payment = self._pay(self._number_of(tx).name, 150000)
        order._action_cancel()
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 150000)
        self._todo_of(row, order.name, "cancelled")
        self.assertEqual((order.state, order.amount_paid), ("cancel", 0))

    def test_set_back_to_draft_asks_again(self):
        order = self._orders()
        tx, _payable = self._press_pay_now(order)
        number = self._number_of(tx)
        order._action_cancel()
        self.assertEqual(self._asked(tx), {})
        order.action_draft()
        self.assertEqual(self._asked(tx), {number.name: 150000})
        order.order_line.price_unit = 120000
        self.assertEqual(self._asked(tx), {number.name: 120000})
        self._paid(number, 120000)
        self._post_process()
        self.assertEqual((tx.state, order.state), ("done", "sale"))

    # === Another provider === #

    def test_paid_by_another_provider(self):
        for state in ("done", "authorized"):
            with self.subTest(state):
                order = self._orders()
                tx, _payable = self._press_pay_now(order)
                number = self._number_of(tx)
                self._by_wire(order, 150000, state)
                self.assertEqual(self._asked(tx), {})
                page = self.env["billpay.pay.page"]._get_page_state(number.sudo())
                self.assertEqual((number.state, page), ("closed", "settled"))
                again, payable = self._press_pay_now(order)
                self.assertFalse(payable)
                self.assertEqual(again.state, "cancel")
                self.assertIn(order.name, again.state_message)

    def test_a_part_by_another_provider(self):
        order = self._orders()
        tx, _payable = self._press_pay_now(order)
        number = self._number_of(tx)
        wire = self._by_wire(order, 50000)
        self.assertEqual(self._asked(tx), {number.name: 100000})
        wire._post_process()
        self.assertEqual(self._asked(tx), {number.name: 100000})
        row = self._paid(number, 100000)
        self._post_process()
        self.assertEqual((tx.state, tx.amount, order.state), ("done", 100000, "sale"))
        self.assertFalse(row.attention)
        move = order._create_invoices()
        move.action_post()
        self.assertEqual(move.amount_residual, 0)
        self.assertFalse(move.billpay_number_ids)

    def test_authorization_that_is_given_up(self):
        order = self._orders()
        tx, _payable = self._press_pay_now(order)
        number = self._number_of(tx)
        wire = self._by_wire(order, 150000, "authorized")
        self.assertEqual(self._asked(tx), {})
        wire._set_canceled()
        self.assertEqual(self._asked(tx), {number.name: 150000})

    def test_paid_twice_reaches_to_do(self):
        order = self._orders()
        tx, _payable = self._press_pay_now(order)
        payment = self._pay(self._number_of(tx).name, 150000)
        self._by_wire(order, 150000)._post_process()
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 150000)
        self._todo_of(row, order.name, "150,000", "paid in another way")
        self.assertEqual(self._open_credit(row), 150000)

    # === Invoices === #

    def test_pay_now_after_the_order_is_invoiced(self):
        order = self._orders()
        first, _payable = self._press_pay_now(order)
        order.action_confirm()
        move = order._create_invoices()
        move.action_post()
        number = move.billpay_number_id
        second, payable = self._press_pay_now(order)
        self.assertTrue(payable)
        self.assertEqual(self._asked(first, second, move), {number.name: 150000})
        self.assertEqual(second._billpay_page()["number"], number.name)
        row = self._paid(number, 150000)
        self.assertBooked(row, 150000)
        self.assertEqual((second.state, move.amount_residual), ("done", 0))
        self.assertFalse(row.attention)

    def test_pay_now_after_a_down_payment_invoice(self):
        """The order is asked for in all; both numbers follow each other."""
        order = self._orders()
        order.action_confirm()
        wizard = self.env["sale.advance.payment.inv"].sudo()
        wizard = wizard.create(
            {
                "sale_order_ids": order.ids,
                "advance_payment_method": "fixed",
                "fixed_amount": 50000,
            }
        )
        first = wizard._create_invoices(order)
        first.action_post()
        tx, _payable = self._press_pay_now(order)
        whole = self._number_of(tx)
        self.assertEqual(
            self._asked(tx, first),
            {first.billpay_number_id.name: 50000, whole.name: 150000},
        )
        row = self._paid(first.billpay_number_id, 50000)
        self.assertBooked(row, 50000)
        self.assertEqual(self._asked(tx, first), {whole.name: 100000})
        rest = self._paid(whole, 100000)
        self.assertEqual((tx.state, tx.amount), ("done", 100000))
        self.assertFalse(rest.attention)
        last = wizard.create(
            {"sale_order_ids": order.ids, "advance_payment_method": "delivered"}
        )._create_invoices(order)
        last.action_post()
        self.assertEqual((first | last).mapped("amount_residual"), [0, 0])
        self.assertEqual(self._open_credit(row | rest), 0)

    def test_cancelled_invoice_gives_the_number_back(self):
        order = self._orders()
        tx, _payable = self._press_pay_now(order)
        number = self._number_of(tx)
        order.action_confirm()
        move = order._create_invoices()
        move.action_post()
        move.button_draft()
        self.assertEqual(self._asked(tx, move), {})
        move.button_cancel()
        self.assertEqual(self._asked(tx, move), {number.name: 150000})
        self.assertFalse(number.move_id)
        again = order._create_invoices()
        again.action_post()
        self.assertEqual(self._asked(tx, move, again), {number.name: 150000})
        self.assertEqual(again.billpay_number_id, number)
        row = self._paid(number, 150000)
        self.assertEqual((tx.state, again.amount_residual), ("done", 0))
        self.assertFalse(row.attention)

    def test_credited_invoice_asks_for_nothing(self):
        order = self._orders()
        tx, _payable = self._press_pay_now(order)
        order.action_confirm()
        move = order._create_invoices()
        move.action_post()
        wizard = self.env["account.move.reversal"].with_context(
            active_model="account.move", active_ids=move.ids
        )
        wizard = wizard.create({"journal_id": move.journal_id.id})
        wizard.refund_moves()
        wizard.new_move_ids.action_post()
        (move | wizard.new_move_ids).line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        ).filtered(lambda line: not line.reconciled).reconcile()
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(self._asked(tx, move), {})

    def test_cash_for_a_part_of_the_invoice(self):
        order = self._orders()
        tx, _payable = self._press_pay_now(order)
        number = self._number_of(tx)
        order.action_confirm()
        move = order._create_invoices()
        move.action_post()
        self._in_cash(move, 40000)
        self.assertEqual(self._asked(tx, move), {number.name: 110000})
        row = self._paid(number, 110000)
        self.assertEqual((move.amount_residual, row.attention), (0, False))
        self.assertEqual((tx.state, tx.amount), ("done", 110000))

    def test_invoice_of_a_paid_order_takes_no_number(self):
        for way in ("clickpesa", "wire", "automatic"):
            with self.subTest(way):
                self.sandbox.reset()
                order = self._orders()
                config = self.env["ir.config_parameter"].sudo()
                config.set_param("sale.automatic_invoice", way == "automatic")
                if way == "clickpesa":
                    tx, _payable = self._press_pay_now(order)
                    self._paid(self._number_of(tx), 150000)
                    self._post_process()
                else:
                    self._by_wire(order, 150000)._post_process()
                self.assertEqual(order.state, "sale")
                move = order.invoice_ids
                if way != "automatic":
                    move = order._create_invoices()
                    move.action_post()
                self.assertEqual((move.state, move.amount_residual), ("posted", 0))
                self._sync()
                self.assertFalse(move.sudo().billpay_number_ids)
                known = 1 if way == "clickpesa" else 0
                self.assertEqual(len(self.sandbox.numbers()), known)

    def test_invoice_of_an_order_that_is_paid_in_part(self):
        order = self._orders()
        self._by_wire(order, 60000)._post_process()
        order.action_confirm()
        move = order._create_invoices()
        move.action_post()
        self.assertEqual(move.amount_residual, 90000)
        self.assertEqual(self._asked(move), {move.billpay_number_id.sudo().name: 90000})


@tagged("post_install", "-at_install")
class TestChangedOrder(BillSteps, BillPayCommon):
    """Changed after "Pay now": nothing is confirmed by less than was agreed."""

    def _settings(self):
        for payment, signature, percent in product(
            (True, False), (True, False), (1.0, 0.3)
        ):
            yield {
                "require_payment": payment,
                "require_signature": signature,
                "prepayment_percent": percent,
            }

    def test_money_for_the_old_amount(self):
        """ClickPesa took it before it heard of the change."""
        seller = self._user("changed_seller", "sales_team.group_sale_salesman")
        for settings in self._settings():
            with self.subTest(**settings):
                order = self._orders(user_id=seller.id, **settings)
                tx, _payable = self._press_pay_now(order)
                payment = self._pay(self._number_of(tx).name, 150000)
                order.order_line.price_unit = 200000
                self._event(payment)
                self._process()
                self._post_process()
                row = self._ledger(payment)
                self.assertBooked(row, 150000)
                percent = settings["prepayment_percent"]
                down = settings["require_payment"] and percent < 1
                self.assertEqual(order.state == "sale", down)
                rest = self._number_of(tx)
                self.assertEqual(self._asked(tx), {rest.name: 50000})
                self.assertEqual(tx._billpay_page()["amount"], "TZS\u00a050,000")
                self._todo_of(row, order.name, "50,000", rest.display_number)
                if not down:
                    self._todo_of(row, "200,000", "150,000", "not confirmed")
                letters = [b for b in order.message_ids.mapped("body") if "50,000" in b]
                self.assertTrue([b for b in letters if rest.name in b], letters)
                last = self._paid(rest, 50000)
                self._post_process()
                self.assertEqual((tx.state, order.state), ("done", "sale"))
                self.assertFalse(last.attention)
                self.assertEqual(order.amount_paid, 200000)

    def test_changed_between_money_and_confirmation(self):
        seller = self._user("changed_seller", "sales_team.group_sale_salesman")
        for settings in self._settings():
            with self.subTest(**settings):
                order = self._orders(user_id=seller.id, **settings)
                tx, _payable = self._press_pay_now(order)
                row = self._paid(self._number_of(tx), 150000)
                self.assertEqual(tx.state, "done")
                order.order_line.price_unit = 200000
                self._post_process()
                if settings["require_payment"] and settings["prepayment_percent"] < 1:
                    self.assertEqual(order.state, "sale")
                    continue
                self.assertNotEqual(order.state, "sale")
                rest = order.transaction_ids.sorted("id")[-1:]
                number = self._number_of(rest)
                self.assertEqual((rest.state, rest.amount), ("pending", 50000))
                self.assertEqual(self._asked(tx, rest), {number.name: 50000})
                for figure in ("200,000", "150,000", "50,000"):
                    self.assertIn(figure, order.billpay_reason)
                self.assertEqual(order.activity_ids.user_id, seller)
                self.assertIn("50,000", str(order.activity_ids.note))
                self.assertEqual(order.get_portal_last_transaction(), rest)
                self.assertEqual(rest._billpay_page()["number"], number.name)
                bodies = order.message_ids.mapped("body")
                letters = [body for body in bodies if number.name in body]
                self.assertTrue([b for b in letters if "50,000" in b], letters)
                self._paid(number, 50000)
                self._post_process()
                self.assertEqual((rest.state, order.state), ("done", "sale"))
                move = order._create_invoices()
                move.action_post()
                self.assertEqual(move.amount_residual, 0)
                self.assertTrue(row.account_payment_ids.move_id.line_ids[0])

    def test_nothing_changed(self):
        for settings in self._settings():
            with self.subTest(**settings):
                order = self._orders(**settings)
                tx, _payable = self._press_pay_now(order)
                row = self._paid(self._number_of(tx), 150000)
                self._post_process()
                self.assertEqual((tx.state, order.state), ("done", "sale"))
                self.assertFalse(row.attention)

    def test_cheaper_order_is_overpaid_and_told(self):
        for settings in self._settings():
            with self.subTest(**settings):
                order = self._orders(**settings)
                tx, _payable = self._press_pay_now(order)
                payment = self._pay(self._number_of(tx).name, 150000)
                order.order_line.price_unit = 120000
                self._event(payment)
                self._process()
                self._post_process()
                row = self._ledger(payment)
                self._todo_of(row, order.name, "30,000")
                self.assertEqual((tx.state, order.state), ("done", "sale"))
                move = order._create_invoices()
                move.action_post()
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(self._open_credit(row), 30000)

    def test_down_payment_follows_the_order(self):
        order = self._orders(prepayment_percent=0.3)
        tx, _payable = self._press_pay_now(order, 45000)
        number = self._number_of(tx)
        self.assertEqual(self._asked(tx), {number.name: 45000})
        order.order_line.price_unit = 200000
        self.assertEqual(self._asked(tx), {number.name: 60000})
        self._paid(number, 60000)
        self._post_process()
        self.assertEqual((tx.state, tx.amount, order.state), ("done", 60000, "sale"))

    def test_old_down_payment_is_too_little(self):
        order = self._orders(prepayment_percent=0.3)
        tx, _payable = self._press_pay_now(order, 45000)
        payment = self._pay(self._number_of(tx).name, 45000)
        order.order_line.price_unit = 200000
        self._event(payment)
        self._process()
        self._post_process()
        self.assertNotEqual(order.state, "sale")
        rest = self._number_of(tx)
        self.assertEqual(self._asked(tx), {rest.name: 15000})
        self._paid(rest, 15000)
        self._post_process()
        self.assertEqual(order.state, "sale")

    def test_part_of_a_payment_link(self):
        """A part that the seller's link asks for stays; it confirms as agreed."""
        for changed in (False, True):
            with self.subTest(changed=changed):
                order = self._orders(require_payment=False)
                tx, _payable = self._press_pay_now(order, 45000)
                number = self._number_of(tx)
                if changed:
                    order.order_line.price_unit = 200000
                self.assertEqual(self._asked(tx), {number.name: 45000})
                self._paid(number, 45000)
                self._post_process()
                self.assertEqual(tx.state, "done")
                self.assertEqual(order.state == "sale", not changed)
                asked = self._asked(*order.transaction_ids).values()
                self.assertEqual(list(asked), [155000] if changed else [])

    def test_part_reaches_the_down_payment(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        order = self._orders(prepayment_percent=0.3)
        tx, _payable = self._press_pay_now(order)
        self._paid(self._number_of(tx), 30000)
        self._post_process()
        self.assertNotEqual(order.state, "sale")
        self._sync()
        self._paid(self._number_of(tx), 20000)
        self._post_process()
        self.assertEqual((tx.state, order.state), ("pending", "sale"))
        self.assertEqual(list(self._asked(tx).values()), [100000])

    def test_order_in_dollars(self):
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
        order = self._orders(100, pricelist_id=dollars.id)
        order.order_line.price_unit = 100
        tx, _payable = self._press_pay_now(order, currency_id=usd.id)
        number = self._number_of(tx)
        self.assertEqual(self._asked(tx), {number.name: 250000})
        order.order_line.price_unit = 120
        self.assertEqual(self._asked(tx), {number.name: 300000})
        self._paid(number, 300000)
        self._post_process()
        self.assertEqual((tx.state, tx.amount, order.state), ("done", 120, "sale"))


@tagged("post_install", "-at_install")
class TestGroupsOfInvoices(BillSteps, BillPayCommon):
    """*Pay overdue*: one number for several invoices, each with its own beside it."""

    def _group(self, *amounts):
        moves = self.env["account.move"].union(
            *(self._invoice(amount, partner=self.partner) for amount in amounts)
        )
        tx = self._transaction(sum(amounts), invoice_ids=[Command.set(moves.ids)])
        self._checkout(tx)
        return moves.sorted("id"), tx, self._number_of(tx)

    def _credited(self, move):
        refund = self._invoice(move.amount_residual, move_type="out_refund")
        (move | refund).line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        ).reconcile()

    def _on_its_number(self, move):
        self._sync()
        self._paid(move.billpay_number_id.sudo(), move.amount_residual)

    def _wired(self, move):
        self._by_wire(None, move.amount_residual, invoices=move)

    def test_one_is_paid_in_each_way(self):
        for pay in (self._in_cash, self._credited, self._on_its_number, self._wired):
            with self.subTest(pay.__name__):
                moves, tx, number = self._group(30000, 40000, 50000)
                self.assertEqual(self._asked(tx), {number.name: 120000})
                pay(moves[0])
                self.assertEqual(self._asked(tx), {number.name: 90000})
                self.assertEqual(tx.amount, 90000)
                if pay == self._wired:
                    moves[0].transaction_ids.filtered(
                        lambda t: t.provider_id == self.wire
                    )._post_process()
                row = self._paid(number, 90000)
                self.assertBooked(row, 90000)
                self.assertEqual(set(moves.mapped("amount_residual")), {0})
                self.assertEqual((tx.state, row.attention), ("done", False))
                self.assertEqual(self._open_credit(row), 0)

    def test_surplus_of_a_group_reaches_to_do(self):
        moves, tx, number = self._group(30000, 40000, 50000)
        payment = self._pay(number.name, 120000)
        self._in_cash(moves[0])
        self._event(payment)
        self._process()
        row = self._ledger(payment)
        self.assertBooked(row, 120000)
        self.assertEqual(set(moves.mapped("amount_residual")), {0})
        self._todo_of(row, "30,000")
        self.assertEqual(self._open_credit(row), 30000)
        self.assertEqual(tx.state, "done")

    def test_pay_overdue_again(self):
        moves, first, number = self._group(30000, 40000)
        more = moves | self._invoice(50000)
        second = self._transaction(120000, invoice_ids=[Command.set(more.ids)])
        self._checkout(second)
        self.assertEqual(self._number_of(second), number)
        self.assertEqual(self._asked(first, second), {number.name: 120000})
        self.assertEqual((first.state, second.state), ("cancel", "pending"))

    def test_payment_that_is_taken_back(self):
        moves, tx, number = self._group(30000, 40000)
        payment = self._in_cash(moves)
        self.assertEqual(self._asked(tx), {})
        payment.move_id.line_ids.remove_move_reconcile()
        self.assertEqual(self._asked(tx), {number.name: 70000})

    def test_invoice_that_carries_has_one_number(self):
        purpose = self.env["billpay.purpose"].create(
            {
                "name": "Ada",
                "company_id": self.company.id,
                "invoice_number": "customer",
            }
        )
        for way in ("number", "cash"):
            with self.subTest(way):
                partner = self.partner.copy()
                move = self._invoice(
                    30000, partner=partner, billpay_purpose_id=purpose.id
                )
                self._sync()
                carried = move.billpay_carried_number_id.sudo()
                self.assertTrue(carried)
                tx = self._transaction(
                    30000, partner_id=partner.id, invoice_ids=[Command.set(move.ids)]
                )
                self.assertTrue(self._checkout(tx))
                self.assertFalse(tx.billpay_number_ids)
                page = tx._billpay_page()
                self.assertEqual(
                    (page["number"], page["amount"]), (carried.name, "TZS\u00a030,000")
                )
                if way == "number":
                    row = self._paid(carried, 30000)
                    self.assertBooked(row, 30000)
                    self.assertEqual(tx.payment_id, row.account_payment_ids)
                else:
                    self._in_cash(move)
                self.assertEqual(move.amount_residual, 0)
                self.assertEqual(tx.state, "done" if way == "number" else "cancel")
                before = self.env["account.payment"].search_count([])
                tx._post_process()
                self.assertEqual(self.env["account.payment"].search_count([]), before)


@tagged("post_install", "-at_install")
class TestCheckoutsOfTheVersionBefore(BillSteps, BillPayCommon):
    """Then each checkout had a number of its own, for what the order came to then."""

    def _checkouts(self, order, count, **values):
        """Checkouts of one order as the version before left them."""
        made = self.env["payment.transaction"].sudo()
        for _index in range(count):
            other = self._orders()
            tx, _payable = self._press_pay_now(other, **values)
            self._sync()
            number = self._number_of(tx)
            # Nobody follows: the version before did not.
            self.env.cr.execute(
                "UPDATE sale_order_transaction_rel SET sale_order_id = %s"
                " WHERE transaction_id = %s",
                [order.id, tx.id],
            )
            self.env.cr.execute(
                "UPDATE billpay_control_number SET bill_key = %s WHERE id = %s",
                [f"checkout:{tx.id}", number.id],
            )
            made |= tx
        self.env.invalidate_all()
        return made

    def _upgrade(self):
        path = "billpay_odoo_sale/migrations/19.0.1.1.0/post-one_number.py"
        load_script(file_path(path), "one_number").migrate(self.env.cr, "19.0.1.0.0")

    def test_newest_of_several_asks_what_the_order_owes(self):
        order = self._orders(120000)
        old, newer, newest = self._checkouts(order, 3)
        self._upgrade()
        number = self._number_of(newest)
        self.assertEqual(
            [tx.state for tx in (old, newer, newest)], ["cancel", "cancel", "pending"]
        )
        self.assertEqual(number.bill_key, f"order:{order.id}")
        self.assertEqual(self._asked(old, newer, newest), {number.name: 120000})
        row = self._paid(number, 120000)
        self._post_process()
        self.assertBooked(row, 120000)
        self.assertEqual((newest.state, order.state), ("done", "sale"))

    def test_one_of_which_a_part_was_paid(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        order = self._orders(150000)
        old, newest = self._checkouts(order, 2)
        part = self._paid(self._number_of(old), 50000)
        self.assertBooked(part, 50000)
        self._upgrade()
        self.assertNotIn(old.state, ("draft", "pending"))
        self.assertEqual(newest.state, "pending")
        [(digits, left)] = self._asked(old, newest).items()
        self.assertEqual(left, 100000)
        numbers = (old | newest).billpay_number_ids
        rest = self._paid(numbers.filtered(lambda n: n.name == digits), 100000)
        self._post_process()
        self.assertBooked(rest, 100000)
        self.assertEqual((order.state, order.amount_paid), ("sale", 150000))

    def test_cancelled_order_asks_for_nothing(self):
        order = self._orders()
        [tx] = self._checkouts(order, 1)
        self.env.cr.execute(
            "UPDATE sale_order SET state = 'cancel' WHERE id = %s", [order.id]
        )
        self.env.invalidate_all()
        self._upgrade()
        self.assertEqual(self._asked(tx), {})
