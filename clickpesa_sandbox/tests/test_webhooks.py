# SPDX-License-Identifier: LGPL-3.0-or-later
"""Bodies of webhooks, the delivery log, retry, over real HTTP where it matters."""

import json

import pytest
from conftest import wait_for

from clickpesa_sandbox import Sandbox, SandboxError, checksum

KEY = "a checksum key"


def test_body_of_a_payment(sandbox):
    payment = sandbox.pay("11225", 10000)
    body = sandbox.webhook_body(payment["id"])
    assert set(body) == {"event", "data"}
    assert body["event"] == "PAYMENT RECEIVED"
    data = body["data"]
    assert data["collectedAmount"] == "10000"
    assert data["id"] == payment["id"]
    assert data["customer"] == {
        "customerName": "ASHA JUMA",
        "customerEmail": None,
        "customerPhoneNumber": "255712345678",
    }
    assert json.loads(sandbox.deliveries()[0]["body"]) == body


def test_signed_when_a_key_is_set(sandbox):
    sandbox.settings.checksum_key = KEY
    payment = sandbox.pay("11225", 10000, name="Zaïna / –")
    body = json.loads(sandbox.deliveries()[0]["body"])
    assert checksum.verify(KEY, body, body["checksum"])
    wrong = sandbox.webhook_body(payment["id"], signature="wrong")
    assert len(wrong["checksum"]) == 64
    assert not checksum.verify(KEY, wrong, wrong["checksum"])
    assert "checksum" not in sandbox.webhook_body(payment["id"], signature="none")
    changed = sandbox.webhook_body(payment["id"], change={"collectedAmount": "1"})
    assert changed["data"]["collectedAmount"] == "1"
    assert checksum.verify(KEY, changed, changed["checksum"])


def test_signature_in_the_header(sandbox):
    sandbox.settings.checksum_key = KEY
    sandbox.settings.webhook_signature = "header"
    sandbox.pay("11225", 10000)
    delivery = sandbox.deliveries()[0]
    body = json.loads(delivery["body"])
    assert "checksum" not in body
    signature = delivery["headers"]["X-ClickPesa-Signature"]
    assert checksum.verify(KEY, body, signature)


def test_forms(sandbox):
    sandbox.settings.webhook_amounts = "decimal"
    sandbox.settings.webhook_form = "old"
    payment = sandbox.pay("11225", 10000)
    old = json.loads(sandbox.deliveries()[0]["body"])
    assert set(old) == {"eventType", "data"}
    assert old["data"]["paymentId"] == payment["id"]
    assert (old["data"]["amount"], old["data"]["currency"]) == ("10000.00", "TZS")
    assert old["data"]["customer"]["phone"] == "255712345678"
    flat = sandbox.webhook_body(payment["id"], form="flat", amounts="number")
    assert (flat["event"], flat["collectedAmount"]) == ("PAYMENT RECEIVED", 10000)
    assert "data" not in flat
    with pytest.raises(SandboxError):
        sandbox.webhook_body(payment["id"], form="other")


def test_failed_payment_has_its_own_event(sandbox):
    sandbox.fail_payment("11225", 10000, message="Insufficient balance")
    body = json.loads(sandbox.deliveries()[0]["body"])
    assert body["event"] == "PAYMENT FAILED"
    assert body["data"]["status"] == "FAILED"
    assert body["data"]["message"] == "Insufficient balance"
    assert "collectedAmount" not in body["data"]


def test_events_without_a_payment(sandbox):
    for event in ("DEPOSIT RECEIVED", "PAYOUT REFUNDED", "PAYOUT REVERSED"):
        sandbox.announce(event)
    sandbox.announce("SOMETHING NEW", {"id": 1})
    bodies = [json.loads(d["body"]) for d in reversed(sandbox.deliveries())]
    assert bodies[0]["data"]["depositAmount"] == "2000"
    assert bodies[1]["data"]["refund"]["message"]
    assert bodies[2]["data"]["reverse"]["reversedWithFee"] is True
    assert bodies[3] == {"event": "SOMETHING NEW", "data": {"id": 1}}
    with pytest.raises(SandboxError):
        sandbox.announce("SOMETHING NEW")


def test_retry_with_growing_delay(sandbox):
    tries = []

    def receiver(url, body, headers):
        tries.append(url)
        return 500, "broken"

    sandbox.pay("11225", 10000)
    assert sandbox.deliver_pending(receiver) == 1
    for delay in (1, 2, 5, 15, 60):
        sandbox.clock.advance(delay - 0.5)
        assert sandbox.deliver_pending(receiver) == 0
        sandbox.clock.advance(0.6)
        assert sandbox.deliver_pending(receiver) == 1
    delivery = sandbox.deliveries()[0]
    assert (delivery["state"], delivery["attempts"]) == ("failed", 6)
    assert delivery["next_attempt_at"] is None
    assert (delivery["response_status"], delivery["response_body"]) == (500, "broken")
    assert tries == ["http://shop.example/hook"] * 6
    # A resend starts over, with the very same bytes.
    sandbox.resend(delivery["id"])
    sandbox.deliver_pending(receiver)
    assert sandbox.deliveries()[0]["state"] == "pending"
    sandbox.clock.advance(1.1)
    assert sandbox.deliver_pending(lambda *_: 204) == 1
    again = sandbox.deliveries()[0]
    assert (again["state"], again["body"]) == ("delivered", delivery["body"])


