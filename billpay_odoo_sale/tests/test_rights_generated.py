# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What each group may write and call on sales orders: see ``rights.py`` of the core."""

from odoo import Command
from odoo.exceptions import AccessError
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests import test_rights_generated as core
from odoo.addons.billpay_odoo.tests.rights import GROUPS, RightsCommon, RoutesCommon

OURS = {
    "seller": ("sales_team.group_sale_salesman",),
    "all_orders": ("sales_team.group_sale_salesman_all_leads",),
    "sales_manager": ("sales_team.group_sale_manager",),
}


class SaleRightsCommon(RightsCommon):
    """Orders with a checkout, of this and another company and department."""

    addon = "billpay_odoo_sale"
    groups = {**GROUPS, **OURS}

    @classmethod
    def _records(cls, company, provider, department):
        records = super()._records(company, provider, department)
        env = cls.env(su=True)
        env = env(context={**env.context, "allowed_company_ids": company.ids})
        number = records["billpay.control.number"].sudo()
        goods = env["product.product"].create(
            {"name": "Kitenge", "type": "service", "taxes_id": [Command.clear()]}
        )
        order = env["sale.order"].create(
            {
                "order_line": [
                    Command.create({"product_id": goods.id, "price_unit": 5000})
                ],
                "name": f"S{number.name}",
                "partner_id": number.partner_id.id,
                "company_id": company.id,
                "user_id": False,
            }
        )
        method = env.ref("billpay_odoo.payment_method_billpay")
        method.active = True
        transaction = env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": method.id,
                "amount": 5000,
                "currency_id": number.currency_id.id,
                "partner_id": number.partner_id.id,
                "reference": f"S{number.name}-1",
                "operation": "online_redirect",
                "sale_order_ids": [Command.set(order.ids)],
            }
        )
        checkout = number.create(
            {
                "name": f"{number.name}77",
                "kind": "order",
                "provider_id": provider.id,
                "partner_id": number.partner_id.id,
                "currency_id": number.currency_id.id,
                "transaction_id": transaction.id,
                "amount": 5000,
                "mode": "exact",
                "state": "open",
            }
        )
        env["billpay.payment"].create(
            {
                "provider_id": provider.id,
                "reference": f"LCPS{number.name}",
                "control_number_id": checkout.id,
                "amount": 5000,
                "currency_id": number.currency_id.id,
                "paid_at": "2026-03-01 10:00:00",
                "state": "unmatched",
                "attention": True,
                "reason": f"Zaidi kwa {number.name}",
            }
        )
        for record in (order, transaction):
            records[record._name] = record.sudo(False)
        return records

    def _new_values(self, model, user):
        if model._name == "sale.order":
            return {
                "partner_id": self.own["res.partner"].id,
                "company_id": self.company.id,
            }
        return super()._new_values(model, user)


@tagged("post_install", "-at_install")
class TestSaleFields(SaleRightsCommon):
    # What an order shows of its money is computed from the ledger.
    allowed = {}

    def test_every_field_as_every_group(self):
        wrong = self._check_fields()
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_fields_of_the_core_as_sellers(self):
        self.patch(type(self), "addon", "billpay_odoo")
        self.patch(type(self), "allowed", core.TestFields.allowed)
        users = {name: self.users[name] for name in OURS}
        wrong = self._check_fields(users)
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_what_an_order_shows_is_written_by_nobody(self):
        """Computed fields take a value, and keep nothing of it."""
        order = self.own["sale.order"].with_user(self.users["sales_manager"])
        order = order.with_context(allowed_company_ids=self.company.ids)
        names = [name for name in order._fields if name.startswith("billpay_")]
        self.assertIn("billpay_number", names)
        before = {name: self._seen(order, name) for name in names}
        for name in names:
            field = order._fields[name]
            value = False if field.relational else self._value(order, field)
            with self.subTest(name):
                self._call(
                    order, order.env.user, lambda o, n=name, v=value: o.write({n: v})
                )
                self.assertEqual(self._seen(order, name), before[name])

    def test_money_of_an_order_is_for_billpay_users(self):
        order = self.own["sale.order"]
        number = self._make_known(order.sudo().transaction_ids.billpay_number_ids)
        for login in OURS:
            theirs = order.with_user(self.users[login])
            theirs = theirs.with_context(allowed_company_ids=self.company.ids)
            if login == "seller":
                order.sudo().user_id = self.users[login]
            with self.subTest(login):
                # What the customer was told.
                self.assertEqual(theirs.billpay_number, number.display_number)
                for name in ("billpay_payment_ids", "billpay_paid", "billpay_reason"):
                    with self.assertRaises(AccessError):
                        theirs.read([name])


@tagged("post_install", "-at_install")
class TestSaleMethods(SaleRightsCommon):
    methods = {
        "sale.order": {
            "action_view_billpay_payments": "BillPay users who read the order",
        },
    }

    def test_every_method_has_a_line(self):
        self.assertEqual(self._check_methods(), [])

    def test_nobody_changes_records_of_another_company(self):
        for login in ("accountant", *OURS):
            wrong = self._check_calls(self.foreign, login, "another company")
            self.assertEqual(wrong, [])

    def test_staff_without_rights_changes_nothing(self):
        for login in ("staff", *OURS):
            self.assertEqual(self._check_calls(self.own, login, "the own company"), [])

    def test_who_may_is_let_through(self):
        user = self.users["sales_manager"]
        user.group_ids += self.env.ref("billpay_odoo.group_billpay_user")
        self.assertEqual(self._check_owners("sales_manager"), [])


@tagged("post_install", "-at_install")
class TestSaleRoutes(RoutesCommon):
    addon = "billpay_odoo_sale"

    def test_every_route_has_a_line(self):
        self.assertEqual(self._check_routes(), {})
