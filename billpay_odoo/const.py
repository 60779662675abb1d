# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Words and limits of the ClickPesa gateway, each with the page it comes from."""

# ClickPesa API docs, "Overview": the production address. No sandbox is documented.
DEFAULT_BASE_URL = "https://api.clickpesa.com/third-parties"

# BillPay collects Tanzanian shillings only: its calls carry no currency.
CURRENCY = "TZS"

# The scheduled action of Odoo's that sends invoices in the background.
SEND_CRON = "account.ir_cron_account_move_send"

# States of a control number that asks for money, or is about to.
LIVING = ("pending", "open", "failed")

# States of a checkout that waits for money.
WAITING = ("draft", "pending")

# What a control number may ask for.
INVOICES = ("out_invoice", "out_receipt")
# Payment states of invoices of which something may be due: a part may be on its way.
UNPAID = ("not_paid", "partial", "in_payment")

# States of a payment whose money ClickPesa has.
MONEY = ("confirmed", "posted", "failed")

# ClickPesa API docs, "Bulk create": items per call.
BULK_LIMIT = 50

# Payments asked for per page of the query API; its maximum is not documented.
POLL_PAGE = 100

# A delivery is about one kilobyte. What is larger is not one.
MAX_DELIVERY_BYTES = 256 * 1024

# What payers may pay. "open" is the flexible mode without an amount (the mode only
# counts together with one: ClickPesa API docs, "Create order control number").
MODES = [
    ("flexible", "Any amount, also in parts"),
    ("exact", "Exactly the amount due"),
    ("open", "Any amount, and none is suggested"),
]

# What one number asks for.
NUMBER_MODES = [("flexible", "Any amount"), ("exact", "Exact amount")]

# How long bodies and senders of deliveries are kept (days).
EVENT_DAYS = 180

# Added to the payment engine's set: never written to a log.
SENSITIVE_KEYS = {
    "clickpesa_api_key",
    "clickpesa_checksum_key",
    "clickpesa_old_checksum_keys",
    "clickpesa_webhook_token",
    "clickpesa_health_token",
    "api-key",
    "token",
    "checksum",
}

# States of an ``account.payment`` in the books, and of these the one that no bank
# statement has shown yet.
ENTRY_NOT_AT_BANK = "in_process"
ENTRY_POSTED = (ENTRY_NOT_AT_BANK, "paid")

# Where a checkout's form leads.
CHECKOUT_URL = "/payment/clickpesa/checkout"

DEFAULT_PAYMENT_METHOD_CODES = {"billpay"}

# Where payers live when the company's contact has no time zone of its own.
DEFAULT_TZ = "Africa/Dar_es_Salaam"

# Sources of the upsert behind which a person stands.
ENTERED = ("typed", "import")

POLICIES = [
    ("exact_oldest", "Invoices that fit exactly, else the oldest"),
    ("oldest", "The oldest invoices"),
    ("credit", "None: kept as credit"),
]
