# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import timezone

import psycopg2.errors

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError, UserError
from odoo.tools import mute_logger

from .. import const


def _naive(moment):
    """Odoo keeps moments in UTC without saying so."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment else False


class BillpayPayment(models.Model):
    """One ClickPesa payment, however it was learned. The money ledger.

    ``reference`` (ClickPesa's ``id``) is unique per application in the database, so a
    payment has one row whoever tells of it first, and how often.
    """

    _name = "billpay.payment"
    _description = "BillPay Payment"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "paid_at desc, id desc"
    _rec_name = "reference"
    _rec_names_search = ["reference", "receipt", "number"]
    _check_company_auto = True

    reference = fields.Char(
        string="ClickPesa ID", required=True, readonly=True, copy=False
    )
    receipt = fields.Char(
        string="Operator Receipt", readonly=True, index="btree_not_null"
    )
    number = fields.Char(
        string="Number as Sent",
        readonly=True,
        index="btree_not_null",
        help="ClickPesa's orderReference: what the payer typed.",
    )
    control_number_id = fields.Many2one(
        "billpay.control.number",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    amount = fields.Monetary(readonly=True, help="In TZS, as ClickPesa collected it.")
    currency_id = fields.Many2one("res.currency", readonly=True)
    currency_code = fields.Char(readonly=True)
    channel_id = fields.Many2one("billpay.channel", readonly=True)
    channel_code = fields.Char(string="Channel as Sent", readonly=True)
    payer_name = fields.Char(readonly=True)
    payer_phone = fields.Char(readonly=True)
    partner_id = fields.Many2one(
        related="control_number_id.partner_id", string="Customer", store=True
    )
    move_id = fields.Many2one(
        related="control_number_id.move_id", string="Invoice", store=True
    )
    paid_at = fields.Datetime(readonly=True, index=True)
    status = fields.Char(string="ClickPesa Status", readonly=True)
    message = fields.Char(string="ClickPesa Message", readonly=True)
    state = fields.Selection(
        [
            ("received", "Received"),
            ("confirmed", "Confirmed"),
            ("posted", "Booked"),
            ("unmatched", "Unmatched"),
            ("failed", "Not Booked Yet"),
            ("ignored", "Ignored"),
            ("reversed", "Reversed"),
        ],
        default="received",
        required=True,
        readonly=True,
        index=True,
        tracking=True,
    )
    reason = fields.Char(
        readonly=True, help="Why it is in this state, and what comes next."
    )
    attention = fields.Boolean(
        readonly=True, help="Booked, but a person should look at it."
    )
    ignored_by_id = fields.Many2one("res.users", readonly=True)
    next_try_at = fields.Datetime(readonly=True)
    attempts = fields.Integer(readonly=True)
    webhook_at = fields.Datetime(string="Announced", readonly=True)
    poll_at = fields.Datetime(string="Seen in Query", readonly=True)
    confirmed_at = fields.Datetime(string="Confirmed", readonly=True)
    posted_at = fields.Datetime(string="Booked On", readonly=True)
    event_ids = fields.One2many("billpay.event", "payment_id", string="Deliveries")
    account_payment_ids = fields.One2many(
        "account.payment", "billpay_payment_id", string="Payments"
    )
    provider_id = fields.Many2one(
        "payment.provider",
        string="Application",
        required=True,
        readonly=True,
        ondelete="restrict",
        index=True,
    )
    company_id = fields.Many2one(
        related="provider_id.company_id", store=True, index=True
    )

    _reference_unique = models.UniqueIndex(
        "(provider_id, reference)",
        "This ClickPesa payment is already in the ledger.",
    )
    _waiting = models.Index("(id) WHERE state IN ('received', 'confirmed', 'failed')")

    # === COMPUTE METHODS === #

    @api.depends("reference", "receipt")
    def _compute_display_name(self):
        for payment in self:
            payment.display_name = payment.receipt or payment.reference

    # === CRUD METHODS === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(
            self.env._(
                "A ClickPesa payment is never deleted: it is money. If it is not "
                "yours, ignore it and give the reason."
            )
        )

    # === THE ONE UPSERT === #

    @api.model
    def _upsert(self, provider, told_list, *, source, trusted):
        """Write payments into the ledger, whoever tells of them.

        :param payment.provider provider: the application they belong to
        :param list told_list: ``clickpesa.Payment`` objects that have an ``id``
        :param str source: "webhook", "query" (asked for this one) or "poll"
        :param bool trusted: told by ClickPesa itself (a query or a verified
            signature), not by anybody who knows the webhook address
        :return: the rows, in the order of ``told_list``
        :raise ConcurrencyError: another transaction has just stored one of them;
            to be run again on a fresh snapshot
        """
        self = self.sudo()
        references = [told.id for told in told_list]
        known = {
            payment.reference: payment
            for payment in self.search(
                [("provider_id", "=", provider.id), ("reference", "in", references)]
            )
        }
        now = fields.Datetime.now()
        rows = self.browse()
        for told in told_list:
            seen = {"webhook_at" if source == "webhook" else "poll_at": now}
            payment = known.get(told.id)
            if payment is None:
                payment = self._insert_told(provider, told, trusted, seen)
                known[told.id] = payment
            else:
                payment._update_told(told, trusted, seen)
            rows |= payment
        return self.browse([known[reference].id for reference in references])

    @api.model
    def _insert_told(self, provider, told, trusted, seen):
        values = {
            "provider_id": provider.id,
            "reference": told.id,
            **self._facts(told),
            **seen,
            **self._state_told(told, trusted),
        }
        try:
            with self.env.cr.savepoint(), mute_logger("odoo.sql_db"):
                return self.with_context(
                    tracking_disable=True, mail_create_nolog=True
                ).create(values)
        except psycopg2.errors.UniqueViolation:
            # Stored a moment ago; our snapshot will never show it.
            raise ConcurrencyError(
                "payment %s was stored by another transaction" % told.id
            ) from None

    def _update_told(self, told, trusted, seen):
        """Learn more of a payment that is already here; never book it again."""
        self.ensure_one()
        values = {name: moment for name, moment in seen.items() if not self[name]}
        settled = self.state in ("posted", "reversed") or self.account_payment_ids
        if trusted:
            values["status"] = told.status
            values["message"] = told.message
        if trusted and told.is_reversed and self.status != told.status:
            values.update(self._reversal_told(told, settled))
        elif not settled and self.state in ("received", "ignored", "unmatched"):
            if trusted:
                values.update(self._facts(told))
            # A failed payment of which somebody says that it came through after all
            # is asked for; what a person ignored stays ignored.
            revived = self.state == "ignored" and not told.is_failed
            if (trusted or revived) and not self.ignored_by_id:
                values.update(self._state_told(told, trusted))
        changed = {
            name: value
            for name, value in values.items()
            if self._fields[name].convert_to_write(self[name], self) != value
        }
        if changed:
            self.write(changed)

    def _facts(self, told):
        """Return what was told, as field values."""
        currency = self.env["res.currency"]
        if told.currency in ("", const.CURRENCY):
            currency = self.env.ref("base.TZS")
        return {
            "status": told.status,
            "message": told.message,
            "receipt": told.receipt,
            "number": told.reference,
            "amount": float(told.amount or 0),
            "currency_code": told.currency,
            "currency_id": currency.id,
            "channel_code": told.channel,
            "channel_id": self.env["billpay.channel"]._find_by_code(told.channel).id,
            "payer_name": told.payer_name,
            "payer_phone": told.payer_phone,
            "paid_at": _naive(told.created_at or told.updated_at)
            or fields.Datetime.now(),
        }

    @api.model
    def _state_told(self, told, trusted):
        """Return the state in which a payment told like this enters the ledger."""
        now = fields.Datetime.now()
        if told.is_failed:
            return {
                "state": "ignored",
                "reason": self.env._("The payment failed at ClickPesa: no money came."),
                "next_try_at": False,
            }
        if told.is_reversed and trusted:
            return {
                "state": "ignored",
                "reason": self.env._("ClickPesa gave the money back to the payer."),
                "next_try_at": False,
            }
        if not trusted or not told.is_paid:
            return {
                "state": "received",
                "reason": self.env._("Waiting for ClickPesa to confirm it."),
                "next_try_at": now,
            }
        confirmed = {"confirmed_at": now, "attempts": 0, "next_try_at": False}
        if told.amount is None or told.amount <= 0:
            return {
                **confirmed,
                "state": "unmatched",
                "reason": self.env._(
                    "ClickPesa gave no amount that can be booked. Compare with the "
                    "ClickPesa dashboard and book it by hand."
                ),
            }
        if told.currency not in ("", const.CURRENCY):
            return {
                **confirmed,
                "state": "unmatched",
                "reason": self.env._(
                    "ClickPesa reports the currency %s, but control numbers collect "
                    "TZS. Nothing was booked: compare with the ClickPesa dashboard.",
                    told.currency,
                ),
            }
        return {**confirmed, "state": "confirmed", "reason": False}

    def _reversal_told(self, told, settled):
        """The money went back after we had learned of the payment."""
        if not settled:
            return {**self._state_told(told, True), **self._facts(told)}
        return {
            "attention": True,
            "reason": self.env._(
                "ClickPesa took this money back (%s). The entry still stands: reverse "
                "the payment, then the invoice is open again.",
                told.status,
            ),
        }

    # === ACTION METHODS === #

    def action_process_now(self):
        """Ask again and try again, without waiting for the next turn."""
        self.check_access("write")
        waiting = self.filtered(
            lambda p: p.state in ("received", "confirmed", "failed", "unmatched")
        ).sudo()
        now = fields.Datetime.now()
        for payment in waiting:
            values = {"next_try_at": now}
            if payment.state in ("unmatched", "failed"):
                # Asking ClickPesa once more also picks up what was corrected there.
                values["state"] = "received"
            payment.write(values)
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")

    def action_view_entries(self):
        """Open what this payment did in the books."""
        self.ensure_one()
        return self.account_payment_ids._get_records_action()
