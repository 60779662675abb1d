# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

{
    "name": "BillPay for Sales Orders",
    "version": "19.0.1.0.0",
    "category": "Sales/Sales",
    "summary": "Orders are paid by control number and confirm themselves",
    "author": "BillPay Odoo contributors",
    "license": "LGPL-3",
    "depends": ["billpay_odoo", "sale"],
    "data": ["views/sale_order_views.xml"],
    "assets": {
        "web.assets_tests": ["billpay_odoo_sale/static/tests/tours/*.js"],
    },
    "auto_install": True,
}
