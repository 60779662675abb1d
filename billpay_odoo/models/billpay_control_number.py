# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import psycopg2.errors

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError, UserError
from odoo.tools.misc import OrderedSet

from ..allocation import EXACT_OLDEST
from .billpay_purpose import POLICIES


def without_blanks(value):
    """Return what was typed into a search as the digits are stored.

    :param value: a text, or a collection of texts (Odoo turns "=" into "in")
    """
    if isinstance(value, str):
        return "".join(value.split())
    if isinstance(value, list | tuple | set | OrderedSet):
        return [without_blanks(item) for item in value]
    return value


class BillpayControlNumber(models.Model):
    """What a payer types to pay a bill.

    The row holds what we want (amount, mode, description, active) and what ClickPesa
    last confirmed (``known_…``). Where they differ ``sync_at`` says when the sync
    worker is to act; nothing else talks to ClickPesa about a number.
    """

    _name = "billpay.control.number"
    _description = "BillPay Control Number"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _rec_name = "name"
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
        help="In TZS: all that the number may collect, what was paid on it included. "
        "Zero: ClickPesa closes the number at its first payment.",
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
    predecessor_id = fields.Many2one(
        "billpay.control.number",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="The number whose payment left the rest that this one asks for.",
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
    sync_at = fields.Datetime(
        string="Next Call",
        readonly=True,
        copy=False,
        help="When ClickPesa is told next. Empty: it knows what we want.",
    )
    sync_attempts = fields.Integer(default=0, readonly=True, copy=False)
    sync_error = fields.Char(string="Last Trouble", readonly=True, copy=False)

    # ClickPesa's references do not tell letter cases apart.
    _name_unique = models.UniqueIndex(
        "(provider_id, upper(name))",
        "This control number already exists for the application.",
    )
    # The same money is never asked for twice: the database says so.
    _one_asking = models.UniqueIndex(
        "(move_id) WHERE move_id IS NOT NULL"
        " AND state IN ('pending', 'open', 'failed')",
        "This invoice has a control number to pay already. Nothing was changed: open "
        "the invoice to see it.",
    )
    # The sync worker's question, answered without touching settled numbers.
    _sync_due = models.Index("(sync_at) WHERE sync_at IS NOT NULL")

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

    def _search_number(self, operator, value):
        """Find a number typed with or without spaces."""
        return [("name", operator, without_blanks(value))]

    @api.depends("display_number")
    def _compute_display_name(self):
        for number in self:
            number.display_name = number.display_number

    @api.depends("successor_ids")
    def _compute_successor_id(self):
        for number in self:
            number.successor_id = number.successor_ids.sorted("id")[:1]

    @api.depends("payment_ids.amount", "payment_ids.state")
    def _compute_amount_paid(self):
        for number in self:
            number.amount_paid = sum(
                number.payment_ids.filtered(
                    lambda p: p.state in ("confirmed", "posted", "failed")
                ).mapped("amount")
            )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        numbers = super().create(vals_list)
        if payable := numbers.filtered(lambda number: number.state == "open"):
            payable._became_payable()
        return numbers

    def write(self, vals):
        opened = self.browse()
        if vals.get("state") == "open":
            opened = self.filtered(lambda number: number.state != "open")
        result = super().write(vals)
        if not vals.keys().isdisjoint(
            ("amount", "max_amount", "mode", "description", "wanted_active")
        ):
            self._schedule_if_different()
        if opened:
            opened._became_payable()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_never_used(self):
        kept = self - self._never_left().filtered(lambda n: n.state == "closed")
        if kept.filtered(lambda number: number.state != "failed" or number.payment_ids):
            raise UserError(
                self.env._(
                    "A control number that a payer may have is not deleted: money "
                    "could still be sent to it. Close it instead."
                )
            )

    # === BUSINESS METHODS === #

    def _never_left(self):
        """Return the numbers of which neither ClickPesa nor a payer can know."""
        return self.filtered(
            lambda number: (
                not number.confirmed_at
                and not number.sync_attempts
                and number.state != "paid"
                and not number.payment_ids
            )
        )

    def _became_payable(self):
        """From now on payers can pay these numbers. Extended by who waits for that."""

    def _was_paid(self):
        """Tell whether money came, or may yet turn out to have come."""
        self.ensure_one()
        return any(payment.state != "ignored" for payment in self.payment_ids)

    def _can_return(self, provider):
        """Tell whether this number may be handed out again instead of a new one.

        :param payment.provider provider: the application that makes numbers now
        """
        if not self:
            return False
        return (
            self.state == "closed"
            and not self._was_paid()
            and self.provider_id == provider
            and self.origin in (provider.clickpesa_number_origin, "imported")
        )

    def _want(self, values):
        """Write what differs of the wanted values; nothing is called."""
        self.ensure_one()
        changed = {
            name: value
            for name, value in values.items()
            if (self._fields[name].convert_to_write(self[name], self) or False)
            != (value or False)
        }
        if changed:
            self.write(changed)

    @api.model
    def _reserve(self, provider, vals_list, offline=None, wake=True):
        """Reserve numbers without any HTTP, in the caller's transaction.

        They are registered with ClickPesa by the sync worker, which is woken when
        the transaction commits. Offline numbers are payable at once.

        :param payment.provider provider: the application
        :param list vals_list: values without ``name``, ``provider_id``,
            ``currency_id``, ``origin`` and ``state``, which are set here
        :param bool offline: whether ClickPesa is not asked; by default as the
            application says
        :param bool wake: whether the sync worker is woken; whoever makes the call
            next does not want it to be faster
        :return: one number per item, in order
        :raise ConcurrencyError: one of the invoices got its number meanwhile
        """
        if not vals_list:
            return self.browse()
        now = fields.Datetime.now()
        if offline is None:
            offline = provider.clickpesa_number_origin == "offline"
        currency = self.env.ref("base.TZS")
        references = provider._billpay_next_references(len(vals_list))
        quiet = self.sudo().with_context(tracking_disable=True, mail_create_nolog=True)
        # What was closed or paid before leaves its bill's place to the new one.
        self.flush_model(["state", *self._bill_fields()])
        try:
            numbers = quiet.create(
                [
                    {
                        **vals,
                        "name": name,
                        "provider_id": provider.id,
                        "currency_id": currency.id,
                        "origin": "offline" if offline else "api",
                        "state": "open" if offline else "pending",
                        "confirmed_at": now if offline else False,
                        "sync_at": False if offline else now,
                    }
                    for vals, name in zip(vals_list, references, strict=True)
                ]
            )
        except psycopg2.errors.UniqueViolation as error:
            constraint = error.diag.constraint_name or ""
            if not constraint.endswith(
                ("_one_asking", "_one_per_checkout", "_at_till")
            ):
                raise
            # Another transaction made it since this one began: look once more.
            raise ConcurrencyError(str(error)) from error
        if not offline and wake:
            provider._billpay_trigger("ir_cron_sync_numbers")
        return numbers.with_env(self.env)

    @api.model
    def _bill_fields(self):
        """Return the fields that say which bill a number asks for. Extended by glue."""
        return ["move_id"]

    def _is_known(self):
        """Tell whether ClickPesa has confirmed this number at least once."""
        self.ensure_one()
        return bool(self.confirmed_at)

    def _difference(self):
        """Return the members in which ClickPesa lags behind, for one PATCH.

        :return: keyword arguments of ``ClickPesaClient.update_number``; empty when
            nothing differs
        :rtype: dict
        """
        self.ensure_one()
        difference = {}
        if self.wanted_active != self.known_active:
            difference["active"] = self.wanted_active
        if not self.wanted_active:
            # What a switched-off number asks for does not matter to anybody.
            return difference
        if self.currency_id.compare_amounts(self.amount, self.known_amount):
            # An amount can be changed, not taken away (ClickPesa docs, "Update").
            if self.amount:
                difference["amount"] = self.amount
        if self.amount or self.known_amount:
            # The mode only counts together with an amount.
            if self.mode != (self.known_mode or False):
                difference["mode"] = self.mode
        if (
            self.mode == "flexible"
            and self.max_amount
            and self.currency_id.compare_amounts(self.max_amount, self.known_max_amount)
        ):
            difference["max_amount"] = self.max_amount
        if (self.description or "") != (self.known_description or ""):
            if self.description:
                difference["description"] = self.description
        return difference

    def _schedule_if_different(self):
        """Make rows due for sync whose wanted state ClickPesa does not have."""
        now = fields.Datetime.now()
        due = self.filtered(
            lambda number: (
                number.origin == "api"
                and number.state in ("open", "closed")
                and number._is_known()
                # A leased row has no error. After a refusal, what is wanted now is not
                # what was refused, and does not wait for its pause.
                and (not number.sync_at or number.sync_error)
                and number._difference()
            )
        )
        if due:
            due.write({"sync_at": now, "sync_attempts": 0})
            # Who changes many wakes the worker once.
            if not self.env.context.get("billpay_wake_later"):
                due[0].provider_id._billpay_trigger("ir_cron_sync_numbers")

    def _close(self):
        """Ask for no more money on these numbers; upstream they are switched off."""
        numbers = self.filtered(lambda n: n.state in ("pending", "open", "failed"))
        for known, group in numbers.grouped(lambda n: n._is_known()).items():
            # A number that may be on its way to ClickPesa stays due: the worker
            # finds it there, or does not, and ends with it switched off.
            group.write({"state": "closed", "wanted_active": False})
            if not known:
                group.filtered(lambda n: not n.sync_attempts).sync_at = False

    def _reopen(self):
        """Ask for money again on closed, never paid numbers."""
        closed = self.filtered(lambda n: n.state == "closed" and not n._was_paid())
        for known, group in closed.grouped(lambda n: n._is_known()).items():
            group.write(
                {"state": "open" if known else "pending", "wanted_active": True}
            )
            if not known:
                group.filtered(lambda n: n.origin == "api").write(
                    {"sync_at": fields.Datetime.now()}
                )
                group[0].provider_id._billpay_trigger("ir_cron_sync_numbers")

    def _settle_paid(self):
        """Money was booked on these numbers: what ClickPesa closes is paid.

        An order number takes one payment, even a partial one; under a maximum it takes
        payments until that is reached (ClickPesa docs, BillPay FAQ).
        """
        paid = self.filtered(
            lambda number: (
                number.kind == "order"
                and number.state != "paid"
                and not (
                    number.state == "open"
                    and number.currency_id.compare_amounts(
                        number.amount_paid, number.known_max_amount
                    )
                    < 0
                )
            )
        )
        paid.with_context(tracking_disable=True).write(
            {
                "state": "paid",
                # ClickPesa closes an order number by itself when it is paid.
                "wanted_active": False,
                "known_active": False,
                "sync_at": False,
            }
        )

    def _billpay_printed(self):
        """Return what a document shows of this number.

        :rtype: dict
        """
        self.ensure_one()
        return {
            "id": self.id,
            "name": self.name,
            "display_number": self.display_number,
            "amount": self.amount,
            "url": self._get_pay_url(),
        }

    # === ACTION METHODS === #

    def action_open_pay_page(self):
        """Show what the payer sees."""
        self.ensure_one()
        # The address is a secret: whoever has it reads the bill.
        self.check_access("read")
        return {
            "type": "ir.actions.act_url",
            "url": self.sudo()._get_pay_url(),
            "target": "new",
        }

    def action_open_invoice(self):
        self.ensure_one()
        return self.move_id._get_records_action()

    def action_retry(self):
        """Try again to register refused numbers, under the same digits."""
        self._check_may_retry()
        refused = self.filtered(lambda n: n.state == "failed")
        refused.sudo().write(
            {
                "state": "pending",
                "sync_at": fields.Datetime.now(),
                "sync_error": False,
            }
        )
        self.env["payment.provider"]._billpay_trigger("ir_cron_sync_numbers")
