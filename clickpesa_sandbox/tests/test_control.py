# SPDX-License-Identifier: LGPL-3.0-or-later
"""The JSON control API and the settings."""

import pytest

from clickpesa_sandbox import Sandbox, SandboxError, create_app
from clickpesa_sandbox.settings import FIELDS


@pytest.fixture
def web(sandbox):
    return create_app(sandbox).test_client()


def test_application_carries_its_sandbox(sandbox):
    assert create_app(sandbox).extensions["clickpesa_sandbox"] is sandbox


def test_health_and_state(web, sandbox):
    assert web.get("/_sandbox/health").status_code == 200
    state = web.get("/_sandbox/state").json
    assert state["settings"] == sandbox.settings.as_dict()
    assert state["counts"] == dict.fromkeys(
        ("numbers", "payments", "deliveries", "calls"), 0
    )


def test_pay_settle_status(web, sandbox):
    values = {"number": "11225", "amount": 5000, "channel": "HALOPESA"}
    payment = web.post("/_sandbox/pay", json={**values, "deliver": False}).json
    assert (payment["channel"], payment["status"]) == ("HALOPESA", "SUCCESS")
    assert sandbox.deliveries()[0]["state"] == "withheld"
    assert web.post("/_sandbox/settle", json={}).json == {"settled": [payment["id"]]}
    web.post(
        "/_sandbox/status", json={"payment_id": payment["id"], "status": "REVERSED"}
    )
    assert web.get("/_sandbox/payments").json[0]["status"] == "REVERSED"
    assert web.get("/_sandbox/numbers").json[0]["state"] == "CLOSED"
    assert web.get("/_sandbox/numbers/11225").json["paid"] == 5000
    assert web.get("/_sandbox/numbers/11229").status_code == 404


def test_refused_payment_says_why(web):
    answer = web.post("/_sandbox/pay", json={"number": "999", "amount": 5000})
    assert answer.status_code == 409
    assert answer.json == {
        "error": "There is no control number 999.",
        "reason": "unknown",
    }
    assert web.get("/_sandbox/verify/999").status_code == 409
    assert web.get("/_sandbox/verify/11225").json["origin"] == "offline"


def test_fail_and_announce(web, sandbox):
    web.post("/_sandbox/fail", json={"number": "11225", "amount": 5000})
    web.post("/_sandbox/announce", json={"event": "DEPOSIT RECEIVED"})
    events = [d["event"] for d in web.get("/_sandbox/deliveries").json]
    assert events == ["DEPOSIT RECEIVED", "PAYMENT FAILED"]


def test_faults(web, client, sandbox):
    added = web.post("/_sandbox/faults", json={"kind": "error", "times": 5}).json
    web.post("/_sandbox/faults", json={"kind": "latency", "seconds": 9, "rate": 0.5})
    assert len(web.get("/_sandbox/faults").json["armed"]) == 2
    web.delete(f"/_sandbox/faults/{added['id']}")
    assert [f["kind"] for f in sandbox.faults.as_list()] == ["latency"]
    web.delete("/_sandbox/faults")
    assert sandbox.faults.as_list() == []


def test_deliveries_and_clock(web, sandbox):
    sandbox.settings.webhook_url = "http://127.0.0.1:9/"
    sandbox.pay("11225", 1000)
    assert web.post("/_sandbox/deliver", json={}).json == {"attempts": 1}
    assert web.post("/_sandbox/deliver", json={}).json == {"attempts": 0}
    web.post("/_sandbox/clock", json={"advance": 2})
    assert web.post("/_sandbox/deliver").json == {"attempts": 1}
    identifier = sandbox.deliveries()[0]["id"]
    answer = web.post(f"/_sandbox/deliveries/{identifier}/resend").json
    assert (answer["state"], answer["attempts"]) == ("pending", 2)
    assert web.post("/_sandbox/clock", json={"reset": True}).json["offset_seconds"] == 0


def test_calls(web, client):
    client.order(billReference="INV1")
    client.get("/billpay/INV1")
    calls = web.get("/_sandbox/calls?prefix=/billpay").json
    assert [(c["method"], c["status"]) for c in calls] == [("POST", 200), ("GET", 200)]
    assert calls[0]["body"] == {"billReference": "INV1"}
    assert client.sandbox.count_calls(method="get") == 1


def test_reset(web, client, sandbox):
    client.order(billReference="INV1")
    sandbox.pay("INV1", 1000)
    sandbox.settings.merchant_name = "Duka"
    web.post("/_sandbox/reset")
    assert sandbox.counts() == dict.fromkeys(
        ("numbers", "payments", "deliveries", "calls"), 0
    )
    assert client.get("/payments/all").status_code == 401
    assert sandbox.settings.merchant_name == "Duka"


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("pay", {"amount": 1}, "number is missing."),
        ("pay", {"number": "11225"}, "amount is missing."),
        ("pay", [], "The body must be a JSON object."),
        ("pay", {"number": "11225", "amount": 9, "channel": " "}, "Choose the channel"),
        ("settle", {"payment_id": "none"}, "There is no payment none."),
        ("status", {"payment_id": "none", "status": "X"}, "There is no payment none."),
        ("settings", {"colour": "red"}, "There is no setting 'colour'."),
        ("settings", {"webhook_url": "shop"}, "webhook_url starts with http"),
        ("settings", {"billpay_namba": "12"}, "billpay_namba is four digits"),
        ("settings", {"webhook_form": "x"}, "webhook_form is one of current"),
        ("settings", {"webhook_retry_delays": "soon"}, "webhook_retry_delays cannot"),
        ("settings", {"channel_limits": {"M-PESA": 5}}, "channel_limits cannot be"),
        ("settings", {"channel_fees": {"M-PESA": "x"}}, "channel_fees cannot be"),
        ("settings", {"created_status": 500}, "created_status is one of"),
        ("settings", {"token_lifetime": "inf"}, "token_lifetime cannot be"),
        ("faults", {"times": 1}, "kind is missing."),
        ("faults", {"kind": "error", "self": 1}, "The fault is not understood"),
        ("clock", {"advance": "soon"}, "advance is a number of seconds."),
        ("clock", {"advance": 1e300}, "The clock stays between"),
        ("deliveries/99/resend", {}, "There is no delivery 99."),
    ],
)
def test_mistakes_are_sentences(web, path, body, text):
    answer = web.post(f"/_sandbox/{path}", json=body)
    assert answer.status_code == 400
    assert answer.json["error"].startswith(text)


def test_pages_of_other_sites_cannot_steer(web, sandbox):
    headers = {"Sec-Fetch-Site": "cross-site"}
    body = {"number": "11225", "amount": 1000}
    assert web.post("/_sandbox/pay", json=body, headers=headers).status_code == 403
    assert web.post("/page/pay", data=body, headers=headers).status_code == 403
    assert sandbox.payments() == []


def test_settings_change_all_or_nothing(sandbox):
    with pytest.raises(SandboxError):
        sandbox.settings.update({"merchant_name": "Duka", "billpay_namba": "x"})
    assert sandbox.settings.merchant_name == "Sandbox Merchant"
    with pytest.raises(AttributeError):
        _ = sandbox.settings.colour
    assert all(field.help.endswith(".") for field in FIELDS.values())


def test_defaults_are_not_shared_between_sandboxes():
    with Sandbox(deliver="manual") as one, Sandbox(deliver="manual") as other:
        one.settings.channel_limits.clear()
        one.settings.as_dict()["webhook_retry_delays"].clear()
        assert one.settings.webhook_retry_delays
        assert "M-PESA" in other.settings.channel_limits
