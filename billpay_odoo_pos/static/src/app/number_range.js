// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

// How many numbers are left when new ones are fetched.
const REFILL_BELOW = 30;
// A device that has heard nothing of the server for so long hands nothing out: twice
// as late the server gives its numbers to another one (SILENT in pos_config.py).
const KEPT = 7 * 24 * 3600 * 1000; // milliseconds

/**
 * The numbers that this device may hand out without asking the server.
 *
 * They live in the browser's storage: a till that is started without network has them.
 * What was handed out is remembered until the server knows it, so that a range that is
 * filled up never brings it back.
 */
export class NumberRange {
    /** @param {string} key names the database and the till */
    constructor(key) {
        this.key = `billpay-range-${key}`;
    }

    get content() {
        try {
            const content = JSON.parse(localStorage.getItem(this.key));
            if (content && content.device) {
                if (!(Date.now() - content.filled < KEPT)) {
                    content.free = [];
                }
                return content;
            }
        } catch {
            // Damaged by whatever: this device gets a new name and a new range.
        }
        const content = { device: this.makeName(), free: [], used: [], filled: 0 };
        this.save(content);
        return content;
    }

    makeName() {
        // Not crypto.randomUUID: browsers keep it from pages without https.
        const bytes = crypto.getRandomValues(new Uint8Array(16));
        return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    }

    save(content) {
        localStorage.setItem(this.key, JSON.stringify(content));
    }

    get isLow() {
        return this.content.free.length < REFILL_BELOW;
    }

    get left() {
        return this.content.free.length;
    }

    /**
     * Take the next number. It is written down as used before anybody sees it.
     * @returns {{number: string, url: string}|undefined}
     */
    take() {
        const content = this.content;
        const next = content.free.shift();
        if (next) {
            content.used.push(next.number);
            this.save(content);
        }
        return next;
    }

    /** Take over what the server has given, without what was handed out meanwhile. */
    fill(numbers) {
        const content = this.content;
        const known = new Set(content.used);
        content.free = numbers.filter((item) => !known.has(item.number));
        // The server gives only what it does not know as used: it knows the older ones.
        content.used = content.used.slice(-200);
        content.filled = Date.now();
        this.save(content);
    }
}
