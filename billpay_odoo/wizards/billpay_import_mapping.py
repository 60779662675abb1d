# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import hashlib

from odoo import api, fields, models

from ..identity import word_key


class BillpayImportMapping(models.Model):
    """What people chose for the columns of a file, by its headings."""

    _name = "billpay.import.mapping"
    _description = "Columns of an Imported File"
    _rec_name = "kind"

    company_id = fields.Many2one("res.company", required=True, ondelete="cascade")
    kind = fields.Char(required=True, readonly=True)
    headings = fields.Char(required=True, readonly=True)
    meanings = fields.Json(readonly=True, help="What each column is, by its place.")

    _unique = models.UniqueIndex("(company_id, kind, headings)")

    @api.model
    def _key(self, headings):
        words = "|".join(map(word_key, headings)).rstrip("|")
        return hashlib.sha256(words.encode()).hexdigest()

    @api.model
    def _known(self, wizard, headings):
        """Return what the columns of a file with these headings are, or ``{}``."""
        domain = [
            ("company_id", "=", wizard._company().id),
            ("kind", "=", wizard._kind),
            ("headings", "=", self._key(headings)),
        ]
        # sudo: it is a company's memory, of those who may import.
        meanings = self.sudo().search(domain, limit=1).meanings or {}
        # What a version before knew, and this one does not, is guessed anew.
        known = wizard.column_ids._fields["meaning"].get_values(self.env)
        return meanings if {*meanings.values()} <= {*known} else {}

    @api.model
    def _remember(self, wizard):
        columns = wizard.column_ids
        headings = [""] * (max(columns.mapped("position"), default=0) + 1)
        for column in columns:
            headings[column.position] = column.heading or ""
        key, company = self._key(headings), wizard._company()
        meanings = {str(column.position): column.meaning for column in columns}
        found = self.sudo().search(
            [
                ("company_id", "=", company.id),
                ("kind", "=", wizard._kind),
                ("headings", "=", key),
            ]
        )
        if found:
            found.meanings = meanings
        else:
            values = {"company_id": company.id, "kind": wizard._kind}
            self.sudo().create({**values, "headings": key, "meanings": meanings})


class BillpayImportSheet(models.TransientModel):
    """One sheet of a workbook that is imported."""

    _name = "billpay.import.sheet"
    _description = "Sheet of an Imported File"
    _order = "position, id"

    name = fields.Char(readonly=True)
    position = fields.Integer(readonly=True)
