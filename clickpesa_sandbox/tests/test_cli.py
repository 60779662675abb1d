# SPDX-License-Identifier: LGPL-3.0-or-later
"""The command, the state file, the in-process adapter."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest
import requests
from conftest import BASE, Client, wait_for

from clickpesa_sandbox import Sandbox, SandboxError, cli
from clickpesa_sandbox.testing import InProcess


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Command:
    """The command in a process of its own."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "clickpesa_sandbox.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def url(self):
        wait_for(lambda: "Ctrl-C stops it." in self.lines, "the address")
        return re.search(r"http://\S+", self.lines[0])[0].rstrip("/")

    def end(self, number):
        self.process.send_signal(number)
        status = self.process.wait(timeout=15)
        errors = self.process.stderr.read()
        self.reader.join(timeout=5)
        self.process.stdout.close()
        self.process.stderr.close()
        return status, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_starts_and_stops_cleanly(number):
    command = Command("--port", str(free_port()), "--checksum-key", "abc")
    try:
        url = command.url()
        state = requests.get(url + "/_sandbox/state", timeout=10).json()
        assert state["settings"]["checksum_key"] == "abc"
        assert "Pay as a customer" in requests.get(url + "/", timeout=10).text
    finally:
        status, errors = command.end(number)
    assert (status, errors) == (0, "")


def test_restart_keeps_everything(tmp_path, receiver):
    path = str(tmp_path / "state.db")
    arguments = ("--port", str(free_port()), "--state", path)
    command = Command(*arguments, "--webhook-url", "http://127.0.0.1:9/")
    try:
        url = command.url() + "/_sandbox"
        requests.post(
            url + "/pay", json={"number": "11225", "amount": 5000}, timeout=10
        )
        requests.post(url + "/settings", json={"merchant_name": "Duka"}, timeout=10)
        requests.post(url + "/clock", json={"advance": 3600}, timeout=10)
        before = {
            n: requests.get(f"{url}/{n}", timeout=10).json()
            for n in ("numbers", "payments")
        }
    finally:
        command.end(signal.SIGTERM)
    # The delivery nobody heard is still in the log.
    command = Command(*arguments, "--webhook-url", receiver.url)
    try:
        url = command.url() + "/_sandbox"
        for name, records in before.items():
            assert requests.get(f"{url}/{name}", timeout=10).json() == records
        state = requests.get(url + "/state", timeout=10).json()
        assert state["settings"]["merchant_name"] == "Duka"
        assert state["settings"]["webhook_url"] == receiver.url
        assert state["clock"]["offset_seconds"] == 3600
        delivery = requests.get(url + "/deliveries", timeout=10).json()[0]
        assert delivery["payment_id"] == before["payments"][0]["id"]
        resend = f"{url}/deliveries/{delivery['id']}/resend"
        assert requests.post(resend, timeout=10).status_code == 200
        wait_for(lambda: receiver.got, "the delivery")
    finally:
        command.end(signal.SIGTERM)


def test_taken_port_is_a_clear_message(capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert cli.main(["--port", str(port)]) == 2
    message = capsys.readouterr().err
    assert f"Port {port} on 127.0.0.1 cannot be used" in message
    assert "--port" in message


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--billpay-namba", "12"], "billpay_namba is four digits"),
        (["--webhook-url", "shop"], "webhook_url starts with http"),
        (["--state", "/nowhere/at/all.db"], "cannot be used as state"),
        (["--port", "99999"], "Port 99999 on 127.0.0.1 cannot be used"),
    ],
)
def test_wrong_options(capsys, arguments, text):
    assert cli.main(arguments) == 2
    assert text in capsys.readouterr().err


def test_state_that_is_no_database(tmp_path, capsys):
    path = tmp_path / "letter.txt"
    path.write_text("Dear customer, this is no database at all. " * 100)
    assert cli.main(["--state", str(path)]) == 2
    assert "cannot be used as state" in capsys.readouterr().err


def test_tokens_survive_a_restart_with_state(tmp_path):
    path = tmp_path / "state.db"
    with Sandbox(state=path, deliver="manual", checksum_key="k") as box:
        token = Client(box).session.headers["Authorization"]
    with Sandbox(state=path, deliver="manual") as box:
        assert box.settings.checksum_key == "k"
        client = Client(box)
        client.session.headers["Authorization"] = token
        assert client.get("/payments/all").status_code == 200


def test_in_process_answers_are_real_responses(sandbox):
    adapter = InProcess(sandbox)
    request = requests.Request(
        "POST",
        BASE + "/generate-token?x=1",
        headers={"client-id": "IDsandbox", "api-key": "SKsandbox"},
        json={},
    ).prepare()
    response = adapter.send(request, timeout=(3, 30), verify=True)
    assert isinstance(response, requests.Response)
    assert response.ok
    assert response.request is request
    assert response.url == BASE + "/generate-token?x=1"
    assert response.headers["content-type"] == "application/json"
    assert response.json()["token"].startswith("Bearer ")
    assert sandbox.calls()[0]["query"] == "x=1"
    streamed = adapter.send(request, stream=True)
    assert streamed.raw.read().startswith(b'{"success":true')


def test_in_process_errors_raise_for_status(client):
    with pytest.raises(requests.exceptions.HTTPError):
        client.get("/payments/NONE").raise_for_status()


def test_clock_that_goes_nowhere_is_refused(sandbox):
    with pytest.raises(SandboxError):
        sandbox.clock.advance(1e300)
    assert sandbox.clock.offset == 0
