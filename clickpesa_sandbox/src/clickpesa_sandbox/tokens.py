# SPDX-License-Identifier: LGPL-3.0-or-later
"""Access tokens (ClickPesa API docs, generate-token page)."""

import base64
import json
import secrets

from .errors import ApiError

PREFIX = "Bearer "


class Tokens:
    def __init__(self, store, clock, settings):
        self._store = store
        self._clock = clock
        self._settings = settings

    def issue(self, client_id, api_key):
        """A token with its ``Bearer `` prefix, or ApiError 401 / 403."""
        settings = self._settings
        if not client_id or not api_key:
            raise ApiError(401, "Unauthorized")
        if client_id != settings.client_id:
            raise ApiError(403, "Invalid client details")
        if api_key != settings.api_key or settings.api_key_state == "expired":
            raise ApiError(403, "Invalid or Expired API-Key")
        if settings.api_key_state == "unauthorized":
            raise ApiError(403, "Unauthorized API-Key")
        now = self._clock.now()
        claims = {"sub": client_id, "iat": int(now)}
        claims["exp"] = int(now + settings.token_lifetime)
        # Looks like the JWT the real service hands out; only the store knows it.
        parts = ({"alg": "HS256", "typ": "JWT"}, claims)
        token = ".".join(_base64(json.dumps(part).encode()) for part in parts)
        token = f"{token}.{_base64(secrets.token_bytes(32))}"
        with self._store.transaction() as db:
            db.execute("DELETE FROM token WHERE expires_at<=?", (now,))
            db.execute(
                "INSERT INTO token (token, client_id, expires_at) VALUES (?, ?, ?)",
                (token, client_id, now + settings.token_lifetime),
            )
        return PREFIX + token

    def check(self, header):
        """ApiError 401 unless ``Authorization`` carries a token that still counts."""
        token = (header or "").removeprefix(PREFIX)
        expires = self._store.value(
            "SELECT expires_at FROM token WHERE token=?", (token,)
        )
        if header == token or expires is None or expires <= self._clock.now():
            raise ApiError(401, "Unauthorized")

    def revoke(self, header=None):
        """Make one token worthless, or all of them."""
        with self._store.transaction() as db:
            if header is None:
                db.execute("DELETE FROM token")
            else:
                token = header.removeprefix(PREFIX)
                db.execute("DELETE FROM token WHERE token=?", (token,))


def _base64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
