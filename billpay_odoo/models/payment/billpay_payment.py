# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import datetime, timedelta
from typing import NamedTuple

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import LockError, UserError
from odoo.fields import Domain
from odoo.tools import format_datetime

from ... import money
from ...actions import dialog, window
from ...clickpesa.values import is_gone, is_paid
from ...exceptions import ForbiddenMove
from ...identity import payment_keys
from ...transactions import pause_after
from ..provider.billpay_numbering import PAID


class State(NamedTuple):
    """The states a payment may come from, and the values with which it starts."""

    origins: tuple
    resets: dict


NEW = None
# Money that is not in the books, or not any more.
UNBOOKED = ("received", "confirmed", "unmatched", "failed", "ignored")
QUIET = {"attention": False, "next_try_at": False, "warned": False}
# The only moves there are; docs/architecture.rst says what each state means.
STATES = {
    "received": State((NEW, *UNBOOKED), {}),
    "confirmed": State((NEW, *UNBOOKED), {**QUIET, "attempts": 0}),
    "posted": State(("confirmed", "failed", "posted", "reversed"), QUIET),
    "unmatched": State(
        (NEW, *UNBOOKED, "posted"), {**QUIET, "attempts": 0, "posted_at": False}
    ),
    "failed": State(("confirmed", "failed"), {}),
    "ignored": State((NEW, *UNBOOKED), QUIET),
    "reversed": State(("posted",), {**QUIET, "attempts": 0}),
}
# Money that ClickPesa has not settled: when it is asked again, at the earliest.
UNSETTLED = timedelta(days=3)
# The columns of the desk, from the left.
DESK_ORDER = "unmatched failed received confirmed posted ignored reversed".split()
STEP = Markup(
    '<tr><td class="text-muted text-nowrap pe-3 align-top">%s</td>'
    '<td class="pe-2 align-top"><i class="fa %s" role="img"></i></td><td>%s</td></tr>'
)
# Babel's pattern; names of months come in the reader's language.
MOMENT = "d MMM y HH:mm:ss"
GREY, GREEN, AMBER = "text-muted", "text-success", "text-warning"


