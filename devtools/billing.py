# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a person would do in the browser, over the external API."""

import time

from . import rpc
from .console import Problem
from .services import SANDBOX

# Seconds; a step that takes longer has failed.
PATIENCE = 60
POLL_CRON = "billpay_odoo.ir_cron_poll_payments"


class Billing:
    """The demo company's Odoo and the sandbox, with the steps of the main job."""

    def __init__(self, url, database, sandbox):
        self.url = url
        self.sandbox = sandbox
        self.odoo = rpc.Odoo(url, database)

    def configure(self):
        """Point the Tanzanian company's application and the sandbox at each other."""
        odoo = self.odoo
        for name, value in (
            ("web.base.url", self.url),
            ("web.base.url.freeze", "True"),
        ):
            odoo.call("ir.config_parameter", "set_param", name, value)
        domain = [("chart_template", "=", "tz")]
        companies = odoo.find("res.company", domain, ["name"], limit=1)
        if not companies:
            raise Problem("The demo data has no Tanzanian company.")
        odoo.company = companies[0]["id"]
        # Both before and after: the browser opens in this company.
        odoo.call("res.users", "write", [odoo.user], {"company_id": odoo.company})
        provider = self._provider()
        odoo.call(
            "payment.provider",
            "write",
            [provider],
            {
                "clickpesa_base_url": f"{self.sandbox}/third-parties",
                "clickpesa_client_id": SANDBOX["client-id"],
                "clickpesa_api_key": SANDBOX["api-key"],
                "clickpesa_checksum_key": SANDBOX["checksum-key"],
                "clickpesa_billpay_namba": SANDBOX["billpay-namba"],
                "state": "test",
            },
        )
        odoo.call(
            "res.company",
            "write",
            [odoo.company],
            {"billpay_provider_id": provider},
        )
        values = odoo.read("payment.provider", provider, ["clickpesa_webhook_url"])
        webhook = {"webhook_url": values["clickpesa_webhook_url"]}
        rpc.request(f"{self.sandbox}/_sandbox/settings", webhook)

    def _provider(self):
        """Id of the company's application; copied from the one of the installation."""
        odoo = self.odoo
        domain = [("code", "=", "clickpesa")]
        own = [*domain, ("company_id", "=", odoo.company)]
        found = odoo.find("payment.provider", own, ["id"], limit=1)
        if found:
            return found[0]["id"]
        all_companies = odoo.call("res.company", "search", [])
        context = {"allowed_company_ids": [odoo.company, *all_companies]}
        found = odoo.call(
            "payment.provider", "search", domain, limit=1, context=context
        )
        if not found:
            raise Problem("Odoo has no payment provider with the code clickpesa.")
        made = odoo.call(
            "payment.provider",
            "copy",
            found,
            {"company_id": odoo.company, "name": "ClickPesa BillPay"},
            context=context,
        )
        made = made[0] if isinstance(made, list) else made
        # Odoo's copy appends "(copy)", whatever the name.
        odoo.call("payment.provider", "write", [made], {"name": "ClickPesa BillPay"})
        return made

    def invoice(self, amount, text):
        """Create and post a customer invoice; its id."""
        odoo = self.odoo
        domain = [("is_company", "=", True), ("company_id", "=", False)]
        partner = odoo.call("res.partner", "search", domain, limit=1)[0]
        line = {"name": text, "quantity": 1, "price_unit": amount, "tax_ids": [(5,)]}
        move = odoo.call(
            "account.move",
            "create",
            {
                "move_type": "out_invoice",
                "partner_id": partner,
                "invoice_line_ids": [(0, 0, line)],
            },
        )
        odoo.call("account.move", "action_post", [move])
        return move

    def confirmed_number(self, move):
        """Wait until ClickPesa knows the invoice's number; the digits."""

        def number():
            values = self.odoo.read("account.move", move, ["billpay_number_id"])
            found = values["billpay_number_id"]
            if not found:
                return None
            fields = ["name", "state"]
            values = self.odoo.read("billpay.control.number", found[0], fields)
            if values["state"] == "failed":
                raise Problem(f"number {values['name']} was refused")
            return values["name"] if values["state"] == "open" else None

        return rpc.until(number, PATIENCE, "the number is confirmed")

    def pay(self, number, amount, *, deliver):
        """Pay at the sandbox, with or without the webhook; the payment."""
        body = {"number": number, "amount": amount, "deliver": deliver}
        return rpc.request(f"{self.sandbox}/_sandbox/pay", body)

    def poll(self):
        """Run the scheduled action that asks ClickPesa for payments."""
        cron = self.odoo.ref(POLL_CRON)
        self.odoo.call("ir.cron", "method_direct_trigger", [cron])

    def paid(self, move):
        """Wait until the invoice is paid; what proves it."""
        fields = ["name", "payment_state", "amount_residual", "billpay_number_ids"]

        def state():
            values = self.odoo.read("account.move", move, fields)
            return values if values["payment_state"] == "paid" else None

        values = rpc.until(state, PATIENCE, "the invoice is paid")
        domain = [("control_number_id", "in", values["billpay_number_ids"])]
        fields = ["reference", "state", "account_payment_ids"]
        payments = self.odoo.find("billpay.payment", domain, fields)
        if len(payments) != 1:
            raise Problem(f"expected one BillPay payment, found {len(payments)}")
        entries = self.odoo.call(
            "account.payment", "read", payments[0]["account_payment_ids"], ["move_id"]
        )
        if not entries or not entries[0]["move_id"]:
            raise Problem("the payment has no journal entry")
        # The name without what the display adds in brackets.
        entry = entries[0]["move_id"][1].partition(" ")[0]
        return {**values, **payments[0], "entry": entry}

    def example(self):
        """The number of an unpaid invoice for a newcomer to pay."""
        domain = [
            ("move_type", "=", "out_invoice"),
            ("payment_state", "=", "not_paid"),
            ("billpay_number_ids.state", "=", "open"),
        ]
        found = self.odoo.call("account.move", "search", domain, limit=1)
        move = found[0] if found else self.invoice(45_000, "School fees, first term")
        return self.confirmed_number(move)


def timed(function, *arguments, **options):
    """Call it; the result and the seconds."""
    start = time.monotonic()
    result = function(*arguments, **options)
    return result, time.monotonic() - start
