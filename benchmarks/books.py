# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Tasks that several benchmarks need: the company, the application, invoices."""

from .tasks import task

PARTNERS = 50
AMOUNT = 150_000


def accountant(env, **context):
    """An environment of the person who posts, in the Tanzanian company of the demo
    data. Access is checked as it is for everybody."""
    company = env["res.company"].search([("chart_template", "=", "tz")], limit=1)
    user = env.ref("base.user_admin")
    return env(user=user.id, context={"allowed_company_ids": [company.id], **context})


@task
def prepare_company(env):
    """Let the administrator work in the Tanzanian company, and make customers."""
    company = env["res.company"].search([("chart_template", "=", "tz")], limit=1)
    env.ref("base.TZS").active = True
    env.ref("base.user_admin").write({"company_ids": [(4, company.id)]})
    env["res.partner"].create(
        [
            {"name": f"Bench customer {number}", "company_id": company.id}
            for number in range(PARTNERS)
        ]
    )
    return {"currency": company.currency_id.name}


@task
def prepare_application(env, url, credentials, **values):
    """Configure the application of the company; its id and webhook token.

    :param url: the sandbox.
    :param credentials: as ``devtools.services.SANDBOX``.
    """
    company = accountant(env).company
    template = env.ref("billpay_odoo.payment_provider_clickpesa")
    provider = env["payment.provider"].search(
        [("code", "=", "clickpesa"), ("company_id", "=", company.id)], limit=1
    ) or template.copy({"company_id": company.id})
    provider.write(
        {
            "clickpesa_base_url": f"{url}/third-parties",
            "clickpesa_client_id": credentials["client-id"],
            "clickpesa_api_key": credentials["api-key"],
            "clickpesa_checksum_key": credentials["checksum-key"],
            "clickpesa_billpay_namba": credentials["billpay-namba"],
            # A bench is not to wait for the next minute.
            "clickpesa_calls_per_minute": 0,
            "state": "test",
            **values,
        }
    )
    company.billpay_provider_id = provider
    # Read by the settings page too; it makes the journal's payment method.
    journal = provider.journal_id
    return {
        "id": provider.id,
        "journal": journal.id,
        "token": provider.clickpesa_webhook_token,
    }


def draft_invoices(env, count, currency="TZS"):
    """Customer invoices with one line and no tax, each for the next customer."""
    env = accountant(env)
    partners = env["res.partner"].search([("name", "like", "Bench customer")])
    line = {"name": "Goods", "price_unit": AMOUNT, "tax_ids": [(5,)]}
    return env["account.move"].create(
        [
            {
                "move_type": "out_invoice",
                "partner_id": partners[number % len(partners)].id,
                "currency_id": env.ref(f"base.{currency}").id,
                "invoice_line_ids": [(0, 0, line)],
            }
            for number in range(count)
        ]
    )


@task
def make_posted_invoices(env, count):
    """Posted invoices; their ids, and their control numbers where there are some."""
    moves = draft_invoices(env, count)
    moves.action_post()
    env.cr.commit()
    named = "billpay_number_id" in moves._fields
    return {
        "moves": moves.ids,
        "numbers": [move.sudo().billpay_number_id.name for move in moves]
        if named
        else [],
    }
