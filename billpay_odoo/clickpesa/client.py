# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The ClickPesa client: tokens, control numbers, payments. Thread-safe."""

import copy
import os
import threading
import time
from collections import OrderedDict
from urllib.parse import quote

from . import errors
from .bodies import LARGEST_BATCH, bulk_reply, create_body, update_body
from .checksum import canonical_json, sign
from .parsing import read_text
from .statement import Statement, read_balance
from .tokens import TokenKeeper, authorization
from .transport import Transport, checked_url, new_session, parsed, retrying, unreadable
from .values import NumberReply, Payment, PaymentPage

LONGEST_REFERENCE = 128
LARGEST_CACHE = 32

_clients = OrderedDict()
_clients_lock = threading.Lock()


class ClickPesaClient:
    """Talks to one ClickPesa application.

    :param checksum_key: empty when the application has checksums switched off
    :param timeout: ``(connect, read)`` in seconds
    :param session: a ``requests.Session`` to use instead of an own one
    :param patience: seconds that retries of safe calls may add; 0 for no retry
    :param gate: called right before every request, token calls and repeats included;
        it may raise :class:`BudgetSpent`, and nothing is sent then
    :raises InvalidConfiguration: the address or a credential cannot be used

    Every method raises :class:`ClickPesaError` subclasses: a read never
    ``OutcomeUnknown``; a write is sent once (once more after a 401, which proves that
    the first one was not looked at).
    """

    def __init__(
        self,
        base_url,
        client_id,
        api_key,
        checksum_key="",
        *,
        timeout=(5, 30),
        session=None,
        clock=time.monotonic,
        patience=10,
        sleep=time.sleep,
        gate=None,
    ):
        self._client_id = _credential(client_id, "client ID")
        self._api_key = _credential(api_key, "API key")
        self._checksum_key = (checksum_key or "").strip()
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._gate = gate
        self._transport = Transport(
            checked_url(base_url), session or new_session(), timeout, self._secrets()
        )
        self._tokens = TokenKeeper(clock)

    @property
    def base_url(self):
        return self._transport.base_url

    def __repr__(self):
        return f"<ClickPesaClient {self.base_url}>"

    def gated(self, gate, *, patience=None):
        """Return a client with this ``gate`` that shares connections and token.

        One client serves every database of a process; a gate belongs to one of them.
        """
        client = copy.copy(self)
        client._gate = gate
        if patience is not None:
            client._patience = patience
        return client

    # === TOKEN === #

    def token(self, force=False):
        """Return the ``Authorization`` value, from memory unless ``force``."""
        return self._token(self._tokens.current() if force else None)

    def _token(self, stale=None):
        return self._tokens.get(self._fetch_token, stale)

    def _fetch_token(self):
        def attempt(limit):
            answer = self._send(
                "POST",
                "/generate-token",
                write=False,  # a second token does no harm
                headers={"client-id": self._client_id, "api-key": self._api_key},
                limit=limit,
            )
            if 300 <= answer.status < 400 or answer.status == 404:
                raise errors.InvalidConfiguration(
                    "There is no ClickPesa API at the base URL"
                    f" (answer {answer.status}); check the address.",
                    answer.status,
                )
            data = parsed(answer, write=False, secrets=self._secrets())
            return authorization(data, answer.status)

        try:
            return self._retrying(attempt)
        except errors.Refused as error:
            if error.status != 403:
                raise
            raise errors.AuthenticationRefused(error.message, 403) from None

    @property
    def clock_skew(self):
        """Seconds by which the gateway's clock was ahead lately, or ``None``."""
        return self._transport.clock_skew

    # === NUMBERS === #

    def create_order_numbers(self, requests):
        """Make 1 to 50 order numbers (one payment closes each).

        A refused :class:`NumberRequest` does not stop the others.

        :rtype: BulkReply
        :raises ValueError: no item, or more than 50
        """
        return self._create_all("order", requests)

    def create_customer_numbers(self, requests):
        """Make 1 to 50 customer numbers (many payments each); as for order numbers.

        The gateway wants a name and a phone or an e-mail address.
        """
        return self._create_all("customer", requests)

    def _create_all(self, kind, requests):
        requests = list(requests)
        if not 1 <= len(requests) <= LARGEST_BATCH:
            raise ValueError(f"A bulk call has 1 to {LARGEST_BATCH} items.")
        how = {"customer": kind == "customer", "ascii_only": bool(self._checksum_key)}
        items = [create_body(request, **how) for request in requests]
        path = f"/billpay/bulk-create-{kind}-control-numbers"
        data = self._call("POST", path, body={"controlNumbers": items})
        try:
            if isinstance(data, dict):
                return bulk_reply(data, requests)
        except ValueError as error:
            raise unreadable(write=True, why=f" ({error})") from None
        raise unreadable(write=True)

    def update_number(self, number, **changes):
        """Change a number, by the arguments of :func:`bodies.update_body`.

        :rtype: NumberReply
        :raises ValueError: nothing to change
        :raises NotFound: the number is not known
        """
        body = update_body(**changes, ascii_only=bool(self._checksum_key))
        return self._number("PATCH", number, body)

    def get_number(self, number):
        """Return the :class:`NumberReply` of a number, or raise ``NotFound``."""
        return self._number("GET", number)

    def _number(self, method, number, body=None):
        segment = _segment_of(number)
        if segment is None:
            raise errors.NotFound("There can be no such control number.")
        data = self._call(method, f"/billpay/{segment}", body=body)
        if not isinstance(data, dict):
            raise unreadable(write=body is not None)
        return NumberReply.parse(data, number)

    # === PAYMENTS === #

    def payments(self, reference):
        """Return the list of :class:`Payment` of a reference; ``[]`` when unpaid."""
        segment = _segment_of(reference)
        if segment is None or segment == "all":  # "all" is another endpoint
            return []
        try:
            data = self._call("GET", f"/payments/{segment}")
        except errors.NotFound:
            return []
        if isinstance(data, dict):
            rows = data.get("data", [data] if data.get("id") else None)
            data = [rows] if isinstance(rows, dict) else rows
        return _payments_of(data)

    def payments_page(
        self, *, start=None, end=None, skip=0, limit=100, sort="createdAt"
    ):
        """Return a :class:`PaymentPage` of the application's payments, newest first.

        :param start, end: ``datetime.date``, both included; which time zone the
            gateway cuts days in is not documented, so overlap by a day
        :param str sort: any member of an answered payment (API docs, "query all
            payments"), such as ``updatedAt`` for the latest changes first
        """
        params = {
            "startDate": start and start.isoformat(),
            "endDate": end and end.isoformat(),
            "sortBy": sort,
            "orderBy": "DESC",
            "skip": int(skip),
            "limit": int(limit),
        }
        try:
            data = self._call("GET", "/payments/all", params=params)
        except errors.NotFound:
            return PaymentPage((), 0)
        if isinstance(data, list):
            data = {"data": data}
        rows, total = data.get("data"), data.get("totalCount")
        if isinstance(total, str) and total.isascii() and total.isdigit():
            total = int(total[:15])
        if isinstance(total, bool) or not isinstance(total, int) or total < 0:
            total = None
        return PaymentPage(tuple(_payments_of(rows)), total, len(rows))

    # === ACCOUNT === #

    def account_statement(self, start, end, currency="TZS"):
        """Return the :class:`Statement` of the merchant's account.

        The sandbox and the docs know no pages: it has all rows of these days.

        :param start, end: ``datetime.date``, both included; in which time zone is not
            documented
        """
        params = {
            "currency": currency,
            "startDate": start.isoformat(),
            "endDate": end.isoformat(),
        }
        data = self._call("GET", "/account/statement", params=params)
        if not isinstance(data, dict):
            raise unreadable(write=False)
        return Statement.parse(data)

    def account_balance(self):
        """Return ``{currency: Decimal}`` as it is now; empty for a new merchant."""
        try:
            data = self._call("GET", "/account/balance")
        except errors.NotFound:
            # API docs: "No balance account is linked to this merchant yet."
            return {}
        if isinstance(data, dict):
            data = data.get("balances", [data] if "balance" in data else None)
        if not isinstance(data, list):
            raise unreadable(write=False)
        found = {}
        for row in data:
            if isinstance(row, dict):
                currency = read_text(row.get("currency"), 8).upper()
                balance = read_balance(row.get("balance"))
                if currency and balance is not None:
                    found[currency] = balance
        return found

    # === CALLS === #

    def _call(self, method, path, *, body=None, params=None):
        """Return the parsed JSON of one call."""
        write, headers, data = method != "GET", {}, None
        if write:
            signed = sign(body, self._checksum_key) if self._checksum_key else body
            data = canonical_json(signed).encode()
            headers["Content-Type"] = "application/json"

        def send(token, limit):
            how = {"data": data, "params": params, "limit": limit}
            known = {"Authorization": token, **headers}
            return self._send(method, path, write=write, headers=known, **how)

        def attempt(limit):
            token = self._token()
            answer = send(token, limit)
            if answer.status == 401:
                token = self._token(stale=token)
                answer = send(token, limit)
            try:
                return parsed(answer, write=write, secrets=self._secrets(token))
            except (errors.AuthenticationRefused, errors.ChecksumRefused):
                # Toggling the checksum in the dashboard also makes tokens stale.
                self._tokens.forget(token)
                raise

        return attempt(None) if write else self._retrying(attempt)

    def _send(self, method, path, **how):
        if self._gate:
            self._gate()
        return self._transport.send(method, path, **how)

    def _retrying(self, attempt):
        return retrying(
            attempt, patience=self._patience, clock=self._clock, sleep=self._sleep
        )

    def _secrets(self, token=""):
        return (self._api_key, self._checksum_key, token.rpartition(" ")[2])


