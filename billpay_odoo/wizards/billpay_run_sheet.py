# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A bulk run of the rows of a spreadsheet: whom each row means, and what is wrong."""

from odoo import models

from ..identity import (
    is_placeholder,
    mobile_phone,
    name_key,
    phone_key,
    reference_key,
    word_key,
)
from ..spreadsheet import (
    check_value,
    read_money,
    read_phone,
    read_reference,
)

_MODES = {
    word_key(word): mode
    for mode, words in {
        "exact": ("exact", "full", "exact amount", "kamili"),
        "flexible": ("flexible", "any", "any amount", "partial", "chochote"),
    }.items()
    for word in words
}


class BillpayRunWizard(models.TransientModel):
    _inherit = "billpay.run.wizard"

    # === SPREADSHEET === #

    def _lines_of_sheet(self):
        sheet, columns = self._read_sheet()
        rows = [
            (number, {field: cells[index] for field, index in columns.items()})
            for number, cells in sheet.rows
        ]
        known = self._known_purposes()
        if "purpose" not in columns:
            self._needed_purposes()
        first_rows, read = {}, []
        for number, cells in rows:
            values = self._read_row(cells, known)
            values["row"] = number
            key = self._row_key(values)
            first = first_rows.setdefault(key, number)
            if first != number and not values.get("error"):
                values.update(
                    self._problem(
                        self.env._("The same stands in row %s already.", first)
                    )
                )
            read.append(values)
        self._match_contacts(read)
        problems = (
            self.env["res.partner"]
            .browse({v["partner_id"] for v in read if v.get("partner_id")})
            ._billpay_contact_problems()
        )
        living = self._living(self.env["res.partner"].union(*problems))
        lines, taken = [], {}
        for values in read:
            purposes = values.pop("purposes")
            for purpose in purposes or self.env["billpay.purpose"].browse([False]):
                line = {**values, "purpose_id": purpose.id}
                partner = self.env["res.partner"].browse(values.get("partner_id"))
                if partner and not line.get("error"):
                    line.update(
                        self._why_not_customer(partner, purpose, problems, living)
                    )
                if partner and not line.get("error"):
                    row = taken.setdefault((partner, purpose), line["row"])
                    if row != line["row"]:
                        line.update(
                            self._problem(
                                self.env._(
                                    "%(contact)s is in row %(row)s already.",
                                    contact=partner.display_name,
                                    row=row,
                                )
                            )
                        )
                lines.append(line)
        return self.filename or self.env._("Spreadsheet"), lines

    def _known_purposes(self):
        purposes = self.env["billpay.purpose"].search(
            [("company_id", "=", self.company_id.id)]
        )
        return {
            word_key(purpose.with_context(lang=lang).name): purpose
            for purpose in purposes
            for lang, _name in self.env["res.lang"].get_installed()
        }

    def _row_key(self, values):
        """What makes two rows the same: the reference, else name, class and parent."""
        purposes = tuple(values["purposes"].ids)
        if values["new_ref"]:
            return ("ref", reference_key(values["new_ref"]), purposes)
        return (
            name_key(values["new_name"]),
            word_key(values["new_tag"]),
            name_key(values["new_parent"]),
            phone_key(values["new_phone"]),
            purposes,
        )

    def _read_row(self, cells, known):
        """Return the values of a line, with the first problem of the row."""
        problems = []

        def parsed(reader, name):
            value, problem = self._parsed(reader, cells, name)
            if problem:
                problems.append(problem)
            return value

        def text(value):
            return " ".join(value.split())

        name = parsed(lambda value: text(check_value(value)), "name") or ""
        if not name and not problems:
            problems.append(self.env._("The row has no name."))
        phone = parsed(read_phone, "phone") or ""
        if phone and not mobile_phone(phone):
            problems.append(
                self.env._(
                    "“%s” is no Tanzanian mobile number. Write it as 0712345678.", phone
                )
            )
        email = parsed(lambda value: text(check_value(value)), "email") or ""
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
                problems.append(
                    self.env._(
                        "There is no purpose “%(word)s”. There are: %(known)s.",
                        word=word,
                        known=", ".join(
                            sorted({purpose.name for purpose in known.values()})
                        )
                        or "–",
                    )
                )
        elif not purposes:
            problems.append(self.env._("The row says no purpose, and none is chosen."))
        mode = self.mode
        if word := cells.get("mode"):
            mode = _MODES.get(word_key(word))
            if not mode:
                problems.append(self.env._("“%s” is neither “any” nor “exact”.", word))
        values = {
            "new_name": name,
            "new_ref": parsed(read_reference, "ref") or "",
            "new_tag": text(cells.get("tag", "")),
            "new_parent": text(cells.get("parent", "")),
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
            if values["new_ref"]:
                ref = values["new_ref"]
                found = by_ref.get(reference_key(ref), partners)
                # Of 7 and 007 the one as it is written.
                found = found.filtered(lambda p, ref=ref: p.ref == ref) or found
            else:
                found = by_name.get(name_key(values["new_name"]), partners)
                found = self._narrowed(found, values)
            if len(found) > 1:
                values.update(
                    self._problem(
                        self.env._(
                            "%(count)s contacts fit this row. Give it the reference "
                            "of the right one.",
                            count=len(found),
                        )
                    )
                )
            elif (
                found
                and not values["new_ref"]
                and (other := found._billpay_other_phone(values["new_phone"]))
            ):
                values.update(
                    self._problem(
                        self.env._(
                            "%(contact)s has another phone here, %(phone)s. Give the "
                            "row the reference of the right contact, or the phone that "
                            "is known here.",
                            contact=found.display_name,
                            phone=other,
                        )
                    )
                )
            elif found:
                values["partner_id"] = found.id
            elif not self.create_contacts:
                values.update(
                    self._problem(
                        self.env._(
                            "No contact of this name is known, and new ones are not "
                            "to be made."
                        )
                    )
                )
            elif not values["new_phone"] and not values["new_email"]:
                values.update(
                    self._problem(
                        self.env._(
                            "A new contact needs a phone number or an e-mail address: "
                            "ClickPesa asks for one of them."
                        )
                    )
                )

    def _narrowed(self, found, values):
        """Tell namesakes apart by parent, phone or class."""
        if values["new_parent"]:
            parent = name_key(values["new_parent"])
            found = found.filtered(lambda p: name_key(p.parent_id.name) == parent)
        if len(found) > 1 and values["new_phone"]:
            phone = phone_key(values["new_phone"])
            found = (
                found.filtered(lambda p: p._billpay_contact_values()["phone"] == phone)
                or found
            )
        if len(found) > 1 and values["new_tag"]:
            found = (
                found.filtered(
                    lambda p: (
                        word_key(values["new_tag"])
                        in map(word_key, p.category_id.mapped("name"))
                    )
                )
                or found
            )
        return found
