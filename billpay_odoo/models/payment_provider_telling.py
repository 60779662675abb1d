# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Ill health comes to a person, as an activity, and goes by itself."""

import logging
from datetime import timedelta

from odoo import api, fields, models

from ..transactions import committed
from .payment_provider_health import GREEN

_logger = logging.getLogger(__name__)

# Checks that a person is told of, and as what.
ACTIVITIES = {
    "poll_only": "billpay_odoo.mail_activity_type_webhook",
    "worker": "billpay_odoo.mail_activity_type_worker",
    "quarantine": "billpay_odoo.mail_activity_type_quarantine",
}
# Whoever marks one as done is not told of the same again for so long.
SILENCE = timedelta(days=1)


class PaymentProvider(models.Model):
    _name = "payment.provider"
    _inherit = ["payment.provider", "mail.thread", "mail.activity.mixin"]
    # A manager may settle the activities of an application that only an administrator
    # may change.
    _mail_post_access = "read"

    @api.model
    def _cron_poll_payments(self, deep=False):
        """Poll, then tell a person what the health checks say."""
        result = super()._cron_poll_payments(deep=deep)
        try:
            committed(self.env, self._billpay_tell_health)
        except Exception:
            # The poll has done its work; this is told again after the next one.
            _logger.exception("The health of applications could not be told.")
        return result

    @api.model
    def _billpay_tell_health(self):
        """Raise an activity for each check that is not green, end the others.

        At most one per application and check is open.
        """
        providers = self.sudo().search([("code", "=", "clickpesa")])
        reports = providers._billpay_health_checks()
        types = {name: self.env.ref(xml_id).id for name, xml_id in ACTIVITIES.items()}
        told = self._billpay_told_activities(providers, list(types.values()))
        for provider in providers:
            # One that was switched off has no checks, and so nothing to be told.
            checks = {check.name: check for check in reports.get(provider.id, ())}
            for name, type_id in types.items():
                known = told.get((provider.id, type_id), self.env["mail.activity"])
                if name not in checks or checks[name].colour == GREEN:
                    known.filtered("active").unlink()
                elif not known:
                    provider._billpay_raise_activity(name, ACTIVITIES[name])

    @api.model
    def _billpay_told_activities(self, providers, type_ids):
        """Return what is open or was lately marked as done, per application and type.

        :rtype: dict[tuple[int, int], mail.activity]
        """
        activities = (
            self.env["mail.activity"]
            .sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("res_model", "=", self._name),
                    ("res_id", "in", providers.ids),
                    ("activity_type_id", "in", type_ids),
                    "|",
                    ("active", "=", True),
                    ("date_done", ">=", fields.Datetime.now() - SILENCE),
                ]
            )
        )
        return activities.grouped(lambda a: (a.res_id, a.activity_type_id.id))

    def _billpay_raise_activity(self, name, type_xml_id):
        """Tell the manager of the company, in their language."""
        self.ensure_one()
        user = self._billpay_health_user()
        provider = self.with_context(lang=user.lang)
        # The same check again, for its words.
        [checks] = provider._billpay_health_checks().values()
        [check] = [check for check in checks if check.name == name]
        provider.activity_schedule(
            type_xml_id, summary=check.label, note=check.sentence, user_id=user.id
        )

    def _billpay_health_user(self):
        """Return who looks after this application: a manager, else an administrator."""
        self.ensure_one()
        company = self.company_id
        for xml_id in ("billpay_odoo.group_billpay_manager", "base.group_system"):
            users = self.env.ref(xml_id).sudo().all_user_ids
            users = users.filtered(
                lambda user: (
                    user.active and not user.share and company in user.company_ids
                )
            )
            if users:
                return users.sorted(lambda u: (u.company_id != company, u.id))[0]
        return self.env.ref("base.user_admin")
