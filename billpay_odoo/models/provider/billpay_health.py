# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How an application is doing: a table of checks, one statement for their figures.

Green: nothing to do. Amber: look at it, no money is late. Red: money is late or will
be, act now."""

from collections import namedtuple
from copy import deepcopy
from datetime import timedelta
from functools import cache

from lxml import etree

from odoo import SUPERUSER_ID, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL, LazyTranslate, file_open, format_datetime, format_duration
from odoo.tools.convert import xml_import

from ...actions import notify
from ...const import SEND_CRON

_lt = LazyTranslate(__name__)

GREEN, AMBER, RED = COLOURS = "green", "amber", "red"
MINUTE, HOUR, NEVER = 60, 3600, float("inf")


# From which measure on a check is amber and red; the list that shows what it is about
# and the type of the activity for a person, as XML ids.
Rule = namedtuple("Rule", "unit amber red action activity", defaults=("", ""))
# The outcome of a check. Its value is a number, a moment or ``None``.
Check = namedtuple("Check", "name label colour value unit sentence action")

# Ages and delays in seconds.
RULES = {
    "last_webhook": Rule("moment", 1, NEVER, "action_billpay_event"),
    "last_poll": Rule("moment", 15 * MINUTE, HOUR),
    "lag": Rule("seconds", 5 * MINUTE, 30 * MINUTE, "action_billpay_health_waiting"),
    "backlog": Rule("rows", 500, 5000, "action_billpay_health_waiting"),
    "unmatched": Rule("payments", 1, 50, "action_billpay_health_unmatched"),
    "unreported": Rule("payments", 1, NEVER, "action_billpay_health_unreported"),
    "poll_only": Rule("percent", 2, 50, "action_billpay_health_poll_only", "webhook"),
    "failed_deliveries": Rule("deliveries", 1, 20, "action_billpay_health_failed"),
    "quarantine": Rule(
        "deliveries", 1, 100, "action_billpay_health_quarantine", "quarantine"
    ),
    "collisions": Rule("collisions", 2, 20, "action_billpay_health_collisions"),
    "worker": Rule("seconds", 5 * MINUTE, 20 * MINUTE, activity="worker"),
}
# Name, sentence when green, sentence when not.
TEXTS = {
    "last_webhook": (
        _lt("Last webhook"),
        _lt("The last webhook arrived on %(last_webhook)s."),
        _lt(
            "The last webhook arrived on %(last_webhook)s, the poll has found payments "
            "since. Compare the webhook URL with the one at ClickPesa."
        ),
    ),
    "last_poll": (
        _lt("Last poll"),
        _lt("All payments until %(polled)s are in Odoo."),
        _lt(
            "There has been no poll for %(poll_age)s, so payments without a webhook "
            "are not found. See Workers below."
        ),
    ),
    "lag": (
        _lt("Lag"),
        _lt("Payments are posted as they arrive."),
        _lt(
            "A payment has been waiting for %(lag)s: its invoice is not paid yet. Open "
            "the waiting payments and read their reasons."
        ),
    ),
    "backlog": (
        _lt("Backlog"),
        _lt("Waiting payments and deliveries: %(backlog)s."),
        _lt(
            "Waiting payments and deliveries: %(backlog)s, more than usual. None is "
            "lost. If they do not get fewer, see Workers below."
        ),
    ),
    "unmatched": (
        _lt("Unmatched"),
        _lt("All payments are matched to a customer."),
        _lt(
            "%(unmatched)s payments are not matched to a customer, the oldest is from "
            "%(oldest)s. They are not in the books: open and match them."
        ),
    ),
    "unreported": (
        _lt("Not reported"),
        _lt("ClickPesa reports all payments that were entered by hand."),
        _lt(
            "ClickPesa does not report %(unreported)s payments that were entered by "
            "hand. They may be in the books without money: compare them with the "
            "ClickPesa dashboard, and undo those that are not there."
        ),
    ),
    "poll_only": (
        _lt("Only by poll"),
        _lt("ClickPesa notified Odoo of all payments of the last day."),
        _lt(
            "ClickPesa did not notify Odoo of %(silent)s of the %(learned)s payments "
            "of the last day. The poll finds them some minutes later. Compare webhook "
            "URL and events at ClickPesa with this application."
        ),
    ),
    "failed_deliveries": (
        _lt("Not understood"),
        _lt("All deliveries of the last week are understood."),
        _lt(
            "Deliveries of the last week that are not understood: %(failed)s. The poll "
            "finds their payments. Open them and use Process Again."
        ),
    ),
    "quarantine": (
        _lt("Quarantine"),
        _lt("All deliveries of the last day have a valid signature."),
        _lt(
            "Deliveries of the last day without a valid signature: %(quarantined)s. "
            "Odoo ignores them. If ClickPesa sent them, the checksum keys differ and "
            "the poll finds the payments: compare the keys."
        ),
    ),
    "collisions": (
        _lt("Digits in use"),
        _lt("Digits that Odoo gives out are free at ClickPesa."),
        _lt(
            "In the last week %(collisions)s times the digits of a new number were in "
            "use at ClickPesa; Odoo took others. Another database seems to use this "
            "BillPay-Namba, which gets half of the payments, or this one is a restored "
            "backup. Neutralise the other database, or raise the counter."
        ),
    ),
    "worker": (
        _lt("Workers"),
        _lt("Scheduled actions run on time."),
        _lt(
            "The scheduled action %(cron)s is %(late)s late. Payments wait, none is "
            "lost. Ask the administrator to look at the scheduler of the server."
        ),
    ),
}
NO_WEBHOOK = _lt(
    "No webhook has arrived yet. The poll finds payments some minutes later. Enter the "
    "webhook URL at ClickPesa on this application."
)
NO_CREDENTIALS = _lt(
    "Without client ID and API key there is no poll. Payments arrive by signed "
    "webhook, or are entered from their receipts."
)
POLL_FAILED = _lt(
    "The last poll failed at %(last_poll)s: %(trouble)s Payments without a webhook "
    "wait until ClickPesa answers. Use Test Connection."
)
UNPROVEN = _lt(
    "Deliveries of the last day without a signature that Odoo only counted, since too "
    "many name no payment that ClickPesa knows: %(quarantined)s. The poll finds true "
    "payments. Set a checksum key at ClickPesa and on the application."
)
ONE_UNMATCHED = _lt(
    "1 payment is not matched to a customer, it is from %(oldest)s. It is not in the "
    "books: open and match it."
)
SWITCHED_OFF = _lt(
    "Scheduled actions that are deleted or switched off: %(cron)s. Numbers are not "
    "registered, payments not found or not booked meanwhile; none is lost. An "
    "administrator presses Restore Scheduled Actions on this page."
)
# An unmatched payment that is older is red, however few there are.
UNMATCHED_AGE = 7 * 24 * HOUR
# A share of fewer payments than this says little: never red.
POLL_ONLY_OF = 5
# Scheduled actions that money waits for.
WORKERS = ("ir_cron_process_payments", "ir_cron_poll_payments", "ir_cron_sync_numbers")
# An activity that a person has marked as done is not created again for so long.
SILENCE = timedelta(days=1)
# Of every application what its checks are about. Each part reads an index, and no more
# than some rows of what has no end: the answer costs the same on a busy day.
FIGURES = """
SELECT provider.id,
       (SELECT max(last_received_at) FROM billpay_event
         WHERE provider_id = provider.id AND state <> 'quarantine') AS last_webhook,
       waiting.*, unmatched.*, unreported.*, learned.*, troubled.*, numbers.*
  FROM payment_provider AS provider,
       LATERAL (SELECT count(*) AS backlog, min(since) AS waiting_since FROM (
           (SELECT received_at AS since FROM billpay_event
             WHERE provider_id = provider.id AND state = 'new'
             ORDER BY id LIMIT 10000)
           UNION ALL
           -- What ClickPesa has not confirmed may not be money at all.
           (SELECT CASE WHEN state <> 'received'
                        THEN COALESCE(confirmed_at, create_date) END
              FROM billpay_payment
             WHERE provider_id = provider.id
               AND state IN ('received', 'confirmed', 'failed')
             ORDER BY id LIMIT 10000)) AS rows) AS waiting,
       LATERAL (SELECT count(*) AS unmatched, min(paid_at) AS oldest FROM (
           SELECT paid_at FROM billpay_payment
            WHERE provider_id = provider.id AND state = 'unmatched'
            LIMIT 10000) AS rows) AS unmatched,
       LATERAL (SELECT count(*) AS unreported FROM billpay_payment
                 WHERE provider_id = provider.id AND unreported_at IS NOT NULL
                   AND state NOT IN ('ignored', 'reversed')) AS unreported,
       -- Only what was notified or not by now. What was learned an hour after it was
       -- paid is history: no webhook can have brought it.
       LATERAL (SELECT count(*) AS learned,
                       count(*) FILTER (WHERE webhook_at IS NULL) AS silent FROM (
           SELECT webhook_at FROM billpay_payment
            WHERE provider_id = provider.id
              AND paid_at BETWEEN %(now)s - interval '1 day'
                              AND %(now)s - interval '10 minutes'
              AND create_date < paid_at + interval '1 hour'
              AND create_date < %(now)s - interval '10 minutes'
            ORDER BY paid_at DESC LIMIT 2000) AS rows) AS learned,
       LATERAL (SELECT count(*) FILTER (WHERE state = 'failed') AS failed,
                       COALESCE(sum(times) FILTER (WHERE state = 'quarantine'
                           AND last_received_at > %(now)s - interval '1 day'), 0)::int
                           AS quarantined
                  FROM billpay_event
                 WHERE provider_id = provider.id AND state IN ('failed', 'quarantine')
                   AND received_at > %(now)s - interval '7 days') AS troubled,
       LATERAL (SELECT COALESCE(sum(collisions), 0)::int AS collisions
                  FROM billpay_control_number
                 WHERE provider_id = provider.id AND collisions > 0
                   AND digits_at > %(now)s - interval '7 days') AS numbers
 WHERE provider.id IN %(ids)s
