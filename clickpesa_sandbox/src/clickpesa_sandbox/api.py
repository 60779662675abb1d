# SPDX-License-Identifier: LGPL-3.0-or-later
"""The ClickPesa API below ``/third-parties``, with its faults."""

import json
import socket
import time
from functools import wraps

from flask import Blueprint, Response, current_app, jsonify, request

from . import checksum, queries
from .errors import ApiError
from .numbers import view
from .store import storable

#: In the WSGI environment when there is no network to time out on.
IN_PROCESS = "clickpesa_sandbox.in_process"
#: Answer headers that tell an in-process caller what the network would have done.
DROP_HEADER = "X-Sandbox-Drop"
DELAY_HEADER = "X-Sandbox-Delay"
LARGEST_BODY = 1024 * 1024

api = Blueprint("api", __name__, url_prefix="/third-parties")


def endpoint(rule, method, signed=True, token=True):
    """Register a view: faults, token, feature, checksum and errors round the work.

    The view gets the parsed body first when ``method`` carries one.
    """

    def decorate(work):
        @api.route(rule, methods=[method], endpoint=work.__name__)
        @wraps(work)
        def wrapper(**values):
            sandbox = current_app.extensions["clickpesa_sandbox"]
            return _Call(sandbox, work, values, signed, token).answer()

        return wrapper

    return decorate


