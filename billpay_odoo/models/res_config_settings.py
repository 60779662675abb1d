# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    billpay_provider_id = fields.Many2one(
        related="company_id.billpay_provider_id", readonly=False
    )
    billpay_issue_on = fields.Selection(
        related="company_id.billpay_issue_on", readonly=False
    )
    billpay_default_mode = fields.Selection(
        related="company_id.billpay_default_mode", readonly=False
    )
    billpay_notify_salesperson = fields.Boolean(
        related="company_id.billpay_notify_salesperson", readonly=False
    )
    billpay_apply_credit = fields.Boolean(
        related="company_id.billpay_apply_credit", readonly=False
    )
    billpay_instalments = fields.Selection(
        related="company_id.billpay_instalments", readonly=False
    )
    billpay_rate_date = fields.Selection(
        related="company_id.billpay_rate_date", readonly=False
    )
    billpay_minimum_rest = fields.Integer(
        related="company_id.billpay_minimum_rest", readonly=False
    )
    billpay_rest_account_id = fields.Many2one(
        related="company_id.billpay_rest_account_id", readonly=False
    )
    billpay_tell_successor = fields.Boolean(
        related="company_id.billpay_tell_successor", readonly=False
    )
    billpay_page_due = fields.Boolean(
        related="company_id.billpay_page_due", readonly=False
    )
    billpay_event_days = fields.Integer(
        related="company_id.billpay_event_days", readonly=False
    )
    billpay_entries_on = fields.Selection(
        related="company_id.billpay_entries_on", readonly=False
    )
