# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import base64
import io
import logging
import re
from datetime import timedelta
from urllib.parse import urlencode

import qrcode
from markupsafe import Markup
from PIL import Image

from odoo import fields, models
from odoo.http import request
from odoo.tools import SQL, consteq, hash_sign, hmac, verify_hash_signed
from odoo.tools.urls import urljoin

from ... import money, page_texts
from ...const import LIVING, MONEY
from ...identity import without_blanks
from ...transactions import each

_logger = logging.getLogger(__name__)

_SIGNATURE = re.compile(r"[0-9a-f]{32}\Z")
# ClickPesa documents no length; 64 is beyond any number we make or import.
_NUMBER = re.compile(r"[0-9A-Za-z]{1,64}\Z")
# A page that is open for longer begins anew.
WATCHED_HOURS = 12
# Clocks differ, and who has just paid may look for it.
JUST_PAID = timedelta(minutes=2)
# On a screen nothing is smudged: any pattern is read, and a crowd waits for the page.
SCREEN_MASK = 3


class BillpayPayPage(models.AbstractModel):
    """Give control numbers a pay page: address, QR code, contents, mail block."""

    _name = "billpay.pay.page"
    _description = "BillPay Pay Page"

    # === BUSINESS METHODS === #

    def _billpay_printed(self, number, move=None):
        """Return what a document shows of this number, as a dict.

        :param move: the invoice that shows it; what it owes is asked for where the
            number is the customer's
        :return: ``None`` for a number that cannot be paid now
        """
        if not number._payable():
            return None
        carried = move and number.kind == "customer"
        return {
            "id": number.id,
            "name": number.name,
            "display_number": number.display_number,
            "amount": money.asked_now(move) if carried else number.amount,
            "url": self._get_pay_url(number, carrying=move if carried else None),
        }

    def _problem_text(self, number, obstacle, move=None):
        """Return why nobody can pay a number and the next click, for our people.

        :param move: the invoice on whose form the click is
        """
        env, provider_sudo = self.env, number.sudo().provider_id
        replace = env._("It is replaced when the customer pays again.")
        if move:
            replace = env._("To replace it press Get Control Number.")
        elif self.env["billpay.payable"]._is_replaced_by_run(number.sudo()):
            replace = env._("To replace it press Make New Numbers.")
        values = {
            "application": provider_sudo.name,
            "company": number.sudo().company_id.name,
            "replace": replace,
        }
        texts = {
            "paid": env._("This number was paid. It takes no more money."),
            "closed": env._("This number is closed. Nothing is asked for with it."),
            "failed": env._(
                "ClickPesa refused this number, so nobody can pay it. Correct the "
                "cause and press Retry, or press Take Another Number."
            ),
            "cancelled": env._("The invoice of this number is not confirmed."),
            "off": env._(
                "The application %(application)s is switched off, so payers are not "
                "shown this number. An administrator can switch it on under Invoicing, "
                "Configuration, BillPay, BillPay Applications. %(replace)s",
                **values,
            ),
            "company": env._(
                "The application %(application)s is not %(company)s's any more: money "
                "would reach other books, so payers are not shown this number. "
                "%(replace)s",
                **values,
            ),
            "address": env._(
                "The API address, client ID or BillPay-Namba of %(application)s was "
                "changed after this number was made. Money for it may not reach you, "
                "so payers are not shown it. %(replace)s",
                **values,
            ),
            "unknown": env._(
                "ClickPesa does not know this number yet, so payers are not shown it. "
                "Odoo registers it automatically."
            ),
            "changing": env._(
                "ClickPesa does not have yet what this number asks for now, so payers "
                "are not shown it. Odoo sends it automatically."
            ),
        }
        trouble = obstacle in ("unknown", "changing") and number.sudo().sync_error
        return " ".join(filter(None, (texts[obstacle], trouble)))

    # === ADDRESS === #

    def _sign_pay_page(self, number_id, name):
        """Return the signature of a pay page, 32 hexadecimal digits (128 bits)."""
        return hmac(self.env(su=True), "billpay-pay-page", (number_id, name))[:32]

    def _pay_signature(self, number):
        return self._sign_pay_page(number.id, number.name)

    def _get_pay_path(self, number):
        return f"/billpay/{number.name}/{self._pay_signature(number)}"

    def _get_pay_url(self, number, lang=None, carrying=None):
        """Return the absolute address, of the company's website where there is one.

        Not the application's: that follows the request, and a payer cannot reach the
        host name under which the office reaches Odoo.

        :param str lang: ``en`` or ``sw``; without it the page chooses by the payer
        :param carrying: the invoice that shows the customer's number, whose page says
            what that invoice owes
        """
        url = urljoin(number.company_id.get_base_url(), self._get_pay_path(number))
        query = {"lang": lang, "invoice": carrying and self._carrying_token(carrying)}
        query = urlencode({name: text for name, text in query.items() if text})
        return f"{url}?{query}" if query else url

    def _carrying_token(self, move):
        key = move.id, move.sudo().billpay_carried_number_id.id
        return (
            f"{move.id}-{hmac(self.env(su=True), 'billpay-pay-page-invoice', key)[:16]}"
        )

    def _carrying(self, number, token):
        """Return the invoice that an address means beside the customer's number.

        :param token: see ``_carrying_token``; anything
        :return: in sudo; empty when it is none of ours, is paid or carries another one
        """
        move_id = str(token or "").partition("-")[0]
        moves_sudo = self.env["account.move"].sudo()
        # Beyond it PostgreSQL knows no such id.
        if not (move_id.isascii() and move_id.isdigit() and len(move_id) < 10):
            return moves_sudo
        move = moves_sudo.browse(int(move_id)).exists()
        known = (
            move.billpay_carried_number_id == number
            and move.state == "posted"
            and str(token).isascii()
            and consteq(self._carrying_token(move), str(token))
            and money.is_due(move)
        )
        return move if known else moves_sudo

    def _find_for_page(self, number, signature):
        """Return the number that a pay page address means, in sudo.

        Several applications may hold the same digits: the signature tells which.

        :param number: as typed, perhaps with spaces; anything
        :param signature: anything
        :return: one record, or an empty recordset when anything is wrong
        """
        numbers = self.env["billpay.control.number"].sudo()
        if not (name := self._page_name(number, signature)):
            return numbers
        found = numbers.search([("name", "=", name)])
        return found.filtered(lambda n: consteq(self._pay_signature(n), signature))[:1]

    def _page_name(self, number, signature):
        """Return the digits of an address that is well-formed, else "".

        Keeps null characters and lone surrogates away from the database, and text that
        ``consteq`` cannot compare.
        """
        if not isinstance(number, str) or not isinstance(signature, str):
            return ""
        name = without_blanks(number)
        return name if _NUMBER.match(name) and _SIGNATURE.match(signature) else ""

    # === WHAT WAS PAID WHILE A PAGE IS OPEN === #

    def _opened_token(self, number):
        """Return a text that says when the page of a customer's number was opened.

        Signed: whoever could choose the moment would read all payments from it.
        """
        opened = fields.Datetime.to_string(fields.Datetime.now() - JUST_PAID)
        return hash_sign(
            self.env(su=True),
            "billpay-pay-page-opened",
            [number.id, opened],
            expiration_hours=WATCHED_HOURS,
        )

    def _opened(self, token):
        """Return of which number a page was opened, and when.

        :param token: anything
        :return: ``(id, datetime)``; ``(0, now)`` when it is none of ours, or too old
        """
        found = None
        if token and isinstance(token, str) and len(token) < 1000:
            try:
                found = verify_hash_signed(
                    self.env(su=True), "billpay-pay-page-opened", token
                )
            except ValueError:
                _logger.debug("A pay page was asked for with a damaged text.")
        if not found:
            return 0, fields.Datetime.now()
        number_id, opened = found
        return number_id, fields.Datetime.to_datetime(opened)

    # === QR CODE === #

    def _qr_png(self, data, box_size=8, border=2, mask=None):
        """Return a QR code as PNG bytes, of one bit per pixel: sharp at any size.

        Error correction M survives a fold or a stain and needs fewer modules than Q.

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
        # One pixel per module, then larger: the library draws each module alone.
        rows = code.get_matrix()
        image = Image.new("1", (len(rows), len(rows)))
        image.putdata([not dark for row in rows for dark in row])
        if box_size > 1:
            size = (len(rows) * box_size,) * 2
            image = image.resize(size, Image.Resampling.NEAREST)
        stream = io.BytesIO()
        image.save(stream, format="PNG", optimize=box_size > 1)
        return stream.getvalue()

    def _qr_data_uri(self, data, **options):
        """Return a QR code as a ``data:`` address for an image."""
        png = base64.b64encode(self._qr_png(data, **options)).decode()
        return f"data:image/png;base64,{png}"

    # === STATE === #

    def _get_foreign_amount(self, number, carrying=None):
        """Return the amount asked in the bill's currency, as text; "" for shillings."""
        move = number.move_id
        if carrying:
            known = money.is_shillings(carrying.currency_id)
            left, _several = money.due_now(carrying)
            return "" if known else page_texts.amount_text(left, carrying.currency_id)
        if move and (not number.amount or self._get_page_state(number) == "partial"):
            # As the amount beside it: what is left of the bill.
            if money.is_shillings(move.currency_id) or not self._get_amount_due(number):
                return ""
            return page_texts.amount_text(money.due(move), move.currency_id)
        shown = number.amount and number.bill_currency_id
        return page_texts.amount_text(number.bill_amount, shown) if shown else ""

    def _get_asked_of_customer(self, number, show_due=False):
        """Return what the page of a customer's number asks for, in TZS; 0.0 for any.

        A card lies about, and what a family owes is nobody's business: it is shown
        if the company chooses so. What everybody is asked for, and an amount without
        which the number cannot be paid, are shown.
        """
        if show_due or number.company_id.billpay_page_due:
            return number.amount or max(number.balance, 0.0)
        usual = number.purpose_id.default_amount
        shown = number.mode == "exact" or (
            number.currency_id.compare_amounts(number.amount, usual) == 0
        )
        return number.amount if shown else 0.0

    def _get_amount_due(self, number):
        """Return what is left to pay, in TZS; 0.0 also where nothing tells how much."""
        if number.move_id:
            due = money.due(number.move_id)
            asked = money.bill_shillings(number.move_id, due)
            return float(money.whole_shillings(asked))
        if number.kind == "customer":
            return self._get_asked_of_customer(number)
        if checkout := number.transaction_id:
            # What the bill still owes, by whatever number: the next one may ask more.
            following = self._get_next_number(number)._living()
            return following.amount or checkout._billpay_left()
        return max(number.amount - number.amount_paid, 0.0)

    def _early_values(self, number, move, state, lang):
        """Return what is enough when it is paid early, and until when, as texts."""
        early = 0.0, False
        if move and state == "open":
            early = money.early(move, number.company_id._billpay_today())
        amount, until = early
        return {
            "early_amount": amount
            and page_texts.amount_text(amount, number.currency_id),
            "early_date": until and page_texts.date_text(until, lang),
        }

    def _get_page_state(self, number):
        """Return what the page has to say about this number.

        :return: ``pending``, ``open`` (it can be paid), ``unavailable`` (not at the
            moment), ``paid`` (with this number), ``partial`` (paid, and something is
            left), ``settled`` (paid in another way), ``replaced`` (by its successor),
            ``cancelled`` (the invoice was), ``closed`` or ``failed``
        :rtype: str
        """
        move = number.move_id
        if number.state == "paid":
            due = number.currency_id.compare_amounts(self._get_amount_due(number), 0.0)
            asks = due > 0 and (not move or move.state == "posted")
            if move and self.env["billpay.reservation"]._is_small_rest(move):
                asks = bool(self._get_next_number(number))
            return "partial" if asks else "paid"
        if number.state == "failed":
            return "failed"
        if move and move.state != "posted":
            return "cancelled" if move.state == "cancel" else "closed"
        if move and not money.is_due(move):
            return "settled"
        if number.state == "closed":
            checkout = number.transaction_id
            over = checkout._billpay_over() if checkout and not move else ""
            return over or ("replaced" if number.successor_id else "closed")
        if obstacle := number._obstacle():
            # The worker is at it, unless it has met trouble.
            soon = obstacle in ("unknown", "changing") and not number.sync_error
            return "pending" if soon else "unavailable"
        return "open"

    def _get_next_number(self, number):
        """Return the last successor, which the payer should use now, or none.

        An old paper leads to the right place by it.
        """
        seen = current = number
        while (following := current.successor_id) and following not in seen:
            seen |= following
            current = following
        return current if current != number and current.state != "failed" else seen[:0]

    def _page_watch(self, number, signature, since=None):
        """Return what changes on an open pay page, in one indexed query.

        Pages ask every few seconds, so nothing is read through records until something
        has happened.

        :param since: see ``_opened_token``; anything
        :return: None when the address is wrong, else as `_page_state_values`
        """
        if not (number := self._page_name(number, signature)):
            return None
        numbers = self.env["billpay.control.number"].sudo()
        numbers.flush_model()
        opened_id, opened = self._opened(since)
        rows = self.env.execute_query(
            SQL(
                """
                    SELECT n.id, %s, m.state, m.payment_state,
                           (SELECT SUM(p.amount) FROM billpay_payment p
                             WHERE p.control_number_id = n.id AND p.state IN %s
                               AND (n.kind != 'customer' OR n.id = %s AND
                                    COALESCE(p.paid_at, p.create_date) >= %s))
                      FROM billpay_control_number n
                 LEFT JOIN account_move m ON m.id = n.move_id
                     WHERE n.name = %s
                    """,
                self.env["billpay.payable"]._sql(),
                MONEY,
                opened_id,
                opened,
                number,
            )
        )
        for number_id, payable, move_state, payment_state, paid in rows:
            if not consteq(self._sign_pay_page(number_id, number), signature):
                continue
            asks = move_state in (None, "posted")
            asks &= payment_state in (None, "not_paid", "partial")
            if payable and asks:
                # A number that is used again and again stays open when paid: the
                # page sees its total grow.
                paid = float(paid or 0.0)
                return dict(state="open", paid=False, amount_paid=paid, final=False)
            return self._page_state_values(numbers.browse(number_id), since)
        return None

    def _page_state_values(self, number, since=None):
        """Return the state of the page for its script, amounts in TZS.

        :return: dict; ``final`` tells that nothing more will happen
        """
        state = self._get_page_state(number)
        following = self._get_next_number(number)
        return {
            "state": state,
            "paid": state == "paid",
            **self._paid_values(number, since),
            "amount_due": self._get_amount_due(number),
            "successor_url": self._get_pay_url(following) if following else "",
            "final": state in ("paid", "settled", "cancelled", "closed", "failed")
            or bool(following),
        }

    def _paid_before(self, number):
        """Return what came on the numbers whose rest this one collects, in TZS."""
        seen, paid = number, 0.0
        while (number := number.predecessor_id) and number not in seen:
            seen |= number
            paid += number.amount_paid
        return paid

    def _paid_values(self, number, since=None):
        """Return what was paid and the operators' receipts, newest first.

        Of a customer's number, which is printed on a card, only what was paid since
        the page was opened.
        """
        payments = number.payment_ids.filtered(lambda payment: payment.state in MONEY)
        paid = number.amount_paid
        if number.kind == "customer":
            opened_id, opened = self._opened(since)
            payments = payments.filtered(
                lambda payment: (
                    opened_id == number.id
                    and (payment.paid_at or payment.create_date) >= opened
                )
            )
            paid = sum(payments.mapped("amount"))
        receipts = payments.filtered("receipt").sorted("id", reverse=True)
        return {
            "amount_paid": paid,
            "amount_paid_text": page_texts.amount_text(paid, number.currency_id),
            "receipt": ", ".join(receipts.mapped("receipt")),
        }

    def _page_wished_language(self, numbers):
        """Return the payer's language: the customer's if Swahili, else the browser's.

        English on a customer is Odoo's default and says nothing; Swahili was chosen.
        """
        partner = numbers.partner_id or numbers.move_id.partner_id
        partner.fetch(["lang"])  # all that the page reads of a contact
        if page_texts.page_language(partner.lang) == "sw":
            return "sw"
        accepted = request.httprequest.accept_languages if request else []
        return page_texts.page_language(*(code for code, _quality in accepted))

    def _pay_page_values(
        self, record, lang=None, since=None, show_due=False, carrying=None
    ):
        """Return the values of the template ``billpay_odoo.pay_block``.

        :param str lang: ``en`` or ``sw``; anything else lets the page choose
        :param since: see ``_opened_token``; anything else lets the page begin now
        :param bool show_due: whether the visitor is known as the customer
        :param carrying: the invoice on whose page the customer's number is shown
        :return: dict; all texts plain and in one language, steps as Markup
        """
        number = record.sudo()
        if lang not in page_texts.LANGUAGES:
            lang = self._page_wished_language(number)
        state = self._get_page_state(number)
        following = self._get_next_number(number)
        # What ClickPesa has comes first: in exact mode it takes nothing else.
        if number.kind == "customer":
            asked = self._get_asked_of_customer(number, show_due)
            if carrying:
                asked = money.asked_now(carrying)
            if self._opened(since)[0] != number.id:
                since = self._opened_token(number)
        else:
            asked = state != "partial" and number.amount
            asked = asked or self._get_amount_due(number)
            since = ""
        path, company = self._get_pay_path(number), number.company_id
        query = f"&since={since}" if since else ""
        if carrying:
            query += f"&invoice={self._carrying_token(carrying)}"
        bill = (carrying or number._bill())._billpay_page_bill(number)
        before = self._paid_before(number)
        values = {
            "lang": lang,
            "state": state,
            "payee": company.name,
            "has_logo": bool(company.logo_web) and not company.uses_default_logo,
            "company_id": company.id,
            "number": number.name,
            "groups": number.display_number.split(),
            "kind": number.kind,
            "mode": number.mode,
            "asks_amount": bool(asked),
            "in_parts": bool(number.max_amount),
            "amount": page_texts.amount_text(asked, number.currency_id),
            "foreign_amount": self._get_foreign_amount(number, carrying),
            **self._early_values(number, carrying or number.move_id, state, lang),
            **self._paid_values(number, since),
            "paid_before": before,
            "since": since,
            "bill": bill,
            "next_url": following and self._get_pay_url(following, lang=lang),
            "next_groups": (following._payable().display_number or "").split(),
            "watch_url": f"{path}/state" + (f"?since={since}" if since else ""),
            "watch": state in ("pending", "open", "unavailable")
            or (state == "partial" and not following),
            "languages": page_texts.LANGUAGES,
            "language_urls": {
                code: f"{path}?lang={code}{query}" for code in page_texts.LANGUAGES
            },
        }
        values["due"] = page_texts.date_text(values["bill"]["due"], lang)
        values["t"] = page_texts.texts(
            lang,
            payee=values["payee"],
            amount=values["amount"],
            received=values["amount_paid_text"],
            before=page_texts.amount_text(before, number.currency_id),
            early=values["early_amount"],
            early_date=values["early_date"],
        )
        if state != "open":
            return {**values, "channels": [], "qr": ""}
        amount = values["amount"] if asked else values["t"]["your_amount"]
        values["channels"] = [
            {
                "id": channel.id,
                "name": channel.name,
                "kind": channel.kind,
                "initials": channel._get_initials(),
                "color": channel.color or "#4b5563",
                "ussd": (ussd := channel.ussd_code or ""),
                "dial": channel._get_dial_link(),
                "dial_text": page_texts.texts(lang, ussd=ussd)["dial"],
                "steps": channel._get_steps(lang, number=number.name, amount=amount),
            }
            for channel in number.env["billpay.channel"]._for_company(number.company_id)
        ]
        # The page draws it larger.
        values["qr"] = self._qr_data_uri(
            self._get_pay_url(number), mask=SCREEN_MASK, box_size=1
        )
        return values

    # === DOCUMENTS === #

    def _document_for(self, move, lang, limit=4):
        """Return the pay block of an invoice's PDF or e-mail.

        :param lang: the document's language code
        :param int limit: channels at most, so that the block stays small
        :return: as ``_block_values``; None when there is no confirmed number to pay
        """
        company, move_sudo = move.company_id, move.sudo()
        if not (company.sudo().billpay_provider_id or move_sudo.billpay_number_ids):
            # Companies without BillPay do not pay for a second transaction.
            return None
        document = self.env["account.move.send"]._billpay_document_number(move)
        return document and self._block_values(document, company, lang, limit)

    def _document_notice(self, move, lang):
        """Return what an invoice says to its payer instead of a number, or ""."""
        number_sudo = move.sudo().billpay_number_id
        asks = number_sudo.state in LIVING and money.is_due(move)
        return self._notice(number_sudo, lang) if asks else ""

    def _notice(self, number, lang):
        """Return the sentence for payers of a number that cannot be paid now."""
        lang = page_texts.page_language(lang)
        t = page_texts.texts(lang, payee=number.company_id.name)
        return f"{t['unavailable_title']}. {t['unavailable_body']}"

    def _block_values(self, document, company, lang, limit=4):
        """Return the values of a pay block on paper or in an e-mail.

        :param dict document: see ``_billpay_printed``
        :return: dict; ``amount`` is a text, "" for any
        """
        lang = page_texts.page_language(lang)
        t = page_texts.texts(lang, payee=company.name)
        amount, tzs = document["amount"], money.shillings(self.env)
        amount = page_texts.amount_text(amount, tzs) if amount else ""
        number = document["name"]
        channels = self.env["billpay.channel"]._for_company(company)[:limit]
        return {
            "number": number,
            "groups": document["display_number"].split(),
            "amount": amount,
            "url": document["url"],
            "qr": self._qr_data_uri(document["url"]),
            "channels": [
                {
                    "name": channel.name,
                    "ussd": channel.ussd_code or "",
                    "steps": channel._get_steps(
                        lang,
                        number=number,
                        amount=amount or t["your_amount"],
                        short=True,
                    ),
                }
                for channel in channels
            ],
            "lang": lang,
            "t": t,
        }

    # === E-MAILS === #

    def _render_mail_block(self, values):
        return self.env["ir.qweb"]._render(
            "billpay_odoo.mail_pay_block", {"billpay": values}
        )

    def _tell_payers(self, numbers):
        """Write to the payers of bills of which a part was paid, once per number.

        Only a number that ClickPesa knows is told. The e-mail goes through Odoo's
        queue: nothing is sent in this transaction.
        """
        each(
            numbers.filtered(
                lambda number: (
                    not number.told_at
                    and number.predecessor_id.state == "paid"
                    and (document := self._letter_of(number))
                    and document.partner_id.email
                )
            ),
            self._tell_payer,
            self._note_untold,
        )

    def _letter_of(self, number):
        """Return the invoice or order on which the payer is told of a number."""
        bill = number.move_id or number.transaction_id
        return bill._billpay_letter()

    def _note_untold(self, number, error):
        """ClickPesa has the number: a template that somebody broke must not keep
        that, and what stands beside it, from being stored."""
        _logger.error("The payer of number %s was not told.", number.id, exc_info=error)
        self._letter_of(number)._message_log(
            body=self.env._(
                "The e-mail with the control number %s for the rest could not be "
                "written; the server's log says why. The number can be paid: send the "
                "invoice to tell the payer.",
                number.display_number,
            )
        )

    def _tell_payer(self, number):
        document = self._letter_of(number)
        lang, company = document.partner_id.lang, document.company_id
        if number.move_id:
            pay_block = self._document_for(document, lang)
        else:
            printed = self._billpay_printed(number)
            pay_block = printed and self._block_values(printed, company, lang)
        if not pay_block:
            return
        asked = number.amount or self._get_amount_due(number)
        received = number.predecessor_id.amount_paid
        t = page_texts.texts(
            pay_block["lang"],
            payee=company.name,
            bill=document.name,
            amount=page_texts.amount_text(asked, number.currency_id),
            received=page_texts.amount_text(received, number.currency_id),
        )
        seller = document["invoice_user_id" if number.move_id else "user_id"]
        author = seller.partner_id or company.partner_id
        document = document.with_context(lang=lang)
        document.message_post(
            body=Markup("<p>%s</p>") % t["rest_body"]
            + self._render_mail_block(pay_block),
            subject=t["rest_subject"],
            partner_ids=document.partner_id.ids,
            author_id=author.id,
            email_layout_xmlid="mail.mail_notification_layout",
            # Else the mail's button says "View Journal Entry".
            model_description=document.type_name,
            force_send=False,
        )
        number.told_at = fields.Datetime.now()
