# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import http
from odoo.http import request

from odoo.addons.payment.controllers.post_processing import PaymentPostProcessing

from .. import const


class BillpayCheckout(http.Controller):
    """Where "Pay now" leads: the number is made, and the status page shows it."""

    @http.route(
        const.CHECKOUT_URL, type="http", auth="public", methods=["POST"], csrf=False
    )
    def billpay_checkout(self, **_kwargs):
        """Get the visitor's own transaction a number; nothing else can be named."""
        tx_sudo = PaymentPostProcessing()._get_monitored_transaction()
        if tx_sudo.provider_code == "clickpesa":
            tx_sudo._billpay_checkout()
        return request.redirect("/payment/status")
