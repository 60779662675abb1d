# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""ClickPesa's account beside the payments in Odoo: see docs/decisions/days.rst."""

from collections import defaultdict
from datetime import datetime, time, timedelta

import pytz

from odoo import fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ...clickpesa.values import FAILED, TAKEN_BACK, status_kind
from .billpay_day import FIGURES
from .billpay_day_item import EXPLAINED, TRANSIENT

# Money may need so long from the payer into the balance before it counts as missing.
TRANSIT = timedelta(days=7)
# No tariff keeps back more of a payment than this part (ClickPesa's tariffs: cards
# 4.85 %, all others less).
MOST_FEE = 0.10
# A payment that ClickPesa has, or had, the money of.
COUNTED = ("confirmed", "posted", "unmatched", "failed", "reversed")
# What is read of each payment.
READ = ("reference", "amount", "currency_id", "state", "status", "paid_at")
# What makes up the difference of a day. Reversals are rows of their own.
OF_DIFFERENCE = ("transit", "other_day", "fee_kept", "reversed")


class Cause:
    """What one item counts: rows of the statement, or payments."""

    def __init__(self, env):
        self.rows = env["billpay.statement.row"].browse()
        self.payments = env["billpay.payment"].browse()
        self.amount = 0.0
        self.count = 0


class Findings:
    """What a day's rows and payments say of each other."""

    def __init__(self, env):
        self.env = env
        self.causes = {}
        self.verdicts = defaultdict(env["billpay.statement.row"].browse)
        self.links = {}
        self.odoo_amount = self.unbooked_amount = 0.0
        self.fees_way = self.zone = False

    def of(self, cause):
        if cause not in self.causes:
            self.causes[cause] = Cause(self.env)
        return self.causes[cause]

    def add(self, name, amount, *, rows=None, payment=None):
        cause = self.of(name)
        cause.amount += amount
        cause.count += 1
        if rows:
            cause.rows |= rows
        if payment:
            cause.payments |= payment


