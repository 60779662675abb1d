# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import time

from odoo import SUPERUSER_ID, http
from odoo.http import request

from ..models.provider.billpay_health import worst
from .webhook import TOKEN_HEADER

# How long an answer is given again (seconds): asking often costs nothing more.
ANSWER_LASTS = 5
_answers = {}
ROUTE = {
    "type": "http",
    "methods": ["GET"],
    "auth": "none",
    "readonly": True,
    "save_session": False,
}


class BillPayHealth(http.Controller):
    """The figures of the health page, for whatever watches the server."""

    @http.route("/payment/clickpesa/health/<string:token>", **ROUTE)
    def billpay_health(self, token, **_kwargs):
        """Answer for the application with this health token.

        :return: 200 with ``{"status": "green", "checks": [{"name", "status", "value",
            "unit"}, …]}``; 404 unknown address, or an application that is off
        """
        return self._respond(token)

    @http.route("/payment/clickpesa/health", **ROUTE)
    def billpay_health_by_header(self, **_kwargs):
        """The same, with the token in a header."""
        return self._respond(request.httprequest.headers.get(TOKEN_HEADER))

    def _respond(self, token):
        env = request.env(user=SUPERUSER_ID)
        address = env["billpay.event"]._find_address(token, kind="health")
        answer = address and self._answer(env, address.provider_id)
        if not answer:
            return request.make_json_response({"error": "unknown address"}, status=404)
        return request.make_json_response(
            answer, headers=[("Cache-Control", "no-store")]
        )

    @staticmethod
    def _answer(env, provider_id):
        key, now = (env.cr.dbname, provider_id), time.monotonic()
        made, answer = _answers.get(key, (None, None))
        if made is None or now - made > ANSWER_LASTS:
            provider = env["payment.provider"].browse(provider_id)
            checks = env["billpay.health"]._health_checks(provider).get(provider_id)
            answer = checks and {
                "status": worst(check.colour for check in checks),
                "checks": [
                    {
                        "name": check.name,
                        "status": check.colour,
                        "value": check.value.isoformat() + "Z"
                        if check.unit == "moment" and check.value
                        else check.value,
                        "unit": check.unit,
                    }
                    for check in checks
                ],
            }
            _answers[key] = now, answer
        return answer
