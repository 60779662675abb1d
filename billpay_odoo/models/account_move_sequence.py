# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import models


class AccountMove(models.Model):
    _inherit = "account.move"  # pylint: disable=consider-merging-classes-inherited

    def _get_next_sequence_format(self):
        """Override of `account`: look once per journal and day of a batch.

        Odoo looks up the last name of the journal for each entry that it posts, which
        takes three statements. In a batch of payments only the first one has to look:
        the number itself comes from Odoo's cache of the name that it has locked
        (``_locked_increment``), whatever was looked up.
        """
        formats = self.env.context.get("billpay_sequence_formats")
        if formats is None or not self.origin_payment_id:
            return super()._get_next_sequence_format()
        key = (self.journal_id.id, self.date)
        if key not in formats:
            formats[key] = super()._get_next_sequence_format()
        format_string, values = formats[key]
        return format_string, dict(values)
