# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What webhook and poll have missed: see docs/decisions/days.rst."""

import logging
from datetime import timedelta

from odoo import models
from odoo.exceptions import UserError

from ... import const
from ...clickpesa import ClickPesaError, Refused
from ...clickpesa.values import is_gone
from ...transactions import committed, end_transaction

_logger = logging.getLogger(__name__)

# Up to so many payments are asked for one by one; of more, pages are read first.
FEW = 5
# Pages, and questions about single numbers, of one run over an application.
PAGES, QUESTIONS = 50, 50
DAY = timedelta(days=1)


class BillpayThirdEar(models.AbstractModel):
    """Ask for payments that the account statement shows and Odoo does not have so.

    They enter by the one upsert of the ledger, as if a webhook or a poll had reported
    them, and reversals take the way of reversals.
    """

    _name = "billpay.third.ear"
    _description = "BillPay Third Ear"

    def _hear(self, provider, days):
        """Ask ClickPesa about what these days show otherwise than Odoo.

        :return: whether anything was asked
        """
        rows = committed(self.env, self._to_ask, days)
        if not rows:
            return False
        env = provider.env
        missing = {row.reference: row.number or row.payment_id.number for row in rows}
        try:
            client = provider._billpay_client(patience=0, share="question")
            if len(missing) > FEW:
                self._read_pages(provider, client, rows.mapped("day"), missing)
            self._ask_each(provider, client, missing)
        except (ClickPesaError, UserError) as error:
            # What was not asked for is asked for by the next run.
            _logger.info("Rows of a statement could not be asked for: %s", error)
        committed(env, self._after, provider, rows)
        return True

    def _to_ask(self, days):
        rows = self.env["billpay.statement.row"].sudo()
        return rows.search(
            [
                ("day_id", "in", days.ids),
                ("verdict", "in", ("unknown", "not_reversed")),
                ("reference", "!=", False),
                ("reference", "!=", ""),
            ]
        )

    def _read_pages(self, provider, client, dates, missing):
        """Read the payments made around these days; strike out what was found.

        Money is in the balance some days after it was paid.
        """
        start, end, skip = min(dates) - 3 * DAY, max(dates) + DAY, 0
        for _page in range(PAGES):
            end_transaction(provider.env)
            page = client.payments_page(
                start=start, end=end, skip=skip, limit=const.POLL_PAGE
            )
            skip += page.rows
            told = [payment for payment in page.payments if payment.id in missing]
            committed(provider.env, self._store, provider, told)
            for payment in told:
                missing.pop(payment.id, None)
            all_read = page.total is not None and skip >= page.total
            if not missing or not page.rows or all_read:
                break

    def _ask_each(self, provider, client, missing):
        """Ask by number, the number of several payments once."""
        numbers = dict.fromkeys(filter(None, missing.values()))
        for number in list(numbers)[:QUESTIONS]:
            end_transaction(provider.env)
            try:
                told = client.payments(number)
            except Refused as error:
                if error.application_wide:
                    raise
                continue
            committed(provider.env, self._store, provider, told)

    def _store(self, provider, told_list):
        told_list = [told for told in told_list if told.id]
        self.env["billpay.ledger"]._upsert_each(
            provider, told_list, source="query", trusted=True
        )

    def _after(self, provider, rows):
        """Wake the worker; call a person where statement and query contradict."""
        self.env["billpay.comparison"]._compare(rows.day_id)
        for row in rows:
            payment, cause = row.payment_id, f"statement:{row.id}"
            if row.verdict != "not_reversed":
                payment._end_warning(cause)
            elif not is_gone(payment.status) and cause not in (payment.warned or {}):
                payment._warn(
                    cause,
                    payment.env._(
                        "ClickPesa's statement of %(day)s shows this payment as "
                        "reversed (%(amount)s), but ClickPesa reports it as "
                        "%(status)s. The books were not changed: compare with the "
                        "ClickPesa dashboard. If the money went back, press Undo "
                        "Match.",
                        day=row.day,
                        amount=row.currency_id.format(row.amount),
                        status=payment.status or "?",
                    ),
                )
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
