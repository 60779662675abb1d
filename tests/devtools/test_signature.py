# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A database template is made anew when what is stored changes, and not else."""

import textwrap

import pytest

from devtools import paths, signature

ADDON = "shop"
FILES = {
    "__manifest__.py": '{"name": "Shop", "post_init_hook": "after"}',
    "__init__.py": """
        from . import models

        def after(env):
            '''Greet.'''
            env["shop.bill"].create({"name": GREETING})
    """,
    "const.py": """
        GREETING = "Karibu"
        PATIENCE = 60
        OPEN = ("draft", "sent")
        MODES = [("exact", "Exactly"), ("open", "Any amount")]
        USUAL = "exact"

        def usual():
            return USUAL
    """,
    "models/__init__.py": "from . import bill",
    "models/bill.py": """
        from odoo import api, fields, models
        from ..const import MODES as _MODES, OPEN, PATIENCE, usual

        class Bill(models.Model):
            '''A bill.'''

            _name = "shop.bill"
            _order = "id desc"

            name = fields.Char(default=lambda self: self._usual_name())
            mode = fields.Selection(selection=_MODES, default=lambda self: usual())
            total = fields.Float(compute="_compute_total", store=True)

            _living = models.UniqueIndex(f"(name) WHERE state IN {OPEN!r}")

            def _auto_init(self):
                return super()._auto_init()

            @api.depends("name")
            def _compute_total(self):
                '''Add up.'''
                self.total = PATIENCE  # for now

            @api.model
            def _usual_name(self):
                return self._word()

            def _word(self):
                return "New"
    """,
    "models/line.py": """
        from odoo import models

        class Partner(models.Model):
            _inherit = "res.partner"

            def pay(self):
                return 1
    """,
    "views/bill.xml": "<odoo><record id='view' model='ir.ui.view'/></odoo>",
    "security/ir.model.access.csv": "id,name",
    "i18n/sw.po": "msgid ''",
    "i18n/shop.pot": "msgid ''",
    "static/src/till.js": "let a;",
    "static/src/till.xml": "<templates/>",
    "static/img/shop.png": "picture",
    "migrations/19.0.1.1.0/post-x.py": "def migrate(cr, version): pass",
    "tests/test_bill.py": "x = 1",
}


@pytest.fixture
def addon(tmp_path):
    """An add-on in a folder: ``change(file, old, new)`` edits it."""
    for name, text in FILES.items():
        path = tmp_path / ADDON / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return Addon(tmp_path)


