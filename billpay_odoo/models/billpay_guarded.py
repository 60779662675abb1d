# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What people write is checked where it is stored: see docs/decisions/rights.rst.

``readonly`` and ``domain`` describe a view. Any user may call ``create`` and ``write``.
"""

from odoo import api, models
from odoo.exceptions import AccessError
from odoo.fields import Command


class BillpayGuarded(models.AbstractModel):
    """Refuse fields that only the server sets, and links to what a user may not read.

    Code of the server writes them as the superuser. A value that is there already is
    no change: clients send back what they have read.
    """

    _name = "billpay.guarded"
    _description = "Checks of What People Write"

    # Fields that only the server sets.
    _billpay_server_fields = frozenset()

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            defaults = {
                name.removeprefix("default_"): value
                for name, value in self.env.context.items()
                if name.startswith("default_")
            }
            for vals in vals_list:
                self._billpay_check_written({**defaults, **vals})
        return super().create(vals_list)

    def write(self, vals):
        if not self.env.su:
            self._billpay_check_written(vals)
        result = super().write(vals)
        if not self.env.su and not {"company_id", "department_id"}.isdisjoint(vals):
            # Odoo checks before: nobody gives away what would not be theirs then, such
            # as a channel of one company to all companies.
            self.check_access("write")
        return result

    def copy(self, default=None):
        """Override: a copy has the links of its source, be they seen or not."""
        if self.env.su:
            return super().copy(default)
        self.check_access("read")
        self.browse().check_access("create")
        self.browse()._billpay_check_written(default or {})
        copies = super(BillpayGuarded, self.sudo()).copy(default).with_env(self.env)
        copies.check_access("create")
        return copies

    def _billpay_is_ours(self, name):
        """Whether a field is for us to check: Odoo checks its own models' fields."""
        return self._name.startswith("billpay.") or name.startswith("billpay_")

    def _billpay_check_written(self, vals):
        """Check what a user writes on these records, or creates when there are none.

        :raise AccessError: a field of the server's, or a link to what is not theirs
        """
        for name, value in vals.items():
            field = self._fields.get(name)
            if field is None:
                continue
            if name in self._billpay_server_fields:
                self._billpay_check_unchanged(field, value)
            elif field.relational and self._billpay_is_ours(name):
                ids = self._billpay_linked(field, value)
                # sudo: what is linked already is no news, seen or not.
                known = [set(record.sudo()[name].ids) for record in self]
                fresh = set(ids).difference(set.intersection(*known) if known else ())
                if linked := self.env[field.comodel_name].browse(fresh):
                    linked.check_access("read")
                    self._billpay_check_departments(field, linked)

    def _billpay_check_departments(self, field, linked):
        """Refuse other departments to who stands behind the wall of the own ones."""
        user_sudo = self.env.user.sudo()
        if (
            field.name == "department_id"
            and not user_sudo.billpay_all_departments
            and linked - user_sudo.billpay_department_ids
        ):
            raise AccessError(
                self.env._(
                    "You see your own departments only, and cannot choose %s. Nothing "
                    "was changed: choose one of yours, or ask your administrator.",
                    linked.sudo()[:1].name,
                )
            )

    def _billpay_check_unchanged(self, field, value):
        if not self and (not value or value == self._billpay_own_default(field)):
            return
        if self and all(self._billpay_has(record, field, value) for record in self):
            return
        raise AccessError(
            self.env._(
                "Only Odoo sets “%(field)s” (%(model)s). Nothing was changed and no "
                "money is affected: use the buttons of the form.",
                field=field._description_string(self.env) or field.name,
                model=self._description,
            )
        )

    def _billpay_own_default(self, field):
        """Return what a new record has without a word of the user's context."""
        if not field.default:
            return False
        value = field.default(self)
        return field.convert_to_write(
            field.convert_to_record(field.convert_to_cache(value, self), self), self
        )

    def _billpay_has(self, record, field, value):
        # sudo: to tell that nothing changes, not to show it.
        known = field.convert_to_write(record.sudo()[field.name], record)
        if field.type in ("one2many", "many2many"):
            return set(self._billpay_linked(field, value)) <= set(
                record.sudo()[field.name].ids
            ) and all(command[0] in (Command.LINK, Command.SET) for command in value)
        return (known or False) == (value or False)

    @api.model
    def _billpay_linked(self, field, value):
        """Return the ids of other records to which a value links."""
        if field.type == "many2one":
            return [value] if isinstance(value, int) and value else []
        if field.type not in ("one2many", "many2many"):
            return []
        ids = []
        for command in value or ():
            if isinstance(command, int):
                ids.append(command)
            elif command[0] in (Command.LINK, Command.UPDATE):
                ids.append(command[1])
            elif command[0] == Command.SET:
                ids += command[2]
        return ids
