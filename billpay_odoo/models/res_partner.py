# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models


class ResPartner(models.Model):
    _inherit = "res.partner"

    # The money desk looks for contacts whose name begins with a word of the payer's.
    _billpay_name = models.Index("(upper(name) text_pattern_ops)")
