# SPDX-License-Identifier: LGPL-3.0-or-later
"""The sandbox behind ``requests`` without a network."""

import io
from datetime import timedelta
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.response import HTTPResponse

from .api import DELAY_HEADER, DROP_HEADER, IN_PROCESS
from .app import create_app


class InProcess(BaseAdapter):
    """Answers prepared requests from a sandbox in this process.

    Use ``send`` in place of a session's, or mount it::

        session.mount("https://api.clickpesa.com", InProcess(sandbox))

    Host and port of the request do not matter. Faults become what a network would make
    of them: a dropped connection ``requests.exceptions.ConnectionError``, an answer
    later than the read timeout ``requests.exceptions.ReadTimeout`` (nothing sleeps).
    """

    def __init__(self, sandbox):
        super().__init__()
        self.sandbox = sandbox
        self.app = create_app(sandbox)
        self._build = HTTPAdapter().build_response

    def send(self, request, **options):
        """``requests.Response`` for a ``requests.PreparedRequest``."""
        parts = urlsplit(request.url)
        body = request.body
        if isinstance(body, str):
            body = body.encode("utf-8")
        elif hasattr(body, "read"):
            body = body.read()
        headers = [
            (name, value.decode("latin-1") if isinstance(value, bytes) else value)
            for name, value in request.headers.items()
            if name.lower() != "content-length"
        ]
        with self.app.test_client(use_cookies=False) as client:
            answer = client.open(
                path=parts.path or "/",
                query_string=parts.query,
                method=request.method,
                headers=headers,
                data=body or None,
                base_url=f"{parts.scheme}://{parts.netloc}/",
                environ_overrides={IN_PROCESS: True},
            )
            content = answer.get_data()
        delay = float(answer.headers.get(DELAY_HEADER, 0))
        timeout = _read_timeout(options.get("timeout"))
        if timeout is not None and delay > timeout:
            raise requests.exceptions.ReadTimeout(
                f"Read timed out. (read timeout={timeout})", request=request
            )
        if DROP_HEADER in answer.headers:
            raise requests.exceptions.ConnectionError(
                "Remote end closed connection without response", request=request
            )
        raw = HTTPResponse(
            body=io.BytesIO(content),
            headers=dict(answer.headers),
            status=answer.status_code,
            reason=answer.status.partition(" ")[2],
            preload_content=False,
            request_method=request.method,
        )
        response = self._build(request, raw)
        response.elapsed = timedelta(seconds=delay)
        if not options.get("stream"):
            response.content  # noqa: B018  (reads it, as a session does)
        return response

    def close(self):
        """Nothing to close; the sandbox belongs to the caller."""


def _read_timeout(timeout):
    """Seconds of the read part of what ``requests`` takes as timeout, or None."""
    if isinstance(timeout, (tuple, list)):
        timeout = timeout[1] if len(timeout) > 1 else timeout[0]
    return getattr(timeout, "read_timeout", timeout)
