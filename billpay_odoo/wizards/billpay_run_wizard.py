# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What a bulk run is about. It makes a run to check; nothing else is created."""

from collections import defaultdict

from odoo import Command, api, fields, models
from odoo.exceptions import UserError

from ..actions import window
from ..const import INVOICES, NUMBER_MODES, UNPAID
from ..identity import (
    is_placeholder,
    mobile_phone,
    name_key,
    phone_key,
    reference_key,
    word_key,
)
from ..spreadsheet import check_value, read_money, read_phone, read_reference
from .billpay_import import MODES, BillpayImport, find_word

# More than this is better split: a person has to look through it.
MAX_LINES = 20000


class BillpayRunWizard(models.TransientModel):
    _name = "billpay.run.wizard"
    _inherit = [BillpayImport._name]
    _description = "Prepare a Bulk Run"

    _headings = {
        "name": "Name, customer, customer name, pupil, student, member, contact, jina, "
        "jina la mwanafunzi, mwanafunzi, mteja",
        "ref": "Reference, customer reference, customer id, admission number, "
        "admission no, student number, member number, code, namba ya mwanafunzi",
        "tag": "Class, group, category, stream, darasa, kikundi",
        "parent": "Parent, parent name, guardian, mother, father, mzazi, mlezi",
        "phone": "Phone, phone number, mobile, customer phone, parent phone, simu, "
        "namba ya simu",
        "email": "Email, e-mail, mail, customer email, barua pepe",
        "purpose": "Purpose, bill, fee, kusudi, ada",
        "amount": "Amount, bill amount, amount asked, kiasi",
        "mode": "Mode, payment mode, njia",
    }
    _billpay_server_fields = BillpayImport._billpay_server_fields | {"company_id"}
    _needed = ("name",)
    _max_rows = MAX_LINES

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
        run.line_ids.create(
            [{"run_id": run.id, "row": row, **vals} for row, vals in rows]
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

    def _problem(self, text):
        return {"state": "problem", "error": text}

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

    def _lines_of_sheet(self):
        rows = self._read_rows()
        known = self._known_purposes()
        if "purpose" not in rows[0][1]:
            self._needed_purposes()
        first_rows, read = {}, []
        for number, cells in rows:
            values = self._read_row(cells, known)
            values["row"] = number
            same = self.env["billpay.run.line"]._identity_of(values)
            key = same, tuple(values["purposes"].ids)
            first = first_rows.setdefault(key, number)
            if first != number and not values.get("error"):
                text = self.env._("The same stands in row %s already.", first)
                values.update(self._problem(text))
            read.append(values)
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
                        why = self._problem(text)
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

    def _read_row(self, cells, known):
        """Return the values of a line, with the first problem of the row."""
        problems = []

        def parsed(reader, name):
            return self._parsed(problems, reader, cells, name)

        def text(value):
            return " ".join(check_value(value).split())

        name = parsed(text, "name") or ""
        if not name and not problems:
            problems.append(self.env._("The row has no name."))
        phone = parsed(read_phone, "phone") or ""
        if phone and not mobile_phone(phone):
            problems.append(
                self.env._(
                    "“%s” is no Tanzanian mobile number. Write it as 0712345678.", phone
                )
            )
        email = parsed(text, "email") or ""
        if is_placeholder(email):
            email = ""
        if email and "@" not in email:
            problems.append(self.env._("“%s” is no e-mail address.", email))
        amount = parsed(read_money, "amount")
        if amount is not None and amount != int(amount):
            problems.append(self.env._("A number asks for whole shillings."))
        purposes = self.purpose_ids
        if word := cells.get("purpose"):
            purposes = known.get(word_key(word), purposes.browse())
            if not purposes:
                names = sorted({purpose.name for purpose in known.values()})
                missing = self.env._(
                    "There is no purpose “%(word)s”. There are: %(known)s.",
                    word=word,
                    known=", ".join(names) or "–",
                )
                problems.append(missing)
        elif not purposes:
            problems.append(self.env._("The row says no purpose, and none is chosen."))
        mode = self.mode
        if word := cells.get("mode"):
            mode = find_word(word, MODES)
            if not mode:
                problems.append(self.env._("“%s” is neither “any” nor “exact”.", word))
        values = {
            "new_name": name,
            "new_ref": parsed(read_reference, "ref") or "",
            "new_tag": " ".join(cells.get("tag", "").split()),
            "new_parent": " ".join(cells.get("parent", "").split()),
            "new_phone": mobile_phone(phone) and "+%s" % mobile_phone(phone),
            "new_email": email,
            "amount": float(amount) if amount is not None else self.amount,
            "mode": mode,
            "purposes": purposes,
        }
        if problems:
            values.update(self._problem(problems[0]))
        return values

    def _match_contacts(self, read):
        """Find the contacts that rows mean: by reference, else by name and parent."""
        partners = self.env["res.partner"]
        by_ref = partners._billpay_find_same(
            "ref", reference_key, [v["new_ref"] for v in read], self.company_id
        )
        names = [v["new_name"] for v in read if not v["new_ref"]]
        by_name = partners._billpay_find_same("name", name_key, names, self.company_id)
        for values in read:
            if values.get("error"):
                continue
            if ref := values["new_ref"]:
                found = by_ref.get(reference_key(ref), partners)
                # Of 7 and 007 the one as it is written.
                found = found.filtered(lambda p, ref=ref: p.ref == ref) or found
            else:
                found = by_name.get(name_key(values["new_name"]), partners)
                found = self._narrowed(found, values)
            if problem := self._why_no_contact(found, values):
                values.update(self._problem(problem))
            else:
                values["partner_id"] = found.id

    def _why_no_contact(self, found, values):
        """Return why a row means no contact, known or to be made; "" if it does."""
        if len(found) > 1:
            return self.env._(
                "%(count)s contacts fit this row. Give it the reference of the right "
                "one.",
                count=len(found),
            )
        if found:
            other = found._billpay_other_identity(
                values["new_phone"], values["new_email"]
            )
            if not other or values["new_ref"]:
                return ""
            return self.env._(
                "%s Give the row the reference of the right contact, or what is known "
                "here.",
                other,
            )
        if not self.create_contacts:
            return self.env._(
                "No contact matches this name, and creating contacts is disabled."
            )
        if not values["new_phone"] and not values["new_email"]:
            return self.env._(
                "A new contact needs a phone number or an e-mail address: ClickPesa "
                "requires one of them."
            )
        return ""

    def _narrowed(self, found, values):
        """Tell namesakes apart by parent, phone or class."""
        if values["new_parent"]:
            parent = name_key(values["new_parent"])
            found = found.filtered(lambda p: name_key(p.parent_id.name) == parent)
        if len(found) > 1 and values["new_phone"]:
            phone = phone_key(values["new_phone"])
            fitting = found.filtered(
                lambda p: p._billpay_contact_values()["phone"] == phone
            )
            found = fitting or found
        if len(found) > 1 and values["new_tag"]:
            tag = word_key(values["new_tag"])
            fitting = found.filtered(
                lambda p: tag in map(word_key, p.category_id.mapped("name"))
            )
            found = fitting or found
        return found
