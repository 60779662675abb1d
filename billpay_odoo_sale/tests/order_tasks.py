# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a seller does in another process; see ``worker_process.py`` of billpay_odoo."""

from odoo import Command
from odoo.service.model import retrying


def _at(env, company):
    return env(context={"allowed_company_ids": [company]})


def _customer(env, company):
    return env["res.partner"].search(
        [("company_id", "=", company), ("name", "=", "Juma Hamisi")], limit=1
    )


def make_order(env, company, price, **values):
    """Make a quotation that a customer can pay in the portal."""
    env = _at(env, company)
    env.ref("billpay_odoo.payment_method_billpay").active = True
    goods = env["product.product"].create(
        {
            "name": "Kitenge",
            "type": "service",
            "invoice_policy": "order",
            "taxes_id": [Command.clear()],
        }
    )
    order = env["sale.order"].create(
        {
            "partner_id": _customer(env, company).id,
            "company_id": company,
            "require_signature": False,
            "require_payment": True,
            "prepayment_percent": 1.0,
            "order_line": [
                Command.create({"product_id": goods.id, "price_unit": price})
            ],
            **values,
        }
    )
    order.action_quotation_sent()
    return {"id": order.id, "name": order.name, "url": order.get_portal_url()}


def change(env, company, order, price):
    """The seller changes the price, replayed on a conflict as a request is."""
    order = _at(env, company)["sale.order"].browse(order)

    def write():
        order.order_line.price_unit = price

    retrying(write, order.env)
    env.cr.commit()


def configure(env, company, order, values):
    """The seller asks for a payment or a signature, or does not."""
    _at(env, company)["sale.order"].browse(order).write(values)


def cancel(env, company, order):
    order = _at(env, company)["sale.order"].browse(order)
    retrying(order._action_cancel, order.env)
    env.cr.commit()


def invoice(env, company, order):
    """Confirm and invoice an order by hand; return the invoice's page and number."""
    order = _at(env, company)["sale.order"].browse(order)

    def make():
        order.action_confirm()
        move = order._create_invoices()
        move.action_post()
        return move

    # The customer's open page writes on the checkout, too.
    move = retrying(make, order.env)
    env.cr.commit()
    return {
        "id": move.id,
        "url": move.get_portal_url(),
        "number": move.billpay_number_id.name,
    }


def pay_by_wire(env, company, order, amount):
    """Another provider reports the money."""
    env = _at(env, company)
    order = env["sale.order"].browse(order)
    wire = env["payment.provider"].create(
        {"name": "Wire", "code": "none", "state": "test", "company_id": company}
    )
    tx = env["payment.transaction"].create(
        {
            "provider_id": wire.id,
            "payment_method_id": env.ref("payment.payment_method_unknown").id,
            "amount": amount,
            "currency_id": order.currency_id.id,
            "partner_id": order.partner_id.id,
            "operation": "online_redirect",
            "reference": f"{order.name}-wire",
            "sale_order_ids": [Command.set(order.ids)],
        }
    )
    tx._set_done()


def post_process(env):
    env["payment.transaction"]._cron_post_process()


def reserve(env, tx):
    """Make the number of a checkout; return it."""
    tx = env["payment.transaction"].browse(tx)
    from_pool = retrying(tx._billpay_reserve, env)
    env.cr.commit()
    return from_pool.name


def make_checkout(env, company, order):
    """What the portal does when a customer chooses the control number."""
    env = _at(env, company)
    order = env["sale.order"].browse(order)
    provider = env["res.company"].browse(company).billpay_provider_id
    reference = env["payment.transaction"]._compute_reference(
        "clickpesa", prefix=order.name
    )
    return (
        env["payment.transaction"]
        .create(
            {
                "provider_id": provider.id,
                "payment_method_id": env.ref("billpay_odoo.payment_method_billpay").id,
                "amount": order.amount_total,
                "currency_id": order.currency_id.id,
                "partner_id": order.partner_id.id,
                "operation": "online_redirect",
                "landing_route": order.get_portal_url(),
                "reference": reference,
                "sale_order_ids": [Command.set(order.ids)],
            }
        )
        .id
    )


def state_of(env, order):
    order = env["sale.order"].browse(order)
    numbers = order.transaction_ids.billpay_number_ids
    return {
        "state": order.state,
        "checkouts": order.transaction_ids.sorted("id").mapped("state"),
        "asking": [[n.name, n.amount] for n in numbers._living()],
        "todo": numbers.payment_ids.filtered("attention").mapped("reason"),
        "activities": [str(note) for note in order.activity_ids.mapped("note")],
    }


def make_overdue(env, company, amounts):
    """Overdue invoices of a customer who can log in."""
    env = _at(env, company)
    env.ref("billpay_odoo.payment_method_billpay").active = True
    env["ir.config_parameter"].set_param(
        "account_payment.enable_portal_payment", "True"
    )
    partner = env["res.partner"].create(
        {"name": "Neema Shop", "company_id": company, "email": "neema@example.com"}
    )
    env["res.users"].with_context(no_reset_password=True).create(
        {
            "login": "neema",
            "password": "neema",
            "partner_id": partner.id,
            "company_id": company,
            "company_ids": [Command.set([company])],
            "group_ids": [Command.set(env.ref("base.group_portal").ids)],
        }
    )
    moves = env["account.move"].create(
        [
            {
                "move_type": "out_invoice",
                "partner_id": partner.id,
                "invoice_date": "2026-01-01",
                "invoice_date_due": "2026-01-15",
                "currency_id": env.ref("base.TZS").id,
                "invoice_line_ids": [
                    Command.create({"name": "Ada", "price_unit": amount, "tax_ids": []})
                ],
            }
            for amount in amounts
        ]
    )
    moves.action_post()
    return moves.ids


def pay_in_cash(env, company, move):
    register = _at(env, company)["account.payment.register"].with_context(
        active_model="account.move", active_ids=[move]
    )
    register.create({})._create_payments()


def residuals(env, moves):
    return env["account.move"].browse(moves).mapped("amount_residual")
