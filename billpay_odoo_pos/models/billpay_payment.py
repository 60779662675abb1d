# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Money of till orders: what it pays, and who is told."""

from odoo import fields, models

from odoo.addons.billpay_odoo.exceptions import NoDigits


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"

    pos_config_id = fields.Many2one(
        "pos.config",
        string="Till",
        related="control_number_id.pos_config_id",
        store=True,
        index="btree_not_null",
    )
    pos_order_id = fields.Many2one(
        "pos.order", string="Till Order", related="control_number_id.pos_order_id"
    )

    def _tell_till(self):
        """Tell the till, and a person where the order and its money differ."""
        self.ensure_one()
        number = self.control_number_id.sudo()
        config = number.pos_config_id
        order = number._till_order()
        numbers = number._till_numbers(config, number.pos_order_uuid)
        if order.state in ("paid", "done"):
            self._compare_with_order(order, numbers)
            if order.state == "paid":
                # Its session may be closing at this moment, unseen from here.
                self.env.ref("billpay_odoo_pos.ir_cron_meet").sudo()._trigger()
        elif number.pos_given_up:
            self._flag_till(
                self.env._(
                    "The till gave this number up before the money came: it is kept "
                    "as customer credit. Ask at the till whether the order was paid "
                    "otherwise, then give the money back or use it."
                )
            )
        # The channel is known to whoever has the till's page: it only says "look".
        config._notify(
            "BILLPAY_PAYMENT", {"uuid": number.pos_order_uuid, "number": number.name}
        )

    def _compare_with_order(self, order, numbers):
        """An order was finished already: is it paid exactly?"""
        lines = order.payment_ids.filtered("is_billpay")
        wanted = sum(lines.mapped("amount"))
        received = (numbers | lines.billpay_number_id)._till_received()
        if not lines:
            self._flag_till(
                self.env._(
                    "The till order %s was paid in another way: this is kept as "
                    "customer credit. Give it back, or use it.",
                    order.pos_reference,
                )
            )
        elif self.currency_id.compare_amounts(received, wanted) > 0:
            self._flag_till(
                self.env._(
                    "More than the till order %(order)s asked for: %(over)s is kept "
                    "as customer credit. Give it back, or use it.",
                    order=order.pos_reference,
                    over=self.currency_id.format(received - wanted),
                )
            )
        if self.currency_id.compare_amounts(received, wanted) >= 0:
            numbers._close()
        elif lines:
            self._flag_till(self._tell_till_rest(order, wanted - received))

    def _tell_till_rest(self, order, left):
        money = self.currency_id.format(left)
        try:
            with self.env.cr.savepoint():
                rest = order._billpay_reserve_rest(self.control_number_id, left)
        except NoDigits as error:
            return self.env._(
                "A part of the till order %(order)s: %(left)s is left to pay, but "
                "there is no number for it: %(error)s",
                order=order.pos_reference,
                left=money,
                error=error,
            )
        return self.env._(
            "A part of the till order %(order)s: %(left)s is left to pay, with the "
            "number %(number)s.",
            order=order.pos_reference,
            left=money,
            number=rest.display_number,
        )

    def _flag_till(self, reason):
        """Keep it in sight on the desk, and say it on the order."""
        self.ensure_one()
        self._flag(reason)
        order = self.control_number_id.sudo()._till_order()
        if order:
            order._message_log(body=reason)
