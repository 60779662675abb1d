// Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

/**
 * An amount as payers read it, "TZS 48,200": with the currency's code, and without the
 * decimals that nobody can type on a handset.
 */
export function moneyText(amount, currency) {
    const whole = Math.abs(amount - Math.round(amount)) < currency.rounding / 2;
    const digits = whole ? 0 : currency.decimal_places;
    const number = amount.toLocaleString("en-US", {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
    });
    return `${currency.name}\u00a0${number}`;
}
