// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { registry } from "@web/core/registry";

const words = {
    texts: { title: "Pay with a control number", number: "Number", amount: "Amount", scan: "Scan" },
    channels: [{ name: "M-Pesa", ussd: "*150*00#", steps: ["Enter {number}", "Enter {amount}"] }],
};
const order = { lines: [], paymentLines: [], finalized: false, amount: "45,000" };
let channel;

/** What the till tells its display. */
function tell(content, billpay) {
    return {
        content,
        trigger: "body",
        run: () => {
            channel = channel || new BroadcastChannel("UPDATE_CUSTOMER_DISPLAY");
            const shown = billpay && { qr: "", words, ...billpay };
            channel.postMessage({ ...order, billpay: shown });
        },
    };
}

function shows(number, amount) {
    return [
        {
            content: `The display shows ${number}`,
            trigger: `.modal .billpay-number:contains('${number}')`,
        },
        { content: `…and ${amount}`, trigger: `.modal .billpay-amount:contains('${amount}')` },
        {
            content: "…and how to pay it",
            trigger: `.modal .billpay-steps li:contains('${amount}')`,
        },
        {
            content: "…once",
            trigger: "body:not(:has(.modal ~ .modal))",
        },
    ];
}

const gone = { content: "Nothing is to be paid", trigger: "body:not(:has(.modal))" };

registry.category("web_tour.tours").add("billpay_customer_display", {
    steps: () =>
        [
            tell("A customer pays", { number: "1122", amount: "TZS 45,000" }),
            shows("1122", "TZS 45,000"),
            tell("One more thing is bought", { number: "1122", amount: "TZS 60,000" }),
            shows("1122", "TZS 60,000"),
            tell("The next customer is served", { number: "3344", amount: "TZS 5,000" }),
            shows("3344", "TZS 5,000"),
            tell("An order that nobody pays now", null),
            gone,
            tell("Back to the one that was parked", { number: "1122", amount: "TZS 60,000" }),
            shows("1122", "TZS 60,000"),
            tell("Paid", null),
            gone,
        ].flat(),
});
