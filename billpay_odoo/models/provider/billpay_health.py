# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How an application is doing: computed when asked, in few statements.

Every check has a colour. Green: nothing to do. Amber: a person should look, no money
is late. Red: money is late or will be, act now."""

from collections import namedtuple
from datetime import timedelta

from markupsafe import Markup

from odoo import fields, models
from odoo.tools import SQL, format_datetime, format_duration

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
# ``value`` is a number, a moment or ``None``; ``unit`` says of what. ``sentence`` is
# for a person and ``action`` the XML id of the list that shows it.
Check = namedtuple("Check", "name label colour value unit sentence action")


def _grade(value, limits):
    """Return the colour of a value that is better when it is smaller."""
    amber, red = limits
    return RED if value >= red else AMBER if value >= amber else GREEN


# Checks that a person is told of, and as what.
ACTIVITIES = {
    "poll_only": "billpay_odoo.mail_activity_type_webhook",
    "worker": "billpay_odoo.mail_activity_type_worker",
    "quarantine": "billpay_odoo.mail_activity_type_quarantine",
}
# Whoever marks one as done is not told of the same again for so long.
SILENCE = timedelta(days=1)


class BillpayHealth(models.AbstractModel):
    """Check applications; create and clear activities for failing checks."""

    _name = "billpay.health"
    _description = "BillPay Health"

    # === COMPUTE METHODS === #

    def _report(self, checks):
        words = dict(
            self.env["payment.provider"]
            ._fields["billpay_health"]
            ._description_selection(self.env)
        )
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

    def _health_checks(self, providers):
        """Return ``{id: [Check, …]}`` for the ClickPesa applications among these.

        An application that is switched off has no health.
        """
        ours = providers.sudo().filtered(
            lambda provider: (
                provider.code == "clickpesa"
                and provider.state != "disabled"
                and provider.id
            )
        )
        if not ours:
            return {}
        figures = self._health_figures(ours)
        late, worker = self._worker_delay()
        return {
            provider.id: [
                self._check_last_webhook(provider, figures[provider.id]),
                self._check_last_poll(provider),
                self._check_lag(provider, figures[provider.id]),
                self._check_backlog(provider, figures[provider.id]),
                self._check_unmatched(provider, figures[provider.id]),
                self._check_poll_only(provider, figures[provider.id]),
                self._check_failed(provider, figures[provider.id]),
                self._check_quarantine(provider, figures[provider.id]),
                self._check_worker(provider, late, worker),
            ]
            for provider in ours
        }

    def _health_figures(self, providers):
        """Return what the checks are about, per application id.

        One statement; each part of it reads an index and no more than ``SAMPLE`` rows
        of what has no end.
        """
        for model in ("billpay.event", "billpay.payment"):
            providers.env[model].flush_model()
        now = fields.Datetime.now()
        rows = providers.env.execute_query_dict(
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
                ids=tuple(providers.ids),
                most=MOST_WAITING,
                sample=SAMPLE,
                day=now - SHARE_WINDOW,
                week=now - TROUBLE_WINDOW,
                settled=now - GRACE,
                fresh=FRESH,
            )
        )
        return {row["id"]: row for row in rows}

    def _worker_delay(self):
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

    # === BUSINESS METHODS === #

    def _check(self, providers, name, label, colour, value, unit, sentence, action=""):
        return Check(name, label, colour, value, unit, sentence, action)

    def _moment(self, providers, moment):
        return format_datetime(providers.env, moment)

    def _check_last_webhook(self, providers, figures):
        last, colour = figures["last_webhook"], GREEN
        if not last:
            colour = AMBER
            sentence = providers.env._(
                "No webhook has come yet. Payments are found by asking, some minutes "
                "later. Enter the webhook URL at ClickPesa on this application."
            )
        elif figures["poll_only"] and figures["poll_only"] == figures["learned"]:
            colour = AMBER
            sentence = providers.env._(
                "The last one came on %s, though there were payments since. They were "
                "found by asking. Compare the webhook URL with the one at ClickPesa.",
                self._moment(providers, last),
            )
        else:
            sentence = providers.env._(
                "The last one came on %s.", self._moment(providers, last)
            )
        return self._check(
            providers,
            "last_webhook",
            providers.env._("Last webhook"),
            colour,
            last,
            "moment",
            sentence,
            "billpay_odoo.action_billpay_event",
        )

    def _check_last_poll(self, providers):
        if providers.code == "clickpesa" and not providers._billpay_has_credentials():
            return self._check(
                providers,
                "last_poll",
                providers.env._("Last poll"),
                GREEN,
                None,
                "moment",
                providers.env._(
                    "Without client ID and API key ClickPesa is not asked. Payments "
                    "come by signed webhook, or are entered from their receipts."
                ),
            )
        last, trouble = providers.billpay_last_poll_at, providers.billpay_poll_error
        age = fields.Datetime.now() - (
            providers.billpay_polled_until or providers.create_date
        )
        colour = _grade(age, POLL_AGE)
        if trouble:
            colour = worst((colour, AMBER))
            sentence = providers.env._(
                "ClickPesa was asked on %(moment)s, in vain: %(trouble)s Payments "
                "without a webhook wait until it answers. Use Test Connection.",
                moment=self._moment(providers, last),
                trouble=trouble,
            )
        elif colour != GREEN:
            sentence = providers.env._(
                "ClickPesa has not been asked for payments for %s. Payments without a "
                "webhook are not found. See Workers below.",
                self._span(providers, age),
            )
        else:
            sentence = providers.env._(
                "Every payment up to %s is here.",
                self._moment(providers, providers.billpay_polled_until or last)
                if last
                else providers.env._("now"),
            )
        return self._check(
            providers,
            "last_poll",
            providers.env._("Last poll"),
            colour,
            last or None,
            "moment",
            sentence,
        )

    def _check_lag(self, providers, figures):
        since = figures["waiting_since"]
        lag = fields.Datetime.now() - since if since else timedelta()
        colour = _grade(lag, LAG)
        if colour == GREEN:
            sentence = providers.env._("Payments are booked as they come.")
        else:
            sentence = providers.env._(
                "Something has waited for %s to be booked: the customer has paid, the "
                "invoice does not show it. Open the payments that are not booked yet "
                "and read their reasons.",
                self._span(providers, lag),
            )
        return self._check(
            providers,
            "lag",
            providers.env._("Lag"),
            colour,
            int(lag.total_seconds()),
            "seconds",
            sentence,
            "billpay_odoo.action_billpay_health_waiting",
        )

    def _check_backlog(self, providers, figures):
        count = figures["backlog"]
        colour = _grade(count, BACKLOG)
        if colour == GREEN:
            sentence = providers.env._("Waiting to be booked: %s.", count)
        else:
            sentence = providers.env._(
                "Waiting to be booked: %s, more than usual. They are worked off by "
                "themselves, oldest first; nothing is lost. See Workers below if the "
                "number does not fall.",
                count,
            )
        return self._check(
            providers,
            "backlog",
            providers.env._("Backlog"),
            colour,
            count,
            "rows",
            sentence,
            "billpay_odoo.action_billpay_health_waiting",
        )

    def _check_unmatched(self, providers, figures):
        count, since = figures["unmatched"], figures["unmatched_since"]
        colour = _grade(count, UNMATCHED)
        if since and fields.Datetime.now() - since > UNMATCHED_AGE:
            colour = RED
        if not count:
            sentence = providers.env._("Every payment found its customer.")
        else:
            sentence = providers.env._(
                "Payments of which it is not known whose they are: %(count)s, the "
                "oldest from %(moment)s. The money is at ClickPesa and not in the "
                "books: open them and say whose they are.",
                count=count,
                moment=self._moment(providers, since),
            )
        return self._check(
            providers,
            "unmatched",
            providers.env._("Unmatched"),
            colour,
            count,
            "payments",
            sentence,
            "billpay_odoo.action_billpay_health_unmatched",
        )

    def _check_poll_only(self, providers, figures):
        learned, silent = figures["learned"], figures["poll_only"]
        share = 100.0 * silent / learned if learned else 0.0
        colour = _grade(share, POLL_ONLY)
        if learned < POLL_ONLY_OF:
            colour = min(colour, AMBER, key=COLOURS.index)
        if not silent:
            sentence = providers.env._("Every payment of the last day was announced.")
        else:
            sentence = providers.env._(
                "Payments of the last day that were found only by asking: %(silent)s "
                "of %(learned)s. They are booked, some minutes late. Compare the "
                "webhook URL and the events at ClickPesa with this application.",
                silent=silent,
                learned=learned,
            )
        return self._check(
            providers,
            "poll_only",
            providers.env._("Only by poll"),
            colour,
            round(share, 1),
            "percent",
            sentence,
            "billpay_odoo.action_billpay_health_poll_only",
        )

    def _check_failed(self, providers, figures):
        count = figures["failed"]
        colour = _grade(count, FAILED)
        if not count:
            sentence = providers.env._(
                "Every delivery of the last week was understood."
            )
        else:
            sentence = providers.env._(
                "Deliveries of the last week that were not understood: %s. If money "
                "was meant, the poll has found it. Open them and use Process Again.",
                count,
            )
        return self._check(
            providers,
            "failed_deliveries",
            providers.env._("Not understood"),
            colour,
            count,
            "deliveries",
            sentence,
            "billpay_odoo.action_billpay_health_failed",
        )

    def _check_quarantine(self, providers, figures):
        count = int(figures["quarantined"])
        colour = _grade(count, QUARANTINED)
        if not count:
            sentence = providers.env._(
                "Every delivery of the last day had its signature."
            )
        else:
            sentence = providers.env._(
                "Deliveries of the last day without a valid signature: %s. Nothing "
                "was done with them. If they came from ClickPesa, the checksum keys "
                "differ; the payments are found by asking. Compare the key.",
                count,
            )
        return self._check(
            providers,
            "quarantine",
            providers.env._("Quarantine"),
            colour,
            count,
            "deliveries",
            sentence,
            "billpay_odoo.action_billpay_health_quarantine",
        )

    def _check_worker(self, providers, late, cron):
        colour = _grade(late, WORKER_LATE)
        if late == timedelta.max:
            value = None
            sentence = providers.env._(
                "The scheduled action %s is switched off: money that comes is not "
                "booked or not found. Switch it on under Settings, Technical, "
                "Scheduled Actions.",
                cron.name,
            )
        else:
            value = max(0, int(late.total_seconds()))
            sentence = (
                providers.env._("Scheduled actions run on time.")
                if colour == GREEN
                else providers.env._(
                    "The scheduled action %(name)s should have run %(span)s ago. "
                    "Payments wait until it does; none is lost. Tell whoever runs the "
                    "server: its scheduler stands still or is overloaded.",
                    name=cron.name,
                    span=self._span(providers, late),
                )
            )
        return self._check(
            providers,
            "worker",
            providers.env._("Workers"),
            colour,
            value,
            "seconds",
            sentence,
        )

    def _span(self, providers, span):
        """Return a time span as people say it."""
        hours = span.total_seconds() / 3600
        if hours >= 48:
            return providers.env._("%s days", int(hours // 24))
        return providers.env._("%s hours", format_duration(hours))

    def _tell_health(self):
        """Raise an activity for each check that is not green, end the others.

        At most one per application and check is open.
        """
        providers = (
            self.env["payment.provider"].sudo().search([("code", "=", "clickpesa")])
        )
        reports = self._health_checks(providers)
        types = {name: self.env.ref(xml_id).id for name, xml_id in ACTIVITIES.items()}
        told = self._told_activities(providers, list(types.values()))
        for provider in providers:
            # One that was switched off has no checks, and so nothing to be told.
            checks = {check.name: check for check in reports.get(provider.id, ())}
            for name, type_id in types.items():
                known = told.get((provider.id, type_id), self.env["mail.activity"])
                if name not in checks or checks[name].colour == GREEN:
                    known.filtered("active").unlink()
                elif not known:
                    self._raise_activity(provider, name, ACTIVITIES[name])

    def _told_activities(self, providers, type_ids):
        """Return what is open or was lately marked as done, per application and type.

        :rtype: dict[tuple[int, int], mail.activity]
        """
        activities = (
            self.env["mail.activity"]
            .sudo()
            .with_context(active_test=False)
            .search(
                [
                    ("res_model", "=", self.env["payment.provider"]._name),
                    ("res_id", "in", providers.ids),
                    ("activity_type_id", "in", type_ids),
                    "|",
                    ("active", "=", True),
                    ("date_done", ">=", fields.Datetime.now() - SILENCE),
                ]
            )
        )
        return activities.grouped(lambda a: (a.res_id, a.activity_type_id.id))

    def _raise_activity(self, application, name, type_xml_id):
        """Tell the manager of the company, in their language."""
        application.ensure_one()
        user = application.company_id._billpay_person_in_charge()
        provider = application.with_context(lang=user.lang)
        # The same check again, for its words.
        [checks] = self._health_checks(provider).values()
        [check] = [check for check in checks if check.name == name]
        provider.activity_schedule(
            type_xml_id, summary=check.label, note=check.sentence, user_id=user.id
        )
