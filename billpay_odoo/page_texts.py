# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What payers read, in English and Swahili.

A payer gets Swahili also from a database that has not installed it, so these texts are
looked up in ``i18n/<language>.po`` directly.
"""

from babel.dates import format_date

from odoo.tools.translate import LazyTranslate

_lt = LazyTranslate(__name__)

LANGUAGES = {"en": "English", "sw": "Kiswahili"}

TEXTS = {
    "title": _lt("Pay with a control number"),
    "payee": _lt("Pay to"),
    "amount": _lt("Amount to pay"),
    "any_amount": _lt("Any amount"),
    "your_amount": _lt("as much as you want"),
    "exact": _lt("Pay exactly this amount."),
    "flexible": _lt(
        "You may pay a part. You then get a new control number for the rest."
    ),
    "early": _lt(
        "If you pay by %(early_date)s, %(early)s is enough: you get a discount."
    ),
    "in_parts": _lt("You may pay in parts, each time with this control number."),
    "reusable": _lt("You may use this control number again and again."),
    "number": _lt("Control number"),
    "copy": _lt("Copy"),
    "copied": _lt("Copied"),
    "bill": _lt("Invoice"),
    "order": _lt("Order"),
    "due": _lt("Due date"),
    "customer": _lt("Customer"),
    "how": _lt("How to pay"),
    "choose": _lt("Choose how you want to pay"),
    "no_channel": _lt("Please ask %(payee)s how to pay with this control number."),
    "dial": _lt("Dial %(ussd)s"),
    "pin": _lt("Enter your PIN on your phone only. Never tell it to anybody."),
    "waiting": _lt("Waiting for your payment. This page updates automatically."),
    "reload": _lt("Load this page again after paying to see your payment."),
    "scan": _lt("Scan to open this page on your phone"),
    "language": _lt("Language"),
    "clickpesa": _lt("Payments are received through ClickPesa BillPay."),
    "receipt": _lt("Receipt number"),
    "received": _lt("We received %(received)s."),
    "before": _lt("A part is paid: we received %(before)s. This is the rest."),
    "received_label": _lt("Received"),
    "paid_title": _lt("Paid – thank you!"),
    "settled_title": _lt("This bill is already paid"),
    "settled_body": _lt("Please do not pay it again."),
    "pending_title": _lt("One moment, please"),
    "pending_body": _lt(
        "Your control number is being activated. It appears here in a few seconds."
    ),
    "unavailable_title": _lt(
        "This bill cannot be paid by control number at the moment"
    ),
    "unavailable_body": _lt("Please ask %(payee)s how to pay, or try again later."),
    "partial_title": _lt("Part of this bill is paid"),
    "partial_body": _lt("Pay the remaining %(amount)s with a new control number."),
    "partial_wait": _lt("The control number for the rest is on its way."),
    "next_number": _lt("Pay the rest"),
    "closed_title": _lt("Do not pay this control number any more"),
    "closed_body": _lt("Please ask %(payee)s if you think there is something to pay."),
    "replaced_body": _lt("Another control number has taken its place."),
    "replaced_link": _lt("Open the new control number"),
    "failed_title": _lt("This control number does not work"),
    "failed_body": _lt("Do not pay it. Please ask %(payee)s for a new one."),
    "document_title": _lt("Pay this invoice by phone, bank or agent"),
    "document_scan": _lt("Scan for the steps and to see when it is paid"),
    "mail_link": _lt("How to pay"),
    "rest_subject": _lt("Control number for the rest of %(bill)s"),
    "rest_body": _lt(
        "Thank you, we received %(received)s. %(amount)s of %(bill)s is left to pay. "
        "Please use the new control number below: the one that you used takes no more "
        "money."
    ),
    "sms": _lt("%(payee)s: pay %(what)s with control number %(number)s."),
    "sms_amount": _lt(
        "%(payee)s: pay %(sum)s for %(what)s with control number %(number)s."
    ),
    "number_subject": _lt("Your control number for %(what)s"),
    "number_body": _lt(
        "This is your control number for %(what)s. Keep it: you can use it again and "
        "again, with any of the ways to pay."
    ),
    "card_title": _lt("Control number"),
    "card_scan": _lt("Scan for the steps"),
    "cancelled_title": _lt("This invoice was cancelled"),
    "order_cancelled_title": _lt("This order was cancelled"),
    "cancelled_body": _lt(
        "Please do not pay it. If you have paid, %(payee)s keeps the money for you as "
        "credit."
    ),
}


def page_language(*wishes):
    """Return ``sw`` or ``en`` for the first wish (``sw_TZ``) that names one of them."""
    codes = (wish[:2].lower() for wish in wishes if isinstance(wish, str))
    return next((code for code in codes if code in LANGUAGES), "en")


def texts(lang, **values):
    """Return every payer text in one language, by the keys of `TEXTS`.

    Texts with a placeholder that has no value are left out, so that a template that
    forgot one fails in its test.
    """
    code = "sw" if lang == "sw" else "en_US"
    result = {}
    for key, text in TEXTS.items():
        translated = text._translate(code)
        if "%(" in translated:
            try:
                translated %= values
            except KeyError:
                continue
        result[key] = translated
    return result


def amount_text(amount, currency):
    """Return an amount as operators' menus show it: ``TZS 150,000``."""
    digits = 0 if currency.is_zero(amount - round(amount)) else currency.decimal_places
    return f"{currency.name}\u00a0{amount:,.{digits}f}"


def date_text(date, lang):
    """Return a date with the month as a word: ``6 Dec 2026``, ``6 Des 2026``.

    Odoo's own format is the American one where Swahili is not installed.
    """
    locale = "sw_TZ" if lang == "sw" else "en_GB"
    return format_date(date, "d MMM y", locale=locale) if date else ""
