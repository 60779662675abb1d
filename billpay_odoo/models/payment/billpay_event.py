# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import hashlib
import logging
import re
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple

from odoo import api, fields, models, tools
from odoo.exceptions import UserError
from odoo.tools import SQL

from ...clickpesa import parse_notification
from ...throttle import Allowance
from ...transactions import CONFLICTS
from ..provider.billpay_numbering import DELIVERED
from ..provider.payment_provider import ADDRESS_FIELDS, accepted_keys

_logger = logging.getLogger(__name__)

# A delivery is about one kilobyte. Of refused ones so much is kept, and so much of all
# of a day (characters).
KEPT_OF_BODY, KEPT_OF_DAY = 8192, 65536
# So many deliveries of 24 hours without a signature may have come to nothing; beyond so
# many about one payment, each is such a one.
UNPROVEN_OF_DAY, OF_ONE_PAYMENT = 200, 4
_NUL = "\x00"
# Where there is no room for deliveries the poll looks this often (seconds).
POLL_AGAIN = 30
# Another one after every change of the row, whoever made it, also by SQL. It stands
# for the secrets, which are not written into statements (and so into logs).
ROW_VERSION = "provider.xmin::text || provider.ctid::text"
# Plain SQL, and all in one statement: this is the webhook's only work of note. Nothing
# is stored where the application has changed. Nor is a delivery without signature where
# too many have come to nothing: the row it returns then has no id.
INSERT = (
    """
    WITH provider AS (
        SELECT id FROM payment_provider AS provider
         WHERE id = %%(provider_id)s
           AND (%%(version)s IS NULL OR %s = %%(version)s)
    ), crowd AS (
        SELECT FROM provider
         WHERE NOT %%(signed)s AND %%(unproven)s <= (
               SELECT count(*) FROM (
                  (SELECT FROM billpay_event AS event
                    WHERE event.provider_id = provider.id AND signed IS NOT TRUE
                      AND state IN ('new', 'failed', 'logged')
                      AND received_at > %%(now)s - interval '1 day'
                    LIMIT %%(unproven)s)
                  UNION ALL
                  (SELECT FROM billpay_payment AS payment
                    WHERE payment.provider_id = provider.id AND state = 'received'
                      AND create_date > %%(now)s - interval '1 day'
                    LIMIT %%(unproven)s)) AS rows)
           AND NOT EXISTS (
               SELECT FROM billpay_event
                WHERE provider_id = %%(provider_id)s AND digest = %%(digest)s)
    ), stored AS (
        INSERT INTO billpay_event
                    (provider_id, company_id, state, event, signed, old_key, body,
                     digest, reason, remote_addr, times, received_at, last_received_at)
        SELECT %%(provider_id)s, %%(company_id)s, %%(state)s, %%(event)s, %%(signed)s,
               %%(old_key)s, %%(body)s, %%(digest)s, %%(reason)s, %%(remote_addr)s,
               %%(times)s, %%(now)s, %%(now)s
          FROM provider
         WHERE NOT EXISTS (SELECT FROM crowd)
        ON CONFLICT (provider_id, digest) DO UPDATE
           SET times = billpay_event.times + EXCLUDED.times,
               last_received_at = EXCLUDED.last_received_at,
               body = CASE WHEN EXCLUDED.state = 'quarantine'
                            AND length(billpay_event.body) < %%(room)s
                           THEN billpay_event.body || E'\n' || EXCLUDED.body
                           ELSE billpay_event.body END
        RETURNING id, times, state
    )
    SELECT id, times = %%(times)s, state = 'new',
           NOT EXISTS (
               SELECT FROM billpay_event WHERE state = 'new' AND id < stored.id
           )
      FROM stored
     UNION ALL SELECT NULL, FALSE, FALSE, FALSE FROM crowd
"""
    % ROW_VERSION
)
EMPTY = dict.fromkeys(("event", "body", "reason", "remote_addr", "version"))
EMPTY.update(signed=False, old_key=False, times=1, unproven=None)


