# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a payment that found no bill was probably meant for. For a person to judge.

Nothing here books anything. Candidates are looked up through indexes, each kind with a
limit, and only then weighed: see docs/decisions/matching.rst. Signs that speak for a
customer speak for each of the customer's open bills. A slip in a number whose bill is
settled speaks, with 20 points less, for the customer's other bills.
"""

from dataclasses import dataclass, field
from datetime import date

from odoo import models
from odoo.fields import Domain
from odoo.tools import SQL

from ... import likeness, money
from ...const import UNPAID
from ...identity import name_parts, number_spellings, phone_spellings

SLIP_POINTS = {
    likeness.ZEROS: 60,
    likeness.SWAPPED: 60,
    likeness.REPLACED: 55,
    likeness.MISSING: 50,
    likeness.EXTRA: 50,
}
SETTLED_LESS = 20
OWN_NUMBER_POINTS = 40
PHONE_POINTS = 35
BEFORE_POINTS = 30
AMOUNT_POINTS = 30
NAME_POINTS = 25
NAME_LIKE = 0.75
# Letters of a word by which names are looked up.
STEM = 5
# Rows shown in the end.
SHOWN = 8
# Rows looked at per kind of sign.
CANDIDATES = 30
# How far the rate at which a bill asked may be from the day's.
NEAR = 0.3


@dataclass
class Sign:
    """One reason why a bill or a customer may be meant."""

    points: int
    text: str


@dataclass
class Suggestion:
    """A bill, or a customer without an open bill, with all that speaks for it."""

    partner: models.BaseModel
    move: models.BaseModel
    signs: list = field(default_factory=list)

    @property
    def score(self):
        return sum(sign.points for sign in self.signs)

    @property
    def reasons(self):
        ordered = sorted(self.signs, key=lambda sign: -sign.points)
        return list(dict.fromkeys(sign.text for sign in ordered))


class BillpaySuggestion(models.AbstractModel):
    """Suggest what an unmatched payment was meant for."""

    _name = "billpay.suggestion"
    _description = "BillPay Suggestion"

    def _suggest(self, payment, limit=SHOWN):
        """Return ``Suggestion`` objects, the likeliest first, of what the user may see
        in the payment's company and its branches."""
        bills, customers = {}, {}
        for look in (
            self._signs_of_number,
            self._signs_of_slips,
            self._signs_of_phone,
            self._signs_of_amount,
            self._signs_of_name,
        ):
            for record, sign in look(payment):
                if record._name == "account.move":
                    bills.setdefault(record, []).append(sign)
                    continue
                partner = record.commercial_partner_id
                if not partner.company_id or partner.company_id == payment.company_id:
                    customers.setdefault(partner, []).append(sign)
        moves = payment.env["account.move"]
        found = self._open_bills_of(payment, customers).union(*bills)
        suggestions = []
        for move in found:
            owner = move.partner_id
            signs = bills.get(move, []) + customers.get(owner.commercial_partner_id, [])
            suggestions.append(Suggestion(owner, move, signs))
        served = found.partner_id.commercial_partner_id
        for partner, signs in customers.items():
            if partner not in served:
                suggestions.append(Suggestion(partner, moves, signs))
        for suggestion in suggestions:
            self._weigh_name(payment, suggestion)
        suggestions = [suggestion for suggestion in suggestions if suggestion.score]
        # Of equal ones, the bill that is due first.
        suggestions.sort(
            key=lambda s: (-s.score, s.move.invoice_date_due or date.max, s.move.id)
        )
        return suggestions[:limit]

    def _open_bill_domain(self, payment):
        """Customer invoices that still ask for money. Served by a partial index."""
        return Domain(
            [
                ("company_id", "child_of", payment.company_id.id),
                ("state", "=", "posted"),
                ("move_type", "in", ("out_invoice", "out_receipt")),
                ("payment_state", "in", UNPAID),
                ("amount_residual", ">", 0),
            ]
        )

    def _open_bills_of(self, payments, customers):
        """Return open bills of these commercial partners, oldest due first."""
        ids = [partner.id for partner in customers]
        return payments.env["account.move"].search(
            self._open_bill_domain(payments)
            & Domain("partner_id.commercial_partner_id", "in", ids),
            order="invoice_date_due, id",
            limit=2 * CANDIDATES,
        )

    def _signs_of_number(self, payments):
        """The number is known, but its bill was not the right one or is settled."""
        number = payments.control_number_id
        if not number.partner_id:
            return
        text = payments.env._("Customer of the number that was paid")
        yield number.partner_id, Sign(OWN_NUMBER_POINTS, text)

    def _signs_of_slips(self, payments):
        """Numbers that differ from what was typed by one slip."""
        # ClickPesa's suffix is no part of a number.
        typed = [n for n in number_spellings(payments.number) if "-" not in n]
        model = payments.env["billpay.control.number"]
        numbers = model.search(
            model._domain_of_keys(
                {near for name in typed for near in likeness.neighbours(name)}
            )
            & Domain(
                "provider_id", "in", payments.provider_id._billpay_of_merchant().ids
            )
            & Domain("company_id", "=", payments.company_id.id),
            limit=CANDIDATES,
        )
        for number in numbers:
            kind = next(
                filter(None, (likeness.slip(name, number.name) for name in typed)), None
            )
            if kind is None:
                continue
            sign = Sign(SLIP_POINTS[kind], self._slip_text(payments, kind, number))
            if number.move_id.filtered_domain(self._open_bill_domain(payments)):
                yield number.move_id, sign
            elif number.partner_id:
                sign.points -= SETTLED_LESS
                yield number.partner_id, sign

    def _slip_text(self, payments, kind, number):
        env = payments.env
        # The digits stay on one line.
        shown = number.display_number.replace(" ", "\u00a0")
        return {
            likeness.SWAPPED: env._("Two digits swapped: %s", shown),
            likeness.REPLACED: env._("One digit differs: %s", shown),
            likeness.MISSING: env._("One digit left out: %s", shown),
            likeness.ZEROS: env._("Leading zeros differ: %s", shown),
            likeness.EXTRA: env._("One digit too many: %s", shown),
        }[kind]

    def _signs_of_phone(self, payments):
        """Contacts with the payer's phone, and customers it paid for before."""
        partners = payments.env["res.partner"]
        spellings = phone_spellings(payments.payer_phone)
        if spellings:
            partners = partners.search(
                [("phone_mobile_search", "in", spellings)], limit=CANDIDATES
            )
        for partner in partners:
            text = payments.env._("Phone of %s", partner.display_name)
            yield partner, Sign(PHONE_POINTS, text)
        if not payments.payer_phone:
            return
        earlier = payments.search(
            [
                ("payer_phone", "in", [payments.payer_phone, *spellings]),
                ("state", "=", "posted"),
                ("company_id", "=", payments.company_id.id),
                ("id", "!=", payments.id),
            ],
            order="id desc",
            limit=CANDIDATES,
        )
        for partner in earlier.partner_id.commercial_partner_id:
            text = payments.env._("This phone paid for %s before", partner.display_name)
            yield partner, Sign(BEFORE_POINTS, text)

    def _signs_of_amount(self, payments):
        """Open bills that ask for exactly this amount, in any currency."""
        if not payments.currency_id or payments.amount <= 0:
            return
        amount, own = payments.amount, payments.currency_id
        same = self._other_currency_bills(payments)
        same |= self._bills_between(payments, own, amount, amount, CANDIDATES)
        text = payments.env._("Exactly this amount is due")
        for move in same:
            yield move, Sign(AMOUNT_POINTS, text)
        # An opening balance is no invoice to choose; it speaks for its customer.
        lines = payments.env["account.move.line"]
        lines = lines.search(
            lines._billpay_domain(payments.company_id, ())
            & Domain("reconciled", "=", False)
            & Domain("currency_id", "=", own.id)
            & Domain("amount_residual_currency", "=", amount),
            limit=CANDIDATES,
        )
        for line in lines._billpay_bills():
            if line.partner_id:
                yield line.partner_id, Sign(AMOUNT_POINTS, text)

    def _bills_between(self, payment, currency, least, most, limit):
        """Return open bills of which so much is left, the last due first."""
        return payment.env["account.move"].search(
            self._open_bill_domain(payment)
            & Domain("currency_id", "=", currency.id)
            & Domain("amount_residual", ">=", least)
            & Domain("amount_residual", "<=", most),
            order="invoice_date_due desc, id desc",
            limit=limit,
        )

    def _other_currency_bills(self, payment):
        """Return open bills in other currencies that ask for exactly this amount.

        Looked up by amount as well: the rate that was asked is near that of the day.
        """
        moves = payment.env["account.move"]
        # sudo: the day depends on the journal of the application.
        day = payment.env["billpay.entries"]._accounting_date(payment.sudo())
        others = Domain("id", "!=", payment.currency_id.id)
        for currency in payment.env["res.currency"].search(others):
            rate = money.day_rate(currency, payment.company_id, day)
            if not rate:
                continue
            about = money.of_bill(payment.amount, currency, rate)
            least, most = about * (1 - NEAR), about * (1 + NEAR)
            moves |= self._bills_between(
                payment, currency, least, most, 10 * CANDIDATES
            ).filtered(lambda move: move._billpay_left(payment) == payment.amount)
        return moves[:CANDIDATES]

    def _signs_of_name(self, payments):
        """Contacts whose name has the two longest words of the payer's, one first.

        Operators cut and misspell names, so the beginnings of the words do. The
        likeness itself is weighed later, for everybody who was found.
        """
        words = sorted(name_parts(payments.payer_name), key=len, reverse=True)[:2]
        stems = [word[:STEM] for word in words if len(word) >= 3]
        if not stems:
            return
        first, second = stems[0], stems[-1]
        rows = payments.env.execute_query(
            SQL(
                """
                    SELECT id FROM res_partner
                     WHERE upper(name) LIKE %s AND upper(name) LIKE %s
                        OR upper(name) LIKE %s AND upper(name) LIKE %s
                     LIMIT %s
                    """,
                *(f"{first}%", f"%{second}%", f"{second}%", f"%{first}%"),
                CANDIDATES,
            )
        )
        model = payments.env["res.partner"]
        for partner in model.search([("id", "in", [row[0] for row in rows])]):
            yield partner, Sign(0, "")

    def _weigh_name(self, payments, suggestion):
        """Add what the likeness of the names says."""
        suggestion.signs = [sign for sign in suggestion.signs if sign.points]
        payer, partner = payments.payer_name, suggestion.partner
        names = (partner | partner.commercial_partner_id).mapped("name")
        alike = max(likeness.name_likeness(payer, name) for name in names)
        if alike >= NAME_LIKE:
            text = payments.env._("Payer's name: %s", payer)
            suggestion.signs.append(Sign(round(NAME_POINTS * alike), text))
