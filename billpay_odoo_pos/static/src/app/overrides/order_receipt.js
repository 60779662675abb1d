// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { patch } from "@web/core/utils/patch";
import { OrderReceipt } from "@point_of_sale/app/screens/receipt_screen/receipt/order_receipt";
import { generateQRCodeDataUrl } from "@point_of_sale/utils";

patch(OrderReceipt.prototype, {
    /** What the receipt says about paying: nothing when nothing is left to pay. */
    get billpay() {
        const order = this.order;
        const words = order.config._billpay?.[order.config.billpay_lang || "sw"];
        const waiting = order.payment_ids.filter(
            (line) =>
                line.payment_method_id?.use_payment_terminal === "billpay" &&
                !line.transaction_id
        );
        const left = order.finalized
            ? waiting.reduce((sum, line) => sum + line.amount, 0)
            : order.remainingDue;
        if (!order.billpay_number || !words || left <= 0) {
            return null;
        }
        const amount = this.formatCurrency(left);
        return {
            number: order.billpay_number,
            groups: order.billpay_number.match(/.{1,4}/g),
            amount,
            t: words.texts,
            qr: order.billpay_url && generateQRCodeDataUrl(order.billpay_url),
            channels: words.channels.map((channel) => ({
                name: channel.name,
                path: [channel.ussd, ...channel.steps]
                    .filter(Boolean)
                    .join(" › ")
                    .replaceAll("{number}", order.billpay_number)
                    .replaceAll("{amount}", amount),
            })),
        };
    },
});
