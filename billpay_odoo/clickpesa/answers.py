# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""From an HTTP answer to parsed JSON or to the right exception.

Sources: ClickPesa API docs (error tables of the endpoint pages) and the vendor's
public API description; ``message`` is a text or a list of texts.
"""

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from . import errors
from .masking import mask
from .parsing import load_answer, read_text

LONGEST_WAIT = 3600  # seconds

_NO_FEATURE = re.compile(r"has no access to .*feature", re.IGNORECASE)
_CHECKSUM = re.compile(r"\bchecksum\b", re.IGNORECASE)


def parsed(answer, *, write, secrets):
    """Return the JSON of a 2xx answer, or raise what the status means.

    :param answer: :class:`transport.Answer`
    :param write: the call changes something, so a doubtful answer leaves open
        whether it did
    :raises Refused, Unavailable, OutcomeUnknown:
    """
    status = answer.status
    data, readable = _load(answer.body)
    if 200 <= status < 300:
        if readable and isinstance(data, (dict, list)):
            return data
        text = "ClickPesa's answer could not be read"
        text += "; it may have been carried out." if write else "."
        raise _doubtful(write)(text, status)
    said = mask(message_of(data), secrets)
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


def _doubtful(write):
    return errors.OutcomeUnknown if write else errors.Unavailable


def _load(body):
    try:
        return load_answer(body), True
    except ValueError:
        return None, False
