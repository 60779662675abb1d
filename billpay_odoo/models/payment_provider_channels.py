# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which ways to pay an application's payers do not see yet, and why."""

from odoo import api, fields, models


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    clickpesa_hidden_channels = fields.Char(
        string="Not Shown to Payers", compute="_compute_clickpesa_hidden_channels"
    )

    @api.depends("code", "company_id")
    def _compute_clickpesa_hidden_channels(self):
        channels = self.env["billpay.channel"].sudo()
        for provider in self:
            hidden = channels
            if provider.code == "clickpesa":
                hidden = channels._for_company(
                    provider.company_id, complete=False
                ).filtered(lambda channel: not channel.complete)
            provider.clickpesa_hidden_channels = "; ".join(
                self.env._(
                    "%(channel)s (missing: %(what)s)",
                    channel=channel.name,
                    what=channel.missing,
                )
                for channel in hidden
            )

    def action_billpay_channels(self):
        """Open the ways to pay, where what is missing is entered."""
        return self.env["ir.actions.act_window"]._for_xml_id(
            "billpay_odoo.action_billpay_channel"
        )
