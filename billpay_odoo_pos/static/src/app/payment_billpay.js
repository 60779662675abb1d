// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { PaymentInterface } from "@point_of_sale/app/utils/payment/payment_interface";
import { register_payment_method } from "@point_of_sale/app/services/pos_store";

/**
 * BillPay as Odoo's tills know electronic payments.
 *
 * A terminal serves one customer at a time, and the till waits for it. A number is paid on
 * the customer's phone, whatever the till does meanwhile: the payment screen hands lines
 * over to ``BillPayTill``, and whoever else sends a request waits for nothing.
 */
export class PaymentBillPay extends PaymentInterface {
    async sendPaymentRequest(uuid) {
        const line = this.pos.getOrder()?.getPaymentlineByUuid(uuid);
        if (line) {
            await this.pos.billpay.start(line.pos_order_id, line);
        }
        return false;
    }

    async sendPaymentCancel(order, uuid) {
        const line = order.getPaymentlineByUuid(uuid);
        return !line || this.pos.billpay.cancel(order, line);
    }
}

register_payment_method("billpay", PaymentBillPay);
