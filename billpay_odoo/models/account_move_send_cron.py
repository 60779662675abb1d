# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, models

from ..transactions import own_transaction


class AccountMove(models.Model):
    _inherit = "account.move"  # pylint: disable=consider-merging-classes-inherited

    @api.model
    def _cron_account_move_send(self, job_count=10):
        """Override of `account`: reserve numbers before the invoices are locked.

        A number refers to its invoice and so cannot be stored while another
        transaction holds the invoice's row; the sending itself is made under that
        lock, and finds the numbers there.
        """
        with own_transaction(self.env) as env:
            waiting = env["account.move"].search(
                [
                    ("sending_data", "!=", False),
                    ("state", "=", "posted"),
                    ("billpay_number_ids", "=", False),
                ],
                order="date asc, invoice_date asc, sequence_number asc, id asc",
                limit=job_count,
            )
            waiting.try_lock_for_update(allow_referencing=True).filtered(
                lambda move: move._billpay_issue_moment() == "send"
            )._billpay_reserve_numbers()
        return super()._cron_account_move_send(job_count=job_count)
