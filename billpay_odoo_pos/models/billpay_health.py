# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models


class BillpayHealth(models.AbstractModel):
    """The till has a scheduled action of its own."""

    _inherit = "billpay.health"

    def _action_files(self):
        return {**super()._action_files(), "billpay_odoo_pos": "data/ir_cron_data.xml"}
