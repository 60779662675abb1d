# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The poll finds what no webhook reported: see docs/decisions/poll.rst."""

import logging
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from odoo import fields, models
from odoo.exceptions import UserError

from ... import const
from ...clickpesa import BudgetSpent, ClickPesaError, Refused
from ...transactions import committed, end_transaction
from .billpay_ledger import _naive

_logger = logging.getLogger(__name__)

# How far behind known ground a poll reads on, for payments that surface late.
OVERLAP = timedelta(minutes=15)
# The nightly scan, and the first poll of an application.
DEEP = timedelta(days=7)
# A scan ends somewhere, whatever the gateway answers.
MAX_PAGES = 1000
# A place that is older leads nowhere: the scan begins anew.
STALE = timedelta(days=1)
# A server's clock that is further ahead (seconds) is not believed.
CLOCK_AHEAD = 60
# The list by its latest changes; where that is not to be had, by its newest rows.
CHANGED, CREATED = "updatedAt", "createdAt"
# Where an application keeps the place of a scan, and when its last one ended: a
# normal scan and a nightly one may be under way at once.
PLACE = {False: "billpay_poll_rest", True: "billpay_deep_rest"}
ENDED = {False: "billpay_last_poll_at", True: "billpay_last_deep_at"}
# Whose scan has ended so lately is left out where another one is only to go on.
LATELY = {False: timedelta(minutes=1), True: timedelta(hours=12)}


@dataclass
class Scan:
    """One reading of the list, kept on the application between its pages.

    Moments are in UTC, without saying so. ``known`` says, for either order, before
    which moment all is in the ledger; ``last`` is the moment of the last row.
    """

    budget: str
    started: datetime
    known: dict
    order: str = CHANGED
    pages: int = 0
    skip: int = 0
    last: datetime | None = None
    falls: bool = False
    ordered: bool = True
    complete: bool = True
    more: bool = True
    trouble: str = ""

    @classmethod
    def from_place(cls, place):
        """Return the scan whose ``place`` this is."""
        names = dict(place)
        started, *known = map(fields.Datetime.to_datetime, names.pop("moments"))
        known = dict(zip((CHANGED, CREATED), known, strict=True))
        last = datetime.fromisoformat(names["last"]) if names["last"] else None
        return cls(**{**names, "started": started, "known": known, "last": last})

    def place(self):
        """Return what ``from_place`` reads, as JSON."""
        names = asdict(self)
        known = names.pop("known")
        moments = (names.pop("started"), known[CHANGED], known[CREATED])
        names["moments"] = [fields.Datetime.to_string(moment) for moment in moments]
        # The order of rows shows in fractions of a second, too.
        names["last"] = self.last.isoformat() if self.last else ""
        return names

    def start(self):
        """Return the first day to ask for; changes come at any age."""
        if self.order == CHANGED:
            return None
        # Which zone the date filter means is not documented: a day more.
        return (self.known[CREATED] - timedelta(days=1)).date()

    def after(self, page):
        """Return this scan as it goes on after a page, or as it ended with it.

        It ends with a whole page of what is known, as long as every row was as old as
        the one before it; else at the end of the list. That rows arrive between two
        pages only pushes others back: they are read twice, and none is passed over.
        """
        scan = replace(self, skip=self.skip + page.rows, pages=self.pages + 1)
        behind = bool(page.payments)
        for told in page.payments:
            moments = [told.updated_at, told.created_at]
            if self.order == CREATED:
                moments.reverse()
            if not (moment := _naive(moments[0] or moments[1])):
                behind = False
                continue
            if scan.last:
                scan.ordered = scan.ordered and moment <= scan.last
                scan.falls = scan.falls or moment < scan.last
            scan.last = moment
            behind = behind and moment < self.known[self.order]
        if not scan.ordered and scan.order == CHANGED:
            return scan.by_creation()
        # Rows of one and the same moment do not show which way the list goes.
        behind = behind and scan.ordered and (scan.falls or scan.pages > 1)
        all_read = page.total is not None and scan.skip >= page.total
        scan.more = bool(page.rows) and not behind and not all_read
        return scan

    def by_creation(self):
        """Return this scan from the first page on, in the list's other order."""
        again = {"pages": 0, "skip": 0, "last": None, "falls": False, "ordered": True}
        return replace(self, order=CREATED, **again)


