# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from werkzeug.exceptions import NotFound

from odoo import http
from odoo.http import request

from odoo.addons.account_payment.controllers.portal import PortalAccount

from .. import money

# The address of a pay page is a secret of its payer: no search engine, cache or other
# site is to learn it. Nor is another site to show the page as its own.
_PRIVATE = {
    "Content-Security-Policy": (
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}


# What a payer can still use, now or later.
PAYABLE = ("open", "pending", "unavailable")


def page_values(number, lang, url, since=None, **options):
    """Return what a page shows of a number; ``url`` takes the code of a language."""
    values = request.env["billpay.pay.page"]._pay_page_values(
        number, lang=lang, since=since, **options
    )
    query = f"&since={values['since']}" if values["since"] else ""
    values["language_urls"] = {
        code: url.replace("%s", code + query) for code in values["languages"]
    }
    return values


class BillpayPayPage(http.Controller):
    """The public page that tells a payer how to pay one control number."""

    @http.route(
        "/billpay/<string:number>/<string:signature>",
        type="http",
        auth="public",
        methods=["GET"],
        website=True,
        multilang=False,
        sitemap=False,
        readonly=True,
        save_session=False,
    )
    def pay_page(
        self, number, signature, lang=None, since=None, invoice=None, **_kwargs
    ):
        """Show how to pay, and whether it is paid; 404 for any wrong address."""
        page = request.env["billpay.pay.page"]
        number_sudo = page._find_for_page(number, signature)
        if not number_sudo:
            if "\x00" in number + signature:
                # Odoo's page looks for an attachment at this address first, and
                # PostgreSQL takes no null character: it would be a 500.
                return NotFound().get_response()
            raise request.not_found()
        carrying = invoice and page._carrying(number_sudo, invoice)
        values = page._pay_page_values(
            number_sudo, lang=lang, since=since, carrying=carrying
        )
        response = request.render("billpay_odoo.pay_page", {"billpay": values})
        response.headers.update(_PRIVATE)
        return response

    @http.route(
        "/billpay/<string:number>/<string:signature>/state",
        type="http",
        auth="public",
        methods=["GET"],
        readonly=True,
        save_session=False,
    )
    def pay_page_state(self, number, signature, since=None, **_kwargs):
        """Answer an open page that asks whether something has happened (JSON)."""
        page = request.env["billpay.pay.page"]
        values = page._page_watch(number, signature, since)
        if values is None:
            raise request.not_found()
        return request.make_json_response(values, headers=list(_PRIVATE.items()))


class BillpayPortalAccount(PortalAccount):
    """The portal's invoice page also shows how to pay the invoice's control number."""

    def _invoice_get_page_view_values(self, invoice, access_token, **kwargs):
        # EXTENDS account_payment
        values = super()._invoice_get_page_view_values(invoice, access_token, **kwargs)
        invoice_sudo = invoice.sudo()
        number_sudo = invoice_sudo.billpay_number_id
        state = number_sudo.state in PAYABLE and (
            request.env["billpay.pay.page"]._get_page_state(number_sudo)
        )
        carrying = number_sudo.kind == "customer" and invoice_sudo
        # The customer's number stays open when the invoice is paid.
        if state in PAYABLE and money.is_due(invoice_sudo):
            url = invoice.get_portal_url(query_string="&lang=%s", anchor="billpay")
            lang, since = kwargs.get("lang"), kwargs.get("since")
            values["billpay"] = page_values(
                number_sudo, lang, url, since, carrying=carrying
            )
        return values
