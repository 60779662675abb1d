# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import math

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
        "lines.refund_orderline_ids.order_id.state",
        "billpay_number_ids.payment_ids.state",
    )
    def _compute_billpay_state(self):
        for order in self:
            lines = order.payment_ids.filtered("is_billpay")
            wanted = order._billpay_asked()
            numbers = order.billpay_number_ids | lines.billpay_number_id
            received = numbers._received()
            compare = order.currency_id.compare_amounts
            otherwise = order._billpay_paid_otherwise() if lines else 0
            order.billpay_due = max(wanted - received - otherwise, 0)
            if wanted <= 0 and not received:
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
        if "state" in vals:
            self._billpay_compare()
        return result

    def unlink(self):
        """Override: what customers have paid, or may yet pay, has no order any more."""
        numbers = self._billpay_numbers()
        result = super().unlink()
        numbers._give_up_at_till()
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
            asked = order._billpay_own()
            compare = order.currency_id.compare_amounts
            if order.amount_total < 0 or compare(asked, 0) < 0:
                order._billpay_check_refund()
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

    def _billpay_check_refund(self):
        """A refund takes off what was never paid, before anything is paid out.

        :raise ValidationError: it pays out what never came, or takes off what came
        """
        refunded, format = self._billpay_refunded(), self.currency_id.format
        off = -self._billpay_own()
        out = -self.amount_paid - off
        rest = refunded._billpay_rest(but=self) if refunded else 0.0
        names = ", ".join(order.pos_reference or order.name for order in refunded)
        if off >= 1 and off - rest >= 1:
            raise ValidationError(
                self.env._(
                    "%(order)s takes %(off)s off what is waited for by BillPay, but "
                    "only %(rest)s is still unpaid. ClickPesa sends no money back. The "
                    "refund was not stored: give what was paid back in cash, or from "
                    "your own mobile money account, and choose that payment method.",
                    order=self.pos_reference or self.name,
                    off=format(off),
                    rest=format(max(rest, 0)),
                )
            )
        if out >= 1 and rest - max(off, 0) >= 1:
            raise ValidationError(
                self.env._(
                    "%(rest)s of %(refunded)s is still unpaid, so nothing is given "
                    "back for it yet. The refund %(order)s was not stored. Choose "
                    "BillPay for %(off)s: it takes that off what the customer is to "
                    "pay, and off the control number.",
                    rest=format(rest),
                    refunded=names,
                    order=self.pos_reference or self.name,
                    off=format(-min(rest, -self.amount_paid)),
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
        # Compared once, when all of it is here.
        receiving = self.with_context(billpay_receiving=True)
        order_id = super(PosOrder, receiving)._process_order(order, existing_order)
        received = self.browse(order_id)
        received._billpay_bind()
        received._billpay_compare()
        return order_id

    def _billpay_compare(self):
        """What is wanted of these orders has changed: compare it with what came."""
        if not self.env.context.get("billpay_receiving"):
            self.env["billpay.till.balance"].sudo()._ask(self)

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
        rounding = self._billpay_rounding()
        if not rounding:
            return super().action_pos_order_paid()
        # Odoo compares what is paid with the total, to the cent.
        paid = self.amount_paid
        self.amount_paid = paid - rounding
        result = super().action_pos_order_paid()
        self.amount_paid = paid
        return result

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
        if self.state == "draft":
            claim._settle(self)
            claim._follow(self)
            return
        claim._link(self)
        asking = own._living().filtered(lambda n: not n.amount)
        if asking:
            asking[-1:]._want({"amount": self._billpay_asks(lines)})

    def _billpay_asks(self, lines):
        """Return what an order's number asks for, in TZS."""
        asked = self.amount_total - self.amount_paid
        if lines:
            asked = sum(lines.mapped("amount"))
        return whole_shillings(max(asked, 0))

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

    def _billpay_own(self):
        """Return what its BillPay lines come to, in whole TZS; below 0 for a refund."""
        amount = sum(self.payment_ids.filtered("is_billpay").mapped("amount"))
        return math.copysign(whole_shillings(abs(amount)), amount)

    def _billpay_asked(self):
        """Override: its BillPay lines, less what refunds took off them."""
        return self._billpay_own() + sum(
            refund._billpay_own() for refund in self._billpay_refunds()
        )

    def _billpay_refunds(self):
        """Return the finished orders that refund these, in sudo."""
        refunds = self.sudo().lines.refund_orderline_ids.order_id
        return refunds.filtered(lambda order: order.state in ("paid", "done"))

    def _billpay_refunded(self):
        """Return the orders that these refund, in sudo."""
        return self.sudo().lines.refunded_orderline_id.order_id

    def _billpay_wanted(self):
        """Return the TZS that are to come on the numbers of a finished order."""
        if self.state == "cancel":
            return 0.0
        return self._billpay_asked() - self._billpay_paid_otherwise()

    def _billpay_rest(self, but):
        """Return what is still unpaid of these orders, in TZS.

        :param but: a refund that is looked at, and counts not yet
        """
        rest = 0.0
        for order in self:
            left = order._billpay_wanted() - order._billpay_received()
            if but in order._billpay_refunds():
                left -= but._billpay_own()
            if (invoice := order.account_move).state == "posted":
                left = min(left, invoice.amount_residual)
            rest += max(left, 0)
        return rest

    def _billpay_is_settled(self):
        """Tell whether what it wants has met its money in the books."""
        return bool(self.account_move) or self.session_id.state == "closed"

    def _billpay_received(self, states=MONEY):
        """Override: what ClickPesa has counts at a till, booked or not."""
        return super()._billpay_received(states)

    def _billpay_standing(self):
        """Return what was paid of these orders' BillPay lines, and what still waits.

        What a refund takes off an order that is not among these waits no more.

        :return: ``paid`` and ``waiting``, each ``amount`` (TZS) and ``count`` (orders;
            one that is paid in part counts in both)
        """
        paid, waiting = [], []
        for order in self:
            refunded = order._billpay_refunded()
            if order._billpay_own() < 0 and refunded:
                if not refunded <= self.sudo():
                    waiting.append(order._billpay_own())
                continue
            waiting.append(order.billpay_due)
            paid.append(order._billpay_asked() - order.billpay_due)
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
        refunds = self._billpay_refunds()
        entries = partials.credit_move_id.move_id.filtered(
            # What an invoice took out of the session is asked for by the invoice.
            lambda move: (
                not move.origin_payment_id.billpay_payment_id
                and not move.reversed_pos_order_id
                and move not in refunds.account_move
            )
        )
        entries -= self._billpay_numbers().payment_ids.carrying_move_ids
        refunded = refunds.payment_ids._billpay_lines()
        others = partials.filtered(
            lambda p: (
                p.credit_move_id.move_id in entries and p.credit_move_id not in refunded
            )
        )
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
                "amount": whole_shillings(self._billpay_left()),
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
        if self:
            self.env["billpay.till.claim"]._settle(self)
        self.env["billpay.till.balance"].sudo()._ask_money(payment)
        if self.state == "paid":
            # Its session may be closing at this moment, unseen from here.
            self.env["payment.provider"]._billpay_trigger(
                "billpay_odoo_pos.ir_cron_meet"
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
        result = super()._billpay_on_taken_back(payment, reason)
        self._billpay_compare()
        return result

    def action_pos_order_cancel(self):
        # EXTENDS point_of_sale
        if self.env.context.get("device_identifier"):
            # It may not know yet that the customer has paid. Accountants may cancel.
            self._billpay_check_removed()
        result = super().action_pos_order_cancel()
        for order in self.filtered(lambda o: o.state == "cancel"):
            order._billpay_numbers()._give_up_at_till()
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

    # === WHOLE SHILLINGS === #

    def _billpay_rounding(self):
        """Return what BillPay rounded this order up by: TZS, less than one.

        Below 0 for a refund. Odoo knows the like of a till with cash rounding.
        """
        rounding = self.currency_id.round(self.amount_paid - self.amount_total)
        lines = (self | self.refunded_order_id).payment_ids
        if (
            not lines.filtered("is_billpay")
            or abs(rounding) >= 1
            or rounding * self.amount_total <= 0
        ):
            return 0.0
        return rounding

    def _billpay_rounding_of_lines(self):
        """Return by how much its number asks for more than its lines say."""
        lines = self.payment_ids.filtered("is_billpay")
        return self.currency_id.round(self._billpay_own() - sum(lines.mapped("amount")))

    def _billpay_rounding_not_of_odoo(self):
        """Return what the books have to round that Odoo itself does not round."""
        rounding = self._billpay_rounding_of_lines()
        if not self.config_id.cash_rounding:
            rounding += self._billpay_rounding()
        return self.currency_id.round(rounding)

    def _is_pos_order_paid(self):
        # EXTENDS point_of_sale
        return super()._is_pos_order_paid() or bool(self._billpay_rounding())

    # === INVOICE === #

    def _create_invoice(self, move_vals):
        # EXTENDS point_of_sale
        invoice = super()._create_invoice(move_vals)
        rounding = sum(order._billpay_rounding_not_of_odoo() for order in self)
        if not self.currency_id.is_zero(rounding):
            entries = self.env["billpay.till.entries"]
            entries._round_invoice(invoice, self.config_id[:1], rounding)
        return invoice

    def _billpay_bind_invoice(self, move):
        """The invoice of this order is paid with the number that the customer has."""
        living = self._billpay_living().filtered(lambda n: not n.move_id)
        if living and self.payment_ids.filtered("is_billpay"):
            living[-1:].move_id = move

    def _prepare_aml_values_list_per_nature(self):
        """Override of `point_of_sale`: an invoice after the session was closed.

        Odoo takes the order out of the session's entry; what BillPay owes stands on
        the customer's account there, and not on the till's. What was paid there pays
        the invoice, and is written on the customer of that.
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
            terms += self._billpay_terms_of(line)
        values["payment_terms"] = [
            term
            for term in terms
            if not self.currency_id.is_zero(term["amount_currency"])
        ]
        rounding = self._billpay_rounding_not_of_odoo()
        if not self.currency_id.is_zero(rounding):
            entries = self.env["billpay.till.entries"]
            values["cash_rounding"].append(
                {
                    **entries._rounding_line(self.config_id, rounding),
                    "partner_id": self.partner_id.commercial_partner_id.id,
                    "currency_id": self.currency_id.id,
                    "amount_currency": -rounding,
                    "balance": -self.session_id._amount_converter(
                        rounding, self.date_order, False
                    ),
                    "display_type": "rounding",
                }
            )
        return values

    def _billpay_terms_of(self, line):
        """Return what the closing entry has of a payment: paid, and still to be paid.

        :param account.move.line line: which waited for the money
        """
        owner = self.account_move.sudo().line_ids.filtered(
            lambda item: item.display_type == "payment_term"
        )[:1]
        left, worth_left = line.amount_residual_currency, line.amount_residual
        parts = (
            (owner or line, line.amount_currency - left, line.balance - worth_left),
            (line, left, worth_left),
        )
        return [
            {
                "partner_id": item.partner_id.id,
                "name": line.name,
                "account_id": item.account_id.id,
                "currency_id": self.currency_id.id,
                "amount_currency": amount,
                "balance": balance,
                "display_type": "payment_term",
            }
            for item, amount, balance in parts
        ]

    def _create_misc_reversal_move(self, payment_moves):
        """Override of `point_of_sale`: what was paid already pays the invoice.

        What was not paid is not owed twice: the invoice asks for it from now on, with
        the number that the customer has.
        """
        result = super()._create_misc_reversal_move(payment_moves)
        reversal = (
            self.env["account.move"]
            .sudo()
            .search([("reversed_pos_order_id", "=", self.id)], order="id desc", limit=1)
        )
        entries = self.env["billpay.till.entries"]
        taken_back = entries._open(reversal.line_ids, lambda item: item.balance)
        waiting = entries._open(self.payment_ids._billpay_lines(), bool)
        entries._reconcile_own(waiting, taken_back)
        invoice = entries._open(
            self.account_move.sudo().line_ids,
            lambda item: item.display_type == "payment_term",
        )
        taken_back = entries._open(taken_back, bool)
        entries._reconcile_own(invoice, taken_back)
        return result

    def _generate_pos_order_invoice(self):
        """Override: a credit note for what was never paid pays the order's invoice."""
        invoice = super()._generate_pos_order_invoice()
        entries = self.env["billpay.till.entries"].sudo()
        entries._meet(self._billpay_refunded())
        self._billpay_compare()
        return invoice

    # === ACTION METHODS === #

    def action_view_billpay_payments(self):
        self.ensure_one()
        return window(
            self.env,
            "action_billpay_payment",
            domain=[("control_number_id", "in", self._billpay_numbers().ids)],
        )
