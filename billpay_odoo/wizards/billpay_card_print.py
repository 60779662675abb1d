# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import split_every
from odoo.tools.pdf import merge_pdf

from .. import page_texts
from ..actions import download
from ..models.billpay_guarded import BillpayGuarded

# Columns and rows of an A4 page.
LAYOUTS = {"card": (2, 5), "sticker": (3, 8)}
# What one wkhtmltopdf takes within Odoo's default memory limit, which a thousand are
# too many for. Full pages of either layout.
PART = 120
# What a click prints within Odoo's default time limit.
MOST = 2000


class BillpayCardPrint(models.TransientModel):
    """Prints control numbers to hand out: cards to cut, or stickers."""

    _name = "billpay.card.print"
    _inherit = [BillpayGuarded._name]
    _description = "Print Cards"
    _billpay_server_fields = frozenset(("download", "download_name"))
    _part_size = PART

    download = fields.Binary(attachment=False, readonly=True)
    download_name = fields.Char(readonly=True)
    run_id = fields.Many2one("billpay.run", readonly=True, ondelete="cascade")
    number_ids = fields.Many2many("billpay.control.number", readonly=True)
    number_count = fields.Integer(compute="_compute_number_count")
    without_ids = fields.Many2many(
        "res.partner", string="Contacts without a Number", readonly=True
    )
    unpayable_ids = fields.Many2many(
        "billpay.control.number",
        string="Numbers That Cannot Be Paid",
        compute="_compute_number_count",
    )
    unpayable_problem = fields.Char(compute="_compute_number_count")
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
            unpayable = wizard.number_ids - wizard.number_ids._payable()
            wizard.number_count = len(wizard.number_ids - unpayable)
            wizard.unpayable_ids = unpayable
            wizard.unpayable_problem = (
                unpayable[0]._problem_text() if unpayable else False
            )

    def action_print(self):
        self.ensure_one()
        if not self.number_ids:
            raise UserError(
                self.env._(
                    "There is no number to print. Get control numbers for these "
                    "contacts first."
                )
            )
        if not self.number_count:
            raise UserError(
                self.env._(
                    "Nothing was printed: none of these numbers can be paid now, and a "
                    "card is kept for years. %s",
                    self.unpayable_problem,
                )
            )
        if len(self.number_ids) <= self._part_size:
            report = self.env.ref("billpay_odoo.action_report_cards")
            # Cards have no letterhead to choose first.
            return report.report_action(self, config=False)
        numbers = self._in_order()
        if self.run_id and self.run_id.has_access("write"):
            return self.run_id._print_cards(numbers, self.layout, self.lang)
        if len(numbers) > MOST:
            raise UserError(
                self.env._(
                    "%(count)s cards take longer than Odoo lets a click work, so "
                    "nothing was printed. Choose %(most)s contacts at most, or make a "
                    "bulk run for them: its Cards are printed in the background.",
                    count=len(numbers),
                    most=MOST,
                )
            )
        parts = split_every(self._part_size, numbers.ids, numbers.browse)
        pages = [self._render_part(part, self.layout, self.lang) for part in parts]
        name = self.env._("Control number cards")
        return download(self, "%s.pdf" % name, merge_pdf(pages))

    @api.model
    def _render_part(self, numbers, layout, lang):
        """Return the PDF of so many cards as one wkhtmltopdf takes."""
        values = {"number_ids": numbers.ids, "layout": layout, "lang": lang}
        content, _type = self.env["ir.actions.report"]._render_qweb_pdf(
            "billpay_odoo.report_billpay_cards", res_ids=self.create(values).ids
        )
        return content

    def _in_order(self):
        """Return the numbers in the order in which they are handed out."""
        # What ClickPesa has not confirmed may turn out to be a stranger's number.
        return (
            self.number_ids.sudo()
            ._payable()
            .sorted(
                lambda n: (
                    n.partner_id.category_id[:1].name or "",
                    n.partner_id.name or "",
                    n.purpose_id.sequence,
                    n.id,
                )
            )
        )

    def _card_pages(self):
        """Return what is on each page: rows of cards, missing ones as ``None``."""
        self.ensure_one()
        columns, rows = LAYOUTS[self.layout]
        cards = [self._card(number) for number in self._in_order()]
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
