# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import UserError

from ...actions import notify, window
from ...clickpesa import ClickPesaError
from ...transactions import own_transaction

# Which kinds of rows a figure of the day is the sum of.
FIGURES = {
    "payments": ("payment",),
    "reversals": ("reversal",),
    "fees": ("fee",),
    "withdraws": ("withdraw", "payout"),
    "other": ("deposit", "other"),
}


class BillpayDay(models.Model):
    """One day of ClickPesa's account beside the payments in Odoo.

    Compare only: nothing of it is booked.
    """

    _name = "billpay.day"
    _inherit = ["billpay.guarded"]
    _description = "ClickPesa Day"
    _order = "date desc, provider_id"
    _rec_name = "date"

    provider_id = fields.Many2one(
        "payment.provider",
        string="Application",
        required=True,
        readonly=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(
        related="provider_id.company_id", store=True, index=True, precompute=True
    )
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    date = fields.Date(string="Day", required=True, readonly=True, index=True)
    state = fields.Selection(
        [
            ("incomplete", "Incomplete"),
            ("open", "Open"),
            ("agrees", "Agrees"),
            ("differs", "Differs"),
        ],
        default="incomplete",
        required=True,
        readonly=True,
        help="Incomplete: ClickPesa's statement of this day is not here, or does not "
        "add up. Open: some money is still on its way. Agrees: every payment is the "
        "same at ClickPesa and in Odoo, or it is explained why not. Differs: some are "
        "not.",
    )
    trouble = fields.Char(
        readonly=True, help="Why the last statement that was fetched does not count."
    )
    asked_at = fields.Datetime(string="Last Fetched", readonly=True)
    accepted_at = fields.Datetime(
        string="Accepted",
        readonly=True,
        help="When a statement of this day was fetched that adds up.",
    )
    opening = fields.Monetary(string="Opening Balance", readonly=True)
    closing = fields.Monetary(string="Closing Balance", readonly=True)
    payments_amount = fields.Monetary(string="Payments", readonly=True)
    reversals_amount = fields.Monetary(string="Reversals", readonly=True)
    fees_amount = fields.Monetary(string="Fees", readonly=True)
    withdraws_amount = fields.Monetary(string="Withdraws and Payouts", readonly=True)
    other_amount = fields.Monetary(string="Deposits and Other", readonly=True)
    odoo_amount = fields.Monetary(
        string="Payments in Odoo",
        readonly=True,
        help="Payments made on this day, in every state in which ClickPesa has the "
        "money.",
    )
    unbooked_amount = fields.Monetary(
        string="Not Booked",
        readonly=True,
        help="Of the payments in Odoo: not in the books, such as unmatched ones.",
    )
    difference = fields.Monetary(
        readonly=True, help="ClickPesa's payments less the payments in Odoo."
    )
    explained_amount = fields.Monetary(string="Explained", readonly=True)
    unexplained_amount = fields.Monetary(
        string="Unexplained", compute="_compute_unexplained_amount", store=True
    )
    fees_way = fields.Selection(
        [
            ("rows", "As rows of their own"),
            ("netted", "Kept back from each payment"),
            ("none", "None seen"),
        ],
        string="How ClickPesa Shows Fees",
        readonly=True,
    )
    zone = fields.Selection(
        [("utc", "UTC"), ("eat", "Dar es Salaam")],
        string="ClickPesa's Days Are Those Of",
        readonly=True,
        help="As the moments of its rows tell. Empty: no row told it yet.",
    )
    row_ids = fields.One2many("billpay.statement.row", "day_id", readonly=True)
    item_ids = fields.One2many("billpay.day.item", "day_id", readonly=True)
    row_count = fields.Integer(string="Rows", readonly=True)
    reason = fields.Char(
        compute="_compute_reason",
        help="Why the day does not agree, what it means for the money, and the next "
        "step.",
    )

    _date_unique = models.UniqueIndex(
        "(provider_id, date)", "This day of the application is already here."
    )
    # What is compared again each night.
    _unsettled = models.Index("(date) WHERE state IN ('open', 'differs')")

    @property
    def _billpay_server_fields(self):
        return frozenset(self._fields)

    # === COMPUTE METHODS === #

    @api.depends("date", "provider_id")
    def _compute_display_name(self):
        for day in self:
            # sudo: only administrators read applications.
            name = day.sudo().provider_id.name or ""
            day.display_name = f"{name} {day.date or ''}".strip()

    @api.depends("difference", "explained_amount")
    def _compute_unexplained_amount(self):
        for day in self:
            day.unexplained_amount = day.difference - day.explained_amount

    @api.depends("state", "trouble", "item_ids")
    @api.depends_context("lang")
    def _compute_reason(self):
        for day in self:
            items = day.item_ids
            if day.state == "differs":
                items = items.filtered(lambda item: not item.explains)
            sentences = filter(None, (item._sentence() for item in items))
            told = " ".join(sentences) if day.state in ("open", "differs") else ""
            day.reason = " ".join(filter(None, (day.trouble, told))) or False

    # === CRUD METHODS === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(
            self.env._(
                "You cannot delete a day of ClickPesa's account. Press Fetch Again to "
                "ask ClickPesa for it once more."
            )
        )

    # === ACTION METHODS === #

    def action_fetch(self):
        """Ask ClickPesa for the statement of these days again, and compare them."""
        self.check_access("read")
        self.env.user._billpay_check("manage")
        days_sudo = self.sudo()
        with own_transaction(self.env(su=True)) as env:
            fetch = env["billpay.statement.fetch"]
            for provider, days in days_sudo.grouped("provider_id").items():
                try:
                    fetch._fetch_now(provider.with_env(env), days.mapped("date"))
                except ClickPesaError as error:
                    raise UserError(
                        self.env._(
                            "The request to ClickPesa failed: %s No money is affected, "
                            "and what was compared before stays. Try again in a "
                            "minute.",
                            error.message,
                        )
                    ) from None

    @api.model
    def action_fetch_week(self):
        """Have the last week fetched for all applications, without waiting for night.

        The scheduled action does it for all companies; no figure of them is shown.
        """
        self.browse().check_access("read")
        self.env.user._billpay_check("manage")
        self.env["payment.provider"]._billpay_trigger("ir_cron_fetch_statement")
        message = self.env._(
            "ClickPesa is asked for its statement of the last week; the days appear "
            "here in a moment."
        )
        return notify("info", message)

    def action_view_rows(self):
        """Open the rows of a figure: ``billpay_figure`` in the context names it."""
        kinds = FIGURES.get(self.env.context.get("billpay_figure"))
        domain = [("day_id", "in", self.ids)]
        if kinds:
            domain.append(("kind", "in", kinds))
        return self._open_rows(domain)

    def action_view_payments(self):
        """Open the payments in Odoo that were made on this day."""
        self.ensure_one()
        self.check_access("read")
        payments_sudo = self.env["billpay.comparison"]._payments_of(self.sudo())
        if self.env.context.get("billpay_figure") == "unbooked":
            payments_sudo = payments_sudo.filtered(lambda p: not p.posted_at)
        return self._open_payments(payments_sudo)

    def _open_rows(self, domain):
        return window(self.env, "action_billpay_statement_row", domain=domain)

    def _open_payments(self, payments):
        return window(
            self.env,
            "action_billpay_payment",
            name=self.env._("Payments of the Day"),
            domain=[("id", "in", payments.ids)],
            view_mode="list,form",
            views=[(False, "list"), (False, "form")],
        )

    def _view_cause(self, cause):
        """Open what an item counts: rows of the statement, or payments without any."""
        self.ensure_one()
        self.check_access("read")
        found = self.env["billpay.comparison"]._found(self.sudo()).of(cause)
        if found.rows:
            return self._open_rows([("id", "in", found.rows.ids)])
        return self._open_payments(found.payments)

    # === CRON === #

    @api.model
    def _cron_fetch_statement(self):
        """Fetch yesterday and the last seven days of every application."""
        self.env["billpay.statement.fetch"]._fetch_all()
