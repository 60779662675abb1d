# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

{
    "name": "BillPay control numbers (ClickPesa)",
    "version": "19.0.1.1.0",
    "category": "Accounting/Accounting",
    "summary": "Mobile money and bank payments book themselves: "
    "control numbers on invoices, paid by USSD, CRDB or Wakala",
    "author": "BillPay Odoo contributors",
    "license": "LGPL-3",
    "depends": ["account_payment", "phone_validation"],
    "external_dependencies": {
        "python": ["requests", "qrcode", "python-stdnum", "openpyxl"]
    },
    "data": [
        "security/billpay_groups.xml",
        "security/ir.model.access.csv",
        "security/billpay_rules.xml",
        "data/billpay_channel_data.xml",
        "data/payment_method_data.xml",
        "data/payment_provider_data.xml",
        "data/ir_cron_data.xml",
        "data/mail_activity_type_data.xml",
        "report/report_invoice.xml",
        "wizards/billpay_number_import_views.xml",
        "wizards/billpay_payment_entry_views.xml",
        "wizards/billpay_payment_import_views.xml",
        "views/billpay_channel_views.xml",
        "views/billpay_event_views.xml",
        "wizards/billpay_payment_assign_views.xml",
        "wizards/billpay_payment_match_views.xml",
        "wizards/billpay_payment_reason_views.xml",
        "views/billpay_payment_views.xml",
        "views/billpay_control_number_views.xml",
        "views/payment_provider_views.xml",
        "views/payment_provider_health_views.xml",
        "views/account_move_views.xml",
        "views/account_payment_views.xml",
        "views/res_partner_views.xml",
        "views/res_config_settings_views.xml",
        "views/pay_page_templates.xml",
        "views/portal_templates.xml",
        "views/billpay_menus.xml",
    ],
    "assets": {
        "web.assets_backend": [
            "billpay_odoo/static/src/desk/**/*",
        ],
        "web.assets_frontend": [
            "billpay_odoo/static/src/interactions/**/*",
            "billpay_odoo/static/src/scss/pay_page.scss",
        ],
    },
    "post_init_hook": "post_init_hook",
    "uninstall_hook": "uninstall_hook",
    "application": True,
}
