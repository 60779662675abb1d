# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from markupsafe import Markup

from odoo import api, models


class AccountMoveSend(models.AbstractModel):
    """No invoice leaves with a control number that ClickPesa does not know."""

    _inherit = "account.move.send"

    # === ALERTS === #

    @api.model
    def _get_alerts(self, moves, moves_data):
        # EXTENDS account
        alerts = super()._get_alerts(moves, moves_data)
        # sudo: who may send an invoice need not be allowed to open its number.
        numbers = moves.sudo().billpay_number_id
        if numbers.filtered(lambda number: number.state == "failed"):
            alerts["billpay_refused"] = {
                "level": "warning",
                "message": self.env._(
                    "ClickPesa refused the control number of this invoice. Sending "
                    "tries once more and stops if it is refused again."
                )
                if len(moves) == 1
                else self.env._(
                    "ClickPesa refused the control number of some invoices. Sending "
                    "tries once more and leaves out those that are refused again."
                ),
            }
        elif len(moves) == 1 and (
            "email" in moves_data[moves]["sending_methods"]
            and numbers.state in ("open", "pending")
            and not moves.currency_id.is_zero(moves.amount_residual)
        ):
            alerts["billpay_mail"] = {
                "level": "info",
                "message": self.env._(
                    "The e-mail ends with the control number %(number)s and a link to "
                    "the steps for paying it.",
                    number=numbers.display_number,
                ),
            }
        return alerts

    # === DOCUMENTS === #

    @api.model
    def _call_web_service_before_invoice_pdf_render(self, invoices_data):
        """Confirm the control numbers before anything is printed or sent.

        Odoo's hook for calls that the document depends on. An error stops that invoice
        only: Odoo raises it to a person who sends one invoice, and notes it on the
        invoice when many are sent.
        """
        # EXTENDS account
        result = super()._call_web_service_before_invoice_pdf_render(invoices_data)
        moves = self.env["account.move"].union(
            *(move for move, data in invoices_data.items() if not data.get("error"))
        )
        errors = moves._billpay_confirm_before_sending() if moves else {}
        for move, move_data in invoices_data.items():
            if error := errors.get(move.id):
                move_data["error"] = error
                move_data["billpay_stopped"] = True
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
            move._billpay_note_waiting(move_data["error"]["error_title"])
        errors = {m: data for m, data in moves_data.items() if m not in waiting}
        return super()._hook_if_errors(errors, allow_raising=allow_raising)

    @api.model
    def _generate_invoice_fallback_documents(self, invoices_data):
        """Make no pro forma instead of an invoice whose number is not confirmed.

        The fallback clears the error, and the customer would get a document that cannot
        be paid.
        """
        # EXTENDS account
        return super()._generate_invoice_fallback_documents(
            {
                move: move_data
                for move, move_data in invoices_data.items()
                if not move_data.get("billpay_stopped")
            }
        )

    # === E-MAIL === #

    @api.model
    def _get_mail_params(self, move, move_data):
        """Put the control number and the link to its pay page under the message.

        Done here and not in the template or its default body: the template is the
        users' own, a number may be made only now, and what a user wrote in the wizard
        stays untouched.
        """
        # EXTENDS account
        params = super()._get_mail_params(move, move_data)
        if params:
            params["body"] = self._billpay_complete_body(
                move, params["body"], move_data.get("mail_lang")
            )
        return params

    @api.model
    def _billpay_complete_body(self, move, body, lang):
        """Return the e-mail's body with the pay block at its end.

        :param body: HTML as written by the user or the template
        :param str lang: the e-mail's language code
        :return: the body as it is when the invoice has no confirmed number to pay, or
            when it tells it already, because a user wrote the link into the text
        """
        body = Markup(body or "")
        billpay = self.env["billpay.control.number"]._document_for(move, lang)
        if not billpay or billpay["url"] in body:
            return body
        return body + self.env["ir.qweb"]._render(
            "billpay_odoo.mail_pay_block", {"billpay": billpay}
        )
