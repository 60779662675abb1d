# SPDX-License-Identifier: LGPL-3.0-or-later
"""Tokens and what is answered without a good one."""

import pytest
from conftest import BASE, CREATE_ORDER


def ask(client, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.session.post(BASE + "/generate-token", headers=headers)
    return answer.status_code, answer.json()


def test_token_has_its_prefix(client):
    status, body = ask(client, client_id="IDsandbox", api_key="SKsandbox")
    assert status == 200
    assert body["success"] is True
    assert body["token"].startswith("Bearer ey")
    assert set(body) == {"success", "token"}


def test_credentials_refused(client, sandbox):
    assert ask(client) == (401, {"message": "Unauthorized"})
    assert ask(client, client_id="IDsandbox") == (401, {"message": "Unauthorized"})
    assert ask(client, client_id="x", api_key="SKsandbox") == (
        403,
        {"message": "Invalid client details"},
    )
    wrong_key = (403, {"message": "Invalid or Expired API-Key"})
    assert ask(client, client_id="IDsandbox", api_key="x") == wrong_key
    sandbox.settings.api_key_state = "expired"
    assert ask(client, client_id="IDsandbox", api_key="SKsandbox") == wrong_key
    sandbox.settings.api_key_state = "unauthorized"
    assert ask(client, client_id="IDsandbox", api_key="SKsandbox") == (
        403,
        {"message": "Unauthorized API-Key"},
    )


def test_token_lives_an_hour(client, sandbox):
    sandbox.clock.advance(3599)
    assert client.get("/payments/all").status_code == 200
    sandbox.clock.advance(2)
    answer = client.get("/payments/all")
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
    client.login()
    assert client.get("/payments/all").status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer x", "Bearer Bearer {}", "{}"])
def test_other_tokens_are_refused(client, header):
    token = client.session.headers["Authorization"].removeprefix("Bearer ")
    client.session.headers["Authorization"] = header.format(token)
    assert client.post(CREATE_ORDER, {}).status_code == 401
    assert client.sandbox.numbers() == []


def test_new_token_leaves_the_old_one_alone(client):
    ask(client, client_id="IDsandbox", api_key="SKsandbox")
    assert client.get("/payments/all").status_code == 200


def test_feature_switched_off(client, sandbox):
    sandbox.settings.billpay_enabled = False
    answer = client.order(billReference="INV1")
    assert answer.status_code == 400
    assert "has no access to BILLPAY API feature" in answer.json()["message"]
    assert client.get("/payments/all").status_code == 200


def test_unknown_route_and_bad_bodies(client):
    answer = client.post("/nothing/here", {})
    assert answer.status_code == 404
    assert answer.json()["message"] == "Cannot POST /third-parties/nothing/here"
    for body in (b"{", b"[1]", b"\xff", b'{"billAmount": NaN}', b"[" * 100000):
        answer = client.session.post(BASE + CREATE_ORDER, data=body)
        assert answer.status_code == 400, body[:20]
    answer = client.session.post(BASE + CREATE_ORDER, data=b" " * (1024 * 1024 + 1))
    assert answer.status_code == 413
    assert client.sandbox.numbers() == []
