# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    def _became_payable(self):
        """Let money find these numbers that was there before them.

        At the end of the transaction, once for all numbers of it.
        """
        result = super()._became_payable()
        precommit = self.env.cr.precommit
        ids = precommit.data.setdefault("billpay.became_payable", set())
        if not ids:
            numbers_sudo = self.sudo().browse()

            @precommit.add
            def bind():
                numbers = numbers_sudo.browse(sorted(ids)).exists()
                numbers.env["billpay.payment"]._bind_waiting(numbers)

        ids.update(self.ids)
        return result
