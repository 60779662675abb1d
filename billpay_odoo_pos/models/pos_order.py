# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from odoo.addons.billpay_odoo.actions import window
from odoo.addons.billpay_odoo.const import MONEY
from odoo.addons.billpay_odoo.models.bill.billpay_bill import BillpayBill
from odoo.addons.billpay_odoo.money import whole_shillings

STATES = [
    ("waiting", "Waiting for BillPay"),
    ("part", "Part Paid"),
    ("paid", "Paid by BillPay"),
    ("over", "Paid Too Much"),
]
# How much of an order's UUID and of a number a message to the till says.
TOLD_OF_UUID = 8
TOLD_OF_NUMBER = 6


class PosOrder(models.Model):
    """A till order: it and its numbers meet, and money for it is told to the till."""

    _name = "pos.order"
    _inherit = ["pos.order", BillpayBill._name]

    billpay_number = fields.Char(
        string="Control Number",
        copy=False,
        help="The number that the receipt shows.",
    )
    billpay_url = fields.Char(
        compute="_compute_billpay_url",
        compute_sudo=True,
        help="The pay page of the number. Empty: the number cannot be paid now.",
    )
    billpay_problem = fields.Char(
        string="Why Nobody Can Pay It",
        compute="_compute_billpay_url",
        compute_sudo=True,
    )
    billpay_number_ids = fields.One2many(
        "billpay.control.number",
        "pos_order_id",
        string="Control Numbers",
        groups="billpay_odoo.group_billpay_user",
    )
    billpay_due = fields.Monetary(
        string="Waits for BillPay", compute="_compute_billpay_state", compute_sudo=True
    )
    billpay_state = fields.Selection(
        STATES,
        string="BillPay",
        compute="_compute_billpay_state",
        search="_search_billpay_state",
        compute_sudo=True,
    )

    # === COMPUTE METHODS === #

    @api.depends(
        "state",
        "payment_ids.amount",
        "payment_ids.payment_method_id.use_payment_terminal",
        "billpay_number_ids.payment_ids.state",
    )
    def _compute_billpay_state(self):
        for order in self:
            lines = order.payment_ids.filtered("is_billpay")
            wanted = sum(lines.mapped("amount"))
            numbers = order.billpay_number_ids | lines.billpay_number_id
            received = numbers._received()
            compare = order.currency_id.compare_amounts
            otherwise = order._billpay_paid_otherwise() if lines else 0
            order.billpay_due = max(wanted - received - otherwise, 0)
            if not wanted and not received:
                order.billpay_state = False
            elif not received:
                order.billpay_state = "waiting"
            elif compare(received, wanted) < 0:
                order.billpay_state = "part"
            else:
                over = lines and compare(received, wanted) > 0
                order.billpay_state = "over" if over else "paid"

    @api.depends("billpay_number", "billpay_number_ids.payable")
    def _compute_billpay_url(self):
        for order in self:
            numbers = order.billpay_number_ids.filtered(
                lambda n, order=order: n.name == order.billpay_number
            )
            shown = numbers._payable()[:1]
            page = self.env["billpay.pay.page"]
            order.billpay_url = page._get_pay_url(shown) if shown else False
            order.billpay_problem = order.config_id._billpay_problem(
                numbers._living()[:1] if not shown else numbers.browse()
            )

    def _search_billpay_state(self, operator, value):
        """Orders are looked for among those that have BillPay lines."""
        if operator != "in":
            return NotImplemented
        orders = self.search(
            Domain("payment_ids.payment_method_id.use_payment_terminal", "=", "billpay")
            | Domain("billpay_number", "!=", False)
        )
        found = orders.filtered(lambda order: order.billpay_state in value)
        return [("id", "in", found.ids)]

    # === THE TILL'S RULES === #

    @api.constrains("state")
    def _check_billpay_rules(self):
        self.filtered(lambda order: order.state == "paid")._billpay_check_rules()

    def write(self, vals):
        # EXTENDS point_of_sale
        unfinished = self.browse()
        if vals.get("state") == "done":
            # Past "paid"; a session that closes writes it on paid orders.
            unfinished = self.filtered(lambda order: order.state in ("draft", "cancel"))
        result = super().write(vals)
        unfinished._billpay_check_rules()
        return result

    def _billpay_check_rules(self):
        """Hold the till's rules about later and change against finished orders.

        The till shows them; whoever sends an order decides what is in it. Without
        network cannot be told from pulled out the cable: *Only without network* is
        for the till alone.

        :raise ValidationError: a rule is broken; nothing was stored
        """
        for order in self:
            config = order.config_id
            asked = order._billpay_asked()
            compare = order.currency_id.compare_amounts
            if compare(asked, 0) <= 0:
                continue
            due = max(whole_shillings(order.amount_total), order.amount_total)
            if config.cash_rounding:
                due += config.rounding_method.rounding
            change = compare(asked, due) > 0
            if change and not config.billpay_change:
                raise ValidationError(
                    self.env._(
                        "%(order)s comes to %(total)s, but %(asked)s is entered as "
                        "paid by BillPay: the till %(till)s gives no change for it. "
                        "The order was not stored. Enter what the order comes to; what "
                        "the customer paid too much is kept as credit. Or let a "
                        "manager tick *Give Change for Too Much* for this till.",
                        order=order.pos_reference or order.name,
                        total=order.currency_id.format(order.amount_total),
                        asked=order.currency_id.format(asked),
                        till=config.name,
                    )
                )
            if not change and config.billpay_later != "never":
                continue
            received = order._billpay_received_at_till()
            if compare(received, asked) < 0:
                raise ValidationError(
                    self.env._(
                        "%(order)s is to be paid %(asked)s by BillPay, but "
                        "%(received)s has come: this order cannot be finished before "
                        "its money. It "
                        "was not stored. Wait for the payment and send it again, take "
                        "another payment method, or let a manager change *Orders May "
                        "Be Paid Later* of the till %(till)s.",
                        order=order.pos_reference or order.name,
                        asked=order.currency_id.format(asked),
                        received=order.currency_id.format(received),
                        till=config.name,
                    )
                )

    def _billpay_received_at_till(self):
        """Return what came for an order, though it does not know its numbers yet.

        Money that ClickPesa took back afterwards had come when the goods were given.
        """
        self.ensure_one()
        names = {self.billpay_number, *self.payment_ids.mapped("billpay_number")}
        numbers = self._billpay_numbers()
        numbers |= numbers.search(
            [
                ("name", "in", list(names - {False, ""})),
                ("pos_config_id", "=", self.config_id.id),
                ("pos_order_uuid", "in", (False, self.uuid)),
            ]
        )
        return numbers._received((*MONEY, "reversed"))

    # === FROM THE TILL === #

    @api.model
    def _process_order(self, order, existing_order):
        # EXTENDS point_of_sale
        known = existing_order or self.browse()
        claim = self.env["billpay.till.claim"]
        claim._lock(known.mapped("uuid"))
        order["payment_ids"] = claim._without_settled(
            known, order.get("payment_ids") or [], order.get("state") != "draft"
        )
        order_id = super()._process_order(order, existing_order)
        self.browse(order_id)._billpay_bind()
        return order_id

    def _process_payment_lines(self, pos_order, order, pos_session, draft):
        # EXTENDS point_of_sale
        if order.state == "draft":
            # It has what the device says, and is not finished yet.
            self.env["billpay.till.claim"]._settle(order, finishing=not draft)
        return super()._process_payment_lines(pos_order, order, pos_session, draft)

    def _clean_payment_lines(self):
        """Override: what is paid stays."""
        self.ensure_one()
        (self.payment_ids - self.sudo()._billpay_settled()).unlink()

    def _billpay_settled(self):
        """Return the payment lines that a BillPay payment stands behind."""
        return self.payment_ids.filtered("billpay_payment_id")

    def action_pos_order_paid(self):
        # EXTENDS point_of_sale
        settled = sum(self.sudo()._billpay_settled().mapped("amount"))
        over = self.amount_paid - max(
            self._get_rounded_amount(self.amount_total),
            whole_shillings(self.amount_total),
        )
        if settled and self.currency_id.compare_amounts(over, 0) > 0:
            raise UserError(
                self.env._(
                    "%(amount)s of the order %(order)s came by BillPay meanwhile, so "
                    "%(over)s too much would be paid. Nothing was changed. Look at the "
                    "payment lines again, and take no other money for what is paid.",
                    amount=self.currency_id.format(settled),
                    order=self.pos_reference or self.name,
                    over=self.currency_id.format(over),
                )
            )
        return super().action_pos_order_paid()

    @api.ondelete(at_uninstall=False)
    def _unlink_except_billpay_paid(self):
        for line in self.sudo()._billpay_settled():
            line._billpay_refuse()

    def _billpay_bind(self):
        """Let this order and its numbers know each other.

        A number that was printed without network is known from now on; money that
        came on it meanwhile is the order's.
        """
        self.ensure_one()
        lines = self.payment_ids.filtered("is_billpay")
        names = {self.billpay_number, *lines.mapped("billpay_number")} - {False, ""}
        numbers = self.env["billpay.control.number"].sudo()
        own = numbers._till_numbers(self.config_id, self.uuid)
        if not names and not own:
            return
        printed = numbers.search(
            [
                ("name", "in", list(names)),
                ("pos_config_id", "in", self.config_id._billpay_tills().ids),
            ]
        )
        for number in printed - own:
            if number.pos_order_uuid:
                # Digits of another order: whoever typed or copied them there.
                self._message_log(
                    body=self.env._(
                        "The control number %s belongs to another order of this till. "
                        "Money that comes on it is that order's.",
                        number.display_number,
                    )
                )
                continue
            # The receipt shows this one: another one asks for nothing any more.
            own._living()._close()
            own.flush_recordset()
            number.write({"pos_order_uuid": self.uuid})
            own |= number
        for line in lines:
            number = own.filtered(lambda n, line=line: n.name == line.billpay_number)
            if line.billpay_number_id != number[:1]:
                line.sudo().billpay_number_id = number[:1]
        customer = self.partner_id or self.config_id._billpay_customer()
        for number in own:
            number._want(
                {
                    "pos_order_id": self.id,
                    # A till that shares the order may have taken it over.
                    "pos_config_id": self.config_id.id,
                    "description": self.pos_reference,
                    **({} if number.payment_ids else {"partner_id": customer.id}),
                }
            )
        claim = self.env["billpay.till.claim"]
        claim._link(self) if self.state in ("paid", "done") else claim._settle(self)
        asking = own._living().filtered(lambda n: not n.amount)
        if asking:
            asking[-1:]._want({"amount": self._billpay_asks(lines)})
        if self.state == "cancel" or (
            self.state in ("paid", "done") and own._received() >= self._billpay_asked()
        ):
            # Paid, in whatever way, or not at all: nothing is asked for any more.
            own._close()

    def _billpay_asks(self, lines):
        """Return what an order's number asks for, in TZS."""
        if lines:
            return sum(lines.mapped("amount"))
        return max(self.amount_total - self.amount_paid, 0)

    # === BILL === #

    def _billpay_numbers(self):
        """Override: also those that do not know yet that the order has come."""
        numbers = super()._billpay_numbers()
        numbers |= self.payment_ids.sudo().billpay_number_id
        numbers |= numbers.search(
            [
                (
                    "pos_order_uuid",
                    "in",
                    [uuid for uuid in self.mapped("uuid") if uuid],
                ),
                ("pos_config_id", "in", self.config_id._billpay_tills().ids),
            ]
        )
        return numbers.sorted("id")

    def _billpay_asked(self):
        # EXTENDS billpay_odoo
        return sum(self.payment_ids.filtered("is_billpay").mapped("amount"))

    def _billpay_received(self, states=MONEY):
        """Override: what ClickPesa has counts at a till, booked or not."""
        return super()._billpay_received(states)

    def _billpay_standing(self):
        """Return what was paid of these orders' BillPay lines, and what still waits.

        :return: ``paid`` and ``waiting``, each ``amount`` (TZS) and ``count`` (orders;
            one that is paid in part counts in both)
        """
        waiting = [order.billpay_due for order in self]
        paid = [
            order._billpay_asked() - due
            for order, due in zip(self, waiting, strict=True)
        ]
        return {
            kind: {
                "amount": sum(amounts),
                "count": sum(amount != 0 for amount in amounts),
            }
            for kind, amounts in (("paid", paid), ("waiting", waiting))
        }

    def _billpay_left(self):
        """Override: the accountant may have taken a part of it in another way."""
        left = super()._billpay_left() - self._billpay_paid_otherwise()
        return max(left, 0)

    def _billpay_paid_otherwise(self):
        """Return what paid the items of a closed session, but no BillPay, in TZS."""
        partials = self.payment_ids._billpay_lines().matched_credit_ids
        entries = partials.credit_move_id.move_id.filtered(
            # What an invoice took out of the session is asked for by the invoice.
            lambda move: (
                not move.origin_payment_id.billpay_payment_id
                and not move.reversed_pos_order_id
            )
        )
        others = partials.filtered(lambda p: p.credit_move_id.move_id in entries)
        return sum(others.mapped("debit_amount_currency"))

    def _billpay_follow(self):
        """Let the number ask for what this order still owes."""
        numbers = self._billpay_numbers()
        if numbers.move_id:
            return  # an invoice took it over
        left, living = self._billpay_left(), numbers._living()[-1:]
        last = living or numbers[-1:]
        if not left:
            living._close()
        elif living or last._can_return(last.provider_id):
            last._want({"amount": whole_shillings(left)})
            last._reopen()

    def _billpay_open_items(self):
        # EXTENDS billpay_odoo
        # Before the session is closed there are none.
        return self.account_move._billpay_open_items() or (
            self.payment_ids._billpay_lines()
            .filtered(
                lambda line: (
                    line.parent_state == "posted"
                    and not line.reconciled
                    and line.amount_residual_currency > 0
                )
            )
            .sorted("id")
        )

    def _billpay_title(self):
        # EXTENDS billpay_odoo
        return self.pos_reference

    def _billpay_page_bill(self, number):
        """Override: the invoice comes first, and the till tells before the order."""
        if number.move_id:
            return number.move_id._billpay_page_bill(number)
        bill = super()._billpay_page_bill(number)
        return {**bill, "name": bill["name"] or number.description or ""}

    def _billpay_reserve(self, wake=True):
        # EXTENDS billpay_odoo
        self.ensure_one()
        number = self.config_id.sudo()._billpay_reserve(
            {
                "uuid": self.uuid,
                "amount": self._billpay_left(),
                "reference": self.pos_reference,
                "partner_id": self._billpay_numbers()[-1:].partner_id.id,
            },
            wake=wake,
        )
        number.pos_order_id = self
        return number

    def _billpay_on_money(self, payment):
        """Override: tell the till, and a person where order and money differ.

        Called on no order while it is at the till alone.
        """
        number = payment.control_number_id.sudo()
        taken = payment.browse()
        if self:
            taken = self.env["billpay.till.claim"]._settle(self)
        if self.state in ("paid", "done"):
            self._billpay_compare(payment)
            if self.state == "paid":
                # Its session may be closing at this moment, unseen from here.
                self.env["payment.provider"]._billpay_trigger(
                    "billpay_odoo_pos.ir_cron_meet"
                )
        elif number.pos_given_up and payment not in taken:
            payment._flag_till(
                self.env._(
                    "The till cancelled this number before it was paid. The payment is "
                    "customer credit. Check whether the order was paid another way, "
                    "then pay it back or use it."
                )
            )
        self._billpay_notify_till(number)

    def _billpay_notify_till(self, number):
        # Odoo tells the channel to anyone who opens the page of a customer display, and
        # the ticket of an order to anyone who has its UUID. This only says "look":
        # enough for a till to find one of its own orders.
        for till in number.pos_config_id._billpay_tills():
            till._notify(
                "BILLPAY_PAYMENT",
                {
                    "order": (number.pos_order_uuid or "")[:TOLD_OF_UUID],
                    "number": number.name[-TOLD_OF_NUMBER:],
                },
            )

    def _billpay_on_taken_back(self, payment, reason):
        # EXTENDS billpay_odoo
        for order in self:
            self.env["billpay.till.claim"]._settle(order)
            order._message_log(body=reason)
        self._billpay_notify_till(payment.control_number_id.sudo())
        return super()._billpay_on_taken_back(payment, reason)

    def _billpay_compare(self, payment):
        """Tell a person where this finished order is not paid exactly."""
        lines = self.payment_ids.filtered("is_billpay")
        paid = self._billpay_received() + self._billpay_paid_otherwise()
        over = paid - self._billpay_asked()
        if not lines:
            payment._flag_till(
                self.env._(
                    "The till order %s was paid in another way: this is kept as "
                    "customer credit. Give it back, or use it.",
                    self.pos_reference,
                )
            )
        elif payment.currency_id.compare_amounts(over, 0) > 0:
            payment._flag_till(
                self.env._(
                    "Till order %(order)s is overpaid by %(over)s, kept as customer "
                    "credit. Pay it back, or use it.",
                    order=self.pos_reference,
                    over=payment.currency_id.format(over),
                )
            )
        if payment.currency_id.compare_amounts(over, 0) >= 0:
            self._billpay_numbers()._close()
        elif lines and not self._billpay_numbers().move_id:
            # An invoice that took the number over asks for the rest by itself.
            payment._flag_till(self._billpay_ask_for_rest(-over))

    def action_pos_order_cancel(self):
        # EXTENDS point_of_sale
        if self.env.context.get("device_identifier"):
            # It may not know yet that the customer has paid. Accountants may cancel.
            self._billpay_check_removed()
        result = super().action_pos_order_cancel()
        for order in self.filtered(lambda o: o.state == "cancel"):
            numbers = self.env["billpay.control.number"]._till_numbers(
                order.config_id, order.uuid
            )
            numbers._give_up_at_till()
        return result

    @api.model
    def remove_from_ui(self, server_ids):
        # EXTENDS point_of_sale
        # Self-order cancels first.
        self.browse(server_ids).exists()._billpay_check_removed(("draft", "cancel"))
        return super().remove_from_ui(server_ids)

    def _billpay_check_removed(self, states=("draft",)):
        """Keep a device from throwing away an open order that is being paid.

        :raise UserError: a part of it is paid
        """
        for line in (
            self.sudo().filtered(lambda o: o.state in states)._billpay_settled()
        ):
            line._billpay_refuse()

    # === INVOICE === #

    def _billpay_bind_invoice(self, move):
        """The invoice of this order is paid with the number that the customer has."""
        living = self._billpay_living().filtered(lambda n: not n.move_id)
        if living and self.payment_ids.filtered("is_billpay"):
            living[-1:].move_id = move

    def _prepare_aml_values_list_per_nature(self):
        """Override of `point_of_sale`: an invoice after the session was closed.

        Odoo takes the order out of the session's entry; what BillPay owes stands on
        the customer's account there, and not on the till's.
        """
        values = super()._prepare_aml_values_list_per_nature()
        terms = values["payment_terms"]
        for payment in self.payment_ids.filtered("billpay_line_id"):
            method, line = payment.payment_method_id, payment.sudo().billpay_line_id
            account = (
                method.receivable_account_id
                or self.company_id.account_default_pos_receivable_account_id
            )
            balance = self.session_id._amount_converter(
                payment.amount, self.date_order, False
            )
            for term in terms:
                if term["account_id"] == account.id and not term["partner_id"]:
                    term["amount_currency"] -= payment.amount
                    term["balance"] -= balance
                    break
            terms.append(
                {
                    "partner_id": line.partner_id.id,
                    "name": line.name,
                    "account_id": line.account_id.id,
                    "currency_id": self.currency_id.id,
                    "amount_currency": payment.amount,
                    "balance": balance,
                    "display_type": "payment_term",
                }
            )
        values["payment_terms"] = [
            term
            for term in terms
            if not self.currency_id.is_zero(term["amount_currency"])
        ]
        return values

    def _create_misc_reversal_move(self, payment_moves):
        """Override of `point_of_sale`: what was paid already pays the invoice.

        What was not paid is not owed twice: the invoice asks for it from now on, with
        the number that the customer has.
        """
        result = super()._create_misc_reversal_move(payment_moves)
        waiting = self.payment_ids._billpay_lines()
        reversal = (
            self.env["account.move"]
            .sudo()
            .search([("reversed_pos_order_id", "=", self.id)], order="id desc", limit=1)
        )
        for account, lines in waiting.grouped("account_id").items():
            taken_back = reversal.line_ids.filtered(
                lambda item, account=account, lines=lines: (
                    item.account_id == account
                    and item.partner_id == lines.partner_id[:1]
                    and not item.reconciled
                    and item.balance < 0
                )
            )
            due = lines.filtered(lambda line: not line.reconciled)
            if due and taken_back:
                (due + taken_back).reconcile()
            rest = taken_back.filtered(lambda item: not item.reconciled)
            invoice = self.account_move.sudo().line_ids.filtered(
                lambda item, account=account: (
                    item.account_id == account
                    and item.display_type == "payment_term"
                    and not item.reconciled
                )
            )
            if rest and invoice:
                (rest + invoice).reconcile()
        return result

    # === ACTION METHODS === #

    def action_view_billpay_payments(self):
        self.ensure_one()
        return window(
            self.env,
            "action_billpay_payment",
            domain=[("control_number_id", "in", self._billpay_numbers().ids)],
        )
