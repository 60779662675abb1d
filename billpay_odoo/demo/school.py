# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A boarding school as example data: families, pupils, purposes, a term's invoices.

Used by the demo and by the test that proves every balance. All names are made up.
"""

import random

from odoo import Command

FAMILIES = (
    "Mushi Massawe Kimaro Lyimo Mwakyusa Ngowi Shirima Mollel Nyerere Komba Haule "
    "Mbwana Juma Hamisi Salum Makame"
).split()
PARENTS = "Neema Zuhura Rehema Joseph Ally Grace Hassan Upendo".split()
PUPILS = (
    "Asha Amani Baraka Daudi Esther Fatuma Furaha Imani Juma Khadija Lulu Musa Neema "
    "Pendo Rashid Tumaini"
).split()
CLASSES = ("Form 1", "Form 2", "Form 3", "Form 4")
TUITION, HOSTEL = 450_000, 280_000


def purposes(env, company):
    """Make Tuition, Hostel and Pocket money, each as ``(purpose, product)``."""
    made = []
    for name, swahili, price, values in (
        ("Tuition", "Ada ya shule", TUITION, {}),
        ("Hostel", "Ada ya bweni", HOSTEL, {}),
        ("Pocket money", "Pesa ya matumizi", 0, {"allocation_policy": "credit"}),
    ):
        category = env["product.category"].create({"name": name})
        product = env["product.product"].create(
            {
                "name": name,
                "type": "service",
                "list_price": price,
                "categ_id": category.id,
                "taxes_id": [Command.clear()],
                "company_id": company.id,
            }
        )
        purpose = env["billpay.purpose"].create(
            {
                "name": name,
                "company_id": company.id,
                "sequence": 10 * (len(made) + 1),
                "product_category_ids": [Command.set(category.ids)],
                "invoice_number": "customer",
                **values,
            }
        )
        if code := env["res.lang"]._get_code("sw"):
            purpose.with_context(lang=code).name = swahili
        made.append((purpose, product))
    return made


def pupils(env, company, count, seed=19):
    """Make families with one to three pupils, each in a class; return the pupils."""
    dice = random.Random(seed)
    tags = {}
    for name in CLASSES:
        tag = env["res.partner.category"].search([("name", "=", name)], limit=1)
        tags[name] = tag or tag.create({"name": name})
    partners = env["res.partner"].with_context(tracking_disable=True)
    sizes = []
    while sum(sizes) < count:
        sizes.append(min(dice.choice((1, 1, 2, 2, 3)), count - sum(sizes)))
    parents = partners.create(
        [
            {
                "name": f"{PARENTS[index % len(PARENTS)]} {_family(index)}",
                "phone": f"+2557{12_000_000 + index:08d}",
                "email": f"parent{index}@example.com" if index % 3 else False,
                "company_id": company.id,
            }
            for index in range(len(sizes))
        ]
    )
    vals_list = []
    for index, (parent, size) in enumerate(zip(parents, sizes, strict=True)):
        for name in dice.sample(PUPILS, size):
            vals_list.append(
                {
                    "name": f"{name} {_family(index)}",
                    "ref": f"S-{len(vals_list) + 1:04d}",
                    "parent_id": parent.id,
                    "type": "other",
                    "category_id": [Command.link(tags[dice.choice(CLASSES)].id)],
                    "company_id": company.id,
                }
            )
    return partners.create(vals_list)


def _family(index):
    return FAMILIES[index // len(PARENTS) % len(FAMILIES)]


def invoices(env, company, owners, products, date, dues=()):
    """Confirm the invoices of a term: tuition for all, hostel for every second pupil.

    :param list products: of ``purposes``: tuition first, then hostel
    :param list dues: the days on which the terms are due, one invoice for each
    """
    tuition, hostel = products[:2]
    moves = env["account.move"].with_company(company)
    tzs = env.ref("base.TZS")
    lines = {
        product: {
            "product_id": product.id,
            "price_unit": product.list_price,
            "tax_ids": [Command.clear()],
        }
        for product in (tuition, hostel)
    }
    made = moves.with_context(tracking_disable=True).create(
        [
            {
                "move_type": "out_invoice",
                "partner_id": pupil.id,
                "currency_id": tzs.id,
                "invoice_date": date,
                "invoice_date_due": due,
                "invoice_line_ids": [Command.create(lines[product])],
            }
            for due in dues
            for index, pupil in enumerate(owners)
            for product in ((tuition, hostel) if index % 2 else (tuition,))
        ]
    )
    made.action_post()
    return made


def numbers(env, company, owners, wanted):
    """Start a bulk run that gives all pupils a number for each purpose."""
    wizard = env["billpay.run.wizard"].with_company(company)
    wizard = wizard.create(
        {
            "company_id": company.id,
            "source": "contacts",
            "partner_ids": [Command.set(owners.ids)],
            "purpose_ids": [Command.set([purpose.id for purpose in wanted])],
        }
    )
    run = env["billpay.run"].browse(wizard.action_prepare()["res_id"])
    run.action_start()
    return run


def build(env, company, count=300):
    """Make the school in a company with an application; committed by the caller."""
    env = env(context={**env.context, "allowed_company_ids": company.ids})
    company = company.with_env(env)
    made = purposes(env, company)
    owners = pupils(env, company, count)
    run = numbers(env, company, owners, [purpose for purpose, _product in made])
    today, products = company._billpay_today(), [product for _purpose, product in made]
    moves = invoices(env, company, owners, products, today, [today.replace(day=1)])
    return owners, run, moves
