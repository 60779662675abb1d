# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A Tanzanian company, an application, and the real sandbox behind the client."""

import json
from contextlib import contextmanager

import requests

from odoo import Command, fields
from odoo.tests import HttpCase, new_test_user, tagged

from clickpesa_sandbox import Sandbox, create_app
from clickpesa_sandbox.testing import InProcess

from ..clickpesa import forget_clients, parse_notification
from ..identity import number_spellings
from .company import CompanyCommon

BASE_URL = "https://sandbox.example.test/third-parties"
CHECKSUM_KEY = "CHKtest"


def slow(test):
    """Tag one test, as ``@tagged("slow")`` tags a class, for ``./dev test --fast``."""
    test.test_tags = {"slow"}
    return test


@tagged("post_install", "-at_install")
class BillPayCommon(CompanyCommon):
    """Requests to the API address are answered by the sandbox, in this process.

    URL, headers and body go the whole way: only the socket is left out.
    """

    checksum_key = CHECKSUM_KEY

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partner = cls.env["res.partner"].create(
            {"name": "Juma Hamisi", "email": "juma@example.com"}
        )
        cls.sandbox = Sandbox(
            checksum_key=cls.checksum_key, billpay_namba="1122", deliver="manual"
        )
        create_app(cls.sandbox)
        cls.gateway = InProcess(cls.sandbox)
        cls.provider = cls._make_application(cls.company)

    @classmethod
    def _make_application(cls, company, **values):
        template = cls.env.ref("billpay_odoo.payment_provider_clickpesa").sudo()
        provider = template.copy({"company_id": company.id})
        provider.write(
            {
                "clickpesa_base_url": BASE_URL,
                "clickpesa_client_id": "IDsandbox",
                "clickpesa_api_key": "SKsandbox",
                "clickpesa_checksum_key": cls.checksum_key,
                "clickpesa_billpay_namba": "1122",
                # What is tested elsewhere is not to depend on the minute.
                "clickpesa_calls_per_minute": 0,
                # Tests pay on days of their own choice.
                "billpay_book_from": "2020-01-01 00:00:00",
                "state": "test",
                **values,
            }
        )
        return provider

    @classmethod
    def _user(cls, login, *groups, company=None):
        """Return a new internal user of one company."""
        company = company or cls.company
        return new_test_user(
            cls.env,
            login,
            groups=",".join(("base.group_user", *groups)),
            name=login,
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )

    def setUp(self):
        super().setUp()
        forget_clients()
        self.sandbox.reset()
        self.sandbox.faults.clear()
        self.sandbox.settings.update({"checksum_key": self.checksum_key})

    @classmethod
    def _request_handler(cls, s, r, /, **kw):
        if r.url.startswith(BASE_URL):
            return cls.gateway.send(r, **kw)
        if r.url.startswith("https://sandbox.example.test"):
            raise requests.exceptions.ConnectTimeout("no such place")
        return super()._request_handler(s, r, **kw)

    # === Steps of the story === #

    @classmethod
    def _invoice(cls, amount=150000, post=True, partner=None, **values):
        """A customer invoice over ``amount`` TZS without tax."""
        move = cls.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": (partner or cls.partner).id,
                "invoice_date": "2026-03-01",
                "currency_id": cls.tzs.id,
                "invoice_line_ids": [
                    Command.create(
                        {
                            "name": "Ada ya shule",
                            "price_unit": amount,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
                **values,
            }
        )
        if post:
            move.action_post()
        return move

    @contextmanager
    def _workers(self):
        """Let scheduled actions commit inside the test's transaction."""
        # As a commit does, with what waits for the end of a transaction.
        self.env.cr.flush()
        with self.enter_registry_test_mode():
            yield
        self.env.invalidate_all()

    def _run_cron(self, name):
        with self._workers():
            self.env.ref(f"billpay_odoo.{name}").sudo().method_direct_trigger()

    def _sync(self, paused=False):
        """Run the sync worker; by default as if no application were in a pause."""
        if not paused:
            self.env["payment.provider"].sudo().search(
                [("billpay_paused_until", "!=", False)]
            ).write({"billpay_paused_until": "2020-01-01"})
        self._run_cron("ir_cron_sync_numbers")

    def _process(self):
        self._run_cron("ir_cron_process_payments")

    def _poll(self):
        self._run_cron("ir_cron_poll_payments")

    def _registered_invoice(self, amount=150000, **values):
        """A posted invoice whose number ClickPesa has confirmed."""
        move = self._invoice(amount, **values)
        self._sync()
        self.assertEqual(move.billpay_number_id.state, "open")
        return move

    @classmethod
    def _had_since(cls, number, moment):
        """Let digits be given out before somebody pays them on a day of the past."""
        cls.env["billpay.control.number"].flush_model()
        cls.env.cr.execute(
            "UPDATE billpay_control_number"
            "   SET create_date = least(create_date, %s::timestamp - interval '1 day')"
            " WHERE upper(name) = ANY(%s)",
            [moment, number_spellings(number)],
        )
        cls.env["billpay.control.number"].invalidate_model(["create_date"])

    @classmethod
    def _make_known(cls, number, **values):
        """Let ClickPesa have all that a number asks for, without a call."""
        number.write({"state": "open", "wanted_active": True, **values})
        number.write(
            {
                "confirmed_at": fields.Datetime.now(),
                "known_active": True,
                "known_amount": number.amount,
                "known_mode": number.mode,
                "known_max_amount": number.max_amount,
                "known_description": number.description,
                "sync_at": False,
                "sync_error": False,
            }
        )
        return number

    def _pay(self, number, amount, **kw):
        """The payer pays at the sandbox; nothing is told to us yet."""
        return self.sandbox.pay(number, amount, deliver=False, **kw)

    def _event(self, payment, *, signed=True, provider=None, **variants):
        """A delivery of a sandbox payment, stored as the webhook stores it."""
        raw = json.dumps(self.sandbox.webhook_body(payment["id"], **variants)).encode()
        self.env["billpay.event"]._store_delivery(
            (provider or self.provider).sudo(),
            raw,
            parse_notification(raw),
            signed=signed,
        )

    def _ledger(self, payment):
        """The row of a sandbox payment in the ledger."""
        return self.env["billpay.payment"].search([("reference", "=", payment["id"])])

    def assertBooked(self, billpay_payment, amount):
        """Exactly one entry: ``amount`` on the outstanding and receivable accounts."""
        self.assertEqual(billpay_payment.state, "posted", billpay_payment.reason)
        entry = billpay_payment.account_payment_ids.move_id
        self.assertEqual(len(entry), 1)
        self.assertEqual(entry.state, "posted")
        receivable = entry.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        other = entry.line_ids - receivable
        self.assertRecordValues(receivable, [{"debit": 0.0, "credit": amount}])
        self.assertRecordValues(other, [{"debit": amount, "credit": 0.0}])


@tagged("post_install", "-at_install")
class BillPayHttpCommon(BillPayCommon, HttpCase):
    """The same, with the server answering on a port."""

    @contextmanager
    def _workers(self):
        # The registry of an HTTP test is in test mode already.
        self.env.cr.flush()
        yield
        self.env.invalidate_all()

    def _deliver(self, body, token=None, headers=None):
        """POST a delivery to the webhook (bytes, or an object sent as JSON)."""
        token = token or self.provider.sudo().clickpesa_webhook_token
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.url_open(
            f"/payment/clickpesa/webhook/{token}",
            data=data,
            method="POST",
            headers={"Content-Type": "application/json", **(headers or {})},
        )
