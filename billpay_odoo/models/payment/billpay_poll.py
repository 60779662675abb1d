# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The poll finds what no webhook reported: see docs/decisions/poll.rst."""

import logging
from datetime import timedelta, timezone

from odoo import fields, models
from odoo.exceptions import UserError

from ... import const
from ...clickpesa import BudgetSpent, ClickPesaError
from ...transactions import committed, end_transaction

_logger = logging.getLogger(__name__)

# How far behind known ground a poll reads on, for payments that surface late.
OVERLAP = timedelta(minutes=15)
# The nightly scan, and the first poll of an application.
DEEP = timedelta(days=7)
# A scan ends somewhere, whatever the gateway answers.
MAX_PAGES = 1000


class BillpayPoll(models.AbstractModel):
    """Find payments that no webhook reported."""

    _name = "billpay.poll"
    _description = "BillPay Poll"

    def _poll(self, provider, deep=False):
        """Scan one application; note trouble on it instead of raising.

        Commits page by page.

        :return: whether the ledger learned of a payment to be booked
        """
        env = provider.env
        started = fields.Datetime.now()
        known_until = provider.billpay_polled_until
        horizon = min(known_until or started, started) - OVERLAP
        if deep or not known_until:
            horizon = min(horizon, started - DEEP)
        trouble, found, skip, complete, rest = "", False, 0, True, None
        if begun := self._begun_poll(provider):
            started, horizon = map(fields.Datetime.to_datetime, begun["moments"])
            skip, complete = begun["skip"], begun["complete"]
        # Which zone the date filter means is not documented: a day more.
        start = (horizon - timedelta(days=1)).date()
        try:
            client = provider._billpay_client()
            end_transaction(env)
            for _page in range(MAX_PAGES):
                page = client.payments_page(
                    start=start, skip=skip, limit=const.POLL_PAGE
                )
                new, failures, nameless = committed(
                    env, self._store_page, provider, page.payments
                )
                found |= new
                if nameless:
                    # Nothing that could be stored or asked for again: what is known
                    # goes on growing, and a person is told.
                    where = (provider.id, nameless, skip)
                    _logger.warning(
                        "Application %s: %s payment(s) without an id, row %s on.",
                        *where,
                    )
                    trouble = trouble or env._(
                        "ClickPesa lists %s payment(s) without an identity, which "
                        "cannot be booked. Compare its dashboard with BillPay "
                        "Payments; all others are stored.",
                        nameless,
                    )
                if failures:
                    complete = False
                    trouble = env._(
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
                trouble = env._("There are more payments than one poll reads.")
        except (ClickPesaError, UserError) as error:
            _logger.warning("Poll of application %s: %s", provider.id, error)
            trouble = str(error)
            if isinstance(error, BudgetSpent):
                moments = map(fields.Datetime.to_string, (started, horizon))
                rest = {
                    "skip": skip,
                    "moments": list(moments),
                    "complete": complete,
                    "budget": env["billpay.gate"]._budget(provider)[0],
                }
                due = fields.Datetime.now() + timedelta(seconds=error.retry_after)
                provider._billpay_trigger("ir_cron_poll_payments", at=due)
            complete = False
        committed(env, self._note_poll, provider, started, trouble, complete, rest)
        return found

    def _begun_poll(self, providers):
        """Return where a scan that the limit of calls cut short is to go on, if any.

        Payments that arrived meanwhile only push rows further back, so none is passed
        over; they are in front of the next poll.
        """
        rest = providers.billpay_poll_rest
        # Another client ID has other rows.
        budget = rest and providers.env["billpay.gate"]._budget(providers)[0]
        return rest if rest and rest["skip"] and rest["budget"] == budget else None

    def _note_poll(self, providers, started, trouble, complete=False, rest=None):
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
        providers.write(values)
        if complete:
            providers.env["billpay.receipt"]._doubt_unreported(providers, started)
            # ClickPesa answers: control numbers need not wait for their next try.
            providers.env["billpay.gate"]._answered(providers)

    def _store_page(self, providers, told_list):
        """Store one page.

        :return: whether something waits for the worker, what could not be stored, and
            how many rows name no payment at all
        """
        named = [told for told in told_list if told.id]
        payments, failures = providers.env["billpay.ledger"]._upsert_each(
            providers, named, source="poll", trusted=True
        )
        # To be booked, or booked and taken back.
        due = payments.filtered(
            lambda p: p.state == "confirmed" or (p.state == "posted" and p.next_try_at)
        )
        return bool(due), failures, len(told_list) - len(named)

    def _poll_all(self, deep=False):
        """Poll every active application; trouble of one does not stop the others.

        Then create and clear the activities of failing health checks.
        """
        cron = self.env["ir.cron"]
        providers = self.env["payment.provider"].sudo()
        providers = providers.search(
            [("code", "=", "clickpesa"), *providers._billpay_on_domain()]
        ).filtered(lambda provider: provider._billpay_can_ask())
        cron._commit_progress(remaining=len(providers))
        found = False
        for provider in providers:
            try:
                found |= self._poll(provider, deep=deep)
            except Exception:
                _logger.exception("Poll of application %s failed.", provider.id)
                self.env.cr.rollback()
                message = self.env._("Unexpected error; see the server's log.")
                now = fields.Datetime.now()
                committed(self.env, self._note_poll, provider, now, message)
            if not cron._commit_progress(1):
                break
        committed(self.env, self.env["billpay.ledger"]._bind_forgotten)
        if found:
            self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
        try:
            committed(self.env, self.env["billpay.health"]._tell_health)
        except Exception:
            # The poll has done its work; the checks run again after the next one.
            _logger.exception("The health of applications could not be checked.")
