# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging
from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ... import money
from ...const import SEND_CRON
from ...transactions import (
    CONFLICTS,
    committed,
    end_transaction,
    own_transaction,
    pause_after,
)

_logger = logging.getLogger(__name__)

# So many times what is sent at once is looked at, as others may have locked some.
LOOK_AHEAD = 4


class AccountMoveSend(models.AbstractModel):
    """No invoice leaves with a control number that ClickPesa does not know."""

    _inherit = "account.move.send"

    # === SENDING IN THE BACKGROUND === #

    @api.model
    def _billpay_queue(self):
        """Return the domain of queued invoices that need not wait.

        One waits while its number's application is in a pause, and after a try in vain
        until the moment that is noted, or until its number is no longer pending.
        """

        def no_later_moment(model, alias, query):
            return SQL(
                """
                    (COALESCE(%(data)s->>'billpay_wait', '') <= %(now)s
                     OR EXISTS (
                        SELECT FROM billpay_control_number number
                         WHERE number.id = CASE
                               WHEN %(data)s->>'billpay_number' ~ '^[0-9]{1,9}$'
                               THEN (%(data)s->>'billpay_number')::int END
                           AND number.state != 'pending'))
                    """,
                data=model._field_to_sql(alias, "sending_data", query),
                now=fields.Datetime.to_string(now),
            )

        now, applications = fields.Datetime.now(), self.env["payment.provider"]
        paused = applications._billpay_on_domain("provider_id.")
        paused &= self.env["billpay.gate"]._paused_domain("provider_id.")
        paused &= Domain("state", "=", "pending")
        return (
            Domain("sending_data", "!=", False)
            & Domain("state", "=", "posted")
            & Domain("billpay_number_ids", "not any", paused)
            & Domain("billpay_carried_number_id", "not any", paused)
            & Domain.custom(to_sql=no_later_moment)
        )

    def _billpay_send_queue(self, job_count):
        """Send the next invoices of the queue.

        Their numbers are reserved before they are locked: a number refers to its
        invoice and so cannot be stored while another transaction holds that row.
        """
        with own_transaction(self.env) as env:
            found = env["account.move"].search(
                self._billpay_queue(),
                order="date, invoice_date, sequence_number, id",
                limit=job_count * LOOK_AHEAD,
            )
            found = found.try_lock_for_update(limit=job_count, allow_referencing=True)
            unreserved = self._billpay_reserve_for_queue(found)
        # What was reserved is seen from here on.
        end_transaction(self.env)
        moves = self.env["account.move"].browse(found.ids)
        moves = moves.with_context(
            billpay_send_queue=True, billpay_unreserved=unreserved
        )
        self._billpay_send_all_or_each(moves)
        remaining = moves.search_count(self._billpay_queue())
        if not remaining:
            self._billpay_wake_for_waiting()
        self.env["ir.cron"]._commit_progress(len(moves), remaining=remaining)

    def _billpay_reserve_for_queue(self, moves):
        """Reserve the numbers that these invoices get on sending.

        :return: why it was not possible: ``{move_id: (text, whether it may be later)}``
        """
        unreserved = {}
        for group in moves.grouped("company_id").values():
            unreserved |= self._billpay_reserve_all_or_each(group)
        return unreserved

    def _billpay_reserve_all_or_each(self, moves):
        try:
            committed(moves.env, self._billpay_reserve_on_sending, moves)
        except CONFLICTS as error:
            _logger.info("Invoices %s are locked: %s", moves.ids, error)
        except Exception as error:  # noqa: BLE001 - any invoice may be the cause
            if len(moves) > 1:
                # The others are sent all the same.
                each = [self._billpay_reserve_all_or_each(move) for move in moves]
                return dict(item for reasons in each for item in reasons.items())
            return {moves.id: (self._billpay_error_text(error), False)}
        return {}

    def _billpay_error_text(self, error):
        if isinstance(error, UserError):
            return str(error)
        _logger.error("An invoice was not sent", exc_info=error)
        return self.env._("Unexpected error; see the server's log.")

    def _billpay_send_all_or_each(self, moves):
        """Send queued invoices; if that fails, each for itself, so one fails alone.

        What fails leaves the queue, and its sender is notified.
        """
        try:
            committed(self.env, self._billpay_send_queued, moves)
        except CONFLICTS as error:
            _logger.info("Invoices %s are locked: %s", moves.ids, error)
        except Exception as error:  # noqa: BLE001 - any invoice may be the cause
            if len(moves) > 1:
                for move in moves:
                    self._billpay_send_all_or_each(move)
                return
            text = self._billpay_error_text(error)
            committed(self.env, self._billpay_leave_queue, moves, text)

    def _billpay_send_queued(self, moves):
        moves = moves.try_lock_for_update()
        moves = moves.filtered(lambda m: m.sending_data and m.state == "posted")
        if not moves:
            return
        sending = self.with_context(**moves.env.context)
        sending._generate_and_send_invoices(moves, from_cron=True)
        if left := moves.filtered("sending_data"):
            self._billpay_let_wait(left)

    def _billpay_let_wait(self, moves):
        """Note when what was not sent is tried again: others go first until then."""
        for move in moves:
            data = move.sending_data
            tries = data.get("billpay_tries", 0) + 1
            until = fields.Datetime.now() + timedelta(seconds=pause_after(tries))
            numbers = move.billpay_number_ids | move.billpay_carried_number_id
            pending = numbers.filtered(lambda number: number.state == "pending")
            move.sending_data = {
                **data,
                "billpay_tries": tries,
                "billpay_wait": fields.Datetime.to_string(until),
                "billpay_number": pending[:1].id,
            }

    def _billpay_wake_for_waiting(self):
        """Wake the queue when the next of those that wait is due: Odoo's own turn
        comes once a day."""
        [[moment]] = self.env.execute_query(
            SQL(
                """
                    SELECT min(sending_data->>'billpay_wait') FROM account_move
                     WHERE sending_data IS NOT NULL AND state = 'posted'
                       AND sending_data->>'billpay_wait' > %s
                    """,
                fields.Datetime.to_string(fields.Datetime.now()),
            )
        )
        if moment:
            at = fields.Datetime.to_datetime(moment)
            self.env["payment.provider"]._billpay_trigger(SEND_CRON, at=at)

    def _billpay_leave_queue(self, move, text):
        author_id = (move.sending_data or {}).get("author_partner_id")
        move.sending_data = False
        error = self.env._(
            "The invoice was not sent: %s No money is affected. Correct the cause, "
            "then send it again.",
            text.rstrip(" .") + ".",
        )
        author_id = author_id or self.env.user.partner_id.id
        data = {"error": {"error_title": error}, "author_partner_id": author_id}
        try:
            with self.env.cr.savepoint():
                self._hook_if_errors({move: data}, allow_raising=False)
        except CONFLICTS:
            raise
        except Exception:
            # Whatever stands in the way of a note stands in nobody else's.
            _logger.exception("No note on invoice %s", move.id)

    @api.model
    def _billpay_wake_queue(self, numbers):
        """Wake the queue when an invoice in it has waited for one of these numbers."""
        waiting = self.env.execute_query(
            SQL(
                """
                    SELECT FROM account_move
                     WHERE sending_data IS NOT NULL
                       AND (id = ANY(%s) OR billpay_carried_number_id = ANY(%s))
                     LIMIT 1
                    """,
                numbers.move_id.ids,
                numbers.ids,
            )
        )
        if waiting:
            self.env["payment.provider"]._billpay_trigger(SEND_CRON)

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
                reservation = env["billpay.reservation"]
                if not queued:
                    reservation._reserve_or_say(on_sending)
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
            if number and number["obstacle"] not in ("", "paid", "closed"):
                moves = invoices.browse(move_ids)
                providers_sudo = moves.company_id.sudo().billpay_provider_id
                if number["state"] == "open" and not any(
                    provider._billpay_is_on() for provider in providers_sudo
                ):
                    # BillPay was given up: invoices go without a number, and say so.
                    continue
                # What is refused, or switched off, waits for a person.
                later = number["obstacle"] in ("unknown", "changing")
                later = later and not number["off"]
                lost = not later and number["state"] != "failed"
                text = invoices.env._(
                    "The control number %(name)s cannot be paid at this moment, so the "
                    "invoice was not sent: its payer could not have paid. No money is "
                    "affected. %(problem)s %(next_step)s",
                    name=number["name"],
                    problem=(not lost and number["error"]) or number["problem"],
                    next_step=self._billpay_next_step(later),
                )
                if number["off"] and number["obstacle"] in ("unknown", "changing"):
                    text = invoices.env._(
                        "ClickPesa does not know yet what the control number %(name)s "
                        "asks for, so the invoice was not sent: its payer could not "
                        "have paid. %(why)s Then send the invoice again.",
                        name=number["name"],
                        why=number["off"],
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
        # One that is made on sending is none yet, here.
        if number_sudo.state in ("paid", "closed") or not money.is_due(move):
            return None
        if printed := page._billpay_printed(number_sudo, move):
            return printed
        with own_transaction(move.sudo().env) as env:
            number_sudo = move.with_env(env).exists().billpay_number_id
            return page._billpay_printed(number_sudo, move)

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
        elif one and moves.billpay_number_problem and not numbers._not_lost():
            alerts["billpay_lost"] = {
                "level": "warning",
                "message": moves.billpay_number_problem,
            }
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
