// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { Component, useState } from "@odoo/owl";

/** How to pay: number, amount, QR code and the steps of each operator. */
export class BillPaySteps extends Component {
    static template = "billpay_odoo_pos.BillPaySteps";
    static props = {
        number: String,
        amount: String,
        qr: { type: String, optional: true },
        words: Object,
        large: { type: Boolean, optional: true },
    };

    setup() {
        this.state = useState({ chosen: 0 });
    }

    get groups() {
        return this.props.number.match(/.{1,4}/g) || [];
    }

    get channel() {
        return this.props.words.channels[this.state.chosen];
    }

    get steps() {
        return (this.channel?.steps || []).map((step) =>
            step
                .replaceAll("{number}", this.props.number)
                .replaceAll("{amount}", this.props.amount)
        );
    }
}
