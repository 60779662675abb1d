// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { Component, useEffect, useState } from "@odoo/owl";
import { patch } from "@web/core/utils/patch";
import { Dialog } from "@web/core/dialog/dialog";
import { CustomerDisplay } from "@point_of_sale/customer_display/customer_display";
import { useSingleDialog } from "@point_of_sale/customer_display/utils";
import { BillPaySteps } from "../app/billpay_steps/billpay_steps";

export class BillPayCustomerPopup extends Component {
    static template = "billpay_odoo_pos.BillPayCustomerPopup";
    static components = { Dialog, BillPaySteps };
    static props = {
        // What the till tells: it changes while the popup is open.
        order: Object,
        close: Function,
    };

    setup() {
        this.order = useState(this.props.order);
    }

    /** What is to be paid now; empty while the popup goes. */
    get shown() {
        return this.order.billpay;
    }
}

patch(CustomerDisplay.prototype, {
    setup() {
        super.setup(...arguments);
        const dialog = useSingleDialog();
        useEffect(
            (number) => {
                if (number) {
                    dialog.open(BillPayCustomerPopup, { order: this.order });
                } else {
                    dialog.close();
                }
            },
            () => [this.order.billpay?.number]
        );
    },
});
