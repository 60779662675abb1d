# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A till of the Tanzanian company, and orders as a till sends them."""

from itertools import count
from uuid import uuid4

from odoo import Command, fields

_orders = count(1)


class TillSteps:
    """For a test class beside :class:`BillPayCommon`."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        env = cls.env(su=True)
        cls.env.user.group_ids += env.ref("point_of_sale.group_pos_manager")
        cls.company.billpay_provider_id = cls.provider
        cls.till = cls._make_till("Duka la Kariakoo")
        cls.cash = cls.till.payment_method_ids.filtered("is_cash_count")
        cls.billpay = cls.till._billpay_method()
        cls.product = cls._make_product()

    @classmethod
    def _make_product(cls):
        return cls.env["product.product"].create(
            {
                "name": "Kitenge",
                "list_price": 45000,
                "type": "consu",
                "available_in_pos": True,
                "taxes_id": [Command.clear()],
                "company_id": cls.company.id,
            }
        )

    @classmethod
    def _make_till(cls, name, **values):
        cash_journal = cls.env["account.journal"].create(
            {
                "name": f"Cash of {name}",
                "type": "cash",
                "code": "C%04d" % next(_orders),
                "company_id": cls.company.id,
            }
        )
        cash = cls.env["pos.payment.method"].create(
            {
                "name": "Cash",
                "journal_id": cash_journal.id,
                "company_id": cls.company.id,
            }
        )
        till = (
            cls.env["pos.config"]
            .with_company(cls.company)
            .create(
                {
                    "name": name,
                    "company_id": cls.company.id,
                    "payment_method_ids": [Command.set(cash.ids)],
                    **values,
                }
            )
        )
        till.billpay = True
        return till

    def _open(self, till=None):
        till = till or self.till
        till.open_ui()
        session = till.current_session_id
        session.set_opening_control(0, "")
        return session

    def _close_till(self, session):
        cash = sum(
            session.order_ids.payment_ids.filtered(
                lambda p: p.payment_method_id == self.cash
            ).mapped("amount")
        )
        session.post_closing_cash_details(cash)
        answer = session.close_session_from_ui()
        self.assertTrue(answer.get("successful"), answer)
        self.assertEqual(session.state, "closed")

    def _sale(self, session, payments, amount=45000, state="paid", **values):
        """An order as the till sends it.

        :param list payments: ``(method, amount, number)``
        """
        paid = sum(item[1] for item in payments)
        return {
            "uuid": str(uuid4()),
            "session_id": session.id,
            "state": state,
            "name": "Order %05d" % next(_orders),
            "pos_reference": "25%05d" % next(_orders),
            "user_id": self.env.uid,
            "company_id": self.company.id,
            "pricelist_id": False,
            "fiscal_position_id": False,
            "partner_id": False,
            "amount_total": amount,
            "amount_tax": 0,
            "amount_paid": paid,
            "amount_return": min(amount - paid, 0) if state == "paid" else 0,
            "date_order": fields.Datetime.to_string(fields.Datetime.now()),
            "to_invoice": False,
            "lines": [
                Command.create(
                    {
                        "product_id": self.product.id,
                        "price_unit": amount,
                        "qty": 1,
                        "discount": 0,
                        "tax_ids": [Command.clear()],
                        "price_subtotal": amount,
                        "price_subtotal_incl": amount,
                        "uuid": str(uuid4()),
                    }
                )
            ],
            "payment_ids": [
                Command.create(
                    {
                        "payment_method_id": method.id,
                        "amount": part,
                        "billpay_number": number,
                        "payment_date": fields.Datetime.to_string(
                            fields.Datetime.now()
                        ),
                        "uuid": str(uuid4()),
                    }
                )
                for method, part, number in payments
            ],
            **values,
        }

    def _refund_sale(self, session, order, payments, amount=None, **values):
        """A refund of an order, as the till sends it.

        :param float amount: of what is returned; below the order's for a part of it
        """
        amount = amount or order.amount_total
        line = order.lines[:1]
        return self._sale(
            session,
            payments,
            amount=-amount,
            is_refund=True,
            partner_id=order.partner_id.id,
            lines=[
                Command.create(
                    {
                        "product_id": self.product.id,
                        "price_unit": amount,
                        "qty": -1,
                        "discount": 0,
                        "tax_ids": [Command.clear()],
                        "price_subtotal": -amount,
                        "price_subtotal_incl": -amount,
                        "refunded_orderline_id": line.id,
                        "uuid": str(uuid4()),
                    }
                )
            ],
            **{"amount_return": 0, **values},
        )

    def _send(self, sale):
        """The till sends an order; return it."""
        orders = self.env["pos.order"]
        orders.sync_from_ui([dict(sale)])
        return orders.search([("uuid", "=", sale["uuid"])])

    def _ask(self, uuid, amount=45000, till=None, **values):
        with self._workers():
            stand = (till or self.till).billpay_ask(
                {"uuid": uuid, "amount": amount, "reference": "Order 1", **values}
            )
        return stand

    def _number(self, stand):
        return self.env["billpay.control.number"].search(
            [("name", "=", stand["number"])]
        )

    def _paid_at_till(self, number, amount):
        payment = self._pay(number, amount)
        self._event(payment)
        self._process()
        return self._ledger(payment)

    def _told(self, number, amount, reference="LCPTOLD"):
        """A payment that ClickPesa confirms, whatever it takes itself."""
        row = (
            self.env["billpay.payment"]
            .sudo()
            .create(
                {
                    "provider_id": self.provider.id,
                    "reference": reference,
                    "number": number,
                    "amount": amount,
                    "currency_id": self.tzs.id,
                    "currency_code": "TZS",
                    "paid_at": fields.Datetime.now(),
                    "status": "SUCCESS",
                    "state": "confirmed",
                    "confirmed_at": fields.Datetime.now(),
                }
            )
        )
        self._process()
        return row

    def _lease(self, device="0d1f6a44-aaaa", till=None, used=()):
        return (till or self.till).billpay_lease(device, used)

    def assertItems(self, move, *items):
        """The journal items of an entry: account, customer and balance."""
        self.assertEqual(move.state, "posted")
        self.assertCountEqual(
            [
                (line.account_id, line.partner_id, line.balance)
                for line in move.line_ids
            ],
            [
                (account, partner or self.env["res.partner"], balance)
                for account, partner, balance in items
            ],
        )

    def _owed(self, partner):
        """What a customer owes, by the books."""
        lines = self.env["account.move.line"].search(
            [
                ("partner_id", "=", partner.id),
                ("account_id.account_type", "=", "asset_receivable"),
                ("parent_state", "=", "posted"),
            ]
        )
        return sum(lines.mapped("amount_residual"))

    def _receivable(self, partner):
        partner = partner.with_company(self.company)
        return partner.property_account_receivable_id

    def assertSettled(self, order, amount):
        """The order's item on the customer's account and the money meet: no rest."""
        lines = order.payment_ids._billpay_lines()
        self.assertEqual(sum(lines.mapped("balance")), amount)
        self.assertEqual(lines.mapped("parent_state"), ["posted"] * len(lines))
        self.assertEqual(sum(lines.mapped("amount_residual")), 0)
        self.assertTrue(all(lines.mapped("reconciled")))
