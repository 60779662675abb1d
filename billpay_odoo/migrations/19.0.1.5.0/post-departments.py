# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Let staff of departments see theirs alone, as before.

Since 19.0.1.5.0 seeing all departments is a field of its own: whoever has lost the last
one sees nothing. The rules stand in a file that updates leave alone.
"""

from odoo import SUPERUSER_ID, api

RULES = {
    "control_number": "department_id",
    "payment": "department_id",
    "run": "department_id",
    "run_line": "run_id.department_id",
}


def migrate(cr, version):
    cr.execute(
        "UPDATE res_users SET billpay_all_departments = NOT EXISTS"
        " (SELECT FROM billpay_user_department_rel WHERE user_id = res_users.id)"
    )
    env = api.Environment(cr, SUPERUSER_ID, {})
    for model, path in RULES.items():
        rule = env.ref(f"billpay_odoo.billpay_{model}_rule_department", False)
        if rule:
            rule.domain_force = (
                "[(1, '=', 1)] if user.sudo().billpay_all_departments else"
                f" [('{path}', 'in', user.sudo().billpay_department_ids.ids)]"
            )
    env.registry.clear_cache()
