# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One HTTP exchange: bounded in time and size, no redirects, no credentials kept.

One ``requests.Session`` serves all threads of a client. What makes that safe: the
session is never changed after it is made, cookies are refused, and the connection
pool below it is thread-safe. A session per thread would be no better: a server that
starts a thread per request would never reuse a connection.
"""

import logging
import time
from collections import namedtuple
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
import urllib3.exceptions as pool

from . import errors
from .masking import mask

_logger = logging.getLogger(__name__)

LARGEST_ANSWER = 10 * 1024 * 1024  # bytes

Answer = namedtuple("Answer", "status headers body")

# Failures at which no byte of the request can have left this machine.
_NEVER_SENT = (
    pool.NewConnectionError,
    pool.ConnectTimeoutError,
    pool.ProxyError,
)


def checked_url(base_url):
    """Return ``base_url`` without its trailing slash.

    :raises InvalidConfiguration: no plain http(s) address
    """
    text = base_url.strip().rstrip("/") if isinstance(base_url, str) else ""
    try:
        parts = urlsplit(text)
        # Reading the port is what checks it.
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if (
        not usable
        or parts.scheme not in ("http", "https")
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or not text.isascii()
        or any(char <= " " or char == "\x7f" for char in text)
    ):
        raise errors.InvalidConfiguration(
            "The base URL must be a plain http:// or https:// address."
        )
    return text


def new_session():
    """Return a ``requests.Session`` that keeps connections but no cookies."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


class Transport:
    """Sends requests below one base URL.

    :param base_url: checked address, such as ``https://host/third-parties``
    :param session: ``requests.Session``
    :param timeout: ``(connect, read)`` in seconds; the body, too, must arrive within
        the read timeout
    :param secrets: texts to keep out of logs and errors
    """

    def __init__(self, base_url, session, timeout, secrets):
        self.base_url = base_url
        self.session = session
        self.timeout = timeout
        self.secrets = secrets
        self.clock_skew = None

    def send(self, method, path, *, write, headers, data=None, params=None, limit=None):
        """Return the :class:`Answer` of one request.

        :param path: percent-encoded, with its leading slash
        :param limit: seconds that remain for this request, or ``None``
        :raises Unavailable: nothing happened, or the call only reads
        :raises OutcomeUnknown: a write that may have happened
        """
        started = time.monotonic()
        trouble = None
        try:
            answer = self._exchange(method, path, headers, data, params, limit)
        except (requests.RequestException, pool.HTTPError, OSError) as error:
            trouble = error
        spent = (time.monotonic() - started) * 1000
        if trouble is None:
            _logger.debug("%s %s: %s, %d ms", method, path, answer.status, spent)
            return answer
        _logger.info(
            "%s %s: %s after %d ms", method, path, type(trouble).__name__, spent
        )
        # Raised outside the handler: the cause holds the request and its headers.
        raise self._explain(trouble, write)

    def _exchange(self, method, path, headers, data, params, limit):
        def credentials(request):
            # An auth callable keeps requests from putting a .netrc entry over ours.
            request.headers.update(headers)
            return request

        connect, read = self.timeout
        if limit is not None:
            connect, read = min(connect, limit), min(read, limit)
        response = self.session.request(
            method,
            self.base_url + path,
            params=params,
            data=data,
            # Identity: a compressed body could unpack to any size.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            auth=credentials,
            timeout=(connect, read),
            allow_redirects=False,
            stream=True,
        )
        try:
            body = _bounded(response, time.monotonic() + read)
        finally:
            response.close()
        self.clock_skew = _skew(response.headers.get("Date"))
        return Answer(response.status_code, response.headers, body)

    def _explain(self, trouble, write):
        host = urlsplit(self.base_url).netloc
        reason = mask(_reason(trouble), self.secrets)
        if _never_sent(trouble) or not write:
            return errors.Unavailable(f"ClickPesa ({host}) is not reachable: {reason}.")
        return errors.OutcomeUnknown(
            f"The connection to ClickPesa ({host}) failed after the request was sent:"
            f" {reason}. It may have been carried out."
        )


def _skew(date):
    """Seconds by which the peer's clock is ahead of ours, or ``None``."""
    try:
        return (
            parsedate_to_datetime(date) - datetime.now(timezone.utc)
        ).total_seconds()
    except (TypeError, ValueError):
        return None


def _bounded(response, deadline):
    """Read the body up to its limits; a drip-feeding peer must not hold a worker."""
    if response.raw is None:  # a stand-in made by a test
        return response.content
    parts, size = [], 0
    for part in _pieces(response):
        parts.append(part)
        size += len(part)
        if size > LARGEST_ANSWER:
            raise requests.exceptions.ContentDecodingError("the answer is too large")
        if time.monotonic() > deadline:
            raise requests.exceptions.ReadTimeout("the answer arrived too slowly")
    return b"".join(parts)


def _pieces(response):
    read1 = getattr(response.raw, "read1", None)
    if read1 is None:
        # urllib3 before 2.1 waits until a piece is full, so only small ones keep the
        # deadline honest. Costs some 30 ms for a page of 100 payments.
        return response.iter_content(8)
    return iter(lambda: read1(65536), b"")


def _never_sent(trouble):
    if isinstance(trouble, requests.exceptions.ConnectTimeout):
        return True
    cause = trouble.args[0] if trouble.args else None
    reason = getattr(cause, "reason", cause)
    if isinstance(reason, _NEVER_SENT):
        return True
    # The certificate is checked before the first byte of the request.
    return "CERTIFICATE_VERIFY_FAILED" in str(reason)


def _reason(trouble):
    """A few words; never the exception's own text, which may quote the request."""
    if isinstance(trouble, requests.exceptions.ConnectTimeout):
        return "no connection in time"
    if isinstance(trouble, (requests.exceptions.Timeout, pool.TimeoutError)):
        return "no answer in time"
    if isinstance(trouble, requests.exceptions.SSLError):
        return "the secure connection failed"
    if isinstance(trouble, requests.exceptions.ProxyError):
        return "the proxy refused"
    if isinstance(trouble, requests.exceptions.ContentDecodingError):
        return "the answer could not be read"
    if "Name" in str(trouble) and _never_sent(trouble):
        return "the host name is not known"
    if _never_sent(trouble):
        return "no connection"
    return "the connection broke"
