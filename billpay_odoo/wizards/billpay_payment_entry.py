# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..actions import notify
from ..cells import CellError, read_number, read_receipt
from ..identity import without_blanks
from ..models.billpay_guarded import BillpayGuarded
from .billpay_payment_import import told_payment, why_not_receipt


class BillpayPaymentEntry(models.TransientModel):
    """Type one payment from its receipt."""

    _name = "billpay.payment.entry"
    _inherit = [BillpayGuarded._name]
    _description = "Enter a BillPay Payment"

    application = fields.Selection(
        selection=lambda self: self.env["payment.provider"]._billpay_choices(),
        default=lambda self: self.env["payment.provider"]._billpay_default_choice(),
        required=True,
        help="The ClickPesa application that collected the money.",
    )
    number = fields.Char(
        string="Control Number", help="What the payer typed, with or without blanks."
    )
    amount = fields.Monetary(help="What the payer paid, as the receipt says.")
    currency_id = fields.Many2one(
        "res.currency", required=True, default=lambda self: self.env.ref("base.TZS")
    )
    receipt = fields.Char(
        help="The operator's receipt, such as 9XK4F7Q2. It identifies this payment."
    )
    paid_at = fields.Datetime(default=fields.Datetime.now, help="As the receipt says.")
    channel_id = fields.Many2one("billpay.channel", string="Paid By")
    payer_name = fields.Char()
    payer_phone = fields.Char()
    bill = fields.Char(
        string="Pays", compute="_compute_found", help="What the number belongs to."
    )
    warning = fields.Char(compute="_compute_found")
    payment_id = fields.Many2one("billpay.payment", compute="_compute_found")

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        move = self.env["account.move"].browse(
            self.env.context.get("default_billpay_move_id")
        )
        number = move.exists().billpay_number_id
        if number:
            values["number"] = number.display_number
            values["amount"] = move._billpay_left()
            choice = str(number.sudo().provider_id.id)
            if choice in dict(self.env["payment.provider"]._billpay_choices()):
                values["application"] = choice
        return values

    @api.depends("application", "number", "receipt", "amount")
    def _compute_found(self):
        providers = self.env["payment.provider"]._billpay_of_companies()
        receipts_sudo = self.env["billpay.receipt"].sudo()
        for entry in self:
            provider = providers.filtered(
                lambda p, choice=entry.application: str(p.id) == choice
            )
            code = without_blanks(entry.number or "")
            sent_sudo = self.env["billpay.payment"].sudo().new({"number": code})
            ledger = self.env["billpay.ledger"]
            number = ledger._find_control_number(sent_sudo, provider)
            known = receipts_sudo._with_receipt(provider, entry.receipt)
            entry.payment_id = self._shown(known)
            # Digits of another department exist; whose they are is theirs to know.
            seen = number.with_env(self.env)._filtered_access("read").sudo()
            said = (seen.move_id.name, seen.partner_id.display_name)
            entry.bill = ", ".join(filter(None, said))
            entry.warning = False
            if known:
                receipts = self.env["billpay.receipt"]
                entry.warning = receipts._where_it_stands(known, entry.amount)
            elif code and not number:
                entry.warning = self.env._(
                    "Control number %s does not exist in Odoo. The payment is kept, "
                    "but not booked: it waits in BillPay Payments under Unmatched "
                    "until you match it.",
                    code,
                )

    def action_enter(self):
        """Put the payment into the ledger; the worker books it at once."""
        self.ensure_one()
        payments = self.env["billpay.payment"]
        payments._check_accountant()
        provider = self.env["payment.provider"]._billpay_chosen(self.application)
        number, receipt = self._checked()
        told = told_payment(
            {
                "number": number,
                "receipt": receipt,
                "amount": Decimal("%.2f" % self.amount),
                "channel": self._channel_word(),
                "payer_name": self.payer_name,
                "payer_phone": self.payer_phone,
                "paid_at": self.paid_at,
            }
        )
        row, new, _completed, failures = payments.env["billpay.receipt"]._enter(
            provider, [told], source="typed"
        )
        if failures:
            raise UserError(
                self.env._(
                    "The payment could not be stored, and nothing was booked. The "
                    "server's log says why: show it to your administrator."
                )
            )
        if new and self.channel_id and not row.channel_id:
            new.sudo().channel_id = self.channel_id
        if new and row.state != "confirmed":
            message = self.env._("Entered. %s", row.reason)
        elif new:
            message = self.env._("Entered. It is booked in a moment.")
        else:
            message = self.env["billpay.receipt"]._where_it_stands(row, self.amount)
        shown = self._shown(row).with_env(self.env)
        then = shown._get_records_action() if shown else None
        booked = new and row.state == "confirmed"
        return notify("success" if booked else "warning", message, then)

    def _shown(self, payment):
        """Return the payment if the user may see it."""
        return payment.with_env(self.env)._filtered_access("read")

    def _channel_word(self):
        words = (self.channel_id.clickpesa_codes or "").split(",")
        return words[0].strip() or self.channel_id.name or ""

    def _checked(self):
        """Return number and receipt without blanks, or refuse what cannot be right."""
        typed = self.receipt or ""
        try:
            number = read_number(self.number or "")
            # What says nothing is quoted below.
            receipt = read_receipt(typed) or without_blanks(typed)
        except CellError:
            number = receipt = ""
        if not number:
            trouble = self.env._("Enter the control number that was paid.")
        elif not receipt:
            trouble = self.env._(
                "Enter the operator's receipt: it keeps the payment from being booked "
                "twice."
            )
        elif self.currency_id.name != "TZS":
            trouble = self.env._(
                "Control numbers collect TZS, not %s. Register other money with Pay "
                "on the invoice.",
                self.currency_id.name,
            )
        elif self.amount <= 0:
            trouble = self.env._("Enter the amount that was paid, above zero.")
        elif not self.paid_at:
            trouble = self.env._("Enter when it was paid, as the receipt says.")
        elif self.paid_at > fields.Datetime.now():
            trouble = self.env._(
                "The payment lies in the future. Enter when it was paid, as the "
                "receipt says."
            )
        else:
            trouble = why_not_receipt(self.env, receipt)
        if trouble:
            raise UserError(self.env._("%s Nothing was booked.", trouble))
        return number, receipt
