# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""ClickPesa payments become payment lines of till orders: each one line, once.

Several devices may show one order. The server adds the line, in the transaction that
receives the money; devices only read the order again.
"""

from odoo import fields, models
from odoo.fields import Command
from odoo.tools import SQL

from odoo.addons.billpay_odoo.money import whole_shillings
from odoo.addons.billpay_odoo.transactions import taken

# What core knows of a line that no money stands behind.
UNFINISHED = (
    "pending",
    "waiting",
    "waitingCard",
    "waitingCancel",
    "waitingCapture",
    "timeout",
    "retry",
    "force_done",
)


class BillpayTillClaim(models.AbstractModel):
    """Let the money of an open till order pay it."""

    _name = "billpay.till.claim"
    _description = "BillPay Payments of Open Till Orders"

    # === THE ORDER'S LOCK === #

    def _lock(self, uuids):
        """Wait for whoever changes these till orders, and keep others waiting.

        A change that is not in our snapshot is a conflict: the transaction is replayed.

        :param list uuids: of orders, which need not be on the server
        """
        uuids = [uuid for uuid in uuids if uuid]
        if uuids:
            self.env.execute_query(
                SQL(
                    "SELECT id FROM pos_order WHERE uuid = ANY(%s) ORDER BY id"
                    " FOR NO KEY UPDATE",
                    uuids,
                )
            )

    # === MONEY TO LINES === #

    def _settle(self, order, finishing=False):
        """Turn the money that came for an open order into its payment lines.

        Safe to repeat. Nothing is added to a finished order, nor is it waited for one
        whose session is being closed.

        :param bool finishing: whether a device finishes the order at this moment: it
            is to come out as the device has it
        :return: the payments that became lines
        """
        order = order.sudo().with_company(order.company_id)
        payments = order._billpay_numbers()._money()
        settled = order.payment_ids.filtered("billpay_payment_id")
        if order.state != "draft" or not (payments or settled):
            return payments.browse()
        self._lock([order.uuid])
        before = [(line.id, line.amount) for line in order.payment_ids]
        self._release(settled.filtered(lambda p: p.billpay_payment_id not in payments))
        done = payments.browse()
        with taken(f"payments of till order {order.uuid}"):
            if not finishing:
                for payment in self._unclaimed(payments).sorted("id"):
                    if self._take(order, payment):
                        done |= payment
            self._fit(order, finishing)
            if done:
                self._end_waiting(order)
            self.env["pos.payment"].flush_model(["billpay_payment_id"])
        if [(line.id, line.amount) for line in order.payment_ids] != before or done:
            order.amount_paid = order._compute_amount_paid()
        return done

    def _unclaimed(self, payments):
        lines = self.env["pos.payment"].sudo()
        claimed = lines.search([("billpay_payment_id", "in", payments.ids)])
        return payments - claimed.billpay_payment_id

    def _take(self, order, payment):
        """Let a payment be the basis of a line of an open order.

        The line with which a device waits for it becomes that line. An order that owes
        nothing more takes nothing: this is asked again when it is changed.

        :return: the line, or none
        """
        line = self._waiting_line(order, payment)
        left = self._left(order, line)
        if order.currency_id.compare_amounts(left, 0) <= 0:
            return line.browse()
        change = order.config_id.billpay_change
        number = payment.control_number_id
        values = {
            "billpay_payment_id": payment.id,
            "amount": payment.amount if change else min(payment.amount, left),
            "billpay_number": number.name,
            "billpay_number_id": number.id,
            "transaction_id": payment.receipt or payment.reference,
            "cardholder_name": payment.payer_name or "",
            "payment_status": "done",
        }
        if line:
            line.write(values)
            return line
        method = order.config_id._billpay_method() or self._method_of(order)
        if not method:
            return line
        # The device that waits finds its own line paid.
        uuid = number.pos_line_uuid
        if uuid and not line.search_count([("uuid", "=", uuid)], limit=1):
            values["uuid"] = uuid
        return line.create(
            {
                "pos_order_id": order.id,
                "payment_method_id": method.id,
                "payment_date": fields.Datetime.now(),
                **values,
            }
        )

    def _method_of(self, order):
        """A till that was told to take no BillPay any more, while a customer paid."""
        return order.payment_ids.filtered("is_billpay").payment_method_id[:1]

    def _waiting_line(self, order, payment):
        """Return the line of an order that waits for this payment, if there is one."""
        number = payment.control_number_id
        waiting = order.payment_ids.filtered(
            lambda p: p.is_billpay and not p.billpay_payment_id and p.amount >= 0
        ).sorted("id")
        return (
            waiting.filtered(lambda p: p.uuid and p.uuid == number.pos_line_uuid)
            or waiting.filtered(lambda p: p.billpay_number == number.name)
            or waiting.filtered(
                lambda p: not p.billpay_number and p.payment_status in UNFINISHED
            )
        )[:1]

    def _left(self, order, line):
        """Return what an order leaves to a line, in the till's currency.

        What only waits for money, or is to be paid later, is not paid.
        """
        total = max(whole_shillings(order.amount_total), order.amount_total)
        others = (order.payment_ids - line).filtered(
            lambda p: (
                p.billpay_payment_id
                or (not p.is_billpay and p.payment_status not in UNFINISHED)
            )
        )
        return total - sum(others.mapped("amount"))

    def _later(self, order):
        waiting = order.payment_ids.filtered(
            lambda p: p.is_billpay and not p.billpay_payment_id
        )
        return sum(waiting.mapped("amount"))

    def _fit(self, order, finishing):
        """Let settled lines pay what the changed order comes to, as far as it came."""
        change = order.config_id.billpay_change
        for line in order.payment_ids.filtered("billpay_payment_id").sorted("id"):
            came, left = line.billpay_payment_id.amount, self._left(order, line)
            if finishing:
                # What the device lets be paid later is in its sum.
                left -= self._later(order)
                amount = max(min(came, left), line.amount)
            else:
                amount = came if change else min(came, max(left, 0))
            if order.currency_id.compare_amounts(amount, line.amount):
                line._billpay_fit(amount)

    def _end_waiting(self, order):
        """The money came: other lines wait for no more than what is left."""
        for line in order.payment_ids.filtered(
            lambda p: p.is_billpay and not p.billpay_payment_id and p.amount > 0
        ).sorted("id"):
            left = max(self._left(order, line), 0)
            if order.currency_id.is_zero(left):
                line.unlink()
            elif line.amount > left:
                line.amount = left

    def _release(self, lines):
        """Take lines off an open order whose money was taken back, or given away."""
        lines.billpay_payment_id = False
        lines.unlink()

    def _link(self, order):
        """Let lines of an order that arrives finished know what stands behind them."""
        order = order.sudo().with_company(order.company_id)
        lines = order.payment_ids.filtered(
            lambda p: p.is_billpay and not p.billpay_payment_id and p.amount > 0
        )
        payments = lines and order._billpay_numbers()._money()
        if not payments:
            return
        compare = order.currency_id.compare_amounts
        with taken(f"payments of till order {order.uuid}"):
            for payment in self._unclaimed(payments).sorted("id"):
                line = lines.filtered(
                    lambda p, payment=payment: (
                        p.billpay_number == payment.control_number_id.name
                        and compare(p.amount, payment.amount) <= 0
                    )
                )[:1]
                line.billpay_payment_id = payment
                lines -= line
            self.env["pos.payment"].flush_model(["billpay_payment_id"])

    # === WHAT A DEVICE SAYS OF LINES === #

    def _without_settled(self, order, commands, finishing):
        """Return what a device may change of an order's payment lines.

        It may hold an old copy of the order: settled lines stay as they are, and what
        it adds for the same money is no second line. Nor is a device's word that
        something was paid any proof.

        :param pos.order order: as it is on the server, or none
        :param list commands: for its payment lines
        """
        settled = order.sudo().payment_ids.filtered("billpay_payment_id")
        known = {line.uuid: line for line in order.sudo().payment_ids if line.uuid}
        methods = self.env["pos.payment.method"]
        paid_by, kept = settled.grouped("billpay_number"), []
        for command in commands:
            kind = command[0]
            if kind in (Command.UPDATE, Command.DELETE, Command.UNLINK):
                if command[1] in settled.ids:
                    continue
                if kind == Command.UPDATE:
                    line = order.payment_ids.filtered(
                        lambda p, command=command: p.id == command[1]
                    )
                    if line.is_billpay:
                        command[2].pop("transaction_id", None)
            elif kind == Command.CREATE and isinstance(command[2], dict):
                values = dict(command[2])
                if line := known.get(values.get("uuid")):
                    # Sent again: the answer was lost on the way.
                    if line not in settled:
                        kept.append(Command.update(line.id, values))
                    continue
                method = methods.browse(values.get("payment_method_id")).sudo()
                if method.use_payment_terminal == "billpay":
                    values.pop("transaction_id", None)
                    same = paid_by.get(values.get("billpay_number"))
                    if same and not finishing:
                        continue
                    if same:
                        # The rest, which the device lets be paid later.
                        values["amount"] -= sum(same.mapped("amount"))
                        values["billpay_number"] = False
                        if order.currency_id.compare_amounts(values["amount"], 0) <= 0:
                            continue
                command = Command.create(values)
            kept.append(command)
        return kept
