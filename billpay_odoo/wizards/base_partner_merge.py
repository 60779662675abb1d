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
        self._billpay_leave_runs(src_partners, dst_partner)
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

    def _billpay_leave_runs(self, src_partners, dst_partner):
        """Let a bulk run that would make numbers for several of them make one."""
        lines_sudo = self.env["billpay.run.line"].sudo()
        lines_sudo = lines_sudo.search(
            [
                ("partner_id", "in", (src_partners | dst_partner).ids),
                ("move_id", "=", False),
                ("number_id", "=", False),
                ("state", "!=", "problem"),
            ]
        )
        for lines in lines_sudo.grouped(lambda n: (n.run_id, n.purpose_id)).values():
            kept = lines.sorted(lambda line: line.partner_id != dst_partner)[:1]
            error = self.env._(
                "Merged with %s, which is in this run.", dst_partner.name
            )
            (lines - kept).write({"state": "problem", "error": error})
        lines_sudo.flush_recordset()
