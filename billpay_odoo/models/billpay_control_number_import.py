# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, models
from odoo.tools import SQL


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    def _close(self):
        """Say of imported numbers what closing them here does not do.

        They may belong to another application at ClickPesa, so it is not told.
        """
        imported = self.filtered(
            lambda n: n.origin == "imported" and n.state in ("pending", "open")
        )
        result = super()._close()
        for number in imported:
            number._message_log(
                body=self.env._(
                    "Closed here only. This number was imported, so ClickPesa is not "
                    "told and a payer can still pay it. Money that comes is booked. "
                    "To stop it, switch the number off on the ClickPesa dashboard."
                )
            )
        return result

    def _cannot_ask(self, values):
        """Tell whether what is wanted is beyond this number.

        ClickPesa is told nothing about imported ones: a phone takes the exact amount
        that it has there, and nothing else.

        :param dict values: what the invoice wants, see ``_billpay_wanted_values``
        """
        self.ensure_one()
        return (
            self.origin == "imported"
            and self.known_mode == "exact"
            and bool(
                self.currency_id.compare_amounts(self.known_amount, values["amount"])
            )
        )

    @api.model
    def _names_in_capitals(self, provider, names):
        """Return those of these names, all in capitals, that the application has.

        :rtype: set
        """
        self.flush_model(["name", "provider_id"])
        return {
            name
            for (name,) in self.env.execute_query(
                SQL(
                    "SELECT upper(name) FROM billpay_control_number"
                    " WHERE provider_id = %s AND upper(name) IN %s",
                    provider.id,
                    tuple(names),
                )
            )
        }
