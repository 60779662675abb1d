# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The ClickPesa client: tokens, control numbers, payments, balance.

Thread-safe. See :mod:`.transport` for why one session serves all threads and
:mod:`.tokens` for why the token stays in the memory of the process.
"""

import copy
import logging
import time

from . import errors
from .answers import parsed
from .bodies import LARGEST_BATCH, bulk_reply, create_body, update_body
from .checksum import canonical_json, sign
from .retrying import retrying
from .tokens import TokenKeeper
from .transport import Transport, checked_url, new_session
from .values import NumberReply, PaymentPage
from .wire import (
    authorization,
    credential,
    day,
    known_segment,
    payments_of,
    segment_of,
    unreadable_read,
    unreadable_write,
)

_logger = logging.getLogger(__name__)

_ORDER = "/billpay/create-order-control-number"
_CUSTOMER = "/billpay/create-customer-control-number"
_ORDERS = "/billpay/bulk-create-order-control-numbers"
_CUSTOMERS = "/billpay/bulk-create-customer-control-numbers"


class ClickPesaClient:
    """Talks to one ClickPesa application.

    :param base_url: with its path, such as ``https://api.clickpesa.com/third-parties``
    :param checksum_key: empty when the application has checksums switched off
    :param timeout: ``(connect, read)`` in seconds
    :param session: a ``requests.Session`` to use instead of an own one
    :param clock: monotonic seconds
    :param patience: seconds that retries of safe calls may add; 0 for no retry.
        Every method takes it too, for one call.
    :param sleep: waits a number of seconds
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
        self._client_id = credential(client_id, "client ID")
        self._api_key = credential(api_key, "API key")
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
        """Return a client that asks ``gate`` first, with this one's connections.

        The token is shared as well. One client serves every database of a process;
        a gate belongs to one of them.

        :param patience: as for the class; ``None`` as it is here
        """
        client = copy.copy(self)
        client._gate = gate
        client._patience = self._budget(patience)
        return client

    # ------------------------------------------------------------------ token

    def token(self, force=False, *, patience=None):
        """Return the ``Authorization`` value, from memory unless ``force``.

        :raises AuthenticationRefused: the credentials are wrong, expired or revoked
        :raises InvalidConfiguration: no ClickPesa API at the base URL
        :raises Unavailable: not reachable
        """
        stale = self._tokens.current() if force else None
        return self._token(self._budget(patience), stale)

    def _token(self, patience, stale=None):
        return self._tokens.get(lambda: self._fetch_token(patience), stale)

    def _fetch_token(self, patience):
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

        refused = None
        try:
            token = self._retrying(attempt, patience)
        except errors.Refused as error:
            if error.status != 403:
                raise
            refused = errors.AuthenticationRefused(error.message, 403)
        if refused:
            raise refused
        _logger.debug("new ClickPesa token")
        return token

    @property
    def clock_skew(self):
        """Seconds by which the gateway's clock was ahead at its last answer.

        ``None`` when it has not said. Answers tell it to the second only.
        """
        return self._transport.clock_skew

    # ---------------------------------------------------------------- numbers

    def create_order_number(self, request, *, patience=None):
        """Make an order number (one payment closes it); return a `NumberReply`.

        :param request: :class:`NumberRequest`
        :raises Conflict: the reference is taken, maybe by an earlier try of ours
        """
        return self._create(_ORDER, request, False, patience)

    def create_customer_number(self, request, *, patience=None):
        """Make a customer number (many payments); return a :class:`NumberReply`.

        The gateway wants a name and a phone or an e-mail address.
        """
        return self._create(_CUSTOMER, request, True, patience)

    def create_order_numbers(self, requests, *, patience=None):
        """Make 1 to 50 order numbers; return a :class:`BulkReply`.

        A refused item does not stop the others.

        :raises ValueError: no item, or more than 50
        """
        return self._create_all(_ORDERS, requests, False, patience)

    def create_customer_numbers(self, requests, *, patience=None):
        """Make 1 to 50 customer numbers; return a :class:`BulkReply`."""
        return self._create_all(_CUSTOMERS, requests, True, patience)

    def update_number(
        self,
        number,
        *,
        amount=None,
        mode=None,
        description=None,
        active=None,
        max_amount=None,
        patience=None,
    ):
        """Change what is not ``None``; return a `NumberReply` of what the gateway says.

        :param amount, max_amount: TZS
        :param active: ``False`` refuses payments from then on, ``True`` allows them
        :raises ValueError: nothing to change
        :raises NotFound: the number is not known
        """
        body = update_body(
            amount=amount,
            mode=mode,
            description=description,
            active=active,
            max_amount=max_amount,
            ascii_only=bool(self._checksum_key),
        )
        path = f"/billpay/{known_segment(number)}"
        data = self._call("PATCH", path, body=body, patience=patience)
        if not isinstance(data, dict):
            raise unreadable_write()
        return NumberReply.parse(data, number)

    def get_number(self, number, *, patience=None):
        """Return the :class:`NumberReply` of a number.

        :raises NotFound: the gateway does not know the number
        """
        path = f"/billpay/{known_segment(number)}"
        data = self._call("GET", path, patience=patience)
        if not isinstance(data, dict):
            raise unreadable_read()
        return NumberReply.parse(data, number)

    def _create(self, path, request, customer, patience):
        body = self._body(request, customer)
        data = self._call("POST", path, body=body, patience=patience)
        reply = NumberReply.parse(data) if isinstance(data, dict) else None
        if reply is None or not reply.number:
            raise unreadable_write()
        return reply

    def _create_all(self, path, requests, customer, patience):
        requests = list(requests)
        if not 1 <= len(requests) <= LARGEST_BATCH:
            raise ValueError(f"A bulk call has 1 to {LARGEST_BATCH} items.")
        body = {"controlNumbers": [self._body(item, customer) for item in requests]}
        data = self._call("POST", path, body=body, patience=patience)
        try:
            if isinstance(data, dict):
                return bulk_reply(data, requests)
        except ValueError as error:
            raise unreadable_write(f" ({error})") from None
        raise unreadable_write()

    def _body(self, request, customer):
        ascii_only = bool(self._checksum_key)
        return create_body(request, customer=customer, ascii_only=ascii_only)

    # --------------------------------------------------------------- payments

    def payments(self, reference, *, patience=None):
        """Return the list of :class:`Payment` of a reference; ``[]`` when unpaid."""
        segment = segment_of(reference)
        if segment is None or segment == "all":  # "all" is another endpoint
            return []
        try:
            data = self._call("GET", f"/payments/{segment}", patience=patience)
        except errors.NotFound:
            return []
        if isinstance(data, dict):
            rows = data.get("data", [data] if data.get("id") else None)
            data = [rows] if isinstance(rows, dict) else rows
        return payments_of(data)

    def payments_page(
        self,
        *,
        start=None,
        end=None,
        skip=0,
        limit=100,
        status=None,
        reference=None,
        order_by="DESC",
        sort_by="createdAt",
        patience=None,
    ):
        """Return a :class:`PaymentPage` of the application's payments.

        :param start, end: ``datetime.date``, both included; which time zone the
            gateway cuts days in is not documented, so overlap by a day
        :param order_by: ``"DESC"`` (newest first) or ``"ASC"``
        """
        if reference and segment_of(reference) is None:
            return PaymentPage((), 0)
        params = {
            "startDate": day(start),
            "endDate": day(end),
            "status": status,
            "orderReference": reference,
            "sortBy": sort_by,
            "orderBy": order_by,
            "skip": int(skip),
            "limit": int(limit),
        }
        params = {k: v for k, v in params.items() if v is not None and v != ""}
        try:
            data = self._call("GET", "/payments/all", params=params, patience=patience)
        except errors.NotFound:
            return PaymentPage((), 0)
        rows = data.get("data") if isinstance(data, dict) else data
        payments = payments_of(rows)
        total = data.get("totalCount") if isinstance(data, dict) else None
        if isinstance(total, str) and total.isascii() and total.isdigit():
            total = int(total[:15])
        if isinstance(total, bool) or not isinstance(total, int) or total < 0:
            total = None
        return PaymentPage(tuple(payments), total, len(rows))

    def balance(self, *, patience=None):
        """Return the account's balances, ``[{"currency": …, "balance": …}, …]``.

        ``[]`` for a new merchant, who has no balance account yet.
        """
        try:
            data = self._call("GET", "/account/balance", patience=patience)
        except errors.NotFound:
            return []
        if isinstance(data, dict):
            data = data.get("balances", [data] if "balance" in data else None)
        if not isinstance(data, list):
            raise unreadable_read()
        return [row for row in data if isinstance(row, dict)]

    # ------------------------------------------------------------------ calls

    def _call(self, method, path, *, body=None, params=None, patience=None):
        """Return the parsed JSON of one call."""
        budget = self._budget(patience)
        write = method != "GET"
        data = None
        if write:
            signed = sign(body, self._checksum_key) if self._checksum_key else body
            data = canonical_json(signed).encode()

        def attempt(limit):
            return self._authorized(method, path, write, data, params, limit, budget)

        return attempt(None) if write else self._retrying(attempt, budget)

    def _authorized(self, method, path, write, data, params, limit, budget):
        """One try, with one more after a 401 and a new token."""
        token, stale = None, None
        for last in (False, True):
            token = self._token(budget, stale)
            headers = {"Authorization": token}
            if write:
                headers["Content-Type"] = "application/json"
            answer = self._send(
                method,
                path,
                write=write,
                headers=headers,
                data=data,
                params=params,
                limit=limit,
            )
            if answer.status != 401 or last:
                break
            stale = token
        try:
            return parsed(answer, write=write, secrets=self._secrets(token))
        except (errors.AuthenticationRefused, errors.ChecksumRefused):
            # Toggling the checksum in the dashboard also makes tokens stale.
            self._tokens.forget(token)
            raise

    def _send(self, method, path, **how):
        if self._gate:
            self._gate()
        return self._transport.send(method, path, **how)

    def _retrying(self, attempt, patience):
        return retrying(
            attempt, patience=patience, clock=self._clock, sleep=self._sleep
        )

    def _budget(self, patience):
        return self._patience if patience is None else patience

    def _secrets(self, token=None):
        token = (token or "").rpartition(" ")[2]
        return (self._api_key, self._checksum_key, token)
