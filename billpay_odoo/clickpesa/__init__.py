# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Gateway client for ClickPesa BillPay. Plain Python: nothing of Odoo in here.

* Money is in TZS; times are aware and in UTC; durations are seconds.
* Errors say what the caller may do next, see :mod:`.errors`.
* Only ``requests`` is needed, and nothing runs at import time.
"""

from .checksum import canonical_json, checksum, sign, signature_of, verify
from .client import ClickPesaClient, forget_clients, get_client
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
    mask,
)
from .notification import Notification, form_bodies, parse_notification
from .parsing import to_ascii
from .statement import Statement, StatementRow
from .values import BulkReply, NumberReply, NumberRequest, Payment, PaymentPage
