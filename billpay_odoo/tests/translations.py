# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What of an add-on is to be translated, and whether a language has it."""

import io
import re

import babel.messages.pofile

from odoo.tools.misc import file_open
from odoo.tools.translate import trans_export

PLACEHOLDER = re.compile(r"%\([a-z_]+\)s|%s|\{[a-z_]+\}")


def terms(env, addon):
    """Return the texts that Odoo would give to translators of an add-on.

    :rtype: set[str]
    """
    buffer = io.BytesIO()
    trans_export(None, [addon], buffer, "po", env)
    buffer.seek(0)
    catalog = babel.messages.pofile.read_po(buffer, ignore_obsolete=True)
    return {message.id for message in catalog if message.id}


def translations(addon, language="sw"):
    """Return ``{text: translation}`` of the add-on's file."""
    with file_open(f"{addon}/i18n/{language}.po", "rb") as file:
        catalog = babel.messages.pofile.read_po(file, ignore_obsolete=True)
    return {message.id: message.string for message in catalog if message.id}


class TranslationsMixin:
    """For a test case of an add-on."""

    addon = None

    def test_every_text_is_in_swahili(self):
        known = translations(self.addon)
        wanted = terms(self.env, self.addon)
        self.assertTrue(wanted)
        missing = sorted(text for text in wanted if not known.get(text))
        self.assertFalse(missing, "\n".join(missing))

    def test_placeholders_are_the_same_in_swahili(self):
        for text, translation in translations(self.addon).items():
            with self.subTest(text=text):
                self.assertCountEqual(
                    set(PLACEHOLDER.findall(text)),
                    set(PLACEHOLDER.findall(translation)),
                )
