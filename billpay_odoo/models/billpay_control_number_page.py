# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import base64
import io
import re

import qrcode

from odoo import api, models
from odoo.http import request
from odoo.tools import SQL, consteq, hmac
from odoo.tools.urls import urljoin

from . import billpay_texts

_SIGNATURE = re.compile(r"[0-9a-f]{32}\Z")
# ClickPesa documents no length; 64 is beyond any number we make or import.
_NUMBER = re.compile(r"[0-9A-Za-z]{1,64}\Z")
# On a screen nothing is smudged: any pattern is read, and a crowd waits for the page.
SCREEN_MASK = 3
# Of a payment whose money is in: same states as `amount_paid` counts.
_MONEY_STATES = ("confirmed", "posted", "failed")


class BillpayControlNumber(models.Model):
    """The pay page of a control number: address, signature, contents, state."""

    _inherit = "billpay.control.number"

    # The pay page knows digits only, not the application.
    _name_idx = models.Index("(name)")

    # === ADDRESS === #

    @api.model
    def _sign_pay_page(self, number_id, name):
        """Return the signature of a pay page, 32 hexadecimal digits (128 bits).

        :param int number_id: database id of the number
        :param str name: its digits
        """
        return hmac(self.env(su=True), "billpay-pay-page", (number_id, name))[:32]

    def _pay_signature(self):
        """Return the second secret half of this number's pay page address."""
        self.ensure_one()
        return self._sign_pay_page(self.id, self.name)

    def _get_pay_path(self):
        """Return the address of the pay page on its server."""
        self.ensure_one()
        return f"/billpay/{self.name}/{self._pay_signature()}"

    def _get_pay_url(self, lang=None):
        """Return the absolute address of the pay page.

        The address of the company's website where there is one. Not the application's
        `get_base_url`: that follows the request, and a payer cannot reach the host name
        under which the office reaches Odoo.

        :param str lang: ``en`` or ``sw``; without it the page chooses by the payer
        """
        self.ensure_one()
        url = urljoin(self.company_id.get_base_url(), self._get_pay_path())
        return f"{url}?lang={lang}" if lang else url

    @api.model
    def _find_for_page(self, number, signature):
        """Return the number that a pay page address means, in sudo.

        Several applications may hold the same digits: the signature tells which.

        :param number: as typed, perhaps with spaces; anything
        :param signature: anything
        :return: one record, or an empty recordset when anything is wrong
        """
        numbers = self.sudo().browse()
        if not isinstance(number, str) or not isinstance(signature, str):
            return numbers
        number = "".join(number.split())
        # Also keeps null characters and lone surrogates away from the database, and
        # text that `consteq` cannot compare.
        if not _NUMBER.match(number) or not _SIGNATURE.match(signature):
            return numbers
        for candidate in self.sudo().search([("name", "=", number)]):
            if consteq(candidate._pay_signature(), signature):
                numbers |= candidate
        return numbers[:1]

    # === QR CODE === #

    @api.model
    def _qr_png(self, data, box_size=8, border=2, mask=None):
        """Return a QR code as PNG bytes.

        Black and white without grey (one bit per pixel), so that it stays sharp when
        printed at any size. Error correction M survives a fold or a stain and needs
        fewer modules than Q.

        :param str data: what the code says
        :param int box_size: pixels per module
        :param int border: modules of white around; four by the standard, of which the
            document around it gives two
        :param int mask: the pattern, 0 to 7; by default the best of all, for paper.
            Looking for it takes three quarters of the time
        """
        code = qrcode.QRCode(
            error_correction=qrcode.constants.ERROR_CORRECT_M,
            box_size=box_size,
            border=border,
            mask_pattern=mask,
        )
        code.add_data(data)
        code.make(fit=True)
        stream = io.BytesIO()
        code.make_image().save(stream, format="PNG", optimize=True)
        return stream.getvalue()

    @api.model
    def _qr_data_uri(self, data, **options):
        """Return a QR code as a ``data:`` address for an image."""
        png = base64.b64encode(self._qr_png(data, **options)).decode()
        return f"data:image/png;base64,{png}"

    def _get_pay_qr_data_uri(self):
        """Return the QR code of this number's pay page for an image on a screen."""
        return self._qr_data_uri(self._get_pay_url(), mask=SCREEN_MASK)

    # === STATE === #

    def _get_amount_asked(self):
        """Return what the payer should pay with this number, in its currency.

        What ClickPesa has been told comes first: in exact mode it takes nothing else.

        :return: float; 0.0 when the number asks for any amount and no bill tells more
        """
        self.ensure_one()
        return self.amount or self._get_amount_due()

    def _get_foreign_amount(self):
        """Return what the amount asked stands for in the bill's currency, as text.

        :return: "" when the bill is in shillings
        """
        self.ensure_one()
        if not self.bill_currency_id or not self.amount:
            return ""
        return billpay_texts.amount_text(self.bill_amount, self.bill_currency_id)

    def _get_amount_due(self):
        """Return what is left to pay on the bill in the number's currency.

        :return: float; 0.0 also when nothing tells how much
        """
        self.ensure_one()
        if self.move_id and self.move_id.currency_id == self.currency_id:
            return max(self.move_id.amount_residual, 0.0)
        if self.kind == "customer":
            return self.amount
        return max(self.amount - self.amount_paid, 0.0)

    def _get_page_state(self):
        """Return what the page has to say about this number.

        :return: ``pending``, ``open``, ``paid`` (with this number), ``partial`` (paid,
            and something is left), ``settled`` (paid in another way), ``replaced`` (by
            its successor), ``cancelled`` (the invoice was), ``closed`` or ``failed``
        :rtype: str
        """
        self.ensure_one()
        move = self.move_id
        if self.state == "paid":
            left = self.currency_id.compare_amounts(self._get_amount_due(), 0.0) > 0
            return "partial" if left and self._is_bill_open() else "paid"
        if self.state == "failed":
            return "failed"
        if move and move.state != "posted":
            return "cancelled" if move.state == "cancel" else "closed"
        if move and move.currency_id.is_zero(move.amount_residual):
            return "settled"
        if self.state == "closed":
            return "replaced" if self.successor_id else "closed"
        return self.state

    def _is_bill_open(self):
        """Tell whether the bill behind the number still asks for money."""
        self.ensure_one()
        return not self.move_id or self.move_id.state == "posted"

    def _get_next_number(self):
        """Return the number that the payer should use now instead of this one.

        Follows successors to the last, so that an old paper leads to the right place.

        :return: another payable or coming number, or an empty recordset
        """
        self.ensure_one()
        seen = self
        current = self
        while (following := current.successor_id) and following not in seen:
            seen |= following
            current = following
        return current if current != self and current.state != "failed" else seen[:0]

    @api.model
    def _page_watch(self, number, signature):
        """Return what changes on an open pay page, in one indexed query.

        Pages ask every few seconds, so nothing is read through records until something
        has happened.

        :return: None when the address is wrong; else a dict for `state`, see
            `_page_state_values`
        """
        number = "".join(number.split())
        if not _NUMBER.match(number) or not _SIGNATURE.match(signature):
            return None
        self.flush_model(["name", "state", "move_id"])
        rows = self.env.execute_query(
            SQL(
                """
                SELECT n.id, n.state, m.state, m.payment_state,
                       (SELECT SUM(p.amount) FROM billpay_payment p
                         WHERE p.control_number_id = n.id AND p.state IN %s)
                  FROM billpay_control_number n
             LEFT JOIN account_move m ON m.id = n.move_id
                 WHERE n.name = %s
                """,
                _MONEY_STATES,
                number,
            )
        )
        for number_id, state, move_state, payment_state, paid in rows:
            if not consteq(self._sign_pay_page(number_id, number), signature):
                continue
            if (
                state in ("open", "pending")
                and move_state in (None, "posted")
                and payment_state in (None, "not_paid", "partial")
            ):
                # A number that is used again and again stays open when paid: the
                # page sees its total grow.
                return {
                    "state": state,
                    "paid": False,
                    "amount_paid": float(paid or 0.0),
                    "final": False,
                }
            return self.sudo().browse(number_id)._page_state_values()
        return None

    def _page_state_values(self):
        """Return the state of the page for its script.

        :return: dict with ``state`` (see `_get_page_state`), ``paid`` (bool),
            ``amount_paid`` and ``amount_due`` (floats, in the number's currency, TZS),
            ``amount_paid_text``, ``receipt``, ``successor_url`` (str, may be empty) and
            ``final`` (bool: nothing more will happen)
        """
        self.ensure_one()
        state = self._get_page_state()
        following = self._get_next_number()
        return {
            "state": state,
            "paid": state == "paid",
            "amount_paid": self.amount_paid,
            "amount_paid_text": billpay_texts.amount_text(
                self.amount_paid, self.currency_id
            ),
            "amount_due": self._get_amount_due(),
            "receipt": self._get_receipts(),
            "successor_url": following._get_pay_url() if following else "",
            "final": state in ("paid", "settled", "cancelled", "closed", "failed")
            or bool(following),
        }

    def _get_receipts(self):
        """Return the operators' receipt numbers of the payments, newest first.

        A number that is used again and again shows its latest only.
        """
        self.ensure_one()
        payments = self.payment_ids.filtered(
            lambda payment: payment.state in _MONEY_STATES and payment.receipt
        ).sorted("id", reverse=True)
        if self.kind == "customer":
            payments = payments[:1]
        return ", ".join(payments.mapped("receipt"))

    # === CONTENTS === #

    def _get_page_bill(self):
        """Return what the page tells about the bill. Extended by other kinds of bill.

        Only what the payer needs to recognise the own bill: the page is open to whoever
        holds the link, so no address, phone or other bill is ever part of it.

        :return: dict with ``name``, ``due`` (date or False) and ``customer`` (str), all
            possibly empty
        """
        self.ensure_one()
        move = self.move_id
        return {
            "name": move.name or "",
            "due": move.invoice_date_due,
            "customer": move.commercial_partner_id.name or "",
        }

    def _page_wished_language(self):
        """Return the payer's language: the customer's if Swahili, else the browser's.

        English on a customer is Odoo's default and says nothing; Swahili was chosen.
        """
        partner = self.partner_id or self.move_id.partner_id
        if billpay_texts.page_language(partner.lang) == "sw":
            return "sw"
        accepted = request.httprequest.accept_languages if request else []
        return billpay_texts.page_language(*(code for code, _quality in accepted))

    def _pay_page_values(self, lang=None):
        """Return the values of the template ``billpay_odoo.pay_block``.

        :param str lang: ``en`` or ``sw``; anything else lets the page choose
        :return: dict; all texts plain and in one language, steps as Markup
        """
        self.ensure_one()
        number = self.sudo()
        if lang not in billpay_texts.LANGUAGES:
            lang = number._page_wished_language()
        state = number._get_page_state()
        following = number._get_next_number()
        asked = (
            number._get_amount_due()
            if state == "partial"
            else number._get_amount_asked()
        )
        values = {
            "lang": lang,
            "state": state,
            "payee": number.company_id.name,
            "has_logo": bool(number.company_id.logo_web)
            and not number.company_id.uses_default_logo,
            "company_id": number.company_id.id,
            "number": number.name,
            "groups": number.display_number.split(),
            "kind": number.kind,
            "mode": number.mode,
            "asks_amount": bool(asked),
            "in_parts": bool(number.max_amount),
            "amount": billpay_texts.amount_text(asked, number.currency_id),
            "foreign_amount": number._get_foreign_amount(),
            "amount_paid": number.amount_paid,
            "amount_paid_text": billpay_texts.amount_text(
                number.amount_paid, number.currency_id
            ),
            "receipt": number._get_receipts(),
            "bill": number._get_page_bill(),
            "next_url": following and following._get_pay_url(lang=lang),
            "next_groups": following and following.display_number.split(),
            "watch_url": f"{number._get_pay_path()}/state",
            "watch": state in ("pending", "open")
            or (state == "partial" and not following),
            "languages": billpay_texts.LANGUAGES,
        }
        values["due"] = billpay_texts.date_text(values["bill"]["due"], lang)
        values["t"] = billpay_texts.texts(
            lang,
            payee=values["payee"],
            amount=values["amount"],
            received=values["amount_paid_text"],
        )
        values["channels"] = (
            number._get_page_channels(lang, values) if state == "open" else []
        )
        values["qr"] = number._get_pay_qr_data_uri() if state == "open" else ""
        return values

    def _get_page_channels(self, lang, values):
        """Return one dict per channel: how to pay this number with it."""
        amount = values["amount"] if values["asks_amount"] else None
        channels = self.env["billpay.channel"]._for_company(self.company_id)
        return [
            {
                "id": channel.id,
                "name": channel.name,
                "kind": channel.kind,
                "initials": channel._get_initials(),
                "color": channel.color or "#4b5563",
                "ussd": channel.ussd_code or "",
                "dial": channel._get_dial_link(),
                "dial_text": billpay_texts.texts(lang, ussd=channel.ussd_code or "")[
                    "dial"
                ],
                "steps": channel._get_steps(
                    lang,
                    number=self.name,
                    amount=amount or values["t"]["your_amount"],
                ),
            }
            for channel in channels
        ]

    # === DOCUMENTS === #

    @api.model
    def _document_for(self, move, lang, limit=4):
        """Return the pay block of an invoice's PDF or e-mail.

        The number is read as it is committed now and not through `move`: another
        transaction has just made or confirmed it, and the current one cannot see that.

        :param account.move move: one invoice
        :param lang: the document's language code
        :param int limit: channels at most, so that the block stays small
        :return: None when there is no confirmed number to pay; else dict: ``number``,
            ``groups``, ``amount`` (str, "" for any), ``url``, ``qr``, ``channels``
            (list of dict with ``name``, ``ussd`` and ``steps``), ``lang``, ``t``
        """
        company = move.company_id
        if (
            not company.sudo().billpay_provider_id
            and not move.sudo().billpay_number_ids
        ):
            # Companies without BillPay do not pay for a second transaction.
            return None
        document = move._billpay_document_number()
        if not document:
            return None
        return self._block_values(document, company, lang, limit)

    @api.model
    def _block_values(self, document, company, lang, limit=4):
        """Return the values of a pay block on paper or in an e-mail.

        :param dict document: see ``_billpay_printed``
        :return: dict as of ``_document_for``
        """
        lang = billpay_texts.document_language(lang)
        t = billpay_texts.texts(lang, payee=company.name)
        amount = document["amount"] and billpay_texts.amount_text(
            document["amount"], self.env.ref("base.TZS")
        )
        channels = self.env["billpay.channel"]._for_company(company)[:limit]
        return {
            "number": document["name"],
            "groups": document["display_number"].split(),
            "amount": amount or "",
            "url": document["url"],
            "qr": self._qr_data_uri(document["url"]),
            "channels": [
                {
                    "name": channel.name,
                    "ussd": channel.ussd_code or "",
                    "steps": channel._get_steps(
                        lang,
                        number=document["name"],
                        amount=amount or t["your_amount"],
                        short=True,
                    ),
                }
                for channel in channels
            ],
            "lang": lang,
            "t": t,
        }
