# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Till orders in the books: each customer's own, and whole shillings."""

from uuid import uuid4

from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon

from .common import TillSteps


class OwnerSteps(TillSteps):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.asha = cls.env["res.partner"].create({"name": "Asha"})
        cls.nobody = cls.till._billpay_customer()

    def _customer_with_account(self):
        account = self.env["account.account"].create(
            {
                "name": "Receivable of Wholesalers",
                "code": "WHOLE1",
                "account_type": "asset_receivable",
                "reconcile": True,
            }
        )
        return self.env["res.partner"].create(
            {"name": "Mzee Juma", "property_account_receivable_id": account.id}
        )

    def _contact(self):
        firm = self.env["res.partner"].create({"name": "Kiwanda", "is_company": True})
        return self.env["res.partner"].create(
            {"name": "Rehema wa Kiwanda", "parent_id": firm.id}
        )

    def _entry_of(self, row):
        return row.account_payment_ids.move_id


@tagged("post_install", "-at_install")
class TestOwners(OwnerSteps, BillPayCommon):
    """The till knows no customer when the money comes; the invoice does."""

    def _paid_and_invoiced(self, customer, paid=45000, leased=False, order=45000):
        session, uuid = self._open(), str(uuid4())
        if leased:
            digits = self._lease()[0]["number"]
        else:
            digits = self._ask(uuid, order)["number"]
        row = self._paid_at_till(digits, paid)
        self.assertEqual(row.account_payment_ids.partner_id, self.nobody)
        order = self._send(
            self._sale(
                session,
                [(self.billpay, order, digits)],
                amount=order,
                uuid=uuid,
                partner_id=customer.id,
                to_invoice=True,
            )
        )
        return session, row, order

    def _assert_carried(self, row, customer, amount):
        owner = customer.commercial_partner_id
        [entry] = row.carrying_move_ids
        self.assertItems(
            entry,
            (self._receivable(self.nobody), self.nobody, amount),
            (self._receivable(owner), owner, -amount),
        )
        self.assertTrue(all(entry.line_ids.mapped("reconciled")))
        self.assertEqual(self._owed(owner), 0)

    def test_invoiced_at_once(self):
        for customer in (self.asha, self._contact(), self._customer_with_account()):
            for leased in (False, True):
                with self.subTest(customer=customer.name, leased=leased):
                    session, row, order = self._paid_and_invoiced(
                        customer, leased=leased
                    )
                    move = order.account_move
                    owner = customer.commercial_partner_id
                    self.assertEqual(move.payment_state, "paid")
                    self._assert_carried(row, customer, 45000)
                    self.assertOwnersBalanced()
                    [term] = move.line_ids.filtered(
                        lambda line: line.display_type == "payment_term"
                    )
                    self.assertEqual((term.partner_id, term.balance), (owner, 45000))
                    self._close_till(session)
                    self.assertFalse(row.attention, row.reason)
                    self.assertEqual(order.billpay_state, "paid")
                    self.assertEqual(self._owed(self.nobody), 0)

    def test_more_than_the_invoice_stays_with_the_payer(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        session, row, order = self._paid_and_invoiced(
            self.asha, paid=57499, order=45000.0
        )
        self._assert_carried(row, self.asha, 45000)
        self.assertEqual(self._owed(self.nobody), -12499)
        self.assertTrue(row.attention)
        self.assertIn(order.pos_reference, row.reason)
        self.assertIn("12,499", row.reason)
        self._close_till(session)
        self.assertEqual(self._owed(self.nobody), -12499)
        self.assertEqual(row.credit_open, 12499)

    def test_paid_after_its_invoice(self):
        for customer in (self.asha, self._contact(), self._customer_with_account()):
            for closed in (False, True):
                with self.subTest(customer=customer.name, closed=closed):
                    session, uuid = self._open(), str(uuid4())
                    digits = self._ask(uuid)["number"]
                    order = self._send(
                        self._sale(
                            session,
                            [(self.billpay, 45000, digits)],
                            uuid=uuid,
                            partner_id=customer.id,
                            to_invoice=True,
                        )
                    )
                    if closed:
                        self._close_till(session)
                    row = self._paid_at_till(digits, 45000)
                    self.assertEqual(order.account_move.payment_state, "paid")
                    self.assertEqual(self._owed(customer.commercial_partner_id), 0)
                    self.assertEqual(
                        row.account_payment_ids.partner_id,
                        customer.commercial_partner_id,
                    )
                    self.assertFalse(row.carrying_move_ids)
                    if not closed:
                        self._close_till(session)

    def test_invoiced_after_the_session(self):
        """To a customer whom the order got after it was closed."""
        for customer in (self.asha, self._contact(), self._customer_with_account()):
            for paid in ("before", "half", "after"):
                with self.subTest(customer=customer.name, paid=paid):
                    session, uuid = self._open(), str(uuid4())
                    digits = self._ask(uuid)["number"]
                    if paid == "before":
                        self._paid_at_till(digits, 45000)
                    order = self._send(
                        self._sale(session, [(self.billpay, 45000, digits)], uuid=uuid)
                    )
                    if paid == "half":
                        self.provider.clickpesa_checkout_mode = "flexible"
                        self._told(digits, 20000, "HALF" + digits)
                    self._close_till(session)
                    line = order.payment_ids._billpay_lines()
                    self.assertEqual(line.partner_id, self.nobody)
                    order.partner_id = customer
                    order.action_pos_order_invoice()
                    move, owner = order.account_move, customer.commercial_partner_id
                    left = {"before": 0, "half": 25000, "after": 45000}[paid]
                    self.assertEqual(move.amount_residual, left)
                    self.assertEqual(self._owed(owner), left)
                    self.assertEqual(self._owed(self.nobody), 0)
                    self.assertTrue(line.reconciled)
                    self.assertOwnersBalanced()
                    if left:
                        self._sync()
                        number = move.billpay_number_id
                        self.assertEqual(number.amount, left)
                        self._told(number.name, left, "REST" + number.name)
                        self.assertEqual(move.amount_residual, 0)
                        self.assertEqual(self._owed(owner), 0)

    def _two_payments(self, invoiced, customer):
        """The customer is named between two payments of one order."""
        session, uuid = self._open(), str(uuid4())
        self.provider.clickpesa_checkout_mode = "flexible"
        first = self._ask(uuid)["number"]
        one = self._paid_at_till(first, 20000)
        second = self._ask(uuid, 25000, partner_id=customer.id)["number"]
        two = self._paid_at_till(second, 25000)
        order = self._send(
            self._sale(
                session,
                [(self.billpay, 20000, first), (self.billpay, 25000, second)],
                uuid=uuid,
                partner_id=customer.id,
                to_invoice=invoiced,
            )
        )
        return session, order, one, two

    def test_two_payments_of_two_customers(self):
        for invoiced in (False, True):
            with self.subTest(invoiced=invoiced):
                session, order, one, two = self._two_payments(invoiced, self.asha)
                self.assertEqual(one.account_payment_ids.partner_id, self.nobody)
                self.assertEqual(two.account_payment_ids.partner_id, self.asha)
                self._close_till(session)
                if invoiced:
                    self.assertEqual(order.account_move.payment_state, "paid")
                    self._assert_carried(one, self.asha, 20000)
                else:
                    self.assertSettled(order, 45000)
                    lines = order.payment_ids._billpay_lines()
                    self.assertCountEqual(
                        [(line.partner_id, line.balance) for line in lines],
                        [(self.nobody, 20000), (self.asha, 25000)],
                    )
                self.assertFalse(two.carrying_move_ids)
                self.assertEqual(
                    (self._owed(self.asha), self._owed(self.nobody)), (0, 0)
                )
                self.assertFalse((one + two).filtered("attention"))

    def test_money_that_goes_back_takes_the_carrying_with_it(self):
        for how in ("reversed", "undone"):
            with self.subTest(how):
                asha = self.asha.copy({"name": f"Asha ({how})"})
                _session, row, order = self._paid_and_invoiced(asha)
                [entry] = row.carrying_move_ids
                if how == "reversed":
                    row.sudo()._flag("Back", due=self.env.cr.now(), status="REVERSED")
                    self._process()
                    self.assertEqual(row.state, "reversed")
                else:
                    self.env["billpay.decision"]._undo_match(row, "Not theirs")
                    self.assertEqual(row.state, "unmatched")
                move = order.account_move
                self.assertEqual((move.amount_residual, self._owed(asha)), (45000,) * 2)
                self.assertEqual(self._owed(self.nobody), 0)
                [mirror] = entry.reversal_move_ids
                self.assertItems(
                    mirror,
                    (self._receivable(self.nobody), self.nobody, -45000),
                    (self._receivable(asha), asha, 45000),
                )
                self.assertTrue(all((entry + mirror).line_ids.mapped("reconciled")))

    def test_an_invoice_that_is_reset_is_paid_again(self):
        session, row, order = self._paid_and_invoiced(self.asha)
        move = order.account_move
        move.button_draft()
        self.assertTrue(row.attention)
        self.assertIn(move.name, row.reason)
        move.action_post()
        self.assertEqual((move.payment_state, row.credit_open), ("paid", 0))
        self.assertFalse(row.attention, row.reason)
        self._close_till(session)
        self.assertEqual(self._owed(self.asha), 0)


@tagged("post_install", "-at_install")
class TestWholeShillings(OwnerSteps, BillPayCommon):
    """2,500.50 is paid with 2,501: the books say where the half shilling is."""

    def _order(self, session, line, paid=True, amount=2500.5, **values):
        uuid = str(uuid4())
        stand = self._ask(uuid, line)
        if paid:
            self._paid_at_till(stand["number"], stand["amount"])
        payments = [(self.billpay, line, stand["number"]), *values.pop("more", [])]
        order = self._send(
            self._sale(
                session, payments, amount=amount, uuid=uuid, amount_return=0, **values
            )
        )
        return order, self._number(stand).sudo()

    def _rounding_of(self, move, accounts):
        lines = move.line_ids.filtered(lambda line: line.account_id in accounts)
        return sum(lines.mapped("balance"))

    def _profit(self, till=None):
        entries = self.env["billpay.till.entries"]
        return entries._rounding_account(till or self.till, 1)

    def test_clickpesa_is_asked_for_whole_shillings(self):
        session = self._open()
        for line in (2500.5, 2501):
            order, number = self._order(session, line, paid=False)
            self._sync()
            there = self.sandbox.number(number.name)
            self.assertEqual((number.amount, there["amount"]), (2501, 2501))
            self.assertEqual(order.billpay_due, 2501)
        [item] = self._lease()[:1]
        self._send(
            self._sale(
                session,
                [(self.billpay, 2500.5, item["number"])],
                amount=2500.5,
                billpay_number=item["number"],
            )
        )
        self.assertEqual(self._number(item).amount, 2501)

    def test_in_the_session(self):
        """Whether the till says 2,501 or, as an earlier one, what the order is."""
        for line in (2501, 2500.5):
            for paid in (True, False):
                with self.subTest(line=line, paid=paid):
                    session = self._open()
                    order, number = self._order(session, line, paid)
                    self.assertEqual(order.state, "paid")
                    self._close_till(session)
                    [waits] = order.payment_ids._billpay_lines()
                    self.assertEqual(waits.balance, 2501)
                    self.assertEqual(
                        self._rounding_of(session.move_id, self._profit()), -0.5
                    )
                    self.assertEqual(len(session.move_id.line_ids), 3)
                    if not paid:
                        self._paid_at_till(number.name, 2501)
                    self.assertSettled(order, 2501)
                    row = number.payment_ids
                    self.assertBooked(row, 2501)
                    self.assertFalse(row.attention, row.reason)
                    self.assertEqual(
                        (row.credit_open, order.billpay_state), (0, "paid")
                    )

    def test_invoiced_at_once(self):
        for line in (2501, 2500.5):
            for paid in (True, False):
                with self.subTest(line=line, paid=paid):
                    session = self._open()
                    order, number = self._order(
                        session, line, paid, partner_id=self.asha.id, to_invoice=True
                    )
                    move = order.account_move
                    self.assertEqual(move.amount_total, 2501)
                    self.assertEqual(self._rounding_of(move, self._profit()), -0.5)
                    if not paid:
                        self._paid_at_till(number.name, 2501)
                    self.assertEqual(move.payment_state, "paid")
                    self._close_till(session)
                    self.assertEqual(self._owed(self.asha), 0)
                    self.assertEqual(self._owed(self.nobody), 0)
                    self.assertFalse(number.payment_ids.attention)

    def test_invoiced_after_the_session(self):
        for paid in (True, False):
            with self.subTest(paid=paid):
                session = self._open()
                order, number = self._order(
                    session, 2501, paid, partner_id=self.asha.id
                )
                self._close_till(session)
                order.action_pos_order_invoice()
                move = order.account_move
                self.assertEqual(move.amount_total, 2501)
                reversal = self.env["account.move"].search(
                    [("reversed_pos_order_id", "=", order.id)]
                )
                entries = session.move_id + reversal + move
                self.assertEqual(self._rounding_of(entries, self._profit()), -0.5)
                if not paid:
                    self.assertEqual(move.amount_residual, 2501)
                    self._paid_at_till(number.name, 2501)
                self.assertEqual(move.payment_state, "paid")
                self.assertEqual(
                    (self._owed(self.asha), self._owed(self.nobody)), (0, 0)
                )

    def _cash_rounding(self, step, only_cash):
        accounts = self.env["account.account"]
        profit, loss = (
            accounts.create(
                {"name": name, "code": name[:5] + str(step), "account_type": kind}
            )
            for name, kind in (("PROFIT", "income"), ("LOSSES", "expense"))
        )
        method = self.env["account.cash.rounding"].create(
            {
                "name": f"Cash to {step}",
                "rounding": step,
                "rounding_method": "HALF-UP",
                "profit_account_id": profit.id,
                "loss_account_id": loss.id,
            }
        )
        self.till.write(
            {
                "cash_rounding": True,
                "rounding_method": method.id,
                "only_round_cash_method": only_cash,
            }
        )
        return profit + loss

    def test_with_cash_rounding(self):
        """Its account takes the half shilling, too."""
        for step, only_cash in ((50, True), (100, True), (1, False), (0.05, True)):
            with self.subTest(step=step, only_cash=only_cash):
                accounts = self._cash_rounding(step, only_cash)
                for invoiced in (False, True):
                    session = self._open()
                    order, _number = self._order(
                        session,
                        2501,
                        partner_id=self.asha.id,
                        to_invoice=invoiced,
                    )
                    self._close_till(session)
                    entry = order.account_move if invoiced else session.move_id
                    self.assertEqual(self._rounding_of(entry, accounts), -0.5)
                    self.assertEqual(self._owed(self.asha), 0)
                    self.assertEqual(self._owed(self.nobody), 0)

    def test_several_lines(self):
        session = self._open()
        uuid = str(uuid4())
        self.provider.clickpesa_checkout_mode = "flexible"
        first = self._ask(uuid, 1000)["number"]
        self._paid_at_till(first, 1000)
        second = self._ask(uuid, 500.5)["number"]
        self._paid_at_till(second, 501)
        order = self._send(
            self._sale(
                session,
                [
                    (self.billpay, 1000, first),
                    (self.billpay, 501, second),
                    (self.cash, 1000, False),
                ],
                amount=2500.5,
                uuid=uuid,
                amount_return=0,
            )
        )
        self._close_till(session)
        self.assertSettled(order, 1501)
        self.assertEqual(self._rounding_of(session.move_id, self._profit()), -0.5)
        self.assertEqual(self._owed(self.nobody), 0)

    def test_whole_orders_and_cash_are_not_rounded(self):
        session = self._open()
        self._order(session, 45000, amount=45000)
        self._send(self._sale(session, [(self.cash, 2500.5, False)], amount=2500.5))
        self._close_till(session)
        self.assertEqual(self._rounding_of(session.move_id, self._profit()), 0)

    def test_a_whole_shilling_too_much_is_not_rounding(self):
        session = self._open()
        uuid = str(uuid4())
        self.provider.clickpesa_checkout_mode = "flexible"
        stand = self._ask(uuid, 2500.5)
        row = self._paid_at_till(stand["number"], 2502)
        order = self._send(
            self._sale(
                session,
                [(self.billpay, 2501, stand["number"])],
                amount=2500.5,
                uuid=uuid,
                amount_return=0,
            )
        )
        self._close_till(session)
        self.assertSettled(order, 2501)
        self.assertIn(self.tzs.format(1), row.reason)
        self.assertEqual(row.credit_open, 1)

    def test_accounts(self):
        """No cash rounding and no cash: the company's, and last the sales' own."""
        entries, till = self.env["billpay.till.entries"], self.till
        self.cash.journal_id.write({"profit_account_id": False})
        company = self.company
        income = company.default_cash_difference_income_account_id
        self.assertTrue(income)
        self.assertEqual(entries._rounding_account(till, 1), income)
        company.default_cash_difference_income_account_id = False
        self.assertEqual(
            entries._rounding_account(till, 1),
            till.invoice_journal_id.default_account_id,
        )

    def test_refund(self):
        """What was rounded up is taken off again: nothing is left anywhere."""
        session = self._open()
        order, number = self._order(session, 2501, paid=False)
        refund = self._refund_sale(session, order, [(self.billpay, -2501, False)])
        self._send(refund)
        self._close_till(session)
        self.assertEqual(number.state, "closed")
        self.assertEqual(self._owed(self.nobody), 0)
        self.assertEqual(self._rounding_of(session.move_id, self._profit()), 0)
        session = self._open()
        order, _number = self._order(session, 2501)
        cash = self._refund_sale(session, order, [(self.cash, -2501, False)])
        self.assertEqual(self._send(cash).state, "paid")
        self._close_till(session)
        self.assertEqual(self._owed(self.nobody), 0)
