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

const useCode = (code, line) => [
    {
        content: `Type the code ${code}`,
        trigger: "form[name='coupon_code'] input[name='promo']",
        run: `edit ${code}`,
    },
    {
        content: "Apply it",
        trigger: "form[name='coupon_code'] button[type='submit']",
        run: "click",
        expectUnloadPage: true,
    },
    { content: "It is in the cart", trigger: `#cart_products h6:contains(${line})` },
];

const payByNumber = () => [
    {
        content: "Choose the control number",
        trigger: "input[name='o_payment_radio'][data-payment-method-code='billpay']",
        run: "click",
    },
    ...tourUtils.pay({ expectUnloadPage: true }),
];

registry.category("web_tour.tours").add("billpay_shop_coupon", {
    steps: () => [
        { content: "Add to cart", trigger: "#add_to_cart", run: "click" },
        tourUtils.goToCart(),
        ...useCode("KARIBU", "10%"),
        ...useCode("ZAWADI", "Kadi ya zawadi"),
        tourUtils.goToCheckout(),
        ...payByNumber(),
        {
            content: "The page asks for what is left",
            trigger: "section#billpay:contains('100,000')",
        },
    ],
});

registry.category("web_tour.tours").add("billpay_shop_free", {
    steps: () => [
        { content: "Add to cart", trigger: "#add_to_cart", run: "click" },
        tourUtils.goToCart(),
        ...useCode("BURE", "100%"),
        tourUtils.goToCheckout(),
        {
            content: "Nothing is to be paid: the order is confirmed at once",
            trigger: "form[name='o_wsale_confirm_order'] button",
            run: "click",
            expectUnloadPage: true,
        },
        {
            content: "Thank you",
            trigger: "#oe_structure_website_sale_confirmation_1, .oe_website_sale_tx_status, h3:contains('Thank you')",
        },
    ],
});

registry.category("web_tour.tours").add("billpay_shop_dollars", {
    steps: () => [
        { content: "Add to cart", trigger: "#add_to_cart", run: "click" },
        tourUtils.goToCart(),
        tourUtils.goToCheckout(),
        ...payByNumber(),
        {
            content: "The page asks for shillings",
            trigger: "section#billpay:contains('150,000')",
        },
        {
            content: "…and says what they stand for",
            trigger: "section#billpay:contains('USD')",
        },
    ],
});

registry.category("web_tour.tours").add("billpay_order_expired", {
    steps: () => [
        {
            content: "The number is closed, and no number is shown",
            trigger:
                "[name='o_payment_status_alert']:contains('The control number is closed')",
        },
        { content: "No way to pay it", trigger: "body:not(:has(section#billpay))" },
        {
            content: "Another one can be had",
            trigger: "#o_sale_portal_paynow, a:contains('Pay')",
        },
    ],
});

registry.category("web_tour.tours").add("billpay_order_late", {
    steps: () => [
        {
            content: "The money was seen",
            trigger: "[name='o_payment_status_alert']:contains('We received')",
        },
        {
            content: "…and is not to be paid again",
            trigger: "[name='o_payment_status_alert']:contains('do not pay again')",
        },
    ],
});

registry.category("web_tour.tours").add("billpay_reorder", {
    steps: () => [
        {
            content: "Order again",
            trigger: ".o_wsale_reorder_button",
            run: "click",
            expectUnloadPage: true,
        },
        tourUtils.goToCheckout(),
        ...payByNumber(),
        {
            content: "The status page shows how to pay",
            trigger: "section#billpay:contains('Control number')",
        },
    ],
});
