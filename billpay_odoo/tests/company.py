# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The Tanzanian company of the tests, made once per database or once per class.

A chart of accounts takes seconds. ``./dev test`` commits the company to the database
template (:func:`store`), and every test class takes it from there. In any other
database the class makes it, as Odoo's own tests do.
"""

import json
from unittest.mock import patch

from odoo import SUPERUSER_ID
from odoo.models import BaseModel
from odoo.modules.registry import Registry
from odoo.tests import TransactionCase
from odoo.tests.common import get_db_name

from odoo.addons.account.tests.common import AccountTestInvoicingCommon
from odoo.addons.base.tests.common import BaseCommon

PARAMETER = "billpay_odoo.test_company"


class CompanyCommon(AccountTestInvoicingCommon):
    """Everything of ``AccountTestInvoicingCommon``, and a company in Tanzania."""

    @classmethod
    def setUpClass(cls):
        stored = cls._stored_company()
        if stored:
            # The transaction, and the server of an HTTP test: nothing is created.
            super(BaseCommon, cls).setUpClass()
            cls._take_company(stored)
        else:
            super().setUpClass()
            cls._make_company()

    @classmethod
    def _stored_company(cls):
        with Registry(get_db_name()).cursor() as cr:
            cr.execute(
                "SELECT value FROM ir_config_parameter WHERE key = %s", [PARAMETER]
            )
            return cr.rowcount and cr.fetchone()[0]

    @classmethod
    def _make_company(cls):
        cls.tzs = cls.env.ref("base.TZS")
        cls.tzs.active = True
        # Rules about shillings hold for a company that keeps its books in them.
        cls.company_data = cls.setup_other_company(
            name="Duka la Asha",
            currency_id=cls.tzs.id,
            country_id=cls.env.ref("base.tz").id,
        )
        cls.company = cls.company_data["company"]
        cls.env.user.company_id = cls.company

    @classmethod
    def _take_company(cls, text):
        """Set the attributes that making the company has set elsewhere."""
        stored = json.loads(text)
        user, context = stored.pop("env")
        cls.env = cls.env(user=user, context=context)
        for name, (kind, value) in stored.items():
            setattr(cls, name, cls._from_stored(kind, value))

    @classmethod
    def _from_stored(cls, kind, value):
        if kind == "plain":
            return value
        if kind == "dict":
            return {key: cls._from_stored(*item) for key, item in value.items()}
        return cls.env[kind].browse(value)


def store(env):
    """Commit the company to this database, for all test classes to come.

    :param env: an environment of this database
    """
    # As a test begins: without the language and time zone of a user.
    env = env(user=SUPERUSER_ID, context={})

    class Making(CompanyCommon):
        pass

    known = set(vars(Making))

    def use(cls):
        cls.env = env

    with patch.object(TransactionCase, "setUpClass", classmethod(use)):
        super(CompanyCommon, Making).setUpClass()
        Making._make_company()
    made = {name: item for name, item in vars(Making).items() if name not in known}
    test_env = made.pop("env")
    stored = {name: _kept(item) for name, item in made.items()}
    stored["env"] = (test_env.uid, dict(test_env.context))
    env["ir.config_parameter"].set_param(PARAMETER, json.dumps(stored))
    env.cr.commit()


def _kept(item):
    if isinstance(item, BaseModel):
        return item._name, item.ids
    if isinstance(item, dict):
        return "dict", {key: _kept(value) for key, value in item.items()}
    return "plain", item
