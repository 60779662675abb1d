# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The control numbers of till orders.

An order is known by its UUID long before it is on the server: a till without network
makes and sells first. The number carries that UUID, so that money and order find each
other whichever comes first.
"""

from odoo import api, fields, models


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"

    pos_config_id = fields.Many2one(
        "pos.config",
        string="Till",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    pos_device = fields.Char(
        string="Till Device",
        readonly=True,
        copy=False,
        help="The device that may print this number without asking the server.",
    )
    pos_leased_at = fields.Datetime(
        string="Till Device Heard Of",
        readonly=True,
        copy=False,
        help="When the device last asked for its numbers, or for the number of this "
        "sale. Unused ones of a device that is silent go to another one.",
    )
    pos_order_uuid = fields.Char(
        readonly=True, copy=False, index="btree_not_null", string="Till Order's UUID"
    )
    pos_order_id = fields.Many2one(
        "pos.order",
        string="Till Order",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )

    pos_line_uuid = fields.Char(
        readonly=True,
        copy=False,
        string="Till Payment Line's UUID",
        help="The payment line with which a device waits for the money.",
    )
    pos_given_up = fields.Boolean(
        readonly=True, copy=False, help="The till cancelled this number."
    )

    # What a device has left to print.
    _unused_at_till = models.Index(
        "(pos_config_id, pos_device)"
        " WHERE pos_device IS NOT NULL AND pos_order_uuid IS NULL"
    )

    # What was asked for sales of which no order has come.
    _unheard_at_till = models.Index(
        "(pos_config_id, pos_leased_at)"
        " WHERE pos_order_uuid IS NOT NULL AND pos_order_id IS NULL"
    )

    @api.model
    def _bill_fields(self):
        # EXTENDS billpay_odoo
        return super()._bill_fields() | {"pos_order_uuid"}

    @api.model
    def _bill_key(self, values):
        # EXTENDS billpay_odoo
        key, uuid = super()._bill_key(values), values.get("pos_order_uuid")
        return key or (f"till:{uuid}" if uuid else False)

    def _bill(self):
        # EXTENDS billpay_odoo
        return self._till_order() if self.pos_config_id else super()._bill()

    def _give_up_at_till(self):
        """Take numbers back that nobody is to pay any more."""
        living = self._living()
        # A customer may have paid meanwhile.
        self.pos_given_up = True
        living._close()
        if living.filtered("sync_at"):
            living.provider_id._billpay_trigger("ir_cron_sync_numbers")
        self.env["billpay.till.balance"].sudo()._ask_money(self.payment_ids)

    # === OF ONE ORDER === #

    @api.model
    def _till_numbers(self, config, uuid):
        """Return all numbers of a till's order, the oldest first."""
        return self.sudo().search(
            [
                ("pos_config_id", "in", config._billpay_tills().ids),
                ("pos_order_uuid", "=", uuid),
            ],
            order="id",
        )

    def _till_order(self):
        """Return the order that this number asks for, once it is on the server."""
        self.ensure_one()
        if not self.pos_order_uuid:
            return self.env["pos.order"]
        return self.pos_order_id or self.env["pos.order"].sudo().search(
            [
                ("uuid", "=", self.pos_order_uuid),
                ("config_id", "in", self.pos_config_id._billpay_tills().ids),
            ],
            limit=1,
        )
