# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One HTTP exchange: bounded in time and size, no redirects, no credentials kept.

Sources: ClickPesa API docs (error tables of the endpoint pages) and the vendor's
public API description; ``message`` is a text or a list of texts.

One ``requests.Session`` serves all threads of a client. That is safe because it is
never changed, refuses cookies, and the connection pool below it is thread-safe.
"""

import logging
import re
import time
from collections import namedtuple
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import requests
import urllib3.exceptions as pool

from . import errors
from .parsing import load_answer, read_text

_logger = logging.getLogger(__name__)

LARGEST_ANSWER = 10 * 1024 * 1024  # bytes
# Seconds: between the tries of what is safe to repeat, of the shortest try that makes
# sense, and of the longest wait that the gateway may ask for.
DELAYS = (1, 2, 4)
SHORTEST_TRY = 1
LONGEST_WAIT = 3600

Answer = namedtuple("Answer", "status headers body")

_NO_FEATURE = re.compile(r"has no access to .*feature", re.IGNORECASE)
_CHECKSUM = re.compile(r"\bchecksum\b", re.IGNORECASE)

# Failures at which no byte of the request can have left this machine.
_NEVER_SENT = (pool.NewConnectionError, pool.ConnectTimeoutError, pool.ProxyError)


# Loopback, private and link-local addresses, as Python's own list of private ones holds
# others too. An IPv4 address inside an IPv6 one is none of them.
_LOCAL_NETWORKS = tuple(
    ip_network(network)
    for network in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)

# The first that fits counts.
_REASONS = {
    requests.exceptions.ConnectTimeout: "no connection in time",
    (requests.exceptions.Timeout, pool.TimeoutError): "no answer in time",
    requests.exceptions.SSLError: "the secure connection failed",
    requests.exceptions.ProxyError: "the proxy refused",
    requests.exceptions.ContentDecodingError: "the answer could not be read",
}


def _is_local(host):
    """Whether what is sent to a host stays on this machine or in its own network.

    Only what is written as such: a name that today leads to a private address may
    lead elsewhere tomorrow.
    """
    if host == "localhost" or host.endswith((".localhost", ".local")):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(
        address in network
        for network in _LOCAL_NETWORKS
        if address.version == network.version
    )


def checked_url(base_url):
    """Return ``base_url`` without its trailing slash.

    Plain http would show the API key to everybody on the way: it is for hosts in the
    own network alone, such as the sandbox.

    :raises InvalidConfiguration: no plain https address, or http to another host
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
        or (parts.scheme == "http" and not _is_local(parts.hostname))
    ):
        raise errors.InvalidConfiguration(
            "The base URL must be a plain https:// address; http:// is for hosts in "
            "the own network."
        )
    return text


def new_session():
    """Return a ``requests.Session`` that keeps connections but no cookies."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


class Transport:
    """Sends requests below one base URL.

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
        started, trouble = time.monotonic(), None
        try:
            answer = self._exchange(method, path, headers, data, params, limit)
        except (requests.RequestException, pool.HTTPError, OSError) as error:
            trouble = error
        spent = (time.monotonic() - started) * 1000
        if trouble is None:
            _logger.debug("%s %s: %s, %d ms", method, path, answer.status, spent)
            return answer
        name = type(trouble).__name__
        _logger.info("%s %s: %s after %d ms", method, path, name, spent)
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
        reason = errors.mask(_reason(trouble), self.secrets)
        if _never_sent(trouble) or not write:
            return errors.Unavailable(f"ClickPesa ({host}) is not reachable: {reason}.")
        return errors.OutcomeUnknown(
            f"The connection to ClickPesa ({host}) failed after the request was sent:"
            f" {reason}. It may have been carried out."
        )


