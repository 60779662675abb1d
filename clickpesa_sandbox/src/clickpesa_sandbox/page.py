# SPDX-License-Identifier: LGPL-3.0-or-later
"""The web page: look, pay as a customer, resend, break things. No build step."""

import json
from urllib.parse import urlencode

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for

from . import control
from .control import sandbox
from .errors import PaymentRefused, SandboxError
from .faults import KINDS
from .settings import FIELDS

page = Blueprint("page", __name__)
SHOWN = 25
GROUPS = (
    ("Application", list(FIELDS)[: list(FIELDS).index("webhook_url")]),
    (
        "Webhooks",
        list(FIELDS)[
            list(FIELDS).index("webhook_url") : list(FIELDS).index("offline_numbers")
        ],
    ),
    (
        "Numbers and payments",
        list(FIELDS)[list(FIELDS).index("offline_numbers") :],
    ),
)
TARGETS = (
    ("call", "API calls"),
    ("webhook", "Webhooks"),
    ("statement", "Account statement"),
    ("payment", "Payments"),
)
WORDS = {
    " id": " ID",
    "Api key": "API key",
    " url": " URL",
    "Billpay namba": "BillPay-Namba",
    "Billpay": "BillPay",
    "utc": "UTC",
    "json": "JSON",
}
STATUSES = (
    "SETTLED",
    "SETTLEMENT COMPLETED",
    "ON-HOLD",
    "REFUNDED",
    "REVERSED",
    "REVERSE WITH CHARGES",
    "CHARGEBACK",
    "FAILED",
    "SUCCESS",
)


@page.before_request
def refuse_foreign_pages():
    return control.refuse_foreign_pages()


@page.errorhandler(SandboxError)
def on_error(error):
    flash(str(error), "bad")
    return back()


def back(**values):
    """Redirect to the page, keeping what was searched."""
    kept = {k: v for k, v in values.items() if v not in (None, "")}
    query = f"?{urlencode(kept)}" if kept else ""
    return redirect(url_for("page.home") + query, 303)


@page.app_template_filter("tzs")
def tzs(value):
    """``15,000`` or ``1,250.50`` of a number of TZS; a dash of None."""
    if value is None:
        return "–"
    return f"{value:,.2f}".removesuffix(".00")


@page.app_template_filter("plain")
def plain(value):
    """Numbers without a needless ``.0``; anything else as it is."""
    return f"{value:g}" if isinstance(value, float) else value


@page.app_template_filter("label")
def label(name):
    """``Webhook URL`` of ``webhook_url``."""
    text = name.replace("_", " ").capitalize()
    for word, right in WORDS.items():
        text = text.replace(word, right)
    return text


@page.app_template_filter("moment")
def moment(text):
    """``2026-03-01 09:00:05`` of an ISO moment."""
    return text[:19].replace("T", " ") if text else "–"


@page.app_template_filter("pretty")
def pretty(text):
    """JSON text with line breaks, or the text itself."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


@page.get("/")
def home():
    box = sandbox()
    search = request.args.get("q", "").strip()
    counts = box.counts()
    return render_template(
        "page.html",
        box=box,
        settings=box.settings,
        counts=counts,
        search=search,
        shown=SHOWN,
        numbers=box.numbers(search, SHOWN),
        payments=box.payments(search, SHOWN),
        deliveries=box.deliveries(limit=SHOWN),
        entries=box.account.latest(SHOWN),
        calls=box.calls()[: -SHOWN - 1 : -1],
        form=_form(box),
        fields=FIELDS,
        groups=GROUPS,
        targets=TARGETS,
        kinds=KINDS,
        armed=box.faults.as_list(),
        statuses=STATUSES,
        base_url=request.host_url.rstrip("/") + "/third-parties",
    )


def _form(box):
    """Values of the pay form, and what the payer's handset would say."""
    form = {
        "number": request.args.get("number", "").strip(),
        "amount": request.args.get("amount", ""),
        "channel": request.args.get("channel", "M-PESA"),
        "phone": request.args.get("phone", "255712345678"),
        "name": request.args.get("name", "ASHA JUMA"),
        "verified": None,
        "refusal": None,
    }
    if form["number"]:
        try:
            found = form["verified"] = box.verify(form["number"])
        except PaymentRefused as error:
            form["refusal"] = str(error)
        else:
            amount = found["amount"]
            if amount is None:
                amount = found["remaining"]
            if not form["amount"] and amount is not None:
                form["amount"] = amount
    return form


@page.post("/page/pay")
def pay():
    values = request.form
    typed = {
        name: values.get(name, "").strip()
        for name in ("number", "amount", "channel", "phone", "name")
    }
    try:
        if not typed["number"]:
            raise SandboxError("Type the control number to pay.")
        if values.get("fails"):
            payment = sandbox().fail_payment(**typed)
            text = "Payment {id} failed, as asked. The number can still be paid."
        else:
            payment = sandbox().pay(**typed, deliver=not values.get("lose"))
            text = "Paid: {amount:,} TZS on {number}, receipt {paymentReference}."
    except SandboxError as error:
        flash(str(error), "bad")
        return back(**typed)
    flash(text.format(**payment), "good")
    return back()


@page.post("/page/settle")
def settle():
    moved = sandbox().settle(request.form.get("payment_id") or None)
    flash(f"{len(moved)} payment(s) settled.", "good")
    return back()


@page.post("/page/status")
def status():
    payment = sandbox().set_status(
        request.form.get("payment_id", ""), request.form.get("status", "")
    )
    flash(f"Payment {payment['id']} is {payment['status']} now.", "good")
    return back()


@page.post("/page/account")
def account():
    amount = request.form.get("amount", "").strip()
    if request.form.get("way") == "deposit":
        sandbox().deposit(amount)
        flash(f"Deposited: {amount} TZS.", "good")
    else:
        sandbox().withdraw(amount, request.form.get("rail") or "ACH")
        flash(f"Withdrawn to the merchant's bank: {amount} TZS.", "good")
    return back()


@page.post("/page/deliveries/<int:delivery_id>/resend")
def resend(delivery_id):
    sandbox().resend(delivery_id)
    flash(f"Delivery {delivery_id} is being sent again.", "good")
    return back()


@page.post("/page/faults")
def add_fault():
    values = request.form
    kind = values.get("kind", "")
    if kind not in KINDS:
        raise SandboxError(f"There is no fault {kind!r}.")
    options = {
        name: values[name] for name in KINDS[kind][1] if values.get(name, "").strip()
    }
    fault = sandbox().faults.add(
        kind,
        values.get("match", "").strip(),
        values.get("times") or None,
        values.get("rate") or None,
        **options,
    )
    flash(f"Armed: {fault.kind}.", "good")
    return back()


@page.post("/page/faults/remove")
def remove_faults():
    if request.form.get("id"):
        sandbox().faults.remove(control.whole(request.form, "id"))
    else:
        sandbox().faults.clear()
    return back()


@page.post("/page/settings")
def settings():
    values = request.form.to_dict()
    sandbox().settings.update(values)
    flash("Settings saved.", "good")
    return back()


@page.post("/page/clock")
def clock():
    try:
        seconds = float(request.form.get("hours") or 0) * 3600
        sandbox().clock.advance(seconds)
    except (ValueError, OverflowError):
        raise SandboxError("Hours is a number, such as 1 or 0.5.") from None
    return back()


@page.post("/page/reset")
def reset():
    if request.form.get("sure") != "yes":
        abort(400)
    sandbox().reset()
    flash("Numbers, payments, deliveries, calls and faults are forgotten.", "good")
    return back()
