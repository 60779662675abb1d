# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Webhook addresses: whose delivery is it? Answered from memory, for speed."""

import hashlib
import re
import time
from dataclasses import dataclass, field

from odoo import api, models, tools
from odoo.tools import SQL

_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,64}")
# What an address is made of; a change of anything else is no change of it.
_FIELDS = {"code", "company_id", "clickpesa_webhook_token", "clickpesa_checksum_key"}
# How long an unknown address is believed to be unknown (seconds). Odoo tells every
# process of a change; this is for a change that was missed.
_KNOWN_FOR = 60
# Another one after every change of the row, whoever made it, also by SQL. It stands
# for the secrets, which are not written into statements (and so into logs).
ROW_VERSION = "provider.xmin::text || provider.ctid::text"


@dataclass(frozen=True)
class Address:
    """What a delivery to one webhook address needs.

    ``version`` is the state of the application that this was read from.
    """

    provider_id: int
    company_id: int
    version: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class _Addresses:
    read_at: float
    by_digest: dict = field(repr=False)


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        providers = super().create(vals_list)
        self.env.registry.clear_cache()
        return providers

    def write(self, vals):
        result = super().write(vals)
        if not _FIELDS.isdisjoint(vals):
            self.env.registry.clear_cache()
        return result

    def unlink(self):
        result = super().unlink()
        self.env.registry.clear_cache()
        return result

    # === BUSINESS METHODS === #

    @api.model
    def _billpay_find_address(self, token, fresh=False):
        """Return the ``Address`` behind the token of a webhook address, or ``None``.

        An unknown token costs no query: anybody can send one.

        :param bool fresh: read it from the database, whatever was kept
        """
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            return None
        # Looked up by digest, so that the time it takes tells nothing of the token.
        digest = hashlib.sha256(token.encode()).digest()
        known = self._billpay_addresses()
        if not fresh:
            if address := known.by_digest.get(digest):
                return address
            fresh = time.monotonic() - known.read_at > _KNOWN_FOR
        if fresh:
            known = self._billpay_read_addresses()
            cache = type(self)._billpay_addresses.__cache__
            cache.add_value(self, cache_value=known)
        return known.by_digest.get(digest)

    @api.model
    @tools.ormcache()
    def _billpay_addresses(self):
        # The one key of this cache holds no token: Odoo may log keys.
        return self._billpay_read_addresses()

    @api.model
    def _billpay_read_addresses(self):
        self.flush_model(_FIELDS)
        rows = self.env.execute_query(
            SQL(
                """
                SELECT id, company_id, %s, COALESCE(clickpesa_checksum_key, ''),
                       clickpesa_webhook_token
                  FROM payment_provider AS provider
                 WHERE code = 'clickpesa' AND clickpesa_webhook_token IS NOT NULL
                """,
                SQL(ROW_VERSION),
            )
        )
        return _Addresses(
            read_at=time.monotonic(),
            by_digest={
                hashlib.sha256(token.encode()).digest(): Address(*values)
                for *values, token in rows
            },
        )
