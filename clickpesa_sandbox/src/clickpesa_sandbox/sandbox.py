# SPDX-License-Identifier: LGPL-3.0-or-later
"""The simulator as one Python object; the HTTP faces are built on it."""

from . import events, money, webhooks
from .account import TAKEN_BACK, Account
from .calls import Calls
from .checksum import sign
from .clock import Clock
from .errors import SandboxError
from .faults import Faults
from .numbers import Numbers
from .payments import Payments
from .settings import TOKEN_SETTINGS, Settings
from .store import Store
from .tokens import Tokens
from .webhooks import Webhooks


class Sandbox:
    """One merchant, one application, its numbers, payments and webhooks.

    Arguments left out take the value kept in ``state`` (a file name or
    ``":memory:"``), else the default of the setting. ``deliver`` is ``"thread"``
    (webhooks are sent by background threads), ``"manual"`` (by ``deliver_pending()``)
    or a callable ``(url, body_bytes, headers)`` that is called at once.
    """

    def __init__(
        self,
        client_id=None,
        api_key=None,
        checksum_key=None,
        billpay_namba=None,
        webhook_url=None,
        state=":memory:",
        deliver="thread",
    ):
        self.store = Store(state)
        offset = self.store.load_settings().get("clock_offset", 0.0)
        self.clock = Clock(offset, self._clock_changed)
        self.settings = Settings(self.store, self._setting_changed)
        self.faults = Faults()
        self.call_log = Calls(self.clock)
        self.tokens = Tokens(self.store, self.clock, self.settings)
        self.number_rules = Numbers(self.store, self.clock, self.settings)
        self.payment_rules = Payments(
            self.store, self.clock, self.settings, self.number_rules
        )
        self.account = Account(
            self.store, self.clock, self.settings, self.payment_rules
        )
        self.webhooks = Webhooks(
            self.store, self.clock, self.settings, deliver, self.tick
        )
        given = {
            "client_id": client_id,
            "api_key": api_key,
            "checksum_key": checksum_key,
            "billpay_namba": billpay_namba,
            "webhook_url": webhook_url,
        }
        self.settings.update({n: v for n, v in given.items() if v is not None})
        if deliver == "thread" and self.deliveries(state="pending", limit=1):
            self.webhooks.kick()

    # The payer -------------------------------------------------------------

    def verify(self, number):
        """What a payer's channel shows before the PIN, or PaymentRefused.

        ``{"number", "name", "amount", "remaining", "mode", "kind", "origin"}``, amounts
        in TZS or None.
        """
        row = self.payment_rules.verify(number)
        left = None if row["max_amount"] is None else row["max_amount"] - row["paid"]
        return {
            "number": row["number"],
            "name": self.settings.merchant_name,
            "customer_name": row["customer_name"],
            "description": row["description"],
            "amount": money.number(row["amount"]),
            "remaining": money.number(left),
            "mode": row["mode"],
            "kind": row["kind"],
            "origin": row["origin"],
        }

    def pay(
        self,
        number,
        amount,
        channel="M-PESA",
        phone="255712345678",
        name="ASHA JUMA",
        deliver=True,
    ):
        """Pay ``amount`` (TZS) as a customer; the payment, or PaymentRefused.

        The payment is what the query API shows plus ``number``, ``amount``, ``fee`` and
        ``deliveries`` (ids). ``deliver=False`` loses the webhook: it stays in the log,
        kept back.
        """
        hits = self.faults.strike("payment", f"PAYMENT {number}")
        with self.store.transaction():
            row = self.payment_rules.confirm(
                number, amount, channel, phone, name, "suffixed_reference" in hits
            )
            ids = self._announce_payment(row, events.RECEIVED, deliver)
        self.webhooks.kick()
        row = self.payment_rules.get(row["id"])
        return self.payment_rules.record(row) | {"deliveries": ids}

    def fail_payment(
        self,
        number,
        amount,
        channel="M-PESA",
        phone="255712345678",
        name="ASHA JUMA",
        message="Insufficient balance",
        deliver=True,
    ):
        """A payment that did not work: status FAILED, event PAYMENT FAILED."""
        with self.store.transaction():
            row = self.payment_rules.fail(number, amount, channel, phone, name, message)
            ids = self._announce_payment(row, events.FAILED, deliver)
        self.webhooks.kick()
        return self.payment_rules.record(row) | {"deliveries": ids}

    # ClickPesa's back office -----------------------------------------------

    def settle(self, payment_id=None):
        """SUCCESS becomes SETTLED, without a webhook; ids of the payments moved."""
        return self._settle(payment_id)

    def _settle(self, payment_id=None, before=None):
        with self.store.transaction():
            moved = self.payment_rules.settle(payment_id, before)
            self.account.credit(moved)
        return moved

    def set_status(self, payment_id, status, charge=None):
        """Give a payment a status (``"REVERSED"``…), without a webhook.

        Money that was in the balance leaves it with a word such as REVERSED, and
        enters it with SETTLED.
        """
        with self.store.transaction():
            before = self.payment_rules.get(payment_id)["status"]
            row = self.payment_rules.set_status(payment_id, status)
            if row["status"].upper().startswith(TAKEN_BACK):
                self.account.take_back(payment_id, row["status"], charge)
            elif row["status"] == "SETTLED" != before:
                self.account.credit([payment_id])
        return self.payment_rules.record(row)

    def reverse(self, payment_id, charges=None, status=None):
        """Take a payment back, however old it is; the payment.

        ``charges``: True for those of the settings, or an amount in TZS.
        """
        charge = None
        if charges and charges is not True:
            try:
                charge = money.parse(charges)
            except ValueError:
                raise SandboxError(f"{charges!r} is no amount in TZS.") from None
        word = status or ("REVERSE WITH CHARGES" if charges else "REVERSED")
        return self.set_status(payment_id, word, charge)

    def withdraw(self, amount, rail="ACH"):
        """Send ``amount`` (TZS) to the merchant's own bank, without an event."""
        return self.account.withdraw(amount, rail)

    def deposit(self, amount, deliver=True):
        """Put ``amount`` (TZS) of the merchant's own money in; DEPOSIT RECEIVED."""
        row = self.account.deposit(amount)
        data = events.sample("DEPOSIT RECEIVED", row["at"])
        data |= {"id": row["id"], "depositAmount": str(row["amount"])}
        self.announce("DEPOSIT RECEIVED", data, deliver)
        return row

    def tick(self):
        """Settle what is old enough (setting ``settle_after``)."""
        after = self.settings.settle_after
        if not after:
            return []
        return self._settle(before=self.clock.now() - after)

    # Webhooks --------------------------------------------------------------

    def sign(self, body):
        """Checksum of a body under the key in the settings."""
        if not self.settings.checksum_key:
            raise SandboxError("No checksum key is set.")
        return sign(self.settings.checksum_key, body)

    def webhook_body(
        self,
        payment_id,
        event=events.RECEIVED,
        *,
        form=None,
        amounts=None,
        signature=None,
        change=None,
    ):
        """Body for a payment as a dict; carries ``checksum`` if a key is set.

        ``form``: current, old, flat. ``amounts``: string, number, decimal.
        ``signature``: body, header, both, none, wrong. ``change`` replaces members of
        ``data`` before signing. What is None follows the settings.
        """
        row = self.payment_rules.get(payment_id)
        return self._compose(row, event, form, amounts, signature, change)[0]

    def _compose(self, row, event, form, amounts, signature, change=None):
        """(body, headers) of a webhook for a payment row."""
        settings = self.settings
        amounts = amounts or settings.webhook_amounts
        data = events.payment_data(row, event, amounts) | (change or {})
        body = events.shape(event, data, form or settings.webhook_form)
        return self._sign(body, signature)

    def _sign(self, body, signature=None):
        wrong = signature == "wrong"
        place = signature
        if place is None or wrong:
            place = self.settings.webhook_signature
        return events.signed(body, self.settings.checksum_key, place, wrong)

    def _announce_payment(self, row, event, deliver=True):
        hits = self.faults.strike("webhook", f"{event} {row['reference']}")
        signature = None
        for kind, place in (
            ("header_signature", "header"),
            ("unsigned", "none"),
            ("wrong_signature", "wrong"),
        ):
            if kind in hits:
                signature = place
        body, headers = self._compose(
            row,
            event,
            hits["old_form"]["form"] if "old_form" in hits else None,
            hits["amount_form"]["form"] if "amount_form" in hits else None,
            signature,
        )
        return self._enqueue(
            event, body, headers, hits, deliver, row["id"], row["reference"]
        )

    def announce(self, event, data=None, deliver=True):
        """Send an event no payment stands behind (deposits, payouts, unknown words).

        Without ``data`` a sample of the event is used. Returns delivery ids.
        """
        data = events.sample(event, self.clock.iso()) if data is None else data
        body, headers = self._sign(events.shape(event, data))
        hits = self.faults.strike("webhook", event)
        ids = self._enqueue(event, body, headers, hits, deliver)
        self.webhooks.kick()
        return ids

    def _enqueue(self, event, body, headers, hits, deliver, payment=None, ref=None):
        keep_back = ""
        if not deliver:
            keep_back = "Lost on request."
        elif "lost" in hits:
            keep_back = "Lost on purpose (fault)."
        delay = hits["late"]["seconds"] if "late" in hits else 0.0
        held = "out_of_order" in hits
        if held:
            delay = max(delay, hits["out_of_order"]["seconds"])
        copies = hits["duplicate"]["copies"] if "duplicate" in hits else 0
        return [
            self.webhooks.add(
                event,
                events.encode(body),
                headers,
                payment,
                ref,
                delay=delay,
                held=held,
                keep_back=keep_back,
            )
            for _ in range(1 + copies)
        ]

    def deliver_pending(self, send=None, everything=False):
        """Send the deliveries that are due; number of attempts.

        ``send(url, body_bytes, headers)`` replaces real HTTP; ``everything=True`` also
        sends what is not due yet.
        """
        return self.webhooks.pump(send, everything)

    def resend(self, delivery_id):
        """Send a delivery again, the very same bytes."""
        self.webhooks.resend(delivery_id)
        return self.delivery(delivery_id)

    # What there is ---------------------------------------------------------

    def number(self, number):
        """One number as a dict, or None."""
        row = self.number_rules.find(number)
        return self.number_rules.record(row) if row else None

    def numbers(self, search=None, limit=None):
        """Numbers as dicts, newest first."""
        where, values = _search(
            search, ("number", "description", "customer_name", "customer_phone")
        )
        rows = self.store.all(
            f"SELECT * FROM number{where} ORDER BY seq DESC LIMIT ?",
            (*values, -1 if limit is None else limit),
        )
        return [self.number_rules.record(row) for row in rows]

    def payments(self, search=None, limit=None):
        """Payments as dicts, newest first."""
        where, values = _search(
            search, ("id", "reference", "receipt", "phone", "payer_name")
        )
        rows = self.store.all(
            f"SELECT * FROM payment{where} ORDER BY seq DESC LIMIT ?",
            (*values, -1 if limit is None else limit),
        )
        return [self.payment_rules.record(row) for row in rows]

    def payment(self, payment_id):
        """One payment as a dict, or SandboxError."""
        return self.payment_rules.record(self.payment_rules.get(payment_id))

    def deliveries(self, state=None, limit=None):
        """Deliveries as dicts, newest first."""
        rows = self.store.all(
            "SELECT * FROM delivery WHERE ? IS NULL OR state=?"
            " ORDER BY id DESC LIMIT ?",
            (state, state, -1 if limit is None else limit),
        )
        return [webhooks.record(row) for row in rows]

    def delivery(self, delivery_id):
        """One delivery as a dict, or SandboxError."""
        return webhooks.record(self.webhooks.get(delivery_id))

    def calls(self, path_prefix=None):
        """API calls as dicts, oldest first."""
        return self.call_log.list(path_prefix)

    def count_calls(self, path_prefix=None, method=None, status=None):
        """How many API calls there were (status None: any)."""
        return self.call_log.count(path_prefix, method, status)

    def counts(self):
        """How much of everything there is."""
        counts = {
            f"{table}s": self.store.value(f"SELECT count(*) FROM {table}")
            for table in ("number", "payment")
        }
        counts["deliveries"] = self.store.value("SELECT count(*) FROM delivery")
        counts["calls"] = self.count_calls()
        return counts

    def balance(self):
        """Money in the account in TZS: settled, after fees and withdraws."""
        return money.number(self.account.balance())

    # Life ------------------------------------------------------------------

    def reset(self):
        """Forget numbers, payments, account, deliveries, tokens, calls and faults."""
        self.store.clear()
        self.faults.clear()
        self.call_log.clear()
        self.clock.reset()

    def close(self):
        """Stop the threads and close the store."""
        self.webhooks.close()
        self.store.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _clock_changed(self, offset):
        self.store.save_setting("clock_offset", offset)
        self.tick()
        self.webhooks.kick()

    def _setting_changed(self, name, old, new):
        switched = name == "checksum_key" and bool(old) != bool(new)
        if switched or name in TOKEN_SETTINGS:
            # A fresh token is needed (ClickPesa API docs, checksum page).
            self.tokens.revoke()
        if name == "settle_after":
            self.webhooks.kick()


def _search(text, columns):
    if not text:
        return "", ()
    parts = " OR ".join(f"instr(upper({column}), ?) > 0" for column in columns)
    return f" WHERE ({parts})", (str(text).upper(),) * len(columns)
