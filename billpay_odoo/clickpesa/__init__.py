# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Gateway client for ClickPesa BillPay. Plain Python: nothing of Odoo in here.

* Money is in TZS; times are aware and in UTC; durations are seconds.
* Errors say what the caller may do next: :class:`Refused` (permanent),
  :class:`Unavailable` (try again later), :class:`OutcomeUnknown` (a write that may
  have happened: read it back).
* The access token is kept per process, in memory, keyed by the credentials, and
  never stored: that is at most one token call per process and hour, no secret at
  rest, and no database row for workers to contend for.
* Only ``requests`` is needed, and nothing runs at import time.
"""

from .checksum import canonical_json, checksum, sign, signature_of, verify
from .client import ClickPesaClient
from .errors import (
    AuthenticationRefused,
    BudgetSpent,
    ChecksumRefused,
    ClickPesaError,
    Conflict,
    FeatureDisabled,
    InvalidConfiguration,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
)
from .masking import mask
from .notification import (
    DEPOSIT_RECEIVED,
    PAYMENT_FAILED,
    PAYMENT_RECEIVED,
    PAYOUT_INITIATED,
    PAYOUT_REFUNDED,
    PAYOUT_REVERSED,
    Notification,
    parse_notification,
)
from .shared import forget_clients, get_client
from .text import to_ascii
from .values import (
    EXACT,
    FLEXIBLE,
    BulkReply,
    NumberReply,
    NumberRequest,
    Payment,
    PaymentPage,
)

__all__ = [
    "DEPOSIT_RECEIVED",
    "EXACT",
    "FLEXIBLE",
    "PAYMENT_FAILED",
    "PAYMENT_RECEIVED",
    "PAYOUT_INITIATED",
    "PAYOUT_REFUNDED",
    "PAYOUT_REVERSED",
    "AuthenticationRefused",
    "BudgetSpent",
    "BulkReply",
    "ChecksumRefused",
    "ClickPesaClient",
    "ClickPesaError",
    "Conflict",
    "FeatureDisabled",
    "InvalidConfiguration",
    "NotFound",
    "Notification",
    "NumberReply",
    "NumberRequest",
    "OutcomeUnknown",
    "Payment",
    "PaymentPage",
    "RateLimited",
    "Refused",
    "Unavailable",
    "canonical_json",
    "checksum",
    "forget_clients",
    "get_client",
    "mask",
    "parse_notification",
    "sign",
    "signature_of",
    "to_ascii",
    "verify",
]
