# SPDX-License-Identifier: LGPL-3.0-or-later
"""Everything the simulator remembers, in one SQLite database.

Amounts are cents (TZS x 100), moments are seconds since 1970 (UTC).
"""

import json
import re
import sqlite3
import threading
from contextlib import contextmanager

SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS token (
    token TEXT PRIMARY KEY, client_id TEXT NOT NULL, expires_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS number (
    seq INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,         -- upper-cased number: case makes no twins
    number TEXT NOT NULL,
    kind TEXT NOT NULL,               -- order, customer
    origin TEXT NOT NULL,             -- api, offline
    status TEXT NOT NULL,             -- ACTIVE, INACTIVE: what the merchant set
    closed INTEGER NOT NULL DEFAULT 0,
    amount INTEGER,
    max_amount INTEGER,
    mode TEXT NOT NULL,
    description TEXT,
    customer_name TEXT,
    customer_phone TEXT,
    customer_email TEXT,
    paid INTEGER NOT NULL DEFAULT 0,
    payments INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS payment (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    number TEXT NOT NULL,
    reference TEXT NOT NULL,          -- orderReference as shown, perhaps suffixed
    reference_key TEXT NOT NULL,
    status TEXT NOT NULL,
    receipt TEXT NOT NULL,
    amount INTEGER NOT NULL,          -- what the payer sent
    collected INTEGER NOT NULL,       -- what collectedAmount says
    fee INTEGER NOT NULL DEFAULT 0,
    currency TEXT NOT NULL DEFAULT 'TZS',
    channel TEXT NOT NULL,
    phone TEXT NOT NULL,
    payer_name TEXT,
    payer_email TEXT,
    message TEXT NOT NULL,
    client_id TEXT,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS payment_reference ON payment (reference_key);
CREATE INDEX IF NOT EXISTS payment_created ON payment (created_at);
CREATE TABLE IF NOT EXISTS entry (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,                 -- the payment's, so several may share one
    amount INTEGER NOT NULL,          -- credits above zero, debits below
    description TEXT NOT NULL,
    type TEXT NOT NULL,
    reference TEXT,
    at REAL NOT NULL,
    visible_at REAL NOT NULL          -- from when on the statement shows it
);
CREATE INDEX IF NOT EXISTS entry_at ON entry (at);
CREATE INDEX IF NOT EXISTS entry_id ON entry (id);
CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    payment_id TEXT,
    reference TEXT,
    url TEXT NOT NULL,
    body TEXT NOT NULL,
    headers TEXT NOT NULL,
    state TEXT NOT NULL,      -- pending, sending, delivered, failed, withheld
    note TEXT NOT NULL DEFAULT '',
    held INTEGER NOT NULL DEFAULT 0,  -- waits for another delivery to overtake it
    attempts TEXT NOT NULL DEFAULT '[]',
    forgiven INTEGER NOT NULL DEFAULT 0,  -- attempts made before the last resend
    created_at REAL NOT NULL,
    next_attempt_at REAL
);
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (state, next_attempt_at);
"""


_SURROGATE = re.compile("[\ud800-\udfff]")


def storable(value):
    """JSON value whose texts can be written as UTF-8.

    JSON can carry half of a surrogate pair (``"\\ud800"``); it becomes U+FFFD, as it
    does in most databases.
    """
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    return value


class Store:
    """One connection behind one lock; every transaction sees its own writes only.

    A single connection is plenty: a bulk call of 50 numbers is one transaction of
    about a millisecond, and no lock is ever held while anybody talks HTTP.
    """

    def __init__(self, path=":memory:"):
        self.path = str(path)
        self._lock = threading.RLock()
        self._depth = 0
        try:
            self._db = sqlite3.connect(
                self.path, check_same_thread=False, isolation_level=None
            )
            self._db.row_factory = sqlite3.Row
            if self.path != ":memory:":
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
        except sqlite3.Error as error:
            raise OSError(f"{self.path} cannot be used as state: {error}") from error
        with self.transaction() as db:
            # A delivery that was under way when the process ended was perhaps never
            # heard: send it again, as a real sender would.
            db.execute("UPDATE delivery SET state='pending' WHERE state='sending'")

    @contextmanager
    def transaction(self):
        """The connection, locked; committed at the end, undone on an exception."""
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._db
            except BaseException:
                if outermost:
                    self._db.execute("ROLLBACK")
                raise
            else:
                if outermost:
                    self._db.execute("COMMIT")
            finally:
                self._depth -= 1

    def all(self, sql, values=()):
        """Rows of a query as dicts."""
        with self._lock:
            return [dict(row) for row in self._db.execute(sql, values)]

    def one(self, sql, values=()):
        """First row as a dict, or None."""
        with self._lock:
            row = self._db.execute(sql, values).fetchone()
        return dict(row) if row else None

    def value(self, sql, values=()):
        """First column of the first row, or None."""
        with self._lock:
            row = self._db.execute(sql, values).fetchone()
        return row[0] if row else None

    def load_settings(self):
        rows = self.all("SELECT name, value FROM setting")
        return {row["name"]: json.loads(row["value"]) for row in rows}

    def save_setting(self, name, value):
        with self.transaction() as db:
            db.execute(
                "INSERT INTO setting (name, value) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET value=excluded.value",
                (name, json.dumps(value)),
            )

    def clear(self):
        """Forget all but the settings."""
        with self.transaction() as db:
            for table in ("token", "number", "payment", "entry", "delivery"):
                db.execute(f"DELETE FROM {table}")

    def close(self):
        with self._lock:
            self._db.close()
