# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import timedelta
from urllib.parse import urlsplit

import requests

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


class BillpayConnectionTest(models.AbstractModel):
    """Check an application step by step, one sentence per check."""

    _name = "billpay.connection.test"
    _description = "BillPay Connection Test"

    def _connection_checks(self, providers):
        """Return ``(passed, sentence)`` for each step; the later need the earlier.

        ``passed`` is ``None`` for what could not be tried.
        """
        if not providers._billpay_has_credentials():
            return [
                (
                    None,
                    providers.env._(
                        "There is no client ID and API key, so ClickPesa is not asked: "
                        "control numbers are made offline, and payments come by signed "
                        "webhook or are entered from their receipts."
                    ),
                ),
                self._check_books(providers),
                self._check_webhook(providers),
            ]
        try:
            client = providers._billpay_client()
        except (UserError, ClickPesaError) as error:
            return [(False, str(error))]
        try:
            client.token(force=True)
        except ClickPesaError as error:
            return [
                (
                    False,
                    providers.env._(
                        "ClickPesa gave no token: %s Compare API address, client ID "
                        "and API key with its dashboard: Settings, Developers.",
                        error.message,
                    ),
                )
            ]
        return [
            (True, providers.env._("ClickPesa accepts client ID and API key.")),
            self._check_clock(providers, client),
            self._check_billpay(providers, client),
            self._check_payments(providers, client),
            self._check_books(providers),
            self._check_webhook(providers),
        ]

    def _check_clock(self, providers, client):
        skew = client.clock_skew
        if skew is not None and abs(skew) > MAX_SKEW:
            return (
                False,
                providers.env._(
                    "The clocks of this server and ClickPesa differ by %s seconds. "
                    "Payments would get a wrong time: switch on time synchronisation "
                    "(NTP) on the server.",
                    round(abs(skew)),
                ),
            )
        return True, providers.env._("The clocks agree.")

    def _check_billpay(self, providers, client):
        good = True, providers.env._("The BillPay feature is switched on.")
        try:
            client.get_number(PROBE_NUMBER)
        except NotFound:
            return good  # the right answer for a number that does not exist
        except ClickPesaError as error:
            return (
                False,
                providers.env._(
                    "Control numbers cannot be reached: %s Switch on the BillPay "
                    "feature of the application at ClickPesa.",
                    error.message,
                ),
            )
        return good

    def _check_payments(self, providers, client):
        try:
            client.payments_page(limit=1)
        except ClickPesaError as error:
            return (
                False,
                providers.env._(
                    "Payments cannot be read: %s Switch on the collection feature of "
                    "the application at ClickPesa.",
                    error.message,
                ),
            )
        return True, providers.env._(
            "Payments can be read, so lost webhooks are found."
        )

    def _check_books(self, providers):
        if not providers.journal_id:
            return (
                False,
                providers.env._(
                    "No payment journal is set, so payments cannot be booked. Choose "
                    "one on this page, under Configuration."
                ),
            )
        return (
            True,
            providers.env._(
                "Payments are booked in the journal %s.", providers.journal_id.name
            ),
        )

    def _check_webhook(self, providers):
        """Say whether deliveries can come: whether one came, else by trying."""
        url = providers.sudo().clickpesa_webhook_url or ""
        last = providers.env["billpay.event"].search(
            [("provider_id", "=", providers.id), ("state", "!=", "quarantine")], limit=1
        )
        if last and last.last_received_at > fields.Datetime.now() - timedelta(days=7):
            return (
                True,
                providers.env._(
                    "Webhooks arrive, the last one on %s.",
                    format_datetime(providers.env, last.last_received_at),
                ),
            )
        if config["workers"] == 1:
            # The only HTTP worker is busy with this very click.
            return (
                None,
                providers.env._(
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
                providers.env._(
                    "The webhook URL does not answer at %s. Payments are still found, "
                    "by asking every few minutes. Correct the system parameter "
                    "web.base.url, or the proxy in front of Odoo.",
                    urlsplit(url).netloc,
                ),
            )
        return (
            True,
            providers.env._(
                "The webhook URL answers, seen from this server; no webhook has come "
                "lately. Enter it at ClickPesa on this application."
            ),
        )
