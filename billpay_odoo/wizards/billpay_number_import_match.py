# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Find the invoices and customers that the rows of an import mean; never by guess."""

import re

from odoo import models
from odoo.fields import Domain
from odoo.tools import SQL, email_normalize

# A Tanzanian number without its country code or leading zero.
_PHONE_DIGITS = 9


def phone_key(text):
    """Return the digits by which phones are compared, or "" for too few."""
    digits = re.sub(r"\D", "", text or "")
    return digits[-_PHONE_DIGITS:] if len(digits) >= _PHONE_DIGITS else ""


def _lower(text):
    return " ".join((text or "").split()).lower()


# How each column is compared with res.partner: what makes both sides alike.
_KEYS = {
    "customer_ref": (_lower, SQL("lower(trim(ref))")),
    "email": (
        lambda text: email_normalize(text or "") or "",
        SQL("lower(email_normalized)"),
    ),
    "phone": (
        phone_key,
        SQL(r"right(regexp_replace(phone, '\D', '', 'g'), %s)", _PHONE_DIGITS),
    ),
    "customer": (_lower, SQL(r"lower(regexp_replace(trim(name), '\s+', ' ', 'g'))")),
}


class BillpayNumberImport(models.TransientModel):
    _inherit = "billpay.number.import"  # pylint: disable=consider-merging-classes-inherited

    def _match(self, rows, vals_list):
        """Set invoice, customer and why there is none on the values of the lines."""
        invoices = self._find_invoices(cells.get("invoice") for _row, cells in rows)
        partners = {
            name: self._find_partners(name, [cells.get(name) for _row, cells in rows])
            for name in _KEYS
        }
        for (_row, cells), values in zip(rows, vals_list, strict=True):
            values.update(self._match_row(cells, invoices, partners))

    def _match_row(self, cells, invoices, partners):
        partner, trouble = self._match_partner(cells, partners)
        said = _lower(cells.get("invoice"))
        if not said:
            return {"partner_id": partner.id, "match_problem": trouble}
        found = invoices.get(said, self.env["account.move"])
        if len(found) == 1:
            # A customer that is named too is held against the invoice's.
            return {"move_id": found.id, "partner_id": partner.id}
        if found:
            problem = self.env._(
                "%(count)s invoices are called %(name)s. Choose one here.",
                count=len(found),
                name=cells["invoice"],
            )
        else:
            problem = self.env._(
                "No invoice is called %s. Choose one here.", cells["invoice"]
            )
        # A named invoice is what the number is for: the customer alone is not enough.
        return {"match_problem": problem}

    def _match_partner(self, cells, partners):
        """Return the one customer that all columns allow, or the reason.

        :rtype: tuple
        """
        nobody = self.env["res.partner"]
        hits, named = [], []
        for name, found in partners.items():
            if not cells.get(name):
                continue
            named.append(cells[name])
            if some := found.get(_KEYS[name][0](cells[name])):
                hits.append(some)
        if not named:
            return nobody, ""
        said = ", ".join(named)
        if not hits:
            return nobody, self.env._(
                "No customer is called %s. Choose one here, or make the customer "
                "first.",
                said,
            )
        fitting = hits[0]
        for some in hits[1:]:
            fitting &= some
        if not fitting:
            return nobody, self.env._(
                "The columns mean different customers (%s). Choose one here.", said
            )
        if len(fitting) > 1:
            # Of a company and its contacts, the company is meant.
            company = fitting.commercial_partner_id
            if len(company) != 1 or company not in fitting:
                return nobody, self.env._(
                    "%(count)s customers fit %(said)s. Choose one here.",
                    count=len(fitting),
                    said=said,
                )
            fitting = company
        return fitting, ""

    def _find_invoices(self, texts):
        """Return ``{text in small letters: invoices}``, by name or reference."""
        wanted = {_lower(text) for text in texts if text}
        if not wanted:
            return {}
        company = self._provider().company_id
        self.env["account.move"].flush_model(["name", "payment_reference"])
        ids = self.env.execute_query(
            SQL(
                """
                SELECT id FROM account_move
                 WHERE move_type IN ('out_invoice', 'out_receipt')
                   AND (lower(name) IN %(wanted)s
                        OR lower(trim(payment_reference)) IN %(wanted)s)
                """,
                wanted=tuple(wanted),
            )
        )
        moves = self.env["account.move"].search(
            [
                ("id", "in", [row[0] for row in ids]),
                ("company_id", "child_of", company.id),
            ]
        )
        found = {}
        for move in moves:
            for key in {_lower(move.name), _lower(move.payment_reference)} & wanted:
                found[key] = found.get(key, moves.browse()) | move
        return found

    def _find_partners(self, name, texts):
        """Return ``{comparable text: customers}`` for one column."""
        comparable, expression = _KEYS[name]
        wanted = {comparable(text) for text in texts if text} - {""}
        if not wanted:
            return {}
        company = self._provider().company_id
        self.env["res.partner"].flush_model()
        keys = dict(
            self.env.execute_query(
                SQL(
                    "SELECT id, %(key)s FROM res_partner"
                    " WHERE active AND %(key)s IN %(wanted)s",
                    key=expression,
                    wanted=tuple(wanted),
                )
            )
        )
        # Through the ORM, which knows whom this user may see.
        partners = self.env["res.partner"].search(
            Domain("id", "in", list(keys))
            & Domain("company_id", "in", [False, *company.parent_ids.ids])
        )
        found = {}
        for partner in partners:
            key = keys[partner.id]
            found[key] = found.get(key, partners.browse()) | partner
        return found
