// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { Component } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { BillPaySteps } from "../billpay_steps/billpay_steps";

/** The cashier's side of a customer who pays now. */
export class BillPayPopup extends Component {
    static template = "billpay_odoo_pos.BillPayPopup";
    static components = { Dialog, BillPaySteps };
    static props = {
        // A reactive object of the till: it changes while the popup is open.
        waiting: Object,
        qr: String,
        words: Object,
        onCheck: Function,
        onCancel: Function,
        onLater: Function,
        onNext: Function,
        onSearch: Function,
        close: Function,
    };
}
