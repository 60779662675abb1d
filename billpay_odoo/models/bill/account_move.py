# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from collections import defaultdict

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools.sql import column_exists, create_column

from ... import const, money
from ...actions import notify, window
from ...allocation import CREDIT
from ...clickpesa import ClickPesaError
from ...const import INVOICES, LIVING
from ...identity import number_as_stored
from ...transactions import own_transaction
from .billpay_bill import BillpayBill

# What a posted invoice's number follows.
_FOLLOWED = {
    "billpay_mode",
    "invoice_date_due",
    "invoice_payment_term_id",
    "matched_payment_ids",
    "name",
    "partner_id",
}


# What the entry of a ClickPesa payment says of it, and what its journal items say.
_BOOKED_FIELDS = {
    "company_id",
    "currency_id",
    "date",
    "journal_id",
    "move_type",
    "origin_payment_id",
    "partner_id",
}
_BOOKED_ITEM_FIELDS = {
    "account_id",
    "amount_currency",
    "balance",
    "credit",
    "currency_id",
    "debit",
    "move_id",
    "partner_id",
    "tax_ids",
    "tax_line_id",
    "tax_repartition_line_id",
    "tax_tag_ids",
}


class AccountMove(models.Model):
    """An invoice: its number follows what is due, and money for it closes it."""

    _name = "account.move"
    _inherit = ["account.move", BillpayBill._name]

    # Whoever may open an invoice sees its number, with no right on numbers at all.
    billpay_number_ids = fields.One2many(
        "billpay.control.number",
        "move_id",
        string="Control Numbers",
        groups="billpay_odoo.group_billpay_user",
    )
    billpay_number_id = fields.Many2one(
        "billpay.control.number",
        string="Control Number to Pay",
        compute="_compute_billpay_number_id",
        compute_sudo=True,
        help="The number to pay now.",
    )
    billpay_number = fields.Char(
        string="Control Number",
        compute="_compute_billpay_number_id",
        compute_sudo=True,
        search="_search_billpay_number",
    )
    billpay_number_digits = fields.Char(
        string="Control Number Digits",
        compute="_compute_billpay_number_digits",
        compute_sudo=True,
        help="To give to the payer. Empty: the number cannot be paid now.",
    )
    billpay_number_problem = fields.Char(
        string="Why Nobody Can Pay It",
        compute="_compute_billpay_number_digits",
        compute_sudo=True,
    )
    billpay_number_state = fields.Selection(
        selection=lambda self: (
            self.env["billpay.control.number"]._fields["state"].selection
        ),
        compute="_compute_billpay_number_id",
        compute_sudo=True,
    )
    billpay_issue_on = fields.Selection(
        selection=[
            ("post", "When confirmed"),
            ("send", "When sent"),
            ("manual", "By hand"),
        ],
        string="Get Control Number",
        copy=False,
        help="When this invoice gets its control number. Empty: company default.",
    )
    billpay_payment_ids = fields.One2many(
        "billpay.payment",
        "move_id",
        string="BillPay Payments",
        groups="billpay_odoo.group_billpay_user",
    )
    billpay_payment_count = fields.Integer(
        compute="_compute_billpay_counts", compute_sudo=True
    )
    billpay_number_count = fields.Integer(
        compute="_compute_billpay_counts", compute_sudo=True
    )
    billpay_can_issue = fields.Boolean(
        compute="_compute_billpay_can_issue", compute_sudo=True
    )
    billpay_mode = fields.Selection(
        selection=const.MODES,
        string="Payers May Pay",
        compute="_compute_billpay_mode",
        store=True,
        precompute=True,
        readonly=False,
        copy=False,
        help="Amounts that the control number of this invoice accepts.",
    )
    billpay_refund_by_hand = fields.Boolean(
        compute="_compute_billpay_refund_by_hand",
        compute_sudo=True,
        help="This credit note is of an invoice that was paid by control number.",
    )
    billpay_purpose_id = fields.Many2one(
        "billpay.purpose",
        string="Purpose",
        compute="_compute_billpay_purpose_id",
        store=True,
        readonly=False,
        copy=True,
        index="btree_not_null",
        ondelete="restrict",
        domain="[('company_id', 'parent_of', company_id)]",
        help="What this invoice is for. Payments on the customer's number of this "
        "purpose pay it.",
    )
    billpay_carried_number_id = fields.Many2one(
        "billpay.control.number",
        string="Customer's Control Number",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="The number that this invoice shows instead of one of its own.",
    )
    billpay_before = fields.Json(
        copy=False,
        readonly=True,
        prefetch=False,
        groups=fields.NO_ACCESS,
        help="What an entry or an invoice said and what was reconciled with it when it "
        "left the books, until it is back.",
    )
    billpay_number_error = fields.Char(
        string="Control Number Trouble",
        compute="_compute_billpay_number_id",
        compute_sudo=True,
    )

    # The desk looks for open bills of an amount, however many are settled.
    _billpay_open_amount = models.Index(
        "(amount_residual) WHERE state = 'posted'"
        " AND move_type IN ('out_invoice', 'out_receipt')"
        " AND payment_state IN ('not_paid', 'partial', 'in_payment')"
    )

    # === COMPUTE METHODS === #

    @api.depends(
        "billpay_number_ids.state",
        "billpay_number_ids.name",
        "billpay_number_ids.sync_error",
        "billpay_carried_number_id.state",
    )
    def _compute_billpay_number_id(self):
        for move in self:
            numbers = move.billpay_number_ids.sorted("id", reverse=True)
            living = numbers.filtered(lambda n: n.state in ("open", "pending"))
            move.billpay_number_id = (
                living[:1] or move.billpay_carried_number_id or numbers[:1]
            )
            move.billpay_number = move.billpay_number_id.display_number
            move.billpay_number_state = move.billpay_number_id.state
            move.billpay_number_error = move.billpay_number_id.sync_error

    @api.depends("billpay_number_id", "billpay_number_ids.payable", "payment_state")
    def _compute_billpay_number_digits(self):
        for move in self:
            number = move.billpay_number_id
            move.billpay_number_digits = number._payable().name
            asks = number.state in LIVING and money.is_due(move)
            troubled = asks and number._obstacle()
            move.billpay_number_problem = troubled and number._problem_text(move)

    def _search_billpay_number(self, operator, value):
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented  # Odoo asks for the opposite and turns it round
        numbers_sudo = self.env["billpay.control.number"].sudo()
        if operator == "in" and not all(value):
            numbered = numbers_sudo._search([("move_id", "!=", False)])
            none = Domain("id", "not in", numbered.subselect("move_id"))
            none &= Domain("billpay_carried_number_id", "=", False)
            given = [text for text in value if text]
            return none | Domain("billpay_number", "in", given) if given else none
        named = Domain("name", operator, number_as_stored(value))
        found = numbers_sudo._search(named & Domain("move_id", "!=", False))
        carried = numbers_sudo._search(named & Domain("kind", "=", "customer"))
        return Domain("id", "in", found.subselect("move_id")) | Domain(
            "billpay_carried_number_id", "in", carried
        )

    @api.depends(
        "billpay_number_ids", "billpay_payment_ids", "billpay_carried_number_id"
    )
    def _compute_billpay_counts(self):
        for move in self:
            move.billpay_number_count = len(
                move.billpay_number_ids | move.billpay_carried_number_id
            )
            move.billpay_payment_count = len(move.billpay_payment_ids)

    @api.depends(
        "state",
        "move_type",
        "amount_residual",
        "matched_payment_ids.state",
        "currency_id",
        "billpay_number_ids.state",
        "billpay_carried_number_id.state",
        "billpay_purpose_id",
    )
    def _compute_billpay_can_issue(self):
        wanting = self.env["billpay.reservation"]._wanting(self, switch=True)
        for move in self:
            move.billpay_can_issue = move in wanting

    @api.depends("partner_id", "company_id", "move_type")
    def _compute_billpay_mode(self):
        for move in self:
            if move.move_type not in INVOICES:
                move.billpay_mode = False
            elif move.state == "draft" or not move.billpay_mode:
                move.billpay_mode = move._billpay_usual_mode()

    def _billpay_usual_mode(self):
        """Return the customer's mode, else the company's."""
        wish = self.env["billpay.reservation"]._wish(self, "billpay_mode")
        return wish or self.company_id.billpay_default_mode

    @api.depends("move_type", "journal_id", "invoice_line_ids.product_id")
    def _compute_billpay_purpose_id(self):
        sales = self.filtered(lambda m: m.is_sale_document(include_receipts=True))
        (self - sales).billpay_purpose_id = False
        if not sales:
            return
        found = self.env["billpay.purpose"]._of_invoices(sales)
        for move in sales:
            # What a person chose stays where the lines tell nothing.
            if move.state == "draft" or not move.billpay_purpose_id:
                move.billpay_purpose_id = found[move] or move.billpay_purpose_id

    # === CRUD METHODS === #

    def _auto_init(self):
        # Invoices from before the add-on keep an empty mode, which means the
        # company's, and no purpose: an installation does not compute millions of them.
        for name, kind in (("billpay_mode", "varchar"), ("billpay_purpose_id", "int4")):
            if not column_exists(self.env.cr, self._table, name):
                create_column(self.env.cr, self._table, name, kind)
        return super()._auto_init()

    @api.model_create_multi
    def create(self, vals_list):
        name = "billpay_carried_number_id"
        given = [vals.get(name) for vals in vals_list]
        for number in filter(None, (*given, self.env.context.get(f"default_{name}"))):
            self._billpay_refuse_carried(number)
        return super().create(vals_list)

    def _billpay_refuse_carried(self, number):
        """Only Odoo says whose number an invoice shows: it leads to a pay page.

        :raise AccessError: a user sets another one
        """
        known = {move.billpay_carried_number_id.id for move in self.sudo()}
        if self.env.su or known == {number}:
            return
        raise AccessError(
            self.env._(
                "Only Odoo sets the control number that an invoice shows. Nothing was "
                "changed: choose the purpose of the invoice instead."
            )
        )

    def write(self, vals):
        """Override of `account`: numbers follow what changed.

        Entries of undone matches, and the entries that reversed them, stay as they are.
        """
        if "state" in vals and not (
            self.env.su and self.env.context.get("billpay_undoing")
        ):
            moves = self.filtered(lambda move: move.state != vals["state"])
            sources = moves.origin_payment_id
            sources |= moves.reversed_entry_id.origin_payment_id
            if undone := sources.filtered("billpay_undone_id"):
                undone._billpay_refuse_undone()
        if "billpay_carried_number_id" in vals:
            self._billpay_refuse_carried(vals["billpay_carried_number_id"] or False)
        if not _BOOKED_FIELDS.isdisjoint(vals):
            kept = self.filtered(lambda move: not move._billpay_moves_on(vals))
            self.env["account.payment"]._billpay_refuse_changes(
                kept, vals, _BOOKED_FIELDS
            )
        if "state" in vals and vals["state"] != "posted":
            self._billpay_posted()._billpay_remember()
        result = super().write(vals)
        if "state" in vals and vals["state"] != "posted":
            self.env["billpay.reservation"]._warn_of(self)
            # A mirror that does not count any more leaves the entry in the books.
            mirrored = self.reversed_entry_id._billpay_booked_payments()
            for booking_sudo in mirrored.sudo():
                mirrors = booking_sudo.move_id.reversal_move_ids
                if "posted" not in mirrors.mapped("state"):
                    cause = booking_sudo._billpay_cause()
                    booking_sudo.billpay_payment_id._end_warning(cause)
        if not _FOLLOWED.isdisjoint(vals):
            self.env["billpay.reservation"]._follow(self._billpay_posted())
        if "billpay_purpose_id" in vals:
            self.env["billpay.reservation"]._recarry(self._billpay_posted())
        return result

    def _billpay_moves_on(self, vals):
        """Tell whether Odoo posts an entry of a closed period on an open day."""
        return (
            vals.keys() == {"date"}
            and self.state == "draft"
            and bool(self._get_violated_lock_dates(self.date, False))
        )

    # === ACTION METHODS === #

    def _billpay_check_clerk(self):
        """:raise AccessError: the user makes no invoices"""
        self.check_access("read")
        if not self.env.su:
            self.env.user._billpay_check("bill")

    def action_billpay_issue(self):
        self._billpay_check_clerk()
        reservation = self.env["billpay.reservation"]
        if reservation._reserve(self, switch=True):
            return
        for move in self:
            if move.state == "posted" and not reservation._rate(move):
                raise UserError(reservation._rate_missing_text(move))
            if move.state == "posted" and reservation._is_small_rest(move):
                raise UserError(reservation._small_rest_text(move))
        raise UserError(
            self.env._(
                "No control number was made. An invoice can have one when it is "
                "confirmed, not fully paid, has no open number yet, and its company "
                "has an active ClickPesa application."
            )
        )

    def action_billpay_check(self):
        """Ask ClickPesa now whether these invoices were paid, and book it."""
        self._billpay_check_clerk()
        with own_transaction(self.env(su=True)) as env:
            moves = self.with_env(env).exists()
            numbers = moves.billpay_number_ids | moves.billpay_carried_number_id
            numbers = numbers.filtered(lambda n: n.state in ("open", "paid", "closed"))
            for provider in numbers.provider_id:
                if not provider._billpay_has_credentials():
                    raise UserError(
                        self.env._(
                            "The application %s has no client ID and API key, so "
                            "ClickPesa cannot be asked. No money is affected: if you "
                            "have seen the receipt, use Enter Payment.",
                            provider.name,
                        )
                    )
            try:
                found = env["billpay.worker"]._check_numbers_now(numbers)
            except ClickPesaError as error:
                raise UserError(
                    self.env._(
                        "The request to ClickPesa failed: %s No payment is lost; the "
                        "next poll finds it. Try again in a minute.",
                        error.message,
                    )
                ) from None
            states = found.mapped("state")
        paid = states.count("posted")
        coming = ("received", "confirmed", "unmatched", "failed")
        waiting = sum(state in coming for state in states)
        kind, message = "info", self.env._("ClickPesa knows of no payment yet.")
        if paid:
            kind = "success"
            message = self.env._("%s payment(s) known and booked.", paid)
        elif waiting:
            kind = "warning"
            message = self.env._(
                "%s payment(s) received but not posted. Open BillPay Payments to see "
                "the reasons.",
                waiting,
            )
        reload = {"type": "ir.actions.client", "tag": "soft_reload"}
        return notify(kind, message, reload)

    def action_billpay_pay_page(self):
        self.check_access("read")
        # sudo: whoever may open an invoice need not be allowed to open its number.
        return self.billpay_number_id.sudo().action_open_pay_page()

    def action_view_billpay_numbers(self):
        self.ensure_one()
        shown = Domain("id", "=", self.billpay_carried_number_id.id)
        domain = list(Domain("move_id", "=", self.id) | shown)
        return window(self.env, "action_billpay_control_number", domain=domain)

    def action_view_billpay_payments(self):
        domain = [("move_id", "=", self.id)]
        return window(self.env, "action_billpay_payment", domain=domain)

    def action_billpay_retry_number(self):
        self.check_access("read")
        self.billpay_number_id.action_retry()

    def action_billpay_take_another_number(self):
        self.check_access("read")
        self.billpay_number_id.action_take_another_number()

    # === WHAT IS ASKED FOR === #

    def _billpay_open_items(self):
        # EXTENDS billpay.bill.mixin
        return self.line_ids.browse().union(*(money.open_items(move) for move in self))

    # === EVENTS OF AN INVOICE'S LIFE === #

    def _post(self, soft=True):
        """Override of `account`: use credit, then reserve numbers for the rest."""
        before = self.filtered("posted_before")
        posted = super()._post(soft=soft)
        reservation = self.env["billpay.reservation"]
        if sales := posted.filtered(
            lambda m: m.is_sale_document(include_receipts=True)
        ):
            reservation._apply_checkout(sales)
            reservation._apply_own(sales & before)
            reservation._apply_credit(sales)
            reservation._adopt(sales)
            issuing = sales.filtered(reservation._asks_again)
            reservation._reserve_or_say(issuing)
            reservation._say_rate_missing(issuing)
            # An invoice that was changed since may carry another number.
            reservation._recarry(sales)
            reservation._warn_of(
                sales.filtered(lambda m: m in before or m.reversed_entry_id)
            )
        if not (self.env.su and self.env.context.get("billpay_confirming")):
            # From the form of the entry: the payment's own state follows.
            left = posted.origin_payment_id.filtered(
                lambda p: p.billpay_payment_id and p.state in ("draft", "canceled")
            )
            left.state = const.ENTRY_NOT_AT_BANK
        if booked := posted._billpay_booked_payments():
            booked._billpay_back_in_books()
        if booked := posted.reversed_entry_id._billpay_booked_payments():
            booked._billpay_reversed()
        return posted

    # === BUSINESS METHODS === #

    def js_assign_outstanding_line(self, line_id):
        """Override of `account`: shillings pay what the bill asks for them."""
        credit = self.env["account.move.line"].browse(line_id)
        payment = credit.move_id.origin_payment_id.sudo().billpay_payment_id
        due = self.line_ids.filtered(
            lambda line: (
                line.account_id == credit.account_id
                and not line.reconciled
                and line.currency_id != credit.currency_id
            )
        )
        if payment and due and self.is_sale_document():
            rated = payment._at_asked_rate(due, credit)
            self = self.with_context(**rated.env.context)
        return super().js_assign_outstanding_line(line_id)

    @api.depends("move_type", "payment_state", "reversed_entry_id")
    def _compute_billpay_refund_by_hand(self):
        for move in self:
            invoice = move.reversed_entry_id
            move.billpay_refund_by_hand = (
                move.move_type == "out_refund"
                and move.payment_state in ("not_paid", "partial")
                and bool(
                    invoice.billpay_payment_ids
                    or invoice.matched_payment_ids.billpay_payment_id
                )
            )

    def _billpay_asked(self):
        # EXTENDS billpay.bill.mixin
        return money.whole_shillings(money.bill_shillings(self, self.amount_total))

    def _billpay_left(self, payment=None):
        """Override: what the books say is left, and is not on its way.

        :param billpay.payment payment: the one that is to pay it, when there is one
        """
        if self.state != "posted":
            return 0.0
        rate = payment._rate_of(self) if payment else money.bill_rate(self)
        return money.at_rate(money.due(self), self.currency_id, rate)

    def _billpay_page_bill(self, number):
        # EXTENDS billpay.bill.mixin
        return {
            "name": self.name or "",
            "due": self.invoice_date_due,
            "customer": self.commercial_partner_id.name or "",
        }

    def _billpay_letter(self):
        # EXTENDS billpay.bill.mixin
        told = self.company_id.billpay_tell_successor
        return self._billpay_posted() if told else self.browse()

    def _billpay_reserve(self, wake=True):
        # EXTENDS billpay.bill.mixin: for all that want one, as far as they may
        return self.env["billpay.reservation"]._reserve(self)

    def _billpay_on_money(self, payment):
        """Override: checkouts of what it paid are over. Called on no invoice for money
        on a customer's number.
        """
        lines = payment.account_payment_ids.move_id.line_ids
        paid = lines.matched_debit_ids.debit_move_id.move_id
        moves = (self | paid).with_context(billpay_posting=False)
        self.env["billpay.reservation"]._follow_checkouts(moves)

    @api.ondelete(at_uninstall=False)
    def _unlink_never_billpay(self):
        """An entry made anew would lack the fee and the discount."""
        self.origin_payment_id._billpay_refuse_unlink()

    def _billpay_remember(self):
        """Keep what is reconciled with these, and what the entries of ClickPesa
        payments say, for the moment when they are posted again."""
        reservation = self.env["billpay.reservation"]
        for move_sudo in self.sudo():
            booking = move_sudo.origin_payment_id.filtered("billpay_payment_id")
            if move_sudo.billpay_before or not (
                booking or move_sudo.move_type in INVOICES
            ):
                continue
            before = {"paid": reservation._paid_pairs(move_sudo)}
            if booking:
                before["booked"] = booking._billpay_booked()
            if any(before.values()):
                move_sudo._billpay_keep(before)

    def _billpay_forget(self):
        self.sudo().filtered("billpay_before")._billpay_keep(False)

    def _billpay_keep(self, before):
        quiet = self.with_context(skip_is_manually_modified=True)
        quiet.write({"billpay_before": before})

    def _billpay_issue_moment(self):
        return self.billpay_issue_on or self.company_id.billpay_issue_on

    def button_draft(self):
        result = super().button_draft()
        self._billpay_numbers()._close()
        # From the form of the entry: the payment's own state does not follow.
        self._billpay_booked_payments()._billpay_out_of_books()
        return result

    def button_cancel(self):
        result = super().button_cancel()
        self._billpay_numbers()._close()
        self.env["billpay.reservation"]._back_to_orders(self)
        return result

    def _billpay_booked_payments(self):
        """Return the payments that these entries book, as far as ClickPesa's."""
        return self.origin_payment_id.filtered(
            lambda p: p.billpay_payment_id and p.state in const.ENTRY_POSTED
        )

    def _invoice_paid_hook(self):
        """Paid in another way: the number must not collect the same money again."""
        result = super()._invoice_paid_hook()
        # Our own posting settles the numbers itself, all at once.
        if not (self.env.su and self.env.context.get("billpay_posting")):
            self._billpay_numbers()._close()
        return result

    def _get_fields_to_copy_recurring_entries(self, values):
        # EXTENDS account: the next one asks as this one does
        values = super()._get_fields_to_copy_recurring_entries(values)
        if self.move_type in INVOICES:
            values["billpay_issue_on"] = self.billpay_issue_on
            values["billpay_mode"] = self.billpay_mode
        return values

    def _billpay_posted(self):
        return self.filtered(lambda move: move.state == "posted")

    def _billpay_after_payment(self):
        """A control number was paid: let the others follow, ask for the rest."""
        posted = self._billpay_posted()
        due = posted.filtered(money.is_due)
        (posted - due).sudo().billpay_number_ids._close()
        reservation = self.env["billpay.reservation"]
        reservation._follow_checkouts(posted)
        if due:
            reservation._follow(due)
            # Money on a customer's number is no wish for one of the invoice's own.
            reservation._reserve_or_say(
                due.filtered(
                    lambda move: (
                        move._billpay_issue_moment() == "post"
                        or move._billpay_numbers()
                    )
                )
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_billpay_numbers(self):
        """Numbers that nobody can have go with their invoice; others keep it."""
        numbers_sudo = self.sudo().billpay_number_ids
        used = numbers_sudo - numbers_sudo._never_left()
        if used:
            raise UserError(
                self.env._(
                    "The invoice %(invoice)s is not deleted: a payer may have its "
                    "control number %(number)s, and money sent to it must find its "
                    "invoice. Cancel the invoice instead.",
                    invoice=used[0].move_id.display_name,
                    number=used[0].display_number,
                )
            )
        numbers_sudo.unlink()

    @api.constrains("billpay_purpose_id", "company_id")
    def _check_billpay_purpose_id(self):
        for move in self:
            company = move.billpay_purpose_id.sudo().company_id
            if company and company not in move.company_id.sudo().parent_ids:
                raise ValidationError(
                    self.env._(
                        "The purpose %(purpose)s belongs to %(company)s. Nothing was "
                        "saved: choose one of this invoice's company.",
                        purpose=move.billpay_purpose_id.sudo().name,
                        company=company.name,
                    )
                )

    def _get_next_sequence_format(self):
        """Override of `account`: look up the last name once per journal and day of a
        batch, not per entry. The number comes from Odoo's cache of the name that it
        has locked (``_locked_increment``), whatever was looked up.
        """
        formats = self.env.context.get("billpay_sequence_formats")
        if formats is None or not self.origin_payment_id:
            return super()._get_next_sequence_format()
        key = (self.journal_id.id, self.date)
        if key not in formats:
            formats[key] = super()._get_next_sequence_format()
        format_string, values = formats[key]
        return format_string, dict(values)

    # === CRON === #

    @api.model
    def _cron_billpay_follow_dates(self):
        """Ask exactly again where a discount has ended. Idle, this is one query."""
        self.env["billpay.reservation"]._follow_dates()

    # === SENDING IN THE BACKGROUND === #

    @api.model
    def _cron_account_move_send(self, job_count=10):
        """Override of `account`: past those that have to wait, and one bad invoice
        stops only itself."""
        self.env["account.move.send"]._billpay_send_queue(job_count)


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines._billpay_refuse_if_booked()
        return lines

    def write(self, vals):
        self.env["account.payment"]._billpay_refuse_changes(
            self, vals, _BOOKED_ITEM_FIELDS
        )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never_billpay(self):
        if self.env.context.get("dynamic_unlink"):  # with all of the entry
            self.move_id.origin_payment_id._billpay_refuse_unlink()
        self._billpay_refuse_if_booked()

    # === BUSINESS METHODS === #

    def _billpay_refuse_if_booked(self):
        """:raise UserError: one of them is of the entry of a ClickPesa payment"""
        if self.env.su:
            return
        entries_sudo = self.sudo().move_id.filtered(lambda m: m.move_type == "entry")
        bookings_sudo = entries_sudo.origin_payment_id
        if booked_sudo := bookings_sudo.filtered("billpay_payment_id"):
            booked_sudo[0].with_env(self.env)._billpay_refuse_edit()

    def _billpay_may_take(self, credit):
        """Tell whether a credit may pay this open line: purposes stay apart."""
        self.ensure_one()
        entry = credit.move_id.origin_payment_id.sudo()
        checkout = entry.payment_transaction_id
        if checkout.state in ("draft", "pending", "done"):
            # The money of an order waits for the invoice of that order.
            invoices = checkout._billpay_invoices()
            if self.move_id not in invoices and not invoices:
                return False
        payment = entry.billpay_payment_id
        number = payment.control_number_id
        if number.kind == "customer" and not payment._is_persons_choice():
            return number.allocation_policy != CREDIT and bool(
                self._billpay_tiers(number)
            )
        # Of the invoice that was paid, or of what a person chose.
        bill = payment.move_id
        owner = bill.partner_id or payment.partner_id or entry.partner_id
        purpose = bill.billpay_purpose_id
        if purpose and purpose._tier(self.move_id) is None:
            return False
        return self._billpay_kinship(owner, payment.company_id) is not None

    def _billpay_owner(self):
        """Return the contact that owes this: of the invoice, else of the item."""
        move = self.move_id
        return move.partner_id if move.is_invoice(True) else self.partner_id

    def _billpay_tiers(self, number):
        """Sort open items of a family into those that a number pays first, and so on.

        The number's own invoices come first. Where entries are on the commercial
        partner, a pupil's number pays invoices made out to the parent after the
        pupil's; a brother's it never pays. Without a purpose it pays any invoice of the
        customer.

        :return: the items of each tier, in the order of these
        :rtype: list
        """
        tiers = defaultdict(self.browse)
        for line in self:
            purpose = number.purpose_id
            rank = purpose._tier(line.move_id) if purpose else (0, 0, 0)
            kin = line._billpay_kinship(number.partner_id, number.company_id)
            if rank is not None and kin is not None:
                tiers[kin, rank] |= line
        return [tiers[rank] for rank in sorted(tiers)]

    def _billpay_kinship(self, partner, company):
        """Return in what order money of a contact pays this item, ``None`` if never.

        0: the contact's own, and those of contacts below it. 1: made out to the family
        or company, where that has its entries. A brother's is never paid.
        """
        owner = above = self._billpay_owner()
        while above and above != partner:
            above = above.parent_id
        if above:
            return 0
        family = partner.commercial_partner_id
        with_family = company.billpay_entries_on == "commercial"
        return 1 if family and owner == family and with_family else None

    @api.model
    def _billpay_domain(self, companies, move_types):
        """Return the domain of receivable items by invoices and by entries such as
        opening balances: to be filtered by `_billpay_bills`.
        """
        return Domain(
            [
                ("company_id", "child_of", companies.ids),
                ("account_id.account_type", "=", "asset_receivable"),
                ("parent_state", "=", "posted"),
                ("move_id.move_type", "in", (*move_types, "entry")),
                ("payment_id", "=", False),
                ("statement_line_id", "=", False),
            ]
        )

    def _billpay_bills(self):
        """Return those of these items that customers owe or have to their credit, the
        oldest due first.

        Entries that take a payment back and exchange differences are no bills. For an
        item in another currency than its entry no rate is known.
        """

        def is_bill(line):
            move = line.move_id
            if move.move_type != "entry":
                return True
            known = line.currency_id == move.currency_id
            return (
                (known or money.is_shillings(line.currency_id))
                and not move.reversed_entry_id.origin_payment_id
                and not (line.reconciled and move.exchange_diff_partial_ids)
            )

        bills = self.filtered(is_bill)
        return bills.sorted(lambda line: (line.date_maturity or line.date, line.id))
