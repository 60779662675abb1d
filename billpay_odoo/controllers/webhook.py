# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging

from odoo import http
from odoo.http import request

from .. import const
from ..clickpesa import parse_notification, verify

_logger = logging.getLogger(__name__)


class BillPayWebhook(http.Controller):
    """Verify, store, wake the worker, answer. Nothing else happens in the request.

    Refusals are returned and not raised: an exception would roll back the row that
    has to survive them.
    """

    @http.route(
        "/payment/clickpesa/webhook/<string:token>",
        type="http",
        methods=["POST"],
        auth="public",
        csrf=False,
        save_session=False,
        max_content_length=const.MAX_DELIVERY_BYTES,
    )
    def billpay_webhook(self, token):
        """Take one delivery.

        :return: 200 stored, 400 not a JSON object, 401 signature missing or wrong
            (kept in quarantine), 404 unknown address, 413 too large
        """
        provider_sudo = request.env["payment.provider"]._billpay_find_by_token(token)
        if not provider_sudo:
            return request.make_json_response({"error": "unknown address"}, status=404)
        # Kept by the request: Odoo replays it when two deliveries conflict.
        raw = request.httprequest.get_data(cache=True)
        try:
            notification = parse_notification(raw)
        except ValueError:
            return request.make_json_response(
                {"error": "not a JSON object"}, status=400
            )
        key = provider_sudo.clickpesa_checksum_key
        signed = bool(key) and verify(
            notification.payload, key, request.httprequest.headers
        )
        if key and not signed:
            self._store(
                provider_sudo,
                raw,
                notification,
                state="quarantine",
                signed=False,
                reason=request.env._("The signature is missing or wrong."),
            )
            _logger.warning(
                "Delivery for application %s quarantined: wrong or missing signature.",
                provider_sudo.id,
            )
            return request.make_json_response({"error": "bad signature"}, status=401)
        first = self._store(
            provider_sudo, raw, notification, state="new", signed=signed
        )
        if first:
            provider_sudo._billpay_trigger("ir_cron_process_payments")
        return request.make_json_response({"received": True}, status=200)

    def _store(self, provider_sudo, raw, notification, **values):
        return (
            request.env["billpay.event"]
            .sudo()
            ._store_delivery(
                provider_sudo,
                raw,
                notification,
                remote_addr=request.httprequest.remote_addr,
                **values,
            )
        )
