# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Whatever Odoo 20 changes stands in one place: see docs/decisions/odoo-20.rst."""

import re
from pathlib import Path

from odoo.tests import BaseCase, tagged

ADDON = Path(__file__).resolve().parents[1]
PROVIDER = "billpay_odoo/models/provider/payment_provider.py"
# Words that Odoo 20 gives up or gives another meaning, and the files that know them.
PLACES = {
    # payment.provider.state
    r"""["']?\bstate["']?[\s,"']*[!=]=[\s,"']*disabled\b""": {PROVIDER},
    # ir.config_parameter
    r"\.get_param\(": {PROVIDER},
    # account.payment.state
    r"\bin_process\b": {"billpay_odoo/const.py"},
    # Binary fields; the QR code is part of a page, not of a field.
    r"\bb64(en|de)code\b": {
        "billpay_odoo/binaries.py",
        "billpay_odoo/models/number/billpay_pay_page.py",
    },
}


@tagged("post_install", "-at_install")
class TestOdoo20(BaseCase):
    def test_each_stands_in_one_place(self):
        found = {pattern: set() for pattern in PLACES}
        for path in ADDON.parent.glob("billpay_odoo*/**/*"):
            # Migrations to versions of 19.0 never run on another one.
            if path.suffix not in (".py", ".xml") or {"tests", "migrations"} & set(
                path.parts
            ):
                continue
            text = path.read_text()
            for pattern, names in found.items():
                if re.search(pattern, text):
                    names.add(path.relative_to(ADDON.parent).as_posix())
        self.assertEqual(found, PLACES)
