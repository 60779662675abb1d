# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The poll: finds payments that no webhook announced.

It reads ``payments/all`` newest first until it is behind the moment up to which an
earlier poll has seen everything, so its cost grows with new payments and not with open
numbers. Pages shift while new payments arrive; newest first, that repeats rows and
never hides one.
"""

import logging
from datetime import timedelta, timezone

from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import const
from ..clickpesa import BudgetSpent, ClickPesaError
from ..transactions import committed, end_transaction

_logger = logging.getLogger(__name__)

# How far behind known ground a poll reads on, for payments that surface late.
OVERLAP = timedelta(minutes=15)
# The nightly scan, and the first poll of an application.
DEEP = timedelta(days=7)
# A scan ends somewhere, whatever the gateway answers.
MAX_PAGES = 1000


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    billpay_polled_until = fields.Datetime(
        string="Polled Until",
        readonly=True,
        copy=False,
        help="Every payment up to this moment is in the ledger.",
    )
    billpay_last_poll_at = fields.Datetime(
        string="Last Poll", readonly=True, copy=False
    )
    billpay_poll_error = fields.Char(string="Poll Trouble", readonly=True, copy=False)
    billpay_poll_rest = fields.Json(
        readonly=True,
        copy=False,
        help="Where a scan goes on that the limit of calls has cut short.",
    )

    @api.model
    def _cron_poll_payments(self, deep=False):
        """Poll every active application; trouble of one does not stop the others."""
        cron = self.env["ir.cron"]
        providers = self.sudo().search(
            [("code", "=", "clickpesa"), ("state", "!=", "disabled")]
        )
        providers = providers.filtered(lambda provider: provider._billpay_can_ask())
        cron._commit_progress(remaining=len(providers))
        found = False
        for provider in providers:
            try:
                found |= provider._billpay_poll(deep=deep)
            except Exception:
                _logger.exception("Poll of application %s failed.", provider.id)
                self.env.cr.rollback()
                message = self.env._("Unexpected error; see the server's log.")
                committed(
                    self.env,
                    provider._billpay_note_poll,
                    fields.Datetime.now(),
                    message,
                )
            if not cron._commit_progress(1):
                break
        committed(self.env, self.env["billpay.payment"]._bind_forgotten)
        if found:
            self._billpay_trigger("ir_cron_process_payments")

    @api.model
    def _cron_poll_payments_deep(self):
        """The nightly scan over a week, for what surfaced late."""
        self._cron_poll_payments(deep=True)

    def _billpay_can_ask(self):
        """Tell whether ClickPesa can be asked: live, and with credentials.

        An application that only makes offline numbers may have none.
        """
        self.ensure_one()
        return self._billpay_is_live() and self._billpay_has_credentials()

    def _billpay_has_credentials(self):
        """Tell whether the application knows how to log in at ClickPesa."""
        self.ensure_one()
        provider_sudo = self.sudo()
        return bool(
            provider_sudo.clickpesa_client_id and provider_sudo.clickpesa_api_key
        )

    def _billpay_poll(self, deep=False):
        """Scan one application; note trouble on it instead of raising.

        Commits page by page.

        :return: whether the ledger learned of a payment to be booked
        :rtype: bool
        """
        self.ensure_one()
        started = fields.Datetime.now()
        known_until = self.billpay_polled_until
        horizon = min(known_until or started, started) - OVERLAP
        if deep or not known_until:
            horizon = min(horizon, started - DEEP)
        trouble, found, skip, complete, rest = "", False, 0, True, None
        if begun := self._billpay_begun_poll():
            started, horizon = map(fields.Datetime.to_datetime, begun["moments"])
            skip, complete = begun["skip"], begun["complete"]
        try:
            client = self._billpay_client()
            end_transaction(self.env)
            for _page in range(MAX_PAGES):
                page = client.payments_page(
                    # Which zone the date filter means is not documented: a day more.
                    start=(horizon - timedelta(days=1)).date(),
                    skip=skip,
                    limit=const.POLL_PAGE,
                )
                new, failures, nameless = committed(
                    self.env, self._billpay_store_page, page.payments
                )
                found |= new
                if nameless:
                    # Nothing that could be stored or asked for again: what is known
                    # goes on growing, and a person is told.
                    _logger.warning(
                        "Application %s: %s payment(s) without an id in the list of "
                        "ClickPesa, behind row %s.",
                        self.id,
                        nameless,
                        skip,
                    )
                    trouble = trouble or self.env._(
                        "ClickPesa lists %s payment(s) without an identity, which "
                        "cannot be booked. Compare its dashboard with BillPay "
                        "Payments; all others are stored.",
                        nameless,
                    )
                if failures:
                    complete = False
                    trouble = self.env._(
                        "These payments could not be stored: %s. They are asked for "
                        "again; see the server's log.",
                        ", ".join(failures[:5]),
                    )
                skip += page.rows
                moments = [told.created_at for told in page.payments]
                oldest = min(filter(None, moments), default=None)
                behind = oldest and oldest < horizon.replace(tzinfo=timezone.utc)
                all_read = page.total is not None and skip >= page.total
                if not page.rows or behind or all_read:
                    break
            else:
                complete = False
                trouble = self.env._("There are more payments than one poll reads.")
        except (ClickPesaError, UserError) as error:
            _logger.warning("Poll of application %s: %s", self.id, error)
            trouble = str(error)
            if isinstance(error, BudgetSpent):
                rest = {
                    "skip": skip,
                    "moments": [
                        fields.Datetime.to_string(moment)
                        for moment in (started, horizon)
                    ],
                    "complete": complete,
                    "budget": self._billpay_budget()[0],
                }
                due = fields.Datetime.now() + timedelta(seconds=error.retry_after)
                self._billpay_trigger("ir_cron_poll_payments", at=due)
            complete = False
        committed(self.env, self._billpay_note_poll, started, trouble, complete, rest)
        return found

    def _billpay_begun_poll(self):
        """Return where a scan that the limit of calls cut short is to go on.

        A long one takes more calls than a minute has; beginning anew each time, it
        would never end. Payments that arrived meanwhile only push rows further back,
        so none is passed over; they are in front of the next poll.

        :rtype: dict | None
        """
        rest = self.billpay_poll_rest
        # Another client ID has other rows.
        if rest and rest["skip"] and rest["budget"] == self._billpay_budget()[0]:
            return rest
        return None

    def _billpay_note_poll(self, started, trouble, complete=False, rest=None):
        """Note how a poll ended; only a complete one moves the known ground.

        :param datetime started: when it began, which is how far it knows
        :param dict rest: where to go on, of a scan that ran out of calls
        """
        values = {
            "billpay_last_poll_at": fields.Datetime.now(),
            "billpay_poll_error": trouble,
            "billpay_poll_rest": rest or False,
        }
        if complete:
            values["billpay_polled_until"] = started
        self.write(values)
        if complete:
            # ClickPesa answers: control numbers need not wait for their next try.
            self._billpay_answered()

    def _billpay_store_page(self, told_list):
        """Store one page.

        :return: whether something waits for the worker, what could not be stored, and
            how many rows name no payment at all
        :rtype: tuple[bool, list[str], int]
        """
        named = [told for told in told_list if told.id]
        payments, failures = self.env["billpay.payment"]._upsert_each(
            self, named, source="poll", trusted=True
        )
        # To be booked, or booked and taken back.
        due = payments.filtered(
            lambda p: p.state == "confirmed" or (p.state == "posted" and p.next_try_at)
        )
        return bool(due), failures, len(told_list) - len(named)

    def action_billpay_poll(self):
        """Poll at once, without waiting for the scheduled action."""
        self.check_access("write")
        self._billpay_trigger("ir_cron_poll_payments")
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "info",
                "message": self.env._(
                    "ClickPesa is asked for payments now; they appear under BillPay "
                    "Payments in a moment."
                ),
            },
        }
