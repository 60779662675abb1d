// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import { registry } from "@web/core/registry";
import * as Chrome from "@point_of_sale/../tests/pos/tours/utils/chrome_util";

const reload = {
    content: "Load the page anew",
    trigger: ".pos .pos-content",
    run: () => window.location.reload(),
    expectUnloadPage: true,
};

function check(content, expected) {
    return {
        content,
        trigger: ".pos .pos-content",
        run: () => {
            const { config, billpay } = window.posmodel;
            const found = {
                later: config.billpay_later,
                change: config.billpay_change,
                lang: config.billpay_lang,
                word: billpay.words.texts.number,
            };
            for (const [name, value] of Object.entries(expected)) {
                if (found[name] !== value) {
                    throw new Error(`${name} is ${found[name]}, not ${value}`);
                }
            }
        },
    };
}

registry.category("web_tour.tours").add("billpay_till_settings", {
    // A machine may be busy (milliseconds a step).
    timeout: 60000,
    steps: () =>
        [
            Chrome.startPoS(),
            check("As it was set", { later: "never", change: false, lang: "sw" }),
            {
                content: "A manager changes it meanwhile, in the back office",
                trigger: ".pos",
                run: async () => {
                    const { data, config } = window.posmodel;
                    await data.call("pos.config", "billpay_set_in_test", [
                        [config.id],
                        { billpay_later: "always", billpay_change: true, billpay_lang: "en" },
                    ]);
                },
            },
            reload,
            check("The till knows it", {
                later: "always",
                change: true,
                lang: "en",
                word: "Control number",
            }),
            {
                content: "A till that starts without network knows it, too",
                trigger: ".pos",
                run: async () => {
                    const { data } = window.posmodel;
                    const { "pos.config": stored } = await data.indexedDB.readAll(["pos.config"]);
                    if (stored.length !== 1 || stored[0].billpay_later !== "always") {
                        throw new Error("It was not written down");
                    }
                },
            },
        ].flat(),
});
