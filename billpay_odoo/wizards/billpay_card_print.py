# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import page_texts
from ..models.billpay_guarded import BillpayGuarded

# Columns and rows of an A4 page.
LAYOUTS = {"card": (2, 5), "sticker": (3, 8)}


class BillpayCardPrint(models.TransientModel):
    """Prints control numbers to hand out: cards to cut, or stickers."""

    _name = "billpay.card.print"
    _inherit = [BillpayGuarded._name]
    _description = "Print Cards"

    number_ids = fields.Many2many("billpay.control.number", readonly=True)
    number_count = fields.Integer(compute="_compute_number_count")
    without_ids = fields.Many2many(
        "res.partner", string="Contacts without a Number", readonly=True
    )
    layout = fields.Selection(
        [
            ("card", "Cards, ten on a page"),
            ("sticker", "Stickers, twenty-four on a page"),
        ],
        default="card",
        required=True,
    )
    lang = fields.Selection(
        [("customer", "Each customer's own"), ("en", "English"), ("sw", "Kiswahili")],
        string="Language",
        default="customer",
        required=True,
    )

    @api.depends("number_ids")
    def _compute_number_count(self):
        for wizard in self:
            wizard.number_count = len(wizard.number_ids)

    def action_print(self):
        self.ensure_one()
        if not self.number_ids:
            raise UserError(
                self.env._(
                    "There is no number to print. Get control numbers for these "
                    "contacts first."
                )
            )
        report = self.env.ref("billpay_odoo.action_report_cards")
        # Cards have no letterhead to choose first.
        return report.report_action(self, config=False)

    def _card_pages(self):
        """Return what is on each page: rows of cards, missing ones as ``None``."""
        self.ensure_one()
        columns, rows = LAYOUTS[self.layout]
        numbers_sudo = self.number_ids.sudo().sorted(
            lambda n: (
                n.partner_id.category_id[:1].name or "",
                n.partner_id.name or "",
                n.purpose_id.sequence,
                n.id,
            )
        )
        cards = [self._card(number) for number in numbers_sudo]
        cards += [None] * (-len(cards) % columns)
        lines = [cards[i : i + columns] for i in range(0, len(cards), columns)]
        return [lines[i : i + rows] for i in range(0, len(lines), rows)]

    def _card(self, number):
        partner = number.partner_id
        lang = self.lang
        if lang == "customer":
            lang = page_texts.page_language(
                partner.lang, partner.parent_id.lang, number.company_id.partner_id.lang
            )
        page = number.env["billpay.pay.page"]
        printed = self.env["billpay.pay.page"]._billpay_printed(number)
        most = 3 if self.layout == "card" else 0
        values = page._block_values(printed, number.company_id, lang, limit=most)
        # Payers' words are there in Swahili, also where Odoo does not speak it.
        code = self.env["res.lang"]._get_code("sw") if lang == "sw" else False
        purpose = number.purpose_id.with_context(lang=code or "en_US")
        return {
            **values,
            "payee": number.company_id.name,
            "name": partner.name or "",
            "tag": partner.category_id[:1].name or "",
            "purpose": purpose.name or number.description or "",
        }
