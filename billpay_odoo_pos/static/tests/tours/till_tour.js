// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { registry } from "@web/core/registry";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as Offline from "@point_of_sale/../tests/generic_helpers/offline_util";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";

/** The customer pays at the sandbox, and the workers book it. */
function customerPays(amount, trigger = ".modal .billpay-number") {
    return {
        content: `The customer pays ${amount}`,
        trigger,
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

const isSaid = (text) => ({
    content: `It is said: ${text}`,
    trigger: `.o_notification:contains('${text}')`,
});
const isSaidNoMore = (text) => ({
    content: `It is said no more: ${text}`,
    trigger: `body:not(:has(.o_notification:contains('${text}')))`,
});

const open = [Chrome.startPoS(), Dialog.confirm("Open Register")];
const sell = [
    ProductScreen.clickDisplayedProduct("Kitenge"),
    ProductScreen.clickPayButton(),
];

registry.category("web_tour.tours").add("billpay_till_online", {
    steps: () =>
        [
            ...open,
            ...sell,
            PaymentScreen.clickPaymentMethod("BillPay"),
            {
                content: "The number is shown, with its steps",
                trigger: ".modal .billpay-number",
                run: () => {
                    const digits = window.posmodel.getOrder().billpay_number;
                    const shown = document.querySelector(".modal .billpay-number");
                    if (shown.textContent.replace(/\s/g, "") !== digits) {
                        throw new Error(`${shown.textContent} is not ${digits}`);
                    }
                },
            },
            { content: "…and as a code", trigger: ".modal .billpay-steps img[src^='data:']" },
            customerPays(45000),
            // Nobody clicks: the line completes, and the order is finished by itself.
            ReceiptScreen.isShown(),
            {
                content: "Paid: the receipt asks for nothing",
                trigger: ".pos-receipt:not(:has(.billpay-receipt))",
            },
            ReceiptScreen.clickNextOrder(),
        ].flat(),
});

registry.category("web_tour.tours").add("billpay_till_offline", {
    steps: () =>
        [
            ...open,
            {
                content: "The device has its range",
                trigger: ".pos",
                run: async () => {
                    await window.posmodel.billpay.refill();
                    const { range } = window.posmodel.billpay;
                    const content = range.content;
                    if (!range.left) {
                        throw new Error("No numbers in store");
                    }
                    // By now they may be another device's.
                    const filled = Date.now() - 8 * 24 * 3600 * 1000;
                    range.save({ ...content, filled });
                    if (range.left || range.take()) {
                        throw new Error("Numbers are handed out for too long");
                    }
                    range.save(content);
                },
            },
            Offline.setOfflineMode(),
            ...sell,
            PaymentScreen.clickPaymentMethod("BillPay"),
            { content: "Said: no network", trigger: ".modal .alert:contains('No network')" },
            { content: "A number all the same", trigger: ".modal .billpay-number" },
            { content: "Check", trigger: ".modal .billpay-check", run: "click" },
            { content: "Pay later", trigger: ".modal .billpay-later", run: "click" },
            // Odoo's own word about the network.
            Dialog.confirm("Continue with limited functionality"),
            ReceiptScreen.isShown(),
            {
                content: "Nobody is told that it is paid",
                trigger: ".o_payment_successful:contains('To be paid later by BillPay')",
            },
            {
                content: "The receipt says how to pay",
                trigger: ".pos-receipt .billpay-receipt .billpay-receipt-number",
            },
            { content: "…with a code", trigger: ".billpay-receipt img[src^='data:']" },
            Offline.setOnlineMode(),
            ReceiptScreen.clickNextOrder(),
            {
                content: "The order goes to the server by itself",
                trigger: ".pos",
                run: async () => {
                    await window.posmodel.syncAllOrders();
                    const unsent = window.posmodel.models["pos.order"].filter(
                        (order) => order.finalized && !order.isSynced
                    );
                    if (unsent.length) {
                        throw new Error("The order was not sent");
                    }
                },
            },
        ].flat(),
});

const table = [
    {
        content: "Sit down at table 5",
        trigger: ".floor-map .table .label:contains('5'), .floor-map .table:contains('5')",
        run: "click",
    },
];

registry.category("web_tour.tours").add("billpay_restaurant_bill", {
    steps: () =>
        [
            ...open,
            ...table,
            ProductScreen.clickDisplayedProduct("Kitenge"),
            {
                content: "Print the bill: it has a number",
                trigger: ".pos",
                run: async () => {
                    const pos = window.posmodel;
                    let printed = null;
                    const print = pos.printer.print;
                    pos.printer.print = async (component, props, options) => {
                        printed = await pos.printer.renderer.toHtml(component, props);
                        return { successful: true };
                    };
                    try {
                        await pos.printReceipt({ printBillActionTriggered: true });
                    } finally {
                        pos.printer.print = print;
                    }
                    const number = printed.querySelector(".billpay-receipt-number");
                    const digits = number?.textContent.replace(/\s/g, "");
                    if (!digits || digits !== pos.getOrder().billpay_number) {
                        throw new Error(`The bill shows ${digits}`);
                    }
                },
            },
            customerPays(45000, ".pos"),
            ProductScreen.clickPayButton(),
            {
                content: "The payment is there already",
                trigger: ".paymentline:contains('BillPay'):contains('45,000')",
            },
            PaymentScreen.clickValidate(),
            ReceiptScreen.isShown(),
            {
                content: "Paid: the receipt asks for nothing",
                trigger: ".pos-receipt:not(:has(.billpay-receipt))",
            },
            {
                content: "An order that was being sent is sent again when it is paid",
                trigger: ".pos",
                run: async () => {
                    const pos = window.posmodel;
                    const paid = [
                        ["uuid", "=", pos.getOrder().uuid],
                        ["state", "=", "paid"],
                    ];
                    while (!(await pos.data.call("pos.order", "search_count", [paid]))) {
                        await pos.syncAllOrders();
                        await new Promise((resolve) => setTimeout(resolve, 200));
                    }
                },
            },
        ].flat(),
});

registry.category("web_tour.tours").add("billpay_till_part", {
    steps: () =>
        [
            ...open,
            ...sell,
            PaymentScreen.clickPaymentMethod("BillPay"),
            {
                content: "No message of the server comes: the till asks by itself",
                trigger: ".modal .billpay-number",
                run: () => {
                    window.posmodel.billpay.onMessage = () => {};
                },
            },
            customerPays(30000),
            {
                content: "What came, and what is left",
                trigger: ".o_notification:contains('Only a part came')",
            },
            {
                content: "The line is what came",
                trigger: ".paymentline:contains('BillPay'):contains('30,000')",
            },
            PaymentScreen.clickPaymentMethod("Cash"),
            PaymentScreen.clickValidate(),
            ReceiptScreen.isShown(),
            isSaidNoMore("Only a part came"),
        ].flat(),
});

registry.category("web_tour.tours").add("billpay_till_warnings", {
    // A machine may be busy (milliseconds a step).
    timeout: 60000,
    steps: () =>
        [
            ...open,
            ...sell,
            PaymentScreen.clickPaymentMethod("BillPay"),
            customerPays(30000),
            isSaid("Only a part came"),
            // The next customer is served: the words are of the one before.
            Chrome.createFloatingOrder(),
            isSaidNoMore("Only a part came"),
            ...sell,
            PaymentScreen.clickPaymentMethod("BillPay"),
            customerPays(50000),
            // Finished by itself; the customer still stands there.
            ReceiptScreen.isShown(),
            { ...isSaid("too much came"), timeout: 8000 },
            ReceiptScreen.clickNextOrder(),
            isSaidNoMore("too much came"),
        ].flat(),
});

registry.category("web_tour.tours").add("billpay_till_cancel", {
    steps: () =>
        [
            ...open,
            ...sell,
            PaymentScreen.clickPaymentMethod("BillPay"),
            { content: "Cancel", trigger: ".modal .billpay-cancel", run: "click" },
            { content: "Cancelled", trigger: ".electronic_status:contains('cancelled')" },
            PaymentScreen.clickPaymentlineDelButton("BillPay", "45,000"),
            PaymentScreen.clickPaymentMethod("Cash"),
            PaymentScreen.clickValidate(),
            ReceiptScreen.isShown(),
        ].flat(),
});
