// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { registry } from "@web/core/registry";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as Numpad from "@point_of_sale/../tests/generic_helpers/numpad_util";
import * as Order from "@point_of_sale/../tests/generic_helpers/order_widget_util";
import { inLeftSide } from "@point_of_sale/../tests/pos/tours/utils/common";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";
import * as TicketScreen from "@point_of_sale/../tests/pos/tours/utils/ticket_screen_util";

const open = [Chrome.startPoS(), Dialog.confirm("Open Register")];
const sell = [
    ProductScreen.clickDisplayedProduct("Kitenge"),
    ProductScreen.clickPayButton(),
];

function customerPays(amount) {
    return {
        content: `The customer pays ${amount}`,
        trigger: ".modal .billpay-number",
        run: async () => {
            const pos = window.posmodel;
            const { billpay_number: number } = pos.getOrder();
            await pos.data.call("pos.config", "billpay_pay_in_test", [
                [pos.config.id],
                number,
                amount,
            ]);
        },
    };
}

const shows = (trigger, text) => ({
    content: `${text} is shown`,
    trigger: `${trigger}:contains(${text})`,
});

registry.category("web_tour.tours").add("billpay_till_half_shilling", {
    steps: () =>
        [
            ...open,
            ...sell,
            PaymentScreen.clickPaymentMethod("BillPay"),
            shows(".modal", "2,501"),
            {
                content: "The line is in whole shillings",
                trigger: ".paymentline.selected .payment-amount:contains('2,501')",
            },
            customerPays(2501),
            ReceiptScreen.isShown(),
            {
                content: "No change, and nothing is too much",
                trigger: ".pos-receipt .receipt-rounding:contains('0.5')",
                run: () => {
                    if (document.querySelector(".o_notification_manager .bg-warning")) {
                        throw new Error("Something is said to be too much");
                    }
                },
            },
            ReceiptScreen.clickNextOrder(),
        ].flat(),
});

registry.category("web_tour.tours").add("billpay_till_refund", {
    steps: () =>
        [
            ...open,
            ...sell,
            PaymentScreen.clickPaymentMethod("BillPay"),
            { content: "Pay later", trigger: ".modal .billpay-later", run: "click" },
            ReceiptScreen.isShown(),
            ReceiptScreen.clickNextOrder(),
            Chrome.clickOrders(),
            TicketScreen.selectFilter("Paid"),
            TicketScreen.selectOrder("001"),
            inLeftSide([
                ...Order.hasLine({ productName: "Kitenge", withClass: ".selected" }),
                Numpad.click("1"),
            ]),
            TicketScreen.confirmRefund(),
            PaymentScreen.isShown(),
            PaymentScreen.clickPaymentMethod("Cash"),
            {
                content: "Nothing is given back for it",
                trigger: ".modal:contains('never paid'):contains('45,000')",
            },
            Dialog.confirm(),
            PaymentScreen.clickPaymentMethod("BillPay"),
            ReceiptScreen.isShown(),
            ReceiptScreen.clickNextOrder(),
        ].flat(),
});
