// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { registry } from "@web/core/registry";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";
import * as Dialog from "@point_of_sale/../tests/generic_helpers/dialog_util";
import * as Offline from "@point_of_sale/../tests/generic_helpers/offline_util";
import * as PaymentScreen from "@point_of_sale/../tests/pos/tours/utils/payment_screen_util";
import * as ProductScreen from "@point_of_sale/../tests/pos/tours/utils/product_screen_util";
import * as ReceiptScreen from "@point_of_sale/../tests/pos/tours/utils/receipt_screen_util";

// A machine may be busy (milliseconds a step).
const timeout = 60000;

/** The customer pays what the number asks for. */
const customerPays = {
    content: "The customer pays",
    trigger: ".modal .billpay-number",
    run: async () => {
        const pos = window.posmodel;
        const order = pos.getOrder();
        const line = order.payment_ids.at(-1);
        await pos.data.call("pos.config", "billpay_pay_in_test", [
            [pos.config.id],
            order.billpay_number,
            line.amount,
        ]);
    },
};

const sellByBillPay = [
    ProductScreen.clickDisplayedProduct("Kitenge"),
    ProductScreen.clickPayButton(),
    PaymentScreen.clickPaymentMethod("BillPay"),
    customerPays,
    ReceiptScreen.isShown(),
    {
        content: "Paid: the receipt asks for nothing",
        trigger: ".pos-receipt:not(:has(.billpay-receipt))",
    },
    ReceiptScreen.clickNextOrder(),
];

/** Of pos_hr, which is not there in every database. */
function logIn(name) {
    return [
        {
            content: "Choose a cashier",
            trigger: ".login-overlay .select-cashier",
            run: "click",
        },
        {
            content: `It is ${name}`,
            trigger: `.selection-item:contains("${name}")`,
            run: "click",
        },
        {
            content: `${name} sells`,
            trigger: ".pos-rightheader i.fa-unlock",
        },
    ];
}

const lock = [
    { content: "Lock the till", trigger: ".pos-rightheader i.fa-unlock", run: "click" },
    Chrome.clickBtn("Unlock Register"),
];

const looksForPayments = [
    ProductScreen.clickControlButtonMore(),
    {
        content: "Look for payments",
        trigger: ".modal .billpay-payments",
        run: "click",
    },
    { content: "…of today", trigger: ".modal input[aria-label='Search payments']" },
    Dialog.cancel(),
];

registry.category("web_tour.tours").add("billpay_till_cashiers", {
    timeout,
    steps: () =>
        [
            Chrome.clickBtn("Unlock Register"),
            ...logIn("Msaidizi"),
            ...sellByBillPay,
            ...looksForPayments,
            ...lock,
            ...logIn("Keshia"),
            ...sellByBillPay,
            ...looksForPayments,
            ...lock,
            ...logIn("Meneja"),
            ...sellByBillPay,
            ...looksForPayments,
        ].flat(),
});

registry.category("web_tour.tours").add("billpay_till_loyalty", {
    timeout,
    steps: () =>
        [
            Chrome.startPoS(),
            ProductScreen.clickDisplayedProduct("Kitenge"),
            ProductScreen.clickPartnerButton(),
            ProductScreen.clickCustomer("Juma Hamisi"),
            ProductScreen.totalAmountIs("40,500"),
            ProductScreen.clickPayButton(),
            PaymentScreen.clickPaymentMethod("BillPay"),
            {
                content: "The number asks for what is left after the reward",
                trigger: ".modal .billpay-amount:contains('40,500')",
            },
            customerPays,
            ReceiptScreen.isShown(),
        ].flat(),
});

registry.category("web_tour.tours").add("billpay_till_walks", {
    timeout,
    steps: () =>
        [
            Chrome.startPoS(),
            Chrome.clickMenuOption("Close Register"),
            {
                content: "What was paid by BillPay",
                trigger: ".modal .billpay-standing-paid:contains('orders: 2'):contains('65,000')",
            },
            {
                content: "…and what the customers still owe",
                trigger: ".modal .billpay-standing-waiting:contains('orders: 1'):contains('30,000')",
            },
            {
                content: "Sell on",
                trigger: ".modal .btn:contains('Discard')",
                run: "click",
            },
            {
                content: "The device has used up its numbers",
                trigger: ".pos",
                run: async () => {
                    const { billpay } = window.posmodel;
                    await billpay.refill(true);
                    const taken = new Set();
                    for (let next = billpay.range.take(); next; next = billpay.range.take()) {
                        taken.add(next.number);
                    }
                    if (taken.size !== 60) {
                        throw new Error(`${taken.size} numbers, not 60`);
                    }
                },
            },
            Offline.setOfflineMode(),
            ProductScreen.clickDisplayedProduct("Kitenge"),
            ProductScreen.clickPayButton(),
            PaymentScreen.clickPaymentMethod("BillPay"),
            {
                content: "It is said, with the next step",
                trigger: ".modal:contains('used up the control numbers')",
            },
            Dialog.confirm(),
            PaymentScreen.clickPaymentlineDelButton("BillPay", "45,000"),
            PaymentScreen.clickPaymentMethod("Cash"),
            PaymentScreen.clickValidate(),
            Dialog.confirm("Continue with limited functionality"),
            ReceiptScreen.isShown(),
            Offline.setOnlineMode(),
            ReceiptScreen.clickNextOrder(),
            {
                content: "With network there are new ones",
                trigger: ".pos",
                run: async () => {
                    const pos = window.posmodel;
                    await pos.syncAllOrders();
                    await pos.billpay.refill(true);
                    if (pos.billpay.range.left !== 60) {
                        throw new Error(`${pos.billpay.range.left} numbers, not 60`);
                    }
                },
            },
        ].flat(),
});
