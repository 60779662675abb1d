# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging
from datetime import timezone

import psycopg2.errors

from odoo import api, fields, models
from odoo.exceptions import AccessError, ConcurrencyError, UserError
from odoo.tools import mute_logger

from .. import const
from ..receipts import ENTERED, without_our_names
from ..transactions import CONFLICTS

_logger = logging.getLogger(__name__)


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
    _mail_post_access = "read"
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
        "res.partner",
        string="Customer",
        compute="_compute_partner_id",
        store=True,
        index="btree_not_null",
    )
    move_id = fields.Many2one(
        "account.move",
        string="Invoice",
        compute="_compute_partner_id",
        store=True,
        index="btree_not_null",
    )
    # A person's decision comes before what the digits say.
    matched_partner_id = fields.Many2one("res.partner", readonly=True)
    matched_by_id = fields.Many2one("res.users", readonly=True)
    allocation_ids = fields.One2many(
        "billpay.payment.allocation", "payment_id", readonly=True
    )
    paid_at = fields.Datetime(readonly=True, index=True)
    status = fields.Char(string="ClickPesa Status", readonly=True)
    told_at = fields.Datetime(
        string="ClickPesa's Last Word", readonly=True, help="Its updatedAt."
    )
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

    @api.depends(
        "control_number_id.partner_id",
        "control_number_id.move_id",
        "matched_partner_id",
        "allocation_ids.move_id.partner_id",
        "undone_at",
    )
    def _compute_partner_id(self):
        for payment in self:
            number, chosen = payment.control_number_id, payment.allocation_ids.move_id
            if payment.undone_at or payment.matched_partner_id:
                number = number.browse()
            payment.move_id = chosen[:1] if chosen else number.move_id
            payment.partner_id = (
                payment.matched_partner_id or chosen.partner_id[:1] or number.partner_id
            )

    # === CRUD METHODS === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(
            self.env._(
                "A ClickPesa payment is never deleted: it is money. It stays in the "
                "list, whatever became of it."
            )
        )

    # === THE ONE UPSERT === #

    @api.model
    def _upsert(self, provider, told_list, *, source, trusted):
        """Write payments into the ledger, whoever tells of them.

        :param payment.provider provider: the application they belong to
        :param list told_list: ``clickpesa.Payment`` objects that have an ``id``
        :param str source: "webhook", "query" (asked for this one), "poll", or with a
            person behind it "typed" or "import"
        :param bool trusted: told by ClickPesa itself (a query or a verified
            signature) or by an accountant, not by anybody who knows the webhook
            address
        :return: the rows, in the order of ``told_list``
        :raise ConcurrencyError: another transaction has just stored one of them;
            to be run again on a fresh snapshot
        """
        self = self.sudo()
        entered = source in ENTERED
        if not entered:
            told_list = [without_our_names(told) for told in told_list]
        # A signature says nothing about what other applications hold.
        asked = trusted and source != "webhook"
        owners = {
            told: provider if entered else self._owner(provider, told, asked)
            for told in told_list
        }
        # One application's key says nothing about the money of another.
        believed = {
            told
            for told, owner in owners.items()
            if trusted and (source != "webhook" or owner == provider)
        }
        known = self._find_told(owners, believed, entered)
        now = fields.Datetime.now()
        seen = {"webhook_at" if source == "webhook" else "poll_at": now}
        if entered:
            user = self.env.uid
            seen = {"entered_at": now, "entered_by_id": user, "entered_how": source}
        rows, stored = [], {}
        for told, owner in owners.items():
            payment = stored.get((owner, told.id)) or known.get(told)
            if not payment:
                extra = self._entered_values(told) if entered else {}
                payment = self._insert_told(
                    owner, told, told in believed, {**seen, **extra}
                )
            elif entered:
                payment._update_entered(told, seen)
            else:
                if told in believed:
                    payment._adopt(told)
                payment._update_told(told, told in believed, seen)
            stored[owner, told.id] = payment
            rows.append(payment.id)
        return self.browse(rows)

    @api.model
    def _upsert_each(self, provider, told_list, *, source, trusted):
        """The same, but one payment that cannot be stored stops only itself.

        :return: the rows, and the ids of payments that could not be stored
        :rtype: tuple
        """
        rows, failures = self.browse(), []
        for told in told_list:
            try:
                with self.env.cr.savepoint():
                    rows |= self._upsert(
                        provider, [told], source=source, trusted=trusted
                    )
            except CONFLICTS:
                raise
            except Exception:
                _logger.exception("Payment %s could not be stored.", told.id)
                failures.append(told.id)
        return rows, failures

    @api.model
    def _insert_told(self, provider, told, trusted, seen):
        values = {
            "provider_id": provider.id,
            "reference": told.id,
            **self._facts(told, provider),
            # Only ClickPesa's own word has a date that counts: a forged one far in the
            # future would make every true answer look like old news.
            **({} if trusted else {"told_at": False}),
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
        if trusted and not self._is_old_news(told):
            values.update(self._learn(told))
        elif self.state == "ignored" and not told.is_failed and not self.ignored_by_id:
            # It had failed; somebody says that it came through after all: ask.
            values.update(self._state_told(told, trusted=False))
        elif (
            self.state == "received"
            and told.is_paid
            and told.status != self.status
            and not self._is_old_news(told)
        ):
            # It had not come yet; somebody says that now it has: ask at once.
            values["next_try_at"] = fields.Datetime.now()
        changed = {
            name: value
            for name, value in values.items()
            if (self._fields[name].convert_to_write(self[name], self) or False)
            != (value or False)
        }
        if changed:
            self.write(changed)

    def _is_old_news(self, told):
        """Deliveries may come out of order: a later word of ClickPesa stands."""
        return bool(
            told.updated_at and self.told_at and _naive(told.updated_at) < self.told_at
        )

    def _learn(self, told):
        """Return what a trusted word changes about this payment."""
        if self.state in ("posted", "reversed") or self.account_payment_ids:
            return self._learn_booked(told)
        facts = self._facts(told, self.provider_id)
        same_money = (
            facts["amount"] == self.amount
            and facts["currency_id"] == self.currency_id.id
            and facts["number"] == (self.number or "")
        )
        if self.ignored_by_id:
            return facts
        if self.undone_at and told.is_paid:
            # A person took its match apart: only a person matches it again.
            return facts
        if told.is_paid and same_money:
            if self.state in ("confirmed", "failed"):
                return facts
            if self.state == "unmatched" and not self._find_control_number():
                return facts
        state = self._state_told(told, trusted=True)
        if self.state == state["state"] == "received":
            # It keeps the turn that it was given, else it would be asked without end.
            state.pop("next_try_at")
        return {**facts, **state}

    def _learn_booked(self, told):
        """The books stand; the worker takes out of them what went back afterwards."""
        values = {"status": told.status, "message": told.message}
        if told.updated_at:
            values["told_at"] = _naive(told.updated_at)
        if told.is_paid and self.state == "posted" and self._is_other_amount(told):
            values["attention"] = True
            values["reason"] = self.env._(
                "ClickPesa now tells of %(told)s, but %(booked)s is booked. The books "
                "were not changed: compare with the ClickPesa dashboard, and correct "
                "the entry with the button Payment.",
                told=self.currency_id.format(float(told.amount)),
                booked=self.currency_id.format(self.amount),
            )
        if self.status == told.status:
            return values
        if self.state == "reversed":
            if told.is_paid:
                values["attention"] = True
                values["reason"] = self.env._(
                    "ClickPesa says that this money came after all (%s), but its entry "
                    "is reversed. Compare with the ClickPesa dashboard and book it by "
                    "hand.",
                    told.status,
                )
        elif told.is_reversed or told.is_failed:
            values["attention"] = True
            values["next_try_at"] = fields.Datetime.now()
            values["attempts"] = 0
            values["reason"] = self.env._(
                "ClickPesa took this money back (%s). The entry still stands: reverse "
                "the payment, then the invoice is open again.",
                told.status,
            )
        return values

    def _is_other_amount(self, told):
        """Tell whether another amount than the booked one is told, as news.

        News is ClickPesa's first answer about it, and another status: what a person
        has looked at is not brought up again by each poll.
        """
        return (
            (not self.poll_at or told.status != self.status)
            and told.amount is not None
            and bool(self.currency_id.compare_amounts(float(told.amount), self.amount))
        )

    def _facts(self, told, provider):
        """Return what was told, as field values."""
        currency = self.env["res.currency"]
        if told.currency in ("", const.CURRENCY):
            currency = self.env.ref("base.TZS")
        channel = self.env["billpay.channel"]._find_by_code(
            told.channel, provider.company_id
        )
        return {
            "status": told.status,
            "message": told.message,
            "receipt": told.receipt,
            "number": told.reference,
            "amount": float(told.amount or 0),
            "currency_code": told.currency,
            "currency_id": currency.id,
            "channel_code": told.channel,
            "channel_id": channel.id,
            "payer_name": told.payer_name,
            "payer_phone": told.payer_phone,
            "paid_at": _naive(told.created_at or told.updated_at)
            or self.paid_at
            or fields.Datetime.now(),
            "told_at": _naive(told.updated_at) or self.told_at,
        }

    @api.model
    def _state_told(self, told, trusted):
        """Return the state in which a payment told like this enters the ledger."""
        now = fields.Datetime.now()
        if not trusted and not told.is_failed:
            return {
                "state": "received",
                "reason": self.env._("Waiting for ClickPesa to confirm it."),
                "next_try_at": now,
            }
        if told.is_failed:
            return {
                "state": "ignored",
                "attention": False,
                "reason": self.env._("The payment failed at ClickPesa: no money came."),
                "next_try_at": False,
            }
        if told.is_reversed:
            return {
                "state": "ignored",
                "attention": False,
                "reason": self.env._("ClickPesa gave the money back to the payer."),
                "next_try_at": False,
            }
        if not told.is_paid:
            return {
                "state": "received",
                "reason": self.env._(
                    "ClickPesa has not finished this payment yet (%s).", told.status
                ),
                "next_try_at": now,
            }
        confirmed = {
            "confirmed_at": now,
            "attempts": 0,
            "next_try_at": False,
            "attention": False,
        }
        trouble = self._why_not_bookable(told)
        if trouble:
            return {**confirmed, "state": "unmatched", "reason": trouble}
        return {**confirmed, "state": "confirmed", "reason": False}

    @api.model
    def _why_not_bookable(self, told):
        """Return why a paid payment cannot be booked as it was told, or ""."""
        if told.amount is None or told.amount <= 0:
            return self.env._(
                "ClickPesa gave no amount that can be booked. Compare with the "
                "ClickPesa dashboard and book it by hand."
            )
        if told.currency not in ("", const.CURRENCY):
            return self.env._(
                "ClickPesa reports the currency %s, but control numbers collect TZS. "
                "Nothing was booked: compare with the ClickPesa dashboard.",
                told.currency,
            )
        return ""

    # === ACTION METHODS === #

    def action_process_now(self):
        """Ask again and try again, without waiting for the next turn."""
        self._check_accountant()
        for payment in self.sudo():
            if payment.state not in ("received", "confirmed", "failed", "unmatched"):
                continue
            bookable = (
                payment.confirmed_at and payment.currency_id and payment.amount > 0
            )
            payment.write(
                {
                    "state": "confirmed" if bookable else "received",
                    "next_try_at": False,
                }
            )
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")

    def action_mark_seen(self):
        """A person has looked at what was unusual."""
        self._check_accountant()
        seen = self.filtered("attention").sudo()
        seen.attention = False
        for payment in seen:
            payment._message_log(
                body=self.env._(
                    "Seen by %(user)s: %(reason)s",
                    user=self.env.user.name,
                    reason=payment.reason,
                )
            )

    def _check_accountant(self):
        self.check_access("read")
        if not self.env.user.has_group("account.group_account_invoice"):
            raise AccessError(
                self.env._(
                    "Only people who may make invoices and payments may do this. "
                    "Nothing was changed: ask your accountant."
                )
            )

    def action_view_entries(self):
        """Open what this payment did in the books."""
        self.ensure_one()
        return self.account_payment_ids._get_records_action()
