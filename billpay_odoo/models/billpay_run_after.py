# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What comes after a run: sending, printing, cards, a list for an SMS house."""

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools.pdf import merge_pdf

from ..transactions import committed
from . import billpay_texts

# Invoices of one rendering: what fits into a worker's memory and time.
PRINT_CHUNK = 50
# How the pieces of a PDF are told from what people attach.
PART = "billpay_part"


class BillpayRun(models.Model):
    _inherit = "billpay.run"  # pylint: disable=consider-merging-classes-inherited

    printing = fields.Boolean(readonly=True, copy=False)
    printed_line_id = fields.Many2one("billpay.run.line", readonly=True, copy=False)

    _printing = models.Index("(id) WHERE printing")

    # === ACTION METHODS === #

    def _ready_lines(self):
        """Return the lines whose numbers a payer can use.

        :raise UserError: there are none
        """
        self.ensure_one()
        lines = self.line_ids.filtered(
            lambda line: line.state == "reserved" and line.number_id.state == "open"
        )
        if not lines:
            raise UserError(
                self.env._(
                    "No number of this run can be paid yet, so there is nothing to "
                    "send or print. Wait until they are ready."
                )
            )
        return lines

    def action_send_all(self):
        """Send invoices as Odoo does, and customers an e-mail with their number.

        Whoever has no e-mail address is shown first.
        """
        self._check_clerk()
        lines = self._ready_lines()
        without = lines.filtered(
            lambda line: not line.partner_id._billpay_contact_values()["email"]
        )
        if without and not self.env.context.get("billpay_send_anyway"):
            return {
                "type": "ir.actions.act_window",
                "name": self.env._("Who Gets No E-Mail"),
                "res_model": "billpay.run.send",
                "view_mode": "form",
                "target": "new",
                "context": {
                    "default_run_id": self.id,
                    "default_line_ids": without.ids,
                    "default_others_count": len(lines) - len(without),
                },
            }
        reachable = lines - without
        moves = reachable.move_id
        numbers = reachable.filtered(lambda line: not line.move_id).number_id
        if numbers:
            self._send_numbers(numbers)
        if moves:
            return moves.action_send_and_print()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("%s e-mail(s) are on their way.", len(numbers)),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    def _send_numbers(self, numbers):
        """Put an e-mail per customer number into Odoo's queue."""
        template_sudo = self.env.ref("billpay_odoo.mail_template_number").sudo()
        template_sudo.send_mail_batch(numbers.ids, force_send=False)

    def action_print_all(self):
        """Print all invoices in the background; one PDF comes in the end."""
        self._check_clerk()
        lines = self._ready_lines()
        if not lines.move_id:
            return self.action_cards()
        if not self.printing:
            # What an earlier printing left behind is not printed twice.
            self._printed_parts().unlink()
            self.write({"printing": True, "printed_line_id": False})
        self._wake()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "info",
                "message": self.env._(
                    "%s invoices are being printed. The PDF comes below this run when "
                    "it is finished; you can leave this page.",
                    len(lines.move_id),
                ),
            },
        }

    def action_cards(self):
        return self._ready_lines().number_id.action_billpay_cards()

    def action_sms_list(self):
        """Download phone and text per line, for whoever sends SMS."""
        self._check_clerk()
        rows = []
        for line in self._ready_lines():
            phone = line.partner_id._billpay_contact_values()["phone"]
            rows.append([phone, line._sms_text(), line.partner_id.display_name])
        # Whom it does not reach comes first: somebody has to call them.
        rows.sort(key=lambda row: bool(row[0]))
        header = [self.env._("Phone"), self.env._("Text"), self.env._("Contact")]
        return self._download(self.env._("%s SMS", self.name), header, rows)

    # === PRINTING IN THE BACKGROUND === #

    def _cron_bulk_runs(self):
        super()._cron_bulk_runs()
        for run in self.search([("printing", "=", True)], order="id"):
            while committed(self.env, run._print_chunk):
                if not self.env["ir.cron"]._commit_progress(1):
                    return

    def _print_chunk(self):
        """Render the next invoices; in the end join all that was rendered.

        :return: whether there may be more to do
        """
        self.ensure_one()
        self.invalidate_recordset()
        if not self.printing:
            return False
        lines = self.env["billpay.run.line"].search(
            [
                ("run_id", "=", self.id),
                ("id", ">", self.printed_line_id.id or 0),
                ("move_id", "!=", False),
                ("state", "=", "reserved"),
                ("number_id.state", "=", "open"),
            ],
            order="id",
            limit=PRINT_CHUNK,
        )
        parts = self._printed_parts()
        if not lines:
            self.printing = False
            if parts:
                self._join_parts(parts)
            return False
        content, _type = self.env["ir.actions.report"]._render_qweb_pdf(
            "account.account_invoices", res_ids=lines.move_id.ids
        )
        parts.create(
            {
                "name": "%s-%04d.pdf" % (self.name, len(parts) + 1),
                "raw": content,
                "res_model": self._name,
                "res_id": self.id,
                "description": PART,
            }
        )
        self.printed_line_id = lines[-1]
        return True

    def _printed_parts(self):
        """Return what has been rendered of this run and is not joined yet."""
        return (
            self.env["ir.attachment"]
            .sudo()
            .search(
                [
                    ("res_model", "=", self._name),
                    ("res_id", "=", self.id),
                    ("description", "=", PART),
                ],
                order="id",
            )
        )

    def _join_parts(self, parts):
        content = merge_pdf([part.raw for part in parts])
        parts.unlink()
        self.message_post(
            body=self.env._("The invoices of this run, to print."),
            attachments=[("%s.pdf" % self.name, content)],
        )


class BillpayRunLine(models.Model):
    _inherit = "billpay.run.line"  # pylint: disable=consider-merging-classes-inherited

    def _sms_text(self):
        """Return a text of one SMS, in the customer's language."""
        self.ensure_one()
        partner = self.partner_id
        lang = billpay_texts.page_language(
            partner.lang, partner.parent_id.lang, self.company_id.partner_id.lang
        )
        what = self.purpose_id.with_context(lang=partner.lang).name
        amount = self.shown_amount
        t = billpay_texts.texts(
            lang,
            payee=self.company_id.name,
            what=" ".join(filter(None, (what or self.move_id.name, partner.name))),
            number=self.number_id.name,
            sum=billpay_texts.amount_text(amount, self.currency_id).replace(
                "\u00a0", " "
            ),
        )
        return t["sms_amount"] if amount else t["sms"]


class BillpayControlNumber(models.Model):
    _inherit = "billpay.control.number"  # pylint: disable=consider-merging-classes-inherited

    def _billpay_mail_block(self):
        """Return the pay block of an e-mail about this number, as HTML."""
        self.ensure_one()
        partner = self.partner_id
        lang = partner.lang or partner.parent_id.lang or self.company_id.partner_id.lang
        values = self.sudo()._block_values(
            self._billpay_printed(), self.company_id, lang
        )
        return self.env["ir.qweb"]._render(
            "billpay_odoo.mail_pay_block", {"billpay": values}
        )

    def _billpay_mail_to(self):
        self.ensure_one()
        return self.partner_id._billpay_contact_values()["email"]

    def _billpay_mail_text(self):
        """Return subject and greeting, in the customer's language."""
        self.ensure_one()
        partner = self.partner_id
        lang = billpay_texts.page_language(
            partner.lang, partner.parent_id.lang, self.company_id.partner_id.lang
        )
        return billpay_texts.texts(
            lang,
            payee=self.company_id.name,
            what=" ".join(filter(None, (self.purpose_id.name, partner.name))),
        )