class _Call:
    """One API call from request to answer."""

    def __init__(self, sandbox, work, values, signed=True, token=True):
        self.sandbox = sandbox
        self.work = work
        self.values = values
        self.signed = signed
        self.token = token
        self.body = None
        self.delay = 0.0
        self.started = time.monotonic()
        self.hits = sandbox.faults.strike("call", f"{request.method} {request.path}")

    def answer(self):
        hits = self.hits
        if "latency" in hits:
            self._sleep(hits["latency"]["seconds"])
        if "timeout_before" in hits:
            self._sleep(hits["timeout_before"]["seconds"])
        if "drop_before" in hits:
            return self._log(self._drop())
        response = self._refusal() or self._do()
        if "error_after" in hits:
            response = _error(hits["error_after"]["status"])
        if "malformed_json" in hits:
            text = response.get_data(as_text=True)
            response.set_data(text[: max(1, len(text) // 2)].rstrip('"}] \n'))
        if "timeout_after" in hits:
            self._sleep(hits["timeout_after"]["seconds"])
        if "drop_after" in hits:
            response = self._drop()
        return self._log(response)

    def _refusal(self):
        """An answer that stands in the way of the work, or None."""
        hits = self.hits
        if "timeout_before" in hits:
            return _error(504)
        if "error" in hits:
            return _error(hits["error"]["status"])
        if "rate_limit" in hits:
            response = _json(
                429,
                {
                    "statusCode": 429,
                    "message": "ThrottlerException: Too Many Requests",
                },
            )
            response.headers["Retry-After"] = str(hits["rate_limit"]["retry_after"])
            return response
        if "expired_token" in hits:
            self.sandbox.tokens.revoke(request.headers.get("Authorization", ""))
            return _json(401, {"message": "Unauthorized"})
        return None

    def _do(self):
        try:
            if self.token:
                self.sandbox.tokens.check(request.headers.get("Authorization"))
                self._check_feature()
            arguments = dict(self.values)
            if request.method in ("POST", "PUT", "PATCH") and self.signed:
                arguments["body"] = self._read()
            return self.work(self.sandbox, **arguments)
        except ApiError as error:
            return _json(error.status, error.body())

    def _check_feature(self):
        billpay = request.path.startswith("/third-parties/billpay")
        if billpay and not self.sandbox.settings.billpay_enabled:
            raise ApiError(
                400,
                "Application has no access to BILLPAY API feature. Enable it on your"
                " application.",
            )

    def _read(self):
        """The request's members without the two of the checksum, or ApiError."""
        if (request.content_length or 0) > LARGEST_BODY:
            raise ApiError(413, ["request entity too large"])
        raw = request.get_data()
        body = {}
        if raw.strip():
            try:
                body = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
            except (ValueError, RecursionError):
                raise ApiError(400, ["Request body is not valid JSON"]) from None
        if not isinstance(body, dict):
            raise ApiError(400, ["Request body must be a JSON object"])
        self.body = storable(body)
        key = self.sandbox.settings.checksum_key
        if key:
            if not body.get("checksum"):
                raise ApiError(400, ["checksum is required"])
            if not checksum.verify(key, body, body["checksum"]):
                raise ApiError(400, ["Invalid checksum"])
        unsigned = checksum.UNSIGNED
        return {name: self.body[name] for name in self.body if name not in unsigned}

    def _sleep(self, seconds):
        if request.environ.get(IN_PROCESS):
            self.delay += seconds
        else:
            time.sleep(seconds)

    def _drop(self):
        """End the connection without an answer."""
        response = Response(status=502)
        response.headers[DROP_HEADER] = "1"
        connection = request.environ.get("werkzeug.socket") or request.environ.get(
            "gunicorn.socket"
        )
        if connection is not None and not request.environ.get(IN_PROCESS):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # The caller was faster.
        return response

    def _log(self, response):
        if self.delay:
            response.headers[DELAY_HEADER] = str(self.delay)
        dropped = DROP_HEADER in response.headers
        self.sandbox.call_log.add(
            request.method,
            request.path,
            request.query_string.decode("ascii", "replace"),
            None if dropped else response.status_code,
            time.monotonic() - self.started + self.delay,
            self.body,
            sorted(self.hits),
        )
        return response


def _refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def _json(status, body):
    response = jsonify(body)
    response.status_code = status
    return response


def _error(status):
    """A 5xx: from the application as JSON, from a proxy before it as HTML."""
    if status < 502:
        message = "Internal server error"
        return _json(status, {"statusCode": status, "message": message})
    text = f"<html><head><title>{status}</title></head><body>{status}</body></html>"
    return Response(text, status=status, mimetype="text/html")


# Token ---------------------------------------------------------------------


@endpoint("/generate-token", "POST", signed=False, token=False)
def generate_token(sandbox):
    token = sandbox.tokens.issue(
        request.headers.get("client-id"), request.headers.get("api-key")
    )
    return _json(200, {"success": True, "token": token})


# BillPay -------------------------------------------------------------------


@endpoint("/billpay/create-order-control-number", "POST")
def create_order(sandbox, body):
    row = sandbox.number_rules.create("order", body)
    return _json(sandbox.settings.created_status, view(row))


@endpoint("/billpay/create-customer-control-number", "POST")
def create_customer(sandbox, body):
    row = sandbox.number_rules.create("customer", body)
    return _json(sandbox.settings.created_status, view(row))


@endpoint("/billpay/bulk-create-order-control-numbers", "POST")
def bulk_order(sandbox, body):
    answer = sandbox.number_rules.bulk("order", body)
    return _json(sandbox.settings.created_status, answer)


@endpoint("/billpay/bulk-create-customer-control-numbers", "POST")
def bulk_customer(sandbox, body):
    answer = sandbox.number_rules.bulk("customer", body)
    return _json(sandbox.settings.created_status, answer)


@endpoint("/billpay/update-status", "PUT")
def update_status(sandbox, body):
    return _json(200, sandbox.number_rules.change_status(body))


@endpoint("/billpay/<path:number>", "PATCH")
def change_number(sandbox, number, body):
    return _json(200, sandbox.number_rules.change(number, body))


@endpoint("/billpay/<path:number>", "GET")
def get_number(sandbox, number):
    return _json(200, view(sandbox.number_rules.get(number)))


# Payments ------------------------------------------------------------------


@endpoint("/payments/all", "GET")
def all_payments(sandbox):
    answer = queries.every(
        sandbox.store,
        sandbox.payment_rules,
        sandbox.settings,
        request.args.to_dict(),
    )
    return _json(200, answer)


@endpoint("/payments/<path:reference>", "GET")
def payments_by_reference(sandbox, reference):
    answer = queries.by_reference(sandbox.store, sandbox.payment_rules, reference)
    return _json(200, answer)


@endpoint("/account/balance", "GET")
def balance(sandbox):
    return _json(200, [{"currency": "TZS", "balance": sandbox.balance()}])


@endpoint("/account/statement", "GET")
def account_statement(sandbox):
    values = request.args.to_dict()
    day = values.get("startDate", "")
    hits = sandbox.faults.strike("statement", f"STATEMENT {day}")
    return _json(200, sandbox.account.statement(values, hits))


@api.route(
    "/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]
)
@api.route("/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def unknown(path):
    """Anything else, in the words of the framework behind the real service."""
    sandbox = current_app.extensions["clickpesa_sandbox"]

    def work(sandbox):
        message = f"Cannot {request.method} {request.path}"
        body = {"statusCode": 404, "message": message, "error": "Not Found"}
        return _json(404, body)

    return _Call(sandbox, work, {}, signed=False, token=False).answer()
