# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A company from the database template is the one a class would make."""

from odoo.models import BaseModel
from odoo.tests import tagged

from .company import CompanyCommon


@tagged("post_install", "-at_install")
class TestCompanyMade(CompanyCommon):
    """Any database will do, as with Odoo's own tests."""

    @classmethod
    def _stored_company(cls):
        return None

    @classmethod
    def setup_independent_user(cls):
        # Those of a stored company have the names.
        names = ("company_1_data", "Duka la Asha")
        for company in cls.env["res.company"].search([("name", "in", names)]):
            company.name += " (stored)"
        for user in cls.env["res.users"].search([("login", "like", "accountman")]):
            user.login += ".stored"
        cls.env.flush_all()
        return super().setup_independent_user()

    def test_class_makes_what_the_database_lacks(self):
        self.assertEqual(self.company.name, "Duka la Asha")
        self.assertEqual(self.company.currency_id, self.tzs)
        self.assertEqual(self.company.chart_template, "tz")
        self.assertEqual(self.env.company, self.company)

    def test_stored_company_has_everything(self):
        stored = CompanyCommon._stored_company()
        if not stored:
            # This database was not made by ./dev test: all classes make a company.
            return

        class Taking(CompanyCommon):
            env = self.env

        Taking._take_company(stored)
        self.assertNotEqual(Taking.company, self.company)
        self.assertEqual(Taking.env.company, Taking.company)
        self.assertEqual(Taking.env.user.group_ids, self.env.user.group_ids)
        self.assertEqual(Taking.env.context, self.env.context)
        self.assertEqual(self._described(Taking), self._described(type(self)))

    def _described(self, cls):
        """Return the records that a class has as attributes, by name."""
        values = {name: getattr(cls, name) for name in dir(cls)}
        values |= {f"data {name}": item for name, item in cls.company_data.items()}
        return {
            name: (value._name, value.mapped("display_name"))
            for name, value in values.items()
            # Companies were given other names above.
            if isinstance(value, BaseModel) and value._name != "res.company"
        }
