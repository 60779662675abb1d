# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A part was paid: the payer hears of the number for the rest."""

import logging

from markupsafe import Markup

from odoo import fields, models

from ..transactions import CONFLICTS
from . import billpay_texts

_logger = logging.getLogger(__name__)


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    told_at = fields.Datetime(
        string="Payer Told",
        readonly=True,
        copy=False,
        help="When the payer was written to that this number asks for the rest.",
    )

    def _became_payable(self):
        # EXTENDS billpay.control.number
        result = super()._became_payable()
        self._tell_payers()
        return result

    def _tell_payers(self):
        """Write to the payers of invoices of which a part was paid, once per number.

        Only a number that ClickPesa knows is told. The e-mail goes through Odoo's
        queue: nothing is sent in this transaction.
        """
        for number in self:
            move = number.move_id
            if (
                number.told_at
                or number.predecessor_id.state != "paid"
                or move.state != "posted"
                or not move.company_id.billpay_tell_successor
                or not move.partner_id.email
            ):
                continue
            try:
                with self.env.cr.savepoint():
                    number._tell_payer()
            except CONFLICTS:
                raise
            except Exception:
                # ClickPesa has the number: a template that somebody broke must not
                # keep that, and what stands beside it, from being stored.
                _logger.exception("The payer of number %s was not told.", number.id)
                move._message_log(
                    body=self.env._(
                        "The e-mail with the control number %s for the rest could not "
                        "be written; the server's log says why. The number can be "
                        "paid: send the invoice to tell the payer.",
                        number.display_number,
                    )
                )

    def _tell_payer(self):
        self.ensure_one()
        move = self.move_id
        lang = move.partner_id.lang
        pay_block = self._document_for(move, lang)
        if not pay_block:
            return
        t = billpay_texts.texts(
            pay_block["lang"],
            payee=move.company_id.name,
            bill=move.name,
            amount=billpay_texts.amount_text(
                self.amount or self._get_amount_due(), self.currency_id
            ),
            received=billpay_texts.amount_text(
                self.predecessor_id.amount_paid, self.currency_id
            ),
        )
        body = Markup("<p>%s</p>") % t["rest_body"] + self.env["ir.qweb"]._render(
            "billpay_odoo.mail_pay_block", {"billpay": pay_block}
        )
        author = move.invoice_user_id.partner_id or move.company_id.partner_id
        move.with_context(lang=lang).message_post(
            body=body,
            subject=t["rest_subject"],
            partner_ids=move.partner_id.ids,
            author_id=author.id,
            email_layout_xmlid="mail.mail_notification_layout",
            # Else the mail's button says "View Journal Entry".
            model_description=move.with_context(lang=lang).type_name,
            force_send=False,
        )
        self.told_at = fields.Datetime.now()
