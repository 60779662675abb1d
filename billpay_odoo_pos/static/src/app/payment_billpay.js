// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { _t } from "@web/core/l10n/translation";
import { AlertDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { PaymentInterface } from "@point_of_sale/app/utils/payment/payment_interface";
import { register_payment_method } from "@point_of_sale/app/services/pos_store";

/** BillPay as Odoo's tills know electronic payments. */
export class PaymentBillPay extends PaymentInterface {
    async sendPaymentRequest(uuid) {
        const order = this.pos.getOrder();
        const line = order.getPaymentlineByUuid(uuid);
        if (line.amount <= 0) {
            this.alert(
                _t(
                    "ClickPesa sends no money back. Give it back in cash, or from your own mobile money account, and choose that payment method."
                )
            );
            return false;
        }
        try {
            return await this.pos.billpay.collect(order, line);
        } catch (error) {
            this.alert(error.data?.message || error.message);
            return false;
        }
    }

    async sendPaymentCancel(order, uuid) {
        const entry = this.pos.billpay.waiting.get(order.uuid);
        if (!entry || entry.line.uuid !== uuid) {
            return true;
        }
        return this.pos.billpay.cancel(entry);
    }

    alert(body) {
        this.env.services.dialog.add(AlertDialog, { title: _t("BillPay"), body });
    }
}

register_payment_method("billpay", PaymentBillPay);
