# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which contact a row of a file means. One rule for all imports.

Evidence that contradicts is never overruled: where the name fits and the phone does
not, or the reference does and the name does not, a person chooses.
"""

from collections import defaultdict, namedtuple

from odoo import models
from odoo.fields import Domain
from odoo.tools import SQL, format_list

from ..identity import email_key, name_words, phone_keys, reference_key, word_key
from ..likeness import name_likeness

# ``partner``: the one that is meant, or that a person may mean. ``verdict``: "known",
# "new", "looks_like", "contradicts" or "same_as". ``text``: by what it is known, or the
# sentence that says what is doubtful.
Match = namedtuple("Match", "partner verdict text")

# What a row says, and what is known of a contact, as keys.
_Said = namedtuple("_Said", "words hint ref phones emails parent tag")
_Known = namedtuple("_Known", "words hint ref phones emails family parent tags")
# Names that are so alike may be one name, mistyped.
_NEARLY = 0.85
_FIELDS = ("ref", "hint", "phones", "emails")


class BillpayContactMatch(models.AbstractModel):
    """Find the contacts that rows of a file mean."""

    _name = "billpay.contact.match"
    _description = "Contacts That Rows of a File Mean"

    def _match(self, rows, company, family=False):
        """Return a :class:`Match` for each row.

        :param rows: dicts with any of ``ref``, ``name``, ``parent``, ``phone``,
            ``email`` and ``tag``. Those with ``row``, their number in the file, are
            held against each other too; ``what`` says what a row asks for: the same
            contact may stand in two rows that ask for different things.
        :param bool family: phone and e-mail address may be a parent's, of whom each
            child has another name
        """
        said = [_said(row) for row in rows]
        found = self._find(said, company, family)
        matches = [
            self._match_row(row, what, found, family)
            for row, what in zip(rows, said, strict=True)
        ]
        # Thousands of rows are known by the same.
        known = {match.text for match in matches if match.verdict == "known"}
        by = {names: self._by(names) for names in known}
        matches = [
            match._replace(text=by[match.text]) if match.verdict == "known" else match
            for match in matches
        ]
        return self._among_rows(rows, said, matches)

    # === WHO IS THERE === #

    def _find(self, said, company, family):
        """Return ``{field: {key: contacts}}`` of a company's active contacts.

        A parent's phone finds the children too.
        """
        wanted = {name: set() for name in _FIELDS}
        for what in said:
            wanted["phones"] |= what.phones
            wanted["emails"] |= what.emails
            wanted["ref"].add(what.ref)
            wanted["hint"].add(what.hint)
        keys = {name: defaultdict(set) for name in _FIELDS}
        partners = self.env["res.partner"]
        partners.flush_model(["name", "ref", "phone", "email_normalized", "active"])
        rows = self.env.execute_query(
            SQL(
                "SELECT id, ref, name, phone, email_normalized FROM res_partner"
                " WHERE active AND name IS NOT NULL"
            )
        )
        has = {name: bool(texts - {""}) for name, texts in wanted.items()}
        for partner_id, ref, name, phone, email in rows:
            theirs = {
                "ref": {reference_key(ref)} if ref and has["ref"] else (),
                "hint": {_hint(name_words(name))} if has["hint"] else (),
                "phones": _phone_keys(phone) if phone and has["phones"] else (),
                "emails": {email_key(email)} if email and has["emails"] else (),
            }
            for field, texts in theirs.items():
                for text in texts:
                    if text and text in wanted[field]:
                        keys[field][text].add(partner_id)
        # Through the ORM, which knows whom this user may see; read at once.
        ids = {i for texts in keys.values() for found in texts.values() for i in found}
        fields = ["name", "ref", "phone", "email", "parent_id", "category_id"]
        companies = Domain("company_id", "in", [False, *company.parent_ids.ids])
        seen = partners.search_fetch(companies & Domain("id", "in", list(ids)), fields)
        if family:
            below = companies & Domain("parent_id", "in", seen.ids)
            children = partners.search_fetch(below, fields).grouped("parent_id")
            for name in ("phones", "emails"):
                for found in keys[name].values():
                    for parent in partners.browse(found):
                        found.update(children.get(parent, partners).ids)
            seen = seen.union(*children.values())
        (seen | seen.parent_id).fetch([*fields, "commercial_partner_id", "is_company"])
        allowed = set(seen.ids)
        return {
            field: {
                text: partners.browse(sorted(found & allowed))
                for text, found in texts.items()
            }
            for field, texts in keys.items()
        }

    def _known(self, partner):
        """Return the keys of what is known of a contact."""
        parent = partner.parent_id
        words = name_words(partner.name)
        own_phones, own_emails = _phone_keys(partner.phone), _email_keys(partner.email)
        # The parent's phone and address are a pupil's too.
        family = (
            own_phones | _phone_keys(parent.phone),
            own_emails | _email_keys(parent.email),
        )
        return _Known(
            words,
            _hint(words),
            reference_key(partner.ref),
            own_phones,
            own_emails,
            family,
            _hint(name_words(parent.name)),
            {word_key(tag.name) for tag in partner.category_id},
        )

    # === ONE ROW === #

    def _match_row(self, row, said, found, family):
        nobody = self.env["res.partner"]
        hits = {
            name: found[name].get(getattr(said, name), nobody)
            for name in ("ref", "hint")
        }
        for name in ("phones", "emails"):
            sets = (found[name].get(key, nobody) for key in getattr(said, name))
            hits[name] = nobody.union(*sets)
        if hits["ref"]:
            return self._by_reference(row, said, hits, family)
        if match := hits["hint"] and self._by_name(row, said, hits["hint"], family):
            return match
        return self._by_phone(said, hits, family)

    def _by_reference(self, row, said, hits, family):
        found = hits["ref"]
        # Of 7 and 007 the one as it is written.
        found = found.filtered(lambda p: p.ref == row["ref"]) or found
        if said.words:
            named = found.filtered(lambda p: _agree(said.words, name_words(p.name)))
            if not named:
                return self._other_name(row, said, found[0])
            found = found & hits["hint"] or named
        if len(found) > 1:
            return self._several(found)
        if not said.words:
            # A reference alone, against a phone.
            if against := self._against(said, self._known(found), found):
                return Match(found, "contradicts", against)
            return Match(found, "known", ("ref",))
        owners = hits["hint"] & hits["phones"]
        is_other = owners and found not in owners
        if is_other and not said.phones & self._known(found).family[0]:
            return Match(
                found,
                "contradicts",
                self.env._(
                    "The reference is that of %(one)s, the phone that of %(other)s.",
                    one=self._title(found),
                    other=self._title(owners[0]),
                ),
            )
        return Match(found, "known", ("ref", "name"))

    def _other_name(self, row, said, partner):
        nearly = name_likeness(row["name"], partner.name) >= _NEARLY
        shared = set(said.words) & set(name_words(partner.name))
        return Match(
            partner,
            "looks_like" if nearly or len(shared) > 1 else "contradicts",
            self.env._(
                "Reference and name mean different customers: %(ref)s is %(contact)s "
                "here.",
                ref=row["ref"],
                contact=partner.display_name,
            ),
        )

    def _by_name(self, row, said, found, family):
        """Return the match of contacts with these names, ``None`` if none is meant."""
        known = {partner: self._known(partner) for partner in found}
        if family and said.parent == said.hint:
            # Of one name, the parent is the one without parent.
            found = found.filtered("parent_id")
        others = found.filtered(lambda p: said.ref and known[p].ref)
        agreeing = {p: self._agreeing(said, known[p], family) for p in found}
        if others:
            # Whoever has another reference is another one.
            if near := next((p for p in others if agreeing[p]), None):
                return Match(near, "looks_like", self._other_reference(near))
            found -= others
            if not found and not family:
                return Match(others[0], "contradicts", self._other_reference(others[0]))
        if not found:
            return None
        # A phone or address that agrees is enough; the name of a parent is not.
        reached = {"phone", "email"}
        against = {
            p: "" if agreeing[p] & reached else self._against(said, known[p], p)
            for p in found
        }
        strong = found.filtered(lambda p: agreeing[p] and not against[p])
        fitting = strong or found.filtered(lambda p: not against[p])
        if not fitting:
            return Match(found[0], "contradicts", against[found[0]])
        meant = self._narrowed(said, fitting, known, agreeing, family)
        if len(meant) > 1:
            return self._several(meant)
        by = agreeing[meant] | ({"tag"} if said.tag in known[meant].tags else set())
        if not by and len(fitting) < len(found):
            # The others are out by their phones, and nothing speaks for this one.
            return self._several(found)
        if known[meant].words != said.words and not by & {"phone", "email"}:
            text = self.env._("%s has the same names in another order.", meant.name)
            return Match(meant, "looks_like", text)
        if said.ref and not by:
            return Match(
                meant,
                "looks_like",
                self.env._(
                    "%s has no reference here, and no phone says that it is the same.",
                    meant.display_name,
                ),
            )
        return Match(meant, "known", ("name", *sorted(by)))

    def _narrowed(self, said, found, known, agreeing, family):
        """Tell namesakes apart by the order of their words, by what agrees, by class;
        of a company and its contacts, the company is meant."""
        most = max(len(agreeing[p]) for p in found)
        steps = [
            lambda p: known[p].words == said.words,
            lambda p: len(agreeing[p]) == most,
            lambda p: said.tag in known[p].tags,
        ]
        if not family:
            steps.append(lambda p: said.phones & known[p].phones)
            steps.append(lambda p: said.emails & known[p].emails)
        for step in steps:
            found = found.filtered(step) or found
        return self._company_of(found)

    def _company_of(self, found):
        """Parents and children of one name are different people; a company and its
        contacts are not."""
        company = found.commercial_partner_id
        is_one = len(company) == 1 and company.is_company and company in found
        return company if is_one else found

    def _by_phone(self, said, hits, family):
        """A phone may be the parent's, of which each child has another name."""
        nobody, by_phone, by_email = (
            self.env["res.partner"],
            hits["phones"],
            hits["emails"],
        )
        owners = by_phone | by_email
        if said.words:
            name = " ".join(said.words)
            near = owners.filtered(
                lambda p: (
                    not (said.ref and p.ref)
                    and not (family and _hint(name_words(p.name)) == said.parent)
                    and _nearly(name, p.name)
                )
            )
            if near or owners and not family:
                near = (near or owners)[0]
                text = self.env._(
                    "%s has this phone or e-mail address.", near.display_name
                )
                return Match(near, "looks_like", text)
            return Match(nobody, "new", "")
        if by_phone and by_email and not by_phone & by_email:
            text = self.env._("Phone and e-mail address mean different customers.")
            return Match(by_phone[0], "contradicts", text)
        found = self._company_of(by_phone & by_email or owners)
        if len(found) > 1:
            return self._several(found)
        if not found:
            return Match(nobody, "new", "")
        by = (name for name in ("phone", "email") if hits[name + "s"])
        return Match(found, "known", tuple(by))

    # === EVIDENCE === #

    def _agreeing(self, said, known, family):
        """Return what says, besides the name, that a contact is the one."""
        phones_of, emails_of = known.family
        said_so = {
            "phone": said.phones & phones_of,
            "email": said.emails & emails_of,
            "parent": family and said.parent and said.parent == known.parent,
        }
        return {name for name, agrees in said_so.items() if agrees}

    def _against(self, said, known, partner):
        """Return the sentence why a contact is not the one that a row means, or "".

        Where either side knows none, nothing contradicts.
        """
        phones_of, emails_of = known.family
        parent, name = partner.parent_id, partner.display_name
        if said.phones and phones_of and not said.phones & phones_of:
            return self.env._(
                "%(contact)s has another phone here, %(phone)s.",
                contact=name,
                phone=partner.phone or parent.phone,
            )
        if said.emails and emails_of and not said.emails & emails_of:
            return self.env._(
                "%(contact)s has another e-mail address here, %(email)s.",
                contact=name,
                email=partner.email or parent.email,
            )
        if said.parent and known.parent and said.parent != known.parent:
            return self.env._(
                "%(contact)s has another parent here, %(parent)s.",
                contact=partner.name,
                parent=parent.name,
            )
        return ""

    def _other_reference(self, partner):
        return self.env._(
            "%(contact)s has another reference here, %(ref)s.",
            contact=partner.display_name,
            ref=partner.ref,
        )

    def _several(self, found):
        text = self.env._("%s contacts fit this row.", len(found))
        return Match(found[0], "looks_like", text)

    def _by(self, names):
        """Return by what contacts are known, in words."""
        words = {
            "ref": self.env._("reference"),
            "name": self.env._("name"),
            "phone": self.env._("phone"),
            "email": self.env._("e-mail"),
            "parent": self.env._("parent"),
            "tag": self.env._("class"),
        }
        return format_list(
            self.env, [word for name, word in words.items() if name in names]
        )

    def _title(self, partner):
        return " ".join(filter(None, (partner.display_name, partner.ref)))

    # === ROWS OF ONE FILE === #

    def _among_rows(self, rows, said, matches):
        """Return the matches, rows that mean the same or contradict each other told."""
        first, first_words, partners, result = {}, {}, {}, list(matches)
        for place, (row, what) in enumerate(zip(rows, said, strict=True)):
            if not row.get("row"):
                continue
            partner = matches[place].partner
            if what.ref:
                other = first_words.setdefault(what.ref, place)
                if not _agree(what.words, said[other].words):
                    for one, two in ((place, other), (other, place)):
                        # Whoever is known by both is not in doubt.
                        if matches[one].verdict == "new":
                            result[one] = self._two_of_one_reference(rows, one, two)
                    continue
            who = what.ref or (what.words and " ".join(what.words), *_reached(what))
            asked = row.get("what")
            same = first.setdefault((who, asked), place)
            if same == place and matches[place].verdict == "known":
                same = partners.setdefault((partner.id, asked), place)
            if same != place:
                text = self.env._(
                    "The same stands in row %s already.", rows[same]["row"]
                )
                result[place] = Match(partner, "same_as", text)
            elif matches[place].verdict == "new" and not what.ref:
                # The order of words is a hint only.
                turned = ("hint", what.hint, *_reached(what))
                other = first.setdefault((turned, asked), place)
                if other != place:
                    text = self.env._(
                        "Row %s has the same names in another order.",
                        rows[other]["row"],
                    )
                    result[place] = Match(partner, "looks_like", text)
        return result

    def _two_of_one_reference(self, rows, one, two):
        text = self.env._(
            "Row %(row)s has the same reference and another name, %(name)s.",
            row=rows[two]["row"],
            name=rows[two].get("name") or "–",
        )
        return Match(self.env["res.partner"], "contradicts", text)