class Stored(NamedTuple):
    """What became of a delivery.

    ``id``: none where there was no room for it. ``first``: it is the first of its kind.
    ``waiting``: the worker has not read it yet. ``alone``: no delivery before it waits,
    as far as this transaction can see.
    """

    id: int | None
    first: bool
    waiting: bool
    alone: bool


_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,64}")


@dataclass(frozen=True)
class Address:
    """What a delivery to one webhook address needs; ``version`` as of ROW_VERSION."""

    provider_id: int
    company_id: int
    version: str
    key: str = field(repr=False)
    # Replaced ones that still count, each until when.
    old_keys: tuple = field(repr=False, default=())


@dataclass(frozen=True)
class _Addresses:
    read_at: float
    webhook: dict = field(repr=False)
    health: dict = field(repr=False)


class BillpayEvent(models.Model):
    """One webhook delivery as it came, with its verdict: the audit log.

    A repeat (same body, same verdict) counts up on the same row. Refused ones share a
    row per application and day, so that they never stand in the way of the true one.
    """

    _name = "billpay.event"
    _description = "BillPay Webhook Delivery"
    _order = "id desc"
    _rec_name = "event"
    _kept_of_day = KEPT_OF_DAY
    _unproven_of_day = UNPROVEN_OF_DAY
    # Statements for refused deliveries, per application and process.
    _write_allowance = Allowance(burst=1, per_second=1)
    # Polls that are to find what there was no room for.
    _poll_allowance = Allowance(burst=1, per_second=1 / POLL_AGAIN)
    # Lines in the log: one per minute.
    _log_allowance = Allowance(burst=1, per_second=1 / 60)
    # Rows of one run of the vacuum.
    _vacuum_batch = 1000
    # How long an unknown address is believed to be unknown (seconds). Odoo notifies
    # every process of a change; this is for a change that was missed.
    _unknown_for = 60

    provider_id = fields.Many2one(
        "payment.provider",
        string="Application",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="provider_id.company_id", store=True)
    state = fields.Selection(
        [
            ("new", "Waiting"),
            ("done", "Processed"),
            ("logged", "Noted"),
            ("failed", "Not Understood"),
            ("quarantine", "Quarantine"),
        ],
        required=True,
        readonly=True,
        help="Noted: an event that moves no customer's money. Quarantine: deliveries "
        "of a day whose signature is missing or wrong. Odoo ignores them.",
    )
    event = fields.Char(readonly=True)
    signed = fields.Boolean(string="Valid Signature", readonly=True)
    old_key = fields.Boolean(
        string="Replaced Key",
        readonly=True,
        help="Signed with a checksum key that was replaced on the application, and is "
        "still accepted.",
    )
    body = fields.Text(
        readonly=True, groups="billpay_odoo.group_billpay_manager", prefetch=False
    )
    digest = fields.Char(required=True, readonly=True)
    times = fields.Integer(string="Deliveries", default=1, readonly=True)
    received_at = fields.Datetime(required=True, readonly=True)
    last_received_at = fields.Datetime(required=True, readonly=True)
    remote_addr = fields.Char(
        string="Sent From", readonly=True, groups="billpay_odoo.group_billpay_manager"
    )
    reason = fields.Char(readonly=True)
    payment_id = fields.Many2one(
        "billpay.payment", readonly=True, index="btree_not_null", ondelete="set null"
    )
    reduced_at = fields.Datetime(
        string="Contents Removed",
        readonly=True,
        help="Body and sender are kept for the time that the settings say.",
    )

    _identity_unique = models.UniqueIndex("(provider_id, digest)")
    _waiting = models.Index("(id) WHERE state = 'new'")
    # Digits that a delivery names are not given out, whatever becomes of it.
    _delivered = models.Index(f"(({DELIVERED})) WHERE state IN ('new', 'failed')")
    _old_key = models.Index("(provider_id) WHERE old_key")
    _accepted = models.Index(
        "(provider_id, last_received_at) WHERE state <> 'quarantine'"
    )
    _unproven = models.Index(
        "(provider_id, received_at)"
        " WHERE signed IS NOT TRUE AND state IN ('new', 'failed', 'logged')"
    )
    _troubled = models.Index(
        "(provider_id, received_at) WHERE state IN ('failed', 'quarantine')"
    )
    _to_reduce = models.Index(
        "(company_id, last_received_at)"
        " WHERE state IN ('done', 'logged') AND reduced_at IS NULL"
    )

    # === RECEIVING === #

    @api.model
    def _store_delivery(
        self, provider, raw, notification, *, signed, version=None, **extra
    ):
        """Store a delivery for the worker, or count its repeat, in one statement.

        Two equal deliveries at one moment conflict; Odoo then replays the later one,
        which counts up.

        :param provider: the application, or the ``Address`` a delivery came to
        :param bool signed: whether a signature was verified
        :param str version: store it only while the application is in this state
        :return: :class:`Stored`, without id where too many without signature are
            unproven; ``None`` when the application has changed
        """
        verdict = b"accepted signed" if signed else b"accepted"
        return self._insert(
            {
                **self._owner_values(provider),
                "state": "new",
                "event": notification.event or None,
                "signed": signed,
                "body": self._body_text(raw),
                "digest": hashlib.sha256(verdict + b"\n" + raw).hexdigest(),
                "version": version,
                "unproven": self._unproven_of_day,
                **extra,
            }
        )

    @api.model
    def _body_text(self, raw):
        return raw.decode("utf-8", "replace").replace(_NUL, "")

    @api.model
    def _owner_values(self, provider):
        if isinstance(provider, models.BaseModel):
            return {"provider_id": provider.id, "company_id": provider.company_id.id}
        return {"provider_id": provider.provider_id, "company_id": provider.company_id}

    @api.model
    def _insert(self, values):
        """Insert a row, or add to the count of the row with this digest."""
        room = {"room": self._kept_of_day, "now": fields.Datetime.now()}
        self.env.cr.execute(INSERT, {**EMPTY, **room, **values})
        row = self.env.cr.fetchone()
        self.invalidate_model()
        return Stored(*row) if row else None

    @api.model
    def _needs_waking(self, stored):
        """Tell whether the worker has to be woken for a delivery that is committed.

        Not when an older one waits: the worker looks again after its own commit, and
        then sees ours. The oldest one always wakes the worker. That holds only for a
        look after our commit.
        """
        self.env.cr.execute(
            "SELECT EXISTS (SELECT FROM billpay_event WHERE state = 'new' AND id < %s)",
            (stored.id,),
        )
        return not self.env.cr.fetchone()[0]

    # === PROCESSING === #

    def _process(self):
        """Turn stored deliveries into payments of the ledger; return those touched."""
        payments = self.env["billpay.payment"]
        for event in self:
            try:
                with self.env.cr.savepoint():
                    # What is stored was parsed before; other bytes fail here.
                    notification = parse_notification(event.body.encode())
                    payments |= event._process_notification(notification)
            except CONFLICTS:
                raise
            except Exception as error:
                if not isinstance(error, ValueError):
                    _logger.exception("Delivery %s could not be processed.", event.id)
                reason = self.env._(
                    "This delivery could not be read. The next poll imports any "
                    "payment it reported."
                )
                event.write({"state": "failed", "reason": reason})
        return payments

    def _process_notification(self, notification):
        payments = self.env["billpay.payment"]
        told, state = notification.payment, None
        if notification.event.startswith(("PAYOUT", "DEPOSIT")):
            state = "logged"
            reason = self.env._("Not a customer's payment: nothing to book.")
        elif not told.id:
            state = "failed"
            reason = self.env._(
                "The delivery names no payment. The next poll imports any payment it "
                "reported."
            )
        if state:
            self.write({"state": state, "reason": reason})
            return payments
        if not self.signed:
            # Anybody may name the application of another company.
            told = replace(told, client_id="")
        trusted = (
            self.signed
            and not notification.duplicate_keys
            and self.provider_id.clickpesa_confirmation == "signature"
            # Others may know a key that was replaced: ask where that is possible.
            and not (self.old_key and self.provider_id._billpay_can_ask())
        )
        payment = payments.env["billpay.ledger"]._upsert(
            self.provider_id, [told], source="webhook", trusted=trusted
        )
        values = {"state": "done", "payment_id": payment.id, "reason": False}
        if not self.signed:
            # Any number of them can be made up about one payment.
            others = [("payment_id", "in", payment.ids), ("id", "!=", self.id)]
            if self.search_count(others, limit=OF_ONE_PAYMENT) >= OF_ONE_PAYMENT:
                values["state"] = "logged"
                values["reason"] = self.env._(
                    "Without a signature, and the payment was reported before. "
                    "ClickPesa is asked about it."
                )
        self.write(values)
        return payment

    def action_replay(self):
        """Process accepted deliveries once more; a payment is never booked twice."""
        self.check_access("read")
        self.env.user._billpay_check("manage")
        events = self.filtered(lambda e: e.state in ("done", "failed", "logged"))
        if events.filtered("reduced_at"):
            raise UserError(
                self.env._(
                    "The contents of this delivery were removed when it was old "
                    "enough, so it cannot be processed again. What it reported is on "
                    "its payment; no money is affected. To ask ClickPesa anew, use Ask "
                    "for Payments Now on the application."
                )
            )
        events.sudo().write({"state": "new", "reason": False})
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")

    # === BUSINESS METHODS === #

    @api.model
    def _quarantine(self, address, token, raw, notification, *, remote_addr):
        """Keep or count a delivery whose signature is missing or wrong.

        :param str token: of the address
        :return: ``None``; or the new :class:`Address` of an application that was
            changed meanwhile: the signature is then to be verified again
        """
        key = self.env.cr.dbname, address.provider_id
        count = self._write_allowance.take(key)
        if count:
            fresh = self._find_address(token, fresh=True)
            if fresh and (fresh.key, fresh.old_keys) != (address.key, address.old_keys):
                self._write_allowance.give_back(key, count - 1)
                return fresh
            self._count_again(key, count)
            self._keep_refused(address, raw, notification, count, remote_addr)
        self._log_refused(address)
        return None

    @api.model
    def _count_unproven(self, address, raw, notification, *, remote_addr):
        """Count a delivery that nobody has signed and that there is no room for.

        If it is true, the poll finds its payment: it looks now, and once more for those
        that come until it may be woken again.
        """
        key = self.env.cr.dbname, address.provider_id
        if count := self._write_allowance.take(key):
            self._count_again(key, count)
            self._keep_refused(
                address, raw, notification, count, remote_addr, unproven=True
            )
        if self._poll_allowance.take(key):
            later = fields.Datetime.now() + timedelta(seconds=POLL_AGAIN)
            for moment in (None, later):
                self.env["payment.provider"]._billpay_trigger(
                    "ir_cron_poll_payments", at=moment
                )
        self._log_refused(address)

    def _count_again(self, key, count):
        """Let a replay of this request, or the next one, count these once more."""
        again = self._write_allowance.give_back
        self.env.cr.postrollback.add(lambda: again(key, count - 1))

    @api.model
    def _log_refused(self, address):
        key = self.env.cr.dbname, address.provider_id
        if unlogged := self._log_allowance.take(key):
            _logger.warning(
                "Application %s: %s deliveries with a missing or wrong signature were "
                "refused since the last line like this.",
                address.provider_id,
                unlogged,
            )

    @api.model
    def _keep_refused(
        self, address, raw, notification, count, remote_addr, unproven=False
    ):
        """Count refused deliveries on the row of the day (UTC), in one statement.

        The first bodies of the day are kept on it, each after its sender's address.

        :param bool unproven: nobody has signed them, and there was no room for them
        """
        company = self.env["res.company"].browse(address.company_id)
        env = self.with_context(lang=company.partner_id.lang).env
        reason = env._(
            "The signature is missing or wrong. If ClickPesa sent these deliveries, "
            "the poll finds the payments."
        )
        if unproven:
            reason = env._(
                "Too many deliveries of 24 hours have no signature and no payment at "
                "ClickPesa, so these were counted only. If ClickPesa sent them, the "
                "poll finds the payments. Set a checksum key."
            )
        self._insert(
            {
                **self._owner_values(address),
                "state": "quarantine",
                "event": notification.event or None,
                "body": f"{remote_addr} {self._body_text(raw[:KEPT_OF_BODY])}",
                "times": count,
                "digest": "quarantine %s%s"
                % (fields.Date.today(), " unproven" if unproven else ""),
                "reason": reason,
                "remote_addr": remote_addr,
            }
        )

    @api.autovacuum
    def _gc_old_deliveries(self):
        """Reduce a batch of deliveries that are old enough.

        Never one that waits or that was not understood: a person has not settled it.
        """
        done, room, now = 0, self._vacuum_batch, fields.Datetime.now()
        reduced = {"body": False, "remote_addr": False, "reduced_at": now}
        companies = self.env["res.company"].search([("billpay_event_days", ">", 0)])
        for company in companies:
            before = now - timedelta(days=company.billpay_event_days)
            for states in (("done", "logged"), ("quarantine",)):
                domain = [
                    ("company_id", "=", company.id),
                    ("last_received_at", "<", before),
                    ("state", "in", states),
                    ("reduced_at", "=", False),
                ]
                events = self.search(domain, limit=room, order="id")
                # A repeat that comes at this moment holds its row: that one is new.
                events = events.try_lock_for_update()
                if "quarantine" in states:
                    events.unlink()
                else:
                    events.write(reduced)
                done += len(events)
                room -= len(events)
                if not room:
                    return done, True
        return done, False

    @api.model
    def _count_replaced_key(self, provider, since):
        """Return how many deliveries a replaced checksum key has signed."""
        domain = [
            ("provider_id", "in", provider.ids),
            ("old_key", "=", True),
            ("last_received_at", ">=", since),
        ]
        [[times]] = self.sudo()._read_group(domain, aggregates=["times:sum"])
        return times

    def _find_address(self, token, fresh=False, kind="webhook"):
        """Return the ``Address`` of the application with this token, or ``None``.

        An unknown token costs no query, unless ``fresh``: anybody can send one.

        :param str kind: whose token it is, "webhook" or "health"
        """
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            return None
        # Looked up by digest, so that the time it takes tells nothing of the token.
        digest = hashlib.sha256(token.encode()).digest()
        known = self._addresses()
        if not fresh:
            if address := getattr(known, kind).get(digest):
                return address
            fresh = time.monotonic() - known.read_at > self._unknown_for
        if fresh:
            known = self._read_addresses()
            type(self)._addresses.__cache__.add_value(self, cache_value=known)
        return getattr(known, kind).get(digest)

    @tools.ormcache()
    def _addresses(self):
        # The one key of this cache holds no token: Odoo may log keys.
        return self._read_addresses()

    def _read_addresses(self):
        self.env["payment.provider"].flush_model(ADDRESS_FIELDS)
        rows = self.env.execute_query(
            SQL(
                """
                    SELECT id, company_id, %s, COALESCE(clickpesa_checksum_key, ''),
                           clickpesa_old_checksum_keys, clickpesa_old_key_hours,
                           clickpesa_webhook_token, clickpesa_health_token
                      FROM payment_provider AS provider
                     WHERE code = 'clickpesa'
                    """,
                SQL(ROW_VERSION),
            )
        )
        found = _Addresses(read_at=time.monotonic(), webhook={}, health={})
        for *values, replaced, hours, webhook, health in rows:
            kept = accepted_keys(replaced, hours) if replaced else ()
            address = Address(*values, kept)
            for known, token in ((found.webhook, webhook), (found.health, health)):
                if token:
                    known[hashlib.sha256(token.encode()).digest()] = address
        return found
