# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Orders paid by control number: confirmed by the money, with no browser open."""

from odoo import Command
from odoo.tests import tagged

from odoo.addons.billpay_odoo.clickpesa import Payment
from odoo.addons.billpay_odoo.tests.common import BillPayCommon, BillPayHttpCommon
from odoo.addons.billpay_odoo.tests.test_billpay_payable import UnpayableSteps
from odoo.addons.billpay_odoo.tests.test_payment_transaction import CheckoutSteps


class OrderSteps(CheckoutSteps):
    def _order(self, price=150000, **values):
        product = (
            self.env["product.product"]
            .sudo()
            .create(
                {"name": "Kitenge", "type": "service", "taxes_id": [Command.clear()]}
            )
        )
        return (
            self.env["sale.order"]
            .sudo()
            .create(
                {
                    "partner_id": self.partner.id,
                    "company_id": self.company.id,
                    "currency_id": self.tzs.id,
                    "require_signature": False,
                    "require_payment": True,
                    "prepayment_percent": 1.0,
                    "order_line": [
                        Command.create({"product_id": product.id, "price_unit": price})
                    ],
                    **values,
                }
            )
        )

    def _order_checkout(self, order, **values):
        tx = self._transaction(
            order.amount_total,
            reference="%s-1" % order.name,
            sale_order_ids=[Command.set(order.ids)],
            **values,
        )
        self._checkout(tx)
        return tx

    def _post_process(self):
        with self._workers():
            self.env.ref(
                "payment.cron_post_process_payment_tx"
            ).sudo().method_direct_trigger()

    def _take_back(self, row, status="REVERSED"):
        self.sandbox.set_status(row.reference, status)
        told = Payment.parse(
            {
                "id": row.reference,
                "status": status,
                "orderReference": row.number,
                "collectedAmount": row.amount,
                "collectedCurrency": "TZS",
                "updatedAt": "2099-01-01T00:00:00Z",
            }
        )
        self.env["billpay.ledger"]._upsert(
            self.provider.sudo(), [told], source="poll", trusted=True
        )
        self._process()


