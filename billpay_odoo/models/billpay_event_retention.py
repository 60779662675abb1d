# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Old deliveries are reduced; payments never are.

A body names payers and their telephones. After the time that the company has set, a
delivery that did its work loses body and sender, and one in quarantine goes. What
remains says what came when and what became of it, and still knows a repeat.
"""

from datetime import timedelta

from odoo import api, fields, models

# Rows per transaction.
BATCH = 1000


class BillpayEvent(models.Model):
    _inherit = "billpay.event"  # pylint: disable=consider-merging-classes-inherited

    _to_reduce = models.Index(
        "(company_id, last_received_at)"
        " WHERE state IN ('done', 'logged') AND reduced_at IS NULL"
    )

    @api.autovacuum
    def _gc_old_deliveries(self):
        """Reduce a batch of deliveries that are old enough.

        Never one that waits or that was not understood: a person has not settled it.

        :return: how many were reduced, and whether more may wait
        :rtype: tuple[int, bool]
        """
        done, room = 0, BATCH
        companies = self.env["res.company"].search([("billpay_event_days", ">", 0)])
        for company in companies:
            domain = [
                ("company_id", "=", company.id),
                (
                    "last_received_at",
                    "<",
                    fields.Datetime.now() - timedelta(days=company.billpay_event_days),
                ),
            ]
            for reduce, condition in (
                (self._reduce, [("state", "in", ("done", "logged"))]),
                (self._forget, [("state", "=", "quarantine")]),
            ):
                condition = [*condition, ("reduced_at", "=", False), *domain]
                # A repeat that comes at this moment holds its row: that one is new.
                events = self.search(condition, limit=room, order="id")
                events = events.try_lock_for_update()
                reduce(events)
                done += len(events)
                room -= len(events)
                if not room:
                    return done, True
        return done, False

    @api.model
    def _reduce(self, events):
        events.write(
            {"body": False, "remote_addr": False, "reduced_at": fields.Datetime.now()}
        )

    @api.model
    def _forget(self, events):
        events.unlink()
