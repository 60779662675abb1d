# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Since 19.0.1.6.0 one debt has one number, which asks for what is due."""

from odoo import SUPERUSER_ID, api

from odoo.addons.billpay_odoo.const import LIVING


def show_one_number(env):
    """Let invoices with an open number of their own carry no other one."""
    moves = env["account.move"].search(
        [
            ("billpay_carried_number_id", "!=", False),
            ("billpay_number_ids", "any", [("state", "in", LIVING)]),
        ]
    )
    moves.billpay_carried_number_id = False


def take_any_amount(env):
    """Let numbers that open invoices carry take what each of them owes."""
    exact = env["billpay.control.number"].search(
        [("kind", "=", "customer"), ("mode", "=", "exact"), ("state", "in", LIVING)]
    )
    for number in exact._open_carriers().billpay_carried_number_id:
        if not number._takes_only_its_amount():
            number._want({"mode": "flexible"})


def ask_what_is_due(env):
    """Follow invoices of companies whose application was emptied meanwhile."""
    left_behind = env["billpay.control.number"].search(
        [
            ("kind", "=", "order"),
            ("state", "in", LIVING),
            ("move_id.company_id.billpay_provider_id", "=", False),
        ]
    )
    env["billpay.reservation"]._follow(left_behind.move_id)


def migrate(cr, version):
    env = api.Environment(cr, SUPERUSER_ID, {})
    show_one_number(env)
    take_any_amount(env)
    ask_what_is_due(env)
