# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""When an application may call ClickPesa: its budget, and its pause after trouble."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools.misc import hmac

from ..clickpesa import BudgetSpent
from .billpay_control_number_sync import pause_after

# A changed one of these may be what ends the trouble.
_SETTINGS = {
    "state",
    "clickpesa_base_url",
    "clickpesa_client_id",
    "clickpesa_api_key",
    "clickpesa_checksum_key",
    "clickpesa_calls_per_minute",
}


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    clickpesa_calls_per_minute = fields.Integer(
        string="Calls per Minute",
        default=100,
        help="The most calls to ClickPesa in any minute, of all servers and users "
        "together. Applications with the same client ID share it. 0: no limit.",
        groups="base.group_system",
    )
    billpay_paused_until = fields.Datetime(
        string="Next Try",
        readonly=True,
        copy=False,
        help="Until then ClickPesa is not told of control numbers, since it did not "
        "answer or the limit of calls is reached.",
    )
    billpay_trouble = fields.Char(string="Trouble", readonly=True, copy=False)
    billpay_trouble_count = fields.Integer(
        readonly=True, copy=False, help="Failed tries since the last answer."
    )

    # === CONSTRAINT METHODS === #

    @api.constrains("clickpesa_calls_per_minute")
    def _check_clickpesa_calls_per_minute(self):
        for provider in self.sudo():
            if not 0 <= provider.clickpesa_calls_per_minute <= 10000:
                raise ValidationError(
                    self.env._(
                        "Calls per minute are between 1 and 10,000, or 0 for no "
                        "limit. Nothing was saved."
                    )
                )

    # === CRUD METHODS === #

    def write(self, vals):
        result = super().write(vals)
        if not _SETTINGS.isdisjoint(vals):
            self.filtered("billpay_paused_until")._billpay_resume()
        return result

    # === BUDGET === #

    def _billpay_client(self, patience=None):
        """Override: every request of the client takes a slot of the budget first.

        :param float patience: seconds that repeats of safe calls may add; ``None`` for
            the client's own
        """
        client = super()._billpay_client()
        budget, limit = self._billpay_budget()
        gate = self.env["billpay.call.slot"]._gate(budget, limit) if limit else None
        return client.gated(gate, patience=patience)

    def _billpay_budget(self):
        """Return whose budget this application has, and its calls per minute.

        ClickPesa counts per client ID, so applications that share one share the
        budget: the smallest limit of them holds. The client ID itself is for
        administrators, so slots carry a keyed hash of it.

        :rtype: tuple[str, int]
        """
        self.ensure_one()
        provider_sudo = self.sudo()
        address = (provider_sudo.clickpesa_base_url or "").rstrip("/")
        client_id = provider_sudo.clickpesa_client_id
        limits = (
            provider_sudo.with_context(active_test=False)
            .search(
                [
                    ("code", "=", "clickpesa"),
                    ("state", "!=", "disabled"),
                    ("clickpesa_client_id", "=", client_id),
                    ("clickpesa_base_url", "in", (address, address + "/")),
                ]
            )
            .mapped("clickpesa_calls_per_minute")
        )
        budget = hmac(self.env(su=True), "billpay-call-budget", (address, client_id))
        return budget, min(filter(None, limits), default=0)

    # === PAUSE === #

    def _billpay_pause(self, error):
        """Let no scheduled action call again for a while, and say why.

        After the pause one call is made. If it fails the next pause is longer; as
        soon as one succeeds everything goes on (`_billpay_answered`). A spent budget
        only waits for its next slot.

        :param ClickPesaError error: what happened
        :return: when the next call is due
        :rtype: datetime.datetime
        """
        self.ensure_one()
        # Of the database as it is now: another worker may have counted on.
        self.invalidate_recordset(["billpay_trouble_count"])
        values = {"billpay_trouble": error.message}
        wait = getattr(error, "retry_after", None)
        if isinstance(error, BudgetSpent):
            seconds = wait or 1
        else:
            count = self.billpay_trouble_count + 1
            seconds = max(pause_after(count), wait or 0)
            values["billpay_trouble_count"] = count
        until = fields.Datetime.now() + timedelta(seconds=seconds)
        self.write({**values, "billpay_paused_until": until})
        self._billpay_trigger("ir_cron_sync_numbers", at=until)
        return until

    def _billpay_probe(self, until):
        """Keep everybody else from calling while one call shows how things are."""
        self.write({"billpay_paused_until": until})

    def _billpay_is_paused(self):
        """Tell whether scheduled actions have to wait before they call."""
        self.ensure_one()
        until = self.billpay_paused_until
        return bool(until and until > fields.Datetime.now())

    def _billpay_answered(self):
        """ClickPesa answers (again): nothing of this application waits any longer."""
        for provider in self:
            provider.invalidate_recordset(["billpay_paused_until"])
            if provider.billpay_paused_until or provider.billpay_trouble_count:
                provider._billpay_resume()

    def _billpay_resume(self):
        self.write(
            {
                "billpay_paused_until": False,
                "billpay_trouble": False,
                "billpay_trouble_count": 0,
            }
        )
        # What failed waits for the next try; that is now. Leased rows have no error.
        now = fields.Datetime.now()
        numbers_sudo = (
            self.env["billpay.control.number"]
            .sudo()
            .search(
                [
                    ("provider_id", "in", self.ids),
                    ("sync_at", ">", now),
                    ("sync_error", "!=", False),
                ]
            )
        )
        numbers_sudo.write({"sync_at": now})
        self._billpay_trigger("ir_cron_sync_numbers")
        # Documents may have waited for their numbers.
        self.env.ref("account.ir_cron_account_move_send").sudo()._trigger()
