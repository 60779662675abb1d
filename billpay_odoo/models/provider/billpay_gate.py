# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import timedelta

from odoo import fields, models
from odoo.fields import Domain
from odoo.tools.misc import hmac

from ...clickpesa import BudgetSpent
from ...const import SEND_CRON
from ...transactions import FURTHEST_PAUSE, pause_after

# Whose deliveries a checksum key signs, and the key.
SIGNED_BY = ("clickpesa_base_url", "clickpesa_client_id", "clickpesa_checksum_key")
# Replaced checksum keys that are accepted beside the present one.
MOST_OLD_KEYS = 3


class BillpayGate(models.AbstractModel):
    """When an application may call ClickPesa, and whose signatures it takes.

    Its budget, its pause after trouble, its replaced checksum keys, its merchant.
    """

    _name = "billpay.gate"
    _description = "BillPay Gate"

    def _budget(self, provider):
        """Return whose budget this application has, and its calls per minute.

        ClickPesa counts per client ID, so applications that share one share the
        budget: the smallest limit of them holds. The client ID itself is for
        administrators, so slots carry a keyed hash of it.
        """
        provider_sudo = provider.sudo().with_context(active_test=False)
        address = (provider_sudo.clickpesa_base_url or "").rstrip("/")
        client_id = provider_sudo.clickpesa_client_id
        sharing = provider_sudo.search(
            [
                ("code", "=", "clickpesa"),
                *provider_sudo._billpay_on_domain(),
                ("clickpesa_client_id", "=", client_id),
                ("clickpesa_base_url", "in", (address, address + "/")),
            ],
            order="id",
        )
        budget = hmac(provider_sudo.env, "billpay-call-budget", (address, client_id))
        limits = sharing.mapped("clickpesa_calls_per_minute")
        return budget, min(filter(None, limits), default=0)

    def _refusal(self, provider):
        """Return why an application does not call ClickPesa, or "" where it does."""
        if provider._billpay_may_call():
            return ""
        if provider._billpay_is_on():
            return provider.env._(
                "This database is neutralised, as copies for tests are, so ClickPesa "
                "was not asked. No money is affected. To try it out, see Copies of a "
                "Database in the operator guide."
            )
        return provider.env._(
            "The ClickPesa application %(name)s is switched off, so ClickPesa was not "
            "asked. No money is affected. Set it to Test Mode or Enabled under "
            "Invoicing, Configuration, BillPay, BillPay Applications.",
            name=provider.name,
        )

    def _paused_domain(self, path=""):
        """Return the domain of applications that wait before they call."""
        now, until = fields.Datetime.now(), f"{path}billpay_paused_until"
        furthest = now + timedelta(seconds=FURTHEST_PAUSE)
        return Domain(until, ">", now) & Domain(until, "<=", furthest)

    def _pause(self, provider, error):
        """Let no scheduled action call again for a while, and say why.

        After the pause one call is made. If it fails the next pause is longer; as
        soon as one succeeds everything goes on (`_answered`). A spent budget only
        waits for its next slot.

        :param ClickPesaError error: what happened
        :return: when the next call is due
        """
        # Of the database as it is now: another worker may have counted on.
        provider.invalidate_recordset(["billpay_trouble_count"])
        values = {"billpay_trouble": error.message}
        wait = getattr(error, "retry_after", None)
        if isinstance(error, BudgetSpent):
            seconds = wait or 1
        else:
            count = provider.billpay_trouble_count + 1
            seconds = max(pause_after(count), wait or 0)
            values["billpay_trouble_count"] = count
        until = fields.Datetime.now() + timedelta(seconds=seconds)
        provider.write({**values, "billpay_paused_until": until})
        provider._billpay_trigger("ir_cron_sync_numbers", at=until)
        return until

    def _probe(self, providers, until):
        """Keep everybody else from calling while one call shows how things are."""
        providers.write({"billpay_paused_until": until})

    def _answered(self, providers):
        """ClickPesa answers (again): nothing of this application waits any longer."""
        troubled = Domain("billpay_paused_until", "!=", False)
        troubled |= Domain("billpay_trouble_count", ">", 0)
        troubled &= Domain("id", "in", providers.ids)
        # Asked of the database: another worker may have met trouble meanwhile.
        for provider in providers.sudo().search(troubled, order="id"):
            self._resume(provider.sudo(providers.env.su))

    def _resume(self, providers):
        providers.write(
            {
                "billpay_paused_until": False,
                "billpay_trouble": False,
                "billpay_trouble_count": 0,
            }
        )
        # What failed waits for the next try; that is now. Leased rows have no error.
        now = fields.Datetime.now()
        waiting = [
            ("provider_id", "in", providers.ids),
            ("sync_at", ">", now),
            ("sync_error", "!=", False),
        ]
        numbers_sudo = providers.env["billpay.control.number"].sudo()
        numbers_sudo.search(waiting).write({"sync_at": now})
        providers._billpay_trigger("ir_cron_sync_numbers")
        # Documents may have waited for their numbers.
        providers._billpay_trigger(SEND_CRON)

    def _keep_replaced_keys(self, before):
        """Accept deliveries with a replaced checksum key while both sides change.

        Not that of another application at ClickPesa: its key proves nothing here.

        :param dict before: what ``SIGNED_BY`` names, of each before the change
        """
        now = fields.Datetime.to_string(fields.Datetime.now())
        for provider, (*owner, replaced) in before.items():
            *new_owner, key = (provider[name] for name in SIGNED_BY)
            kept = provider.clickpesa_old_checksum_keys or []
            if owner != new_owner:
                kept = []
            elif replaced and replaced != key:
                # What was signed with yet another key went to quarantine meanwhile.
                provider._billpay_trigger("ir_cron_poll_payments")
                kept = [pair for pair in kept if pair[0] != replaced]
                kept.append([replaced, now])
            kept = [pair for pair in kept if pair[0] != key][-MOST_OLD_KEYS:]
            if kept != (provider.clickpesa_old_checksum_keys or []):
                provider.clickpesa_old_checksum_keys = kept or False

    def _tell_merchants(self):
        """Write down which applications are of one merchant.

        Payments have no client ID where numbers were made offline or on the dashboard,
        so whichever application hears of one, it is one payment of the merchant.
        """
        merchants, merchant_of = {}, {}
        apps_sudo = self.env["payment.provider"].sudo()
        for app in apps_sudo.search([("code", "=", "clickpesa")], order="id"):
            address = app._billpay_address()
            names = [
                (address, name, app[name])
                for name in ("clickpesa_billpay_namba", "clickpesa_client_id")
                if app[name]
            ]
            known = [merchant_of[name] for name in names if name in merchant_of]
            first = min(known, default=app.id)
            for other in set(known) - {first}:
                merchants[first] |= merchants.pop(other)
            merchants[first] = merchants.get(first, apps_sudo.browse()) | app
            merchant_of.update(dict.fromkeys(names, first))
            for name, merchant in merchant_of.items():
                merchant_of[name] = first if merchant in known else merchant
        for merchant, apps in merchants.items():
            if moved := apps.filtered(lambda a, m=merchant: a.billpay_merchant != m):
                self.env["billpay.ledger"]._unite(apps)
                moved.billpay_merchant = merchant
