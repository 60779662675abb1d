# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Clients that send requests at once, each in a thread with a connection of its own."""

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass

from devtools.console import Problem

# Seconds until an answer is overdue.
PATIENCE = 60


@dataclass(frozen=True)
class Request:
    """One request.

    :param method: "GET" or "POST".
    :param path: on the server.
    :param body: bytes, or ``None``.
    :param headers: pairs.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


def rate(port, requests, clients):
    """Send all requests with so many clients; how many were answered per second.

    :raise Problem: an answer was not 200, or there was none.
    """
    shares = [requests[index::clients] for index in range(clients)]
    answers, troubles = Counter(), []
    barrier = threading.Barrier(clients + 1)

    def client(share):
        barrier.wait()
        try:
            for request in share:
                answers[_status(port, request)] += 1
        except (OSError, http.client.HTTPException) as error:
            troubles.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=client, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    if troubles:
        raise Problem(f"the server did not answer: {troubles[0]}")
    if set(answers) != {200}:
        raise Problem(f"not every answer was 200: {dict(answers)}")
    return len(requests) / seconds


def _status(port, request):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(
            request.method, request.path, request.body, dict(request.headers)
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