def _said(row):
    words = name_words(row.get("name"))
    return _Said(
        words,
        _hint(words),
        reference_key(row.get("ref")),
        _phone_keys(row.get("phone")),
        _email_keys(row.get("email")),
        _hint(name_words(row.get("parent"))),
        word_key(row.get("tag")),
    )


def _reached(said):
    """Return what tells rows of one name apart."""
    return said.parent, frozenset(said.phones or said.emails), said.tag


def _hint(words):
    return " ".join(sorted(words))


def _phone_keys(text):
    return set(phone_keys(text)) if text else set()


def _email_keys(text):
    return {email_key(text)} - {""} if text else set()


def _agree(one, other):
    """Tell whether two names may be one, written in full and not: ``Amina S.``.

    Either may be missing. The first words agree: children carry their father's name
    behind their own.
    """
    if not one or not other or sorted(one) == sorted(other):
        return True
    shorter, longer = sorted((one, other), key=len)
    rest = iter(longer)
    if not _is_word(shorter[0], longer[0]):
        return False
    return all(any(_is_word(word, other) for other in rest) for word in shorter)


def _is_word(one, other):
    short, long = sorted((one, other), key=len)
    return one == other or len(short) == 1 and long.startswith(short)


def _nearly(one, other):
    """Tell whether two names of one phone may be one name."""
    ours, theirs = name_words(one), name_words(other)
    if min(len(ours), len(theirs)) < 2:
        return False
    if _agree(ours, theirs):
        return True
    same_length = len(ours) == len(theirs)
    return same_length and name_likeness(one, other) >= _NEARLY
