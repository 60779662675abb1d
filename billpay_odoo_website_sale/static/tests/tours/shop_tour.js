// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { registry } from "@web/core/registry";
import * as tourUtils from "@website_sale/js/tours/tour_utils";

registry.category("web_tour.tours").add("billpay_shop", {
    steps: () => [
        { content: "Add to cart", trigger: "#add_to_cart", run: "click" },
        tourUtils.goToCart(),
        tourUtils.goToCheckout(),
        {
            content: "Choose the control number",
            trigger: "input[name='o_payment_radio'][data-payment-method-code='billpay']",
            run: "click",
        },
        ...tourUtils.pay({ expectUnloadPage: true }),
        {
            content: "The status page shows how to pay",
            trigger: "section#billpay:contains('Control number')",
        },
    ],
});
