# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

{
    "name": "BillPay for eCommerce",
    "version": "19.0.1.0.0",
    "category": "Website/Website",
    "summary": "The shop's confirmation shows the control number and how to pay it",
    "author": "BillPay Odoo contributors",
    "license": "LGPL-3",
    "depends": ["billpay_odoo_sale", "website_sale"],
    "data": ["views/confirmation_templates.xml"],
    "assets": {
        "web.assets_tests": ["billpay_odoo_website_sale/static/tests/tours/*.js"],
    },
    "auto_install": True,
}