"""


def _age(moment, now):
    """Return the seconds since a moment, 0 for none and for one to come."""
    return max(0, int((now - moment).total_seconds())) if moment else 0


@cache
def _records(addon, path):
    """Return ``{external id: element}`` of the scheduled actions in a data file."""
    with file_open(f"{addon}/{path}", "rb") as file:
        found = etree.parse(file).iterfind("record[@model='ir.cron']")
    return {f"{addon}.{record.get('id')}": record for record in found}


def worst(colours):
    return max(colours, key=COLOURS.index, default=GREEN)


class BillpayHealth(models.AbstractModel):
    """Check applications. Create and clear activities for failing health checks."""

    _name = "billpay.health"
    _description = "BillPay Health"

    def _health_checks(self, providers):
        """Return ``{id: [Check, …]}`` for the ClickPesa applications among these.

        An application that is switched off has no health.
        """
        ours = providers.sudo().filtered(lambda p: p.id and p._billpay_is_on())
        if not ours:
            return {}
        for model in ("billpay.event", "billpay.payment", "billpay.control.number"):
            self.env[model].flush_model()
        now = fields.Datetime.now()
        rows = self.env.execute_query_dict(SQL(FIGURES, ids=tuple(ours.ids), now=now))
        late, cron = self._worker_delay(now)
        worker = {"late": late, "cron": cron}
        return {
            row["id"]: self._check(ours.browse(row["id"]), {**row, **worker}, now)
            for row in rows
        }

    def _check(self, provider, row, now):
        """Return the checks of one application.

        :param dict row: of ``FIGURES``, with the latest ``cron``, ``late`` in seconds
        """
        env, last_poll = provider.env, provider.billpay_last_poll_at
        polled = provider.billpay_polled_until
        learned, silent = row["learned"], row["silent"]
        waiting = _age(row["waiting_since"], now)
        poll_age = _age(polled or provider.create_date, now)
        share = round(100.0 * silent / learned, 1) if learned else 0.0
        late = None if row["late"] == NEVER else row["late"]
        # What each check says, and what it is graded by.
        found = {
            "last_webhook": (row["last_webhook"], 0 < silent == learned),
            "last_poll": (last_poll or None, poll_age),
            "lag": (waiting, waiting),
            "backlog": (row["backlog"], row["backlog"]),
            "unmatched": (row["unmatched"], row["unmatched"]),
            "unreported": (row["unreported"], row["unreported"]),
            "poll_only": (share, share),
            "failed_deliveries": (row["failed"], row["failed"]),
            "quarantine": (row["quarantined"], row["quarantined"]),
            "collisions": (row["collisions"], row["collisions"]),
            "worker": (late, row["late"]),
        }
        sentences = {}
        if not row["last_webhook"]:
            found["last_webhook"] = None, RULES["last_webhook"].amber
            sentences["last_webhook"] = NO_WEBHOOK
        if not provider._billpay_has_credentials():
            found["last_poll"], sentences["last_poll"] = (None, 0), NO_CREDENTIALS
        elif provider.billpay_poll_error:
            found["last_poll"] = last_poll, max(poll_age, RULES["last_poll"].amber)
            sentences["last_poll"] = POLL_FAILED
        if row["quarantined"] and not provider.clickpesa_checksum_key:
            sentences["quarantine"] = UNPROVEN
        if row["unmatched"] == 1:
            sentences["unmatched"] = ONE_UNMATCHED
        if _age(row["oldest"], now) > UNMATCHED_AGE:
            found["unmatched"] = row["unmatched"], RULES["unmatched"].red
        if learned < POLL_ONLY_OF:
            found["poll_only"] = share, min(share, RULES["poll_only"].amber)
        if silent:
            sentences["poll_only"] = TEXTS["poll_only"][2]
        if late is None:
            sentences["worker"] = SWITCHED_OFF
        words = {
            **row,
            "trouble": provider.billpay_poll_error,
            "last_webhook": format_datetime(env, row["last_webhook"]),
            "last_poll": format_datetime(env, last_poll),
            "polled": format_datetime(env, polled or last_poll or now),
            "oldest": format_datetime(env, row["oldest"]),
            "lag": self._span(env, waiting),
            "poll_age": self._span(env, poll_age),
            "late": self._span(env, late or 0),
        }
        checks = []
        for name, rule in RULES.items():
            (value, measure), (label, good, bad) = found[name], TEXTS[name]
            grade = (measure >= rule.amber) + (measure >= rule.red)
            text = env._(sentences.get(name) or (bad if grade else good)) % words
            about = name, env._(label), COLOURS[grade], value
            checks.append(Check(*about, rule.unit, text, rule.action))
        return checks

    def _span(self, env, seconds):
        hours = seconds / HOUR
        if hours >= 48:
            return env._("%s days", int(hours // 24))
        return env._("%s hours", format_duration(hours))

    def _worker_delay(self, now):
        """Return how late the latest of our scheduled actions is, and its name.

        One that is gone or switched off is as late as can be. One that runs is on
        time: this very check is part of it.
        """
        idle, actions = self._idle_actions(), self._scheduled_actions()
        if idle:
            names = (cron.name or self._name_in_file(key) for key, cron in idle.items())
            return NEVER, ", ".join(names)
        crons = [actions["billpay_odoo.%s" % name] for name in WORKERS]
        delays = [
            (_age(cron.nextcall, now), cron.name)
            for cron in crons
            if cron.id != self.env.context.get("cron_id")
        ]
        return max(delays)

    # === SCHEDULED ACTIONS === #

    def _action_files(self):
        """Return ``{add-on: data file}`` of the scheduled actions that have to run."""
        return {"billpay_odoo": "data/ir_cron_data.xml"}

    def _action_records(self):
        """Return ``{external id: its element in the data file}``."""
        files = {"account": "data/service_cron.xml", **self._action_files()}
        return {
            key: record
            for addon, path in files.items()
            for key, record in _records(addon, path).items()
            if addon != "account" or key == SEND_CRON
        }

    def _name_in_file(self, key):
        return self._action_records()[key].findtext("field[@name='name']")

    def _scheduled_actions(self):
        """Return ``{external id: scheduled action}``, empty ones for deleted ones."""
        find = self.env["ir.model.data"].sudo()._xmlid_to_res_id
        ids = {key: find(key) for key in self._action_records()}
        crons = self.env["ir.cron"].sudo().browse(filter(None, ids.values())).exists()
        return {key: crons.filtered(lambda c, i=i: c.id == i) for key, i in ids.items()}

    def _idle_actions(self):
        """Return those of them that are deleted, and ours that are switched off.

        Whoever sends no invoices in the background may switch off Odoo's own.
        """
        return {
            key: cron
            for key, cron in self._scheduled_actions().items()
            if not cron or not (cron.active or key == SEND_CRON)
        }

    def _restore_actions(self):
        """Make deleted scheduled actions again, and activate those switched off.

        :return: the action that shows what was done
        """
        if not (self.env.su or self.env.user._is_system()):
            raise AccessError(
                self.env._("Only administrators restore scheduled actions.")
            )
        idle, records = self._idle_actions(), self._action_records()
        for key, cron in idle.items():
            if cron:
                cron.active = True
                continue
            addon = key.split(".")[0]
            # What the file has besides is left as it is.
            data = etree.Element("odoo", records[key].getparent().attrib)
            data.append(deepcopy(records[key]))
            env = self.env(user=SUPERUSER_ID, context={})
            xml_import(env, addon, None, "init").parse(data)
        if not idle:
            return notify("info", self.env._("All scheduled actions are there."))
        names = ", ".join(self._scheduled_actions()[key].name for key in idle)
        return notify("success", self.env._("Scheduled actions restored: %s", names))

    def _tell_health(self):
        """Create an activity for each check that fails, clear those of the others.

        At most one per application and check is open, in the language of its person.
        """
        providers_sudo = self.env["payment.provider"].sudo()
        providers = providers_sudo.search([("code", "=", "clickpesa")])
        types = {
            name: f"billpay_odoo.mail_activity_type_{rule.activity}"
            for name, rule in RULES.items()
            if rule.activity
        }
        recent = [("date_done", ">=", fields.Datetime.now() - SILENCE)]
        activities = providers.with_context(active_test=False).activity_search(
            types.values(), additional_domain=["|", ("active", "=", True), *recent]
        )
        told = activities.grouped(lambda a: (a.res_id, a.activity_type_id))
        reports = self._health_checks(providers)
        for provider in providers:
            checks = reports.get(provider.id, ())
            failing = {check.name for check in checks if check.colour != GREEN}
            for name, xml_id in types.items():
                kind = self.env.ref(xml_id)
                known = told.get((provider.id, kind), activities.browse())
                if name not in failing:
                    known.filtered("active").unlink()
                elif not known:
                    user = provider.company_id._billpay_person_in_charge()
                    theirs = provider.with_context(lang=user.lang)
                    [checks] = self._health_checks(theirs).values()
                    check = next(check for check in checks if check.name == name)
                    words = {"summary": check.label, "note": check.sentence}
                    theirs.activity_schedule(xml_id, user_id=user.id, **words)
