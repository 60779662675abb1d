# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import re
from urllib.parse import quote

from markupsafe import Markup, escape

from odoo import api, fields, models, tools
from odoo.exceptions import ValidationError

from ...identity import word_key, word_keys
from ..billpay_guarded import BillpayGuarded

_COLOR = re.compile(r"#[0-9a-fA-F]{6}\Z")
_PLACEHOLDER = re.compile(r"\{(number|company_number|amount|ussd)\}")
_USSD = re.compile(r"[*#][0-9*#]{1,30}\Z")


class BillpayChannel(models.Model):
    """A way payers pay a control number: an operator's menu, a bank, an agent.

    A record without company serves all companies; a company's own record with the same
    code replaces it there, and when archived hides it there.
    """

    _name = "billpay.channel"
    _inherit = ["mail.thread", BillpayGuarded._name]
    _mail_post_access = "read"
    _description = "BillPay Payment Channel"
    _order = "sequence, id"

    name = fields.Char(required=True)
    code = fields.Char(
        help="Short name used inside Odoo. A company's own record replaces the "
        "general record that has the same code.",
        required=True,
        index=True,
    )
    clickpesa_codes = fields.Char(
        string="ClickPesa Names",
        help="The words by which ClickPesa reports this channel on a payment, "
        "separated by commas. Capitals, spaces and hyphens make no difference.",
    )
    kind = fields.Selection(
        selection=[("mobile", "Mobile Money"), ("bank", "Bank"), ("agent", "Agent")],
        default="mobile",
        required=True,
    )
    ussd_code = fields.Char(
        string="USSD Code",
        tracking=True,
        help="What the payer dials, such as *150*00#. Phones offer it as a button.",
    )
    company_number = fields.Char(
        tracking=True,
        help="The number that the operator's menu asks for as company number.",
    )
    needs_company_number = fields.Boolean(
        string="Own Company Number",
        help="The operator gives every business its own company number. Payers do not "
        "see this channel until it is entered.",
    )
    # Two plain fields instead of `translate=True`: the pay page and the documents offer
    # both languages whatever languages the database has installed, and a translated
    # field cannot hold a language that is not installed.
    steps_en = fields.Text(
        string="Steps (English)",
        tracking=True,
        help="One step per line. {number}, {amount}, {company_number} and {ussd} are "
        "replaced by the payer's own.",
    )
    steps_sw = fields.Text(
        string="Steps (Swahili)",
        tracking=True,
        help="One step per line. {number}, {amount}, {company_number} and {ussd} are "
        "replaced by the payer's own.",
    )
    initials = fields.Char(size=3, help="One to three letters shown on the tab.")
    color = fields.Char(
        string="Colour", default="#4b5563", help="Of the tab, such as #1f6f43."
    )
    fee_percent = fields.Float(
        string="Fee (%)",
        digits=(5, 3),
        help="What ClickPesa keeps of each payment. It is booked when the application "
        "has a fee account.",
    )
    fee_fixed = fields.Float(string="Fixed Fee (TZS)", help="In addition, per payment.")
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True, tracking=True)
    company_id = fields.Many2one(
        "res.company",
        # What serves all companies is made by administrators.
        default=lambda self: (
            False if self.env.su or self.env.user._is_system() else self.env.company
        ),
        help="Empty: for all companies. Only administrators change those.",
        ondelete="cascade",
        index="btree_not_null",
    )
    complete = fields.Boolean(
        string="Shown to Payers",
        help="Nothing that the steps mention is missing.",
        compute="_compute_complete",
    )
    missing = fields.Char(compute="_compute_complete")

    _code_company_uniq = models.UniqueIndex(
        "(code, COALESCE(company_id, 0))",
        "This company already has a channel with this code.",
    )
    _fee_sensible = models.Constraint(
        "CHECK (fee_percent >= 0 AND fee_percent < 100 AND fee_fixed >= 0)",
        "A fee is a percentage below 100 and a fixed part that is not negative.",
    )

    # === COMPUTE METHODS === #

    @api.depends(
        "steps_en", "steps_sw", "ussd_code", "company_number", "needs_company_number"
    )
    def _compute_complete(self):
        for channel in self:
            steps = (channel.steps_en or "") + (channel.steps_sw or "")
            wanted = set(_PLACEHOLDER.findall(steps))
            missing = []
            if not steps.strip():
                missing.append(self.env._("steps"))
            own = channel.needs_company_number or "company_number" in wanted
            if own and not channel.company_number:
                missing.append(self.env._("company number"))
            if "ussd" in wanted and not channel.ussd_code:
                missing.append(self.env._("USSD code"))
            channel.missing = ", ".join(missing)
            channel.complete = not missing

    @api.depends("name", "company_id.name")
    @api.depends_context("allowed_company_ids")
    def _compute_display_name(self):
        for channel in self:
            name = channel.name
            if channel.company_id and len(self.env.companies) > 1:
                name = f"{name} ({channel.company_id.name})"
            channel.display_name = name

    # === CONSTRAINT METHODS === #

    @api.constrains("color", "ussd_code")
    def _check_written(self):
        for channel in self:
            if channel.color and not _COLOR.match(channel.color):
                raise ValidationError(
                    self.env._("A colour is written like #1f6f43, six digits after #.")
                )
            if channel.ussd_code and not _USSD.match(channel.ussd_code):
                raise ValidationError(
                    self.env._(
                        "A USSD code has only digits, * and #, such as *150*00#. "
                        "Phones could not dial “%(code)s”.",
                        code=channel.ussd_code,
                    )
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        channels = super().create(vals_list)
        self.env.registry.clear_cache()
        return channels

    def write(self, vals):
        result = super().write(vals)
        self.env.registry.clear_cache()
        return result

    def unlink(self):
        result = super().unlink()
        self.env.registry.clear_cache()
        return result

    def copy_data(self, default=None):
        """A copy of a general channel is the current company's own."""
        default = dict(default or {})
        vals_list = super().copy_data(default)
        for channel, vals in zip(self, vals_list, strict=True):
            if not channel.company_id and "company_id" not in default:
                vals["company_id"] = self.env.company.id
            elif channel.company_id and "code" not in default:
                vals["code"] = self.env._("%(code)s (copy)", code=channel.code)
        return vals_list

    # === ACTION METHODS === #

    def action_customise(self):
        self.ensure_one()
        own = self
        if not self.company_id:
            own = self.with_context(active_test=False).search(
                [("code", "=", self.code), ("company_id", "=", self.env.company.id)],
                limit=1,
            ) or self.copy({"company_id": self.env.company.id})
        return own._get_records_action()

    # === BUSINESS METHODS === #

    @api.model
    def _for_company(self, company, complete=True):
        """Return the channels to offer to payers of a company, in order, in sudo.

        A company's own record stands in for the general one of the same code, also when
        it is archived or incomplete: that is how one company hides a channel.

        :param bool complete: also those that lack something when false
        """
        return self.sudo().browse(self._ids_for_company(company.id, complete))

    @api.model
    @tools.ormcache("company_id", "complete")
    def _ids_for_company(self, company_id, complete):
        """Return the ids for `_for_company`.

        Cached: each card, document and page asks, the records hardly change.
        """
        channels = self.sudo().with_context(active_test=False)
        channels = channels.search([("company_id", "in", [False, company_id])])
        own_codes = set(channels.filtered("company_id").mapped("code"))
        return channels.filtered(
            lambda channel: (
                channel.active
                and (channel.complete or not complete)
                and (channel.company_id or channel.code not in own_codes)
            )
        )._ids

    @api.model
    def _hidden_text(self, company):
        """Return which channels a company's payers do not see, and what is missing."""
        channels = self._for_company(company, complete=False)
        return "; ".join(
            self.env._(
                "%(channel)s (missing: %(what)s)",
                channel=channel.name,
                what=channel.missing,
            )
            for channel in channels.filtered(lambda channel: not channel.complete)
        )

    @api.model
    def _find_by_code(self, code, company=None):
        """Return the channel of a payment's ``channel`` word, also archived.

        :param code: the word as ClickPesa sent it; anything, also None
        :param company: `res.company` whose own record is preferred
        """
        word = word_key(code)
        if not word:
            return self.browse()
        by_word = self._channel_ids_by_word()
        channel_id = by_word.get((word, company.id if company else False))
        return self.browse(channel_id or by_word.get((word, False)))

    @api.model
    @tools.ormcache()
    def _channel_ids_by_word(self):
        """Return ``{(word, company id or False): channel id}``.

        Cached: the payments worker asks for every payment, the records hardly change.
        """
        channels = self.sudo().with_context(active_test=False)
        channels = channels.search([("clickpesa_codes", "!=", False)])
        words = {channel: channel.clickpesa_codes.split(",") for channel in channels}
        keys = word_keys({word for group in words.values() for word in group})
        ids_by_word = {}
        # Active records first, so that an archived twin never wins.
        for channel in channels.sorted(lambda c: (not c.active, c.sequence, c.id)):
            for word in words[channel]:
                if keys[word]:
                    key = (keys[word], channel.company_id.id)
                    ids_by_word.setdefault(key, channel.id)
        return ids_by_word

    def _get_steps(self, lang, *, number, amount, short=False):
        """Return the steps for one payer, as Markup with the payer's values in bold.

        Only the four known placeholders are replaced: the steps are user input, and
        `str.format` would let them reach into objects.

        :param str lang: ``sw`` or anything else for English; the other language is used
            when a record has steps in one only
        :param str amount: the amount as the payer should read it
        :param bool short: without the leading "Dial" step, which documents show as the
            channel's code instead
        """
        english, swahili = self.steps_en or "", self.steps_sw or ""
        steps = (swahili or english) if lang == "sw" else (english or swahili)
        values = {
            "number": number,
            "company_number": self.company_number or "",
            "amount": amount,
            "ussd": self.ussd_code or "",
        }
        lines = [line.strip() for line in steps.splitlines() if line.strip()]
        if short and len(lines) > 1 and "{ussd}" in lines[0]:
            lines = lines[1:]
        # Split by the names of the placeholders: every second part is one.
        return [
            Markup("").join(
                Markup("<strong>%s</strong>") % values[part] if at % 2 else escape(part)
                for at, part in enumerate(_PLACEHOLDER.split(line))
            )
            for line in lines
        ]

    def _get_dial_link(self):
        """Return a ``tel:`` address for the USSD code, or False.

        ``#`` must be encoded, or the phone takes it for the fragment of the address and
        drops it: ``*150*00#`` becomes ``tel:*150*00%23``.
        """
        return self.ussd_code and "tel:" + quote(self.ussd_code, safe="*")

    def _get_initials(self):
        words = re.findall(r"\w+", self.name or "")
        return self.initials or "".join(word[0] for word in words[:2]).upper()
