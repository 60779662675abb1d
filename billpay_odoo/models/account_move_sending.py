# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, models
from odoo.exceptions import UserError

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

    def _billpay_confirm_before_sending(self):
        """Make sure that no document leaves with a number ClickPesa does not know.

        Reserves numbers where that happens on sending, and makes the outstanding
        calls in transactions of their own.

        :return: ``{move_id: error}`` for every invoice in ``self``; "" when it may go
        :rtype: dict[int, str]
        """
        errors = dict.fromkeys(self.ids, "")
        try:
            with own_transaction(self.env) as env:
                moves = self.with_env(env).exists()
                moves.filtered(
                    lambda move: move._billpay_issue_moment() == "send"
                )._billpay_reserve_numbers()
                numbers = moves.sudo().billpay_number_ids.filtered(
                    lambda number: number.state in ("pending", "failed")
                )
                wanting = {number.id: number.move_id.id for number in numbers}
            outcome = (
                self.env["billpay.control.number"].browse(wanting)._sync_now()
                if wanting
                else {}
            )
        except UserError as error:
            # Something is locked: these invoices wait, others of the batch do not.
            return dict.fromkeys(self.ids, str(error))
        for number_id, move_id in wanting.items():
            number = outcome.get(number_id)
            if number and number["state"] in ("pending", "failed"):
                errors[move_id] = self.env._(
                    "The control number %(name)s is not registered with ClickPesa "
                    "yet, so the invoice was not sent: its payer could not have paid. "
                    "No money is affected. %(error)s Send the invoice again in a "
                    "moment, or look at its control number.",
                    name=number["name"],
                    error=number["error"],
                )
        return errors

    def _billpay_document_number(self):
        """Return the number to print, as it is committed now, or ``None``.

        The document's transaction may be older than the confirmation; a number that
        is not open in it is looked at once more in a transaction of its own.

        :rtype: dict | None
        :return: keys ``id``, ``name``, ``display_number``, ``amount`` (TZS, 0 for
            any), ``url``
        """
        self.ensure_one()
        number_sudo = self.sudo().billpay_number_id
        if self.currency_id.is_zero(self.amount_residual):
            return None
        if number_sudo.state == "open":
            return number_sudo._billpay_printed()
        if number_sudo.state in ("paid", "closed"):
            return None
        with own_transaction(self.sudo().env) as env:
            number_sudo = self.with_env(env).exists().billpay_number_id
            if number_sudo.state != "open":
                return None
            return number_sudo._billpay_printed()
