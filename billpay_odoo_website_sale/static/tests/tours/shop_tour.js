// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { registry } from "@web/core/registry";
import * as tourUtils from "@website_sale/js/tours/tour_utils";

const buy = () => [
    { content: "Add to cart", trigger: "#add_to_cart", run: "click" },
    tourUtils.goToCart(),
    tourUtils.goToCheckout(),
    {
        content: "Choose the control number",
        trigger: "input[name='o_payment_radio'][data-payment-method-code='billpay']",
        run: "click",
    },
    ...tourUtils.pay({ expectUnloadPage: true }),
];

registry.category("web_tour.tours").add("billpay_shop", {
    steps: () => [
        ...buy(),
        {
            content: "The status page shows how to pay",
            trigger: "section#billpay:contains('Control number')",
        },
    ],
});

registry.category("web_tour.tours").add("billpay_shop_down", {
    steps: () => [
        ...buy(),
        {
            content: "Nothing was paid, and there is a way back",
            trigger: ".alert:contains('Nothing was paid')",
        },
        {
            content: "Back to the payment",
            trigger: "#billpay_way_back",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "The cart is as it was, with all ways to pay",
            trigger: "input[name='o_payment_radio'][data-payment-method-code='billpay']",
        },
        {
            content: "…and its sum",
            trigger: "#o_wsale_total_accordion, #cart_total, .o_total_card",
        },
    ],
});