def get_client(base_url, client_id, api_key, checksum_key=""):
    """Return this process's client for these credentials.

    Connections and the token are reused as long as nothing changes.

    :raises InvalidConfiguration: the address or a credential cannot be used
    """
    # A forked worker must not share its parent's connections.
    key = (os.getpid(), base_url, client_id, api_key, checksum_key or "")
    with _clients_lock:
        if key not in _clients:
            _clients[key] = ClickPesaClient(base_url, client_id, api_key, checksum_key)
            if len(_clients) > LARGEST_CACHE:
                _clients.popitem(last=False)
        _clients.move_to_end(key)
        return _clients[key]


def forget_clients():
    """Drop all shared clients, with their tokens (for tests)."""
    with _clients_lock:
        _clients.clear()


def _credential(value, name):
    """Return a value that fits an HTTP header; the error never quotes it."""
    value = value.strip() if isinstance(value, str) else ""
    if not value:
        raise errors.InvalidConfiguration(f"The {name} is missing.")
    if not value.isascii() or not value.isprintable():
        raise errors.InvalidConfiguration(
            f"The {name} has characters that cannot be sent; copy it again."
        )
    return value


def _segment_of(reference):
    """``reference`` as one path segment, or ``None`` where none can exist.

    Dots alone would walk up the path: URL libraries resolve them, encoded or not.
    """
    if not isinstance(reference, str) or len(reference) > LONGEST_REFERENCE:
        return None
    if not reference.strip(". "):
        return None
    try:
        return quote(reference, safe="")
    except UnicodeEncodeError:
        return None


def _payments_of(rows):
    if not isinstance(rows, list):
        raise unreadable(write=False)
    return [Payment.parse(row) for row in rows if isinstance(row, dict)]
