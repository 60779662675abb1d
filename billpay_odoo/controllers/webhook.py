# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging
import re

from odoo import SUPERUSER_ID, fields, http
from odoo.http import request

from .. import const
from ..clickpesa import form_bodies, parse_notification, verify
from ..transactions import end_transaction, wake

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


# No user: finding the public one and its language would be half of the work.
ROUTE = {
    "type": "http",
    "methods": ["POST"],
    "auth": "none",
    "csrf": False,
    # Routes without a user are tried on a read-only connection otherwise.
    "readonly": False,
    "save_session": False,
    "max_content_length": const.MAX_DELIVERY_BYTES,
}


class BillPayWebhook(http.Controller):
    """Verify, store, wake the worker, answer. Nothing else happens in the request.

    Refusals are returned, since an exception would roll back the row that they leave.
    """

    @http.route("/payment/clickpesa/webhook/<string:token>", **ROUTE)
    def billpay_webhook(self, token, **_kwargs):
        """Take one delivery to the address with this token.

        :return: 200 stored, 400 no JSON object and no form with one, 401 signature
            missing or wrong (kept in quarantine), 404 unknown address, 413 too large,
            429 too many without a signature (counted; the poll finds its payment)
        """
        return self._take(token)

    # Not a parameter of the other one: it would be read from ?token=, too.
    @http.route("/payment/clickpesa/webhook", **ROUTE)
    def billpay_webhook_by_header(self, **_kwargs):
        """The same, with the token in a header."""
        return self._take(request.httprequest.headers.get(TOKEN_HEADER))

    def _take(self, token):
        env = request.env(user=SUPERUSER_ID)
        events = env["billpay.event"]
        address = events._find_address(token)
        if not address:
            return self._refuse(404, "unknown address")
        if (request.httprequest.content_length or 0) > const.MAX_DELIVERY_BYTES:
            # Not read: whoever sends such a thing does not get us to receive it.
            return self._refuse(413, "too large")
        deliveries = self._read(request.httprequest)
        if not deliveries:
            return self._refuse(400, "not a JSON object")
        headers, sender = request.httprequest.headers, request.httprequest.remote_addr
        # Twice at most: what is read afresh is as this transaction sees it.
        for _try in range(2):
            signed = self._signed(deliveries, address, headers)
            (raw, notification), old_key = signed or (deliveries[0], False)
            if address.key and not signed:
                fresh = events._quarantine(
                    address, token, raw, notification, remote_addr=sender
                )
                if not fresh:
                    return self._refuse(401, "bad signature")
                # The key was changed a moment ago.
                address = fresh
                continue
            known = {"old_key": old_key, "version": address.version}
            stored = events._store_delivery(
                address,
                raw,
                notification,
                signed=bool(signed),
                remote_addr=sender,
                **known,
            )
            if stored and not stored.id:
                events._count_unproven(address, raw, notification, remote_addr=sender)
                return self._refuse(429, "too many without signature")
            if stored:
                self._wake_worker(env, stored)
                return request.make_json_response({"received": True}, status=200)
            address = events._find_address(token, fresh=True)
            if not address:
                break
        return self._refuse(404, "unknown address")

    @staticmethod
    def _read(httprequest):
        """Return the bodies that a request may stand for, each with what it says."""
        # Kept by the request: Odoo replays it when two deliveries conflict.
        raw, deliveries = httprequest.get_data(cache=True), []
        # A form is read by Odoo before, and leaves no raw body.
        bodies = [raw] if raw else form_bodies(httprequest.form.items(multi=True))
        for body in bodies:
            try:
                deliveries.append((body, parse_notification(body)))
            except ValueError:
                continue
        return deliveries

    @staticmethod
    def _signed(deliveries, address, headers):
        """Return the one that is signed, and whether with a replaced key, or None."""
        now = fields.Datetime.now()
        keys = [address.key]
        if address.key:
            keys += [key for key, until in address.old_keys if until > now]
        for key in keys:
            for delivery in deliveries:
                if verify(delivery[1].payload, key, headers):
                    return delivery, key != address.key
        return None

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
        wake(env, "ir_cron_process_payments")
        return True
