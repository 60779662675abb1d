# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What each group may write and call at the till: see ``rights.py`` of the core."""

from uuid import uuid4

from odoo import Command
from odoo.tests import tagged

from odoo.addons.billpay_odoo.tests import test_rights_generated as core
from odoo.addons.billpay_odoo.tests.rights import GROUPS, RightsCommon, RoutesCommon

OURS = {
    "cashier": ("point_of_sale.group_pos_user",),
    "till_manager": ("point_of_sale.group_pos_manager",),
    # Reads applications, too.
    "keeper": (
        "point_of_sale.group_pos_manager",
        "billpay_odoo.group_billpay_manager",
    ),
}


class TillRightsCommon(RightsCommon):
    """Tills, sessions and orders of this and another company and department."""

    addon = "billpay_odoo_pos"
    groups = {**GROUPS, **OURS}

    @classmethod
    def _records(cls, company, provider, department):
        records = super()._records(company, provider, department)
        env = cls.env(su=True)
        env = env(context={**env.context, "allowed_company_ids": company.ids})
        digits = records["billpay.control.number"].sudo().name
        cash = env["account.journal"].create(
            {
                "name": f"Fedha {digits}",
                "type": "cash",
                "code": f"F{department.id}",
                "company_id": company.id,
            }
        )
        method = env["pos.payment.method"].create(
            {"name": "Fedha", "journal_id": cash.id, "company_id": company.id}
        )
        till = env["pos.config"].create(
            {
                "name": f"Duka {digits}",
                "company_id": company.id,
                "payment_method_ids": [Command.set(method.ids)],
            }
        )
        till.billpay = True
        session = env["pos.session"].create({"config_id": till.id})
        session.set_opening_control(0, "")
        order = env["pos.order"].create(
            {
                "session_id": session.id,
                "company_id": company.id,
                "amount_tax": 0,
                "amount_total": 5000,
                "amount_paid": 5000,
                "amount_return": 0,
                "pos_reference": f"25{digits}",
                "billpay_number": digits,
            }
        )
        payment = env["pos.payment"].create(
            {
                "pos_order_id": order.id,
                "payment_method_id": till._billpay_method().id,
                "amount": 5000,
                "billpay_number": digits,
            }
        )
        env["billpay.control.number"].create(
            {
                "name": f"{digits}77",
                "kind": "order",
                "provider_id": provider.id,
                "partner_id": till._billpay_customer().id,
                "currency_id": env.ref("base.TZS").id,
                "amount": 5000,
                "mode": "exact",
                "state": "open",
                "pos_config_id": till.id,
                "pos_order_uuid": order.uuid,
                "pos_order_id": order.id,
            }
        )
        made = (till, till._billpay_method(), session, order, payment)
        line = records["account.move"].sudo().line_ids[:1]
        records.update({r._name: r.sudo(False) for r in (*made, line)})
        return records

    def _new_values(self, model, user):
        till, order = self.own["pos.config"].sudo(), self.own["pos.order"]
        return {
            "pos.config": {"name": "Duka jipya", "company_id": self.company.id},
            "pos.payment.method": {"name": "Mpya", "company_id": self.company.id},
            "pos.order": {
                "session_id": self.own["pos.session"].id,
                "company_id": self.company.id,
                "amount_tax": 0,
                "amount_total": 5000,
                "amount_paid": 0,
                "amount_return": 0,
            },
            "pos.payment": {
                "pos_order_id": order.id,
                "payment_method_id": till.payment_method_ids[:1].id,
                "amount": 1,
            },
        }.get(model._name) or super()._new_values(model, user)


@tagged("post_install", "-at_install")
class TestTillFields(TillRightsCommon):
    allowed = {
        # How a till asks and explains, of those who set tills up.
        "pos.config": (
            "billpay billpay_change billpay_lang billpay_later billpay_partner_id",
        ),
        # Who may read applications chooses among those of the company.
        "pos.payment.method": ("billpay_provider_id",),
        # What the receipt shows. Only a number of this order or a free one of this till
        # is bound to it, and money counts for the order of its number.
        "pos.order": ("billpay_number",),
        "pos.payment": ("billpay_number",),
    }
    allowed_to = {
        "pos.config": ("till_manager", "keeper"),
        "pos.payment.method": ("keeper",),
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Odoo keeps tills and methods as they are while a session is open.
        for records in (cls.own, cls.other_department, cls.foreign):
            records["pos.session"].sudo().state = "closed"
        cls.env.flush_all()

    def test_every_field_as_every_group(self):
        wrong = self._check_fields()
        self.assertFalse(wrong, "\n" + "\n".join(wrong))
        stale = self._never_written()
        self.assertFalse(stale, "\n" + "\n".join(stale))

    def test_fields_of_the_core_at_the_till(self):
        self.patch(type(self), "addon", "billpay_odoo")
        self.patch(type(self), "allowed", core.TestFields.allowed)
        self.patch(type(self), "allowed_to", {})
        users = {name: self.users[name] for name in OURS}
        wrong = self._check_fields(users)
        self.assertFalse(wrong, "\n" + "\n".join(wrong))


_SELLS = "cashiers who may read the till (_billpay_till)"


@tagged("post_install", "-at_install")
class TestTillMethods(TillRightsCommon):
    methods = {
        "pos.config": {
            "billpay_ask": f"{_SELLS}; the order is checked (_billpay_wanted)",
            "billpay_cancel": f"{_SELLS}; orders of this till alone",
            "billpay_lease": f"{_SELLS}; no more than MOST_LEASED",
            "billpay_search": f"{_SELLS}; what a cashier knows something of",
            "billpay_status": f"{_SELLS}; orders of this till alone",
        },
        "pos.order": {
            "action_view_billpay_payments": "whoever reads it; bound by rules",
        },
    }
    # What the till calls at Odoo, and this add-on extends.
    extended = {
        "pos.config": ("open_ui",),
        "pos.order": ("action_pos_order_cancel", "action_pos_order_paid"),
        "pos.session": ("close_session_from_ui", "action_pos_session_closing_control"),
    }
    arguments = {
        "billpay_ask": [{"uuid": str(uuid4()), "amount": 5000}],
        "billpay_lease": ["0d1f6a44-aaaa"],
        "billpay_search": ["LCP9"],
    }

    def _calls(self):
        extended = [(of, name) for of, names in self.extended.items() for name in names]
        return super()._calls() + extended

    def _call(self, record, user, method):
        if record._name == "pos.config" and method != "open_ui":
            # What a stranger would name: the order of that till, and its number.
            order = self.env["pos.order"].sudo().search([("config_id", "=", record.id)])
            self.arguments = {
                **self.arguments,
                "billpay_cancel": [order.uuid],
                "billpay_search": [order.billpay_number],
                "billpay_status": [order.mapped("uuid")],
            }
        return super()._call(record, user, method)

    def test_every_method_has_a_line(self):
        self.assertEqual(self._check_methods(), [])

    def test_nobody_changes_records_of_another_company(self):
        for login in ("accountant", *OURS):
            wrong = self._check_calls(self.foreign, login, "another company")
            self.assertEqual(wrong, [])

    def test_staff_without_rights_changes_nothing(self):
        for login in ("staff", "accountant", "manager"):
            self.assertEqual(self._check_calls(self.own, login, "the own company"), [])

    def test_who_may_is_let_through(self):
        for login in OURS:
            self.assertEqual(self._check_owners(login), [])


@tagged("post_install", "-at_install")
class TestTillRoutes(RoutesCommon):
    addon = "billpay_odoo_pos"

    def test_every_route_has_a_line(self):
        self.assertEqual(self._check_routes(), {})
