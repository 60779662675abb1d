# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The money desk: what waits, put aside, take up again, open the wizards.

People have no right to write the ledger. Each decision here checks who asks, locks the
row, and keeps who decided, when and why.
"""

from odoo import api, fields, models
from odoo.exceptions import LockError, UserError
from odoo.fields import Domain

# The columns of the desk, from the left.
DESK_ORDER = (
    "unmatched",
    "failed",
    "received",
    "confirmed",
    "posted",
    "ignored",
    "reversed",
)
# Money that is neither booked nor put aside.
UNDECIDED = ("received", "confirmed", "unmatched", "failed")


class BillpayPayment(models.Model):
    _inherit = "billpay.payment"  # pylint: disable=consider-merging-classes-inherited

    state = fields.Selection(group_expand="_group_expand_state")
    ignored_at = fields.Datetime(string="Put Aside", readonly=True)
    ignored_why = fields.Char(string="Why It Was Put Aside", readonly=True)
    salesperson_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        related="move_id.invoice_user_id",
        store=True,
        tracking=False,
        index="btree_not_null",
    )
    credit_open = fields.Monetary(
        string="Open Credit",
        compute="_compute_credit_open",
        compute_sudo=True,
        help="Booked, but not yet used for an invoice.",
    )
    quarantine_count = fields.Integer(compute="_compute_quarantine_count")

    _attention = models.Index("(id) WHERE attention")

    # === COMPUTE METHODS === #

    @api.model
    def _group_expand_state(self, states, _domain):
        """Return the states that have payments: first what needs a person."""
        return sorted(states, key=DESK_ORDER.index)

    @api.depends("account_payment_ids.move_id.line_ids.amount_residual_currency")
    def _compute_credit_open(self):
        for payment in self:
            lines = payment._open_credit_lines()
            payment.credit_open = -sum(lines.mapped("amount_residual_currency"))

    def _open_credit_lines(self):
        """Return the lines of its entries that no invoice has used up."""
        return self.account_payment_ids.move_id.line_ids.filtered(
            lambda line: (
                line.parent_state == "posted"
                and line.account_id.account_type == "asset_receivable"
                and not line.reconciled
                and line.amount_residual < 0
            )
        )

    @api.depends("provider_id")
    def _compute_quarantine_count(self):
        counts = dict(
            self.env["billpay.event"]._read_group(
                [
                    ("state", "=", "quarantine"),
                    ("provider_id", "in", self.provider_id.ids),
                ],
                ["provider_id"],
                ["__count"],
            )
        )
        for payment in self:
            payment.quarantine_count = counts.get(payment.provider_id, 0)

    # === LOCK === #

    def _hold(self):
        """Lock these rows for a decision.

        :raise UserError: a worker has one of them in hand
        """
        try:
            self.sudo().lock_for_update(allow_referencing=True)
        except LockError:
            raise UserError(
                self.env._(
                    "This payment is being booked or changed at this moment. Nothing "
                    "was changed by you and the money is safe: look again in a few "
                    "seconds."
                )
            ) from None

    # === PUT ASIDE === #

    def _put_aside(self, why):
        """Decide that this money is not ours, or not to be booked here.

        :param str why: kept, and shown with the payment
        """
        self._check_accountant()
        self._hold()
        booked = self.filtered(lambda payment: payment.state not in UNDECIDED)
        if booked:
            raise UserError(
                self.env._(
                    "%s is booked or put aside already, so nothing was changed. Undo "
                    "the match of a booked payment before you put it aside.",
                    ", ".join(booked.mapped("display_name")),
                )
            )
        for payment_sudo in self.sudo():
            payment_sudo.write(
                {
                    "state": "ignored",
                    "attention": False,
                    "next_try_at": False,
                    "ignored_by_id": self.env.uid,
                    "ignored_at": fields.Datetime.now(),
                    "ignored_why": why,
                    "reason": self.env._(
                        "Put aside by %(user)s: %(why)s. The money is at ClickPesa and "
                        "not in the books; Take Up Again brings it back.",
                        user=self.env.user.name,
                        why=why.rstrip(" ."),
                    ),
                }
            )
            payment_sudo._message_log(body=payment_sudo.reason)

    def action_take_up(self):
        """Put payments that a person put aside back on the desk."""
        self._check_accountant()
        aside = self.filtered(lambda p: p.state == "ignored" and p.ignored_by_id)
        if not aside:
            raise UserError(
                self.env._(
                    "None of these payments was put aside by a person, so there is "
                    "nothing to take up. No money is affected."
                )
            )
        aside._hold()
        for payment_sudo in aside.sudo():
            bookable = (
                payment_sudo.confirmed_at
                and payment_sudo.currency_id
                and payment_sudo.amount > 0
            )
            state = "confirmed" if bookable else "received"
            payment_sudo.write(
                {
                    # A match that was undone is for a person to decide, ever after.
                    "state": "unmatched" if payment_sudo.undone_at else state,
                    "reason": self.env._("Taken up again by %s.", self.env.user.name),
                    "ignored_by_id": False,
                    "ignored_at": False,
                    "ignored_why": False,
                    "attempts": 0,
                    "next_try_at": False,
                }
            )
            payment_sudo._message_log(body=payment_sudo.reason)
        self.env["payment.provider"]._billpay_trigger("ir_cron_process_payments")

    # === ASSIGN === #

    def message_subscribe(self, partner_ids=None, subtype_ids=None):
        """Whoever sees a payment may ask a colleague to look at it.

        Odoo wants the right to write, which nobody has on the ledger. A follower gets
        messages, and no access.
        """
        partners_sudo = self.env["res.partner"].sudo().browse(partner_ids or [])
        if not all(p.main_user_id and not p.main_user_id.share for p in partners_sudo):
            return super().message_subscribe(partner_ids, subtype_ids)
        self.check_access("read")
        return super(BillpayPayment, self.sudo()).message_subscribe(
            partner_ids, subtype_ids
        )

    # === BUTTONS === #

    def action_process_now(self):
        """Try again, but what a person took apart waits for a person."""
        undone = self.filtered(lambda p: p.undone_at and p.state == "unmatched")
        if undone and undone == self:
            raise UserError(
                self.env._(
                    "The match of this payment was undone, so it is not booked by "
                    "itself again. Press Match and choose what it pays."
                )
            )
        return super(BillpayPayment, self - undone).action_process_now()

    def action_open_match(self):
        """Open the wizard that matches one payment."""
        if len(self) != 1:
            raise UserError(
                self.env._("Match one payment at a time: select a single line.")
            )
        self._check_accountant()
        return self.env["billpay.payment.match"]._open_for(self)

    def _action_reason(self, kind):
        self._check_accountant()
        return {
            "type": "ir.actions.act_window",
            "res_model": "billpay.payment.reason",
            "name": {
                "ignore": self.env._("Not Ours"),
                "undo": self.env._("Undo Match"),
            }[kind],
            "view_mode": "form",
            "target": "new",
            "context": {"default_kind": kind, "default_payment_ids": self.ids},
        }

    def action_open_put_aside(self):
        return self._action_reason("ignore")

    def action_open_undo(self):
        return self._action_reason("undo")

    def action_open_assign(self):
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "res_model": "billpay.payment.assign",
            "name": self.env._("Assign"),
            "view_mode": "form",
            "target": "new",
            "context": {"default_payment_ids": self.ids},
        }

    def action_view_quarantine(self):
        """Open deliveries that were not believed."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "billpay_odoo.action_billpay_event"
        )
        domain = Domain("state", "=", "quarantine")
        if self:
            domain &= Domain("provider_id", "in", self.provider_id.ids)
        return {
            **action,
            "name": self.env._("Quarantined Deliveries"),
            "domain": list(domain),
            "context": {},
        }

    @api.model
    def retrieve_desk(self):
        """Return what waits at the desk, for the line of figures above the list.

        :return: ``{name of a filter: count}``, and "quarantine": deliveries
        :rtype: dict
        """
        self.check_access("read")
        domains = {
            "todo": self._todo_domain(),
            "unmatched": Domain("state", "=", "unmatched"),
            "waiting": Domain("state", "in", ("received", "confirmed")),
            "not_booked": Domain("state", "=", "failed"),
            "ignored": Domain("state", "=", "ignored")
            & Domain("ignored_by_id", "!=", False),
        }
        counts = {name: self.search_count(domain) for name, domain in domains.items()}
        counts["quarantine"] = self.env["billpay.event"].search_count(
            [("state", "=", "quarantine")]
        )
        return counts

    @api.model
    def _todo_domain(self):
        """What needs a person. The filter "To Do" has the same."""
        return Domain.OR(
            [
                Domain("state", "in", ("unmatched", "failed")),
                Domain("attention", "=", True),
                Domain("state", "=", "received") & Domain("attempts", ">=", 5),
            ]
        )
