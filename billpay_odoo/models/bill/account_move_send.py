# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging

from markupsafe import Markup

from odoo import api, models
from odoo.exceptions import UserError

from ... import money
from ...const import LIVING
from ...transactions import CONFLICTS, committed, own_transaction

_logger = logging.getLogger(__name__)


class AccountMoveSend(models.AbstractModel):
    """No invoice leaves with a control number that ClickPesa does not know."""

    _inherit = "account.move.send"

    # === SENDING IN THE BACKGROUND === #

    def _billpay_reserve_for_queue(self, job_count):
        """Reserve the numbers that the next invoices of the queue get on sending.

        :return: why it was not possible: ``{move_id: (text, whether it may be later)}``
        """
        unreserved = {}
        with own_transaction(self.env) as env:
            waiting = env["account.move"].search(
                [
                    ("sending_data", "!=", False),
                    ("state", "=", "posted"),
                    ("billpay_number_ids", "not any", [("state", "in", LIVING)]),
                ],
                order="date asc, invoice_date asc, sequence_number asc, id asc",
                limit=job_count,
            )
            for moves in waiting.grouped("company_id").values():
                try:
                    committed(env, self._billpay_reserve_on_sending, moves)
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

    def _billpay_reserve_on_sending(self, moves):
        free = moves.try_lock_for_update(allow_referencing=True)
        free.filtered(lambda m: m._billpay_issue_moment() == "send")._billpay_reserve()

    # === SENDING === #

    def _billpay_confirm_before_sending(self, invoices):
        """Make sure that no document leaves with a number ClickPesa does not know.

        The outstanding calls are made in transactions of their own; in the background
        the invoices are locked and an application in trouble is not asked.

        :return: Odoo's error for each invoice that may not go: ``error_title``, and
            ``retry`` if it may go later by itself
        :rtype: dict[int, dict]
        """
        queued = bool(invoices.env.context.get("billpay_send_queue"))
        try:
            with own_transaction(invoices.env) as env:
                moves = invoices.with_env(env).exists()
                on_sending = moves.filtered(
                    lambda move: move._billpay_issue_moment() == "send"
                )
                if not queued:
                    on_sending._billpay_reserve()
                reservation = env["billpay.reservation"]
                lacking = reservation._wanting(on_sending).ids
                wanting = {
                    number.id: shown.ids
                    for number, shown in reservation._pending(moves).items()
                }
            sync = self.env["billpay.sync"]
            numbers = invoices.env["billpay.control.number"].browse(wanting)
            outcome = wanting and sync._sync_now(numbers, even_paused=not queued)
        except UserError as error:
            # Something is locked: these invoices wait, others of the batch do not.
            waits = {"error_title": str(error), "retry": True}
            return dict.fromkeys(invoices.ids, waits)
        errors = {}
        unreserved = invoices.env.context.get("billpay_unreserved") or {}
        for move_id in lacking:
            text, later = unreserved.get(move_id) or ("", True)
            text = invoices.env._(
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
                text = invoices.env._(
                    "The control number %(name)s is not registered with ClickPesa "
                    "yet, so the invoice was not sent: its payer could not have paid. "
                    "No money is affected. %(error)s %(next_step)s",
                    name=number["name"],
                    error=number["error"],
                    next_step=self._billpay_next_step(later),
                )
                error = {"error_title": text, "retry": later}
                errors |= dict.fromkeys(move_ids, error)
        return errors

    def _billpay_next_step(self, later):
        if later and self.env.context.get("billpay_send_queue"):
            return self.env._("Odoo sends it as soon as the number is registered.")
        return self.env._(
            "Send the invoice again in a moment, or look at its control number."
        )

    def _billpay_document_number(self, move):
        """Return the number to print, as it is committed now, or ``None``.

        The document's transaction may be older than the confirmation; a number that
        is not open in it is looked at once more in a transaction of its own.

        :rtype: dict | None
        """
        number_sudo, page = move.sudo().billpay_number_id, self.env["billpay.pay.page"]
        if not money.is_due(move):
            return None
        if number_sudo.state == "open":
            return page._billpay_printed(number_sudo, move)
        if number_sudo.state in ("paid", "closed"):
            return None
        with own_transaction(move.sudo().env) as env:
            number_sudo = move.with_env(env).exists().billpay_number_id
            is_open = number_sudo.state == "open"
            return page._billpay_printed(number_sudo, move) if is_open else None

    # === ALERTS === #

    @api.model
    def _get_alerts(self, moves, moves_data):
        # EXTENDS account
        alerts = super()._get_alerts(moves, moves_data)
        # sudo: who may send an invoice need not be allowed to open its number.
        numbers, one = moves.sudo().billpay_number_id, len(moves) == 1
        if "failed" in numbers.mapped("state"):
            text = (
                self.env._(
                    "ClickPesa refused the control number of this invoice. Sending "
                    "tries once more and stops if it is refused again."
                )
                if one
                else self.env._(
                    "ClickPesa refused the control number of some invoices. Sending "
                    "tries once more and leaves out those that are refused again."
                )
            )
            alerts["billpay_refused"] = {"level": "warning", "message": text}
        elif (
            one
            and "email" in moves_data[moves]["sending_methods"]
            and numbers.state in ("open", "pending")
            and money.is_due(moves)
        ):
            text = self.env._(
                "The e-mail ends with the control number %(number)s and a link to "
                "the steps for paying it.",
                number=numbers.display_number,
            )
            alerts["billpay_mail"] = {"level": "info", "message": text}
        return alerts

    # === DOCUMENTS === #

    @api.model
    def _call_web_service_before_invoice_pdf_render(self, invoices_data):
        """Confirm the control numbers before anything is printed or sent.

        An error stops that invoice only.
        """
        # EXTENDS account
        result = super()._call_web_service_before_invoice_pdf_render(invoices_data)
        moves = self.env["account.move"].union(
            *(move for move, data in invoices_data.items() if not data.get("error"))
        )
        errors = moves and self._billpay_confirm_before_sending(moves)
        for move in moves.filtered(lambda move: move.id in errors):
            invoices_data[move] |= {"error": errors[move.id], "billpay_stopped": True}
        return result

    @api.model
    def _hook_if_errors(self, moves_data, allow_raising=True):
        """Queued invoices that only wait for ClickPesa are no errors to tell about.

        Odoo keeps them in its queue (``retry``) and would post and notify each time.
        """
        # EXTENDS account
        waiting = {
            move: move_data
            for move, move_data in moves_data.items()
            if self.env.context.get("billpay_send_queue")
            and move_data.get("billpay_stopped")
            and move_data["error"].get("retry")
        }
        for move, move_data in waiting.items():
            # Said once in the chatter.
            if not move.sending_data.get("billpay_waiting"):
                move.sending_data = {**move.sending_data, "billpay_waiting": True}
                move._message_log(body=move_data["error"]["error_title"])
        errors = {m: data for m, data in moves_data.items() if m not in waiting}
        return super()._hook_if_errors(errors, allow_raising=allow_raising)

    @api.model
    def _generate_invoice_fallback_documents(self, invoices_data):
        """Make no pro forma instead of an invoice whose number is not confirmed.

        The fallback clears the error, and the customer would get a document that cannot
        be paid.
        """
        # EXTENDS account
        going = {
            move: move_data
            for move, move_data in invoices_data.items()
            if not move_data.get("billpay_stopped")
        }
        return super()._generate_invoice_fallback_documents(going)

    # === E-MAIL === #

    @api.model
    def _get_mail_params(self, move, move_data):
        """Put the control number and the link to its pay page under the message.

        Not in the template, which is the users' own; a number may be made only now.
        Nothing is added where a user wrote the link into the text.
        """
        # EXTENDS account
        params = super()._get_mail_params(move, move_data)
        if params:
            body, page = Markup(params["body"] or ""), self.env["billpay.pay.page"]
            billpay = page._document_for(move, move_data.get("mail_lang"))
            if billpay and billpay["url"] not in body:
                body += page._render_mail_block(billpay)
            params["body"] = body
        return params
