// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { Component, onMounted, onWillUnmount, xml } from "@odoo/owl";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardFieldProps } from "@web/views/fields/standard_field_props";

/** Shows nothing: imports the next rows while the import in this window goes on, as
 * Odoo's own import does. What is imported stays when the window is closed. */
export class BillpayImportProgress extends Component {
    static template = xml`<span/>`;
    static props = { ...standardFieldProps };

    setup() {
        this.orm = useService("orm");
        onMounted(() => this.goOn());
        onWillUnmount(() => {
            this.isClosed = true;
        });
    }

    async goOn() {
        const record = this.props.record;
        while (!this.isClosed && record.data[this.props.name] === "running") {
            await this.orm.call(record.resModel, "action_import", [[record.resId]]);
            if (!this.isClosed) {
                await record.load();
            }
        }
    }
}

registry.category("fields").add("billpay_import_progress", {
    component: BillpayImportProgress,
    supportedTypes: ["selection"],
});
