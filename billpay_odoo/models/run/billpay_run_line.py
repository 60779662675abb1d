# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

import logging

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ... import money, page_texts
from ...const import LIVING, NUMBER_MODES
from ...identity import (
    email_key,
    name_key,
    phone_key,
    phone_spellings,
    reference_key,
    word_key,
)
from ...transactions import CONFLICTS
from ..billpay_guarded import BillpayGuarded

_logger = logging.getLogger(__name__)

# What a reserved line is at: its number's states.
_OUTCOMES = {
    "coming": ("pending",),
    "failed": ("failed",),
    "done": ("open", "paid", "closed"),
}


class BillpayRunLine(models.Model):
    """One invoice or customer of a run, and the number it gets."""

    _name = "billpay.run.line"
    _inherit = [BillpayGuarded._name]
    _description = "Line of a Bulk Run"
    _order = "row, id"
    _rec_name = "number"
    # All but the contact, which a person may choose for a doubtful row.
    _billpay_server_fields = frozenset(
        "run_id row state move_id purpose_id amount mode new_name new_ref new_phone"
        " new_email new_parent new_tag verdict match candidate_id error number_id"
        " is_made made_partner_ids".split()
    )

    run_id = fields.Many2one(
        "billpay.run", required=True, ondelete="cascade", index=True, readonly=True
    )
    company_id = fields.Many2one(related="run_id.company_id")
    row = fields.Integer(readonly=True, help="The row in the file.")
    state = fields.Selection(
        [
            ("problem", "Left Out"),
            ("waiting", "Waiting"),
            ("reserved", "Reserved"),
            ("failed", "Not Made"),
            ("cancelled", "Cancelled"),
        ],
        default="waiting",
        required=True,
        readonly=True,
    )
    move_id = fields.Many2one(
        "account.move",
        string="Invoice",
        readonly=True,
        index="btree_not_null",
        ondelete="cascade",
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Contact",
        readonly=True,
        index="btree_not_null",
        ondelete="cascade",
    )
    purpose_id = fields.Many2one("billpay.purpose", readonly=True, ondelete="restrict")
    currency_id = fields.Many2one("res.currency", compute="_compute_currency_id")
    amount = fields.Monetary(
        readonly=True, help="In TZS. Zero: what the invoice or the purpose says."
    )
    mode = fields.Selection(NUMBER_MODES, readonly=True)
    # A row of a spreadsheet that is no contact yet.
    new_name = fields.Char(string="Name in the File", readonly=True)
    new_ref = fields.Char(string="Reference in the File", readonly=True)
    new_phone = fields.Char(string="Phone in the File", readonly=True)
    new_email = fields.Char(string="E-Mail in the File", readonly=True)
    new_parent = fields.Char(string="Parent in the File", readonly=True)
    new_tag = fields.Char(string="Class in the File", readonly=True)
    verdict = fields.Selection(
        [
            ("new", "New contact"),
            ("known", "Known"),
            ("looks_like", "Looks like another"),
            ("contradicts", "Contradicts"),
            ("same_as", "Same as another row"),
            ("unusable", "Cannot be used"),
        ],
        readonly=True,
        help="What a row of a spreadsheet is.",
    )
    match = fields.Char(readonly=True, help="By what the contact of a row is known.")
    candidate_id = fields.Many2one(
        "res.partner", string="Looks Like", readonly=True, ondelete="set null"
    )
    made_partner_ids = fields.Many2many(
        "res.partner",
        "billpay_run_line_made_rel",
        string="Contacts Made",
        readonly=True,
        copy=False,
        help="What the run made for this row: the contact, and its parent.",
    )
    error = fields.Char(readonly=True)
    number_id = fields.Many2one(
        "billpay.control.number",
        readonly=True,
        index="btree_not_null",
        # Only a number that nobody can have is ever deleted.
        ondelete="set null",
    )
    is_made = fields.Boolean(
        string="Made by This Run",
        readonly=True,
        help="Not set: the number was there before.",
    )
    number = fields.Char(
        string="Control Number", related="number_id.display_number", store=False
    )
    # As the system: a number or contact may be hidden from whoever may see the run.
    who = fields.Char(string="For", compute="_compute_who", compute_sudo=True)
    shown_amount = fields.Monetary(
        string="Asked For", compute="_compute_shown_amount", compute_sudo=True
    )
    outcome = fields.Selection(
        [
            ("problem", "Left out"),
            ("waiting", "Waiting"),
            ("coming", "Being registered"),
            ("done", "Ready"),
            ("failed", "Refused"),
            ("cancelled", "Cancelled"),
        ],
        string="Result",
        compute="_compute_outcome",
        compute_sudo=True,
        search="_search_outcome",
    )
    reason = fields.Char(compute="_compute_outcome", compute_sudo=True)
    unreachable = fields.Boolean(
        compute="_compute_unreachable",
        compute_sudo=True,
        search="_search_unreachable",
        help="Neither an e-mail address nor a phone number is known.",
    )

    # Whoever makes a run twice of one thing makes one number: the database says so.
    _one_per_invoice = models.UniqueIndex(
        "(run_id, move_id) WHERE move_id IS NOT NULL AND state <> 'problem'",
        "An invoice is in a run once. Nothing was changed.",
    )
    # Contacts that were merged later keep the numbers that a run gave each of them.
    _one_per_customer = models.UniqueIndex(
        "(run_id, partner_id, purpose_id) WHERE move_id IS NULL"
        " AND partner_id IS NOT NULL AND number_id IS NULL AND state <> 'problem'",
        "A contact is in a run once for each purpose. Nothing was changed.",
    )
    # What the worker takes next.
    _waiting = models.Index("(run_id, id) WHERE state = 'waiting'")

    # === COMPUTE METHODS === #

    def _compute_currency_id(self):
        self.currency_id = money.shillings(self.env)

    @api.depends("partner_id", "new_name")
    def _compute_who(self):
        for line in self:
            partner = line.partner_id
            line.who = (partner.name or partner.display_name) or line.new_name

    @api.depends(
        "amount", "number_id.amount", "number_id.kind", "move_id.amount_residual"
    )
    def _compute_shown_amount(self):
        for line in self:
            if line.move_id and line.number_id.kind == "customer":
                line.shown_amount = money.asked_now(line.move_id)
                continue
            line.shown_amount = (
                line.number_id.amount
                or line.amount
                or (line.move_id and money.number_shillings(line.move_id))
                or line.purpose_id.default_amount
            )

    @api.model
    def _outcome(self, state, number_state, unsent=False):
        """Return what became of a line: of a reserved one, its number's state.

        :param bool unsent: ClickPesa has not yet what the number asks for now
        """
        if state != "reserved":
            return state
        if not number_state:
            return "cancelled"  # its number is deleted
        if unsent:
            return "coming"
        return {"pending": "coming", "failed": "failed"}.get(number_state, "done")

    @api.model
    def _unsent_domain(self):
        """Return the domain of lines whose open number is not ready: see `_outcome`."""
        # As the system, as the results are computed.
        unsent = (
            self.env["billpay.control.number"]
            .sudo()
            ._search(
                [
                    ("state", "=", "open"),
                    ("sync_at", "!=", False),
                    ("payable", "=", False),
                ]
            )
        )
        return Domain("state", "=", "reserved") & Domain("number_id", "in", unsent)

    @api.depends("state", "error", "match", "number_id.state", "number_id.sync_error")
    def _compute_outcome(self):
        for line in self:
            number = line.number_id
            unsent = number.state == "open" and number.sync_at and not number.payable
            line.outcome = self._outcome(line.state, number.state, unsent)
            line.reason = line.error or number.sync_error or line.match

    def _search_outcome(self, operator, value):
        if operator != "in":
            return NotImplemented
        reserved, unsent = Domain("state", "=", "reserved"), self._unsent_domain()
        # As the system, as the results are computed.
        numbers_sudo = self.env["billpay.control.number"].sudo()

        def settled(outcome):
            if outcome == "cancelled":
                return reserved & Domain("number_id", "=", False)
            states = [("state", "in", _OUTCOMES.get(outcome, ()))]
            found = numbers_sudo._search(states)
            return reserved & Domain("number_id", "in", found)

        ready = Domain.OR(
            (Domain("state", "=", outcome) & ~reserved) | settled(outcome)
            for outcome in value
        )
        return ready | unsent if "coming" in value else ready & ~unsent

    @api.depends("partner_id.email", "partner_id.phone")
    def _compute_unreachable(self):
        for line in self:
            partner = line.partner_id
            values = partner and partner._billpay_contact_values()
            line.unreachable = not (values and (values["phone"] or values["email"]))

    def _search_unreachable(self, operator, value):
        if operator != "in":
            return NotImplemented
        return ~Domain.OR(
            Domain(f"{path}.{name}", "!=", False)
            for path in ("partner_id", "partner_id.parent_id")
            for name in ("email", "phone")
        )

    # === CRUD METHODS === #

    def write(self, vals):
        is_choice = not self.env.su and "partner_id" in vals
        if is_choice:
            self._check_doubtful()
        result = super().write(vals)
        if is_choice and vals["partner_id"]:
            self._settle_doubt("known", self.env._("Chosen by %s.", self.env.user.name))
        return result

    # === ACTION METHODS === #

    def action_same_contact(self):
        """Take the contact that a doubtful row looks like."""
        for line in self:
            line.partner_id = line.candidate_id

    def action_new_contact(self):
        """Let the run make a new contact of a doubtful row."""
        self.check_access("write")
        self._check_doubtful()
        for line in self:
            if not line.run_id.create_contacts or not (
                line.new_phone or line.new_email
            ):
                raise UserError(
                    self.env._(
                        "%s cannot become a new contact: that needs a phone number or "
                        "an e-mail address, and a run that makes contacts. Nothing was "
                        "changed.",
                        line.new_name,
                    )
                )
        text = self.env._("New, says %s.", self.env.user.name)
        self.sudo().partner_id = False
        self._settle_doubt("new", text)

    # === BUSINESS METHODS === #

    def _check_doubtful(self):
        """A person chooses the contact of a doubtful row, before its run starts."""
        for line in self:
            is_doubtful = line.verdict in ("looks_like", "contradicts")
            if line.run_id.state != "draft" or not is_doubtful:
                raise UserError(
                    self.env._(
                        "Row %s is not doubtful, or its run has started. Nothing was "
                        "changed.",
                        line.row,
                    )
                )

    def _settle_doubt(self, verdict, text):
        """Let these rows get their numbers, unless their contact cannot have one."""
        living = self.env["billpay.purpose"]._living_of(self.partner_id)
        problems = self.partner_id._billpay_contact_problems()
        for line in self.sudo():
            number = living.get((line.partner_id, line.purpose_id))
            error = problems.get(line.partner_id, "")
            if number:
                error = self.env._("Has the number %s already.", number.display_number)
            state = {"state": "problem" if error else "waiting", "error": error}
            line.write({**state, "verdict": verdict, "match": text})

    def _sms_text(self):
        """Return a text of one SMS, in the customer's language."""
        self.ensure_one()
        partner = self.partner_id
        lang = page_texts.page_language(
            partner.lang, partner.parent_id.lang, self.company_id.partner_id.lang
        )
        what = self.purpose_id.with_context(lang=partner.lang).name
        amount = self.shown_amount
        t = page_texts.texts(
            lang,
            payee=self.company_id.name,
            what=" ".join(filter(None, (what or self.move_id.name, partner.name))),
            number=self.number_id.name,
            sum=page_texts.amount_text(amount, self.currency_id).replace("\u00a0", " "),
        )
        return t["sms_amount"] if amount else t["sms"]

    def _note_failure(self, error):
        text = str(error)
        if not isinstance(error, UserError):
            _logger.error("No number for %s", self, exc_info=error)
            text = self.env._("Unexpected error; see the server's log.")
        self.write({"state": "failed", "error": text[:500]})

    def _note_unprinted(self, error):
        text = str(error)
        if not isinstance(error, UserError):
            text = self.env._("Unexpected error; see the server's log.")
        self.error = self.env._("The invoice was not printed: %s", text)[:500]

    def _note_lost(self):
        """Note that no e-mail goes, since nobody can pay the number."""
        for line in self:
            problem = line.number_id._problem_text()
            line.error = self.env._("The e-mail was not sent: %s", problem)[:500]

    def _note_unsent(self, error):
        _logger.error("Line %s of a run is not sent", self.id, exc_info=error)
        self.run_id.sudo()._message_log(
            body=self.env._(
                "%(contact)s is not sent the number %(number)s. No money is affected: "
                "send it by hand. The reason: %(reason)s",
                contact=self.partner_id.display_name,
                number=self.number,
                reason=str(error)
                if isinstance(error, UserError)
                else self.env._("unexpected error; see the server's log."),
            )
        )

    def _rendered(self):
        """Return the PDFs of these invoices; one that cannot be rendered says so.

        All at once; if that fails, each half for itself, down to the cause.
        """
        if not self:
            return []
        try:
            with self.env.cr.savepoint():
                content, _type = self.env["ir.actions.report"]._render_qweb_pdf(
                    "account.account_invoices", res_ids=self.move_id.ids
                )
            return [content]
        except CONFLICTS:
            raise
        except Exception as error:
            self.invalidate_recordset()
            if half := len(self) // 2:
                return self[:half]._rendered() + self[half:]._rendered()
            _logger.warning("%s cannot be printed", self.move_id, exc_info=True)
            self._note_unprinted(error)
            return []

    def _refuse_hidden(self, user):
        """Let lines fail whose records this user may not see; return the others.

        What a run does in the background is what its user may do.
        """
        company = self.run_id.company_id
        lines = self.with_user(user).with_context(allowed_company_ids=company.ids)
        seen = {}
        for name in ("move_id", "partner_id", "purpose_id"):
            # Rules cannot even be asked about a company that is not the user's.
            linked = self[name].with_env(lines.env)
            linked = linked if company in user.sudo().company_ids else linked.browse()
            seen[name] = set(linked._filtered_access("read").ids)
        allowed = self.filtered(
            lambda line: all(
                line[name].id in ids for name, ids in seen.items() if line[name]
            )
        )
        text = self.env._("%s may not see this invoice or contact.", user.name)
        (self - allowed).write({"state": "failed", "error": text})
        return allowed

    def _reserve_numbers(self):
        """Give these lines their numbers, those that exist already included."""
        invoices = self.filtered("move_id")
        invoices._reserve_for_invoices()
        customers = self - invoices
        customers._make_contacts()
        for purpose, lines in customers.grouped("purpose_id").items():
            lines._reserve_for_customers(purpose)

    def _last_number(self):
        last = SQL("SELECT COALESCE(max(id), 0) FROM billpay_control_number")
        return self.env.execute_query(last)[0][0]

    def _settle(self, numbers, last):
        """Link lines with their numbers.

        :param int last: what has a greater id did not exist before, in any state
        """
        settled = {"state": "reserved", "error": False}
        for line, number in numbers.items():
            made = number.id > last
            line.write({**settled, "number_id": number.id, "is_made": made})

    def _reserve_for_invoices(self):
        if not self:
            return
        for mode, lines in self.filtered("mode").grouped("mode").items():
            changed = lines.move_id.filtered(
                lambda move, mode=mode: move.billpay_mode != mode
            )
            changed.billpay_mode = mode
        last = self._last_number()
        self.move_id._billpay_reserve()
        numbers = {}
        for line in self:
            number = line.move_id.sudo().billpay_number_id
            if number.state in (*LIVING, "paid"):
                numbers[line] = number
            else:
                problem = self._why_no_number(line.move_id)
                line.write({"state": "failed", "error": problem})
        self._settle(numbers, last)

    @api.model
    def _why_no_number(self, move):
        """Return why an invoice has no number to come."""
        if move.state != "posted":
            return self.env._("It is not confirmed.")
        if not money.is_due(move):
            return self.env._("Nothing is due on it.")
        number = move.sudo().billpay_number_id
        if number.state in LIVING:
            return self.env._("It has the number %s.", number.display_number)
        reservation = self.env["billpay.reservation"]
        if not reservation._rate(move):
            return reservation._rate_missing_text(move)
        if reservation._is_small_rest(move):
            return reservation._small_rest_text(move)
        if not move.company_id.sudo().billpay_provider_id._billpay_is_on():
            return self.env._("Its company has no active ClickPesa application.")
        return self.env._("The invoice can have no number. Open it to see why.")

    def _make_contacts(self):
        """Make contacts of new rows: parents first, the same by name and phone."""
        rows = self.filtered(lambda line: not line.partner_id and line.new_name)
        if not rows:
            return
        partners = self.env["res.partner"].with_context(tracking_disable=True)
        company = self.run_id.company_id
        parents = rows.filtered("new_parent")._known_parents(partners)
        for line in rows.filtered("new_parent"):
            key = self._parent_key(line.new_parent, line.new_phone, line.new_email)
            if key not in parents:
                values = {"name": line.new_parent, "company_id": company.id}
                reached = {"phone": line.new_phone, "email": line.new_email}
                parents[key] = partners.create({**values, **reached})
                line.made_partner_ids |= parents[key]
        tags, tag_sudo = {}, self.env["res.partner.category"].sudo()
        for name in set(rows.filtered("new_tag").mapped("new_tag")):
            found = tag_sudo.search([("name", "=", name)], limit=1)
            tags[name] = found or tag_sudo.create({"name": name})
        known = rows._known_contacts()
        for identity, lines in rows.grouped(self._identity_of).items():
            if identity not in known:
                known[identity] = partners.create(
                    lines[0]._contact_values(parents, tags)
                )
                lines[0].made_partner_ids |= known[identity]
            lines.partner_id = known[identity]

    @api.model
    def _parent_key(self, name, phone, email):
        """Return what makes a parent the same: a name alone does not."""
        return name_key(name), phone_key(phone) or email_key(email)

    def _known_parents(self, partners):
        """Return the contacts that these rows' parents are: by name, and by phone or
        e-mail address."""
        emails = {email_key(line.new_email) for line in self} - {""}
        phones = [text for line in self for text in phone_spellings(line.new_phone)]
        found = partners.search(
            [
                ("parent_id", "=", False),
                ("company_id", "in", (False, self.run_id.company_id.id)),
                "|",
                ("email_normalized", "in", list(emails)),
                ("phone_mobile_search", "in", phones),
            ],
            order="id desc",
        )
        return {
            self._parent_key(parent.name, phone, email): parent
            for parent in found
            for phone, email in ((parent.phone, ""), ("", parent.email))
            if phone or email
        }

    @api.model
    def _identity_of(self, values):
        """Return what makes two rows of a file mean the same contact."""
        if values["new_ref"]:
            # Where a family has one reference, each child begins with its own name.
            own = name_key(values["new_name"]).partition(" ")[0]
            return reference_key(values["new_ref"]), own
        reached = values["new_phone"], values["new_email"]
        return (
            name_key(values["new_name"]),
            self._parent_key(values["new_parent"], *reached),
            word_key(values["new_tag"]),
        )

    def _known_contacts(self):
        """Return the contacts that this run has made of earlier lines."""
        earlier = self.search(
            [
                ("run_id", "in", self.run_id.ids),
                ("partner_id", "!=", False),
                "|",
                ("new_name", "in", list(set(self.mapped("new_name")))),
                ("new_ref", "in", list(set(self.mapped("new_ref")) - {False})),
            ]
        )
        return {self._identity_of(line): line.partner_id for line in earlier}

    def _contact_values(self, parents, tags):
        key = self._parent_key(self.new_parent, self.new_phone, self.new_email)
        parent = parents.get(key, self.env["res.partner"])
        return {
            "name": self.new_name,
            "ref": self.new_ref,
            "parent_id": parent.id,
            "type": "other" if parent else "contact",
            "phone": False if parent else self.new_phone,
            "email": False if parent else self.new_email,
            "company_id": self.run_id.company_id.id,
            "category_id": [(4, tags[self.new_tag].id)] if self.new_tag else [],
        }

    def _reserve_for_customers(self, purpose):
        partners = self.partner_id
        problems = partners._billpay_contact_problems()
        living = purpose._living_of(partners)
        good = self.browse()
        for line in self:
            problem = problems[line.partner_id]
            if problem and (line.partner_id, purpose) not in living:
                line.write({"state": "failed", "error": problem})
            else:
                good |= line
        if not good:
            return
        last, owners = self._last_number(), good.partner_id
        reserved = purpose._reserve(owners).sudo()
        by_partner = dict(zip(owners, reserved, strict=True))
        numbers = {line: by_partner[line.partner_id] for line in good}
        asked = {}
        for line, number in list(numbers.items()):
            wanted = {"amount": line.amount} if line.amount else {}
            if line.amount and number._cannot_ask(wanted):
                problem = self.env["billpay.sync"]._why_not_asked(number, wanted)
                line.write({"state": "failed", "error": problem})
                del numbers[line]
                continue
            if line.mode:
                asks = line.amount or number.amount
                wanted["mode"] = line.mode if asks else "flexible"
            asked[number] = wanted
        good.number_id.browse()._want_each(asked)
        self._settle(numbers, last)