class BillpayPoll(models.AbstractModel):
    """Find payments, and changes of payments, that no webhook reported."""

    _name = "billpay.poll"
    _description = "BillPay Poll"

    def _poll(self, provider, deep=False, left=1):
        """Scan one application; note trouble on it instead of raising.

        Commits page by page, each with the place behind it: a killed process has lost
        what it read of one page.

        :param int left: applications that this run still has to do, with this one
        :return: whether the ledger learned of a payment to be booked, and whether the
            scan has ended (else the time of the run is over)
        """
        env = provider.env
        begun = self._begun_scan(provider, deep)
        scan = first = begun or self._new_scan(provider, deep)
        found, trouble, rest = False, "", False
        try:
            client = provider._billpay_client(share="poll")
            end_transaction(env)
            while scan.more:
                try:
                    page = client.payments_page(
                        start=scan.start(),
                        skip=scan.skip,
                        limit=const.POLL_PAGE,
                        sort=scan.order,
                    )
                except Refused as error:
                    # Perhaps it knows no such order; other kinds have other reasons.
                    if scan.order != CHANGED or type(error) is not Refused:
                        raise
                    scan = scan.by_creation()
                    continue
                new, scan = committed(env, self._store_page, provider, scan, page, deep)
                found |= new
                if not scan.more:
                    break
                if scan.pages >= MAX_PAGES:
                    trouble = env._("There are more payments than one poll reads.")
                    break
                if not env["ir.cron"]._commit_progress(1, remaining=left):
                    # Odoo calls again, and the scan goes on from its place.
                    return found, False
            ahead = -(client.clock_skew or 0)
            if ahead > CLOCK_AHEAD:
                scan.started -= timedelta(seconds=ahead)
        except (ClickPesaError, UserError) as error:
            _logger.warning("Poll of application %s: %s", provider.id, error)
            trouble = str(error)
            if isinstance(error, BudgetSpent):
                due = fields.Datetime.now() + timedelta(seconds=error.retry_after)
                name = "ir_cron_poll_payments" + ("_deep" if deep else "")
                provider._billpay_trigger(name, at=due)
            # A place where nothing is to be had is not tried for ever.
            if scan is not first or (begun and isinstance(error, BudgetSpent)):
                rest = scan.place()
        trouble = trouble or scan.trouble or self._trouble_of_order(provider, scan)
        committed(env, self._note_poll, provider, deep, trouble, scan, rest)
        return found, True

    def _new_scan(self, provider, deep):
        started = fields.Datetime.now()
        known_until = provider.billpay_polled_until
        horizon = min(known_until or started, started) - OVERLAP
        if deep or not known_until:
            horizon = min(horizon, started - DEEP)
        known = {CHANGED: horizon, CREATED: horizon}
        unordered = provider.billpay_unordered_since
        if unordered:
            # Since then, changes of what was known have gone by unseen.
            known[CHANGED] = min(horizon, unordered - OVERLAP)
        return Scan(
            budget=provider.env["billpay.gate"]._budget(provider)[0],
            started=started,
            known=known,
            # Every night it is tried again.
            order=CREATED if unordered and not deep else CHANGED,
        )

    def _begun_scan(self, provider, deep):
        """Return the scan that is to go on from its place, if any."""
        place = provider[PLACE[deep]]
        if not place:
            return None
        scan = Scan.from_place(place)
        # Another client ID has other rows.
        budget = provider.env["billpay.gate"]._budget(provider)[0]
        stale = scan.started < fields.Datetime.now() - STALE
        return None if stale or scan.budget != budget else scan

    def _trouble_of_order(self, provider, scan):
        if scan.ordered:
            return ""
        return provider.env._(
            "ClickPesa does not list payments in the order that is asked for. All "
            "payments since %s are read at each poll, and none is left out. If this "
            "stays for days, tell ClickPesa's support.",
            fields.Date.to_string(scan.start()),
        )

    def _note_poll(self, provider, deep, trouble, scan=None, rest=False):
        """Note how a poll ended.

        Only a complete one that found the rows in order moves the known ground.

        :param scan: as far as it went
        :param rest: the place where it goes on
        """
        now = fields.Datetime.now()
        values = {
            "billpay_last_poll_at": now,
            ENDED[deep]: now,
            PLACE[deep]: rest,
            "billpay_poll_error": trouble,
        }
        known_until = provider.billpay_polled_until
        read = scan and not scan.more
        complete = read and scan.complete
        if read and scan.order == CREATED:
            values["billpay_unordered_since"] = (
                provider.billpay_unordered_since or known_until or scan.known[CHANGED]
            )
        elif complete:
            values["billpay_unordered_since"] = False
        # A normal and a nightly scan end in any order.
        older = complete and known_until and scan.started < known_until <= now
        if complete and scan.ordered and not older:
            values["billpay_polled_until"] = scan.started.replace(microsecond=0)
        provider.write(values)
        if complete:
            provider.env["billpay.receipt"]._doubt_unreported(provider, scan.started)
            # ClickPesa answers: control numbers need not wait for their next try.
            provider.env["billpay.gate"]._answered(provider)

    def _store_page(self, provider, scan, page, deep):
        """Store one page and, if the scan goes on, the place behind it.

        :return: whether something waits for the worker, and the scan after this page
        """
        env = provider.env
        named = [told for told in page.payments if told.id]
        payments, failures = env["billpay.ledger"]._upsert_each(
            provider, named, source="poll", trusted=True
        )
        after = scan.after(page)
        if nameless := len(page.payments) - len(named):
            # Nothing that could be stored or asked for again: what is known goes on
            # growing, and a person is told.
            _logger.warning(
                "Application %s: %s payment(s) without an id, row %s on.",
                *(provider.id, nameless, scan.skip),
            )
            after.trouble = after.trouble or env._(
                "ClickPesa lists %s payment(s) without an identity, which cannot be "
                "booked. Compare its dashboard with BillPay Payments; all others are "
                "stored.",
                nameless,
            )
        if failures:
            after.complete = False
            after.trouble = env._(
                "These payments could not be stored: %s. They are asked for again; see "
                "the server's log.",
                ", ".join(failures[:5]),
            )
        if after.more:
            provider.write({PLACE[deep]: after.place()})
        # To be booked, or booked and taken back.
        due = payments.filtered(
            lambda p: p.state == "confirmed" or (p.state == "posted" and p.next_try_at)
        )
        return bool(due), after

    def _poll_all(self, deep=False):
        """Poll every active application; trouble of one does not stop the others.

        Then create and clear the activities of failing health checks.
        """
        cron = self.env["ir.cron"]
        providers = self._providers_to_poll(deep)
        cron._commit_progress(remaining=len(providers))
        found, ended = False, True
        for left, provider in zip(range(len(providers), 0, -1), providers, strict=True):
            try:
                new, ended = self._poll(provider, deep, left)
                found |= new
            except Exception:
                _logger.exception("Poll of application %s failed.", provider.id)
                self.env.cr.rollback()
                message = self.env._("Unexpected error; see the server's log.")
                committed(self.env, self._note_poll, provider, deep, message)
            if not ended or not cron._commit_progress(1, remaining=left - 1):
                break
        if found:
            self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
            end_transaction(self.env)
        if not ended:
            return
        committed(self.env, self.env["billpay.ledger"]._bind_forgotten)
        try:
            committed(self.env, self.env["billpay.health"]._tell_health)
        except Exception:
            # The poll has done its work; the checks run again after the next one.
            _logger.exception("The health of applications could not be checked.")

    def _providers_to_poll(self, deep):
        """Return the active applications, those with a scan under way last."""
        providers = self.env["payment.provider"].sudo()
        providers = providers.search(
            [("code", "=", "clickpesa"), *providers._billpay_on_domain()]
        ).filtered(lambda provider: provider._billpay_can_ask())
        begun = providers.filtered(PLACE[deep])
        # A run that is there to go on does not begin with all the others again.
        since = fields.Datetime.now() - LATELY[deep]
        waiting = (providers - begun).filtered(
            lambda p: not begun or not p[ENDED[deep]] or p[ENDED[deep]] < since
        )
        return waiting + begun
