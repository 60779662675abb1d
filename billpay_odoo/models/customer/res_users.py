# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import AccessError

# Who may: the groups of each right. "bill": get numbers and ask ClickPesa. "book":
# decide about payments, refused numbers and imports. "manage": replay deliveries.
RIGHTS = {
    "bill": ("account.group_account_invoice", "billpay_odoo.group_billpay_manager"),
    "book": ("account.group_account_invoice",),
    "manage": ("billpay_odoo.group_billpay_manager",),
}


class ResUsers(models.Model):
    _inherit = "res.users"

    billpay_department_ids = fields.Many2many(
        "account.analytic.account",
        "billpay_user_department_rel",
        "user_id",
        "account_id",
        string="BillPay Departments",
        help="Whose control numbers and payments this user sees, unless of all.",
    )
    billpay_all_departments = fields.Boolean(
        string="All BillPay Departments",
        default=True,
        help="This user sees control numbers and payments of all departments. Choosing "
        "departments clears it; without both the user sees none.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._billpay_walled(vals) for vals in vals_list])

    def _billpay_walled(self, vals):
        """Return ``vals``; whoever gets departments sees no others."""
        given = vals.get("billpay_department_ids")
        if given and "billpay_all_departments" not in vals:
            field = self._fields["billpay_department_ids"]
            if field.convert_to_cache(given, self.browse()):
                return {**vals, "billpay_all_departments": False}
        return vals

    def write(self, vals):
        vals = self._billpay_walled(vals)
        result = super().write(vals)
        if not {"billpay_department_ids", "billpay_all_departments"}.isdisjoint(vals):
            # What a rule allows is kept per user.
            self.env.registry.clear_cache()
        return result

    def _billpay_department(self):
        """Return the department of what a user makes, who does not see all of them."""
        user_sudo = self.sudo()
        if user_sudo.billpay_all_departments:
            return user_sudo.billpay_department_ids.browse()
        return user_sudo.billpay_department_ids[:1].sudo(False)

    def _billpay_may(self, right):
        """Tell whether this user has a right of ``RIGHTS``."""
        self.ensure_one()
        return any(self.has_group(group) for group in RIGHTS[right])

    def _billpay_check(self, right):
        """Refuse users who lack a right of ``RIGHTS``."""
        if self._billpay_may(right):
            return
        raise AccessError(
            {
                "bill": self.env._(
                    "Only users with the right to make invoices can get control "
                    "numbers or ask ClickPesa for payments. No money is affected: ask "
                    "your accountant."
                ),
                "book": self.env._(
                    "Only users with the right to make invoices and payments can do "
                    "this. Nothing was changed and no money is affected: ask your "
                    "accountant."
                ),
                "manage": self.env._(
                    "Only BillPay managers can do this. Nothing was changed and no "
                    "money is affected: ask your BillPay manager."
                ),
            }[right]
        )
