# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import Command, api, models


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    def action_billpay_cards(self):
        """Open the dialog that prints these numbers on cards."""
        living = self.filtered(lambda number: number.state in ("open", "pending"))
        return self._cards_action(living, self.env["res.partner"])

    @api.model
    def _cards_action(self, numbers, without):
        wizard = self.env["billpay.card.print"].create(
            {
                "number_ids": [Command.set(numbers.ids)],
                "without_ids": [Command.set(without.ids)],
            }
        )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Print Cards"),
            "res_model": "billpay.card.print",
            "res_id": wizard.id,
            "view_mode": "form",
            "target": "new",
        }


class ResPartner(models.Model):
    _inherit = "res.partner"  # pylint: disable=consider-merging-classes-inherited

    def action_billpay_cards(self):
        """Print the numbers of these contacts and of those below them."""
        numbers = self.env["billpay.control.number"].search(
            [
                ("partner_id", "child_of", self.ids),
                ("kind", "=", "customer"),
                ("state", "in", ("open", "pending")),
                ("company_id", "in", self.env.companies.ids),
            ]
        )
        having = numbers.partner_id | numbers.partner_id.parent_id
        return numbers._cards_action(numbers, self - having)
