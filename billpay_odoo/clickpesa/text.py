# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Text that is safe to store, to print and to sign."""

import hashlib
import re
import unicodedata

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"\s+")

# Characters whose NFKD form does not hold a good ASCII stand-in.
_STAND_INS = str.maketrans(
    {
        "‐": "-",
        "‑": "-",
        "‒": "-",
        "–": "-",
        "—": "-",
        "―": "-",
        "−": "-",
        "‘": "'",
        "’": "'",
        "‚": "'",
        "‛": "'",
        "′": "'",
        "´": "'",
        "ʼ": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "″": '"',
        "«": '"',
        "»": '"',
        "‹": "'",
        "›": "'",
        "•": "*",
        "·": ".",
        "×": "x",
        "÷": "/",
        "⁄": "/",
        "€": "EUR",
        "£": "GBP",
        "ß": "ss",
        "Æ": "AE",
        "æ": "ae",
        "Œ": "OE",
        "œ": "oe",
        "Ø": "O",
        "ø": "o",
        "Ð": "D",
        "ð": "d",
        "Đ": "D",
        "đ": "d",
        "Ł": "L",
        "ł": "l",
        "Þ": "Th",
        "þ": "th",
        "ı": "i",
    }
)


def clean_text(value, limit=None):
    """Return ``value`` on one line, without control characters, at most ``limit`` long.

    Characters that steer the direction of text are dropped too: in a list of
    payments they would let a payer's name rewrite its neighbours.
    """
    text = _SURROGATE.sub("\ufffd", _UNSAFE.sub(" ", str(value)))
    text = _SPACES.sub(" ", text).strip()
    return text if limit is None else text[:limit].rstrip()


def clean_identity(value, limit=128):
    """Like :func:`clean_text`, but two long values never become the same one."""
    text = clean_text(value)
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{text[: limit - 17]}~{digest}"


def to_ascii(value, limit=None):
    """Transliterate ``value`` to printable ASCII on one line.

    For text inside a signed body: the ways to serialise JSON agree on nothing but
    ASCII. A letter without a stand-in becomes ``?`` so that a name never vanishes.
    """
    text = unicodedata.normalize("NFKD", clean_text(value).translate(_STAND_INS))
    text = text.translate(_STAND_INS)  # "½" holds its slash only now
    out = []
    for char in text:
        if " " <= char <= "~":
            out.append(char)
        elif not unicodedata.category(char).startswith(("M", "C")):
            out.append("?")
    return clean_text("".join(out), limit)
