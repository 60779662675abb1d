// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { patch } from "@web/core/utils/patch";
import { OrderReceipt } from "@point_of_sale/app/screens/receipt_screen/receipt/order_receipt";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";
import { moneyText } from "../money_text";

// Ways to pay on one receipt.
const LONGEST = 4;

patch(OrderReceipt.prototype, {
    /** What the receipt says about paying: nothing when nothing is left to pay. */
    get billpay() {
        const order = this.order;
        const words = order.config._billpay?.[order.config.billpay_lang || "sw"];
        const left = order.finalized ? order.billpayDue : order.billpayToPay;
        // Without its page a number cannot be paid now, as the server says.
        if (!order.billpay_number || !order.billpay_url || !words || left <= 0) {
            return null;
        }
        const amount = moneyText(left, order.currency);
        return {
            number: order.billpay_number,
            groups: order.billpay_number.match(/.{1,4}/g),
            amount,
            t: words.texts,
            qr: generateQRCodeDataUrl(order.billpay_url),
            // 80 mm: the way through the menus; number and amount stand above it.
            channels: words.channels.slice(0, LONGEST).map((channel) => ({
                name: channel.name,
                path: [
                    channel.ussd,
                    ...channel.steps.filter((step) => !step.includes("{amount}")),
                ]
                    .filter(Boolean)
                    .join(" › ")
                    .replaceAll("{number}", order.billpay_number),
            })),
        };
    },
});
