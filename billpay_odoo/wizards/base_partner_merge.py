# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, models

from ..const import LIVING


class BasePartnerMergeAutomaticWizard(models.TransientModel):
    _inherit = "base.partner.merge.automatic.wizard"

    @api.model
    def _update_foreign_keys(self, src_partners, dst_partner):
        # EXTENDS base
        # Odoo moves the numbers by SQL. All of them stay payable; for each purpose the
        # contact that stays keeps its own, and has one given out.
        numbers_sudo = self.env["billpay.control.number"].sudo()
        kind = [("kind", "=", "customer"), ("purpose_id", "!=", False)]
        own = numbers_sudo.search([("partner_id", "=", dst_partner.id), *kind])
        moved = numbers_sudo.search([("partner_id", "in", src_partners.ids), *kind])
        result = super()._update_foreign_keys(src_partners, dst_partner)
        numbers = own | moved
        numbers.invalidate_recordset()
        for group in numbers.grouped("purpose_id").values():
            living = group.filtered(lambda n: n.state in LIVING)
            given = living.filtered("bill_key").sorted(
                # A number that was refused cannot be paid.
                lambda n: (n.state != "failed", n in own, n.id),
                reverse=True,
            )[:1]
            living._leave_place_to(given)
            (group - living)._take_place()
        return result