class BillpayPayment(models.Model):
    """One ClickPesa payment, however it was learned. The money ledger.

    ``reference`` (ClickPesa's ``id``) is unique per merchant in the database, so a
    payment has one row whichever application hears of it first, and how often.
    """

    _name = "billpay.payment"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _description = "BillPay Payment"
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
    paid_at_told = fields.Datetime(
        string="Paid At as Sent",
        readonly=True,
        help="The reported moment, where it cannot be true. The moment at which Odoo "
        "received the payment is used instead.",
    )
    is_early = fields.Boolean(
        string="Before Go-Live",
        compute="_compute_is_early",
        search="_search_is_early",
        compute_sudo=True,
        help="Paid before the application books payments: only a person books it.",
    )
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
        group_expand="_group_expand_state",
    )
    reason = fields.Char(
        readonly=True, help="Reason for the current state, and the next step."
    )
    attention = fields.Boolean(readonly=True, help="Needs review.")
    # The sentences of the reason that end with their cause, by the name of that.
    warned = fields.Json(readonly=True, copy=False, groups=fields.NO_ACCESS)
    ignored_by_id = fields.Many2one("res.users", readonly=True)
    next_try_at = fields.Datetime(readonly=True)
    attempts = fields.Integer(readonly=True)
    ask_at = fields.Datetime(
        string="Next Question",
        readonly=True,
        help="When ClickPesa is asked whether what it reported still holds.",
    )
    # For questions that deliveries without proof lead to: anybody may send them.
    asked_at = fields.Datetime(readonly=True)
    asks = fields.Integer(readonly=True)
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
    # In the INSERT already, where the unique index needs it.
    merchant = fields.Integer(
        related="provider_id.billpay_merchant", store=True, precompute=True
    )
    company_id = fields.Many2one(
        related="provider_id.company_id", store=True, index=True, precompute=True
    )
    transaction_id = fields.Many2one(
        "payment.transaction",
        string="Checkout",
        related="control_number_id.transaction_id",
        store=True,
        index="btree_not_null",
    )
    matched_at = fields.Datetime(string="Matched by Hand", readonly=True)
    ignored_at = fields.Datetime(string="Put Aside", readonly=True)
    ignored_why = fields.Char(string="Why It Was Put Aside", readonly=True)
    salesperson_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        related="move_id.invoice_user_id",
        store=True,
        tracking=False,
        index="btree_not_null",
    )
    credit_open = fields.Monetary(
        string="Open Credit",
        compute="_compute_credit_open",
        compute_sudo=True,
        help="Booked, but not yet used for an invoice.",
    )
    quarantine_count = fields.Integer(compute="_compute_quarantine_count")
    entered_at = fields.Datetime(string="Entered", readonly=True)
    entered_by_id = fields.Many2one("res.users", readonly=True)
    entered_how = fields.Selection(
        [("typed", "Typed from a receipt"), ("import", "Imported from a spreadsheet")],
        string="Entered From",
        readonly=True,
    )
    confirmed_by_id = fields.Many2one(
        "res.users",
        readonly=True,
        help="User who confirmed the payment. Empty if ClickPesa confirmed it.",
    )
    provisional = fields.Boolean(
        readonly=True,
        help="Entered from a receipt; not yet reported by ClickPesa.",
    )
    receipt_key = fields.Char(
        compute="_compute_receipt_key",
        store=True,
        precompute=True,
        index="btree_not_null",
    )
    reference_key = fields.Char(
        compute="_compute_receipt_key",
        store=True,
        precompute=True,
        index="btree_not_null",
    )
    unreported_at = fields.Datetime(
        string="Not Reported",
        readonly=True,
        help="A complete poll has passed this payment, which a person entered, and "
        "ClickPesa did not report it.",
    )
    merged_into_id = fields.Many2one(
        "billpay.payment",
        readonly=True,
        index="btree_not_null",
        help="The payment of which this one is a duplicate.",
    )
    is_doubtful = fields.Boolean(
        string="Doubtful",
        readonly=True,
        help="What is known of it contradicts: a person decides.",
    )
    can_confirm_by_hand = fields.Boolean(compute="_compute_can_confirm_by_hand")
    purpose_id = fields.Many2one(
        "billpay.purpose",
        compute="_compute_purpose_id",
        store=True,
        index="btree_not_null",
    )
    department_id = fields.Many2one(
        "account.analytic.account",
        compute="_compute_purpose_id",
        store=True,
        index="btree_not_null",
    )
    story = fields.Html(compute="_compute_story", sanitize=False, compute_sudo=True)
    undone_at = fields.Datetime(
        string="Match Undone",
        readonly=True,
        help="Until a person matches it again, its number counts for nothing.",
    )
    undone_by_id = fields.Many2one("res.users", readonly=True)
    undone_why = fields.Char(string="Why the Match Was Undone", readonly=True)
    undone_payment_ids = fields.One2many(
        "account.payment", "billpay_undone_id", string="Undone Bookings"
    )
    asked_amount = fields.Monetary(
        string="Was Due",
        readonly=True,
        help="In TZS: what was due when it was booked. Zero if any amount was welcome.",
    )
    is_over = fields.Boolean(
        string="Over", readonly=True, help="More was paid than was due."
    )
    is_under = fields.Boolean(
        string="Under", readonly=True, help="Less was paid than was due."
    )
    is_late = fields.Boolean("Late", readonly=True, help="Paid after the due date.")

    _reference_unique = models.UniqueIndex(
        "(merchant, reference)", "This ClickPesa payment is already in the ledger."
    )
    _waiting = models.Index("(id) WHERE state IN ('received', 'confirmed', 'failed')")
    _attention = models.Index("(id) WHERE attention")
    # What waits for its number, found without touching what is settled.
    _unmatched = models.Index("(number) WHERE state = 'unmatched'")
    _paid = models.Index(f"(({PAID}))")
    # The worker's question, answered without touching settled payments.
    _taken_back = models.Index(
        "(next_try_at) WHERE state = 'posted' AND next_try_at IS NOT NULL"
    )
    # Each complete poll looks for what only persons have entered.
    _entered = models.Index(
        "(merchant) WHERE confirmed_by_id IS NOT NULL AND told_at IS NULL"
    )
    # Health and the customer's form ask for them.
    _unreported = models.Index("(provider_id) WHERE unreported_at IS NOT NULL")
    _questions = models.Index("(ask_at) WHERE ask_at IS NOT NULL")
    # "This phone has paid for them before" is asked with each suggestion.
    _payer_phone = models.Index("(payer_phone) WHERE payer_phone IS NOT NULL")

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

    @api.model
    def _group_expand_state(self, states, _domain):
        """Return the states that have payments: first what needs a person."""
        return sorted(states, key=DESK_ORDER.index)

    @api.depends("account_payment_ids.move_id.line_ids.amount_residual_currency")
    def _compute_credit_open(self):
        for payment in self:
            lines = payment._open_credit_lines()
            payment.credit_open = -sum(lines.mapped("amount_residual_currency"))

    def _open_credit_lines(self):
        """Return the lines of its entries that no invoice has used up."""
        return self.account_payment_ids.move_id.line_ids.filtered(
            lambda line: (
                line.parent_state == "posted"
                and line.account_id.account_type == "asset_receivable"
                and not line.reconciled
                and line.amount_residual < 0
            )
        )

    @api.depends("provider_id")
    def _compute_quarantine_count(self):
        events, providers = self.env["billpay.event"], self.provider_id.ids
        domain = [("state", "=", "quarantine"), ("provider_id", "in", providers)]
        counts = dict(events._read_group(domain, ["provider_id"], ["__count"]))
        for payment in self:
            payment.quarantine_count = counts.get(payment.provider_id, 0)

    @api.depends("paid_at", "provider_id.billpay_book_from")
    def _compute_is_early(self):
        for payment in self:
            start = payment.provider_id.billpay_book_from
            payment.is_early = start and payment.paid_at and payment.paid_at < start

    @api.model
    def _search_is_early(self, operator, value):
        if operator != "in":
            return NotImplemented
        providers_sudo = self.env["payment.provider"].sudo()
        starts = providers_sudo.search([("billpay_book_from", "!=", False)])
        early = Domain.OR(
            Domain("provider_id", "=", provider.id)
            & Domain("paid_at", "<", provider.billpay_book_from)
            for provider in starts
        )
        return early if True in value else ~early

    @api.depends("receipt", "reference")
    def _compute_receipt_key(self):
        for payment in self:
            keys = payment_keys(payment.receipt, payment.reference)
            payment.receipt_key, payment.reference_key = keys

    @api.depends("state", "provider_id")
    def _compute_can_confirm_by_hand(self):
        asked = {p: p.sudo()._billpay_can_ask() for p in self.sudo().provider_id}
        for payment in self:
            payment.can_confirm_by_hand = (
                payment.state == "received" and not asked[payment.sudo().provider_id]
            )

    # === CRUD METHODS === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(
            self.env._(
                "You cannot delete a ClickPesa payment. It stays in the list in every "
                "state."
            )
        )

    # === STATE === #

    @api.model
    def _values_of_new(self, state, reason, **how):
        """Return the values of a new row; ``how`` and errors as for ``_move_to``."""
        if NEW not in STATES[state].origins:
            raise ForbiddenMove("No payment is %s when it is new." % state)
        return self._entering(state, reason, **how)

    @api.model
    def _entering(self, state, reason=None, *, due=None, flagged=False, **extra):
        """Return the values with which a payment enters a state.

        :param reason: ``None`` leaves it as it is
        :param due: the moment (UTC) of its next turn; ``False``: at once
        :param bool flagged: a person is to look at it
        :param extra: more values, written in the same statement
        """
        values = {"state": state, **STATES[state].resets, **extra}
        if reason is not None:
            values["reason"] = reason
        if due is not None:
            values["next_try_at"] = due
        if flagged:
            values["attention"] = True
        return values

    def _move_to(self, state, reason=None, **how):
        """Move these payments to a state. Nothing else writes states.

        :param how: as for ``_entering``
        :raise ForbiddenMove: one of them may not come from where it is
        """
        for payment in self:
            if payment.state not in STATES[state].origins:
                raise ForbiddenMove(
                    "Payment %s cannot move from %s to %s."
                    % (payment.reference, payment.state, state)
                )
        self._write_changed(self._entering(state, reason, **how))

    def _flag(self, reason, *, due=None, **extra):
        """Call a person: these payments need a look, for this reason."""
        values = {**extra, "attention": True, "reason": reason}
        if due is not None:
            values["next_try_at"] = due
        self._write_changed(values)

    def _warn(self, cause, text):
        """Call a person for as long as something lasts: the reason tells of it first.

        :param str cause: names it; ``_end_warning`` takes its sentence back
        """
        for payment in self:
            # What waits says why; of what is booked, a person may have seen it.
            keep = payment.attention or payment.state != "posted"
            others = payment._reason_without(cause) if keep else ""
            payment._flag(
                f"{text} {others}".strip(),
                warned={**(payment.warned or {}), cause: text},
            )

    def _end_warning(self, cause):
        """What called a person is over: take its sentence back, and no other."""
        for payment in self:
            if cause not in (warned := payment.warned or {}):
                continue
            reason = payment._reason_without(cause) or False
            values = {"reason": reason, "attention": payment.attention and bool(reason)}
            rest = {key: text for key, text in warned.items() if key != cause}
            payment._write_changed({**values, "warned": rest or False})

    def _reason_without(self, cause):
        text = (self.warned or {}).get(cause) or ""
        # Two bookings may be in the same trouble: each takes back its own sentence.
        others = (self.reason or "").replace(text, "", 1)
        return others.replace("  ", " ").strip(" ")

    def _settle(self):
        for payment in self:
            # What lasts is not over because something else is.
            lasting = payment.attention and " ".join((payment.warned or {}).values())
            payment._write_changed(
                {"attention": bool(lasting), "reason": lasting or False}
            )

    def _seen(self):
        self._write_changed({"attention": False})

    def _wait_until(self, moment, **extra):
        """Give these payments their next turn at this moment (UTC)."""
        self._write_changed({**extra, "next_try_at": moment})

    def _due_now(self):
        self._wait_until(fields.Datetime.now())

    def _leave_turn(self):
        self._wait_until(False)

    def _try_later(self):
        """Count a try of these payments; the next one is after a growing pause."""
        now = fields.Datetime.now()
        for attempts, group in self.grouped("attempts").items():
            attempts = max(attempts, 0) + 1
            pause = timedelta(seconds=pause_after(attempts))
            group._wait_until(now + pause, attempts=attempts)

    def _question_after(self, status, paid_at):
        """Return when to ask again after this word of ClickPesa, as values.

        Settled money is only heard of by the scan; what stays unsettled is asked about
        at growing distances.
        """
        if status != "SUCCESS":
            return {"ask_at": False}
        if self.ask_at:
            return {}
        now = fields.Datetime.now()
        return {"ask_at": now + max(UNSETTLED, now - (paid_at or now))}

    def _question_answered(self):
        for payment in self:
            payment.ask_at = False
            if is_paid(payment.status):
                payment._end_warning("file:%s" % payment.id)
            payment.update(payment._question_after(payment.status, payment.paid_at))

    def _next_question(self):
        """Return when to ask, for somebody reports otherwise without proof, and the
        values that count this question.

        The first time at once. A flood of such reports leads to few questions, with
        growing pauses.
        """
        due = fields.Datetime.now()
        if self.asks:
            pause = timedelta(seconds=pause_after(self.asks + 1))
            due = max(due, self.asked_at + pause)
        return due, {"asked_at": due, "asks": self.asks + 1}

    def _ask_soon(self):
        """Have ClickPesa asked about this payment, unless it is asked anyway."""
        if self.ignored_by_id or self.merged_into_id:
            return
        due, question = self._next_question()
        waits = self.state == "received"
        name = "next_try_at" if waits else "ask_at"
        # Without a moment, what waits is due now, and all else is not asked about.
        turn = self[name] or (due if waits else datetime.max)
        if turn > due:
            self._write_changed({name: due, **question})

    def _give_back_try(self, due):
        """What was counted as a try was none; their turn comes at this moment."""
        for attempts, group in self.grouped("attempts").items():
            group._wait_until(due, attempts=attempts - 1)

    def _write_changed(self, values):
        """Write what differs, with one write for all that differ in the same."""
        alike = {}
        for payment in self:
            names = tuple(name for name in values if payment._differs(name, values))
            alike.setdefault(names, []).append(payment.id)
        for names, ids in alike.items():
            if names:
                self.browse(ids).write({name: values[name] for name in names})

    def _differs(self, name, values):
        was = self._fields[name].convert_to_write(self[name], self)
        return (was or False) != (values[name] or False)

    # === BUTTONS === #

    def action_process_now(self):
        """Ask again and try again, without waiting for the next turn.

        :raise UserError: all of them wait for a person
        """
        self._check_accountant()
        held = self.sudo().filtered(lambda p: p.state == "unmatched" and p._is_held())
        if held and len(held) == len(self):
            raise UserError(
                self.env._(
                    "The match of this payment was undone, or it was paid before the "
                    "application books payments, so it is not booked automatically. "
                    "Press Match and choose what it pays."
                )
            )
        for payment in self.sudo() - held:
            if payment.state in ("received", "confirmed", "failed", "unmatched"):
                state, reason, _how = payment._turn()
                if state != "confirmed" and not payment._is_held():
                    # What is known is not enough to book it: ClickPesa is asked again.
                    state = "received"
                payment._move_to(state, reason, due=False)
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")

    def action_mark_seen(self):
        """A person has looked at what was unusual."""
        self._check_accountant()
        seen, env = self.filtered("attention").sudo(), self.env
        seen._seen()
        for payment in seen:
            names = {"user": env.user.name, "reason": payment.reason}
            body = env._("Seen by %(user)s: %(reason)s", **names)
            payment._message_log(body=body)

    def _check_accountant(self):
        self.check_access("read")
        self.env.user._billpay_check("book")

    def action_view_entries(self):
        """Open what this payment did in the books."""
        self.ensure_one()
        return self.account_payment_ids._get_records_action()

    # === BUSINESS METHODS === #

    def _flag_checkout(self, reason):
        """Tell the shop: on the payment, on its order, and as something to do."""
        self.ensure_one()
        self._flag(reason)
        self.transaction_id._log_message_on_linked_documents(reason)
        self.activity_schedule(
            "mail.mail_activity_data_todo",
            summary=self.env._("BillPay: look at a checkout"),
            note=reason,
            user_id=self.provider_id.company_id._billpay_person_in_charge().id,
        )

    @api.depends(
        "control_number_id.purpose_id",
        "control_number_id.department_id",
        "move_id.billpay_purpose_id.department_id",
    )
    def _compute_purpose_id(self):
        for payment in self:
            number = payment.control_number_id
            payment.purpose_id = number.purpose_id or payment.move_id.billpay_purpose_id
            payment.department_id = (
                number.department_id or payment.purpose_id.department_id
            )

    def _rate_of(self, move):
        """Return the rate at which a bill asks this payment for shillings."""
        if money.is_shillings(move.currency_id):
            return 1.0
        # sudo: the day depends on the journal of the application.
        day = self.env["billpay.entries"]._accounting_date(self.sudo())
        return money.bill_rate(move, self.control_number_id, day)

    def _at_asked_rate(self, due, credit):
        """Return open journal items of one bill and of this payment, to be reconciled
        as the bill asked."""
        move = due.move_id
        residual = sum(due.mapped("amount_residual_currency"))
        rate = self._rate_of(move)
        asked = money.at_rate(residual, move.currency_id, rate)
        paid = -sum(credit.mapped("amount_residual_currency"))
        if residual > 0 and self.currency_id.compare_amounts(paid, asked) >= 0:
            rate = asked / residual
        lines = due + credit
        if rate := money.books_rate(move, rate):
            lines = lines.with_context(forced_rate_from_register_payment=rate)
        return lines

    @api.depends_context("lang", "tz", "uid")
    def _compute_story(self):
        for payment in self:
            # Of steps within one second, the one that is told first came first.
            steps = [step for step in payment._story_steps() if step[0]]
            steps.sort(key=lambda step: step[0].replace(microsecond=0))
            rows = (
                STEP
                % (format_datetime(payment.env, moment, dt_format=MOMENT), icon, text)
                for moment, icon, text in steps
            )
            table = Markup("<table><tbody>%s</tbody></table>")
            payment.story = table % Markup().join(rows)

    def _story_steps(self):
        """Yield ``(moment, icon, text)``; a step without a moment has not happened."""
        self.ensure_one()
        env = self.env
        payer = self.payer_name or self.payer_phone or "?"
        channel = self.channel_id.name or self.channel_code or "BillPay"
        text = env._("Paid by %(payer)s with %(channel)s", payer=payer, channel=channel)
        yield self.paid_at, f"fa-mobile {GREY}", text
        for event in self.event_ids:
            text = env._("Announced by a delivery of ClickPesa")
            if event.times > 1:
                text = env._(
                    "Announced by a delivery of ClickPesa, %s times", event.times
                )
            if event.signed:
                text = env._("%s, with a valid signature", text)
            yield event.received_at, f"fa-bell-o {GREY}", text
        yield self.poll_at, f"fa-search {GREY}", env._("Found in the ClickPesa query")
        how = self._fields["entered_how"].convert_to_export(self.entered_how, self)
        user = self.entered_by_id.name
        text = env._("%(how)s by %(user)s", how=how or "", user=user)
        yield self.entered_at, f"fa-keyboard-o {GREY}", text
        text = env._("Confirmed: the money is at ClickPesa")
        if self.confirmed_by_id:
            text = env._("Confirmed by %s", self.confirmed_by_id.name)
        yield self.confirmed_at, f"fa-check {GREEN}", text
        text = env._("Matched by %s", self.matched_by_id.name)
        yield self.matched_at, f"fa-link {GREEN}", text
        user, why = self.undone_by_id.name, self.undone_why
        text = env._("Match undone by %(user)s: %(why)s", user=user, why=why)
        yield self.undone_at, f"fa-chain-broken {AMBER}", text
        user, why = self.ignored_by_id.name, self.ignored_why
        text = env._("Put aside by %(user)s: %(why)s", user=user, why=why)
        yield self.ignored_at, f"fa-archive {AMBER}", text
        if self.state in ("received", "failed"):
            text = env._("Next attempt (%s made)", self.attempts)
            yield self.next_try_at, f"fa-clock-o {GREY}", text
        if self.control_number_id and not self.matched_at:
            number = self.control_number_id.display_number
            text = env._("Matched by the control number %s", number)
            yield self.posted_at, f"fa-link {GREEN}", text
        for booking in self.account_payment_ids:
            name, bills = booking.display_name, booking.reconciled_invoice_ids
            text = env._(
                "Booked as %(payment)s, credit of %(customer)s",
                payment=name,
                customer=booking.partner_id.display_name,
            )
            if bills:
                bills = ", ".join(bills.mapped("display_name"))
                text = env._(
                    "Booked as %(payment)s for %(invoices)s",
                    payment=name,
                    invoices=bills,
                )
            yield self.posted_at, f"fa-book {GREEN}", text
        for booking in self.undone_payment_ids:
            name = booking.display_name
            text = env._("Booked as %s, which was taken out of the books again", name)
            yield booking.create_date, f"fa-book {GREY}", text

    def _hold(self):
        """Lock these rows for a decision.

        :raise UserError: a worker has one of them in hand
        """
        try:
            self.sudo().lock_for_update(allow_referencing=True)
        except LockError:
            raise UserError(
                self.env._(
                    "This payment is being booked or changed at this moment. Nothing "
                    "was changed by you and the money is safe: look again in a few "
                    "seconds."
                )
            ) from None

    # === ACTION METHODS === #

    def action_take_up(self):
        """Put payments that a person put aside back on the desk."""
        self._check_accountant()
        aside = self.filtered(
            # What was merged lives on in another row.
            lambda p: p.state == "ignored" and p.ignored_by_id and not p.merged_into_id
        )
        if not aside:
            raise UserError(
                self.env._(
                    "None of these payments was put aside by a person, so there is "
                    "nothing to take up. No money is affected."
                )
            )
        self.env["billpay.decision"]._take_up(aside)

    def action_confirm_by_hand(self):
        """Vouch for announced payments of which ClickPesa cannot be asked."""
        self._check_accountant()
        env = self.env
        for payment in self.sudo():
            refusal, name = None, payment.display_name
            if payment.state != "received":
                refusal = env._(
                    "Only a payment that waits for confirmation can be confirmed. "
                    "%(payment)s is not waiting any more; nothing was changed. "
                    "Reload the page to see where it stands.",
                    payment=name,
                )
            elif payment.provider_id._billpay_can_ask():
                refusal = env._(
                    "ClickPesa can be asked about %(payment)s, and its word is "
                    "better than ours. Nothing was booked: press Process Now.",
                    payment=name,
                )
            elif payment.currency_id.name != "TZS" or payment.amount <= 0:
                refusal = env._(
                    "%(payment)s was announced without an amount in TZS that can "
                    "be booked. Nothing was booked: compare with the ClickPesa "
                    "dashboard, and enter the payment from its receipt.",
                    payment=name,
                )
            elif is_gone(payment.status):
                refusal = env._(
                    "%(payment)s was announced as %(status)s, so there is no money to "
                    "book. Nothing was booked: compare with the ClickPesa dashboard, "
                    "and press Not Ours if it shows the same.",
                    payment=name,
                    status=payment.status,
                )
            elif payment.status and not is_paid(payment.status):
                refusal = env._(
                    "%(payment)s was announced as %(status)s, so the money may never "
                    "come. Nothing was booked: compare with the ClickPesa dashboard. "
                    "Once it shows SUCCESS or SETTLED there, press Enter Payment and "
                    "type the receipt.",
                    payment=name,
                    status=payment.status,
                )
            if refusal:
                raise UserError(refusal)
        self.env["billpay.receipt"]._confirm_by_person(self.sudo())
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")

    def message_subscribe(self, partner_ids=None, subtype_ids=None):
        """Whoever sees a payment may ask a colleague to look at it.

        Odoo wants the right to write, which nobody has on the ledger. A follower gets
        messages, and no access.
        """
        partners_sudo = self.env["res.partner"].sudo().browse(partner_ids or [])
        if not all(p.main_user_id and not p.main_user_id.share for p in partners_sudo):
            return super().message_subscribe(partner_ids, subtype_ids)
        self.check_access("read")
        return super(BillpayPayment, self.sudo()).message_subscribe(
            partner_ids, subtype_ids
        )

    def action_open_match(self):
        """Open the wizard that matches one payment."""
        if len(self) != 1:
            raise UserError(
                self.env._("Match one payment at a time: select a single line.")
            )
        self._check_accountant()
        return self.env["billpay.payment.match"]._open_for(self)

    def _action_reason(self, kind, title):
        self._check_accountant()
        context = {"default_kind": kind, "default_payment_ids": self.ids}
        return dialog(self.env["billpay.payment.reason"], title, context=context)

    def action_open_put_aside(self):
        return self._action_reason("ignore", self.env._("Not Ours"))

    def action_open_undo(self):
        return self._action_reason("undo", self.env._("Undo Match"))

    def action_view_quarantine(self):
        """Open deliveries that were not believed."""
        domain = Domain("state", "=", "quarantine")
        if self:
            domain &= Domain("provider_id", "in", self.provider_id.ids)
        name = self.env._("Quarantined Deliveries")
        return window(self.env, "action_billpay_event", name=name, domain=list(domain))

    @api.model
    def retrieve_desk(self):
        """Return ``{name of a filter: count}``, and "quarantine": deliveries."""
        self.check_access("read")
        domains = {
            "todo": self._todo_domain(),
            "unmatched": [("state", "=", "unmatched")],
            "waiting": [("state", "in", ("received", "confirmed"))],
            "not_booked": [("state", "=", "failed")],
            "ignored": [("state", "=", "ignored"), ("ignored_by_id", "!=", False)],
        }
        counts = {name: self.search_count(domain) for name, domain in domains.items()}
        quarantined = [("state", "=", "quarantine")]
        counts["quarantine"] = self.env["billpay.event"].search_count(quarantined)
        return counts

    @api.model
    def _todo_domain(self):
        """What needs a person. The filter "To Do" has the same."""
        return [
            "|",
            "|",
            ("state", "in", ("unmatched", "failed")),
            ("attention", "=", True),
            "&",
            ("state", "=", "received"),
            ("attempts", ">=", 5),
        ]

    def _turn(self):
        """Return where it belongs by all that is known: state, reason, more values."""
        return self.env["billpay.ledger"]._turn_of(self.sudo())

    def _is_bookable(self):
        """Whether the gate lets it into the books by itself."""
        return self._turn()[0] == "confirmed"

    def _is_held(self):
        """Whether it is for a person to say what it pays, whatever its number is."""
        held = self.undone_at or self.is_early or self.is_doubtful
        return bool(held) and not self._is_persons_choice()

    def _is_only_announced(self):
        """Whether ClickPesa itself has said nothing of it yet."""
        return not (self.told_at or self.poll_at or self.confirmed_at)

    def _undone_reason(self):
        return self.env._(
            "Match undone by %(user)s: %(why)s. The money is at ClickPesa and "
            "not in the books: press Match and choose what it pays.",
            user=self.undone_by_id.name,
            why=(self.undone_why or "").rstrip(" ."),
        )

    @api.model
    def _unreported_domain(self):
        """What persons entered, ClickPesa does not report, and still counts."""
        return [
            ("unreported_at", "!=", False),
            ("state", "not in", ("ignored", "reversed")),
        ]

    def _is_persons_word(self):
        """Whether a person entered or confirmed it, and ClickPesa said nothing."""
        return bool(self.confirmed_by_id and not (self.told_at or self.poll_at))

    def _is_persons_choice(self):
        return bool(self.allocation_ids or self.matched_partner_id)

    @api.model
    def _cron_process_payments(self):
        self.env["billpay.worker"]._process_payments()
