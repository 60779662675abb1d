# SPDX-License-Identifier: LGPL-3.0-or-later
"""A sandbox, a client in process, a real server, a real receiver of webhooks."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from clickpesa_sandbox import Sandbox, create_app
from clickpesa_sandbox.server import Server
from clickpesa_sandbox.testing import InProcess

BASE = "https://api.clickpesa.com/third-parties"
CREATE_ORDER = "/billpay/create-order-control-number"
CREATE_CUSTOMER = "/billpay/create-customer-control-number"
BULK_ORDER = "/billpay/bulk-create-order-control-numbers"
BULK_CUSTOMER = "/billpay/bulk-create-customer-control-numbers"


def wait_for(condition, what, seconds=15):
    """The first true value of ``condition()``; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)


class Client:
    """A ClickPesa client that signs when the sandbox wants it."""

    def __init__(self, sandbox, session=None, base=BASE):
        self.sandbox = sandbox
        self.base = base
        self.session = session or requests.Session()
        if session is None:
            self.session.mount("https://", InProcess(sandbox))
        self.login()

    def login(self):
        answer = self.session.post(
            self.base + "/generate-token",
            headers={
                "client-id": self.sandbox.settings.client_id,
                "api-key": self.sandbox.settings.api_key,
            },
        )
        self.session.headers["Authorization"] = answer.json()["token"]

    def send(self, method, path, body=None, **options):
        if body is not None and self.sandbox.settings.checksum_key:
            body = {**body, "checksum": self.sandbox.sign(body)}
        return self.session.request(method, self.base + path, json=body, **options)

    def get(self, path, **params):
        return self.send("GET", path, params=params)

    def post(self, path, body=None, **options):
        return self.send("POST", path, body, **options)

    def patch(self, number, body):
        return self.send("PATCH", f"/billpay/{number}", body)

    def order(self, **body):
        return self.post(CREATE_ORDER, body)

    def customer(self, **body):
        return self.post(CREATE_CUSTOMER, body)


class Receiver(ThreadingHTTPServer):
    """Takes webhooks; answers come from ``answers`` (statuses), then 200."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/hook"
        self.lock = threading.Lock()
        self.answers = []
        self.got = []

    def bodies(self):
        with self.lock:
            return [json.loads(raw) for _headers, raw in self.got]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.got.append((dict(self.headers), raw))
            status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        if status in (302, 307):
            self.send_header("Location", self.server.url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def sandbox():
    with Sandbox(deliver="manual", webhook_url="http://shop.example/hook") as box:
        yield box


@pytest.fixture
def client(sandbox):
    return Client(sandbox)


@pytest.fixture
def receiver():
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def live(receiver):
    """A sandbox served over real HTTP, with threads that send webhooks."""
    with Sandbox(webhook_url=receiver.url) as box:
        box.settings.webhook_retry_delays = [0.01, 0.02]
        with Server(create_app(box)) as server:
            box.url = server.url
            yield box


@pytest.fixture
def live_client(live):
    session = requests.Session()
    session.trust_env = False
    with session:
        yield Client(live, session, live.url + "/third-parties")
