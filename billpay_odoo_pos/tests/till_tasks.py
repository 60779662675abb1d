# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What other processes do at a till; see ``worker_process.py`` of billpay_odoo."""

from odoo import Command, fields
from odoo.service.model import retrying


def _at_company(env, company):
    """Return an environment of a cashier: Odoo's own user opens no session."""
    cashier = env.ref("base.user_admin")
    if cashier.company_id.id != company:
        cashier.write({"company_ids": [Command.link(company)], "company_id": company})
        cashier.env.flush_all()
    context = {"allowed_company_ids": [company]}
    return env(user=cashier.id, su=False, context=context)


def _till(env, company):
    env = _at_company(env, company)
    return env["pos.config"].search([("company_id", "=", company)], limit=1)


def make_till(env, company):
    """Make a till with BillPay and open it; return what a sale needs."""
    env = _at_company(env, company)
    journal = env["account.journal"].create(
        {"name": "Till Cash", "type": "cash", "code": "TCSH", "company_id": company}
    )
    cash = env["pos.payment.method"].create(
        {"name": "Cash", "journal_id": journal.id, "company_id": company}
    )
    till = env["pos.config"].create(
        {
            "name": "Duka",
            "company_id": company,
            "payment_method_ids": [Command.set(cash.ids)],
        }
    )
    till.billpay = True
    product = env["product.product"].create(
        {
            "name": "Kitenge",
            "list_price": 45000,
            "type": "consu",
            "available_in_pos": True,
            "taxes_id": [Command.clear()],
        }
    )
    till.open_ui()
    session = till.current_session_id
    session.set_opening_control(0, "")
    return {
        "till": till.id,
        "session": session.id,
        "billpay": till._billpay_method().id,
        "product": product.id,
    }


def ask(env, company, uuid, amount):
    """The till asks for a number, replayed on a conflict as Odoo replays it."""
    till = _till(env, company)
    stand = retrying(lambda: till.billpay_ask({"uuid": uuid, "amount": amount}), env)
    env.cr.commit()
    return stand


def lease(env, company, device):
    numbers = _till(env, company).billpay_lease(device)
    env.cr.commit()
    return [item["number"] for item in numbers]


def status(env, company, uuid):
    return _till(env, company).billpay_status([uuid])


def send(env, company, made, uuid, number, amount):
    """The till sends a finished order."""
    env = _at_company(env, company)
    now = fields.Datetime.to_string(fields.Datetime.now())
    sale = {
        "uuid": uuid,
        "session_id": made["session"],
        "state": "paid",
        "name": uuid,
        "pos_reference": uuid,
        "user_id": env.uid,
        "company_id": company,
        "partner_id": False,
        "amount_total": amount,
        "amount_tax": 0,
        "amount_paid": amount,
        "amount_return": 0,
        "date_order": now,
        "to_invoice": False,
        "lines": [
            Command.create(
                {
                    "product_id": made["product"],
                    "price_unit": amount,
                    "qty": 1,
                    "discount": 0,
                    "price_subtotal": amount,
                    "price_subtotal_incl": amount,
                    "uuid": uuid + "-line",
                }
            )
        ],
        "payment_ids": [
            Command.create(
                {
                    "payment_method_id": made["billpay"],
                    "amount": amount,
                    "billpay_number": number,
                    "payment_date": now,
                    "uuid": uuid + "-paid",
                }
            )
        ],
    }
    answer = retrying(lambda: env["pos.order"].sync_from_ui([dict(sale)]), env)
    env.cr.commit()
    return answer["pos.order"][0]["id"]


def meet(env, company):
    env["pos.payment"]._cron_billpay_meet()


def close(env, company, made):
    env = _at_company(env, company)
    session = env["pos.session"].browse(made["session"])
    session.post_closing_cash_details(0)
    answer = session.close_session_from_ui()
    env.cr.commit()
    return answer
