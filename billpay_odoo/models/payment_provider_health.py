# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How an application is doing: computed when asked, in three statements.

Every check has a colour. Green: nothing to do. Amber: a person should look, no money
is late. Red: money is late or will be, act now.
"""

from collections import namedtuple
from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models
from odoo.tools import SQL, format_datetime, format_duration

GREEN, AMBER, RED = "green", "amber", "red"
_ORDER = (GREEN, AMBER, RED)
_CLASSES = {GREEN: "text-success", AMBER: "text-warning", RED: "text-danger"}
# Our scheduled actions that money waits for.
WORKERS = ("ir_cron_process_payments", "ir_cron_poll_payments", "ir_cron_sync_numbers")

# Each check turns amber at the first figure and red at the second.
POLL_AGE = timedelta(minutes=15), timedelta(hours=1)
LAG = timedelta(minutes=5), timedelta(minutes=30)
WORKER_LATE = timedelta(minutes=5), timedelta(minutes=20)
BACKLOG = 500, 5000
UNMATCHED = 1, 50
UNMATCHED_AGE = timedelta(days=7)
FAILED = 1, 20
QUARANTINED = 1, 100
# Of payments that were learned while new: part found only by asking (percent).
POLL_ONLY = 2, 50
# A share of fewer payments than this says little: never red.
POLL_ONLY_OF = 5
# Looked back over for what does not wait: shares and failures.
SHARE_WINDOW = timedelta(days=1)
TROUBLE_WINDOW = timedelta(days=7)
# An announcement may take this long; only older payments count as not announced.
GRACE = timedelta(minutes=10)
# Learned later than this after it was paid: history, no webhook can have told of it.
FRESH = timedelta(hours=1)
# Rows that are looked at, so that the answer costs the same on a busy day.
SAMPLE = 2000

# ``value`` is a number, a moment or ``None``; ``unit`` says of what. ``sentence`` is
# for a person and ``action`` the XML id of the list that shows it.
Check = namedtuple("Check", "name label colour value unit sentence action")


def worst(colours):
    """Return the worst of some colours."""
    return max(colours, key=_ORDER.index, default=GREEN)


def _grade(value, limits):
    """Return the colour of a value that is better when it is smaller."""
    amber, red = limits
    return RED if value >= red else AMBER if value >= amber else GREEN


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
        rows = Markup().join(
            Markup(
                "<tr><td class='d-block d-md-table-cell text-nowrap'>"
                "<span class='fa fa-circle %(class)s me-2' title='%(colour)s'></span>"
                "%(label)s</td><td class='d-block d-md-table-cell'>"
                "%(sentence)s %(link)s</td></tr>"
            )
            % {
                "class": _CLASSES[check.colour],
                "colour": dict(
                    self._fields["billpay_health"]._description_selection(self.env)
                )[check.colour],
                "label": check.label,
                "sentence": check.sentence,
                "link": Markup("<a class='text-nowrap' href='/odoo/action-%s'>%s</a>")
                % (check.action, self.env._("Open"))
                if check.action and check.colour != GREEN
                else "",
            }
            for check in checks
        )
        return Markup("<table class='table table-sm o_billpay_health'>%s</table>") % (
            Markup("<tbody>%s</tbody>") % rows
        )

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
                most=2 * BACKLOG[1],
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

    def _billpay_check(self, name, label, colour, value, unit, sentence, action=""):
        return Check(name, label, colour, value, unit, sentence, action)

    def _billpay_moment(self, moment):
        return format_datetime(self.env, moment)

    def _billpay_check_last_webhook(self, figures):
        last, colour = figures["last_webhook"], GREEN
        if not last:
            colour = AMBER
            sentence = self.env._(
                "No webhook has come yet. Payments are found by asking, some minutes "
                "later. Enter the webhook URL at ClickPesa on this application."
            )
        elif figures["poll_only"] and figures["poll_only"] == figures["learned"]:
            colour = AMBER
            sentence = self.env._(
                "The last one came on %s, though there were payments since. They were "
                "found by asking. Compare the webhook URL with the one at ClickPesa.",
                self._billpay_moment(last),
            )
        else:
            sentence = self.env._(
                "The last one came on %s.", self._billpay_moment(last)
            )
        return self._billpay_check(
            "last_webhook",
            self.env._("Last webhook"),
            colour,
            last,
            "moment",
            sentence,
            "billpay_odoo.action_billpay_event",
        )

    def _billpay_check_last_poll(self):
        last, trouble = self.billpay_last_poll_at, self.billpay_poll_error
        age = fields.Datetime.now() - (self.billpay_polled_until or self.create_date)
        colour = _grade(age, POLL_AGE)
        if trouble:
            colour = worst((colour, AMBER))
            sentence = self.env._(
                "ClickPesa was asked on %(moment)s, in vain: %(trouble)s Payments "
                "without a webhook wait until it answers. Use Test Connection.",
                moment=self._billpay_moment(last),
                trouble=trouble,
            )
        elif colour != GREEN:
            sentence = self.env._(
                "ClickPesa has not been asked for payments for %s. Payments without a "
                "webhook are not found. See Workers below.",
                self._billpay_span(age),
            )
        else:
            sentence = self.env._(
                "Every payment up to %s is here.",
                self._billpay_moment(self.billpay_polled_until or last)
                if last
                else self.env._("now"),
            )
        return self._billpay_check(
            "last_poll",
            self.env._("Last poll"),
            colour,
            last or None,
            "moment",
            sentence,
        )

    def _billpay_check_lag(self, figures):
        since = figures["waiting_since"]
        lag = fields.Datetime.now() - since if since else timedelta()
        colour = _grade(lag, LAG)
        if colour == GREEN:
            sentence = self.env._("Payments are booked as they come.")
        else:
            sentence = self.env._(
                "Something has waited for %s to be booked: the customer has paid, the "
                "invoice does not show it. Open the payments that are not booked yet "
                "and read their reasons.",
                self._billpay_span(lag),
            )
        return self._billpay_check(
            "lag",
            self.env._("Lag"),
            colour,
            int(lag.total_seconds()),
            "seconds",
            sentence,
            "billpay_odoo.action_billpay_health_waiting",
        )

    def _billpay_check_backlog(self, figures):
        count = figures["backlog"]
        colour = _grade(count, BACKLOG)
        if colour == GREEN:
            sentence = self.env._("Waiting to be booked: %s.", count)
        else:
            sentence = self.env._(
                "Waiting to be booked: %s, more than usual. They are worked off by "
                "themselves, oldest first; nothing is lost. See Workers below if the "
                "number does not fall.",
                count,
            )
        return self._billpay_check(
            "backlog",
            self.env._("Backlog"),
            colour,
            count,
            "rows",
            sentence,
            "billpay_odoo.action_billpay_health_waiting",
        )

    def _billpay_check_unmatched(self, figures):
        count, since = figures["unmatched"], figures["unmatched_since"]
        colour = _grade(count, UNMATCHED)
        if since and fields.Datetime.now() - since > UNMATCHED_AGE:
            colour = RED
        if not count:
            sentence = self.env._("Every payment found its customer.")
        else:
            sentence = self.env._(
                "Payments of which it is not known whose they are: %(count)s, the "
                "oldest from %(moment)s. The money is at ClickPesa and not in the "
                "books: open them and say whose they are.",
                count=count,
                moment=self._billpay_moment(since),
            )
        return self._billpay_check(
            "unmatched",
            self.env._("Unmatched"),
            colour,
            count,
            "payments",
            sentence,
            "billpay_odoo.action_billpay_health_unmatched",
        )

    def _billpay_check_poll_only(self, figures):
        learned, silent = figures["learned"], figures["poll_only"]
        share = 100.0 * silent / learned if learned else 0.0
        colour = _grade(share, POLL_ONLY)
        if learned < POLL_ONLY_OF:
            colour = min(colour, AMBER, key=_ORDER.index)
        if not silent:
            sentence = self.env._("Every payment of the last day was announced.")
        else:
            sentence = self.env._(
                "Payments of the last day that were found only by asking: %(silent)s "
                "of %(learned)s. They are booked, some minutes late. Compare the "
                "webhook URL and the events at ClickPesa with this application.",
                silent=silent,
                learned=learned,
            )
        return self._billpay_check(
            "poll_only",
            self.env._("Only by poll"),
            colour,
            round(share, 1),
            "percent",
            sentence,
            "billpay_odoo.action_billpay_health_poll_only",
        )

    def _billpay_check_failed(self, figures):
        count = figures["failed"]
        colour = _grade(count, FAILED)
        if not count:
            sentence = self.env._("Every delivery of the last week was understood.")
        else:
            sentence = self.env._(
                "Deliveries of the last week that were not understood: %s. If money "
                "was meant, the poll has found it. Open them and use Process Again.",
                count,
            )
        return self._billpay_check(
            "failed_deliveries",
            self.env._("Not understood"),
            colour,
            count,
            "deliveries",
            sentence,
            "billpay_odoo.action_billpay_health_failed",
        )

    def _billpay_check_quarantine(self, figures):
        count = int(figures["quarantined"])
        colour = _grade(count, QUARANTINED)
        if not count:
            sentence = self.env._("Every delivery of the last day had its signature.")
        else:
            sentence = self.env._(
                "Deliveries of the last day without a valid signature: %s. Nothing "
                "was done with them. If they came from ClickPesa, the checksum keys "
                "differ; the payments are found by asking. Compare the key.",
                count,
            )
        return self._billpay_check(
            "quarantine",
            self.env._("Quarantine"),
            colour,
            count,
            "deliveries",
            sentence,
            "billpay_odoo.action_billpay_health_quarantine",
        )

    def _billpay_check_worker(self, late, cron):
        colour = _grade(late, WORKER_LATE)
        if late == timedelta.max:
            value = None
            sentence = self.env._(
                "The scheduled action %s is switched off: money that comes is not "
                "booked or not found. Switch it on under Settings, Technical, "
                "Scheduled Actions.",
                cron.name,
            )
        else:
            value = max(0, int(late.total_seconds()))
            sentence = (
                self.env._("Scheduled actions run on time.")
                if colour == GREEN
                else self.env._(
                    "The scheduled action %(name)s should have run %(span)s ago. "
                    "Payments wait until it does; none is lost. Tell whoever runs the "
                    "server: its scheduler stands still or is overloaded.",
                    name=cron.name,
                    span=self._billpay_span(late),
                )
            )
        return self._billpay_check(
            "worker", self.env._("Workers"), colour, value, "seconds", sentence
        )

    def _billpay_span(self, span):
        """Return a time span as people say it."""
        hours = span.total_seconds() / 3600
        if hours >= 48:
            return self.env._("%s days", int(hours // 24))
        return self.env._("%s hours", format_duration(hours))
