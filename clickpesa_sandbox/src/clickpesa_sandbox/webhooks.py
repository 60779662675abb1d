# SPDX-License-Identifier: LGPL-3.0-or-later
"""The delivery log and the engine that works through it.

The vendor publishes no retry policy, no time limit and no order (ClickPesa API docs,
webhooks page, says only that any 2xx is success); what happens here is adjustable.
"""

import json
import sqlite3
import threading
import time

import requests

from .clock import iso
from .errors import SandboxError

#: Deliveries under way at the same time, so that a slow receiver stalls only itself.
WORKERS = 4
_KEPT = 2000


def record(row):
    """A delivery as tests and the page see it; moments are ISO text."""
    attempts = json.loads(row["attempts"])
    last = attempts[-1] if attempts else {}
    return {
        "id": row["id"],
        "event": row["event"],
        "payment_id": row["payment_id"],
        "reference": row["reference"],
        "url": row["url"],
        "body": row["body"],
        "headers": json.loads(row["headers"]),
        "state": row["state"],
        "note": row["note"],
        "held": bool(row["held"]),
        "attempts": len(attempts),
        "attempt_log": attempts,
        "response_status": last.get("status"),
        "response_body": last.get("body"),
        "error": last.get("error"),
        "created_at": iso(row["created_at"]),
        "next_attempt_at": iso(row["next_attempt_at"]),
    }


