# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import hashlib
import logging
from typing import NamedTuple

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..clickpesa import parse_notification
from ..transactions import CONFLICTS
from .payment_provider_webhook import ROW_VERSION

_logger = logging.getLogger(__name__)

_NUL = "\x00"

# Plain SQL, and all in one statement: this is the webhook's only work of note.
INSERT = (
    """
    WITH stored AS (
        INSERT INTO billpay_event
                    (provider_id, company_id, state, event, signed, body, digest,
                     reason, remote_addr, times, received_at, last_received_at)
        SELECT %%(provider_id)s, %%(company_id)s, %%(state)s, %%(event)s, %%(signed)s,
               %%(body)s, %%(digest)s, %%(reason)s, %%(remote_addr)s, %%(times)s,
               %%(now)s, %%(now)s
          FROM payment_provider AS provider
         WHERE provider.id = %%(provider_id)s
           AND (%%(version)s IS NULL OR %s = %%(version)s)
        ON CONFLICT (provider_id, digest) DO UPDATE
           SET times = billpay_event.times + EXCLUDED.times,
               last_received_at = EXCLUDED.last_received_at
        RETURNING id, times, state
    )
    SELECT id, times = %%(times)s, state = 'new',
           NOT EXISTS (
               SELECT FROM billpay_event WHERE state = 'new' AND id < stored.id
           )
      FROM stored
"""
    % ROW_VERSION
)
EMPTY = {
    **dict.fromkeys(("event", "body", "reason", "remote_addr", "version")),
    "signed": False,
    "times": 1,
}


class Stored(NamedTuple):
    """What became of a delivery.

    ``first``: it is the first of its kind. ``waiting``: the worker has not read it yet.
    ``alone``: no delivery before it waits, as far as this transaction can see.
    """

    id: int
    first: bool
    waiting: bool
    alone: bool


class BillpayEvent(models.Model):
    """One webhook delivery as it came, with its verdict. The audit log.

    The identity of a delivery is its body and its verdict: a repeat counts up on the
    same row, and a quarantined copy can never stand in the way of the true one.
    """

    _name = "billpay.event"
    _description = "BillPay Webhook Delivery"
    _order = "id desc"
    _rec_name = "event"

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
        help="Noted: an event that moves no customer's money. Quarantine: the "
        "signature is missing or wrong, so nothing was done with it.",
    )
    event = fields.Char(readonly=True)
    signed = fields.Boolean(string="Valid Signature", readonly=True)
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
    _accepted = models.Index(
        "(provider_id, last_received_at) WHERE state <> 'quarantine'"
    )
    _troubled = models.Index(
        "(provider_id, received_at) WHERE state IN ('failed', 'quarantine')"
    )

    # === RECEIVING === #

    @api.model
    def _store_delivery(
        self, provider, raw, notification, *, state, signed, version=None, **extra
    ):
        """Store a delivery, or count its repeat, in one statement.

        Two equal deliveries at one moment conflict; Odoo then replays the later one,
        which counts up.

        :param provider: the application, or the ``Address`` a delivery came to
        :param bytes raw: the body
        :param notification: what was parsed of it
        :param str state: "new" or "quarantine"
        :param bool signed: whether a signature was verified
        :param str version: store it only while the application is in this state
        :return: ``None`` when the application has changed
        :rtype: Stored | None
        """
        verdict = b"quarantine" if state == "quarantine" else b"accepted"
        if signed:
            verdict += b" signed"
        return self._insert(
            {
                **self._owner_values(provider),
                "state": state,
                "event": notification.event or None,
                "signed": signed,
                "body": raw.decode("utf-8", "replace").replace(_NUL, ""),
                "digest": hashlib.sha256(verdict + b"\n" + raw).hexdigest(),
                "version": version,
                **extra,
            }
        )

    @api.model
    def _owner_values(self, provider):
        if isinstance(provider, models.BaseModel):
            return {"provider_id": provider.id, "company_id": provider.company_id.id}
        return {
            "provider_id": provider.provider_id,
            "company_id": provider.company_id,
        }

    @api.model
    def _insert(self, values):
        """Insert a row, or add to the count of the row with this digest.

        :return: ``None`` when the application is not in the state ``version``
        :rtype: Stored | None
        """
        now = fields.Datetime.now()
        self.env.cr.execute(INSERT, {**EMPTY, **values, "now": now})
        row = self.env.cr.fetchone()
        self.invalidate_model()
        return Stored(*row) if row else None

    @api.model
    def _needs_waking(self, stored):
        """Tell whether the worker has to be woken for a delivery that is committed.

        Not when an older one waits: whoever works that one off looks again after its
        own commit, and then sees ours. The oldest one always wakes the worker, so
        every chain of deliveries that rely on an older one ends at a wake-up.

        That holds only for a look after our commit. Before it, the worker could have
        had its last look already, without seeing us.
        """
        self.env.cr.execute(
            "SELECT EXISTS (SELECT FROM billpay_event WHERE state = 'new' AND id < %s)",
            (stored.id,),
        )
        return not self.env.cr.fetchone()[0]

    # === PROCESSING === #

    def _process(self):
        """Turn stored deliveries into payments of the ledger.

        :return: the payments that were touched
        """
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
                event.write(
                    {
                        "state": "failed",
                        "reason": self.env._(
                            "This delivery could not be understood. If money was "
                            "meant, the poll finds it at ClickPesa."
                        ),
                    }
                )
        return payments

    def _process_notification(self, notification):
        self.ensure_one()
        payments = self.env["billpay.payment"]
        told = notification.payment
        if notification.event.startswith(("PAYOUT", "DEPOSIT")):
            self.write(
                {
                    "state": "logged",
                    "reason": self.env._("Not a customer's payment: nothing to book."),
                }
            )
            return payments
        if not told.id:
            self.write(
                {
                    "state": "failed",
                    "reason": self.env._(
                        "The delivery names no payment. If money was meant, the next "
                        "poll finds it at ClickPesa."
                    ),
                }
            )
            return payments
        trusted = (
            self.signed
            and not notification.duplicate_keys
            and self.provider_id.clickpesa_confirmation == "signature"
        )
        payment = payments._upsert(
            self.provider_id, [told], source="webhook", trusted=trusted
        )
        self.write({"state": "done", "payment_id": payment.id, "reason": False})
        return payment

    def action_replay(self):
        """Process accepted deliveries once more; a payment is never booked twice."""
        if not self.env.user.has_group("billpay_odoo.group_billpay_manager"):
            raise AccessError(
                self.env._("Only a BillPay manager may process deliveries again.")
            )
        events = self.filtered(
            lambda event: event.state in ("done", "failed", "logged")
        )
        if events.filtered("reduced_at"):
            raise UserError(
                self.env._(
                    "The contents of this delivery were removed when it was old "
                    "enough, so it cannot be processed again. What it told is on its "
                    "payment; no money is affected. To ask ClickPesa anew, use Ask "
                    "for Payments Now on the application."
                )
            )
        events.sudo().write({"state": "new", "reason": False})
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
