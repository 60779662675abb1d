# SPDX-License-Identifier: LGPL-3.0-or-later
"""Every fault, in process and, where the network matters, over real HTTP."""

import json
import random

import pytest
import requests
from conftest import BULK_ORDER, CREATE_ORDER

from clickpesa_sandbox import SandboxError, checksum
from clickpesa_sandbox.faults import KINDS


def numbers(sandbox):
    return [number["number"] for number in sandbox.numbers()]


def test_error_does_nothing(client, sandbox):
    sandbox.faults.add("error", match="create-order")
    answer = client.order(billReference="INV1")
    assert answer.status_code == 500
    assert answer.json() == {"statusCode": 500, "message": "Internal server error"}
    assert numbers(sandbox) == []
    assert client.order(billReference="INV1").status_code == 200


def test_error_of_a_proxy_is_html(client, sandbox):
    sandbox.faults.add("5xx", status=503)
    answer = client.order()
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("text/html")


def test_error_after_the_work(client, sandbox):
    sandbox.faults.add("error_after", status=502)
    assert client.order(billReference="INV1").status_code == 502
    assert numbers(sandbox) == ["INV1"]


def test_rate_limit(client, sandbox):
    sandbox.faults.add("429", retry_after=7)
    answer = client.order(billReference="INV1")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert numbers(sandbox) == []


def test_malformed_json_after_the_work(client, sandbox):
    sandbox.faults.add("malformed_json", match=CREATE_ORDER)
    answer = client.order(billReference="INV1")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    with pytest.raises(ValueError):
        answer.json()
    assert numbers(sandbox) == ["INV1"]


def test_malformed_empty_list_is_malformed_too(client, sandbox):
    sandbox.faults.add("malformed_json", times=-1)
    for path in ("/payments/all", "/account/balance", "/payments/NONE"):
        with pytest.raises(ValueError):
            client.get(path).json()


def test_expired_token(client, sandbox):
    sandbox.faults.add("expired_token", match="create-order")
    assert client.order(billReference="INV1").status_code == 401
    assert client.order(billReference="INV1").status_code == 401
    client.login()
    assert client.order(billReference="INV1").status_code == 200


def test_latency_in_process(client, sandbox):
    sandbox.faults.add("latency", seconds=20, times=2)
    assert client.post(CREATE_ORDER, timeout=(3, 30)).status_code == 200
    assert sandbox.calls("/billpay")[-1]["seconds"] >= 20
    with pytest.raises(requests.exceptions.ReadTimeout):
        client.post(CREATE_ORDER, timeout=(3, 10))


@pytest.mark.parametrize(
    ("kind", "error", "done"),
    [
        ("timeout_after", requests.exceptions.ReadTimeout, ["A1", "A0"]),
        ("timeout_before", requests.exceptions.ReadTimeout, []),
        ("drop_after", requests.exceptions.ConnectionError, ["A1", "A0"]),
        ("drop_before", requests.exceptions.ConnectionError, []),
    ],
)
def test_no_answer_in_process(client, sandbox, kind, error, done):
    sandbox.faults.add(kind, match="bulk-create")
    body = {"controlNumbers": [{"billReference": f"A{n}"} for n in range(2)]}
    with pytest.raises(error):
        client.post(BULK_ORDER, body, timeout=30)
    assert numbers(sandbox) == done
    assert sandbox.calls("/billpay")[-1]["faults"] == [kind]


def test_no_answer_over_http(live, live_client):
    live.faults.add("timeout_after", match="create-order", latency=1.5)
    with pytest.raises(requests.exceptions.ReadTimeout):
        live_client.post(CREATE_ORDER, {"billReference": "INV1"}, timeout=0.2)
    live.faults.add("drop_after", match="create-order")
    with pytest.raises(requests.exceptions.ConnectionError):
        live_client.order(billReference="INV2")
    live.faults.add("drop_before", match="create-order")
    with pytest.raises(requests.exceptions.ConnectionError):
        live_client.order(billReference="INV3")
    assert numbers(live) == ["INV2", "INV1"]
    assert live_client.order(billReference="INV4").status_code == 200
    assert live.calls("/billpay")[-2]["status"] is None


def test_latency_over_http(live, live_client):
    live.faults.add("latency", seconds=0.3)
    answer = live_client.order()
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() >= 0.3


# Webhooks ------------------------------------------------------------------


def bodies(sandbox):
    return [json.loads(d["body"]) for d in reversed(sandbox.deliveries())]


def test_duplicate(sandbox):
    sandbox.faults.add("duplicate", copies=2)
    payment = sandbox.pay("11225", 1000)
    sent = bodies(sandbox)
    assert len(payment["deliveries"]) == len(sent) == 3
    assert sent[0] == sent[1] == sent[2]


def test_late(sandbox):
    sandbox.faults.add("late", seconds=600)
    sandbox.pay("11225", 1000)
    assert sandbox.deliver_pending(lambda *_: 200) == 0
    sandbox.clock.advance(601)
    assert sandbox.deliver_pending(lambda *_: 200) == 1


