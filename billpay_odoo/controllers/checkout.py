# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import re
from urllib.parse import urlsplit

from odoo import http
from odoo.http import request

from odoo.addons.payment.controllers.post_processing import PaymentPostProcessing

from .. import const

_LOCAL_PATH = re.compile(r"/(?![/\\])[^\x00-\x20\\]*\Z")


class BillpayCheckout(http.Controller):
    """Where "Pay now" leads: the number is made, and the status page shows it."""

    @http.route(
        const.CHECKOUT_URL,
        type="http",
        auth="public",
        methods=["POST"],
        csrf=False,
        website=True,
        sitemap=False,
    )
    def billpay_checkout(self, **_kwargs):
        """Get the visitor's own transaction a number; nothing else can be named."""
        tx_sudo = PaymentPostProcessing()._get_monitored_transaction()
        if tx_sudo.provider_code != "clickpesa" or tx_sudo._billpay_checkout():
            return request.redirect("/payment/status")
        # Not the status page: it takes the visitor on to a confirmation, and a shop
        # empties the cart there.
        return request.render(
            "billpay_odoo.checkout_unavailable",
            {"tx": tx_sudo, "way_back": self._way_back()},
        )

    def _way_back(self):
        """Return the page of this site where the visitor pressed "Pay now"."""
        try:
            came_from = urlsplit(request.httprequest.referrer or "")
        except ValueError:
            return "/my"
        path = came_from.path or "/"
        # Browsers read "//host" and "/\host" as the address of another site.
        if came_from.netloc != request.httprequest.host or not _LOCAL_PATH.match(path):
            return "/my"
        return f"{path}?{came_from.query}" if came_from.query else path
