# SPDX-License-Identifier: LGPL-3.0-or-later
"""A threaded HTTP server for the application (Werkzeug's, with two corrections)."""

import threading

from werkzeug.serving import WSGIRequestHandler, make_server


class Handler(WSGIRequestHandler):
    """Answers travel at once, and the terminal stays readable."""

    # Headers and body are two writes; with Nagle's algorithm the second would wait for
    # the caller's delayed acknowledgement, about 40 ms on every kept-alive call.
    disable_nagle_algorithm = True

    def log_request(self, code="-", size="-"):
        """The page and ``/_sandbox/calls`` show the calls; stderr is for trouble."""

    def connection_dropped(self, error, environ=None):
        """The caller went away, or the fault was to drop it: no trouble of ours."""


class Server:
    """Serve ``app`` from a background thread; ``with Server(app) as server:``.

    ``port`` 0 takes a free one; ``url`` is the address without a slash at its end.
    OSError if the port is taken.
    """

    def __init__(self, app, host="127.0.0.1", port=0):
        _check_free(host, port)
        self._server = make_server(
            host, port, app, threaded=True, request_handler=Handler
        )
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.host = host
        self.port = self._server.server_port
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}"
        self._thread = None

    def start(self):
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="clickpesa-sandbox-http",
            daemon=True,
        )
        self._thread.start()
        return self

    def stop(self):
        if self._thread:
            self._server.shutdown()
            self._thread.join(timeout=5)
            self._thread = None
        self._server.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def _check_free(host, port):
    """OSError if ``port`` is taken: make_server itself would print and exit."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
