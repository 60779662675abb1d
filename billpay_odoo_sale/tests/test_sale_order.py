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
        self.assertEqual(tx.state, "done")
        self.assertNotEqual(order.state, "sale")
        self.assertEqual(order.billpay_paid, 150000)
        self.assertTrue(row.attention)
        self.assertIn("200,000", order.billpay_reason)
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