class Addon:
    def __init__(self, root):
        self.root = root

    def key(self):
        return paths.digest(*signature.of([ADDON], self.root))

    def change(self, name, old, new):
        path = self.root / ADDON / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("models/bill.py", "self.total = PATIENCE", "self.total = 2"),
        ("models/bill.py", "'''Add up.'''", "'''Subtract.'''"),
        ("models/bill.py", "'''A bill.'''", "'''The bill.'''"),
        ("models/bill.py", "# for now", "# for ever"),
        ("models/bill.py", 'return "New"', 'return "Newer"'),
        ("models/bill.py", '@api.depends("name")', '@api.depends("mode")'),
        ("models/line.py", "return 1", "return 2"),
        ("models/line.py", "def pay", "def pay_all"),
        ("const.py", "PATIENCE = 60", "PATIENCE = 90"),
        ("const.py", "PATIENCE = 60", "PATIENCE = 60\nOTHER = 1"),
        ("__init__.py", "'''Greet.'''", "'''Say hello.'''"),
        ("static/src/till.js", "let a", "let b"),
        ("static/src/till.xml", "<templates/>", "<templates><t/></templates>"),
        ("i18n/shop.pot", "msgid", "#\nmsgid"),
        ("tests/test_bill.py", "1", "2"),
    ],
)
def test_what_runs_from_the_tree_leaves_the_template(addon, name, old, new):
    before = addon.key()
    addon.change(name, old, new)
    assert addon.key() == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("models/bill.py", "fields.Float(", "fields.Monetary("),
        ("models/bill.py", "    def _word", "    note = fields.Char()\n    def _word"),
        ("models/bill.py", "id desc", "id"),
        ("models/bill.py", "shop.bill", "shop.invoice"),
        ("models/bill.py", "(name) WHERE", "(name, mode) WHERE"),
        ("models/bill.py", "return super()._auto_init()", "return None"),
        ("models/bill.py", "return self._word()", "return 'Old'"),
        ("models/bill.py", "Bill(models.Model)", "Bill(models.AbstractModel)"),
        ("models/line.py", '"res.partner"', '["res.partner", "shop.mixin"]'),
        (
            "models/line.py",
            "class",
            'class New(models.Model):\n    _name = "n"\n\nclass',
        ),
        ("const.py", "Exactly", "Just"),
        ("const.py", '"sent"', '"sent", "late"'),
        ("const.py", 'USUAL = "exact"', 'USUAL = "open"'),
        ("const.py", "return USUAL", "return USUAL or None"),
        ("const.py", "Karibu", "Habari"),
        ("const.py", "def usual", "MODES.append(1)\n\ndef usual"),
        ("const.py", "def usual", "MODES += [1]\n\ndef usual"),
        ("const.py", "def usual", "MODES[0] = 1\n\ndef usual"),
        ("const.py", "def usual", "if OPEN:\n    MODES = []\n\ndef usual"),
        ("const.py", "def usual", "def usual("),
        ("__init__.py", "shop.bill", "shop.line"),
        ("__manifest__.py", "Shop", "Stall"),
        ("views/bill.xml", "view'", "form'"),
        ("security/ir.model.access.csv", "name", "name,group"),
        ("i18n/sw.po", "msgid", "#\nmsgid"),
        ("static/img/shop.png", "picture", "photograph"),
        ("migrations/19.0.1.1.0/post-x.py", "pass", "cr.commit()"),
    ],
)
def test_what_is_stored_makes_a_new_template(addon, name, old, new):
    before = addon.key()
    addon.change(name, old, new)
    assert addon.key() != before


def test_fields_in_another_order_make_a_new_template(addon):
    before = addon.key()
    path = addon.root / ADDON / "models/bill.py"
    lines = path.read_text().splitlines()
    order = next(i for i, line in enumerate(lines) if "_order" in line)
    lines[order - 1], lines[order] = lines[order], lines[order - 1]
    path.write_text("\n".join(lines))
    assert addon.key() != before


def test_moved_class_leaves_the_template(addon):
    before = addon.key()
    models = addon.root / ADDON / "models"
    (models / "payment").mkdir()
    (models / "payment" / "__init__.py").write_text("from . import shop_bill")
    (models / "bill.py").rename(models / "payment" / "shop_bill.py")
    (models / "__init__.py").write_text("from . import payment, line")
    assert addon.key() == before


def test_class_in_another_addon_makes_a_new_template(addon):
    other = addon.root / "stall" / "models"
    other.mkdir(parents=True)

    def key():
        return paths.digest(*signature.of([ADDON, "stall"], addon.root))

    before = key()
    (addon.root / ADDON / "models" / "line.py").rename(other / "line.py")
    assert key() != before


def test_constant_of_one_addon_counts_in_a_field_of_another(addon):
    other = addon.root / "stall"
    other.mkdir()
    (other / "bill.py").write_text(
        "from odoo import fields, models\n"
        "from odoo.addons.shop import const as words\n"
        "class Bill(models.Model):\n"
        "    _inherit = 'shop.bill'\n"
        "    patience = fields.Integer(default=words.PATIENCE)\n"
    )

    def key():
        return paths.digest(*signature.of([ADDON, "stall"], addon.root))

    before = key()
    addon.change("const.py", "PATIENCE = 60", "PATIENCE = 90")
    assert key() != before


def test_our_own_addons_have_one():
    assert signature.of(paths.addons()) == signature.of(paths.addons())