class BillpayComparison(models.AbstractModel):
    """Compare the rows of a day with the payments in Odoo, by payment id."""

    _name = "billpay.comparison"
    _description = "BillPay Comparison"

    def _compare(self, days):
        """Write what these accepted days' rows and payments say of each other."""
        for day in days.sudo().filtered("accepted_at"):
            found = self._found(day)
            for payment, rows in found.links.items():
                rows.payment_id = payment
            for verdict, rows in found.verdicts.items():
                changed = rows.filtered(lambda r, v=verdict: r.verdict != v)
                if changed:
                    changed.verdict = verdict
            self._write_items(day, found)
            self._write_figures(day, found)

    def _write_items(self, day, found):
        round_ = day.currency_id.round
        wanted = {
            name: {
                "amount": round_(cause.amount),
                "count": cause.count,
                "explains": name in EXPLAINED,
            }
            for name, cause in found.causes.items()
        }
        for item in day.item_ids:
            if values := wanted.pop(item.cause, None):
                if any(item[name] != value for name, value in values.items()):
                    item.write(values)
            else:
                item.unlink()
        self.env["billpay.day.item"].sudo().create(
            [{**v, "day_id": day.id, "cause": name} for name, v in wanted.items()]
        )

    def _write_figures(self, day, found):
        round_ = day.currency_id.round
        sums = defaultdict(float)
        for row in day.row_ids:
            sums[row.kind] += row.amount
        values = {
            f"{name}_amount": round_(sum(sums[kind] for kind in kinds))
            for name, kinds in FIGURES.items()
        }
        odoo, paid = round_(found.odoo_amount), values["payments_amount"]
        explained = (found.causes[n].amount for n in OF_DIFFERENCE if n in found.causes)
        values |= {
            "odoo_amount": odoo,
            "unbooked_amount": round_(found.unbooked_amount),
            "difference": round_(paid - odoo),
            "explained_amount": round_(sum(explained)),
            "row_count": len(day.row_ids),
            "fees_way": found.fees_way,
            "zone": found.zone,
            "state": self._state(found),
        }
        changed = {name: v for name, v in values.items() if day[name] != v}
        if changed:
            day.write(changed)

    def _state(self, found):
        """Two mistakes that cancel each other are two mistakes: no sum decides."""
        causes = {name for name, cause in found.causes.items() if cause.count}
        if causes - set(EXPLAINED):
            return "differs"
        return "open" if causes & set(TRANSIENT) else "agrees"

    # === FINDING === #

    def _found(self, day):
        """Return the :class:`Findings` of a day; nothing is written."""
        env = self.env(su=True)
        found = Findings(env)
        day = day.with_env(env)
        found.zone = self._zone(day)
        rows = day.row_ids
        known = self._known(day, rows)
        found.links = self._links(rows, known)
        groups = {
            kind: rows.filtered(lambda r, k=kind: r.kind == k).grouped("reference")
            for kind in ("payment", "reversal")
        }
        paid = self._payments_of(day, found.zone)
        found.odoo_amount = sum(paid.mapped("amount"))
        unbooked = paid.filtered(lambda p: not p.posted_at)
        found.unbooked_amount = sum(unbooked.mapped("amount"))
        found.fees_way = self._fees_way(day, groups["payment"], known)
        for reference, group in groups["payment"].items():
            payment = known.get(reference)
            self._judge_payment(found, group, payment, paid)
        for reference, group in groups["reversal"].items():
            self._judge_reversal(found, group, known.get(reference))
        here = paid.filtered(lambda p: p.reference not in groups["payment"])
        self._judge_absent(found, day, here)
        return found

    def _known(self, day, rows):
        """Return ``{id at ClickPesa: payment}`` of these rows, of the merchant."""
        references = [row.reference for row in rows if row.reference]
        payments = self.env["billpay.payment"].sudo()
        found = payments.search_fetch(
            Domain("reference", "in", references) & self._of_merchant(day),
            [*READ, "merged_into_id"],
        )
        return {p.reference: p.merged_into_id or p for p in found}

    def _of_merchant(self, day):
        """The account is the merchant's, wherever a payment is filed."""
        merchant = day.provider_id.billpay_merchant
        if merchant:
            return Domain("merchant", "=", merchant)
        return Domain("provider_id", "=", day.provider_id.id)

    def _links(self, rows, known):
        """Return ``{payment: rows}`` that are not linked to it yet."""
        links = defaultdict(rows.browse)
        for row in rows:
            payment = known.get(row.reference)
            if payment and row.payment_id != payment:
                links[payment] |= row
        return links

    def _payments_of(self, day, zone=None):
        """Return the payments made on this day that ClickPesa has the money of."""
        begin, end = self._bounds(day, zone or day.zone)
        payments = self.env["billpay.payment"].sudo()
        found = payments.search_fetch(
            Domain("paid_at", ">=", begin)
            & Domain("paid_at", "<", end)
            & Domain("merged_into_id", "=", False)
            & Domain("state", "in", (*COUNTED, "ignored"))
            & self._of_merchant(day),
            [*READ, "posted_at"],
        )
        return found.filtered(self._is_counted)

    def _is_counted(self, payment):
        """Tell whether ClickPesa has, or had, shillings of this payment."""
        if not payment.currency_id:
            return False
        if payment.state != "ignored":
            return payment.state in COUNTED
        kind = status_kind(payment.status)
        return kind == TAKEN_BACK or (bool(payment.ignored_by_id) and kind != FAILED)

    def _bounds(self, day, zone):
        """Return the moments (UTC, without zone) at which a day begins and ends."""
        tz = pytz.utc if zone == "utc" else day.company_id._billpay_tz()
        return tuple(
            tz.localize(datetime.combine(date, time.min))
            .astimezone(pytz.utc)
            .replace(tzinfo=None)
            for date in (day.date, day.date + timedelta(days=1))
        )

    def _zone(self, day):
        """Return whose days ClickPesa's are, as the last row of a late hour tells.

        From 21:00 UTC on it is tomorrow in Dar es Salaam.
        """
        self.env["billpay.statement.row"].flush_model(["day", "moment"])
        query = SQL(
            """
                SELECT day = moment::date FROM billpay_statement_row
                 WHERE provider_id = %s AND day <= %s AND day > %s
                   AND moment::time >= '21:00'
              ORDER BY day DESC LIMIT 1
                """,
            day.provider_id.id,
            day.date,
            day.date - timedelta(days=31),
        )
        for (is_utc,) in self.env.execute_query(query):
            return "utc" if is_utc else "eat"
        return day.zone

    def _fees_way(self, day, groups, known):
        """Return how ClickPesa shows fees, as this day's rows tell."""
        # Those of withdraws and reversals say nothing about payments.
        reversed_ = {r.reference for r in day.row_ids if r.kind == "reversal"}
        for row in day.row_ids:
            is_fee = row.kind == "fee" and row.amount < 0
            if is_fee and row.reference in groups and row.reference not in reversed_:
                return "rows"
        compared = [
            (known[ref].amount, sum(group.mapped("amount")))
            for ref, group in groups.items()
            if ref in known
        ]
        short = [1 for told, got in compared if 0 < told - got <= MOST_FEE * told]
        before = self.env["billpay.day"].sudo()
        before = before.search(
            [
                ("provider_id", "=", day.provider_id.id),
                ("date", "<", day.date),
                ("fees_way", "!=", False),
            ],
            limit=1,
        ).fees_way
        # One that is short among many that are not is a mistake, no fee.
        if short and (2 * len(short) > len(compared) or before == "netted"):
            return "netted"
        return "none" if compared and before != "netted" else before

    # === JUDGING === #

    def _judge_payment(self, found, rows, payment, paid):
        """Compare all payment rows of one id with the payment in Odoo."""
        amount = sum(rows.mapped("amount"))
        if not payment or not self._is_counted(payment):
            found.verdicts["unknown"] |= rows
            found.add("unknown", amount, rows=rows)
            return
        if payment not in paid:
            found.add("other_day", payment.amount, payment=payment)
        verdict, short = "agrees", payment.amount - amount
        if rows[:1].currency_id.compare_amounts(short, 0):
            netted = found.fees_way == "netted" and 0 < short
            is_fee = netted and short <= MOST_FEE * payment.amount
            verdict = "fee_kept" if is_fee else "amount"
            found.add(verdict, -short, rows=rows)
        found.verdicts[verdict] |= rows

    def _judge_reversal(self, found, rows, payment):
        """Tell whether Odoo has reversed what ClickPesa has."""
        amount = sum(rows.mapped("amount"))
        if not payment:
            # Nothing of it is in Odoo that could be reversed; it is asked for.
            found.verdicts["unknown"] |= rows
            return
        gone = status_kind(payment.status) in (TAKEN_BACK, FAILED)
        if payment.state in ("reversed", "ignored") or (
            gone and payment.state != "posted"
        ):
            found.verdicts["agrees"] |= rows
            return
        verdict = "not_reversed"
        if gone and payment.state == "posted" and payment.next_try_at:
            verdict = "reversing"
        found.verdicts[verdict] |= rows
        found.add(verdict, amount, rows=rows)

    def _judge_absent(self, found, day, payments):
        """Tell where payments of this day are that its statement does not show."""
        if not payments:
            return
        rows = self.env["billpay.statement.row"].sudo()
        # Another application may have had the account before.
        apps = day.provider_id._billpay_of_merchant()
        elsewhere = rows.search_fetch(
            [
                ("provider_id", "in", apps.ids),
                ("reference", "in", payments.mapped("reference")),
                ("kind", "=", "payment"),
            ],
            ["reference"],
        )
        shown = set(elsewhere.mapped("reference"))
        late = self._is_all_read(day)
        for payment in payments:
            if payment.reference in shown:
                cause = "other_day"
            elif status_kind(payment.status) == TAKEN_BACK:
                cause = "reversed"
            else:
                cause = "missing" if late else "transit"
            found.add(cause, -payment.amount, payment=payment)

    def _is_all_read(self, day):
        """Whether all statements are here in which money of a day may show up."""
        last = day.date + TRANSIT
        if last >= fields.Date.today():
            return False
        accepted = self.env["billpay.day"].sudo()
        accepted = accepted.search_count(
            [
                ("provider_id", "=", day.provider_id.id),
                ("date", ">=", day.date),
                ("date", "<=", last),
                ("accepted_at", "!=", False),
            ]
        )
        return accepted == TRANSIT.days + 1
