// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { registry } from "@web/core/registry";

registry.category("web_tour.tours").add("billpay_invoice", {
    steps: () => [
        {
            content: "Pay the invoice",
            trigger: "a[href='#portal_pay'], a[data-bs-target='#pay_with']",
            run: "click",
        },
        {
            content: "Choose the control number",
            trigger: "input[name='o_payment_radio'][data-payment-method-code='billpay']",
            run: "click",
        },
        {
            content: "Pay now",
            trigger: "button[name='o_payment_submit_button']:not([disabled])",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "The status page shows how to pay",
            trigger: "section#billpay:contains('Control number')",
        },
    ],
});
