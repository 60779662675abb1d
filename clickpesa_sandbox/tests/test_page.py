# SPDX-License-Identifier: LGPL-3.0-or-later
"""The web page."""

import re

import pytest

from clickpesa_sandbox import create_app

NASTY = "<script>alert(1)</script>\"'"


@pytest.fixture
def web(sandbox):
    return create_app(sandbox).test_client()


def follow(web, path, **values):
    """Page after a form was sent, and the message on it."""
    answer = web.post(path, data=values, follow_redirects=True)
    assert answer.status_code == 200
    message = re.search(
        r'<div class="flash (\w+)" role="status">(.*?)</div>', answer.text
    )
    return answer.text, message.groups() if message else None


def test_empty_page_says_what_to_do(web):
    text = web.get("/").text
    assert "No control number yet." in text
    assert "No payment yet." in text
    assert "Nothing was announced yet." in text
    assert "No client has called yet." in text
    assert "http://localhost/third-parties" in text


def test_number_prefills_the_form(web, client):
    client.order(billReference="INV1", billAmount=15000, billPaymentMode="EXACT")
    assert 'href="/?number=INV1#pay"' in web.get("/").text
    text = web.get("/?number=INV1").text
    assert 'value="INV1"' in text
    assert 'value="15000"' in text
    assert "15,000 TZS,\n    exactly" in text
    assert "There is no control number 77." in web.get("/?number=77").text


def test_pay(web, sandbox):
    form = {"number": "11225", "amount": "7,500", "channel": "TIGO-PESA"}
    _text, message = follow(web, "/page/pay", **form, phone="0712345678", name="Asha")
    assert message[0] == "good"
    assert "7,500 TZS on 11225" in message[1]
    payment = sandbox.payments()[0]
    assert (payment["channel"], payment["amount"]) == ("TIGO-PESA", 7500)
    assert sandbox.deliveries()[0]["state"] == "pending"


def test_pay_refused_keeps_what_was_typed(web, sandbox):
    form = {"number": "999", "amount": "7500", "channel": "HALOPESA"}
    text, message = follow(web, "/page/pay", **form, phone="0712345678", name="Asha")
    assert message == ("bad", "There is no control number 999.")
    assert 'value="7500"' in text
    assert 'value="Asha"' in text
    assert sandbox.payments() == []


def test_pay_with_lost_webhook_or_failing(web, sandbox):
    form = {"amount": "7500", "channel": "M-PESA", "phone": "0712345678"}
    follow(web, "/page/pay", number="11221", lose="1", **form)
    assert sandbox.deliveries()[0]["state"] == "withheld"
    follow(web, "/page/pay", number="11222", fails="1", **form)
    assert sandbox.payments()[0]["status"] == "FAILED"


def test_settle_status_and_resend(web, sandbox):
    payment = sandbox.pay("11225", 7500, deliver=False)
    follow(web, "/page/settle")
    assert sandbox.payment(payment["id"])["status"] == "SETTLED"
    follow(web, "/page/status", payment_id=payment["id"], status="REVERSED")
    assert sandbox.payment(payment["id"])["status"] == "REVERSED"
    charged = "REVERSE WITH CHARGES"
    assert charged in web.get("/").text
    follow(web, "/page/status", payment_id=payment["id"], status=charged)
    assert sandbox.payment(payment["id"])["status"] == charged
    assert sandbox.webhook_body(payment["id"])["data"]["status"] == charged
    follow(web, f"/page/deliveries/{payment['deliveries'][0]}/resend")
    assert sandbox.deliveries()[0]["state"] == "pending"
    _text, message = follow(web, "/page/deliveries/99/resend")
    assert message == ("bad", "There is no delivery 99.")


def test_faults(web, sandbox):
    text, _message = follow(
        web, "/page/faults", kind="latency", times="-1", seconds="4"
    )
    assert "until switched off" in text
    fault = sandbox.faults.as_list()[0]
    assert (fault["times"], fault["options"]) == (None, {"seconds": 4})
    follow(web, "/page/faults", kind="error", match="bulk", rate="0.5", seconds="")
    follow(web, "/page/faults/remove", id=str(fault["id"]))
    assert [f["kind"] for f in sandbox.faults.as_list()] == ["error"]
    follow(web, "/page/faults/remove")
    assert sandbox.faults.as_list() == []
    assert follow(web, "/page/faults", kind="x")[1][0] == "bad"
    assert follow(web, "/page/faults", kind="latency", times="x")[1][0] == "bad"


def test_settings_form_saves_what_it_shows(web, sandbox):
    """Sending the form as it is changes nothing; a change changes just that."""
    before = sandbox.settings.as_dict()
    text = web.get("/").text
    form = text[text.index('action="/page/settings"') :]
    form = form[: form.index("</form>")]
    values = {}
    for name, value in re.findall(r'<input name="(\w+)"[^>]*? value="([^"]*)"', form):
        values[name] = value.replace("&#34;", '"').replace("&quot;", '"')
    for name, options in re.findall(r'<select name="(\w+)">(.*?)</select>', form, re.S):
        selected = re.search(r'<option(?: value="(\w+)")? selected>\s*(\w+)', options)
        values[name] = selected[1] or selected[2]
    assert set(values) == set(before)
    follow(web, "/page/settings", **values)
    assert sandbox.settings.as_dict() == before
    values["checksum_key"] = "new key"
    follow(web, "/page/settings", **values)
    assert sandbox.settings.as_dict() == {**before, "checksum_key": "new key"}
    values["billpay_namba"] = "12"
    _text, message = follow(web, "/page/settings", **values)
    assert message[0] == "bad"


def test_text_of_users_is_escaped(web, client, sandbox):
    client.customer(
        billReference="CUST1",
        billDescription=NASTY,
        customerName=NASTY,
        customerPhone="255712345678",
    )
    sandbox.pay("CUST1", 5000, channel=NASTY, name=NASTY)
    sandbox.settings.merchant_name = NASTY
    sandbox.set_status(sandbox.payments()[0]["id"], NASTY)
    sandbox.faults.add("error", match=NASTY)
    client.get("/" + NASTY)
    for path in ("/", "/?number=CUST1", "/?number=" + NASTY, "/?q=" + NASTY):
        text = web.get(path).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def test_search(web, client):
    client.order(billReference="INV1", billDescription="Ada ya shule")
    client.order(billReference="INV2")
    text = web.get("/?q=shule").text
    assert ">INV1<" in text
    assert ">INV2<" not in text
    assert "No number fits" in web.get("/?q=nothing").text


def test_clock_and_reset(web, sandbox):
    follow(web, "/page/clock", hours="2")
    assert sandbox.clock.offset == 7200
    assert follow(web, "/page/clock", hours="x")[1][0] == "bad"
    assert follow(web, "/page/clock", hours="1e300")[1][0] == "bad"
    sandbox.pay("11225", 5000)
    assert web.post("/page/reset").status_code == 400
    follow(web, "/page/reset", sure="yes")
    assert sandbox.counts()["payments"] == 0
