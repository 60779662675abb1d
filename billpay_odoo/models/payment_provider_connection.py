# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging
from datetime import timedelta
from urllib.parse import urlsplit

from odoo import fields, models
from odoo.exceptions import UserError

from ..clickpesa import (
    AuthenticationRefused,
    ClickPesaError,
)

_logger = logging.getLogger(__name__)

# Hosts that ClickPesa cannot reach from outside.
_PRIVATE_HOSTS = ("localhost", "127.", "10.", "192.168.", "0.0.0.0", "[::1]")


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    def action_billpay_test_connection(self):
        """Check the application step by step, one sentence per check.

        Reads only: nothing is created at ClickPesa.
        """
        self.ensure_one()
        self.check_access("write")
        checks = self._billpay_connection_checks()
        good = all(passed for passed, _sentence in checks)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "title": self.env._("The connection works")
                if good
                else self.env._("The connection needs attention"),
                "message": "\n".join(
                    "%s %s" % ("✓" if passed else "✗", sentence)
                    for passed, sentence in checks
                ),
                "type": "success" if good else "warning",
                "sticky": True,
            },
        }

    def _billpay_connection_checks(self):
        """Return ``(passed, sentence)`` for token, feature, books and webhook."""
        checks = []
        try:
            client = self._billpay_client()
        except UserError as error:
            return [(False, str(error))]
        try:
            client.token(force=True)
            checks.append(
                (True, self.env._("ClickPesa accepts client ID and API key."))
            )
        except AuthenticationRefused as error:
            return [
                (
                    False,
                    self.env._(
                        "ClickPesa refuses the credentials (%s) Copy client ID and API "
                        "key again from its dashboard: Settings, Developers.",
                        error.message,
                    ),
                )
            ]
        except ClickPesaError as error:
            return [
                (
                    False,
                    self.env._(
                        "ClickPesa does not answer at the API address: %s",
                        error.message,
                    ),
                )
            ]
        checks.append(self._billpay_check_payments(client))
        checks.append(self._billpay_check_books())
        checks.append(self._billpay_check_webhook())
        return checks

    def _billpay_check_payments(self, client):
        try:
            client.payments_page(limit=1)
        except ClickPesaError as error:
            return (
                False,
                self.env._(
                    "Payments cannot be read: %s Switch on the collection and BillPay "
                    "features of the application at ClickPesa.",
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
        """Say whether deliveries can come, and whether one came."""
        url = self.sudo().clickpesa_webhook_url or ""
        host = urlsplit(url).hostname or ""
        last = (
            self.env["billpay.event"]
            .sudo()
            .search([("provider_id", "=", self.id)], limit=1)
        )
        if last:
            recent = last.last_received_at > fields.Datetime.now() - timedelta(days=7)
            return (
                recent or last.state != "quarantine",
                self.env._("The last webhook came on %s (UTC).", last.last_received_at),
            )
        if host.startswith(_PRIVATE_HOSTS) or not url.startswith("https://"):
            return (
                False,
                self.env._(
                    "The webhook URL points to %s, which ClickPesa reaches only on the "
                    "same machine and needs https elsewhere. Payments are still found "
                    "by asking, some minutes later.",
                    host,
                ),
            )
        return (
            False,
            self.env._(
                "No webhook has come yet. Enter the webhook URL at ClickPesa on this "
                "application; until then payments are found by asking."
            ),
        )
