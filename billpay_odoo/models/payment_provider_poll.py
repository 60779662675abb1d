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

from .. import const
from ..clickpesa import ClickPesaError
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

    @api.model
    def _cron_poll_payments(self, deep=False):
        """Poll every active application; trouble of one does not stop the others."""
        cron = self.env["ir.cron"]
        providers = self.sudo().search(
            [("code", "=", "clickpesa"), ("state", "!=", "disabled")]
        )
        providers = providers.filtered(lambda provider: provider._billpay_is_live())
        cron._commit_progress(remaining=len(providers))
        found = False
        for provider in providers:
            found |= provider._billpay_poll(deep=deep)
            if not cron._commit_progress(1):
                break
        if found:
            self._billpay_trigger("ir_cron_process_payments")

    @api.model
    def _cron_poll_payments_deep(self):
        """The nightly scan over a week, for what surfaced late."""
        self._cron_poll_payments(deep=True)

    def _billpay_poll(self, deep=False):
        """Scan one application; note trouble on it instead of raising.

        Commits page by page.

        :return: whether the ledger learned of a payment to be booked
        :rtype: bool
        """
        self.ensure_one()
        started = fields.Datetime.now()
        known_until = self.billpay_polled_until
        horizon = (
            started - DEEP
            if deep or not known_until
            else min(known_until, started) - OVERLAP
        )
        client = self._billpay_client()
        end_transaction(self.env)
        found, skip = False, 0
        try:
            for _page in range(MAX_PAGES):
                page = client.payments_page(
                    # Which zone the date filter means is not documented: a day more.
                    start=(horizon - timedelta(days=1)).date(),
                    skip=skip,
                    limit=const.POLL_PAGE,
                )
                told_list = [told for told in page.payments if told.id]
                found |= committed(self.env, self._billpay_store_page, told_list)
                skip += page.rows
                moments = [told.created_at for told in told_list if told.created_at]
                behind = moments and min(moments) < horizon.replace(tzinfo=timezone.utc)
                if not page.rows or skip >= page.total or behind:
                    break
        except ClickPesaError as error:
            _logger.warning("Poll of application %s: %s", self.id, error)
            committed(
                self.env,
                self.write,
                {"billpay_last_poll_at": started, "billpay_poll_error": error.message},
            )
            return found
        committed(
            self.env,
            self.write,
            {
                "billpay_last_poll_at": started,
                "billpay_polled_until": started,
                "billpay_poll_error": False,
            },
        )
        return found

    def _billpay_store_page(self, told_list):
        """Store one page; return whether something waits to be booked."""
        payments = self.env["billpay.payment"]._upsert(
            self, told_list, source="poll", trusted=True
        )
        return any(payment.state == "confirmed" for payment in payments)

    def action_billpay_poll(self):
        """Poll at once, without waiting for the scheduled action."""
        self.check_access("write")
        self._billpay_trigger("ir_cron_poll_payments")
