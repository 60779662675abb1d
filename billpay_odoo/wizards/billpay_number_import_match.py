# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Find the invoices and customers that the rows of an import mean; never by guess."""

from odoo import models
from odoo.tools import SQL, email_normalize

from ..identity import is_placeholder, name_key, phone_key, reference_key


def _email_key(text):
    return (email_normalize(text or "") or "").lower()


# How each column is compared with which field of contacts.
_KEYS = {
    "customer_ref": ("ref", reference_key),
    "email": ("email_normalized", _email_key),
    "phone": ("phone", phone_key),
    "customer": ("name", name_key),
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
        said = reference_key(cells.get("invoice"))
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
        hits, named, evidence = [], [], set()
        for name, found in partners.items():
            # "Hana" is a name too.
            if not cells.get(name) or (
                name != "customer" and is_placeholder(cells[name])
            ):
                continue
            named.append(cells[name])
            if some := found.get(_KEYS[name][1](cells[name])):
                hits.append(some)
                evidence.add(name)
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
        if evidence == {"customer"}:
            # A namesake: the name fits, the phone does not.
            if other := fitting._billpay_other_phone(cells.get("phone")):
                return nobody, self.env._(
                    "%(customer)s has another phone here, %(phone)s. Choose one here.",
                    customer=fitting.display_name,
                    phone=other,
                )
        return fitting, ""

    def _find_invoices(self, texts):
        """Return ``{key: invoices}``, by name or reference."""
        wanted = {reference_key(text) for text in texts} - {""}
        if not wanted:
            return {}
        company = self._provider().company_id
        self.env["account.move"].flush_model(["name", "payment_reference"])
        # Somewhat more than the keys find; those are compared below.
        ids = self.env.execute_query(
            SQL(
                r"""
                SELECT id FROM account_move,
                       LATERAL (VALUES (name), (payment_reference)) AS said (text)
                 WHERE move_type IN ('out_invoice', 'out_receipt')
                   AND ltrim(upper(regexp_replace(
                           translate(text, '‐‑‒–—―−', '-------'), '\s', '', 'g'
                       )), '0') IN %s
                """,
                tuple(key.lstrip("0") for key in wanted),
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
            keys = {reference_key(move.name), reference_key(move.payment_reference)}
            for key in keys & wanted:
                found[key] = found.get(key, moves.browse()) | move
        return found

    def _find_partners(self, name, texts):
        """Return ``{key: customers}`` for one column."""
        field, key = _KEYS[name]
        return self.env["res.partner"]._billpay_find_same(
            field, key, texts, self._provider().company_id
        )
