# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import hashlib
import logging

from odoo import api, fields, models
from odoo.exceptions import AccessError
from odoo.tools import SQL

from ..clickpesa import parse_notification
from ..transactions import CONFLICTS

_logger = logging.getLogger(__name__)

# Bodies are kept whole: a delivery is at most MAX_DELIVERY_BYTES.
_NUL = "\x00"


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
        index=True,
    )
    company_id = fields.Many2one(
        related="provider_id.company_id", store=True, index=True
    )
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

    _identity_unique = models.UniqueIndex("(provider_id, digest)")
    _waiting = models.Index("(id) WHERE state = 'new'")

    @api.model
    def _store_delivery(self, provider, raw, notification, *, state, signed, **extra):
        """Store a delivery, or count its repeat, in one statement.

        Two equal deliveries at one moment conflict; Odoo then replays the later one,
        which counts up.

        :param bytes raw: the body
        :param notification: what was parsed of it
        :param str state: "new" or "quarantine"
        :param bool signed: whether a signature was verified
        :return: whether it is the first of its kind
        :rtype: bool
        """
        verdict = b"quarantine" if state == "quarantine" else b"accepted"
        if signed:
            verdict += b" signed"
        values = {
            "provider_id": provider.id,
            "company_id": provider.company_id.id,
            "state": state,
            "event": notification.event or None,
            "signed": signed,
            "body": raw.decode("utf-8", "replace").replace(_NUL, ""),
            "digest": hashlib.sha256(verdict + b"\n" + raw).hexdigest(),
            "times": 1,
            "received_at": fields.Datetime.now(),
            "last_received_at": fields.Datetime.now(),
            **extra,
        }
        names = list(values)
        [(first,)] = self.env.execute_query(
            SQL(
                """
                INSERT INTO billpay_event (%s) VALUES %s
                ON CONFLICT (provider_id, digest) DO UPDATE
                   SET times = billpay_event.times + 1,
                       last_received_at = EXCLUDED.last_received_at
                RETURNING times = 1
                """,
                SQL(", ").join(map(SQL.identifier, names)),
                tuple(values[name] for name in names),
            )
        )
        self.invalidate_model()
        return first

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
        events.sudo().write({"state": "new", "reason": False})
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
