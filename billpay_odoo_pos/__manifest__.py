# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

{
    "name": "BillPay Point of Sale",
    "version": "19.0.1.3.0",
    "category": "Sales/Point of Sale",
    "summary": "Customers pay at the till by mobile money, also without network",
    "author": "BillPay Odoo contributors",
    "license": "LGPL-3",
    "depends": ["billpay_odoo", "point_of_sale"],
    "data": [
        "data/res_partner_data.xml",
        "data/ir_cron_data.xml",
        "views/pos_config_views.xml",
        "views/pos_order_views.xml",
        "views/pos_payment_method_views.xml",
        "views/billpay_views.xml",
        "views/report_sale_details.xml",
        "views/res_config_settings_views.xml",
    ],
    "assets": {
        "point_of_sale._assets_pos": [
            "billpay_odoo_pos/static/src/app/**/*",
        ],
        "point_of_sale.customer_display_assets": [
            "billpay_odoo_pos/static/src/app/billpay_steps/**/*",
            "billpay_odoo_pos/static/src/customer_display/**/*",
        ],
        "point_of_sale.customer_display_assets_test": [
            "billpay_odoo_pos/static/tests/customer_display/*.js",
        ],
        "web.assets_tests": ["billpay_odoo_pos/static/tests/tours/*.js"],
    },
    "uninstall_hook": "uninstall_hook",
    "auto_install": True,
}