@tagged("post_install", "-at_install")
class TestSaleOrder(OrderSteps, BillPayCommon):
    def test_the_order_confirms_itself_when_the_money_comes(self):
        order = self._order()
        tx = self._order_checkout(order)
        self.assertEqual(order.state, "draft")
        row = self._paid(self._number_of(tx), 150000)
        self.assertBooked(row, 150000)
        self.assertEqual(tx.state, "done")
        self._post_process()
        self.assertEqual(order.state, "sale")
        self.assertEqual(order.billpay_paid, 150000)
        self.assertFalse(order.billpay_reason)

    def test_the_invoice_that_comes_later_is_paid_by_it(self):
        order = self._order()
        order.order_line.product_id.invoice_policy = "order"
        tx = self._order_checkout(order)
        row = self._paid(self._number_of(tx), 150000)
        self._post_process()
        move = order._create_invoices()
        move.action_post()
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(len(row.account_payment_ids), 1)
        receivable = (move | row.account_payment_ids.move_id).line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        self.assertEqual(receivable.mapped("amount_residual"), [0, 0])
        self.assertEqual(sum(receivable.mapped("balance")), 0)

    def test_automatic_invoices_are_paid_too(self):
        self.env["ir.config_parameter"].sudo().set_param("sale.automatic_invoice", True)
        order = self._order()
        tx = self._order_checkout(order)
        self._paid(self._number_of(tx), 150000)
        self._post_process()
        self.assertEqual(order.state, "sale")
        [move] = order.invoice_ids
        self.assertEqual((move.state, move.amount_residual), ("posted", 0))
        payments = self.env["account.payment"].search(
            [("payment_transaction_id", "=", tx.id)]
        )
        self.assertEqual(len(payments), 1)

    def test_the_orders_email_carries_the_number(self):
        order = self._order()
        tx = self._order_checkout(order)
        tx._post_process()
        self.assertEqual(order.state, "sent")
        number = self._number_of(tx)
        bodies = order.message_ids.mapped("body")
        [body] = [
            body
            for body in bodies
            if self.env["billpay.pay.page"]._get_pay_url(number) in body
        ]
        for group in number.display_number.split():
            self.assertIn(group, body)
        self.assertEqual(order.billpay_number, number.display_number)

    def test_a_cart_that_changed_is_not_confirmed_by_less(self):
        order = self._order()
        tx = self._order_checkout(order)
        order.order_line.price_unit = 200000
        row = self._paid(self._number_of(tx), 150000)
        self._post_process()
        self.assertBooked(row, 150000)
        # ClickPesa took it before it heard of the change: the rest is asked for.
        self.assertEqual((tx.state, tx.amount), ("pending", 200000))
        self.assertNotEqual(order.state, "sale")
        self.assertEqual(order.billpay_paid, 150000)
        self.assertTrue(row.attention)
        for figure in ("200,000", "150,000", "50,000"):
            self.assertIn(figure, order.billpay_reason)
        self.assertTrue(row.activity_ids)

    def test_a_part_is_told_on_the_order(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        order = self._order()
        tx = self._order_checkout(order)
        self._paid(self._number_of(tx), 60000)
        self._post_process()
        self.assertNotEqual(order.state, "sale")
        self.assertIn("90,000", order.billpay_reason)
        self.assertTrue([b for b in order.message_ids.mapped("body") if "90,000" in b])
        self.assertEqual(tx.state, "pending")

    # === Money that is taken back === #

    def test_an_order_whose_money_is_taken_back_hears_of_it(self):
        seller = self._user("order_seller", "sales_team.group_sale_salesman")
        for status, reversal, invoiced in (
            ("REVERSED", "auto", False),
            ("REFUNDED", "auto", True),
            ("REVERSED", "alert", False),
            ("FAILED", "auto", False),
        ):
            with self.subTest(status=status, reversal=reversal, invoiced=invoiced):
                self.provider.sudo().clickpesa_reversal = reversal
                order = self._order(user_id=seller.id)
                order.order_line.product_id.invoice_policy = "order"
                tx = self._order_checkout(order)
                row = self._paid(self._number_of(tx), 150000)
                self._post_process()
                self.assertEqual(order.state, "sale")
                if invoiced:
                    order._create_invoices().action_post()
                before = order.activity_ids
                self._take_back(row, status)
                self._process()
                activity = order.activity_ids - before
                self.assertEqual(activity.user_id, seller)
                self.assertEqual(len(activity), 1)
                self.assertIn(row.display_name, activity.summary)
                self.assertIn(status, str(activity.note))
                self.assertEqual(len(row.activity_ids), 1)

    def test_an_order_hears_when_the_money_of_its_invoice_is_taken_back(self):
        seller = self._user("order_seller", "sales_team.group_sale_salesman")
        order = self._order(user_id=seller.id)
        order.order_line.product_id.invoice_policy = "order"
        order.action_confirm()
        move = order._create_invoices()
        move.action_post()
        self._sync()
        row = self._paid(move.billpay_number_id, 150000)
        self.assertEqual(move.amount_residual, 0)
        self._take_back(row)
        self.assertEqual(move.amount_residual, 150000)
        activity = order.activity_ids.filtered(
            lambda item: row.display_name in (item.summary or "")
        )
        self.assertEqual(activity.user_id, seller)

    def test_an_order_hears_nothing_of_money_that_a_person_gave_elsewhere(self):
        order = self._order()
        tx = self._order_checkout(order)
        row = self._paid(self._number_of(tx), 150000)
        self._post_process()
        before = order.activity_ids
        decision, accountant = self.env["billpay.decision"], self.env.user
        decision._undo_match(row.with_user(accountant), "Wrong")
        other = self._invoice(150000)
        none = self.env["res.partner"]
        decision._match_by_hand(row.with_user(accountant), [(other, 150000)], none)
        self._take_back(row)
        self.assertEqual(row.state, "reversed")
        self.assertEqual(order.activity_ids, before)


@tagged("post_install", "-at_install")
class TestOneNumberForOneOrder(OrderSteps, BillPayCommon):
    """Checkouts and invoices of an order ask for it once, with the digits that the
    customer has."""

    def _there(self, number):
        self._sync()
        there = self.sandbox.number(number.name)
        return there["amount"], there["state"]

    def _asked(self, *records):
        """``{digits: shillings}`` with which ClickPesa asks for these, by now."""
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

    def _confirmed_order(self, price=150000):
        """An order that waits for money, confirmed by its salesperson all the same."""
        order = self._order(price)
        order.order_line.product_id.invoice_policy = "order"
        tx = self._order_checkout(order)
        order.action_confirm()
        return order, tx

    def _advance(self, order, **values):
        wizard = self.env["sale.advance.payment.inv"].sudo()
        wizard = wizard.create({"sale_order_ids": order.ids, **values})
        return wizard._create_invoices(order)

    def _receivable(self, moves):
        return moves.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )

    def test_invoice_takes_the_number_over(self):
        for mode in ("exact", "flexible"):
            for price in (150000, 80000):
                with self.subTest(mode=mode, price=price):
                    order, tx = self._confirmed_order(price)
                    number = self._number_of(tx)
                    move = order._create_invoices()
                    move.billpay_mode = mode
                    move.action_post()
                    self.assertEqual(move.billpay_number_id, number)
                    self.assertEqual(self._asked(tx, move), {number.name: price})
                    self.assertEqual(order.billpay_number, number.display_number)
                    row = self._paid(number, price)
                    self.assertBooked(row, price)
                    self.assertEqual((tx.state, move.amount_residual), ("done", 0))
                    self.assertFalse(row.attention)
                    self.assertTrue(all(self._receivable(move).mapped("reconciled")))
                    self._post_process()
                    self.assertEqual(self._asked(tx, move), {})
                    self.assertEqual(len(row.account_payment_ids), 1)

    def test_number_follows_the_invoice(self):
        order, tx = self._confirmed_order()
        number = self._number_of(tx)
        move = order._create_invoices()
        move.action_post()
        register = self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        )
        register.create(
            {"amount": 60000, "payment_difference_handling": "open"}
        )._create_payments()
        self.assertEqual(self._asked(tx, move), {number.name: 90000})
        row = self._paid(number, 50000)
        self.assertEqual(move.amount_residual, 40000)
        # The invoice asks for the rest, the checkout does not ask beside it.
        [rest] = move._billpay_living()
        self.assertEqual(self._asked(tx, move), {rest.name: 40000})
        self.assertEqual(tx._billpay_page()["number"], rest.name)
        self.assertFalse(row.attention)
        self._paid(rest, 40000)
        self.assertEqual((move.amount_residual, self._asked(tx, move)), (0, {}))
        self.assertTrue(all(self._receivable(move).mapped("reconciled")))

    def test_checkout_that_expires_leaves_the_invoice_its_number(self):
        order, tx = self._confirmed_order()
        number = self._number_of(tx)
        move = order._create_invoices()
        move.action_post()
        tx._billpay_expire()
        self.assertEqual(tx.state, "cancel")
        self.assertEqual(self._asked(tx, move), {number.name: 150000})
        row = self._paid(number, 150000)
        self.assertEqual(move.amount_residual, 0)
        self.assertFalse(row.attention)

    def test_reset_to_draft_and_confirmed_again(self):
        for visited in (False, True):
            with self.subTest(visited=visited):
                order, tx = self._confirmed_order()
                move = order._create_invoices()
                move.action_post()
                move.button_draft()
                self.assertEqual(self._asked(tx, move), {})
                if visited:
                    self._checkout(tx)
                    self.assertEqual(len(self._asked(tx, move)), 1)
                move.invoice_line_ids.price_unit = 120000
                move.action_post()
                [number] = move._billpay_living()
                self.assertEqual(self._asked(tx, move), {number.name: 120000})

    def test_down_payment_and_rest(self):
        order, tx = self._confirmed_order()
        number = self._number_of(tx)
        first = self._advance(order, advance_payment_method="percentage", amount=30)
        first.action_post()
        self.assertEqual(self._asked(tx, first), {number.name: 45000})
        row = self._paid(number, 45000)
        self.assertEqual((first.amount_residual, row.attention), (0, False))
        self.assertEqual(self._asked(tx, first), {})
        rest = self._advance(order, advance_payment_method="delivered")
        rest.action_post()
        self.assertEqual(rest.amount_residual, 105000)
        [own] = rest._billpay_living()
        self.assertEqual(self._asked(tx, first, rest), {own.name: 105000})
        self._paid(own, 105000)
        self.assertEqual((first | rest).mapped("amount_residual"), [0, 0])

    def test_order_split_into_two_invoices(self):
        order, tx = self._confirmed_order()
        number = self._number_of(tx)
        moves = self._advance(order, advance_payment_method="fixed", fixed_amount=50000)
        moves |= self._advance(order, advance_payment_method="delivered")
        moves.action_post()
        asked = self._asked(tx, *moves)
        self.assertIn(number.name, asked)
        self.assertEqual(sorted(asked.values()), [50000, 100000])
        for move in moves:
            self.assertEqual(len(move._billpay_living()), 1)

    def test_orders_merged_into_one_invoice(self):
        orders = [self._confirmed_order(price) for price in (50000, 70000)]
        checkouts = orders[0][1] | orders[1][1]
        numbers = checkouts.billpay_number_ids.sorted("id")
        move = (orders[0][0] | orders[1][0])._create_invoices()
        self.assertEqual(len(move), 1)
        move.action_post()
        [number] = move._billpay_living()
        self.assertIn(number, numbers)
        self.assertEqual(self._asked(*checkouts, move), {number.name: 120000})
        # A customer comes back to the other checkout: it shows the same number.
        other = checkouts.filtered(lambda tx: number not in tx.billpay_number_ids)
        self.assertTrue(self._checkout(other))
        self.assertEqual(other._billpay_page()["number"], number.name)
        self.assertEqual(self._asked(*checkouts, move), {number.name: 120000})

    def test_money_on_a_number_that_a_merged_invoice_gave_up(self):
        orders = [self._confirmed_order(price) for price in (50000, 70000)]
        checkouts = orders[0][1] | orders[1][1]
        given_up, kept = checkouts.billpay_number_ids.sorted("id")
        payment = self._pay(given_up.name, 50000)  # nobody has told us yet
        move = (orders[0][0] | orders[1][0])._create_invoices()
        move.action_post()
        self.assertEqual((given_up.state, move.billpay_number_id), ("closed", kept))
        self._event(payment)
        self._process()
        self.assertBooked(self._ledger(payment), 50000)
        self.assertEqual(move.amount_residual, 70000)
        self.assertEqual(self._asked(*checkouts, move), {kept.name: 70000})

    def test_invoice_paid_otherwise_ends_the_number(self):
        order, tx = self._confirmed_order()
        move = order._create_invoices()
        move.action_post()
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        ).create({})._create_payments()
        self.assertEqual(move.amount_residual, 0)
        self.assertEqual(self._asked(tx, move), {})

    def test_invoice_that_would_carry_keeps_the_orders_number(self):
        purpose = self.env["billpay.purpose"].create(
            {
                "name": "Shop",
                "company_id": self.company.id,
                "invoice_number": "customer",
            }
        )
        order, tx = self._confirmed_order()
        move = order._create_invoices()
        move.billpay_purpose_id = purpose
        move.action_post()
        self.assertEqual(move.billpay_number_id, self._number_of(tx))
        self.assertFalse(move.billpay_carried_number_id)
        self.assertEqual(len(self._asked(tx, move)), 1)

    def test_dollars_stay_as_the_checkout_asked(self):
        usd = self.env.ref("base.USD")
        usd.active = True
        self.provider.clickpesa_convert = True
        rates = self.env["res.currency.rate"]
        rate = rates.create(
            {
                "currency_id": usd.id,
                "company_id": self.company.id,
                "name": "2026-01-01",
                "inverse_company_rate": 2500,
            }
        )
        dollars = self.env["product.pricelist"].sudo()
        dollars = dollars.create({"name": "Dollars", "currency_id": usd.id})
        for paid in (250000, 100000):
            with self.subTest(paid=paid):
                rate.inverse_company_rate = 2500
                order = self._order(100, pricelist_id=dollars.id)
                order.order_line.price_unit = 100
                self.assertEqual(order.currency_id, usd)
                order.order_line.product_id.invoice_policy = "order"
                tx = self._order_checkout(order, currency_id=usd.id)
                order.action_confirm()
                rate.inverse_company_rate = 2600
                move = order._create_invoices()
                move.action_post()
                number = self._number_of(tx)
                self.assertEqual(self._asked(tx, move), {number.name: 250000})
                self._paid(number, paid)
                if rest := move._billpay_living():
                    self.assertEqual(self._asked(tx, move), {rest.name: 250000 - paid})
                    self._paid(rest, 250000 - paid)
                self.assertEqual((tx.state, move.amount_residual), ("done", 0))

    # === Checkouts === #

    def test_a_second_checkout_keeps_the_digits(self):
        for price in (150000, 200000, 90000):
            with self.subTest(price=price):
                order = self._order()
                first = self._order_checkout(order)
                number = self._number_of(first)
                order.order_line.price_unit = price
                second = self._transaction(
                    order.amount_total, sale_order_ids=[Command.set(order.ids)]
                )
                self._checkout(second)
                self.assertEqual((first.state, second.state), ("cancel", "pending"))
                self.assertEqual(self._number_of(second), number)
                self.assertEqual(self._asked(first, second), {number.name: price})
                row = self._paid(number, price)
                self._post_process()
                self.assertEqual((second.state, order.state), ("done", "sale"))
                self.assertFalse(row.attention)

    def test_a_cancelled_order_asks_for_nothing(self):
        for confirmed in (False, True):
            with self.subTest(confirmed=confirmed):
                order = self._order()
                tx = self._order_checkout(order)
                if confirmed:
                    order.action_confirm()
                order._action_cancel()
                self.assertEqual(tx.state, "cancel")
                self.assertEqual(self._asked(tx), {})


