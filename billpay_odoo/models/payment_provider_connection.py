# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import timedelta
from urllib.parse import urlsplit

import requests
from markupsafe import Markup

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import config, format_datetime

from ..clickpesa import ClickPesaError, NotFound

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


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    billpay_connection_report = fields.Html(
        string="Connection", readonly=True, copy=False, groups="base.group_system"
    )

    def action_billpay_test_connection(self):
        """Check the application step by step, one sentence per check.

        Reads only: nothing is created at ClickPesa.
        """
        self.ensure_one()
        self.check_access("write")
        checks = self._billpay_connection_checks()
        if all(passed is not False for passed, _sentence in checks[:3]):
            # It answers, and takes what numbers need: what waited need not wait on.
            self._billpay_answered()
        lines = Markup("").join(
            Markup('<li><span class="%s fw-bold">%s</span> %s</li>')
            % (
                *_MARKS[passed],
                sentence,
            )
            for passed, sentence in checks
        )
        self.billpay_connection_report = Markup(
            '<p class="mb-1">%s</p><ul class="list-unstyled">%s</ul>'
        ) % (
            self.env._(
                "Tested on %s:", format_datetime(self.env, fields.Datetime.now())
            ),
            lines,
        )

    def _billpay_connection_checks(self):
        """Return ``(passed, sentence)`` for each step; the later need the earlier.

        ``passed`` is ``None`` for what could not be tried.
        """
        if not self._billpay_has_credentials():
            return [
                (
                    None,
                    self.env._(
                        "There is no client ID and API key, so ClickPesa is not asked: "
                        "control numbers are made offline, and payments come by signed "
                        "webhook or are entered from their receipts."
                    ),
                ),
                self._billpay_check_books(),
                self._billpay_check_webhook(),
            ]
        try:
            client = self._billpay_client()
        except (UserError, ClickPesaError) as error:
            return [(False, str(error))]
        try:
            client.token(force=True)
        except ClickPesaError as error:
            return [
                (
                    False,
                    self.env._(
                        "ClickPesa gave no token: %s Compare API address, client ID "
                        "and API key with its dashboard: Settings, Developers.",
                        error.message,
                    ),
                )
            ]
        return [
            (True, self.env._("ClickPesa accepts client ID and API key.")),
            self._billpay_check_clock(client),
            self._billpay_check_billpay(client),
            self._billpay_check_payments(client),
            self._billpay_check_books(),
            self._billpay_check_webhook(),
        ]

    def _billpay_check_clock(self, client):
        skew = client.clock_skew
        if skew is not None and abs(skew) > MAX_SKEW:
            return (
                False,
                self.env._(
                    "The clocks of this server and ClickPesa differ by %s seconds. "
                    "Payments would get a wrong time: switch on time synchronisation "
                    "(NTP) on the server.",
                    round(abs(skew)),
                ),
            )
        return True, self.env._("The clocks agree.")

    def _billpay_check_billpay(self, client):
        good = True, self.env._("The BillPay feature is switched on.")
        try:
            client.get_number(PROBE_NUMBER)
        except NotFound:
            return good  # the right answer for a number that does not exist
        except ClickPesaError as error:
            return (
                False,
                self.env._(
                    "Control numbers cannot be reached: %s Switch on the BillPay "
                    "feature of the application at ClickPesa.",
                    error.message,
                ),
            )
        return good

    def _billpay_check_payments(self, client):
        try:
            client.payments_page(limit=1)
        except ClickPesaError as error:
            return (
                False,
                self.env._(
                    "Payments cannot be read: %s Switch on the collection feature of "
                    "the application at ClickPesa.",
                    error.message,
                ),
            )
        return True, self.env._("Payments can be read, so lost webhooks are found.")

    def _billpay_check_books(self):
        if not self.journal_id:
            return (
                False,
                self.env._(
                    "No payment journal is set, so payments cannot be booked. Choose "
                    "one on this page, under Configuration."
                ),
            )
        return (
            True,
            self.env._("Payments are booked in the journal %s.", self.journal_id.name),
        )

    def _billpay_check_webhook(self):
        """Say whether deliveries can come: whether one came, else by trying."""
        url = self.sudo().clickpesa_webhook_url or ""
        last = self.env["billpay.event"].search(
            [("provider_id", "=", self.id), ("state", "!=", "quarantine")], limit=1
        )
        if last and last.last_received_at > fields.Datetime.now() - timedelta(days=7):
            return (
                True,
                self.env._(
                    "Webhooks arrive, the last one on %s.",
                    format_datetime(self.env, last.last_received_at),
                ),
            )
        if config["workers"] == 1:
            # The only HTTP worker is busy with this very click.
            return (
                None,
                self.env._(
                    "Whether the webhook URL answers could not be tried: Odoo runs "
                    "with one worker, which cannot ask itself. Payments are found "
                    "anyway, by asking every few minutes. Open the URL in a browser: "
                    "Method Not Allowed is the right answer."
                ),
            )
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
            return (
                False,
                self.env._(
                    "The webhook URL does not answer at %s. Payments are still found, "
                    "by asking every few minutes. Correct the system parameter "
                    "web.base.url, or the proxy in front of Odoo.",
                    urlsplit(url).netloc,
                ),
            )
        return (
            True,
            self.env._(
                "The webhook URL answers, seen from this server; no webhook has come "
                "lately. Enter it at ClickPesa on this application."
            ),
        )
