# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Deliveries without a valid signature: kept as evidence, within bounds.

Whoever knows a webhook address can send as many as a network carries. So they are
written at a bounded pace and a bounded number of them per day; the rest is counted, on
one row per day. None is ever removed to make room for another: what was kept stays, and
how many were not kept can be seen. Money is not affected: the poll finds it.
"""

import hashlib
import logging
from datetime import datetime, time

from odoo import api, fields, models
from odoo.tools import SQL

from ..throttle import Allowance

_logger = logging.getLogger(__name__)

# Rows per application and day (UTC).
KEPT_PER_DAY = 100
# A delivery is about one kilobyte (characters).
KEPT_OF_BODY = 8192
# Statements per application and process: enough for a merchant whose key is wrong.
_writing = Allowance(burst=KEPT_PER_DAY, per_second=1)
# Lines in the log: one per minute.
_logging = Allowance(burst=1, per_second=1 / 60)


class BillpayEvent(models.Model):
    _inherit = "billpay.event"  # pylint: disable=consider-merging-classes-inherited

    @api.model
    def _quarantine(self, address, token, raw, notification, *, remote_addr):
        """Keep or count a delivery whose signature is missing or wrong.

        :param Address address: where it came to
        :param str token: of that address
        :return: ``None``; or what the address is now, when its application was
            changed meanwhile: the signature is then to be verified again
        :rtype: Address | None
        """
        key = self.env.cr.dbname, address.provider_id
        count = _writing.take(key)
        if count:
            fresh = self.env["payment.provider"]._billpay_find_address(
                token, fresh=True
            )
            if fresh and fresh.key != address.key:
                _writing.give_back(key, count - 1)
                return fresh
            # A replay of this request is to count them once more.
            self.env.cr.postrollback.add(lambda: _writing.give_back(key, count - 1))
            self._keep_refused(address, raw, notification, count, remote_addr)
        unlogged = _logging.take(key)
        if unlogged:
            _logger.warning(
                "Application %s: %s deliveries with a missing or wrong signature were "
                "refused since the last line like this.",
                address.provider_id,
                unlogged,
            )
        return None

    @api.model
    def _keep_refused(self, address, raw, notification, count, remote_addr):
        """Keep this delivery while there is room; count the others.

        :param int count: deliveries to account for, this one included
        """
        today = datetime.combine(fields.Datetime.now(), time.min)
        digest = hashlib.sha256(b"quarantine\n" + raw).hexdigest()
        [(room,)] = self.env.execute_query(
            SQL(
                """
                SELECT EXISTS (
                           SELECT FROM billpay_event
                            WHERE provider_id = %(provider)s AND digest = %(digest)s
                       )
                    OR %(limit)s > (
                           SELECT count(*) FROM billpay_event
                            WHERE provider_id = %(provider)s AND state = 'quarantine'
                              AND received_at >= %(today)s
                       )
                """,
                provider=address.provider_id,
                digest=digest,
                limit=KEPT_PER_DAY,
                today=today,
            )
        )
        texts = self._texts_for(address)
        if room:
            self._store_delivery(
                address,
                raw[:KEPT_OF_BODY],
                notification,
                state="quarantine",
                signed=False,
                digest=digest,
                reason=texts._("The signature is missing or wrong."),
                remote_addr=remote_addr,
            )
            count -= 1
        if count:
            self._insert(
                {
                    **self._owner_values(address),
                    "state": "quarantine",
                    "event": texts._("More of these"),
                    "times": count,
                    "digest": "more %s" % today.date(),
                    "reason": texts._(
                        "Signatures missing or wrong, so often that these deliveries "
                        "are only counted. If ClickPesa sent them, the poll finds the "
                        "payments."
                    ),
                }
            )

    @api.model
    def _texts_for(self, address):
        """Return an environment that speaks the language of the company."""
        company = self.env["res.company"].browse(address.company_id)
        return self.with_context(lang=company.partner_id.lang).env
