# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Payments that a person vouches for: typed from a receipt, or out of a spreadsheet."""

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..receipts import PROVISIONAL_PREFIX, receipt_key


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

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
        help="The person who vouched for it. Empty: ClickPesa itself.",
    )
    provisional = fields.Boolean(
        readonly=True,
        help="Known from a person and its receipt: ClickPesa has not told of it yet.",
    )
    receipt_key = fields.Char(
        compute="_compute_receipt_key", store=True, index="btree_not_null"
    )
    merged_into_id = fields.Many2one(
        "billpay.payment",
        readonly=True,
        index="btree_not_null",
        help="The same money: the payment that is booked in its place.",
    )
    can_confirm_by_hand = fields.Boolean(compute="_compute_can_confirm_by_hand")

    # === COMPUTE METHODS === #

    @api.depends("receipt")
    def _compute_receipt_key(self):
        for payment in self:
            payment.receipt_key = receipt_key(payment.receipt) or False

    @api.depends("state", "provider_id")
    def _compute_can_confirm_by_hand(self):
        asked = {p: p.sudo()._billpay_can_ask() for p in self.sudo().provider_id}
        for payment in self:
            payment.can_confirm_by_hand = (
                payment.state == "received" and not asked[payment.sudo().provider_id]
            )

    # === BUSINESS METHODS === #

    @api.model
    def _enter(self, provider, told_list, *, source):
        """Store payments that the user vouches for, and wake the worker.

        They go through the same upsert as what ClickPesa tells.

        :param payment.provider provider: the application, in sudo
        :param list told_list: ``clickpesa.Payment`` objects with an ``id``
        :param str source: "typed" or "import"
        :return: ``(rows, new rows, rows that were completed, ids that failed)``
        :rtype: tuple
        """
        self._check_accountant()
        self = self.sudo()
        owners = dict.fromkeys(told_list, provider)
        before = self._find_told(owners, set(told_list), entered=True)
        provisional = {row.id for row in before.values() if row.provisional}
        ids = {row.id for row in before.values()}
        rows, failures = self._upsert_each(
            provider, told_list, source=source, trusted=True
        )
        new = rows.filtered(lambda row: row.id not in ids)
        completed = rows.filtered(
            lambda row: row.id in provisional and not row.provisional
        )
        how = dict(self._fields["entered_how"]._description_selection(self.env))
        new._message_log_batch(
            bodies={
                row.id: self.env._(
                    "%(how)s by %(user)s, who vouches for it.",
                    how=how[source],
                    user=self.env.user.name,
                )
                for row in new
            }
        )
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
        return rows, new, completed, failures

    @api.model
    def _entered_values(self, told):
        """Return what a payment that a person vouches for has besides its facts."""
        return {
            "confirmed_by_id": self.env.uid,
            "provisional": told.id.startswith(PROVISIONAL_PREFIX),
        }

    def _update_entered(self, told, seen):
        """A person tells of a payment that is already here.

        ClickPesa's facts stand. A person's word gives a provisional row its id, and
        confirms what was only announced, when nobody can be asked.
        """
        self.ensure_one()
        self._adopt(told)
        self.write({name: value for name, value in seen.items() if not self[name]})
        if (
            self.state == "received"
            and self.amount == float(told.amount or 0)
            and self.currency_id
            and not self.provider_id._billpay_can_ask()
        ):
            self._confirm_by_person()

    @api.model
    def _with_receipt(self, provider, receipt):
        """Return the payment that a typed receipt would find, or nothing."""
        key = receipt_key(receipt)
        if not key:
            return self.browse()
        return self.search(
            [
                ("provider_id", "in", provider.ids),
                ("receipt_key", "=", key),
                ("merged_into_id", "=", False),
                ("state", "!=", "ignored"),
                ("confirmed_at", "!=", False),
            ],
            limit=1,
        )

    @api.model
    def _numbers_known(self, provider, names):
        """Return those of these numbers that a payment would find, in capitals.

        :rtype: set
        """
        names = {(name or "").upper() for name in names} - {""}
        names |= {name.partition("-")[0] for name in names}
        return (
            self.env["billpay.control.number"]
            .sudo()
            ._names_in_capitals(provider, names)
            if names
            else set()
        )

    def _where_it_stands(self, amount):
        """Say of a payment that is told once more what has become of it.

        :param float amount: TZS, as it is told now
        """
        self.ensure_one()
        states = dict(self._fields["state"]._description_selection(self.env))
        if self.amount != amount:
            return self.env._(
                "Receipt %(receipt)s is here already, over %(here)s and not %(told)s "
                "(%(state)s). Nothing new is made: compare the amounts.",
                receipt=self.receipt or self.reference,
                here=self.currency_id.format(self.amount),
                told=self.currency_id.format(amount),
                state=states[self.state],
            )
        return self.env._(
            "Receipt %(receipt)s is here already (%(state)s). Nothing new is made.",
            receipt=self.receipt or self.reference,
            state=states[self.state],
        )

    def _confirm_by_person(self):
        """Take the user's word for announced payments."""
        now = fields.Datetime.now()
        for payment in self:
            payment.write(
                {
                    "state": "confirmed",
                    "confirmed_at": now,
                    "confirmed_by_id": self.env.uid,
                    # Its id came from an announcement that nobody has verified.
                    "provisional": True,
                    "reason": False,
                    "attempts": 0,
                    "next_try_at": False,
                }
            )
            payment._message_log(
                body=self.env._(
                    "Confirmed by hand by %(user)s: %(amount)s for number %(number)s, "
                    "receipt %(receipt)s. ClickPesa was not asked.",
                    user=self.env.user.name,
                    amount=payment.currency_id.format(payment.amount),
                    number=payment.number or "?",
                    receipt=payment.receipt or "?",
                )
            )

    # === ACTION METHODS === #

    def action_confirm_by_hand(self):
        """Vouch for announced payments of which ClickPesa cannot be asked."""
        self._check_accountant()
        for payment in self.sudo():
            if payment.state != "received":
                raise UserError(
                    self.env._(
                        "Only a payment that waits for confirmation can be confirmed. "
                        "%(payment)s is not waiting any more; nothing was changed. "
                        "Reload the page to see where it stands.",
                        payment=payment.display_name,
                    )
                )
            if payment.provider_id._billpay_can_ask():
                raise UserError(
                    self.env._(
                        "ClickPesa can be asked about %(payment)s, and its word is "
                        "better than ours. Nothing was booked: press Process Now.",
                        payment=payment.display_name,
                    )
                )
            if payment.currency_id.name != "TZS" or payment.amount <= 0:
                raise UserError(
                    self.env._(
                        "%(payment)s was announced without an amount in TZS that can "
                        "be booked. Nothing was booked: compare with the ClickPesa "
                        "dashboard, and enter the payment from its receipt.",
                        payment=payment.display_name,
                    )
                )
        self.sudo()._confirm_by_person()
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")
