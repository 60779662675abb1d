# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Each rule finds what it is for, and lets the rest be."""

import pytest
import rules

CORE = "billpay_odoo/models"
OWNER = """
class Payment(models.Model):
    _name = "billpay.payment"
    state = fields.Selection([("posted", "Booked"), ("failed", "Not Booked")])
    attention = fields.Boolean()

    def _move_to(self, state, **extra):
        self.write({"state": state, "attention": False, "next_try_at": False})
"""
NUMBER = """
class Number(models.Model):
    _name = "billpay.control.number"
    state = fields.Selection([("open", "Open"), ("failed", "Refused")])

    def refuse(self):
        self.write({"state": "failed"})
"""


def test_model_in_two_files():
    sources = {
        f"{CORE}/a.py": "class A(models.Model):\n    _name = 'shop.bill'",
        f"{CORE}/b.py": "class B(models.Model):\n    _inherit = ['shop.bill']",
        f"{CORE}/c.py": "class C(models.Model):\n"
        "    _name = 'shop.other'\n    _inherit = ['shop.bill', 'mail.thread']",
        f"{CORE}/d.py": "class Plain:\n    pass",
        "billpay_odoo_pos/b.py": "class B(models.Model):\n    _inherit = 'shop.bill'",
    }
    [found] = rules.spread_models(sources)
    assert "shop.bill" in found
    assert f"{CORE}/a.py:1, {CORE}/b.py:1" in found


def test_long_class():
    body = "\n".join("    x = 1" for _line in range(9))
    sources = {"a.py": f"class A:\n{body}"}
    assert rules.long_classes(sources, 10) == []
    assert rules.long_classes(sources, 9) == ["a.py:1 A has 10 lines"]


def test_method_defined_twice():
    text = "class A:\n    def f(self): ...\n    def g(self): ...\n    def f(self): ..."
    assert rules.twice_defined({"a.py": text}) == ["a.py:4 A.f"]
    pair = "class A:\n    @property\n    def f(self): ...\n    @f.setter\n    "
    assert rules.twice_defined({"a.py": pair + "def f(self, x): ..."}) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("models/number/a.py", "from ..payment import b"),
        ("models/number/a.py", "from ..payment.b import C"),
        ("models/number/a.py", "from .. import provider, customer"),
        ("models/number/a.py", "from ...models.run import b"),
        ("models/run/a.py", "from ..books import b"),
        ("models/payment/a.py", "from ..books.b import C"),
        ("models/number/a.py", "from odoo.addons.billpay_odoo.models.bill import b"),
        ("models/number/a.py", "import odoo.addons.billpay_odoo.models.bill.b"),
        ("models/number/a.py", "def f():\n    from ..bill import b"),
        ("models/rest/a.py", "x = 1"),
        ("money.py", "from .models.payment import b"),
        ("clickpesa/client.py", "from ..models.provider import b"),
    ],
)
def test_import_upwards(name, line):
    assert rules.upward_imports({f"billpay_odoo/{name}": line})


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("models/number/a.py", "from ..provider import b"),
        ("models/number/a.py", "from .b import c\nfrom . import run"),
        ("models/number/a.py", "from ... import const, money"),
        ("models/number/a.py", "from odoo.addons.payment import const"),
        ("models/run/a.py", "from ..customer import b"),
        ("models/books/a.py", "from ..payment import b"),
        ("models/__init__.py", "from . import provider, run"),
        ("wizards/a.py", "from ..models.run import b"),
        ("__init__.py", "from . import models"),
        ("tests/a.py", "from ..models.run import b"),
    ],
)
def test_import_that_is_fine(name, line):
    assert rules.upward_imports({f"billpay_odoo/{name}": line}) == []


def standing(**files):
    sources = {rules.OWNER: OWNER, f"{CORE}/number/number.py": NUMBER}
    sources |= {
        f"{CORE}/{name.replace('__', '/')}.py": text for name, text in files.items()
    }
    return rules.standing_writers(sources)


@pytest.mark.parametrize(
    "line",
    [
        "p.write({'state': 'posted'})",
        "p.state = 'posted'",
        "values['state'] = 'posted'",
        "p.state = 'posted' if x else 'open'",
        "p.create(dict(state='posted'))",
        "p.attention = True",
        "p.attention, p.reason = True, ''",
        "p.write({'attention': True})",
        "values.setdefault('next_try_at', now)",
        "values.update(next_try_at=now)",
        "cr.execute('UPDATE billpay_payment SET next_try_at = NULL WHERE x')",
        "cr.execute(f'UPDATE billpay_payment p SET reason = 1, state = {x}')",
    ],
)
def test_writer_of_a_standing(line):
    assert len(standing(bill__a=line)) == 1
    assert len(standing(payment__a=line)) == 1


@pytest.mark.parametrize("line", ["p.state = 'failed'", "p.write({'state': x})"])
def test_state_in_a_file_about_payments(line):
    assert len(standing(payment__a=line)) == 1
    assert standing(number__a=line) == []
    assert standing(payment__billpay_event=line) == []


@pytest.mark.parametrize(
    "line",
    [
        "p._move_to('posted', False, next_try_at=now, attention=True)",
        "p.search([('state', '=', 'posted'), ('attention', '=', True)])",
        "p.filtered('attention')",
        "if p.state == 'posted': pass",
        "cr.execute('UPDATE billpay_payment SET reason = 1 WHERE state = 2')",
        "cr.execute('UPDATE billpay_payment_allocation SET state = 1')",
        "cr.execute('SELECT 1 FROM billpay_payment WHERE state = 2')",
    ],
)
def test_reading_a_standing_is_fine(line):
    assert standing(payment__a=line, bill__a=line) == []


def test_converter():
    line = "x = currency._convert(1, other)"
    assert rules.converters({"billpay_odoo/money.py": line}) == []
    assert rules.converters({f"{CORE}/a.py": line}) == [f"{CORE}/a.py:1 calls _convert"]


@pytest.mark.parametrize(
    "line",
    ["billpay_odoo_pos", "self.env['pos.order']", "<field ref='sale.order'/>"],
)
def test_core_that_names_its_glue(line):
    assert rules.glue_names({"billpay_odoo/x.xml": line})
    assert rules.glue_names({"billpay_odoo_pos/x.xml": line}) == []


def test_core_that_names_itself():
    assert (
        rules.glue_names({"billpay_odoo/x.py": "billpay_odoo.view payments pos"}) == []
    )


def test_words():
    assert rules.suppressions(
        {"a.py": "x  # pylint: disable=consider-merging-classes-inherited"}
    )
    dotted = {"a.py": "'odoo.addons.billpay_odoo.models.payment.x'"}
    assert rules.dotted_paths(dotted)
    assert rules.dotted_paths({"a.py": "'odoo.addons.billpay_odoo.money'"}) == []
