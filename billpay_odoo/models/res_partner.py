# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import fields, models

from .. import const


class ResPartner(models.Model):
    _inherit = "res.partner"

    billpay_mode = fields.Selection(
        selection=const.MODES,
        string="Control Numbers Take",
        company_dependent=True,
        help="What this customer's phone accepts for a control number. Empty: as the "
        "company does. Holds for invoices made from now on.",
    )

    # The money desk looks for contacts whose name begins with a word of the payer's.
    _billpay_name = models.Index("(upper(name) text_pattern_ops)")

    def write(self, vals):
        renamed = self.browse()
        if "name" in vals:
            # Forms and imports write names that stay the same.
            renamed = self.filtered(lambda partner: partner.name != vals["name"])
        result = super().write(vals)
        if renamed:
            renamed._billpay_renamed()
        return result

    def _billpay_renamed(self):
        """Numbers that payers may still use carry the customer's new name."""
        numbers_sudo = (
            self.env["billpay.control.number"]
            .sudo()
            .search(
                [
                    ("partner_id", "child_of", self.ids),
                    ("move_id", "!=", False),
                    ("state", "in", ("pending", "open", "failed")),
                ]
            )
        )
        numbers_sudo.move_id._billpay_follow_residual()
