// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { patch } from "@web/core/utils/patch";
import { PosData } from "@point_of_sale/app/services/data_service";

// A network that does not answer for this long keeps no till from starting
// (milliseconds).
const PATIENCE = 5000;

patch(PosData.prototype, {
    /**
     * Odoo reads the settings of a till again when it is opened from the back office. A
     * page that is loaded anew while the session is open has them from the browser's
     * storage: what a manager changed meanwhile would not arrive.
     */
    async loadInitialData() {
        const data = await super.loadInitialData(...arguments);
        const config = data?.["pos.config"]?.[0];
        if (config?.billpay && !this.network.offline) {
            const settings = await this.readBillPaySettings(config.id);
            if (settings) {
                Object.assign(config, settings);
                this.synchronizeServerDataInIndexedDB({ "pos.config": [config] });
            }
        }
        return data;
    },

    async readBillPaySettings(configId) {
        let timer;
        const late = new Promise((_resolve, reject) => {
            timer = setTimeout(() => reject(new Error("no answer")), PATIENCE);
        });
        try {
            return await Promise.race([
                this.orm.call("pos.config", "billpay_settings", [[configId]]),
                late,
            ]);
        } catch (error) {
            console.info("BillPay: the settings are those of the last time.", error.message);
            return null;
        } finally {
            clearTimeout(timer);
        }
    },
});