class Webhooks:
    """Deliveries in a store.

    ``mode`` is ``"thread"`` (sent by background threads), ``"manual"`` (sent by
    ``pump()``) or a callable ``(url, body, headers)`` that is tried at once, in the
    calling thread. ``body`` is bytes; a callable returns a status,
    ``(status, text)`` or an object with ``status_code`` and ``text``.
    """

    def __init__(self, store, clock, settings, mode, tick=None):
        if mode not in ("thread", "manual") and not callable(mode):
            raise SandboxError("deliver is 'thread', 'manual' or a callable.")
        self._store = store
        self._clock = clock
        self._settings = settings
        self._mode = mode
        self._tick = tick
        self._threads = []
        self._wake = threading.Condition()
        self._generation = 0
        self._closing = False
        self._local = threading.local()

    # The log ---------------------------------------------------------------

    def add(
        self,
        event,
        body,
        headers,
        payment_id=None,
        reference=None,
        delay=0.0,
        held=False,
        keep_back="",
    ):
        """Log a delivery (``body`` is bytes); returns its id.

        ``delay`` in seconds; ``held``: waits until another delivery was sent;
        ``keep_back``: the reason why it is not sent at all.
        """
        if not keep_back and not self._settings.webhooks_enabled:
            keep_back = "Webhooks are switched off."
        if not keep_back and self._mode == "thread" and not self._settings.webhook_url:
            keep_back = "No webhook URL is set."
        now = self._clock.now()
        with self._store.transaction() as db:
            cursor = db.execute(
                "INSERT INTO delivery (event, payment_id, reference, url, body,"
                " headers, state, note, held, created_at, next_attempt_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    event,
                    payment_id,
                    reference,
                    self._settings.webhook_url,
                    body.decode("utf-8"),
                    json.dumps(headers),
                    "withheld" if keep_back else "pending",
                    keep_back,
                    int(held),
                    now,
                    None if keep_back else now + delay,
                ),
            )
        return cursor.lastrowid

    def get(self, delivery_id):
        row = self._store.one("SELECT * FROM delivery WHERE id=?", (delivery_id,))
        if row is None:
            raise SandboxError(f"There is no delivery {delivery_id}.")
        return row

    def resend(self, delivery_id):
        """Make a delivery due now, whatever its state, to the URL of today."""
        self.get(delivery_id)
        if self._mode == "thread" and not self._settings.webhook_url:
            raise SandboxError("No webhook URL is set; there is nowhere to send to.")
        with self._store.transaction() as db:
            db.execute(
                "UPDATE delivery SET state='pending', note='', held=0, url=?,"
                " forgiven=json_array_length(attempts), next_attempt_at=?"
                " WHERE id=? AND state<>'sending'",
                (self._settings.webhook_url, self._clock.now(), delivery_id),
            )
        self.kick()

    # Sending ---------------------------------------------------------------

    def kick(self):
        """Something is perhaps due: send at once, or wake the threads."""
        if callable(self._mode):
            self.pump()
        elif self._mode == "thread" and not self._closing:
            self._start()
            with self._wake:
                self._generation += 1
                self._wake.notify_all()

    def pump(self, send=None, everything=False):
        """Send what is due, in order; number of attempts made.

        ``send`` replaces the way of sending for this time. ``everything`` does not wait
        for the next attempt to be due (each delivery is tried at most once).
        """
        send = send or (self._mode if callable(self._mode) else self._post)
        made, tried = 0, set()
        while True:
            row = self._claim(everything, tried)
            if row is None:
                return made
            tried.add(row["id"])
            self._attempt(row, send)
            made += 1

    def _claim(self, everything=False, tried=()):
        """Take the next due delivery, marked as being sent, or None."""
        with self._store.transaction() as db:
            due = None if everything else self._clock.now()
            rows = db.execute(
                "SELECT * FROM delivery WHERE state='pending'"
                " AND (? IS NULL OR next_attempt_at<=?)"
                " ORDER BY held, next_attempt_at, id LIMIT ?",
                (due, due, len(tried) + 1),
            )
            for row in rows:
                if row["id"] not in tried:
                    # A retry goes where webhooks go today, not where they went.
                    url = self._settings.webhook_url or row["url"]
                    db.execute(
                        "UPDATE delivery SET state='sending', url=? WHERE id=?",
                        (url, row["id"]),
                    )
                    return {**dict(row), "url": url}
        return None

    def _attempt(self, row, send):
        """Try one delivery and note the outcome; never raises."""
        started = time.monotonic()
        attempt = {"at": self._clock.iso(), "status": None, "body": None, "error": None}
        try:
            answer = send(
                row["url"], row["body"].encode("utf-8"), json.loads(row["headers"])
            )
            attempt["status"], attempt["body"] = _outcome(answer)
        # Whatever goes wrong out there is the log's to tell, not a reason to stop.
        except Exception as error:  # noqa: BLE001
            attempt["error"] = f"{type(error).__name__}: {error}"[:500]
        attempt["seconds"] = round(time.monotonic() - started, 4)
        attempts = [*json.loads(row["attempts"]), attempt]
        state, next_at = "delivered", None
        if not 200 <= (attempt["status"] or 0) < 300:
            delays = self._settings.webhook_retry_delays
            # A resend starts the growing delays over.
            retries = len(attempts) - row["forgiven"] - 1
            if retries < len(delays):
                state, next_at = "pending", self._clock.now() + delays[retries]
            else:
                state = "failed"
        with self._store.transaction() as db:
            db.execute(
                "UPDATE delivery SET state=?, attempts=?, next_attempt_at=?, held=0"
                " WHERE id=?",
                (state, json.dumps(attempts), next_at, row["id"]),
            )
            # This one has overtaken those that were held; now they may go.
            released = db.execute(
                "UPDATE delivery SET held=0, next_attempt_at=?"
                " WHERE state='pending' AND held=1 AND id<>?",
                (self._clock.now(), row["id"]),
            ).rowcount
        if released or next_at:
            self._notify()

    def _post(self, url, body, headers):
        if not url:
            raise SandboxError("No webhook URL is set.")
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            # A proxy meant for the outside world must not see local deliveries.
            session.trust_env = False
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "ClickPesa-Sandbox",
        } | headers
        return session.post(
            url,
            data=body,
            headers=headers,
            timeout=self._settings.webhook_timeout or None,
            allow_redirects=False,
        )

    # Threads ---------------------------------------------------------------

    def _start(self):
        with self._wake:
            if self._threads or self._closing:
                return
            for index in range(WORKERS):
                thread = threading.Thread(
                    target=self._run,
                    args=(index == 0,),
                    name=f"clickpesa-sandbox-webhooks-{index}",
                    daemon=True,
                )
                self._threads.append(thread)
        for thread in self._threads:
            thread.start()

    def _notify(self):
        with self._wake:
            self._generation += 1
            self._wake.notify_all()

    def _run(self, ticks):
        try:
            self._work(ticks)
        except sqlite3.ProgrammingError:
            if not self._closing:
                raise
            # Closed in the middle of a delivery: the next start sends it again.

    def _work(self, ticks):
        while not self._closing:
            with self._wake:
                seen = self._generation
            if ticks and self._tick:
                self._tick()
            row = self._claim()
            if row is not None:
                self._attempt(row, self._post)
                continue
            with self._wake:
                if self._generation == seen and not self._closing:
                    self._wake.wait(self._pause())

    def _pause(self):
        """Seconds until something is due; None when nothing waits."""
        next_at = self._store.value(
            "SELECT min(next_attempt_at) FROM delivery WHERE state='pending'"
        )
        pauses = []
        if next_at is not None:
            pauses.append(max(next_at - self._clock.now(), 0.001))
        if self._settings.settle_after:
            pauses.append(1.0)
        return min(pauses) if pauses else None

    def close(self):
        """Stop the threads; a delivery under way is waited for, briefly."""
        with self._wake:
            self._closing = True
            self._wake.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=2)


def _outcome(answer):
    """(status, text) of what a sender returned."""
    if isinstance(answer, int):
        return answer, None
    if isinstance(answer, tuple):
        return int(answer[0]), str(answer[1])[:_KEPT]
    return answer.status_code, answer.text[:_KEPT]
