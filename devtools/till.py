# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A shop and an eating house with tills that take BillPay, for the demo."""

SHOP, EATING_HOUSE = "Duka la Kariakoo", "Mgahawa wa Asha"
GOODS = (
    ("Kitenge", 45_000),
    ("Kanga", 15_000),
    ("Sukari 1 kg", 3_200),
    ("Unga wa sembe 5 kg", 9_500),
    ("Mafuta ya kupikia 3 l", 18_000),
    ("Sabuni", 2_500),
)


def build(billing):
    """Make the tills unless they are there.

    :param Billing billing: the demo company
    """
    odoo = billing.odoo
    if odoo.find("pos.config", [("name", "=", SHOP)], ["id"], limit=1):
        return
    odoo.call(
        "product.product",
        "create",
        [
            {
                "name": name,
                "list_price": price,
                "type": "consu",
                "available_in_pos": True,
                "taxes_id": [(5,)],
                "company_id": odoo.company,
            }
            for name, price in GOODS
        ],
    )
    for code, (name, restaurant) in enumerate(
        [(SHOP, False), (EATING_HOUSE, True)], start=1
    ):
        journal = odoo.call(
            "account.journal",
            "create",
            {"name": f"Cash {name}", "type": "cash", "code": f"TILL{code}"},
        )
        cash = odoo.call(
            "pos.payment.method", "create", {"name": "Cash", "journal_id": journal}
        )
        values = {"name": name, "payment_method_ids": [(6, 0, [cash])]}
        if restaurant and odoo.find(
            "ir.module.module",
            [("name", "=", "pos_restaurant"), ("state", "=", "installed")],
            ["id"],
        ):
            values["module_pos_restaurant"] = True
        till = odoo.call("pos.config", "create", values)
        odoo.call(
            "pos.config", "write", [till], {"billpay": True, "billpay_later": "always"}
        )
