# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    pos_billpay = fields.Boolean(related="pos_config_id.billpay", readonly=False)
    pos_billpay_later = fields.Selection(
        related="pos_config_id.billpay_later", readonly=False
    )
    pos_billpay_change = fields.Boolean(
        related="pos_config_id.billpay_change", readonly=False
    )
    pos_billpay_lang = fields.Selection(
        related="pos_config_id.billpay_lang", readonly=False
    )
    pos_billpay_partner_id = fields.Many2one(
        related="pos_config_id.billpay_partner_id", readonly=False
    )
    pos_billpay_self_order = fields.Selection(
        related="pos_config_id.billpay_self_order"
    )
