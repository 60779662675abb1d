# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import http
from odoo.http import request

from odoo.addons.portal.controllers.portal import CustomerPortal, pager

from .pay_page import page_values


class BillpayPortal(CustomerPortal):
    """A customer's own numbers: a parent sees those of all children."""

    def _prepare_home_portal_values(self, counters):
        values = super()._prepare_home_portal_values(counters)
        if "billpay_number_count" in counters:
            values["billpay_number_count"] = self._billpay_numbers().search_count(
                self._billpay_domain()
            )
        return values

    def _billpay_numbers(self):
        # sudo: a customer has no right on numbers; the domain says which are theirs.
        return request.env["billpay.control.number"].sudo()

    def _billpay_domain(self):
        """Return which numbers the visitor may see.

        The own ones and those of contacts below; in a company also the company's. A
        pupil does not see a brother's.
        """
        partner = request.env.user.partner_id
        if partner.commercial_partner_id.is_company:
            partner = partner.commercial_partner_id
        return [
            ("kind", "=", "customer"),
            ("state", "in", ("open", "pending")),
            ("partner_id", "child_of", partner.id),
        ]

    @http.route(
        ["/my/billpay", "/my/billpay/page/<int:page>"],
        type="http",
        auth="user",
        website=True,
        readonly=True,
    )
    def portal_my_billpay(self, page=1, **_kwargs):
        """List the visitor's numbers, by whom they are for."""
        numbers, domain = self._billpay_numbers(), self._billpay_domain()
        pages = pager(
            url="/my/billpay",
            total=numbers.search_count(domain),
            page=page,
            step=self._items_per_page,
        )
        found = numbers.search(
            domain,
            order="partner_id, purpose_id, id",
            limit=self._items_per_page,
            offset=pages["offset"],
        )
        values = {
            **self._prepare_portal_layout_values(),
            "page_name": "billpay",
            "default_url": "/my/billpay",
            "pager": pages,
            "owners": list(found.grouped("partner_id").items()),
        }
        return request.render("billpay_odoo.portal_my_billpay", values)

    @http.route(
        "/my/billpay/<int:number_id>",
        type="http",
        auth="user",
        website=True,
        readonly=True,
    )
    def portal_my_billpay_number(self, number_id, lang=None, since=None, **_kwargs):
        """Show how to pay one number, and what was billed and paid on it."""
        number = self._billpay_find(number_id)
        values = {
            **self._prepare_portal_layout_values(),
            "page_name": "billpay",
            "number": number,
            # The visitor is the customer, and the statement stands beside it.
            "billpay": page_values(
                number, lang, f"/my/billpay/{number.id}?lang=%s", since, show_due=True
            ),
            "statement": request.env["billpay.statement"]._statement(number),
        }
        return request.render("billpay_odoo.portal_my_billpay_number", values)

    @http.route(
        "/my/billpay/<int:number_id>/statement",
        type="http",
        auth="user",
        website=True,
    )
    def portal_my_billpay_statement(self, number_id, **_kwargs):
        """Return the statement of one number as PDF."""
        number = self._billpay_find(number_id)
        content, _type = (
            request.env["ir.actions.report"]
            .sudo()
            ._render_qweb_pdf("billpay_odoo.report_billpay_statement", number.ids)
        )
        name = number._payable().name
        name = name or number.purpose_id.name or number.partner_id.name
        disposition = http.content_disposition(
            "Statement %s.pdf" % name, disposition_type="inline"
        )
        headers = {
            "Content-Type": "application/pdf",
            "Content-Length": len(content),
            "Content-Disposition": disposition,
            "Cache-Control": "no-store",
        }
        return request.make_response(content, headers=list(headers.items()))

    def _billpay_find(self, number_id):
        """Return one of the visitor's numbers; 404 for any other."""
        domain = [*self._billpay_domain(), ("id", "=", number_id)]
        number = self._billpay_numbers().search(domain)
        if not number:
            raise request.not_found()
        return number
