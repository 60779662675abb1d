# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ..transactions import CONFLICTS, committed, own_transaction

_logger = logging.getLogger(__name__)


class AccountMove(models.Model):
    _inherit = "account.move"  # pylint: disable=consider-merging-classes-inherited

    # === SENDING IN THE BACKGROUND === #

    @api.model
    def _cron_account_move_send(self, job_count=10):
        """Override of `account`: reserve numbers before the invoices are locked.

        A number refers to its invoice and so cannot be stored while another
        transaction holds the invoice's row; the sending itself is made under that
        lock, and finds the numbers there. Invoices that wait for an application in
        trouble keep their place and let the others pass.
        """
        queue = self.with_context(billpay_send_queue=True)
        queue = queue.with_context(
            billpay_unreserved=queue._billpay_reserve_for_queue(job_count)
        )
        return super(AccountMove, queue)._cron_account_move_send(job_count=job_count)

    @api.model
    def _search(self, domain, *args, **kwargs):
        """Override: the send queue passes over what cannot be sent now."""
        if self.env.context.get("billpay_send_queue"):
            domain = Domain(domain)
            if any(c.field_expr == "sending_data" for c in domain.iter_conditions()):
                domain &= Domain(
                    "billpay_number_ids",
                    "not any",
                    [
                        ("state", "=", "pending"),
                        (
                            "provider_id.billpay_paused_until",
                            ">",
                            fields.Datetime.now(),
                        ),
                    ],
                )
        return super()._search(domain, *args, **kwargs)

    @api.model
    def _billpay_reserve_for_queue(self, job_count):
        """Reserve the numbers that the next invoices of the queue get on sending.

        :return: for those of whom it was not possible why, and whether it may be
            later: ``{move_id: (text, bool)}``
        :rtype: dict[int, tuple[str, bool]]
        """
        unreserved = {}
        with own_transaction(self.env) as env:
            waiting = env["account.move"].search(
                [
                    ("sending_data", "!=", False),
                    ("state", "=", "posted"),
                    (
                        "billpay_number_ids",
                        "not any",
                        [("state", "in", ("pending", "open", "failed"))],
                    ),
                ],
                order="date asc, invoice_date asc, sequence_number asc, id asc",
                limit=job_count,
            )
            for moves in waiting.grouped("company_id").values():
                try:
                    committed(env, moves._billpay_reserve_on_sending)
                except CONFLICTS as error:
                    _logger.info("Invoices %s are locked: %s", moves.ids, error)
                except UserError as error:
                    unreserved |= dict.fromkeys(moves.ids, (str(error), False))
                except Exception:
                    # The invoices of other companies are sent all the same.
                    _logger.exception("No control numbers for invoices %s", moves.ids)
                    text = self.env._("Unexpected error; see the server's log.")
                    unreserved |= dict.fromkeys(moves.ids, (text, False))
        return unreserved

    def _billpay_reserve_on_sending(self):
        free = self.try_lock_for_update(allow_referencing=True)
        free.filtered(
            lambda move: move._billpay_issue_moment() == "send"
        )._billpay_reserve_numbers()

    def _billpay_note_waiting(self, text):
        """Say once in the chatter that a queued invoice waits for ClickPesa."""
        self.ensure_one()
        if not self.sending_data.get("billpay_waiting"):
            self.sending_data = {**self.sending_data, "billpay_waiting": True}
            self._message_log(body=text)

    # === SENDING === #

    def _billpay_confirm_before_sending(self):
        """Make sure that no document leaves with a number ClickPesa does not know.

        Reserves numbers where that happens on sending, and makes the outstanding
        calls in transactions of their own. In the background the invoices are locked
        and an application in trouble is not asked.

        :return: an error as Odoo's sending wants it for each invoice that may not go:
            ``error_title``, and ``retry`` if it may go later by itself
        :rtype: dict[int, dict]
        """
        queued = bool(self.env.context.get("billpay_send_queue"))
        try:
            with own_transaction(self.env) as env:
                moves = self.with_env(env).exists()
                on_sending = moves.filtered(
                    lambda move: move._billpay_issue_moment() == "send"
                )
                if not queued:
                    on_sending._billpay_reserve_numbers()
                lacking = (
                    on_sending._billpay_wanting_numbers()
                    | on_sending._billpay_wanting_carried()
                ).ids
                wanting = {
                    number.id: shown.ids
                    for number, shown in moves._billpay_pending_numbers().items()
                }
            outcome = (
                self.env["billpay.control.number"]
                .browse(wanting)
                ._sync_now(even_paused=not queued)
                if wanting
                else {}
            )
        except UserError as error:
            # Something is locked: these invoices wait, others of the batch do not.
            return dict.fromkeys(self.ids, {"error_title": str(error), "retry": True})
        errors = {}
        unreserved = self.env.context.get("billpay_unreserved") or {}
        for move_id in lacking:
            text, later = unreserved.get(move_id) or ("", True)
            text = self.env._(
                "The invoice could not get its control number, so it was not sent. No "
                "money is affected. %s",
                text or self._billpay_next_step(later),
            )
            errors[move_id] = {"error_title": text, "retry": later}
        for number_id, move_ids in wanting.items():
            number = outcome.get(number_id)
            if number and number["state"] in ("pending", "failed"):
                # What is refused waits for a person.
                later = number["state"] == "pending"
                text = self.env._(
                    "The control number %(name)s is not registered with ClickPesa "
                    "yet, so the invoice was not sent: its payer could not have paid. "
                    "No money is affected. %(error)s %(next_step)s",
                    name=number["name"],
                    error=number["error"],
                    next_step=self._billpay_next_step(later),
                )
                errors |= {
                    move_id: {"error_title": text, "retry": later}
                    for move_id in move_ids
                }
        return errors

    @api.model
    def _billpay_next_step(self, later):
        """Return what is to be done about an invoice that was not sent."""
        if later and self.env.context.get("billpay_send_queue"):
            return self.env._("It is sent by itself as soon as the number is there.")
        return self.env._(
            "Send the invoice again in a moment, or look at its control number."
        )

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
