# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What each group may write and call at the till: see ``rights.py`` of the core."""

import json
from uuid import uuid4

from odoo import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from odoo.addons.billpay_odoo.tests import test_rights_generated as core
from odoo.addons.billpay_odoo.tests.rights import GROUPS, RightsCommon, RoutesCommon

from .common import TillSteps

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
            # Journals are not made by everybody who makes tills.
            "pos.config": {
                "name": "Duka jipya",
                "company_id": self.company.id,
                "payment_method_ids": [],
            },
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
            "billpay_settings": f"{_SELLS}; what its receipts print",
            "billpay_status": f"{_SELLS}; orders of this till alone",
            "billpay_unpaid": f"{_SELLS}; orders of this company alone",
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
                "billpay_unpaid": [order.uuid],
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
class TestTillRoutes(TillSteps, RoutesCommon):
    """Addresses of the till are Odoo's own: what they tell of BillPay."""

    addon = "billpay_odoo_pos"

    def test_every_route_has_a_line(self):
        self.assertEqual(self._check_routes(), {})

    def test_strangers_are_told_nothing(self):
        self.partner.name = "Zuhura Mwakalinga"
        session = self._open()
        uuid, told = str(uuid4()), []
        stand = self._ask(uuid, amount=731900, partner_id=self.partner.id)
        line = (self.billpay, 731900, stand["number"])
        sale = self._sale(session, [line], amount=731900, uuid=uuid)
        order = self._send({**sale, "partner_id": self.partner.id})
        self.patch(type(self.till), "_notify", lambda _till, *what: told.append(what))
        row = self._paid_at_till(stand["number"], 731900)
        self.env.flush_all()
        secrets = (
            self.partner.name,
            "731900",
            stand["number"],
            stand["url"],
            uuid,
            order.access_token,
            row.receipt,
            row.payer_phone,
        )
        [[name, message]] = told
        self.assertEqual(name, "BILLPAY_PAYMENT")
        for secret in secrets:
            self.assertNotIn(str(secret), str(message))
        # Why it matters: this is Odoo's own address.
        ticket = self.url_open(f"/pos/ticket?order_uuid={uuid}", allow_redirects=False)
        self.assertIn(order.access_token, ticket.headers["Location"])
        visitor = self._user("mgeni", company=self.company)
        visitor.sudo().password = "mgeni"
        self.env.flush_all()
        for login in (None, visitor.login):
            self.authenticate(login, login)
            for path in (
                f"/pos_customer_display/{self.till.id}/0d1f6a44-aaaa",
                "/pos/ticket",
                # What the channel of the till says opens no ticket.
                f"/pos/ticket?order_uuid={message['order']}",
                f"/pos/ticket?order_uuid={message['number']}",
                "/pos/ticket/validate",
                "/pos/ticket/validate?access_token=f",
                f"/pos/ticket/validate?access_token={self.till.access_token}",
                f"/pos/ui/{self.till.id}",
                f"/pos/ui?config_id={self.till.id}",
            ):
                with (
                    self.subTest(login=login, path=path),
                    mute_logger("odoo.http"),
                ):
                    response = self.url_open(path)
                    self.assertIn(response.status_code, (200, 403, 404))
                    self.assertTellsNothing(response, *secrets)

    def test_till_is_for_cashiers(self):
        """Over the address by which the till calls."""
        session = self._open()
        stand = self._ask(str(uuid4()))
        order = self._send(self._sale(session, [(self.billpay, 45000, False)]))
        for login, groups in (
            (None, ()),
            ("mfanyakazi", ()),
            ("mhasibu", ("account.group_account_manager",)),
        ):
            if login:
                user = self._user(login, *groups)
                user.sudo().password = login
            self.env.flush_all()
            self.authenticate(login, login)
            numbers = self.env["billpay.control.number"].sudo().search_count([])
            for model, method, args in (
                ("pos.config", "billpay_ask", [{"uuid": str(uuid4()), "amount": 5}]),
                ("pos.config", "billpay_status", [[stand["uuid"]]]),
                ("pos.config", "billpay_cancel", [stand["uuid"]]),
                ("pos.config", "billpay_unpaid", [stand["uuid"]]),
                ("pos.config", "billpay_search", [stand["number"]]),
                ("pos.config", "billpay_lease", ["0d1f6a44-aaaa"]),
                ("pos.config", "billpay_settings", []),
                ("pos.order", "action_pos_order_cancel", []),
                ("pos.session", "close_session_from_ui", []),
            ):
                record = {"pos.config": self.till, "pos.order": order}.get(model)
                ids = (record or session).ids
                with (
                    self.subTest(login=login, method=method),
                    mute_logger("odoo.http"),
                ):
                    answer = self._rpc(model, method, [ids, *args])
                    self.assertIn("error", answer)
                    self.assertNotIn("result", answer)
                    self.assertNotIn(stand["number"], str(answer))
            self.env.invalidate_all()
            self.assertEqual(
                self.env["billpay.control.number"].sudo().search_count([]), numbers
            )
            self.assertEqual(self._number(stand).state, "open")
        cashier = self._user("keshia", "point_of_sale.group_pos_user")
        cashier.sudo().password = "keshia"
        self.env.flush_all()
        self.authenticate("keshia", "keshia")
        answer = self._rpc(
            "pos.config", "billpay_status", [self.till.ids, [stand["uuid"]]]
        )
        self.assertEqual(answer["result"][0]["number"], stand["number"])

    def _rpc(self, model, method, args):
        params = {"model": model, "method": method, "args": args, "kwargs": {}}
        return self.url_open(
            f"/web/dataset/call_kw/{model}/{method}",
            data=json.dumps({"jsonrpc": "2.0", "params": params}),
            headers={"Content-Type": "application/json"},
        ).json()
