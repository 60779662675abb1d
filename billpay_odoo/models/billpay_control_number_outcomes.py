# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the sync worker stores of ClickPesa's answers, and of the lack of one.

Each method runs in a fresh transaction, maybe more than once.
"""

import logging
from datetime import timedelta

from odoo import fields, models

from ..clickpesa import BudgetSpent, Refused
from .billpay_control_number_sync import LEASE, pause_after

_logger = logging.getLogger(__name__)

SETTLED = {"sync_at": False, "sync_attempts": 0, "sync_error": False}
# Of new digits ClickPesa cannot know anything.
UNSENT = {"sync_attempts": 0, "sync_error": False, "sent": False}


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    def _still_leased(self, tries):
        """Keep the rows that nobody else has taken since we leased them.

        A worker that is slower than its lease finds its rows settled by another one:
        what it learned is old then, and acting on it would harm.
        """
        self.invalidate_recordset()
        return self.exists().filtered(
            lambda number: number.sync_at and number.sync_attempts == tries[number.id]
        )

    def _renew_lease(self, tries):
        """Lease once more before a further call; tell whether the row is still ours."""
        leased = self._still_leased(tries)
        leased._quiet().write(
            {"sync_at": fields.Datetime.now() + timedelta(seconds=LEASE)}
        )
        return bool(leased)

    def _quiet(self):
        return self.with_context(tracking_disable=True)

    def _store_created(self, requests, tries):
        """ClickPesa has these numbers now, as they were sent."""
        numbers = self._still_leased(tries)
        now = fields.Datetime.now()
        for number in numbers._quiet():
            sent = requests[number.id]
            number.write(
                {
                    "state": "open" if number.state == "pending" else number.state,
                    "confirmed_at": now,
                    "known_active": True,
                    "known_amount": sent.amount or 0,
                    "known_mode": sent.mode or False,
                    "known_max_amount": sent.max_amount or 0,
                    "known_description": sent.description or False,
                    **SETTLED,
                }
            )
        numbers._schedule_if_different()

    def _store_adopted(self, there, tries):
        """An earlier try of ours had come through: take it as it is there."""
        number = self._still_leased(tries)
        if not number:
            return
        number._quiet().write(
            {
                "state": "open" if number.state == "pending" else number.state,
                "confirmed_at": fields.Datetime.now(),
                "known_active": True if there.active is None else there.active,
                "known_amount": there.amount or 0,
                "known_mode": there.mode or False,
                "known_max_amount": there.max_amount or 0,
                "known_description": there.description or False,
                **SETTLED,
            }
        )
        number._schedule_if_different()

    def _store_collision(self, tries):
        """These digits are taken by somebody else: take the next ones."""
        number = self._still_leased(tries)
        if not number:
            return
        taken = number.name
        number._quiet().write(
            {
                "name": number.provider_id._billpay_next_references(1)[0],
                "sync_at": fields.Datetime.now(),
                **UNSENT,
            }
        )
        body = self.env._(
            "The number %(taken)s was already in use at ClickPesa, so %(name)s is "
            "taken instead.",
            taken=taken,
            name=number.name,
        )
        (number.move_id or number)._message_log(body=body)

    def _store_known(self, difference, tries):
        """ClickPesa has taken over these changes."""
        known = {
            "known_%s" % key: value
            for key, value in difference.items()
            if key in ("active", "amount", "max_amount", "mode", "description")
        }
        if difference.get("mode") == "exact":
            # The exact mode takes the maximum away (ClickPesa docs, "Update").
            known["known_max_amount"] = 0
        number = self._still_leased(tries)
        number._quiet().write({**known, **SETTLED})
        number._schedule_if_different()

    def _store_trouble(self, error, tries):
        """Note why ClickPesa does not have what we want, and when to try again.

        Trouble of the application lets all its numbers wait; a refusal concerns
        these numbers only. A spent budget was no try: nothing was sent.
        """
        numbers = self._still_leased(tries)
        until = None
        if not isinstance(error, Refused) or error.application_wide:
            until = self.provider_id._billpay_pause(error)
        for number in numbers._quiet():
            values = {"sync_error": error.message}
            if until:
                values["sync_at"] = until
                if isinstance(error, BudgetSpent):
                    values["sync_attempts"] = max(number.sync_attempts - 1, 0)
            elif number._is_known():
                pause = timedelta(seconds=pause_after(number.sync_attempts))
                values["sync_at"] = fields.Datetime.now() + pause
            else:
                values["sync_at"] = False
                if number.state == "pending":
                    values["state"] = "failed"
            number.write(values)
            if values.get("state") == "failed":
                number._tell_refusal(error.message)
        _logger.info(
            "%s control number(s) not synchronised: %s", len(numbers), error.message
        )
