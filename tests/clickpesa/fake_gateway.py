# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A small TCP server that answers as badly as a test wants it to."""

import json
import socket
import socketserver
import struct
import threading
import time
from collections import namedtuple

Request = namedtuple("Request", "method path headers body")

PREFIX = "/third-parties"


def answer(status, body=b"", headers=(), length=None):
    """The bytes of an HTTP answer; ``body`` is JSON unless it is bytes."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Any", f"Content-Length: {length or len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def drop(sock):
    """Close without an answer."""


def reset(sock):
    """Close with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stall(seconds):
    def wait(sock):
        time.sleep(seconds)

    return wait


def half(sock):
    """Promise more than is sent, then close."""
    sock.sendall(answer(200, b'{"billPay', length=500))


def drip(sock):
    """One byte at a time, for longer than anybody should wait."""
    sock.sendall(answer(200, b"", length=500))
    try:
        for _ in range(60):
            sock.sendall(b" ")
            time.sleep(0.1)
    except OSError:
        pass


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        gateway = self.server.gateway
        gateway.connections += 1
        while request := self._read():
            gateway.requests.append(request)
            reply = gateway.reply_to(request)
            if callable(reply):
                reply(self.connection)
                return
            try:
                self.connection.sendall(reply)
            except OSError:
                return

    def _read(self):
        try:
            line = self.rfile.readline().decode("latin-1").split()
            headers = {}
            while field := self.rfile.readline().decode("latin-1").strip():
                name, _, value = field.partition(":")
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers.get("content-length", 0)))
        except OSError:
            return None
        return Request(line[0], line[1], headers, body) if len(line) == 3 else None


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """Clients that hang up are what these tests are about."""


class FakeGateway:
    """``replies`` are used up one by one by all but token calls; the last one stays.

    A reply is bytes, a callable that gets the socket, or a callable named ``per_*``
    that gets the request and returns one of these. ``tokens`` likewise.
    """

    def __init__(self):
        self.requests = []
        self.connections = 0
        self.replies = [answer(200, {})]
        self.tokens = []
        self.issued = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.gateway = self
        threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        ).start()

    @property
    def host(self):
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self):
        return f"http://{self.host}{PREFIX}"

    def reply_to(self, request):
        with self._lock:
            if request.path == PREFIX + "/generate-token":
                if self.tokens:
                    reply = self.tokens.pop(0)
                else:
                    self.issued += 1
                    token = f"Bearer token-number-{self.issued}"
                    reply = answer(200, {"success": True, "token": token})
            else:
                reply = self.replies.pop(0) if self.replies[1:] else self.replies[0]
        if getattr(reply, "__name__", "").startswith("per_"):
            reply = reply(request)
        return reply

    def calls(self):
        """Requests other than token calls."""
        return [r for r in self.requests if not r.path.endswith("/generate-token")]

    def token_calls(self):
        return [r for r in self.requests if r.path.endswith("/generate-token")]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
