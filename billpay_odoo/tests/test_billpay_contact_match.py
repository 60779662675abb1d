# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Which contact a row means: evidence that contradicts is for a person."""

import itertools

from odoo.tests import TransactionCase, tagged


@tagged("post_install", "-at_install")
class TestContactMatch(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contacts = cls.env["res.partner"].with_context(tracking_disable=True)
        cls.mother = cls._contact("Neema Mushi", phone="0712 000 001")
        cls.asha = cls._contact("Asha Mushi", parent_id=cls.mother.id, type="other")
        cls.juma = cls._contact("Juma Ali", phone="0754 000 002", ref="0042")

    @classmethod
    def _contact(cls, name, **values):
        return cls.contacts.create({"name": name, **values})

    def _match(self, *rows, family=True):
        service = self.env["billpay.contact.match"]
        return service._match(list(rows), self.env.company, family=family)

    def assertMatch(self, row, verdict, partner=None, words="", family=True):
        (match,) = self._match(row, family=family)
        self.assertEqual(match.verdict, verdict, (row, match))
        self.assertIn(words, match.text)
        if partner is not None:
            self.assertEqual(match.partner, partner, (row, match))

    def assertKnown(self, row, partner, words="", family=True):
        self.assertMatch(row, "known", partner, words, family)

    def assertNew(self, row, family=True):
        self.assertMatch(row, "new", self.contacts, family=family)

    # === NAMES === #

    def test_a_name_however_it_is_written(self):
        ngombe = self._contact("Ng'ombe Ally")
        for name in ("NG’OMBE  ALLY", "Ng`ombe ally", "Ngâ€™ombe Ally", "Ng´ombe Álly"):
            self.assertKnown({"name": name}, ngombe, "name")

    def test_letters_of_every_script_are_letters(self):
        ali, fatma = map(self._contact, ("محمد علي", "فاطمة علي"))
        small, red = map(self._contact, ("王小明", "王小红"))
        self.assertKnown({"name": "مُحَمَّد  علي"}, ali)
        self.assertKnown({"name": "فاطمة علي"}, fatma)
        self.assertKnown({"name": "王小明"}, small)
        self.assertKnown({"name": "王小红"}, red)
        self.assertNew({"name": "王小"})

    def test_the_order_of_words_is_a_hint_only(self):
        self.assertMatch({"name": "Ali Juma"}, "looks_like", self.juma, "another order")
        self.assertMatch({"name": "ALI, Juma"}, "looks_like", self.juma)
        self.assertKnown(
            {"name": "Ali Juma", "phone": "0754000002"}, self.juma, "phone"
        )
        turned = self._contact("Ali Juma")
        self.assertKnown({"name": "Ali Juma"}, turned)
        self.assertKnown({"name": "Juma Ali"}, self.juma)

    def test_a_name_that_fits_and_a_phone_that_does_not(self):
        for family in (True, False):
            for phone in ("0755000111", "+255 (0) 755 000 111", "255755000111.0"):
                self.assertMatch(
                    {"name": "Juma Ali", "phone": phone},
                    "contradicts",
                    self.juma,
                    "another phone here, 0754 000 002",
                    family=family,
                )
        # The parent's phone is the pupil's.
        self.assertMatch(
            {"name": "Asha Mushi", "phone": "0755000111"},
            "contradicts",
            self.asha,
            "another phone here, 0712 000 001",
        )
        # One of two in the cell is enough.
        row = {"name": "Juma Ali", "phone": "0755000111 / 0754000002"}
        self.assertKnown(row, self.juma, "phone")

    def test_a_name_that_fits_and_an_address_that_does_not(self):
        rehema = self._contact("Rehema Said", email="Rehema@example.com")
        row = {"name": "REHEMA SAID", "email": "else@example.com"}
        self.assertMatch(row, "contradicts", rehema, "another e-mail address here")
        self.assertKnown({**row, "email": "rehema@EXAMPLE.com"}, rehema, "e-mail")
        self.assertKnown({**row, "email": ""}, rehema)
        rehema.phone = "0755000111"
        self.assertKnown({**row, "phone": "0755 000 111"}, rehema, "phone")

    def test_a_name_that_fits_and_a_parent_that_does_not(self):
        row = {"name": "Asha Mushi", "parent": "Rehema Said"}
        self.assertMatch(row, "contradicts", self.asha, "another parent here")
        self.assertKnown({**row, "parent": "NEEMA  MUSHI"}, self.asha, "parent")
        self.assertKnown({**row, "phone": "0712000001"}, self.asha, "phone")

    def test_namesakes_are_told_apart_or_asked_for(self):
        tag = self.env["res.partner.category"].create({"name": "Form 1"})
        other = self._contact("Juma Ali")
        self.assertMatch({"name": "Juma Ali"}, "looks_like", words="2 contacts fit")
        self.assertKnown({"name": "Juma Ali", "phone": "0754000002"}, self.juma)
        # That it is not the one says not that it is the other.
        row = {"name": "Juma Ali", "phone": "0755000111"}
        self.assertMatch(row, "looks_like", words="2 contacts fit")
        other.category_id = tag
        self.assertKnown({**row, "tag": "FORM 1"}, other, "class")
        other.phone = "0755000111"
        self.assertKnown(row, other)
        row["phone"] = "0766000111"
        self.assertMatch(row, "contradicts", words="another phone")

    def test_mother_and_daughter_of_one_name_are_two(self):
        mother = self._contact("Halima Said", phone="0712 111 222")
        daughter = self._contact("Halima Said", parent_id=mother.id, type="other")
        row = {"name": "Halima Said", "phone": "0712111222"}
        self.assertMatch(row, "looks_like", words="2 contacts fit")
        self.assertKnown({**row, "parent": "Halima Said"}, daughter)
        self.assertKnown(row, mother, family=False)
        daughter.unlink()
        # The row's pupil is not its own mother.
        self.assertNew({**row, "parent": "Halima Said"})

    def test_of_a_company_and_its_contacts_the_company_is_meant(self):
        company = self._contact("Duka Kuu", is_company=True, email="duka@example.com")
        self._contact("Duka Kuu", parent_id=company.id)
        self._contact("Bursar", parent_id=company.id, email="duka@example.com")
        self.assertKnown({"name": "DUKA KUU"}, company, family=False)
        self.assertKnown({"email": "Duka@example.com"}, company, family=False)

    # === REFERENCES === #

    def test_a_reference_however_it_is_written(self):
        for ref, name in itertools.product(
            ("0042", "42", "42.0", " 00 42", "٤٢"), ("Juma Ali", "JUMA A.", "Juma", "")
        ):
            self.assertKnown({"ref": ref, "name": name}, self.juma, "reference")
        # A new phone of somebody known by two things.
        row = {"ref": "42", "name": "Juma Ali", "phone": "0755000111"}
        self.assertKnown(row, self.juma)

    def test_a_reference_that_fits_and_a_name_that_does_not(self):
        row = {"ref": "42", "name": "Rehema Said"}
        self.assertMatch(row, "contradicts", self.juma, "42 is Juma Ali here")
        self.assertMatch({**row, "name": "Neema Mushi"}, "contradicts", self.juma)
        self.assertMatch({**row, "name": "Jumma Ali"}, "looks_like", self.juma)
        # A child carries its father's names behind its own.
        self.assertMatch({**row, "name": "Said Juma Ali"}, "looks_like", self.juma)

    def test_a_reference_alone_against_a_phone(self):
        row = {"ref": "42", "phone": "0755000111"}
        self.assertMatch(row, "contradicts", self.juma, "another phone")
        self.assertKnown({**row, "phone": "0754000002"}, self.juma)

    def test_a_reference_of_one_and_a_phone_of_a_namesake(self):
        self._contact("Juma Ali", phone="0755000111", ref="77")
        row = {"ref": "42", "name": "Juma Ali", "phone": "0755000111"}
        self.assertMatch(row, "contradicts", self.juma, "the phone that of")

    def test_who_has_another_reference_is_another(self):
        row = {"ref": "43", "name": "Juma Ali"}
        self.assertNew(row)
        self.assertMatch(
            row, "contradicts", self.juma, "another reference here, 0042", family=False
        )
        # The same name and phone, though.
        row["phone"] = "0754000002"
        self.assertMatch(row, "looks_like", self.juma, "another reference")

    def test_a_contact_without_reference(self):
        amina = self._contact("Amina Said")
        row = {"ref": "S-9", "name": "Amina Said"}
        self.assertMatch(row, "looks_like", amina, "no reference here")
        amina.phone = "0755000111"
        self.assertKnown({**row, "phone": "0755000111"}, amina)

    def test_of_two_references_the_one_as_it_is_written(self):
        seven, agent = (
            self._contact(name, ref=ref)
            for name, ref in (("Amina Said", "7"), ("Bakari Said", "007"))
        )
        self.assertKnown({"ref": "007", "name": "Bakari"}, agent)
        self.assertKnown({"ref": "7", "name": "Amina"}, seven)
        self.assertKnown({"ref": "0007", "name": "Amina"}, seven)
        self.assertMatch({"ref": "0007"}, "looks_like", words="2 contacts fit")

    # === PHONES === #

    def test_siblings_share_a_phone(self):
        row = {"phone": "0712000001", "parent": "Neema Mushi"}
        self.assertKnown({**row, "name": "Asha Mushi"}, self.asha)
        self.assertNew({**row, "name": "Baraka Mushi"})
        self.assertMatch(
            {**row, "name": "Asha Mushi Juma"}, "looks_like", self.asha, "this phone"
        )
        # The father's names stand behind the child's own.
        self._contact("Said Omari", phone="0788000001")
        self.assertNew({"name": "Zuhura Said Omari", "phone": "0788000001"})

    def test_a_phone_whose_owner_has_another_name(self):
        row = {"name": "Rehema Said", "phone": "0754000002"}
        self.assertMatch(row, "looks_like", self.juma, "has this phone", family=False)
        self.assertNew(row)

    def test_no_name_at_all(self):
        self.assertKnown(
            {"phone": "+255 754 000 002"}, self.juma, "phone", family=False
        )
        self.assertNew({"phone": "0799000002"}, family=False)
        self.assertNew({}, family=False)
        self._contact("Rehema Said", email="rehema@example.com")
        row = {"phone": "0754000002", "email": "rehema@example.com"}
        self.assertMatch(row, "contradicts", words="different customers", family=False)

    def test_placeholders_say_nothing(self):
        row = {"name": "Juma Ali", "phone": "HANA", "ref": "-", "email": "N/A"}
        self.assertKnown({**row, "parent": ""}, self.juma)
        self.assertKnown({**row, "phone": "0700000000"}, self.juma)
        hana = self._contact("Hana")
        self.assertKnown({"name": "HANA"}, hana)

    # === ROWS OF ONE FILE === #

    def test_rows_of_one_file_that_mean_the_same(self):
        rows = [
            {"row": 2, "name": "Zuhura Omari", "phone": "0711000001"},
            {"row": 3, "name": "ZUHURA  OMARI", "phone": "+255 711 000 001"},
            {"row": 4, "name": "Omari Zuhura", "phone": "0711000001"},
            {"row": 5, "name": "Zuhura Omari", "phone": "0711000002"},
            {"row": 6, "name": "Zuhura Omari", "phone": "0711000001", "what": (1,)},
            {"row": 7, "name": "Juma Ali", "phone": "0754000002"},
            {"row": 8, "name": "Juma Ali", "ref": "42"},
        ]
        matches = self._match(*rows)
        self.assertEqual(
            [match.verdict for match in matches],
            "new same_as looks_like new new known same_as".split(),
        )
        self.assertIn("row 2", matches[1].text)
        self.assertIn("Row 2", matches[2].text)
        self.assertIn("row 7", matches[6].text)

    def test_one_reference_for_two_names(self):
        matches = self._match(
            {"row": 2, "name": "Zuhura Omari", "ref": "F-1", "phone": "0711000001"},
            {"row": 3, "name": "Baraka Omari", "ref": "f-1", "phone": "0711000001"},
            {"row": 4, "name": "Said Omari", "ref": "F-2", "phone": "0711000001"},
        )
        self.assertEqual(
            [match.verdict for match in matches], ["contradicts", "contradicts", "new"]
        )
        self.assertIn("Row 3 has the same reference", matches[0].text)
        self.assertIn("Row 2 has the same reference", matches[1].text)

    # === WHOSE CONTACTS === #

    def test_only_contacts_of_the_company_that_are_active(self):
        other = self.env["res.company"].create({"name": "Elsewhere"})
        self.juma.company_id = other
        self.assertNew({"name": "Juma Ali"})
        self.juma.company_id = self.env.company
        self.assertKnown({"name": "Juma Ali"}, self.juma)
        self.juma.active = False
        self.assertNew({"name": "Juma Ali", "ref": "42"})

    def test_many_rows_are_few_queries(self):
        rows = [{"name": f"Pupil {n}", "phone": "0712000001"} for n in range(200)]
        for row in rows[:100]:
            self._contact(row["name"], parent_id=self.mother.id, type="other")
        self.env.flush_all()
        self.env.invalidate_all()
        with self.assertQueryCount(12):
            matches = self._match(*rows)
        verdicts = [match.verdict for match in matches]
        self.assertEqual(verdicts.count("known"), 100)