def _skew(date):
    """Seconds by which the peer's clock is ahead of ours, or ``None``."""
    try:
        ahead = parsedate_to_datetime(date) - datetime.now(timezone.utc)
    except (TypeError, ValueError):
        return None
    return ahead.total_seconds()


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
    for kinds, reason in _REASONS.items():
        if isinstance(trouble, kinds):
            return reason
    if "Name" in str(trouble) and _never_sent(trouble):
        return "the host name is not known"
    if _never_sent(trouble):
        return "no connection"
    return "the connection broke"


# === ANSWERS === #


def parsed(answer, *, write, secrets):
    """Return the JSON of a 2xx :class:`Answer`, or raise what the status means.

    :param write: the call changes something, so a doubtful answer leaves open
        whether it did
    """
    status, data, readable = answer.status, None, True
    try:
        data = load_answer(answer.body)
    except ValueError:
        readable = False
    if 200 <= status < 300:
        if readable and isinstance(data, (dict, list)):
            return data
        raise unreadable(write, status)
    said = errors.mask(message_of(data), secrets)
    if status == 401:
        raise errors.AuthenticationRefused(said or "The token was refused.", status)
    if status == 404:
        if answer.body.strip() and not readable:
            text = "The answer (404) does not come from ClickPesa's API."
            raise errors.Unavailable(text, status)
        raise errors.NotFound(said or "Not known to ClickPesa.", status)
    if status == 409:
        raise errors.Conflict(said or "The reference is already used.", status)
    if status == 429:
        text = said or "ClickPesa asks to slow down (too many requests)."
        raise errors.RateLimited(text, status, retry_after(answer.headers))
    if status == 400 and _NO_FEATURE.search(said):
        raise errors.FeatureDisabled(said, status)
    if status == 400 and _CHECKSUM.search(said):
        raise errors.ChecksumRefused(said, status)
    if 300 <= status < 400:
        text = f"The address answers with a redirect ({status}); check the base URL."
        # "See other" may follow work that was done; the rest only point elsewhere.
        raise _doubtful(write and status in (302, 303))(text, status)
    if status >= 500 or status == 408 or status < 200:
        text = f"ClickPesa has a problem ({status})" + (f": {said}" if said else ".")
        if write:
            raise errors.OutcomeUnknown(text, status)
        raise errors.Unavailable(text, status, retry_after(answer.headers))
    raise errors.Refused(said or f"ClickPesa refused the request ({status}).", status)


def message_of(data):
    """The person's text of an error body, ``""`` when there is none."""
    if not isinstance(data, dict):
        return ""
    for name in ("message", "error"):
        said = data.get(name)
        parts = said if isinstance(said, list) else [said]
        text = "; ".join(filter(None, (read_text(part, 300) for part in parts[:20])))
        if text:
            return text[:1000]
    return ""


def retry_after(headers):
    """Seconds from a ``Retry-After`` header (a number or a date), or ``None``."""
    value = str(headers.get("Retry-After") or "").strip()
    if value.isascii() and value.isdigit() and len(value) < 10:
        return min(int(value), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        seconds = (moment - datetime.now(timezone.utc)).total_seconds()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return max(0, min(round(seconds), LONGEST_WAIT))


def unreadable(write, status=200, why=""):
    text = f"ClickPesa's answer could not be read{why}"
    text += "; it may have been carried out." if write else "."
    return _doubtful(write)(text, status)


def _doubtful(write):
    return errors.OutcomeUnknown if write else errors.Unavailable


def retrying(attempt, *, patience, clock, sleep):
    """Return ``attempt(limit)``, repeated on :class:`errors.Unavailable`.

    ``patience`` is the budget in seconds for waiting and repeating; 0 means one try.
    The first try has its full timeouts (``limit`` is ``None``), a later one only what
    is left of the budget, so that nobody waits much longer than for one slow call.
    """
    started, limit = clock(), None
    for delay in DELAYS:
        try:
            return attempt(limit)
        except errors.Unavailable as error:
            wait = max(delay, error.retry_after or 0)
            left = patience - (clock() - started) - wait
            if left <= 0:
                raise
        sleep(wait)
        limit = max(left, SHORTEST_TRY)
    return attempt(limit)
