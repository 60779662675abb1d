# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).

from odoo import api, models
from odoo.exceptions import AccessError


class PaymentProvider(models.Model):
    _inherit = "payment.provider"  # pylint: disable=consider-merging-classes-inherited

    @api.model
    def _billpay_choices(self):
        """Return the applications of the chosen companies, for a selection field.

        Only administrators may read applications; which one a payment belongs to is
        the accountant's to say.

        :return: ``[(id as text, name), …]``
        """
        providers_sudo = self._billpay_of_companies()
        several = len(providers_sudo.company_id) > 1
        return [
            (
                str(provider.id),
                f"{provider.name} ({provider.company_id.name})"
                if several
                else provider.name,
            )
            for provider in providers_sudo
        ]

    @api.model
    def _billpay_of_companies(self):
        """Applications of the companies that the user works in now, in sudo.

        A switched-off one counts: its payments may be typed by hand. One that nobody
        ever set up does not, unless there is no other.
        """
        providers_sudo = self.sudo().search(
            [
                ("code", "=", "clickpesa"),
                ("company_id", "in", self.env.companies.ids),
            ],
            order="state desc, sequence, id",
        )
        return (
            providers_sudo.filtered(
                lambda p: p.state != "disabled" or p.clickpesa_billpay_namba
            )
            or providers_sudo
        )

    @api.model
    def _billpay_default_choice(self):
        """Return the id as text of the current company's application, or False."""
        company_sudo = self.env.company.sudo()
        provider = company_sudo.billpay_provider_id
        choices = [key for key, _name in self._billpay_choices()]
        if provider and str(provider.id) in choices:
            return str(provider.id)
        own = self._billpay_of_companies().filtered(
            lambda p: p.company_id == self.env.company
        )
        return str(own[0].id) if own else choices[0] if choices else False

    @api.model
    def _billpay_chosen(self, choice):
        """Return the application of a selection, in sudo.

        :raise AccessError: it belongs to none of the user's companies
        """
        for provider_sudo in self._billpay_of_companies():
            if str(provider_sudo.id) == choice:
                return provider_sudo
        raise AccessError(
            self.env._(
                "Choose a ClickPesa application of a company that you work in. Nothing "
                "was changed."
            )
        )
