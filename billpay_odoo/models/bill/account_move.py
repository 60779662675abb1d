# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, format_date
from odoo.tools.sql import column_exists

from ... import const, money
from ...allocation import CREDIT
from ...clickpesa import ClickPesaError
from ...const import LIVING
from ...exceptions import NoDigits
from ...identity import number_as_stored
from ...money import whole_shillings
from ...transactions import own_transaction

_MOVE_TYPES = ("out_invoice", "out_receipt")
# What a posted invoice's number follows.
_FOLLOWED = {
    "billpay_mode",
    "invoice_date_due",
    "invoice_payment_term_id",
    "matched_payment_ids",
    "name",
    "partner_id",
}


class AccountMove(models.Model):
    """An invoice whose control number ClickPesa refused: why, and the way out."""

    _inherit = "account.move"

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
        compute="_compute_billpay_number_id",
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
        help="When this invoice gets its control number. Empty: as the company does.",
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
        help="What the payer's phone accepts for the control number of this invoice.",
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
    billpay_number_error = fields.Char(
        string="Control Number Trouble",
        compute="_compute_billpay_number_error",
        compute_sudo=True,
    )

    # The desk looks for open bills of an amount, however many are settled.
    _billpay_open_amount = models.Index(
        "(amount_residual) WHERE state = 'posted'"
        " AND move_type IN ('out_invoice', 'out_receipt')"
        " AND payment_state IN ('not_paid', 'partial')"
    )

    # === COMPUTE METHODS === #

    @api.depends(
        "billpay_number_ids.state",
        "billpay_number_ids.name",
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
            move.billpay_number_digits = move.billpay_number_id.name
            move.billpay_number_state = move.billpay_number_id.state

    def _search_billpay_number(self, operator, value):
        """Find an invoice by any of its numbers, typed with or without blanks."""
        if operator in Domain.NEGATIVE_OPERATORS:
            return NotImplemented  # Odoo asks for the opposite and turns it round
        numbers_sudo = self.env["billpay.control.number"].sudo()
        if operator == "in" and not all(value):
            numbered = numbers_sudo._search([("move_id", "!=", False)])
            none = Domain("id", "not in", numbered.subselect("move_id")) & Domain(
                "billpay_carried_number_id", "=", False
            )
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
        for move in self:
            move.billpay_can_issue = bool(
                move._billpay_wanting_numbers() or move._billpay_wanting_carried()
            )

    @api.depends("partner_id", "company_id", "move_type")
    def _compute_billpay_mode(self):
        for move in self:
            if move.move_type not in _MOVE_TYPES:
                move.billpay_mode = False
            elif move.state == "draft" or not move.billpay_mode:
                move.billpay_mode = move._billpay_usual_mode()

    def _billpay_usual_mode(self):
        """Return the customer's mode, else the company's."""
        self.ensure_one()
        partner_sudo = self.partner_id.sudo().with_company(self.company_id)
        return (
            partner_sudo.billpay_mode
            or partner_sudo.commercial_partner_id.billpay_mode
            or self.company_id.billpay_default_mode
        )

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

    @api.depends("billpay_number_ids.sync_error", "billpay_number_ids.state")
    def _compute_billpay_number_error(self):
        for move in self:
            move.billpay_number_error = move.billpay_number_id.sync_error

    # === CRUD METHODS === #

    def _auto_init(self):
        # Invoices from before the add-on keep an empty mode, which means the
        # company's, and no purpose: an installation is not for computing millions of
        # them.
        for name, kind in (
            ("billpay_mode", SQL("varchar")),
            ("billpay_purpose_id", SQL("integer")),
        ):
            if not column_exists(self.env.cr, "account_move", name):
                self.env.cr.execute(
                    SQL(
                        "ALTER TABLE account_move ADD COLUMN %s %s",
                        SQL.identifier(name),
                        kind,
                    )
                )
        return super()._auto_init()

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
        result = super().write(vals)
        if not _FOLLOWED.isdisjoint(vals):
            self.filtered(
                lambda move: move.state == "posted"
            )._billpay_follow_residual()
        if "billpay_purpose_id" in vals:
            self.filtered(lambda move: move.state == "posted")._billpay_recarry()
        return result

    # === ACTION METHODS === #

    def _billpay_check_clerk(self):
        """Numbers and payments belong to those who make invoices.

        :raise AccessError: the user is none of them
        """
        self.check_access("read")
        if not self.env.su:
            self.env.user._billpay_check("bill")

    def action_billpay_issue(self):
        """Get a control number now (for invoices that get it by hand)."""
        self._billpay_check_clerk()
        numbers = self._billpay_reserve_numbers()
        if numbers:
            return
        for move in self:
            if move.state == "posted" and not move._billpay_rate():
                raise UserError(move._billpay_rate_missing_text())
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
                        "ClickPesa could not be asked: %s No money is affected: what "
                        "was paid is found as soon as ClickPesa answers. Try again "
                        "in a minute.",
                        error.message,
                    )
                ) from None
            paid = len(found.filtered(lambda payment: payment.state == "posted"))
            waiting = len(
                found.filtered(
                    lambda p: (
                        p.state in ("received", "confirmed", "unmatched", "failed")
                    )
                )
            )
        kind, message = "info", self.env._("ClickPesa knows of no payment yet.")
        if paid:
            kind = "success"
            message = self.env._("%s payment(s) known and booked.", paid)
        elif waiting:
            kind = "warning"
            message = self.env._(
                "%s payment(s) known, but not booked yet. Under BillPay Payments each "
                "says why, and what comes next.",
                waiting,
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": kind,
                "message": message,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_billpay_pay_page(self):
        self.ensure_one()
        self.check_access("read")
        # sudo: whoever may open an invoice need not be allowed to open its number.
        return self.billpay_number_id.sudo().action_open_pay_page()

    def action_view_billpay_numbers(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "billpay_odoo.action_billpay_control_number"
            ),
            "domain": [
                "|",
                ("move_id", "=", self.id),
                ("id", "=", self.billpay_carried_number_id.id),
            ],
            "context": {},
        }

    def action_view_billpay_payments(self):
        self.ensure_one()
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "billpay_odoo.action_billpay_payment"
            ),
            "domain": [("move_id", "=", self.id)],
            "context": {},
        }

    def action_billpay_retry_number(self):
        """Try again to register the refused numbers of these invoices."""
        self.check_access("read")
        self.billpay_number_id.action_retry()

    def action_billpay_take_another_number(self):
        """Register these invoices under other digits."""
        self.check_access("read")
        self.billpay_number_id.action_take_another_number()

    # === WHAT IS ASKED FOR === #

    def _billpay_open_lines(self):
        """Return the open instalments as receivable lines, oldest due first."""
        self.ensure_one()
        return self.line_ids.filtered(
            lambda line: (
                line.account_id.account_type == "asset_receivable"
                and not line.reconciled
                and line.currency_id.compare_amounts(line.amount_residual_currency, 0)
                > 0
            )
        ).sorted(lambda line: (line.date_maturity or line.date, line.id))

    def _billpay_residual(self):
        """Return what is due and not on its way, in the invoice's currency.

        Where accounting is installed, a payment may have no entry before the bank
        statement shows it. The invoice is "In Payment" then, with all of it due.

        :rtype: float
        """
        self.ensure_one()
        coming = self.sudo().matched_payment_ids.filtered(
            lambda payment: (
                payment.payment_type == "inbound"
                and not payment.move_id
                and payment.state in const.ENTRY_POSTED
            )
        )
        if coming and self.line_ids.matched_credit_ids:
            # What the statement showed is paid and reconciled: not due any more.
            coming = coming.filtered(
                lambda payment: payment.state == const.ENTRY_NOT_AT_BANK
            )
        return max(
            self.amount_residual
            - sum(
                money.convert(
                    payment.amount,
                    payment.currency_id,
                    self.currency_id,
                    self.company_id,
                    payment.date,
                )
                for payment in coming
            ),
            0.0,
        )

    def _billpay_due(self):
        """Return what the number is to ask for in the invoice's currency.

        :return: the amount, and whether it covers several instalments
        :rtype: tuple[float, bool]
        """
        self.ensure_one()
        lines = self._billpay_open_lines()
        left = self._billpay_residual()
        if len(lines) > 1 and self.company_id.billpay_instalments == "next":
            return min(lines[0].amount_residual_currency, left), False
        return self.currency_id.round(left), len(lines) > 1

    def _billpay_wanted_values(self, number=None, reissue=False):
        """Return what the number of this invoice is to ask for.

        BillPay knows whole shillings only: cents are rounded up, and another currency
        is converted.

        :param number: the number that asks, when there is one
        :param bool reissue: it is handed out anew, so today's rate may count
        :return: field values of a control number
        :rtype: dict
        """
        self.ensure_one()
        if number is None:
            number = self.env["billpay.control.number"]
        due, several = self._billpay_due()
        policy = self.billpay_mode or self._billpay_usual_mode()
        values = {
            "partner_id": self.partner_id.id,
            "description": self._billpay_description(),
            # Instalments are paid one by one: several of them are never one amount.
            # With a discount for paying early two amounts are right.
            "mode": "exact"
            if policy == "exact" and not several and not self._billpay_may_be_less()
            else "flexible",
        }
        if self.currency_id.name == const.CURRENCY:
            amount = whole_shillings(due)
            values.update(bill_amount=0, bill_currency_id=False, bill_rate=0)
        else:
            rate = self._billpay_rate(number if not reissue else number.browse())
            amount = money.at_rate(due, self.currency_id, rate)
            values.update(
                bill_amount=due, bill_currency_id=self.currency_id.id, bill_rate=rate
            )
        # ClickPesa can change an amount, but not take it away (ClickPesa docs,
        # "Update"): a number that it has with one keeps asking for what is due.
        if policy == "open" and not number.known_amount:
            amount = 0
        values["amount"] = amount
        provider_sudo = (
            number.sudo().provider_id or self.company_id.sudo().billpay_provider_id
        )
        limited = provider_sudo.clickpesa_max_collection
        values["max_amount"] = (
            number.amount_paid + amount
            if limited and amount and values["mode"] == "flexible"
            else 0
        )
        return values

    def _billpay_may_be_less(self):
        """Tell whether less than is due closes this invoice, if it is paid today."""
        self.ensure_one()
        today = self.company_id._billpay_today()
        return bool(
            self.invoice_payment_term_id.early_discount
            and self._is_eligible_for_early_payment_discount(self.currency_id, today)
        )

    def _billpay_description(self):
        """Return the text that ClickPesa shows beside the payment.

        In the customer's language whoever triggers it: else each user's change would
        send another text.
        """
        self.ensure_one()
        lang = self.partner_id.lang or self.company_id.partner_id.lang
        move = self.with_context(lang=lang) if lang else self
        if not move.invoice_date_due:
            return move.env._(
                "Invoice %(invoice)s, %(customer)s",
                invoice=move.name,
                customer=move.commercial_partner_id.name or "",
            )
        return move.env._(
            "Invoice %(invoice)s, due %(date)s, %(customer)s",
            invoice=move.name,
            date=format_date(move.env, move.invoice_date_due, date_format="dd/MM/yyyy"),
            customer=move.commercial_partner_id.name or "",
        )

    # === FOREIGN CURRENCY === #

    def _billpay_rate(self, number=None):
        """Return the shillings for one unit of the invoice's currency.

        :param number: the number that asks; under the rate of its own day it keeps
            the rate at which it was made
        :return: 0.0 when Odoo knows no rate, where it would count one for one
        :rtype: float
        """
        self.ensure_one()
        if (
            self.company_id.billpay_rate_date == "issue"
            and number
            and number.bill_rate
            and number.bill_currency_id == self.currency_id
        ):
            return number.bill_rate
        return money.asking_rate(self)

    # === EVENTS OF AN INVOICE'S LIFE === #

    def _post(self, soft=True):
        """Override of `account`: use credit, then reserve numbers for the rest."""
        posted = super()._post(soft=soft)
        if sales := posted.filtered(
            lambda m: m.is_sale_document(include_receipts=True)
        ):
            self.env["billpay.credit"]._apply_checkout(sales)
            self.env["billpay.credit"]._apply_credit(sales)
            issuing = sales.filtered(lambda move: move._billpay_asks_again())
            issuing._billpay_reserve_or_say()
            issuing._billpay_say_rate_missing()
            # An invoice that was changed since may carry another number.
            sales._billpay_recarry()
        if booked := posted._billpay_booked_payments():
            booked._billpay_back_in_books()
        if booked := posted.reversed_entry_id._billpay_booked_payments():
            booked._billpay_reversed()
        return posted

    # === BUSINESS METHODS === #

    def _billpay_apply_shillings(self, due, credits):
        """Pay an invoice in another currency with shillings, as its checkout asked."""
        for credit in credits:
            payment = credit.move_id.origin_payment_id.sudo().billpay_payment_id
            own = due.filtered(
                lambda line, credit=credit: (
                    not line.reconciled
                    and line.amount_residual_currency > 0
                    and line.currency_id != credit.currency_id
                    and self.env["billpay.credit"]._owner(self, line)[:3]
                    == self.env["billpay.credit"]._owner(self, credit)[:3]
                )
            )
            open_credit = credit.parent_state == "posted" and not credit.reconciled
            if payment and own and open_credit:
                payment._at_asked_rate(own, credit).reconcile()

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

    def _billpay_due_in(self, currency, payment=None):
        """Return what this invoice still asks for, in the currency of a payment.

        :param billpay.payment payment: the one that is to pay it, when there is one
        """
        self.ensure_one()
        if self.state != "posted":
            return 0.0
        residual = max(self.amount_residual, 0.0)
        if self.currency_id == currency:
            return residual
        rate = payment._rate_of(self) if payment else money.bill_rate(self)
        return money.at_rate(residual, self.currency_id, rate)

    @api.ondelete(at_uninstall=False)
    def _unlink_never_billpay(self):
        """An entry made anew would lack the fee and the discount."""
        self.origin_payment_id._billpay_refuse_unlink()

    def _billpay_wanting_numbers(self):
        """Return the invoices that may have a control number and have none to pay.

        Posted customer invoices with something due, of a company with an active
        application. BillPay collects shillings: another currency needs a rate. Invoices
        that carry the customer's number get none of their own.
        """
        provider_of = {
            company: company.sudo().billpay_provider_id for company in self.company_id
        }
        return self.filtered(
            lambda move: (
                move.move_type in ("out_invoice", "out_receipt")
                and move.state == "posted"
                and not move._billpay_carries()
                and move.currency_id.compare_amounts(move._billpay_residual(), 0) > 0
                and provider_of[move.company_id]._billpay_is_on()
                and not move.sudo().billpay_number_ids.filtered(
                    lambda number: number.state in LIVING
                )
                and (
                    move.currency_id.name == const.CURRENCY or move._billpay_rate() > 0
                )
            )
        )

    def _billpay_reserve_numbers(self):
        """Reserve one order number per invoice that wants one, without any HTTP.

        A closed number that was never paid is opened again; after a payment the new
        number follows the paid one. Invoices that carry the customer's number get that
        one, reserved where it is missing.

        :return: the numbers, those of customers included
        """
        numbers = self.env["billpay.control.number"].sudo()
        for company, moves in (
            self._billpay_wanting_numbers().grouped("company_id").items()
        ):
            provider_sudo = company.sudo().billpay_provider_id
            vals_list = []
            for move in moves:
                last = move.sudo().billpay_number_ids.sorted("id")[-1:]
                if last._can_return(provider_sudo):
                    wanted = move._billpay_wanted_values(last, reissue=True)
                    if not last._cannot_ask(wanted):
                        last._want(wanted)
                        last._reopen()
                        numbers |= last
                        continue
                vals_list.append(
                    {
                        "kind": "order",
                        "move_id": move.id,
                        "predecessor_id": last.id,
                        **move._billpay_wanted_values(),
                    }
                )
            numbers |= numbers._reserve(provider_sudo, vals_list)
        return numbers | self._billpay_carry_numbers()

    def _billpay_say_rate_missing(self):
        """Note on invoices in another currency why they got no number."""
        for move in self:
            if (
                move.currency_id.name != const.CURRENCY
                and move.company_id.sudo().billpay_provider_id.code == "clickpesa"
                and move.move_type in ("out_invoice", "out_receipt")
                and not move._billpay_rate()
            ):
                move._message_log(body=move._billpay_rate_missing_text())

    def _billpay_rate_missing_text(self):
        self.ensure_one()
        return self.env._(
            "No control number was made: BillPay collects shillings, and Odoo knows no "
            "exchange rate between %(currency)s and TZS. The invoice is valid. Enter "
            "the rate under Invoicing, Configuration, Currencies, then press Get "
            "Control Number.",
            currency=self.currency_id.name,
        )

    def _billpay_issue_moment(self):
        self.ensure_one()
        return self.billpay_issue_on or self.company_id.billpay_issue_on

    def _billpay_asks_again(self):
        """Tell whether an invoice that is due again gets its number by itself.

        One that a payer may have comes back, whenever it was made. One that ClickPesa
        does not know comes back when numbers are made: an outage of ClickPesa can be
        passed by letting an invoice go without.
        """
        self.ensure_one()
        if self._billpay_issue_moment() == "post":
            return True
        last = self.sudo().billpay_number_ids.sorted("id")[-1:]
        provider_sudo = self.company_id.sudo().billpay_provider_id
        return last._can_return(provider_sudo) and last._is_known()

    def _billpay_reserve_or_say(self):
        """Reserve numbers where they are not the point: posting, booking, reconciling.

        An application that can make no digits stops none of it; the invoices say why
        they have no number.
        """
        try:
            self._billpay_reserve_numbers()
        except NoDigits as error:
            for move in self._billpay_wanting_numbers():
                move._message_log(
                    body=self.env._(
                        "%(reason)s The invoice is valid: press Get Control Number "
                        "when that is done.",
                        reason=str(error),
                    )
                )

    def button_draft(self):
        result = super().button_draft()
        self.sudo().billpay_number_ids._close()
        # From the form of the entry: the payment's own state does not follow.
        self._billpay_booked_payments()._billpay_out_of_books()
        return result

    def button_cancel(self):
        result = super().button_cancel()
        self.sudo().billpay_number_ids._close()
        return result

    def _billpay_booked_payments(self):
        """Return the payments that these entries book, as far as ClickPesa's."""
        return self.origin_payment_id.filtered(
            lambda payment: (
                payment.billpay_payment_id and payment.state in const.ENTRY_POSTED
            )
        )

    def _invoice_paid_hook(self):
        """Paid in another way: the number must not collect the same money again."""
        result = super()._invoice_paid_hook()
        # Our own posting settles the numbers itself, all at once.
        if not self.env.context.get("billpay_posting"):
            self.sudo().billpay_number_ids._close()
        return result

    def _billpay_after_payment(self):
        """A control number was paid: let the others follow, ask for the rest."""
        posted = self.filtered(lambda move: move.state == "posted")
        paid = posted.filtered(
            lambda move: (
                move.currency_id.compare_amounts(move._billpay_residual(), 0) <= 0
            )
        )
        paid.sudo().billpay_number_ids._close()
        (posted - paid)._billpay_follow_residual()
        posted._billpay_reserve_or_say()

    def _billpay_follow_residual(self):
        """Let the numbers ask for what these invoices want now.

        After something was (un)reconciled, or the invoice's mode, date, name or
        customer changed. One search; none for companies without an application.
        """
        moves = self.filtered(
            lambda move: (
                move.move_type in ("out_invoice", "out_receipt")
                and move.company_id.sudo().billpay_provider_id
            )
        )
        if not moves:
            return
        numbers_sudo = (
            self.env["billpay.control.number"]
            .sudo()
            .search([("move_id", "in", moves.ids), ("kind", "=", "order")])
        )
        again = self.browse()
        for move, numbers in numbers_sudo.grouped("move_id").items():
            if move.state != "posted":
                continue
            if move.currency_id.compare_amounts(move._billpay_residual(), 0) <= 0:
                # Also by a credit note, for which Odoo calls no paid hook.
                numbers._close()
                continue
            asking = numbers.filtered(
                lambda number: number.state in ("pending", "open", "failed")
            )
            for number in asking:
                wanted = move._billpay_wanted_values(number)
                if number._cannot_ask(wanted):
                    number._close()
                    again |= move
                    continue
                number._want(wanted)
            last = numbers.sorted("id")[-1:]
            if (
                not asking
                and last.state == "closed"
                and not last._was_paid()
                and move._billpay_asks_again()
            ):
                # Due again: the number that was closed by another payment reopens.
                again |= move
        again._billpay_reserve_or_say()

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

    def _billpay_carries(self):
        """Tell whether this invoice shows the customer's number of its purpose.

        The customer's own wish comes before the purpose's.
        """
        self.ensure_one()
        purpose = self.billpay_purpose_id
        if not purpose or self.move_type not in ("out_invoice", "out_receipt"):
            return False
        partner_sudo = self.partner_id.sudo().with_company(self.company_id)
        wish = (
            partner_sudo.billpay_invoice_number
            or partner_sudo.commercial_partner_id.billpay_invoice_number
            or purpose.invoice_number
        )
        return wish == "customer"

    def _billpay_wanting_carried(self):
        """Return the posted, unpaid invoices that are to carry a number and do not."""
        return self.filtered(
            lambda move: (
                move.state == "posted"
                and move._billpay_carries()
                and move.sudo().billpay_carried_number_id.state
                not in ("pending", "open", "failed")
                and move.currency_id.compare_amounts(move._billpay_residual(), 0) > 0
                and move.billpay_purpose_id._provider()
            )
        )

    def _billpay_pending_numbers(self):
        """Return the numbers that these invoices show and ClickPesa does not have.

        :return: ``{number: invoices}``
        :rtype: dict
        """
        pending = {}
        for move in self.sudo():
            for number in move.billpay_number_ids | move.billpay_carried_number_id:
                if number.state in ("pending", "failed"):
                    pending[number] = pending.get(number, self.browse()) | move
        return pending

    def _billpay_recarry(self):
        """Let invoices give up a number that is not theirs any more.

        Another customer or purpose was chosen since, or invoices of this purpose carry
        numbers of their own now. Where numbers are made by themselves, the right one
        takes its place; else it comes with the next click.
        """
        wrong = self.sudo().filtered(
            lambda move: (
                move.billpay_carried_number_id
                and not (
                    move._billpay_carries()
                    and move.billpay_carried_number_id.partner_id == move.partner_id
                    and move.billpay_carried_number_id.purpose_id
                    == move.billpay_purpose_id
                )
            )
        )
        if wrong:
            wrong.billpay_carried_number_id = False
            wrong._billpay_reserve_or_say()

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
        """Override of `account`: look once per journal and day of a batch.

        Odoo looks up the last name of the journal for each entry that it posts, which
        takes three statements. In a batch of payments only the first one has to look:
        the number itself comes from Odoo's cache of the name that it has locked
        (``_locked_increment``), whatever was looked up.
        """
        formats = self.env.context.get("billpay_sequence_formats")
        if formats is None or not self.origin_payment_id:
            return super()._get_next_sequence_format()
        key = (self.journal_id.id, self.date)
        if key not in formats:
            formats[key] = super()._get_next_sequence_format()
        format_string, values = formats[key]
        return format_string, dict(values)

    def _billpay_carry_numbers(self):
        """Let invoices carry the customer's number, reserved where it is missing.

        :return: the numbers
        """
        numbers = self.env["billpay.control.number"].sudo()
        wanting = self._billpay_wanting_carried()
        for purpose, moves in wanting.grouped("billpay_purpose_id").items():
            owners = moves.partner_id
            reserved = numbers._reserve_customer(owners, purpose.sudo())
            by_partner = dict(zip(owners, reserved, strict=True))
            for partner, group in moves.grouped("partner_id").items():
                group.sudo().billpay_carried_number_id = by_partner[partner]
            numbers |= reserved.sudo()
        return numbers

    # === SENDING IN THE BACKGROUND === #

    @api.model
    def _cron_account_move_send(self, job_count=10):
        """Override of `account`: reserve numbers before the invoices are locked.

        A number refers to its invoice and so cannot be stored while another
        transaction holds the invoice's row; the sending itself is made under that
        lock, and finds the numbers there. Invoices that wait for an application in
        trouble keep their place and let the others pass.
        """
        queue = self.with_context(billpay_send_queue=True)
        queue = queue.with_context(
            billpay_unreserved=queue.env[
                "account.move.send"
            ]._billpay_reserve_for_queue(job_count)
        )
        return super(AccountMove, queue)._cron_account_move_send(job_count=job_count)

    @api.model
    def _search(self, domain, *args, **kwargs):
        """Override: the send queue passes over what cannot be sent now."""
        if self.env.context.get("billpay_send_queue"):
            domain = Domain(domain)
            if any(c.field_expr == "sending_data" for c in domain.iter_conditions()):
                domain &= Domain(
                    "billpay_number_ids",
                    "not any",
                    [
                        ("state", "=", "pending"),
                        (
                            "provider_id.billpay_paused_until",
                            ">",
                            fields.Datetime.now(),
                        ),
                    ],
                )
        return super()._search(domain, *args, **kwargs)


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    # === BUSINESS METHODS === #

    def _billpay_may_take(self, credit):
        """Tell whether a credit may pay this open line: purposes stay apart."""
        self.ensure_one()
        entry = credit.move_id.origin_payment_id.sudo()
        checkout = entry.payment_transaction_id
        if checkout.state in ("draft", "pending", "done"):
            # The money of an order waits for the invoice of that order.
            invoices = checkout.invoice_ids.filtered(lambda m: m.state == "posted")
            if self.move_id not in invoices and not invoices:
                return False
        number = entry.billpay_payment_id
        number = number.control_number_id
        if number.kind == "customer":
            return number.allocation_policy != CREDIT and bool(number._tiers(self))
        purpose = number.move_id.billpay_purpose_id
        return not purpose or purpose._tier(self.move_id) is not None
