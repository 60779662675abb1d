# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models


class AccountMove(models.Model):
    """An invoice whose control number ClickPesa refused: why, and the way out."""

    _inherit = "account.move"  # pylint: disable=consider-merging-classes-inherited

    billpay_number_error = fields.Char(
        string="Control Number Trouble",
        compute="_compute_billpay_number_error",
        compute_sudo=True,
    )

    # === COMPUTE METHODS === #

    @api.depends("billpay_number_ids.sync_error", "billpay_number_ids.state")
    def _compute_billpay_number_error(self):
        for move in self:
            move.billpay_number_error = move.billpay_number_id.sync_error

    # === ACTION METHODS === #

    def action_billpay_retry_number(self):
        """Try again to register the refused numbers of these invoices."""
        self.check_access("read")
        self.billpay_number_id.action_retry()

    def action_billpay_take_another_number(self):
        """Register these invoices under other digits."""
        self.check_access("read")
        self.billpay_number_id.action_take_another_number()
