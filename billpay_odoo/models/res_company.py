# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import pytz

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import ValidationError

from .. import const


class ResCompany(models.Model):
    _inherit = "res.company"

    billpay_provider_id = fields.Many2one(
        "payment.provider",
        string="BillPay Application",
        domain="[('code', '=', 'clickpesa'), ('company_id', 'parent_of', id)]",
        ondelete="set null",
        help="The ClickPesa application that makes this company's control numbers.",
    )
    billpay_issue_on = fields.Selection(
        selection=[
            ("post", "When an invoice is confirmed"),
            ("send", "When an invoice is sent"),
            ("manual", "By hand"),
        ],
        string="Get Control Numbers",
        default="post",
        required=True,
    )
    billpay_default_mode = fields.Selection(
        selection=const.MODES,
        string="Payers May Pay",
        default="flexible",
        required=True,
    )
    billpay_notify_salesperson = fields.Boolean(
        string="Notify Salespeople of Payments",
        default=True,
        help="Notify the salesperson on the screen when a payment of an invoice is "
        "posted.",
    )
    billpay_instalments = fields.Selection(
        selection=[
            ("residual", "All that is due, in any parts"),
            ("next", "The next instalment"),
        ],
        string="With Instalments, Numbers Ask For",
        default="residual",
        required=True,
    )
    billpay_rate_date = fields.Selection(
        selection=[
            ("invoice", "The invoice's date"),
            ("issue", "The day on which the number is made"),
        ],
        string="Exchange Rate Of",
        default="invoice",
        required=True,
    )
    billpay_tell_successor = fields.Boolean(
        string="Notify Payers of the Remaining Balance",
        help="After a partial payment, e-mail the payer the control number for the "
        "balance.",
    )
    billpay_apply_credit = fields.Boolean(
        string="Credit Pays the Next Invoice",
        help="Overpayments by control number pay the customer's next invoice as soon "
        "as it is confirmed. Its number collects the rest only.",
    )
    billpay_minimum_rest = fields.Integer(
        string="Smallest Rest to Ask For",
        default=500,
        help="In TZS. When a part of an invoice is paid and less than this is left, "
        "no new control number asks for it. Less than a shilling is never asked for.",
    )
    billpay_rest_account_id = fields.Many2one(
        "account.account",
        string="Write Smaller Rests Off To",
        domain="[('account_type', 'in', ('expense', 'expense_other', 'income_other'))]",
        check_company=True,
        ondelete="restrict",
        help="A payment on the invoice's own control number that leaves a smaller rest "
        "closes the invoice: its entry posts the rest to this account. Empty: the "
        "rest stays open, without a control number.",
    )
    billpay_entries_on = fields.Selection(
        selection=[
            ("commercial", "The family or company"),
            ("contact", "The contact that the number belongs to"),
        ],
        string="Entries Are Written On",
        default="commercial",
        required=True,
        help="Numbers of a pupil: with the family, money may also pay invoices that "
        "are made out to the parent.",
    )
    billpay_page_due = fields.Boolean(
        string="Pay Pages Show What Customers Owe",
        help="Whoever finds a customer's card can open its pay page. Without this it "
        "asks for the purpose's usual amount or any amount; what a customer owes is "
        "on the statement and in the portal. Invoices always show their amount.",
    )
    billpay_event_days = fields.Integer(
        string="Keep Webhook Contents",
        default=const.EVENT_DAYS,
        help="Days after which deliveries lose their contents and sender; what is in "
        "quarantine is deleted. 0 keeps everything. Payments are never removed.",
    )

    _billpay_event_days_positive = models.Constraint(
        "CHECK(billpay_event_days >= 0)",
        "Webhook contents are kept for a number of days: 0 keeps them for good.",
    )

    _billpay_minimum_rest_positive = models.Constraint(
        "CHECK(billpay_minimum_rest >= 0)",
        "The smallest rest to ask for is an amount in TZS: 0 asks for every shilling.",
    )

    # === BUSINESS METHODS === #

    @api.constrains("billpay_provider_id")
    def _check_billpay_provider_id(self):
        for company in self:
            provider_sudo = company.sudo().billpay_provider_id
            if provider_sudo and provider_sudo.company_id not in company.parent_ids:
                message = self.env._(
                    "The application %(application)s belongs to %(owner)s, so "
                    "%(company)s cannot use it: its money would reach the wrong books. "
                    "Choose an application of %(company)s or of the company it is a "
                    "branch of.",
                    application=provider_sudo.name,
                    owner=provider_sudo.company_id.name,
                    company=company.name,
                )
                raise ValidationError(message)

    def _billpay_is_small(self, rest):
        """Tell whether no number asks for this rest of a bill, in TZS."""
        return rest < max(self.billpay_minimum_rest, 1)

    def _billpay_today(self):
        """Return the date that it is at this company now."""
        return self._billpay_day(fields.Datetime.now())

    def _billpay_day(self, moment):
        """Return the date of a moment (UTC) at this company."""
        return pytz.utc.localize(moment).astimezone(self._billpay_tz()).date()

    def _billpay_tz(self):
        """Return the time zone in which this company's days begin (pytz)."""
        return pytz.timezone(self.sudo().partner_id.tz or const.DEFAULT_TZ)

    def _billpay_person_in_charge(self, *candidates):
        """Return the one internal user to notify of what needs a person here.

        The first fitting candidate, else a BillPay manager, else an administrator.
        """
        self.ensure_one()

        def fitting(users):
            return users.sudo().filtered(
                lambda user: (
                    user.active
                    and not user.share
                    and user.id != SUPERUSER_ID
                    and self in user.company_ids
                )
            )

        for users in candidates:
            if found := fitting(users):
                return found[0]
        for xml_id in ("billpay_odoo.group_billpay_manager", "base.group_system"):
            if found := fitting(self.env.ref(xml_id).sudo().all_user_ids):
                # Those who work in this company first.
                return found.sorted(lambda user: (user.company_id != self, user.id))[0]
        return self.env.ref("base.user_admin")


class ResCurrency(models.Model):
    _inherit = "res.currency"

    billpay_has_rate = fields.Boolean(
        compute="_compute_billpay_has_rate",
        compute_sudo=True,
        help="The company has ever had a rate for it. Odoo counts one for one without.",
    )

    @api.depends("rate_ids.company_id")
    @api.depends_context("company")
    def _compute_billpay_has_rate(self):
        # A field, so that it is asked once of a batch, however many bills it has.
        companies = (False, self.env.company.root_id.id)
        rated = self.env["res.currency.rate"]._read_group(
            [("currency_id", "in", self.ids), ("company_id", "in", companies)],
            ["currency_id"],
        )
        found = self.browse().union(*(currency for (currency,) in rated))
        for currency in self:
            currency.billpay_has_rate = currency in found
