# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging
import re

from odoo import SUPERUSER_ID, fields, http
from odoo.http import request

from .. import const
from ..clickpesa import parse_notification, verify
from ..transactions import end_transaction

# Where a proxy or a monitoring puts the token that is not to stand in an address.
TOKEN_HEADER = "X-BillPay-Token"
# What leads to our addresses, and the secret behind it.
_SECRET = re.compile(
    r"(/payment/clickpesa/(?:webhook|health)/+|/billpay/+[^/\s\"]+/+)[^/\s?#\"\x1b]+"
)


def _mask(value):
    return _SECRET.sub(r"\1***", value) if isinstance(value, str) else value


def mask_addresses(record):
    """Mask tokens and signatures of our addresses in a line of the access log."""
    record.msg = _mask(record.msg)
    if isinstance(record.args, tuple):
        record.args = tuple(map(_mask, record.args))
    return True


# Odoo's servers write the addresses of requests to these.
for _name in ("werkzeug", "longpolling"):
    logging.getLogger(_name).addFilter(mask_addresses)


class BillPayWebhook(http.Controller):
    """Verify, store, wake the worker, answer. Nothing else happens in the request.

    Refusals are returned, since an exception would roll back the row that they leave.
    """

    # No user: finding the public one and its language would be half of the work.
    @http.route(
        ["/payment/clickpesa/webhook", "/payment/clickpesa/webhook/<string:token>"],
        type="http",
        methods=["POST"],
        auth="none",
        csrf=False,
        # Routes without a user are tried on a read-only connection otherwise.
        readonly=False,
        save_session=False,
        max_content_length=const.MAX_DELIVERY_BYTES,
    )
    def billpay_webhook(self, token=None, **_kwargs):
        """Take one delivery to the address with this token, or with it in a header.

        :return: 200 stored, 400 not a JSON object, 401 signature missing or wrong
            (kept in quarantine), 404 unknown address, 413 too large
        """
        env = request.env(user=SUPERUSER_ID)
        events = env["billpay.event"]
        token = token or request.httprequest.headers.get(TOKEN_HEADER)
        address = events._find_address(token)
        if not address:
            return self._refuse(404, "unknown address")
        if (request.httprequest.content_length or 0) > const.MAX_DELIVERY_BYTES:
            # Not read: whoever sends such a thing does not get us to receive it.
            return self._refuse(413, "too large")
        # Kept by the request: Odoo replays it when two deliveries conflict.
        raw = request.httprequest.get_data(cache=True)
        try:
            notification = parse_notification(raw)
        except ValueError:
            return self._refuse(400, "not a JSON object")
        headers, sender = request.httprequest.headers, request.httprequest.remote_addr
        # Twice at most: what is read afresh is as this transaction sees it.
        for _try in range(2):
            signed = verify(notification.payload, address.key, headers)
            old_key = not signed and self._signed_before(notification, address, headers)
            signed = signed or old_key
            if address.key and not signed:
                fresh = events._quarantine(
                    address, token, raw, notification, remote_addr=sender
                )
                if not fresh:
                    return self._refuse(401, "bad signature")
                # The key was changed a moment ago.
                address = fresh
                continue
            known = {"signed": signed, "old_key": old_key, "version": address.version}
            stored = events._store_delivery(
                address, raw, notification, remote_addr=sender, **known
            )
            if stored:
                self._wake_worker(env, stored)
                return request.make_json_response({"received": True}, status=200)
            address = events._find_address(token, fresh=True)
            if not address:
                break
        return self._refuse(404, "unknown address")

    @staticmethod
    def _signed_before(notification, address, headers):
        """Tell whether a replaced key signed it that still counts."""
        now = fields.Datetime.now()
        return bool(address.key) and any(
            verify(notification.payload, key, headers)
            for key, until in address.old_keys
            if until > now
        )

    @staticmethod
    def _refuse(status, error):
        return request.make_json_response({"error": error}, status=status)

    @staticmethod
    def _wake_worker(env, stored):
        """Wake the worker once per backlog; return whether it was woken."""
        if not stored.waiting:
            return False
        if not stored.alone:
            end_transaction(env)
            if not env["billpay.event"]._needs_waking(stored):
                return False
        env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
        return True
