# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from datetime import datetime, time

import pytz
from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ... import money, page_texts
from ...actions import dialog, notify
from ...allocation import EXACT_OLDEST
from ...const import LIVING, MONEY, POLICIES, UNPAID
from ...identity import number_as_stored
from ...transactions import taken

# What keeps a living number from being paid and does not end by itself.
LOST = ("off", "company", "address")
# Not what stands at the application or the invoice: each change of one of those would
# look up all its numbers.
_PAYABLE_BY = (
    *("state", "origin", "name", "amount", "mode", "max_amount", "wanted_active"),
    *("known_active", "known_amount", "known_mode", "known_max_amount", "known_at"),
    *("confirmed_at", "sync_error"),
)


class BillpayControlNumber(models.Model):
    """What a payer types to pay a bill.

    The row holds what we want (amount, mode, description, active) and what ClickPesa
    last confirmed (``known_…``). Where they differ ``sync_at`` says when the sync
    worker is to act; nothing else talks to ClickPesa about a number.
    """

    _name = "billpay.control.number"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _description = "BillPay Control Number"
    _order = "id desc"
    _rec_name = "display_number"
    _rec_names_search = ["name"]
    _check_company_auto = True
    # Nobody writes on a number but the workers; people may still discuss it.
    _mail_post_access = "read"

    name = fields.Char(
        string="Control Number", required=True, readonly=True, copy=False
    )
    display_number = fields.Char(
        string="Number", compute="_compute_display_number", search="_search_number"
    )
    kind = fields.Selection(
        [("order", "Order: closed by one payment"), ("customer", "Customer: reusable")],
        default="order",
        required=True,
        readonly=True,
    )
    origin = fields.Selection(
        [
            ("api", "Registered with ClickPesa"),
            ("offline", "Made offline"),
            ("imported", "Imported"),
        ],
        default="api",
        required=True,
        readonly=True,
    )
    state = fields.Selection(
        [
            ("pending", "Being registered"),
            ("open", "Open"),
            ("paid", "Paid"),
            ("closed", "Closed"),
            ("failed", "Refused"),
        ],
        default="pending",
        required=True,
        readonly=True,
        copy=False,
        index=True,
        tracking=True,
    )
    mode = fields.Selection(
        [("flexible", "Any amount"), ("exact", "Exact amount")],
        default="flexible",
        required=True,
        tracking=True,
    )
    allocation_policy = fields.Selection(
        POLICIES,
        string="Payments Pay",
        default=EXACT_OLDEST,
        required=True,
        readonly=True,
        help="Which open invoices of the customer a payment on this number pays.",
    )
    amount = fields.Monetary(
        string="Amount Asked",
        help="In TZS, whole shillings. Zero asks for any amount.",
        tracking=True,
    )
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    max_amount = fields.Monetary(
        string="Takes at Most",
        help="Maximum total in TZS, including payments already received. 0: the first "
        "payment closes the number.",
    )
    # A bill in another currency: what `amount` stands for in it.
    bill_amount = fields.Monetary(
        string="Asked in the Invoice's Currency",
        currency_field="bill_currency_id",
        readonly=True,
        copy=False,
    )
    bill_currency_id = fields.Many2one("res.currency", readonly=True, copy=False)
    bill_rate = fields.Float(
        string="Shillings per Unit",
        digits=0,
        readonly=True,
        copy=False,
        help="The exchange rate at which this number asks for shillings.",
    )
    description = fields.Char(help="Shown by ClickPesa next to the payment.")
    provider_id = fields.Many2one(
        "payment.provider",
        string="Application",
        required=True,
        readonly=True,
        ondelete="restrict",
        index=True,
    )
    company_id = fields.Many2one(
        "res.company",
        compute="_compute_company_id",
        store=True,
        index=True,
        help="The invoice's: a branch may use the application of its parent.",
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Customer",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
    )
    move_id = fields.Many2one(
        "account.move",
        string="Invoice",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    bill_key = fields.Char(
        string="Given Out For",
        readonly=True,
        copy=False,
        help="The bill for which this number is given out, such as invoice:42. Empty: "
        "it asks for no bill yet, or it stays payable beside the number given out.",
    )
    predecessor_id = fields.Many2one(
        "billpay.control.number",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="The partially paid number whose balance this one collects.",
    )
    successor_ids = fields.One2many(
        "billpay.control.number", "predecessor_id", string="Successors"
    )
    successor_id = fields.Many2one(
        "billpay.control.number", compute="_compute_successor_id"
    )
    payment_ids = fields.One2many("billpay.payment", "control_number_id")
    amount_paid = fields.Monetary(compute="_compute_amount_paid")
    # What we want besides amount, mode and description, and what ClickPesa has.
    wanted_active = fields.Boolean(default=True, copy=False)
    known_active = fields.Boolean(readonly=True, copy=False)
    known_amount = fields.Monetary(readonly=True, copy=False)
    known_mode = fields.Char(readonly=True, copy=False)
    known_max_amount = fields.Monetary(readonly=True, copy=False)
    known_description = fields.Char(readonly=True, copy=False)
    confirmed_at = fields.Datetime(readonly=True, copy=False)
    known_at = fields.Char(
        readonly=True,
        copy=False,
        help="The merchant's place at ClickPesa when ClickPesa confirmed this number.",
    )
    payable = fields.Boolean(
        string="Payable Now",
        compute="_compute_payable",
        search="_search_payable",
        compute_sudo=True,
    )
    payable_problem = fields.Char(
        string="Why Nobody Can Pay It",
        compute="_compute_payable",
        compute_sudo=True,
    )
    lost = fields.Boolean(compute="_compute_payable", compute_sudo=True)
    sync_at = fields.Datetime(
        string="Next Call",
        readonly=True,
        copy=False,
        help="Next update to ClickPesa. Empty: ClickPesa is up to date.",
    )
    sync_rank = fields.Integer(
        default=0,
        readonly=True,
        copy=False,
        help="What is sent first: 0 a new number, 1 a change, 2 another text.",
    )
    sync_attempts = fields.Integer(default=0, readonly=True, copy=False)
    sync_error = fields.Char(string="Last Trouble", readonly=True, copy=False)
    collisions = fields.Integer(
        readonly=True,
        copy=False,
        help="How often ClickPesa had the digits of this number already.",
    )
    digits_at = fields.Datetime(
        string="Has These Digits Since",
        readonly=True,
        copy=False,
        help="Empty: since it was created. Earlier payments are not for its bill.",
    )
    amount_due = fields.Monetary(
        compute="_compute_balance",
        help="In TZS: what is open of the customer's bills that count on this number: "
        "those of its purpose, and what no other number of the customer is for.",
    )
    amount_credit = fields.Monetary(
        string="Credit",
        compute="_compute_balance",
        help="In TZS: money paid on this number, and credit notes, that pay no invoice "
        "yet.",
    )
    balance = fields.Monetary(
        compute="_compute_balance",
        help="In TZS: what is due, less the credit. A negative balance is customer "
        "credit.",
    )
    paid_this_year = fields.Monetary(compute="_compute_paid")
    last_payment_at = fields.Datetime(string="Last Payment", compute="_compute_paid")
    sent = fields.Json(
        readonly=True,
        copy=False,
        help="Amounts (TZS) and descriptions sent to register this number. A response "
        "may be missing.",
    )
    purpose_id = fields.Many2one(
        "billpay.purpose",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        check_company=False,
    )
    department_id = fields.Many2one(
        "account.analytic.account",
        compute="_compute_department_id",
        store=True,
        index="btree_not_null",
    )
    refusal_activity_id = fields.Many2one(
        "mail.activity",
        string="Refusal To Do",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="Asks somebody to look at the refusal. Gone when the number is registered "
        "after all, or closed.",
    )
    told_at = fields.Datetime(
        string="Payer Notified",
        readonly=True,
        copy=False,
        help="When the payer was notified that this number collects the balance.",
    )
    transaction_id = fields.Many2one(
        "payment.transaction",
        string="Checkout",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        copy=False,
    )
    run_line_ids = fields.One2many("billpay.run.line", "number_id", string="Bulk Runs")

    # ClickPesa's references do not tell letter cases apart.
    _name_unique = models.UniqueIndex(
        "(provider_id, upper(name))",
        "This control number already exists for the application.",
    )
    # The same money is never asked for twice: the database says so.
    _one_per_bill = models.UniqueIndex(
        "(bill_key) WHERE bill_key IS NOT NULL"
        " AND state IN ('pending', 'open', 'failed')",
        "This bill has a control number to pay already. Nothing was changed: open the "
        "invoice, the order or the customer to see it.",
    )
    # The sync worker's question, answered without touching settled numbers.
    _sync_due = models.Index("(sync_rank, sync_at) WHERE sync_at IS NOT NULL")
    # For the health page: who collided lately.
    _collided = models.Index("(provider_id, digits_at) WHERE collisions > 0")
    # The pay page knows digits only, not the application.
    _name_idx = models.Index("(name)")

    # === COMPUTE METHODS === #

    @api.depends(
        "move_id.company_id", "purpose_id.company_id", "provider_id.company_id"
    )
    def _compute_company_id(self):
        for number in self:
            number.company_id = (
                number.move_id.company_id
                or number.purpose_id.company_id
                or number.provider_id.company_id
            )

    @api.depends("name")
    def _compute_display_number(self):
        for number in self:
            digits = number.name or ""
            number.display_number = " ".join(
                digits[i : i + 4] for i in range(0, len(digits), 4)
            )

    @api.model
    def _domain_of_keys(self, keys):
        """Return the domain of numbers by ``identity.number_key``, for the index."""
        if not keys:
            return Domain.FALSE

        def to_sql(model, alias, query):
            name = model._field_to_sql(alias, "name", query)
            return SQL("upper(%s) IN %s", name, tuple(keys))

        return Domain.custom(to_sql=to_sql)

    def _search_number(self, operator, value):
        return [("name", operator, number_as_stored(value))]

    @api.depends("successor_ids")
    def _compute_successor_id(self):
        for number in self:
            number.successor_id = number.successor_ids.sorted("id")[:1]

    @api.depends("payment_ids.amount", "payment_ids.state")
    def _compute_amount_paid(self):
        for number in self:
            paid = number.payment_ids.filtered(lambda p: p.state in MONEY)
            number.amount_paid = sum(paid.mapped("amount"))

    def _compute_balance(self):
        balances = self.env["billpay.statement"]._balances(
            self.filtered(lambda number: number.kind == "customer")
        )
        for number in self:
            asked = number.amount if number.state in ("pending", "open") else 0.0
            due, credit = balances.get(number, (asked, 0.0))
            number.amount_due = due
            number.amount_credit = credit
            number.balance = due - credit

    def _compute_paid(self):
        payments = self.env["billpay.payment"].sudo()
        group, last, year = ["control_number_id"], {}, {}
        for company, numbers in self.grouped("company_id").items():
            company = company or self.env.company
            begin = company._billpay_today().replace(month=1, day=1)
            begin = company._billpay_tz().localize(datetime.combine(begin, time()))
            paid = Domain("control_number_id", "in", numbers.ids)
            paid &= Domain("state", "in", MONEY)
            since = begin.astimezone(pytz.utc).replace(tzinfo=None)
            last.update(payments._read_group(paid, group, ["paid_at:max"]))
            paid &= Domain("paid_at", ">=", since)
            year.update(payments._read_group(paid, group, ["amount:sum"]))
        for number in self:
            number.paid_this_year = year.get(number, 0.0)
            number.last_payment_at = last.get(number, False)

    @api.depends("purpose_id.department_id", "move_id.billpay_purpose_id.department_id")
    def _compute_department_id(self):
        for number in self:
            purpose = number.purpose_id or number.move_id.billpay_purpose_id
            number.department_id = purpose.department_id

    @api.depends(*_PAYABLE_BY)
    def _compute_payable(self):
        for number in self:
            obstacle = number._obstacle()
            number.payable = not obstacle
            number.payable_problem = obstacle and number._problem_text()
            number.lost = obstacle in LOST

    def _search_payable(self, operator, value):
        if operator != "in":
            return NotImplemented
        payable = self.env["billpay.payable"]._domain()
        found = Domain.FALSE
        if True in value:
            found |= payable
        if False in value:
            found |= ~payable
        return found

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        # In the same INSERT: the unique index decides who asks for a bill.
        payable = self.env["billpay.payable"]
        numbers = super().create(
            [
                {"bill_key": self._bill_key(vals), **payable._with_place(self, vals)}
                for vals in vals_list
            ]
        )
        numbers.filtered(lambda number: number.state == "open")._became_payable()
        return numbers

    def write(self, vals):
        opening = vals.get("state") == "open"
        opened = self.filtered(lambda number: opening and number.state != "open")
        result = super().write(self.env["billpay.payable"]._with_place(self, vals))
        wanted = ("amount", "max_amount", "mode", "description", "wanted_active")
        if not vals.keys().isdisjoint(wanted) and not self.env.context.get(
            "billpay_schedule_later"
        ):
            self._schedule_if_different()
        if "bill_key" not in vals and not self._bill_fields().isdisjoint(vals):
            self._take_place()
        opened._became_payable()
        if vals.get("state") in ("open", "paid", "closed"):
            # sudo: an activity belongs to its user; its cause is gone all the same.
            self.sudo().refusal_activity_id.unlink()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_never_used(self):
        kept = self - self._never_left().filtered(lambda n: n.state == "closed")
        if kept.filtered(lambda number: number.state != "failed" or number.payment_ids):
            raise UserError(
                self.env._(
                    "You cannot delete a control number that a payer may have: it "
                    "could still be paid. Close it instead."
                )
            )

    # === PAYABLE NOW === #

    def _payable(self):
        """Return those of these numbers that a payer can pay at this moment.

        Whatever shows a number to a payer asks this; what is shown instead is
        ``_problem_text`` for people of the company, and a text of the page for payers.
        """
        return self.filtered(lambda number: not number._obstacle())

    def _obstacle(self):
        """Return what keeps this number from being paid now, as a word, else ""."""
        return self.env["billpay.payable"]._obstacle(self.sudo())

    def _not_lost(self):
        """Return those that can be paid, or will be without a person."""
        return self - self.env["billpay.payable"]._lost(self)

    def _problem_text(self, move=None):
        """Return why nobody can pay this number and the next click, for our people."""
        return self.env["billpay.pay.page"]._problem_text(self, self._obstacle(), move)

    # === BUSINESS METHODS === #

    def _never_left(self):
        """Return the numbers of which neither ClickPesa nor a payer can know."""
        return self.filtered(
            lambda n: (
                not (n.confirmed_at or n.sync_attempts or n.payment_ids)
                and n.state != "paid"
            )
        )

    def _became_payable(self):
        """Bind earlier payments once, at the end of the transaction; notify payers."""
        if not self:
            return
        precommit = self.env.cr.precommit
        ids = precommit.data.setdefault("billpay.became_payable", set())
        if not ids:
            numbers_sudo = self.sudo().browse()

            @precommit.add
            def bind():
                numbers = numbers_sudo.browse(sorted(ids)).exists()
                numbers.env["billpay.ledger"]._bind_waiting(numbers)

        ids.update(self.ids)
        self.env["billpay.pay.page"]._tell_payers(self)

    def _living(self):
        """Return those that ask for money, or are about to."""
        return self.filtered(lambda number: number.state in LIVING)

    def _money(self, states=MONEY):
        """Return the payments of these numbers' bills, as far as they have the money.

        What a person matched to something else is not among them.
        """
        return self.payment_ids.filtered(
            lambda payment: payment.state in states and not payment._is_persons_choice()
        )

    def _received(self, states=MONEY):
        """Return the TZS that came on these numbers for their bills."""
        return sum(self._money(states).mapped("amount"))

    def _was_paid(self):
        """Tell whether money came, or may yet turn out to have come."""
        return any(payment.state != "ignored" for payment in self.payment_ids)

    def _takes_money_again(self):
        """Tell whether a payment may follow: an order number takes one alone."""
        return self.kind == "customer" or not self._was_paid()

    def _can_return(self, provider):
        """Tell whether an application may hand out this number again."""
        return bool(self) and (
            self.state == "closed"
            and self._takes_money_again()
            and self.provider_id == provider
            and self.origin == provider.clickpesa_number_origin
            and self.env["billpay.payable"]._leads_to(self, provider)
        )

    def _want(self, values, carried=None):
        """Write what differs of the wanted values; nothing is called.

        A number that open invoices carry keeps taking what each of them owes.

        :param carried: those of many numbers that open invoices carry
        """
        if "mode" in values:
            mode = self._mode_on_phones(values["mode"])
            exact = mode == "exact" and self.kind == "customer"
            if exact and self.origin != "imported":
                if carried is None:
                    carried = self._open_carriers(limit=1).billpay_carried_number_id
                mode = "flexible" if self in carried else mode
            values = {**values, "mode": mode}
        changed = {
            name: value
            for name, value in values.items()
            if (self._fields[name].convert_to_write(self[name], self) or False)
            != (value or False)
        }
        if changed:
            self.write(changed)

    def _want_each(self, wanted):
        """Write what differs of each number's wanted values, and schedule all at once.

        :param dict wanted: values of each number
        """
        numbers = self.union(*wanted)
        carried = numbers._open_carriers().billpay_carried_number_id
        for number, values in wanted.items():
            number.with_context(billpay_schedule_later=True)._want(values, carried)
        numbers._schedule_if_different()

    @api.model
    def _reserve(self, provider, vals_list, offline=None, wake=True, partly=False):
        """Reserve numbers in the caller's transaction; the sync worker registers them.

        Offline numbers are payable at once.

        :param bool offline: by default as the application says
        :param bool wake: whether the sync worker is woken; whoever makes the call
            next does not want it to be faster
        :param bool partly: where the digits end, the first ones get theirs
        :return: one number per item of ``vals_list``, in order
        :raise ConcurrencyError: one of the bills got its number meanwhile
        :raise NumberSpaceExhausted: there are no digits; nothing was written
        """
        if not vals_list:
            return self.browse()
        if offline is None:
            offline = provider.clickpesa_number_origin == "offline"
        now = fields.Datetime.now()
        common = {
            "provider_id": provider.id,
            "currency_id": money.shillings(self.env).id,
            "origin": "offline" if offline else "api",
            "state": "open" if offline else "pending",
            "confirmed_at" if offline else "sync_at": now,
        }
        references = self.env["billpay.numbering"]._next_references(
            provider, len(vals_list), offline=offline, partly=partly
        )
        quiet = self.sudo().with_context(tracking_disable=True, mail_create_nolog=True)
        # What was closed or paid before leaves its bill's place to the new one.
        self.flush_model(["state", "bill_key"])
        with taken("A control number"):
            numbers = quiet.create(
                [
                    {**vals, **common, "name": name}
                    for vals, name in zip(vals_list, references, strict=not partly)
                ]
            )
        if offline:
            for number in numbers.filtered(lambda n: n.mode == "exact"):
                number._want({"mode": number.mode})
        if not offline and wake:
            provider._billpay_trigger("ir_cron_sync_numbers")
        return numbers.with_env(self.env)

    def _bill(self):
        """Return the bill that this number asks for. Extended by glue.

        :return: a record of ``billpay.bill.mixin``, empty where it is not known
        """
        return self.transaction_id or self.move_id

    @api.model
    def _bill_fields(self):
        """Return the fields that say which bill a number asks for. Extended by glue."""
        return {"kind", "move_id", "transaction_id", "partner_id", "purpose_id"}

    @api.model
    def _bill_key(self, values):
        """Return the key of the bill that a number asks for. Extended by glue.

        :param dict values: of ``_bill_fields``, records as ids; what lacks is empty
        :return: False for a number that asks for no bill yet
        """
        if move_id := values.get("move_id"):
            return f"invoice:{move_id}"
        if transaction_id := values.get("transaction_id"):
            tx_sudo = self.env["payment.transaction"].sudo().browse(transaction_id)
            return tx_sudo._billpay_key()
        partner_id, purpose_id = values.get("partner_id"), values.get("purpose_id")
        if values.get("kind") == "customer" and partner_id and purpose_id:
            return f"purpose:{partner_id}:{purpose_id}"
        return False

    def _own_key(self):
        return self._bill_key(self._read_format(self._bill_fields(), load=None)[0])

    def _take_place(self):
        """Give these numbers out for the bills that they ask for now.

        :raise ValidationError: later, by the database: a bill has a living one
        """
        for number in self:
            if (number.bill_key or False) != (key := number._own_key()):
                number.bill_key = key

    def _leave_place_to(self, number):
        """Stay payable beside the number that is given out for the same bill."""
        (self - number).bill_key = False
        self.flush_recordset(["bill_key"])
        number._take_place()

    def _is_known(self):
        """Tell whether ClickPesa has confirmed this number at least once."""
        return bool(self.confirmed_at)

    def _schedule_if_different(self):
        """Make rows due for sync whose wanted state ClickPesa does not have."""
        sync, due = self.env["billpay.sync"], self.browse()
        for number in self:
            known = number.origin == "api" and number._is_known()
            if not known or number.state not in ("open", "closed"):
                continue
            if difference := sync._difference(number):
                rank = sync._rank(difference)
                # A leased row has no error. After a refusal, what is wanted now is not
                # what was refused, and does not wait for its pause.
                if not number.sync_at or number.sync_error:
                    number.sync_rank = rank
                    due |= number
                elif rank < number.sync_rank:
                    number.sync_rank = rank
        if due:
            due.write({"sync_at": fields.Datetime.now(), "sync_attempts": 0})
            due[0].provider_id._billpay_trigger("ir_cron_sync_numbers")

    def _close(self):
        """Ask for no more money on these numbers; upstream they are switched off.

        Imported numbers may belong to another application at ClickPesa, which is not
        notified of them.
        """
        numbers = self._living()
        imported = numbers.filtered(
            lambda n: n.origin == "imported" and n.state != "failed"
        )
        for known, group in numbers.grouped(lambda n: n._is_known()).items():
            # A number that may be on its way to ClickPesa stays due: the worker
            # finds it there, or does not, and ends with it switched off.
            group.write({"state": "closed", "wanted_active": False})
            if not known:
                group.filtered(lambda n: not n.sync_attempts).sync_at = False
        for number in imported:
            number._message_log(
                body=self.env._(
                    "Closed in Odoo only. ClickPesa does not know of it, so payers can "
                    "still use this imported number; their payments are posted. To "
                    "stop them, disable the number on the ClickPesa dashboard."
                )
            )

    def _reopen(self):
        """Ask for money again on closed numbers, each in its bill's place.

        :raise ValidationError: later, by the database: a bill has a living one
        """
        closed = self.filtered(lambda n: n.state == "closed" and n._takes_money_again())
        # What was closed before leaves the place.
        self.flush_model(["state", "bill_key"])
        for known, group in closed.grouped(lambda n: n._is_known()).items():
            group.write(
                {"state": "open" if known else "pending", "wanted_active": True}
            )
            if not known:
                group.sync_at = fields.Datetime.now()
                group.provider_id[:1]._billpay_trigger("ir_cron_sync_numbers")
        closed._take_place()
        self.env["billpay.payable"]._register_here(closed)

    def _settle_paid(self):
        """Money was booked on these numbers: what ClickPesa closes is paid.

        An order number takes one payment, even a partial one; under a maximum it takes
        payments until that is reached (ClickPesa docs, BillPay FAQ).
        """

        def takes_more(number):
            compare = number.currency_id.compare_amounts
            more = compare(number.amount_paid, number.known_max_amount) < 0
            return number.state == "open" and more

        paid = self.filtered(
            lambda n: n.kind == "order" and n.state != "paid" and not takes_more(n)
        )
        off = {"wanted_active": False, "known_active": False, "sync_at": False}
        paid.with_context(tracking_disable=True).write({"state": "paid", **off})

    def action_billpay_cards(self):
        living = self.filtered(lambda number: number.state in ("open", "pending"))
        return self._cards_action(living, self.env["res.partner"])

    @api.model
    def _cards_action(self, numbers, without):
        values = {"number_ids": numbers.ids, "without_ids": without.ids}
        wizard = self.env["billpay.card.print"].create(values)
        return dialog(wizard, self.env._("Print Cards"))

    def _check_customer_clerk(self):
        self.check_access("read")
        self.env["account.move"]._billpay_check_clerk()
        if self.filtered(lambda number: number.kind != "customer"):
            raise UserError(
                self.env._(
                    "Order numbers follow their invoice: cancel or change that. "
                    "Nothing was changed."
                )
            )

    def _mode_on_phones(self, mode):
        """Return the mode in which phones take this number, if it is to have ``mode``.

        Of a number that it did not register Odoo changes nothing at ClickPesa. The
        mode of an offline order is what its page asks the payer for.
        """
        if self.origin == "imported":
            return self.known_mode or "flexible"
        offline = self.origin == "offline" and self.kind == "customer"
        return "flexible" if offline else mode

    def _cannot_ask(self, values):
        """Tell whether these values are beyond an imported number, which never changes:
        a phone takes the exact amount that ClickPesa has, and nothing else."""
        differs = self.currency_id.compare_amounts(self.known_amount, values["amount"])
        return self._takes_only_its_amount() and bool(differs)

    def _open_carriers(self, limit=None):
        """Return the unpaid invoices that show these numbers of customers."""
        carrying = Domain("billpay_carried_number_id", "in", self.ids)
        carrying &= Domain("state", "=", "posted")
        carrying &= Domain("payment_state", "in", UNPAID)
        return self.env["account.move"].sudo().search(carrying, limit=limit)

    def _takes_only_its_amount(self):
        """Tell whether a phone takes one amount on it, which nobody here can change."""
        return self.origin == "imported" and self.known_mode == "exact"

    def action_print_statement(self):
        return self.env.ref("billpay_odoo.action_report_statement").report_action(self)

    def _billpay_mail_block(self):
        """Return the pay block of an e-mail about this number, as HTML."""
        partner = self.partner_id
        lang = partner.lang or partner.parent_id.lang or self.company_id.partner_id.lang
        pages = self.env["billpay.pay.page"]
        if not (document := pages._billpay_printed(self)):
            return Markup("<p>%s</p>") % pages._notice(self, lang)
        return pages._render_mail_block(
            pages._block_values(document, self.company_id, lang)
        )

    def _billpay_mail_to(self):
        return self.partner_id._billpay_contact_values()["email"]

    def _billpay_mail_text(self):
        """Return subject and greeting, in the customer's language."""
        partner = self.partner_id
        lang = page_texts.page_language(
            partner.lang, partner.parent_id.lang, self.company_id.partner_id.lang
        )
        return page_texts.texts(
            lang,
            payee=self.company_id.name,
            what=" ".join(filter(None, (self.purpose_id.name, partner.name))),
        )

    # === ACTION METHODS === #

    def action_open_pay_page(self):
        # The address is a secret: whoever has it reads the bill.
        self.check_access("read")
        return {
            "type": "ir.actions.act_url",
            "url": self.env["billpay.pay.page"]._get_pay_url(self.sudo()),
            "target": "new",
        }

    def action_retry(self):
        """Try again to register refused numbers, under the same digits."""
        self._check_may_retry()
        refused = self.filtered(lambda n: n.state == "failed")
        now = fields.Datetime.now()
        refused.sudo().write({"state": "pending", "sync_at": now, "sync_error": False})
        self.env["payment.provider"]._billpay_trigger("ir_cron_sync_numbers")

    def action_close(self):
        """Switch customer numbers off, here and at ClickPesa."""
        self._check_customer_clerk()
        self.sudo()._close()

    def action_reopen(self):
        """Let closed customer numbers take money again.

        :raise UserError: the customer has another one for the same purpose
        """
        self._check_customer_clerk()
        closed_sudo = self.sudo().filtered(lambda number: number.state == "closed")
        self.env["billpay.payable"]._check_namba(closed_sudo)
        keys = {number._own_key() for number in closed_sudo} - {False}
        if other := closed_sudo.search(
            [("bill_key", "in", list(keys)), ("state", "in", LIVING)], limit=1
        ):
            raise UserError(
                self.env._(
                    "%(customer)s has the number %(number)s for this purpose. Nothing "
                    "was changed: close that one first.",
                    customer=other.partner_id.display_name,
                    number=other.display_number,
                )
            )
        closed_sudo._reopen()
        imported = closed_sudo.filtered(lambda number: number.origin == "imported")
        if not imported:
            return None
        message = self.env._(
            "Open in Odoo only: Odoo does not change imported numbers at ClickPesa. If "
            "it was disabled on the ClickPesa dashboard nobody can pay it: enable it "
            "there before you give it out."
        )
        imported._message_log_batch(bodies=dict.fromkeys(imported.ids, message))
        return notify("warning", message)

    def action_new_numbers(self):
        """Replace those of these numbers that cannot be paid any more, in a run.

        :raise UserError: none of them, or there is no application to make new ones
        """
        self.check_access("read")
        self.env["account.move"]._billpay_check_clerk()
        return self.env["billpay.run.wizard"]._replace_lost(self)

    def action_change(self):
        self._check_customer_clerk()
        return dialog(
            self.env["billpay.number.change"],
            self.env._("Change Amount"),
            context={"default_number_ids": self.ids},
        )

    def _check_may_retry(self):
        self.check_access("read")
        self.env.user._billpay_check("book")

    def action_take_another_number(self):
        """Register refused numbers under other digits."""
        self._check_may_retry()
        refused = self.filtered(lambda n: n.state == "failed" and n.origin == "api")
        self.env["billpay.sync"]._take_others(refused.sudo())

    # === CRON === #

    @api.model
    def _cron_sync_numbers(self):
        """Synchronise due numbers with ClickPesa. Idle, this is one indexed query."""
        self.env["billpay.sync"]._sync_numbers()


class BillpayPayable(models.AbstractModel):
    """Tell which numbers can be paid now, and give those that are lost a successor."""

    _name = "billpay.payable"
    _description = "BillPay Payable Numbers"

    # What a phone must not be told before ClickPesa knows it.
    _asked = frozenset({"active", "amount", "mode", "max_amount"})

    # === THE RULE === #

    def _obstacle(self, number):
        """Return what keeps a number from being paid now, as a word; "" if nothing.

        :param number: one number, in sudo
        :return: the state of one that is over; ``cancelled`` (its invoice), ``off``
            (the application), ``company`` (the application is not its company's),
            ``address`` (registered at another place), ``unknown`` (to ClickPesa) or
            ``changing`` (ClickPesa has not yet what it asks for). ``_sql`` is the same
            as a condition
        """
        move = number.move_id
        if number.state in ("paid", "closed", "failed"):
            return number.state
        if move and move.state != "posted":
            return "cancelled"
        if loss := self._loss(number):
            return loss
        if number.state == "pending" or not number._is_known():
            return "unknown"
        if number.origin == "api" and not (
            number.wanted_active
            and self._asked.isdisjoint(self.env["billpay.sync"]._difference(number))
        ):
            return "changing"
        return ""

    def _loss(self, number):
        """Return which of ``LOST`` keeps a number from being paid, in sudo, or ""."""
        provider = number.provider_id
        if not provider._billpay_is_on():
            return "off"
        # An archived company's application goes on.
        company = number.company_id.with_context(active_test=False)
        if provider.company_id not in company.parent_ids:
            return "company"
        return "" if self._is_at(number, provider) else "address"

    def _is_at(self, number, provider):
        """Tell whether money for these digits still reaches the merchant.

        Offline numbers lead there by the BillPay-Namba alone; what is registered does
        at the address, and for the client ID, with which it was registered.
        """
        if number.origin == "offline":
            return self._is_in_space(number, provider)
        return not number._is_known() or (
            not number.known_at or number.known_at == provider.billpay_place
        )

    def _is_in_space(self, number, provider):
        namba = provider.clickpesa_billpay_namba
        return bool(namba and (number.name or "").startswith(namba))

    def _leads_to(self, number, provider):
        """Tell whether an application can hand out these digits again."""
        return self._is_at(number, provider) or self._is_in_space(number, provider)

    @api.model
    def _sql(self):
        """Return the rule of ``_obstacle`` as a condition on numbers ``n``."""
        return SQL(
            """
            n.state = 'open' AND n.confirmed_at IS NOT NULL AND %s
            AND (n.move_id IS NULL OR EXISTS (
                SELECT FROM account_move m
                 WHERE m.id = n.move_id AND m.state = 'posted'))
            AND (n.origin != 'api' OR (
                COALESCE(n.wanted_active, FALSE) AND COALESCE(n.known_active, FALSE)
                AND COALESCE(n.amount, 0) IN (0, COALESCE(n.known_amount, 0))
                AND (COALESCE(n.amount, 0) = 0 AND COALESCE(n.known_amount, 0) = 0
                     OR n.mode = COALESCE(n.known_mode, ''))
                AND (n.mode != 'flexible' OR COALESCE(n.max_amount, 0)
                     IN (0, COALESCE(n.known_max_amount, 0)))))
            """,
            self._not_lost_sql(),
        )

    @api.model
    def _not_lost_sql(self):
        return SQL(
            """
            EXISTS (
                SELECT FROM payment_provider p
                  JOIN res_company c ON c.id = n.company_id
                 WHERE p.id = n.provider_id AND p.code = 'clickpesa' AND %s
                   AND strpos('/' || c.parent_path, '/' || p.company_id || '/') > 0
                   AND CASE WHEN n.origin = 'offline'
                       THEN COALESCE(starts_with(n.name,
                            NULLIF(p.clickpesa_billpay_namba, '')), FALSE)
                       ELSE n.confirmed_at IS NULL
                            OR COALESCE(n.known_at, '') IN ('', p.billpay_place) END)
            """,
            self.env["payment.provider"]._billpay_on_sql("p"),
        )

    @api.model
    def _domain(self, condition=None):
        """Return the rule, or another condition on numbers ``n``, as a domain."""
        condition = condition or self._sql()
        self.env["billpay.control.number"].flush_model()
        self.env["account.move"].flush_model(["state"])
        self.env["payment.provider"].flush_model()
        return Domain.custom(
            to_sql=lambda model, alias, query: SQL(
                "%s IN (SELECT n.id FROM billpay_control_number n WHERE %s)",
                SQL.identifier(alias, "id"),
                condition,
            )
        )

    def _with_place(self, numbers, vals):
        """Return ``vals`` with the place at which ClickPesa confirmed a number."""
        if not vals.get("confirmed_at") or "known_at" in vals:
            return vals
        provider_sudo = numbers.sudo().provider_id
        if "provider_id" in vals:
            provider_sudo = provider_sudo.browse(vals["provider_id"])
        return {**vals, "known_at": provider_sudo[:1].billpay_place}

    def _check_namba(self, numbers):
        """:raise UserError: one was made offline under another BillPay-Namba"""
        for number in numbers.filtered(lambda number: number.origin == "offline"):
            if not self._is_at(number, number.provider_id):
                raise UserError(
                    self.env._(
                        "Control number %(number)s was made offline and does not begin "
                        "with the BillPay-Namba %(namba)s, so its money would not "
                        "reach you. Nothing was changed: get the customer another "
                        "number.",
                        number=number.display_number,
                        namba=number.provider_id.clickpesa_billpay_namba or "",
                    )
                )

    # === NUMBERS THAT ARE LOST === #

    def _lost(self, numbers):
        """Return those that nobody can pay, also later, unless a person acts."""
        return numbers.filtered(
            lambda number: (
                number._obstacle() in LOST
                # A refused one is registered only where its application is.
                or (number.state == "failed" and self._loss(number.sudo()))
            )
        )

    def _is_replaced_by_run(self, number):
        """Tell whether a run gives what this number asks for another one.

        Shops and tills make theirs when the customer comes again.
        """
        customer = number.kind == "customer" and number.purpose_id
        return bool(number.move_id or customer)

    @api.model
    def _lost_of(self, providers):
        """Return the living numbers of these applications that are lost, in sudo."""
        lost = ~self._domain(self._not_lost_sql())
        lost &= Domain("provider_id", "in", providers.ids)
        lost &= Domain("state", "in", ("pending", "open"))
        return self.env["billpay.control.number"].sudo().search(lost)

    def _revive(self, numbers, provider):
        """Let a live application take over what living numbers ask for.

        Digits that still lead to the merchant are registered again, since payers have
        them; other lost numbers are closed.

        :return: the numbers that go on asking
        """
        lost = self._lost(numbers)
        again = lost.filtered(
            lambda n: (
                n.provider_id == provider
                and (n.origin, n.state) == ("api", "open")
                and n._obstacle() == "address"
                and self._is_in_space(n, provider)
            )
        )
        self._register_here(again)
        (lost - again)._close()
        return numbers - (lost - again)

    def _register_here(self, numbers):
        """Have numbers that another place took registered at the present one.

        What was switched off there waits for a change, which tells whether it is here.
        """
        active = numbers.filtered(
            lambda n: (
                n.origin == "api" and n.known_active and n._obstacle() == "address"
            )
        )
        if active:
            self.env["billpay.sync"]._register_again(active)
            active.provider_id[:1]._billpay_trigger("ir_cron_sync_numbers")

    def _warning_of_loss(self, provider):
        """Return what saving this changed application takes from payers, as a dialog.

        :param provider: as it stands in a form, not saved
        """
        origin = provider._origin
        if not origin._billpay_is_on() or (
            provider._billpay_is_on() and provider.billpay_place == origin.billpay_place
        ):
            return None
        domain = [("provider_id", "=", origin.id), ("state", "=", "open")]
        count = self.env["billpay.control.number"].sudo().search_count(domain)
        return count and {
            "warning": {
                "title": self.env._("Open Control Numbers"),
                "message": self.env._(
                    "%(count)s control numbers of %(application)s are open. Once this "
                    "is saved, payers are not shown those that do not lead to you any "
                    "more: they disappear from invoices, cards, pages and lists. "
                    "Payments on their way are still listed. Save, then press Make New "
                    "Numbers on this form; or discard the change.",
                    count=count,
                    application=provider.name,
                ),
            }
        }

    def _log_loss(self, provider):
        """Note how many numbers a change took from payers."""
        if count := len(self._lost_of(provider)):
            provider._message_log(
                body=self.env._(
                    "%s open control numbers cannot be paid any more, so payers are "
                    "not shown them. Press Make New Numbers, or undo the change.",
                    count,
                )
            )
