# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a session says of BillPay when it closes, and the reports of it."""

from uuid import uuid4

from odoo import Command
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests.common import BillPayCommon

from .common import TillSteps


def standing(paid, paid_count, waiting, waiting_count):
    return {
        "paid": {"amount": paid, "count": paid_count},
        "waiting": {"amount": waiting, "count": waiting_count},
    }


@tagged("post_install", "-at_install")
class TestSessionReports(TillSteps, BillPayCommon):
    def setUp(self):
        super().setUp()
        self.session = self._open()

    def _sell(self, amount, paid=0, till=None, session=None, **values):
        """Sell by BillPay; the customer has paid so much of it, or pays nothing yet."""
        uuid = str(uuid4())
        stand = self._ask(uuid, amount, till=till)
        if paid:
            self._paid_at_till(stand["number"], paid)
        return self._send(
            self._sale(
                session or self.session,
                [(self.billpay, amount, stand["number"])],
                amount=amount,
                uuid=uuid,
                **values,
            )
        )

    def _closing(self):
        methods = self.session.get_closing_control_data()["non_cash_payment_methods"]
        [found] = [m for m in methods if m["id"] == self.billpay.id]
        return found

    def _report(self, **wanted):
        report = self.env["report.point_of_sale.report_saledetails"]
        return report.get_sale_details(**wanted)

    def _row(self, **wanted):
        [row] = [
            row
            for row in self._report(**wanted)["payments"]
            if row.get("id") == self.billpay.id
        ]
        return row

    def test_nothing_was_sold(self):
        self.assertNotIn("billpay", self._closing())
        rows = self._report(session_ids=self.session.ids)["payments"]
        self.assertFalse([row for row in rows if "billpay" in row])

    def test_paid_and_waiting_are_told_apart(self):
        self.provider.clickpesa_checkout_mode = "flexible"
        self._sell(45000, 45000)
        self._sell(20000, 20000)
        later = self._sell(30000)
        self._sell(10000, 4000)
        self._send(self._sale(self.session, [(self.cash, 45000, False)]))
        closing = self._closing()
        self.assertEqual(closing["amount"], 105000)
        self.assertEqual(closing["billpay"], standing(69000, 3, 36000, 2))
        row = self._row(session_ids=self.session.ids)
        self.assertEqual(row["billpay"], standing(69000, 3, 36000, 2))
        # Closing leaves exactly what waits on the customers' accounts.
        self._close_till(self.session)
        lines = self.session.order_ids.payment_ids._billpay_lines()
        self.assertEqual(sum(lines.mapped("amount_residual")), 36000)
        # The report of yesterday says what is true today.
        self._paid_at_till(
            later.billpay_number or later.payment_ids.billpay_number, 30000
        )
        row = self._row(session_ids=self.session.ids)
        self.assertEqual(row["billpay"], standing(99000, 4, 6000, 1))

    def test_an_invoiced_order_and_too_much(self):
        self._sell(45000, 45000, to_invoice=True, partner_id=self.partner.id)
        self._sell(45000, to_invoice=True, partner_id=self.partner.id)
        self.provider.clickpesa_checkout_mode = "flexible"
        self._sell(20000, 25000)
        self.assertEqual(self._closing()["billpay"], standing(65000, 2, 45000, 1))

    def test_a_refund_takes_off_what_waits(self):
        waiting = self._sell(45000)
        self._sell(20000, 20000)
        back = [(self.billpay, -45000, False)]
        self._send(self._refund_sale(self.session, waiting, back))
        closing = self._closing()
        self.assertEqual(closing["amount"], 20000)
        self.assertEqual(closing["billpay"], standing(20000, 1, 0, 0))
        # Of an order of the day before: less is owed than this session sold.
        later = self._sell(30000)
        self._close_till(self.session)
        self.session = self._open()
        back = [(self.billpay, -10000, False)]
        self._send(self._refund_sale(self.session, later, back, 10000))
        self.assertEqual(self._closing()["billpay"], standing(0, 0, -10000, 1))

    def test_of_a_day_at_several_tills(self):
        other = self._make_till("Duka la Posta")
        session = self._open(other)
        self._sell(45000, 45000)
        self._sell(30000, till=other, session=session)
        tills = self.till | other
        rows = self._report(config_ids=tills.ids)["payments"]
        found = {row["session"]: row["billpay"] for row in rows if row.get("billpay")}
        self.assertEqual(
            found,
            {
                self.session.id: standing(45000, 1, 0, 0),
                session.id: standing(0, 0, 30000, 1),
            },
        )
        self.assertEqual(
            self._row(config_ids=other.ids)["billpay"], standing(0, 0, 30000, 1)
        )

    def test_of_one_cashier(self):
        employees = (
            self.env["hr.employee"]
            .sudo()
            .create(
                [
                    {"name": name, "company_id": self.company.id}
                    for name in ("Asha", "Baraka")
                ]
            )
        )
        self.till.write(
            {
                "module_pos_hr": True,
                "basic_employee_ids": [Command.set(employees.ids)],
            }
        )
        for employee, amount, paid in zip(
            employees, (45000, 20000), (45000, 0), strict=True
        ):
            self._sell(amount, paid, employee_id=employee.id)
        report = self.env["report.pos_hr.single_employee_sales_report"]
        told = []
        for employee in employees:
            details = report.get_sale_details(
                session_ids=self.session.ids, employee_id=employee.id
            )
            told += [row["billpay"] for row in details["payments"] if "billpay" in row]
        self.assertEqual(told, [standing(45000, 1, 0, 0), standing(0, 0, 20000, 1)])
        self.assertEqual(self._closing()["billpay"], standing(45000, 1, 20000, 1))

    def test_the_printed_report(self):
        self._sell(45000, 45000)
        self._sell(30000)
        html, _kind = self.env["ir.actions.report"]._render_qweb_html(
            "point_of_sale.report_saledetails", self.session.ids
        )
        text = " ".join(html.decode().split())
        for row, amount in (
            ("paid (orders: 1)", "45,000.00"),
            ("waiting for the customer (orders: 1)", "30,000.00"),
        ):
            _before, _row, after = text.partition(f"BillPay {self.session.name}: {row}")
            self.assertIn(amount, after.partition("</tr>")[0])
