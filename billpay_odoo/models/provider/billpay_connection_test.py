# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import timedelta
from urllib.parse import urlsplit

import requests
from markupsafe import Markup

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import config, format_datetime

from ...clickpesa import ClickPesaError, NotFound

# Nobody's number: asking for it shows whether the BillPay feature answers.
PROBE_NUMBER = "0"
# Half of the shortest time in which a wrong clock would matter (seconds).
MAX_SKEW = 120
# Patience with our own address (seconds).
PROBE_TIMEOUT = 3
# Colour and sign of a check.
_MARKS = {
    True: ("text-success", "✓"),
    False: ("text-danger", "✗"),
    None: ("text-muted", "–"),
}


class BillpayConnectionTest(models.AbstractModel):
    """Check an application step by step, one sentence per check."""

    _name = "billpay.connection.test"
    _description = "BillPay Connection Test"

    def _report(self, provider):
        """Check an application and write the report on it."""
        checks = self._connection_checks(provider)
        if all(passed is not False for passed, _sentence in checks[:3]):
            # It answers, and takes what numbers need: what waited need not wait on.
            self.env["billpay.gate"]._answered(provider)
        lines = Markup("").join(
            Markup('<li><span class="%s fw-bold">%s</span> %s</li>')
            % (*_MARKS[passed], sentence)
            for passed, sentence in checks
        )
        now = format_datetime(self.env, fields.Datetime.now())
        provider.billpay_connection_report = Markup(
            '<p class="mb-1">%s</p><ul class="list-unstyled">%s</ul>'
        ) % (self.env._("Tested on %s:", now), lines)

    def _connection_checks(self, provider):
        """Return ``(passed, sentence)`` for each step; the later need the earlier.

        ``passed`` is ``None`` for what could not be tried.
        """
        env = provider.env
        if not provider._billpay_has_credentials():
            unasked = env._(
                "Without client ID and API key Odoo does not call ClickPesa: control "
                "numbers are made offline, and payments arrive by signed webhook or "
                "are entered from their receipts."
            )
            return [
                (None, unasked),
                self._check_books(provider),
                self._check_webhook(provider),
            ]
        try:
            client = provider._billpay_client()
        except (UserError, ClickPesaError) as error:
            return [(False, str(error))]
        token = self._try(
            lambda: client.token(force=True),
            env._("ClickPesa accepts client ID and API key."),
            env._(
                "ClickPesa gave no token: %s Compare API address, client ID and API "
                "key with its dashboard: Settings, Developers."
            ),
        )
        if not token[0]:
            return [token]
        return [
            token,
            self._check_clock(provider, client),
            self._try(
                lambda: client.get_number(PROBE_NUMBER),
                env._("The BillPay feature is switched on."),
                env._(
                    "Control numbers cannot be reached: %s Switch on the BillPay "
                    "feature of the application at ClickPesa."
                ),
                right=NotFound,
            ),
            self._try(
                lambda: client.payments_page(limit=1),
                env._("Payments can be read, so lost webhooks are found."),
                env._(
                    "Payments cannot be read: %s Switch on the collection feature of "
                    "the application at ClickPesa."
                ),
            ),
            self._check_books(provider),
            self._check_webhook(provider),
        ]

    def _try(self, call, good, bad, right=()):
        """Make a call; ``right`` is an error that is the right answer all the same."""
        try:
            call()
        except ClickPesaError as error:
            if not isinstance(error, right):
                return False, bad % error.message
        return True, good

    def _check_clock(self, provider, client):
        skew = client.clock_skew
        if skew is None or abs(skew) <= MAX_SKEW:
            return True, provider.env._("The clocks agree.")
        return False, provider.env._(
            "The clocks of this server and ClickPesa differ by %s seconds, so payments "
            "get a wrong time. Switch on time synchronisation (NTP) on the server.",
            round(abs(skew)),
        )

    def _check_books(self, provider):
        env, journal = provider.env, provider.journal_id
        if not journal:
            return False, env._(
                "No payment journal is set, so payments cannot be posted. Choose one "
                "on this page, under Configuration."
            )
        if journal.company_id not in provider.company_id.parent_ids:
            return False, env._(
                "The payment journal %(journal)s belongs to %(other)s and the "
                "application to %(company)s, so payments cannot be posted. Choose a "
                "journal of %(company)s on this page, under Configuration.",
                journal=journal.name,
                other=journal.company_id.name,
                company=provider.company_id.name,
            )
        for line in provider._billpay_method_lines():
            if account := provider._billpay_foreign_account(line):
                return False, env._(
                    "The journal %(journal)s posts payments to the outstanding account "
                    "%(account)s of %(other)s, which entries of %(company)s cannot "
                    "use, so payments cannot be posted. Open the journal, tab Incoming "
                    "Payments, and choose an account of %(company)s.",
                    journal=journal.name,
                    account=account.name,
                    other=", ".join(account.company_ids.mapped("name")),
                    company=provider.company_id.name,
                )
        return True, env._("Payments are posted in the journal %s.", journal.name)

    def _check_webhook(self, provider):
        """Say whether deliveries can come: whether one came, else by trying."""
        env = provider.env
        last = env["billpay.event"].search(
            [("provider_id", "=", provider.id), ("state", "!=", "quarantine")], limit=1
        )
        if last and last.last_received_at > fields.Datetime.now() - timedelta(days=7):
            return True, env._(
                "Webhooks arrive, the last one on %s.",
                format_datetime(env, last.last_received_at),
            )
        if config["workers"] == 1:
            # The only HTTP worker is busy with this very click.
            return None, env._(
                "The webhook URL was not tested: Odoo runs with a single worker and "
                "cannot call itself. The poll still finds payments. Open the URL in a "
                "browser: Method Not Allowed is the right answer."
            )
        url = provider.sudo().clickpesa_webhook_url or ""
        try:
            answer = requests.get(
                url, timeout=PROBE_TIMEOUT, allow_redirects=False, stream=True
            )
            answer.close()
            # Our address takes POST only, and says so.
            found = answer.status_code == 405
        except requests.RequestException:
            found = False
        if not found:
            return False, env._(
                "The webhook URL does not answer at %s. The poll finds payments all "
                "the same. Correct the system parameter web.base.url, or the proxy in "
                "front of Odoo.",
                urlsplit(url).netloc,
            )
        return True, env._(
            "The webhook URL answers, seen from this server; no webhook has arrived "
            "lately. Enter it at ClickPesa on this application."
        )
