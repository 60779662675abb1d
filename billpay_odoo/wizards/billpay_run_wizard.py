# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a bulk run is about. It makes a run to check; nothing else is created."""

from collections import defaultdict

from odoo import Command, api, fields, models
from odoo.exceptions import UserError

from ..actions import window
from ..cells import read_amount, read_email, read_name, read_phone, read_reference
from ..columns import TOTALS
from ..const import INVOICES, NUMBER_MODES, UNPAID
from ..identity import mobile_phone, word_key
from .billpay_import import (
    DOUBTFUL,
    MODES,
    BillpayImport,
    BillpayImportColumn,
    find_word,
    insert_many,
)

# More than this is better split: a person has to look through it.
MAX_LINES = 50_000


_LINE = (
    "move_id partner_id purpose_id amount mode new_name new_ref new_phone new_email"
    " new_parent new_tag error verdict match candidate_id".split()
)
# What is looked at to find a contact.
_SAID = "name ref parent phone email tag".split()


class BillpayRunWizard(models.TransientModel):
    _name = "billpay.run.wizard"
    _inherit = [BillpayImport._name]
    _description = "Prepare a Bulk Run"

    _billpay_server_fields = BillpayImport._billpay_server_fields | {"company_id"}
    _kind = "run"
    _needed = ("name",)
    _column_model = "billpay.run.wizard.column"

    column_ids = fields.One2many("billpay.run.wizard.column", "wizard_id")

    # Whose numbers they are, the company or the purpose says: a branch has none itself.
    application = fields.Selection(required=False)
    company_id = fields.Many2one(
        "res.company", default=lambda self: self.env.company, readonly=True
    )
    source = fields.Selection(
        [
            ("invoices", "Open invoices"),
            ("contacts", "Chosen contacts"),
            ("tags", "Contacts with a tag"),
            ("sheet", "A spreadsheet"),
        ],
        default=lambda self: "contacts" if self._chosen("res.partner") else "invoices",
        required=True,
    )
    move_ids = fields.Many2many(
        "account.move",
        string="Invoices",
        default=lambda self: self._chosen("account.move"),
    )
    date_from = fields.Date(string="Invoiced From")
    date_to = fields.Date(string="Until")
    journal_ids = fields.Many2many(
        "account.journal", domain="[('type', '=', 'sale')]", string="Journals"
    )
    partner_ids = fields.Many2many(
        "res.partner",
        string="Contacts",
        default=lambda self: self._chosen("res.partner"),
    )
    tag_ids = fields.Many2many("res.partner.category", string="Tags")
    purpose_ids = fields.Many2many(
        "billpay.purpose", string="Purposes", domain="[('company_id', '=', company_id)]"
    )
    department_id = fields.Many2one(
        "account.analytic.account",
        # Else whoever sees one department only would not see the own run.
        default=lambda self: self.env.user._billpay_department(),
    )
    create_contacts = fields.Boolean(
        string="Make Contacts of New Names",
        default=True,
        help="When the run starts, not before.",
    )
    currency_id = fields.Many2one(
        "res.currency", default=lambda self: self.env.ref("base.TZS")
    )
    amount = fields.Monetary(
        help="In TZS. Zero: what each invoice, row or purpose says."
    )
    mode = fields.Selection(
        NUMBER_MODES,
        string="Payers May Pay",
        help="Empty: what each invoice or purpose says.",
    )

    def _chosen(self, model):
        """Return the records of a model from whose list the wizard was opened."""
        context = self.env.context
        is_here = context.get("active_model") == model
        return self.env[model].browse(context.get("active_ids") if is_here else ())

    def action_prepare(self):
        """Make a run that says what would happen; nothing is made before it starts."""
        self.ensure_one()
        self._check_clerk()
        lines_of = {"invoices": self._lines_of_invoices, "sheet": self._lines_of_sheet}
        source, vals_list = lines_of.get(self.source, self._lines_of_contacts)()
        if not vals_list:
            raise UserError(
                self.env._(
                    "Nothing fits what you chose, so there is nothing to run. Nothing "
                    "was changed."
                )
            )
        if len(vals_list) > MAX_LINES:
            raise UserError(
                self.env._(
                    "These are %(count)s lines; a run takes %(most)s at most. Nothing "
                    "was changed: choose fewer.",
                    count=len(vals_list),
                    most=MAX_LINES,
                )
            )
        # sudo: the fields of runs are for Odoo to set; what was chosen is checked.
        run = (
            self.env["billpay.run"]
            .sudo()
            .create(
                {
                    "company_id": self.company_id.id,
                    "department_id": self.department_id.id
                    or self.purpose_ids.department_id[:1].id,
                    "source": source,
                    "create_contacts": self.source == "sheet" and self.create_contacts,
                }
            )
        )
        rows = enumerate(vals_list, 1)
        # Each line has every field, in one order.
        empty = {"state": "waiting", **dict.fromkeys(_LINE, False)}
        insert_many(
            run.line_ids,
            [{"run_id": run.id, "row": row, **empty, **vals} for row, vals in rows],
        )
        return run.sudo(False)._get_records_action()

    @api.model
    def _replace_lost(self, numbers):
        """Give what these numbers ask for new ones, where they are lost.

        The worker does it, a chunk at a time; digits that still lead to the merchant
        are kept.

        :return: the action that opens the runs
        :raise UserError: none is lost, or a company has no application that is on
        """
        living_sudo = numbers.sudo()._living()
        lost = living_sudo - living_sudo._not_lost()
        payable = self.env["billpay.payable"]
        wanted = defaultdict(dict)
        for number in lost.filtered(payable._is_replaced_by_run).sorted("id"):
            vals = {"partner_id": number.partner_id.id}
            if number.move_id:
                vals["move_id"] = number.move_id.id
            else:
                asked = {"amount": number.amount, "mode": number.mode}
                vals |= {"purpose_id": number.purpose_id.id, **asked}
            lines = wanted[number.company_id]
            lines[number._own_key()] = {"row": len(lines) + 1, **vals}
        if not wanted:
            raise UserError(
                self.env._(
                    "None of these numbers needs a new one, so nothing was made. New "
                    "numbers are for invoices and customers whose application was "
                    "switched off, given to another company, or given another address, "
                    "client ID or BillPay-Namba."
                )
            )
        runs = (
            self.env["billpay.run"]
            .sudo()
            .create(
                [
                    {
                        "name": self.env._("New numbers, %s", company.name),
                        "company_id": company.id,
                        "source": self.env._("Numbers that cannot be paid any more"),
                        "line_ids": [Command.create(line) for line in lines.values()],
                    }
                    for company, lines in wanted.items()
                ]
            )
        )
        runs.action_start()
        return window(self.env, "action_billpay_run", domain=[("id", "in", runs.ids)])

    def _problem(self, text, verdict="unusable"):
        return {"state": "problem", "error": text[:500], "verdict": verdict}

    def _lines_of_invoices(self):
        moves = self.move_ids
        source = self.env._("Chosen invoices")
        if not moves:
            source = self.env._("Open invoices without a number")
            domain = [
                ("company_id", "=", self.company_id.id),
                ("move_type", "in", INVOICES),
                ("state", "=", "posted"),
                ("payment_state", "in", UNPAID),
                ("amount_residual", ">", 0),
                ("billpay_number", "=", False),
            ]
            chosen = (
                ("invoice_date", ">=", self.date_from),
                ("invoice_date", "<=", self.date_to),
                ("journal_id", "in", self.journal_ids.ids),
                ("billpay_purpose_id", "in", self.purpose_ids.ids),
                ("billpay_purpose_id.department_id", "=", self.department_id.id),
            )
            domain += [condition for condition in chosen if condition[2]]
            moves = moves.search(domain, order="id", limit=MAX_LINES + 1)
        wanting = set(self.env["billpay.reservation"]._wanting(moves).ids)
        return source, [self._line_of_invoice(move, wanting) for move in moves]

    def _line_of_invoice(self, move, wanting):
        if move.company_id != self.company_id:
            # Colleagues of this company see the run, and nothing of that invoice.
            text = self.env._("It belongs to another company: switch to that one.")
            return {"new_name": move.name, **self._problem(text)}
        return {
            "move_id": move.id,
            "partner_id": move.partner_id.id,
            "purpose_id": move.billpay_purpose_id.id,
            "mode": self.mode,
            **({} if move.id in wanting else self._why_not_invoice(move)),
        }

    def _why_not_invoice(self, move):
        if move.move_type not in INVOICES:
            text = self.env._("It is no customer invoice.")
        else:
            text = self.env["billpay.run.line"]._why_no_number(move)
        return self._problem(text)

    def _lines_of_contacts(self):
        partners = self.partner_ids
        source = self.env._("Chosen contacts")
        if self.source == "tags":
            if not self.tag_ids:
                raise UserError(
                    self.env._("Choose the tag of the contacts. Nothing was changed.")
                )
            tags = ", ".join(self.tag_ids.mapped("name"))
            source = self.env._("Contacts with %s", tags)
            domain = [
                ("category_id", "child_of", self.tag_ids.ids),
                ("company_id", "in", (False, self.company_id.id)),
            ]
            partners = partners.search(domain, order="complete_name, id")
        purposes = self._needed_purposes()
        problems = partners._billpay_contact_problems()
        living = self.env["billpay.purpose"]._living_of(partners)
        self.env["billpay.number.change"]._check_whole(self.amount)
        asked = {"amount": self.amount, "mode": self.mode}
        return source, [
            {
                "partner_id": partner.id,
                "purpose_id": purpose.id,
                **asked,
                **self._why_not_customer(partner, purpose, problems, living),
            }
            for partner in partners
            for purpose in purposes
        ]

    def _needed_purposes(self):
        if not self.purpose_ids:
            raise UserError(
                self.env._(
                    "Choose what the numbers are for. Nothing was changed. Purposes "
                    "are made under Invoicing, Configuration, BillPay, Purposes."
                )
            )
        return self.purpose_ids

    def _why_not_customer(self, partner, purpose, problems, living):
        number = living.get((partner, purpose))
        text = problems[partner]
        if number:
            text = self.env._("Has the number %s already.", number.display_number)
        return self._problem(text) if text else {}

    def _company(self):
        """Override: whose numbers they are, the company says."""
        return self.company_id

    def _provider(self):
        """Override: not asked for."""
        return self.env["payment.provider"]

    def _missing(self, places):
        """Override: a name may stand in several columns."""
        has_name = "name" in places or {"first_name", "last_name"} & places.keys()
        return [] if has_name else ["name"]

    def _lines_of_sheet(self):
        rows = self._mapped_rows()
        known = self._known_purposes()
        if "purpose" not in rows[0][1]:
            self._needed_purposes()
        read = [{**self._read_row(found, known), "row": row} for row, found in rows]
        self._match_contacts(read)
        ids = {v["partner_id"] for v in read if v.get("partner_id")}
        partners = self.env["res.partner"].browse(ids)
        problems = partners._billpay_contact_problems()
        living = self.env["billpay.purpose"]._living_of(partners)
        lines, taken = [], {}
        for values in read:
            purposes = values.pop("purposes")
            for purpose in purposes or self.env["billpay.purpose"].browse([False]):
                line = {**values, "purpose_id": purpose.id}
                partner = partners.browse(values.get("partner_id"))
                if partner and not line.get("error"):
                    row = taken.setdefault((partner, purpose), line["row"])
                    why = self._why_not_customer(partner, purpose, problems, living)
                    if row != line["row"] and not why:
                        text = self.env._(
                            "%(contact)s is in row %(row)s already.",
                            contact=partner.display_name,
                            row=row,
                        )
                        why = self._problem(text, "same_as")
                    line.update(why)
                lines.append(line)
        return self.filename or self.env._("Spreadsheet"), lines

    def _known_purposes(self):
        domain = [("company_id", "=", self.company_id.id)]
        purposes = self.env["billpay.purpose"].search(domain)
        return {
            word_key(purpose.with_context(lang=lang).name): purpose
            for purpose in purposes
            for lang, _name in self.env["res.lang"].get_installed()
        }

    def _read_row(self, found, known):
        """Return the values of a line, with the first problem of the row."""
        problems, notes = [], []

        def parsed(reader, name, into=None):
            into = problems if into is None else into
            return self._parsed(into, reader, found, name)

        parts = [
            parsed(read_name, n) for n in ("first_name", "middle_name", "last_name")
        ]
        name = parsed(read_name, "name") or " ".join(filter(None, parts))
        if not name and not problems:
            text = self.env._("The row has no name. Type it, or delete the row.")
            problems.append(text)
        if word_key(name) in TOTALS:
            problems.append(self.env._("It is a total, and no customer."))
        # A bad cell costs that cell; without phone or address a new contact says why.
        phone = parsed(read_phone, "phone", notes) or ""
        mobile = mobile_phone(phone)
        if phone and not mobile:
            text = self._why_bad_value("not_a_phone", phone)
            notes.append(self._of_column("phone", text))
        email = parsed(read_email, "email", notes) or ""
        amount = parsed(read_amount, "amount")
        if amount is not None and (amount < 0 or amount != int(amount)):
            text = self.env._("A number asks for whole shillings.")
            problems.append(self._of_column("amount", text))
        purposes = self.purpose_ids
        if word := found.get("purpose"):
            purposes = known.get(word_key(word), purposes.browse())
            if not purposes:
                names = sorted({purpose.name for purpose in known.values()})
                missing = self.env._(
                    "There is no purpose “%(word)s”. There are: %(known)s.",
                    word=word,
                    known=", ".join(names) or "–",
                )
                problems.append(self._of_column("purpose", missing))
        elif not purposes:
            problems.append(self.env._("The row says no purpose, and none is chosen."))
        mode = self.mode
        if word := found.get("mode"):
            mode = find_word(word, MODES)
            if not mode:
                text = self.env._("“%s” is neither “any” nor “exact”.", word)
                problems.append(self._of_column("mode", text))
        if trouble := self._why_status(found):
            problems.append(trouble)
        values = {
            "new_name": name,
            "new_ref": parsed(read_reference, "ref") or "",
            "new_tag": " ".join(found.get("tag", "").split()),
            "new_parent": parsed(read_name, "parent", notes) or "",
            "new_phone": mobile and "+%s" % mobile,
            "new_email": email,
            "amount": float(amount) if amount is not None else self.amount,
            "mode": mode,
            "purposes": purposes,
            "match": " ".join(notes),
        }
        if problems:
            values.update(self._problem(problems[0]))
        return values

    def _match_contacts(self, read):
        """Find the contacts that rows mean, and say what is doubtful."""
        names = {name: "new_%s" % name for name in _SAID}
        good = [values for values in read if not values.get("error")]
        said = [
            {
                "row": values["row"],
                "what": tuple(values["purposes"].ids),
                **{name: values[field] for name, field in names.items()},
            }
            for values in good
        ]
        matcher = self.env["billpay.contact.match"]
        matches = matcher._match(said, self.company_id, family=True)
        for values, match in zip(good, matches, strict=True):
            values["verdict"] = match.verdict
            if match.verdict == "same_as":
                values.update(self._problem(match.text, "same_as"))
            elif match.verdict == "known":
                values["partner_id"] = match.partner.id
                by = self.env._("Known by %s.", match.text)
                values["match"] = " ".join(filter(None, (by, values["match"])))
            elif match.verdict in DOUBTFUL:
                text = self.env._(
                    "%s Choose the contact here, or press New Contact.", match.text
                )
                values.update(self._problem(text, match.verdict))
                values["candidate_id"] = match.partner.id
            elif problem := self._why_no_contact(values):
                values.update(self._problem(problem))

    def _why_no_contact(self, values):
        """Return why a row cannot become a new contact; "" if it can."""
        if not self.create_contacts:
            return self.env._(
                "No contact matches this name, and creating contacts is disabled."
            )
        if not values["new_phone"] and not values["new_email"]:
            return values["match"] or self.env._(
                "A new contact needs a phone number or an e-mail address: ClickPesa "
                "requires one of them. Type one in this row."
            )
        return ""


class BillpayRunWizardColumn(models.TransientModel):
    _name = "billpay.run.wizard.column"
    _inherit = [BillpayImportColumn._name]
    _description = "Column of a Class List"
    _kind = "run"

    wizard_id = fields.Many2one(
        "billpay.run.wizard", required=True, ondelete="cascade", index=True
    )