def test_receiver_that_raises_is_an_attempt(sandbox):
    def receiver(url, body, headers):
        raise ConnectionError("refused")

    sandbox.pay("11225", 10000)
    sandbox.deliver_pending(receiver)
    delivery = sandbox.deliveries()[0]
    assert delivery["state"] == "pending"
    assert delivery["error"] == "ConnectionError: refused"


def test_redirect_is_neither_followed_nor_success(live, receiver):
    receiver.answers = [302, 307]
    live.pay("11225", 10000)
    delivered(live)
    statuses = [a["status"] for a in live.deliveries()[0]["attempt_log"]]
    assert statuses == [302, 307, 200]
    assert len(receiver.got) == 3


def test_lost_webhook_stays_in_the_log(sandbox):
    sandbox.pay("11225", 10000, deliver=False)
    assert sandbox.deliver_pending(lambda *_: 200, everything=True) == 0
    delivery = sandbox.deliveries()[0]
    assert (delivery["state"], delivery["note"]) == ("withheld", "Lost on request.")
    sandbox.resend(delivery["id"])
    assert sandbox.deliver_pending(lambda *_: 200) == 1


def test_webhooks_switched_off(sandbox):
    sandbox.settings.webhooks_enabled = False
    sandbox.pay("11225", 10000)
    assert sandbox.deliveries()[0]["state"] == "withheld"


def test_callable_is_called_at_once():
    heard = []

    def receiver(url, body, headers):
        heard.append((url, json.loads(body), headers))
        return 200

    with Sandbox(deliver=receiver, webhook_url="http://x/") as box:
        payment = box.pay("11225", 10000)
        assert [(u, b["data"]["id"]) for u, b, _ in heard] == [
            ("http://x/", payment["id"])
        ]
        assert box.deliveries()[0]["state"] == "delivered"


def test_retry_goes_to_the_url_of_today(sandbox):
    urls = []

    def receiver(url, body, headers):
        urls.append(url)
        return 500

    sandbox.pay("11225", 10000)
    sandbox.deliver_pending(receiver)
    sandbox.settings.webhook_url = "http://new.example/"
    sandbox.deliver_pending(receiver, everything=True)
    assert urls == ["http://shop.example/hook", "http://new.example/"]
    assert sandbox.deliveries()[0]["url"] == "http://new.example/"


def test_delivery_under_way_when_the_process_ended_is_sent_again(tmp_path):
    path = tmp_path / "state.db"
    box = Sandbox(state=path, deliver="manual", webhook_url="http://x/")

    def crash(url, body, headers):
        box.close()
        raise KeyboardInterrupt

    box.pay("11225", 1000)
    with pytest.raises(KeyboardInterrupt):
        box.deliver_pending(crash)
    with Sandbox(state=path, deliver="manual") as box:
        assert box.deliver_pending(lambda *_: 200) == 1
        assert box.deliveries()[0]["state"] == "delivered"


def test_unknown_delivery_mode():
    with pytest.raises(SandboxError):
        Sandbox(deliver="pigeon")


# Real HTTP -----------------------------------------------------------------


def delivered(box, count=1):
    def done():
        return len(box.deliveries(state="delivered")) == count

    wait_for(done, f"{count} delivered")


def test_delivery_over_http(live, receiver):
    live.settings.checksum_key = KEY
    payment = live.pay("11225", 10000, name="Zaïna")
    delivered(live)
    headers, raw = receiver.got[0]
    assert headers["Content-Type"] == "application/json"
    assert "Zaïna".encode() in raw
    body = json.loads(raw)
    assert body["data"]["id"] == payment["id"]
    assert checksum.verify(KEY, body, body["checksum"])
    assert live.deliveries()[0]["response_status"] == 200


def test_retry_over_http(live, receiver):
    receiver.answers = [500, 404]
    live.pay("11225", 10000)
    delivered(live)
    statuses = [a["status"] for a in live.deliveries()[0]["attempt_log"]]
    assert statuses == [500, 404, 200]
    first, second, third = receiver.bodies()
    assert first == second == third


def test_receiver_not_there(live, receiver):
    live.settings.webhook_url = "http://127.0.0.1:9/"
    live.pay("11225", 10000)
    wait_for(lambda: live.deliveries(state="failed"), "giving up")
    delivery = live.deliveries()[0]
    assert delivery["attempts"] == 3
    assert "Connection" in delivery["error"]
    live.settings.webhook_url = receiver.url
    live.resend(delivery["id"])
    delivered(live)
    assert len(receiver.got) == 1


def test_no_url_keeps_deliveries_back(live):
    live.settings.webhook_url = ""
    live.pay("11225", 10000)
    delivery = live.deliveries()[0]
    assert (delivery["state"], delivery["note"]) == (
        "withheld",
        "No webhook URL is set.",
    )
    with pytest.raises(SandboxError, match="nowhere to send"):
        live.resend(delivery["id"])


def test_the_clock_wakes_what_is_late(live, receiver):
    live.faults.add("late", seconds=3600)
    live.pay("11225", 10000)
    assert live.deliveries()[0]["state"] == "pending"
    live.clock.advance(3601)
    delivered(live)


def test_out_of_order_over_http(live, receiver):
    live.faults.add("out_of_order", seconds=3600)
    first = live.pay("11221", 1000)
    second = live.pay("11222", 1000)
    delivered(live, 2)
    ids = [body["data"]["id"] for body in receiver.bodies()]
    assert ids == [second["id"], first["id"]]


def test_many_payments_are_all_heard(live, receiver):
    ids = {live.pay(f"1122{n}", 1000)["id"] for n in range(60)}
    delivered(live, 60)
    assert {body["data"]["id"] for body in receiver.bodies()} == ids
    assert len(receiver.got) == 60
