# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How an application is doing: computed when asked, in few statements.

Every check has a colour. Green: nothing to do. Amber: a person should look, no money
is late. Red: money is late or will be, act now.
"""

from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import SQL

GREEN, AMBER, RED = "green", "amber", "red"
COLOURS = (GREEN, AMBER, RED)
_CLASSES = {GREEN: "text-success", AMBER: "text-warning", RED: "text-danger"}
# Our scheduled actions that money waits for.
WORKERS = ("ir_cron_process_payments", "ir_cron_poll_payments", "ir_cron_sync_numbers")

# Looked back over for what does not wait: shares and failures.
SHARE_WINDOW = timedelta(days=1)
TROUBLE_WINDOW = timedelta(days=7)
# An announcement may take this long; only older payments count as not announced.
GRACE = timedelta(minutes=10)
# Learned later than this after it was paid: history, no webhook can have told of it.
FRESH = timedelta(hours=1)
# Rows that are looked at, so that the answer costs the same on a busy day.
SAMPLE = 2000
MOST_WAITING = 10000


def worst(colours):
    """Return the worst of some colours."""
    return max(colours, key=COLOURS.index, default=GREEN)


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    billpay_health = fields.Selection(
        [(GREEN, "Good"), (AMBER, "To Look At"), (RED, "Act Now")],
        string="Health",
        compute="_compute_billpay_health",
    )
    billpay_health_report = fields.Html(
        string="Health Report", compute="_compute_billpay_health", sanitize=False
    )

    # === COMPUTE METHODS === #

    def _compute_billpay_health(self):
        reports = self._billpay_health_checks()
        for provider in self:
            checks = reports.get(provider.id)
            provider.billpay_health = checks and worst(c.colour for c in checks)
            provider.billpay_health_report = checks and self._billpay_report(checks)

    @api.model
    def _billpay_report(self, checks):
        words = dict(self._fields["billpay_health"]._description_selection(self.env))
        rows = Markup().join(
            Markup(
                "<div class='row border-bottom py-2'><div class='col-md-3'>"
                "<span class='fa fa-circle %(class)s me-2' title='%(word)s'></span>"
                "%(label)s</div><div class='col-md-9'>%(sentence)s %(link)s</div></div>"
            )
            % {
                "class": _CLASSES[check.colour],
                "word": words[check.colour],
                "label": check.label,
                "sentence": check.sentence,
                "link": Markup("<a class='text-nowrap' href='/odoo/action-%s'>%s</a>")
                % (check.action, self.env._("Open"))
                if check.action and check.colour != GREEN
                else "",
            }
            for check in checks
        )
        return Markup("<div class='container-fluid'>%s</div>") % rows

    # === CHECKS === #

    def _billpay_health_checks(self):
        """Return ``{id: [Check, …]}`` for the ClickPesa applications among these.

        An application that is switched off has no health.
        """
        ours = self.sudo().filtered(
            lambda provider: (
                provider.code == "clickpesa"
                and provider.state != "disabled"
                and provider.id
            )
        )
        if not ours:
            return {}
        figures = ours._billpay_health_figures()
        late, worker = self._billpay_worker_delay()
        return {
            provider.id: [
                provider._billpay_check_last_webhook(figures[provider.id]),
                provider._billpay_check_last_poll(),
                provider._billpay_check_lag(figures[provider.id]),
                provider._billpay_check_backlog(figures[provider.id]),
                provider._billpay_check_unmatched(figures[provider.id]),
                provider._billpay_check_poll_only(figures[provider.id]),
                provider._billpay_check_failed(figures[provider.id]),
                provider._billpay_check_quarantine(figures[provider.id]),
                provider._billpay_check_worker(late, worker),
            ]
            for provider in ours
        }

    def _billpay_health_figures(self):
        """Return what the checks are about, per application id.

        One statement; each part of it reads an index and no more than ``SAMPLE`` rows
        of what has no end.
        """
        for model in ("billpay.event", "billpay.payment"):
            self.env[model].flush_model()
        now = fields.Datetime.now()
        rows = self.env.execute_query_dict(
            SQL(
                """
                SELECT provider.id, webhook.*, waiting.*, unmatched.*, learned.*,
                       troubled.*
                  FROM payment_provider AS provider
                 CROSS JOIN LATERAL (
                    SELECT max(last_received_at) AS last_webhook
                      FROM billpay_event
                     WHERE provider_id = provider.id AND state <> 'quarantine'
                       ) AS webhook
                 CROSS JOIN LATERAL (
                    SELECT count(*) AS backlog, min(since) AS waiting_since
                      FROM (
                        (SELECT received_at AS since FROM billpay_event
                          WHERE provider_id = provider.id AND state = 'new'
                          ORDER BY id LIMIT %(most)s)
                        UNION ALL
                        -- What ClickPesa has not confirmed may not be money at all.
                        (SELECT CASE WHEN state <> 'received'
                                     THEN COALESCE(confirmed_at, create_date) END
                           FROM billpay_payment
                          WHERE provider_id = provider.id
                            AND state IN ('received', 'confirmed', 'failed')
                          ORDER BY id LIMIT %(most)s)
                       ) AS rows
                       ) AS waiting
                 CROSS JOIN LATERAL (
                    SELECT count(*) AS unmatched, min(paid_at) AS unmatched_since
                      FROM (
                        SELECT paid_at FROM billpay_payment
                         WHERE provider_id = provider.id AND state = 'unmatched'
                         LIMIT %(most)s
                       ) AS rows
                       ) AS unmatched
                 CROSS JOIN LATERAL (
                    SELECT count(*) AS learned,
                           count(*) FILTER (WHERE webhook_at IS NULL) AS poll_only
                      FROM (
                        SELECT webhook_at FROM billpay_payment
                         WHERE provider_id = provider.id
                           AND paid_at BETWEEN %(day)s AND %(settled)s
                           AND create_date < paid_at + %(fresh)s
                           AND create_date < %(settled)s
                         ORDER BY paid_at DESC LIMIT %(sample)s
                       ) AS rows
                       ) AS learned
                 CROSS JOIN LATERAL (
                    SELECT count(*) FILTER (WHERE state = 'failed') AS failed,
                           COALESCE(sum(times) FILTER (
                               WHERE state = 'quarantine'
                                 AND last_received_at > %(day)s), 0) AS quarantined
                      FROM billpay_event
                     WHERE provider_id = provider.id
                       AND state IN ('failed', 'quarantine')
                       AND received_at > %(week)s
                       ) AS troubled
                 WHERE provider.id IN %(ids)s
                """,
                ids=tuple(self.ids),
                most=MOST_WAITING,
                sample=SAMPLE,
                day=now - SHARE_WINDOW,
                week=now - TROUBLE_WINDOW,
                settled=now - GRACE,
                fresh=FRESH,
            )
        )
        return {row["id"]: row for row in rows}

    @api.model
    def _billpay_worker_delay(self):
        """Return how late the latest of our scheduled actions is, and which it is.

        A switched-off one is as late as can be.

        :rtype: tuple[datetime.timedelta, ir.cron]
        """
        now = fields.Datetime.now()
        delays = []
        for name in WORKERS:
            cron_sudo = self.env.ref("billpay_odoo.%s" % name).sudo()
            if cron_sudo.id == self.env.context.get("cron_id"):
                continue  # it runs: this very check is part of it
            late = now - cron_sudo.nextcall if cron_sudo.active else timedelta.max
            delays.append((late, cron_sudo))
        return max(delays, key=lambda delay: delay[0])
