# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Fetch ClickPesa's statement day by day: see docs/decisions/days.rst."""

import logging
from collections import Counter, deque
from datetime import timedelta
from decimal import Decimal

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ... import const
from ...clickpesa import BudgetSpent, ClickPesaError, StatementRow, Unavailable
from ...transactions import committed, end_transaction, taken
from ..payment.billpay_ledger import _naive

_logger = logging.getLogger(__name__)

# Yesterday and so many days before it are fetched each night: rows come late.
AGAIN = 7
# What was missed meanwhile, and days before one that does not follow on, at most.
FURTHEST = 31
# A day that was fetched so lately is left out by a run that is there to go on.
LATELY = timedelta(minutes=10)
# Without an answer the next try is so much later (seconds), not in the next night.
NO_ANSWER = 3600
DAY = timedelta(days=1)


def _second(moment):
    """Return a moment as Odoo keeps it, or False."""
    return _naive(moment).replace(microsecond=0) if moment else False


class Run:
    """What one run over an application has asked for."""

    def __init__(self, provider, client, dates):
        self.provider = provider
        self.client = client
        self.waiting = deque(dates)
        self.asked = []
        self.left = FURTHEST + AGAIN


class BillpayStatementFetch(models.AbstractModel):
    """Fetch the account statement and accept a day only if it adds up."""

    _name = "billpay.statement.fetch"
    _description = "BillPay Statement Fetch"

    def _fetch_all(self):
        """Fetch the last days of every merchant; trouble of one stops no other."""
        cron = self.env["ir.cron"]
        providers = self._providers()
        todo = {provider: self._dates(provider) for provider in providers}
        left = sum(map(len, todo.values()))
        if left:
            cron._commit_progress(remaining=left)
        for provider, dates in todo.items():
            try:
                done, ended = self._fetch(provider, dates, left)
            except Exception:
                _logger.exception("Statement of application %s failed.", provider.id)
                self.env.cr.rollback()
                text = self.env._("Unexpected error; see the server's log.")
                committed(self.env, self._note, provider, dates[-1:], text)
                done, ended = len(dates), True
            left = max(left - done, 0)
            if not ended:
                return
            if not cron._commit_progress(remaining=left):
                break
        # What does not agree yet may agree by what Odoo has learned meanwhile.
        unsettled = self.env["billpay.day"].sudo()
        unsettled = unsettled.search([("state", "in", ("open", "differs"))])
        if unsettled:
            committed(self.env, self.env["billpay.comparison"]._compare, unsettled)

    def _fetch_now(self, provider, dates):
        """Fetch these days for a person who waits; commits.

        :raise UserError: the application makes no calls
        :raise ClickPesaError: ClickPesa gave no answer
        """
        if refusal := self.env["billpay.gate"]._refusal(provider):
            raise UserError(refusal)
        if not provider._billpay_has_credentials():
            raise UserError(
                provider.env._(
                    "The application %s has no client ID and API key, so ClickPesa "
                    "cannot be asked for its statement. No money is affected.",
                    provider.name,
                )
            )
        run = Run(provider, provider._billpay_client(), sorted(dates))
        while run.waiting:
            self._next(run)
        self._hear(run)

    def _providers(self):
        """Return the live applications to ask: one of each merchant's account."""
        providers = self.env["payment.provider"].sudo()
        live = providers.search(
            [("code", "=", "clickpesa"), *providers._billpay_on_domain()], order="id"
        ).filtered(lambda provider: provider._billpay_can_ask())
        chosen = {}
        latest = (
            self.env["billpay.day"]
            .sudo()
            ._read_group(
                [("provider_id", "in", live.ids)], ["provider_id"], ["date:max"]
            )
        )
        latest = {provider.id: date for provider, date in latest}
        for provider in live:
            # The one that has the account so far goes on with it.
            account = provider.billpay_merchant or -provider.id
            known = chosen.get(account)
            began = latest.get(provider.id)
            if not known or (began and not latest.get(known.id)):
                chosen[account] = provider
        return providers.union(*chosen.values())

    def _yesterday(self):
        """Return the last day that has ended, in UTC and in Dar es Salaam alike."""
        return fields.Datetime.now().date() - DAY

    def _dates(self, provider):
        """Return the days to fetch, the oldest first."""
        yesterday = self._yesterday()
        days = self.env["billpay.day"].sudo()
        days = days.search(
            [
                ("provider_id", "=", provider.id),
                ("date", ">=", yesterday - FURTHEST * DAY),
            ]
        )
        begin = yesterday - AGAIN * DAY
        accepted = days.filtered("accepted_at").mapped("date")
        if accepted:
            begin = min(begin, max(accepted) + DAY)
        since = fields.Datetime.now() - LATELY
        lately = set(
            days.filtered(lambda d: d.asked_at and d.asked_at > since).mapped("date")
        )
        span = (yesterday - begin).days + 1
        dates = (begin + number * DAY for number in range(span))
        return [date for date in dates if date not in lately]

    def _fetch(self, provider, dates, left):
        """Fetch these days; note trouble on them instead of raising.

        :return: how many were done, and whether the time of the run allows more
        """
        env, cron = provider.env, self.env["ir.cron"]
        run = Run(provider, None, dates)
        try:
            run.client = provider._billpay_client(share="poll")
            while run.waiting:
                self._next(run)
                left = max(left - 1, len(run.waiting))
                if not cron._commit_progress(1, remaining=left):
                    # Odoo calls again, and the others are asked for then.
                    return len(dates) - len(run.waiting), False
            # Also of days that a run before this one has fetched.
            first = self._yesterday() - AGAIN * DAY
            self._hear(run, Domain("date", ">=", first))
        except (ClickPesaError, UserError) as error:
            if isinstance(error, Unavailable):
                wait = timedelta(seconds=error.retry_after or NO_ANSWER)
                due = fields.Datetime.now() + wait
                name = "ir_cron_fetch_statement"
                committed(env, provider._billpay_trigger, name, due)
            if not isinstance(error, BudgetSpent):
                _logger.warning("Statement of application %s: %s", provider.id, error)
                waiting = list(run.waiting)
                committed(env, self._note, provider, waiting, str(error), False)
        return len(dates), True

    def _next(self, run):
        """Fetch the next day, and after it one whose opening balance no longer fits."""
        date = run.waiting[0]
        if date not in run.asked:
            self._fetch_day(run, date)
        run.waiting.popleft()
        following = date + DAY
        if following not in (*run.asked, *run.waiting) and run.left > 0:
            day, after = (self._day(run.provider, d) for d in (date, following))
            both = day.accepted_at and after.accepted_at
            if both and not self._is_equal(day.closing, after.opening):
                run.waiting.appendleft(following)

    def _fetch_day(self, run, date):
        """Ask for one day between two transactions, and store it.

        If it does not follow on the day before, that one is asked for once more: a row
        may have come late there.
        """
        env, provider = run.provider.env, run.provider
        run.asked.append(date)
        run.left -= 1
        end_transaction(env)
        try:
            told = run.client.account_statement(date, date)
        except Unavailable:
            raise
        except ClickPesaError as error:
            if getattr(error, "application_wide", False):
                raise
            committed(env, self._note, provider, [date], str(error))
            return
        problem = self._problem(provider, date, told)
        before = date - DAY
        if problem and problem[0] == "chain" and before not in run.asked:
            if run.left > 0:
                self._fetch_day(run, before)
        committed(env, self._store, provider, date, told)

    def _hear(self, run, more=Domain.FALSE):
        """Ask for payments that the statement shows otherwise than Odoo."""
        days = self.env["billpay.day"].sudo()
        days = days.search(
            Domain("provider_id", "=", run.provider.id)
            & (Domain("date", "in", run.asked) | more)
        )
        self.env["billpay.third.ear"]._hear(run.provider, days)

    # === STORING === #

    def _day(self, provider, date):
        days = self.env["billpay.day"].sudo()
        return days.search([("provider_id", "=", provider.id), ("date", "=", date)])

    def _is_equal(self, one, other):
        return abs(one - other) < 0.005

    def _problem(self, provider, date, told):
        """Return which check fails first, as ``Statement.problem``, or None."""
        before = self._day(provider, date - DAY)
        closing = None
        if before.accepted_at:
            closing = Decimal(repr(before.currency_id.round(before.closing)))
        problem = told.problem(date, const.CURRENCY, closing)
        return problem or self._known_problem(provider, date, told)

    def _known_problem(self, provider, date, told):
        """Return a row that was told before and is not any more, or one that is told
        under another day as well."""
        rows = self.env["billpay.statement.row"].sudo()
        keys = {key for key, _row in self._keyed(date, told)}
        known = rows.search([("provider_id", "=", provider.id), ("day", "=", date)])
        if gone := known.filtered(lambda row: row.key not in keys)[:1]:
            return "gone", {"row": gone}
        moments = [_second(row.moment) for row in told.rows if row.moment]
        others = rows.search(
            Domain("provider_id", "=", provider.id)
            & Domain("day", "in", (date - DAY, date + DAY))
            & Domain("moment", "in", moments)
        )
        twice = {(r.reference, r.amount, r.moment): r for r in others}
        for row in told.rows:
            moment = _second(row.moment)
            if other := twice.get((row.id, float(row.amount), moment)):
                return "twice", {"row": other}
        return None

    def _keyed(self, date, told):
        """Return ``(key, row)`` of a statement, in its order."""
        alike, keyed = Counter(), []
        for row in told.rows:
            name = f"{date}|{row.id}|{row.amount}"
            alike[name] += 1
            keyed.append((f"{name}|{alike[name]}", row))
        return keyed

    def _store(self, provider, date, told):
        """Accept a day with its rows, or say why not. Runs in a short transaction.

        A day that was accepted before stays as it was, with what is wrong beside it.
        """
        if problem := self._problem(provider, date, told):
            self._note(provider, [date], self._sentence(*problem))
            return
        now = fields.Datetime.now()
        day = self._day_for(provider, date)
        day.write(
            {
                "accepted_at": now,
                "asked_at": now,
                "trouble": False,
                "opening": float(told.opening),
                "closing": float(told.closing),
            }
        )
        self._upsert(day, told)
        self.env["billpay.comparison"]._compare(day)

    def _day_for(self, provider, date):
        if day := self._day(provider, date):
            return day
        values = {
            "provider_id": provider.id,
            "date": date,
            "currency_id": self.env.ref("base.TZS").id,
        }
        with taken("days"):
            return self.env["billpay.day"].sudo().create(values)

    def _upsert(self, day, told):
        rows = self.env["billpay.statement.row"].sudo()
        known = {row.key: row for row in day.row_ids}
        of_ids = {row.reference: row for row in day.row_ids if row.kind == "payment"}
        sizes = {r.id: r.amount for r in told.rows if r.kind == "payment"}
        sizes |= {ref: Decimal(repr(row.amount)) for ref, row in of_ids.items()}
        sizes |= self._sizes_in_odoo(day, told, sizes)
        new = []
        for sequence, (key, row) in enumerate(self._keyed(day.date, told)):
            values = {
                "sequence": sequence,
                "kind": self._kind(row, sizes),
                "told_type": row.type,
                "description": row.description,
                "moment": _second(row.moment),
                "number": row.reference,
                "balance": float(row.balance or 0),
                "raw": row.raw,
            }
            if key in known:
                self._update(known[key], values)
                continue
            new.append(
                {
                    **values,
                    "day_id": day.id,
                    "provider_id": day.provider_id.id,
                    "currency_id": day.currency_id.id,
                    "day": day.date,
                    "key": key,
                    "reference": row.id,
                    "amount": float(row.amount),
                }
            )
        if new:
            with taken("statement rows"):
                rows.create(new)

    def _update(self, row, values):
        """Write what ClickPesa tells otherwise now; shorter rows say no less."""
        changed = {}
        for name, value in values.items():
            if name in ("moment", "told_type", "number") and not value:
                continue
            if name != "raw" and (row[name] or False) != (value or False):
                changed[name] = value
        if changed:
            row.write({**changed, "raw": values["raw"]})

    def _sizes_in_odoo(self, day, told, sizes):
        """Return the amounts of payments whose rows have no telling words."""
        mute = {r.id for r in told.rows if not r.kind and r.id} - set(sizes)
        if not mute:
            return {}
        payments = self.env["billpay.payment"].sudo()
        found = payments.search(
            Domain("reference", "in", list(mute))
            & self.env["billpay.comparison"]._of_merchant(day)
        )
        return {p.reference: Decimal(repr(p.amount)) for p in found}

    def _kind(self, row, sizes):
        """Return what a row is: by its words, else by the payment whose id it has."""
        if row.kind:
            return row.kind
        size = sizes.get(row.id)
        if size is None:
            return "other"
        if row.amount > 0:
            return "payment"
        return "reversal" if -row.amount == size else "fee"

    def _note(self, provider, dates, text, asked=True):
        """Write why these days' statements do not count.

        :param bool asked: whether each was asked for, so that it can wait
        """
        values = {"trouble": text}
        if asked:
            values["asked_at"] = fields.Datetime.now()
        for date in dates:
            self._day_for(provider, date).write(values)

    # === SENTENCES === #

    def _sentence(self, code, figures):
        """Return which check fails, with its figures, and what happens next."""
        env, shown = self.env, self._shown(figures)
        if code == "details":
            text = env._("ClickPesa sent no opening or closing balance.")
        elif code == "rows":
            text = env._("ClickPesa sent no list of rows.")
        elif code == "currency":
            text = env._(
                "ClickPesa sent a statement in %(currency)s, not in TZS.", **shown
            )
        elif code == "unreadable":
            text = env._("The amount of row %(row)s cannot be read.", **shown)
        elif code == "day":
            text = env._("Row %(row)s is of %(day)s, another day.", **shown)
        elif code == "sign":
            text = env._(
                "Nothing tells whether row %(row)s is a credit or a debit.", **shown
            )
        elif code == "sum":
            text = env._(
                "Opening balance %(opening)s plus credits %(credits)s less debits "
                "%(debits)s is %(sum)s, but the closing balance is %(closing)s.",
                **shown,
            )
        elif code == "totals" and figures["name"] == "credits":
            text = env._(
                "The credits of the rows are %(sum)s, but ClickPesa's total is "
                "%(told)s.",
                **shown,
            )
        elif code == "totals":
            text = env._(
                "The debits of the rows are %(sum)s, but ClickPesa's total is "
                "%(told)s.",
                **shown,
            )
        elif code == "running":
            text = env._(
                "After row %(row)s the balance should be %(sum)s, but ClickPesa shows "
                "%(told)s.",
                **shown,
            )
        elif code == "chain":
            text = env._(
                "The day before closes with %(before)s, but this one opens with "
                "%(opening)s.",
                **shown,
            )
        elif code == "gone":
            text = env._(
                "Row %(row)s over %(amount)s was in the statement before and is not "
                "any more.",
                **shown,
            )
        else:
            text = env._(
                "Row %(row)s over %(amount)s is in the statement of %(day)s already.",
                **shown,
            )
        return env._(
            "%s Nothing of this statement counts, and no money is affected: Odoo asks "
            "again each night for a week, and Fetch Again asks at once.",
            text,
        )

    def _shown(self, figures):
        """Return figures as they stand in a sentence."""
        shown = dict(figures)
        # Of the statement, or of the database.
        if row := shown.pop("row", None):
            is_told = isinstance(row, StatementRow)
            shown["row"] = (row.id if is_told else row.reference) or row.description
            shown["row"] = shown["row"] or "?"
            shown["amount"], shown["day"] = row.amount, str(row.day or "?")
        money = self.env.ref("base.TZS").format
        return {
            name: money(float(value)) if isinstance(value, (Decimal, float)) else value
            for name, value in shown.items()
        }
