# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The health checks: a colour for each figure, and a sentence for a person."""

from collections import namedtuple
from datetime import timedelta

from odoo import fields, models
from odoo.tools import format_datetime, format_duration

from .payment_provider_health import AMBER, COLOURS, GREEN, RED, worst

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


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

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
        if self.code == "clickpesa" and not self._billpay_has_credentials():
            return self._billpay_check(
                "last_poll",
                self.env._("Last poll"),
                GREEN,
                None,
                "moment",
                self.env._(
                    "Without client ID and API key ClickPesa is not asked. Payments "
                    "come by signed webhook, or are entered from their receipts."
                ),
            )
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
            colour = min(colour, AMBER, key=COLOURS.index)
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
