# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Registering a number for a payer who waits, together with those of others."""

import threading

from odoo import models

from .. import const
from ..crowd import Registrar

_registrars, _lock = {}, threading.Lock()


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    def _sync_with_others(self, patience):
        """Register this number now; a crowd at this process shares the calls.

        :param float patience: seconds
        :return: ``{"name": str, "state": str, "error": str}`` afterwards, as of
            ``_sync_now``; the state is "" when nobody came to it
        :rtype: dict
        """
        self.ensure_one()
        with _lock:
            registrar = _registrars.setdefault(
                self.env.cr.dbname, Registrar(_register, const.BULK_LIMIT)
            )
        outcome = registrar(self.env, (self.id, patience), patience)
        return outcome or {"name": self.name, "state": "", "error": ""}


def _register(env, keys):
    ids = [number_id for number_id, _patience in keys]
    numbers = env["billpay.control.number"].browse(ids)
    outcomes = numbers._sync_now(patience=max(patience for _id, patience in keys))
    return {key: outcomes.get(key[0]) for key in keys}
