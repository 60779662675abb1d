# SPDX-License-Identifier: LGPL-3.0-or-later
"""JSON control of the simulator itself, below ``/_sandbox``.

Errors are ``{"error": "sentence"}`` with status 400, refused payments 409 with a
``reason`` word beside it.
"""

from flask import Blueprint, current_app, jsonify, request

from .errors import PaymentRefused, SandboxError
from .faults import KINDS
from .store import storable

control = Blueprint("control", __name__, url_prefix="/_sandbox")


def sandbox():
    return current_app.extensions["clickpesa_sandbox"]


def body():
    """The members of the request, or SandboxError."""
    values = request.get_json(force=True, silent=True) if request.data else {}
    if not isinstance(values, dict):
        raise SandboxError("The body must be a JSON object.")
    return storable(values)


def wanted(values, name):
    if values.get(name) in (None, ""):
        raise SandboxError(f"{name} is missing.")
    return values[name]


def whole(values, name, default=None):
    """A number from query or body, or SandboxError."""
    value = values.get(name, default)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        raise SandboxError(f"{name} must be a whole number.") from None


@control.errorhandler(SandboxError)
def on_error(error):
    if isinstance(error, PaymentRefused):
        return jsonify(error=str(error), reason=error.reason), 409
    return jsonify(error=str(error)), 400


@control.before_request
def refuse_foreign_pages():
    """A web page from elsewhere must not steer a sandbox on this machine."""
    if request.method not in ("GET", "HEAD") and (
        request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    ):
        return jsonify(error="Calls from pages of other sites are refused."), 403
    return None


@control.get("/health")
def health():
    return jsonify(ok=True, name="clickpesa-sandbox")


@control.get("/state")
def state():
    box = sandbox()
    return jsonify(
        settings=box.settings.as_dict(),
        counts=box.counts(),
        faults=box.faults.as_list(),
        clock={"now": box.clock.iso(), "offset_seconds": box.clock.offset},
    )


@control.get("/numbers")
def numbers():
    limit = whole(request.args, "limit")
    return jsonify(sandbox().numbers(request.args.get("search"), limit))


@control.get("/numbers/<number>")
def number(number):
    found = sandbox().number(number)
    if found is None:
        return jsonify(error=f"There is no control number {number}."), 404
    return jsonify(found)


@control.get("/payments")
def payments():
    limit = whole(request.args, "limit")
    return jsonify(sandbox().payments(request.args.get("search"), limit))


@control.get("/deliveries")
def deliveries():
    limit = whole(request.args, "limit")
    return jsonify(sandbox().deliveries(request.args.get("state"), limit))


@control.get("/calls")
def calls():
    return jsonify(sandbox().calls(request.args.get("prefix")))


@control.get("/verify/<number>")
def verify(number):
    return jsonify(sandbox().verify(number))


@control.post("/pay")
def pay():
    values = body()
    known = ("channel", "phone", "name", "deliver")
    options = {name: values[name] for name in known if values.get(name) is not None}
    payment = sandbox().pay(
        wanted(values, "number"), wanted(values, "amount"), **options
    )
    return jsonify(payment)


@control.post("/fail")
def fail():
    values = body()
    known = ("channel", "phone", "name", "message", "deliver")
    options = {name: values[name] for name in known if values.get(name) is not None}
    payment = sandbox().fail_payment(
        wanted(values, "number"), wanted(values, "amount"), **options
    )
    return jsonify(payment)


@control.post("/settle")
def settle():
    return jsonify(settled=sandbox().settle(body().get("payment_id")))


@control.post("/status")
def status():
    values = body()
    payment = sandbox().set_status(
        wanted(values, "payment_id"), wanted(values, "status")
    )
    return jsonify(payment)


@control.post("/reverse")
def reverse():
    values = body()
    payment = sandbox().reverse(
        wanted(values, "payment_id"), values.get("charges"), values.get("status")
    )
    return jsonify(payment)


@control.post("/withdraw")
def withdraw():
    values = body()
    return jsonify(
        sandbox().withdraw(wanted(values, "amount"), values.get("rail") or "ACH")
    )


@control.post("/deposit")
def deposit():
    values = body()
    return jsonify(
        sandbox().deposit(wanted(values, "amount"), values.get("deliver", True))
    )


@control.post("/entry")
def entry():
    """A row of the account of any kind."""
    values = body()
    known = {
        "entry_id": values.get("id"),
        "kind": values.get("type") or "",
        "reference": values.get("reference") or "",
    }
    return jsonify(
        sandbox().account.enter(
            wanted(values, "amount"), values.get("description") or "", **known
        )
    )


@control.get("/account")
def account():
    limit = whole(request.args, "limit", 100)
    box = sandbox()
    return jsonify(balance=box.balance(), entries=box.account.latest(limit))


@control.post("/announce")
def announce():
    values = body()
    ids = sandbox().announce(
        wanted(values, "event"), values.get("data"), values.get("deliver", True)
    )
    return jsonify(deliveries=ids)


@control.post("/settings")
def settings():
    sandbox().settings.update(body())
    return jsonify(sandbox().settings.as_dict())


@control.get("/faults")
def faults():
    kinds = {
        kind: {"target": target, "options": options, "explanation": explanation}
        for kind, (target, options, explanation) in KINDS.items()
    }
    return jsonify(armed=sandbox().faults.as_list(), kinds=kinds)


@control.post("/faults")
def add_fault():
    values = body()
    wanted(values, "kind")
    try:
        fault = sandbox().faults.add(**values)
    except TypeError as error:
        raise SandboxError(f"The fault is not understood: {error}") from None
    return jsonify(fault.as_dict())


@control.delete("/faults")
def clear_faults():
    sandbox().faults.clear()
    return jsonify(armed=[])


@control.delete("/faults/<int:fault_id>")
def remove_fault(fault_id):
    sandbox().faults.remove(fault_id)
    return jsonify(armed=sandbox().faults.as_list())


@control.post("/deliveries/<int:delivery_id>/resend")
def resend(delivery_id):
    return jsonify(sandbox().resend(delivery_id))


@control.post("/deliver")
def deliver():
    """Send what is due now (with ``{"everything": true}`` all that waits)."""
    everything = bool(body().get("everything"))
    return jsonify(attempts=sandbox().deliver_pending(everything=everything))


@control.post("/clock")
def clock():
    values = body()
    box = sandbox()
    if values.get("reset"):
        box.clock.reset()
    if "advance" in values:
        try:
            box.clock.advance(float(values["advance"]))
        except (TypeError, ValueError):
            raise SandboxError("advance is a number of seconds.") from None
    return jsonify(now=box.clock.iso(), offset_seconds=box.clock.offset)


@control.post("/reset")
def reset():
    sandbox().reset()
    return jsonify(ok=True)
