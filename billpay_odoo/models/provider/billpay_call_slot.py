# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging
from datetime import timedelta

from odoo import SUPERUSER_ID, api, fields, models
from odoo.tools import SQL

from ...clickpesa import BudgetSpent
from ...transactions import CONFLICTS, committed

_logger = logging.getLogger(__name__)

# No slot is used twice within a minute, and within the time that a request may need
# to leave (seconds): what counts is when it arrives.
WINDOW = 60 + 5
UNUSED = timedelta(days=1)
# Free slots were there, but other workers were faster this many times.
TURNS = 5
# Who leaves how many units of the slots to those before: what comes first waits for
# nothing that comes later. Questions about what anybody may have announced use half of
# the slots at most.
SHARES = {
    "person": 0,  # clicks, checkouts, tills
    "poll": 1,
    "question": 2,
    "creation": 3,
    "change": 4,
    "text": 5,
}
# Units of all slots. Of fewer slots than shares the last one is left to each.
UNITS = 20


class BillpayCallSlot(models.Model):
    """The budget of calls to ClickPesa: one row per call that a minute may have.

    A call takes a row that nobody has used for a minute, by the database's clock.
    """

    _name = "billpay.call.slot"
    _description = "BillPay Call Slot"
    _log_access = False
    _order = "budget, rank"

    budget = fields.Char(
        required=True, help="Whose budget: a hash of API address and client ID."
    )
    rank = fields.Integer(required=True)
    used_at = fields.Datetime()

    _budget_rank_unique = models.UniqueIndex("(budget, rank)")

    # === BUSINESS METHODS === #

    @api.model
    def _gate(self, budget, limit, share="person"):
        """Return the gate of a gateway client: it takes one slot and commits.

        The gate raises :class:`BudgetSpent` when there is none.

        :param int limit: calls per minute
        :param str share: what the calls are for, of ``SHARES``
        """
        registry = self.env.registry
        least, most = self._share(limit, share)
        message = self.env._(
            "The limit of %s calls per minute to ClickPesa is reached. No money is "
            "affected: Odoo continues within a minute.",
            limit,
        )
        if (least, most) != (0, limit):
            message = self.env._(
                "Of the %s calls per minute to ClickPesa some are kept for what people "
                "wait for, and the others are used up. No money is affected: Odoo "
                "continues within a minute.",
                limit,
            )

        def gate():
            with registry.cursor() as cr:
                env = api.Environment(cr, SUPERUSER_ID, {})
                wait = env["billpay.call.slot"]._take(budget, limit, most, least)
            if wait:
                raise BudgetSpent(message, retry_after=wait)

        return gate

    @api.model
    def _share(self, limit, share):
        """Return of which slots a share may take: the first, and the one behind the
        last."""
        before = SHARES[share]
        evenly = (limit - 1) * before // (len(SHARES) - 1)
        least = min(before * max(limit // UNITS, 1), evenly)
        half = (limit + 1) // 2
        return least, least + half if share == "question" else limit

    @api.model
    def _take(self, budget, limit, most=None, least=0):
        """Take a slot and commit; return 0, or the seconds until one is free.

        :param int most: only of the first so many
        :param int least: and not of the first so many
        """
        most = limit if most is None else most
        for _turn in range(TURNS):
            try:
                taken, wait = committed(
                    self.env, self._take_once, budget, limit, most, least
                )
            except CONFLICTS as error:
                # As many as are allowed at all are being taken at this moment.
                _logger.info("No call slot in %s tries: %s", TURNS, error)
                return 1.0
            if taken:
                return 0
            if wait > 0:
                return wait
        return 1.0

    def _take_once(self, budget, limit, most, least=0):
        """Try to take a slot; return whether, and the seconds until one is free."""
        values = {
            "now": SQL("(clock_timestamp() AT TIME ZONE 'UTC')"),
            "window": SQL("interval '1 second' * %s", WINDOW),
            "budget": budget,
            "most": most,
            "least": least,
        }
        # Of all free ones at random, so that workers seldom want the same one. One
        # used in the future is free: the clock was put back.
        taken = self.env.execute_query(
            SQL(
                """
                    UPDATE billpay_call_slot SET used_at = %(now)s
                     WHERE id = (
                           SELECT id FROM billpay_call_slot
                            WHERE budget = %(budget)s
                              AND rank >= %(least)s AND rank < %(most)s
                              AND (used_at IS NULL OR used_at < %(now)s - %(window)s
                                   OR used_at > %(now)s + %(window)s)
                         ORDER BY random()
                            LIMIT 1
                              FOR UPDATE SKIP LOCKED)
                 RETURNING id
                    """,
                **values,
            )
        )
        if taken:
            return True, 0
        [[count, wait]] = self.env.execute_query(
            SQL(
                """
                    SELECT count(*),
                           extract(epoch FROM min(used_at) + %(window)s - %(now)s)
                      FROM billpay_call_slot
                     WHERE budget = %(budget)s
                       AND rank >= %(least)s AND rank < %(most)s
                    """,
                **values,
            )
        )
        if count >= most - least:
            return False, float(wait or 0)
        self.env.cr.execute(
            SQL(
                """
                    INSERT INTO billpay_call_slot (budget, rank)
                         SELECT %s, rank FROM generate_series(0, %s) AS rank
                    ON CONFLICT DO NOTHING
                    """,
                budget,
                limit - 1,
            )
        )
        return False, 0

    # === CRON === #

    @api.autovacuum
    def _gc_call_slots(self):
        """Forget slots that nobody has used for a day."""
        old = [("used_at", "<", fields.Datetime.now() - UNUSED)]
        unused = self.search(["|", ("used_at", "=", False), *old], limit=1000)
        unused.unlink()
        return len(unused), len(unused) == 1000