@tagged("post_install", "-at_install", "slow")
class TestQuotationTour(OrderSteps, BillPayHttpCommon):
    def test_a_quotation_is_paid_in_the_portal(self):
        self.provider.write({"state": "enabled", "is_published": True})
        self.env.ref("billpay_odoo.payment_method_billpay").active = True
        order = self._order()
        order.action_quotation_sent()
        self.start_tour(order.get_portal_url(), "billpay_quotation", login=None)
        [tx] = order.transaction_ids
        number = self._number_of(tx)
        self.assertEqual((tx.state, number.state), ("pending", "open"))
        row = self._paid(number, 150000)
        self.assertBooked(row, 150000)
        self._post_process()
        self.assertEqual(order.state, "sale")
        page = self.url_open(order.get_portal_url())
        self.assertEqual(page.status_code, 200)


@tagged("post_install", "-at_install")
class TestOrderThatCannotBePaid(UnpayableSteps, OrderSteps, BillPayCommon):
    def test_no_place_of_an_order_shows_what_nobody_can_pay(self):
        for state in ("off", "company", "address", "amount", "reactivation", "mode"):
            with self.subTest(state), self.env.cr.savepoint() as savepoint:
                order = self._order()
                tx = self._order_checkout(order)
                number = self._number_of(tx)
                tx._set_pending()
                self.assertEqual(order.billpay_number, number.display_number)
                self.assertIn(
                    self.env["billpay.pay.page"]._get_pay_url(number),
                    order._billpay_mail_block(),
                )
                self._make_unpayable(number, state)
                self.assertFalse(order.billpay_number)
                self.assertEqual(order.billpay_number_problem, number._problem_text())
                self.assertEqual(order._billpay_mail_block(), "")
                page = tx._billpay_page("en")
                self.assertEqual((page["channels"], page["qr"]), ([], ""))
                savepoint.rollback()
                self.env.invalidate_all()