def test_out_of_order(sandbox):
    heard = []

    def receiver(url, body, headers):
        heard.append(json.loads(body)["data"]["orderReference"])
        return 200

    sandbox.faults.add("out_of_order")
    for number in ("11221", "11222", "11223"):
        sandbox.pay(number, 1000)
    sandbox.deliver_pending(receiver)
    assert heard[0] == "11222"
    assert sorted(heard) == ["11221", "11222", "11223"]


def test_out_of_order_goes_alone_in_the_end(sandbox):
    sandbox.faults.add("out_of_order", seconds=30)
    sandbox.pay("11225", 1000)
    assert sandbox.deliver_pending(lambda *_: 200) == 0
    sandbox.clock.advance(31)
    assert sandbox.deliver_pending(lambda *_: 200) == 1


def test_signature_faults(sandbox):
    sandbox.settings.checksum_key = key = "a checksum key"
    for kind in ("unsigned", "wrong_signature", "header_signature"):
        sandbox.faults.add(kind)
        sandbox.pay(f"1122{len(sandbox.payments())}", 1000)
    sandbox.pay("11229", 1000)
    unsigned, wrong, header, good = bodies(sandbox)
    assert "checksum" not in unsigned
    assert not checksum.verify(key, wrong, wrong["checksum"])
    assert "checksum" not in header
    signature = sandbox.deliveries()[1]["headers"]["X-ClickPesa-Signature"]
    assert checksum.verify(key, header, signature)
    assert checksum.verify(key, good, good["checksum"])


def test_form_faults(sandbox):
    sandbox.faults.add("old_form")
    sandbox.pay("11221", 1000)
    sandbox.faults.add("old_form", form="flat")
    sandbox.pay("11222", 1000)
    sandbox.faults.add("amount_form", form="number")
    sandbox.pay("11223", 1000)
    sandbox.faults.add("amount_form", form="decimal")
    sandbox.pay("11224", 1000)
    old, flat, number, decimal = bodies(sandbox)
    assert old["eventType"] == "PAYMENT RECEIVED"
    assert flat["orderReference"] == "11222"
    assert number["data"]["collectedAmount"] == 1000
    assert decimal["data"]["collectedAmount"] == "1000.00"


def test_suffixed_reference(client, sandbox):
    sandbox.faults.add("suffixed_reference", match="11225")
    assert sandbox.pay("11221", 1000)["orderReference"] == "11221"
    suffixed = sandbox.pay("11225", 1000)["orderReference"]
    assert suffixed.startswith("11225-")
    assert client.get("/payments/11225").status_code == 404


def test_lost(sandbox):
    sandbox.faults.add("lost", match="11225")
    sandbox.pay("11221", 1000)
    sandbox.pay("11225", 1000)
    assert [d["state"] for d in sandbox.deliveries()] == ["withheld", "pending"]


# Arming --------------------------------------------------------------------


def test_match_and_times(client, sandbox):
    sandbox.faults.add("error", match="POST /third-parties/billpay", times=2)
    assert client.get("/billpay/NONE").status_code == 404
    assert [client.order().status_code for _ in range(3)] == [500, 500, 200]
    assert sandbox.faults.as_list() == []


def test_until_cleared(client, sandbox):
    fault = sandbox.faults.add("error", times="always")
    assert [client.order().status_code for _ in range(5)] == [500] * 5
    assert sandbox.faults.as_list()[0]["struck"] == 5
    sandbox.faults.remove(fault.id)
    assert client.order().status_code == 200
    sandbox.faults.add("error", times=-1)
    sandbox.faults.clear()
    assert client.order().status_code == 200


def test_rate(client, sandbox):
    sandbox.faults.random = random.Random(7)
    sandbox.faults.add("error", rate=0.2)
    failed = [client.order().status_code for _ in range(300)].count(500)
    assert 35 <= failed <= 85
    sandbox.faults.clear()
    sandbox.faults.add("error", rate=1, times=2)
    assert [client.order().status_code for _ in range(3)] == [500, 500, 200]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("earthquake", {}),
        ("error", {"status": 404}),
        ("error", {"seconds": 5}),
        ("latency", {"seconds": "long"}),
        ("latency", {"seconds": -1}),
        ("latency", {"rate": 2}),
        ("latency", {"times": 0}),
        ("latency", {"times": "often"}),
        ("old_form", {"form": "new"}),
        ("duplicate", {"copies": 0}),
    ],
)
def test_wrong_faults_are_refused_with_a_sentence(sandbox, kind, options):
    with pytest.raises(SandboxError, match=r"\.$"):
        sandbox.faults.add(kind, **options)
    assert sandbox.faults.as_list() == []


def test_every_fault_is_explained():
    assert all(explanation.endswith(".") for _, _, explanation in KINDS.values())
