# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Generated attempts: each field of an add-on, written as each group of users.

What is not in the table of a test must be refused or stay without effect, so a new
field that people can write fails until somebody has decided about it. In the same way
each method is called on records of others, and each address is asked for by strangers.
"""

import base64
import json
from datetime import timedelta
from functools import partial

import psycopg2

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.fields import Date, Datetime
from odoo.tools import SQL, mute_logger

from .common import BillPayCommon, BillPayHttpCommon

GROUPS = {
    "staff": (),
    "contacts": ("base.group_partner_manager",),
    "user": ("billpay_odoo.group_billpay_user",),
    "manager": ("billpay_odoo.group_billpay_manager",),
    "auditor": ("account.group_account_readonly",),
    "clerk": ("account.group_account_invoice",),
    "accountant": ("account.group_account_manager",),
}
# Groups of administrators: what they write is theirs to decide.
ADMINISTRATORS = ("base.group_system", "base.group_erp_manager")
# Written by Odoo itself, or by its own features for discussions.
_ODOOS = {"id", "display_name", "create_uid", "create_date", "write_uid", "write_date"}
_DISCUSSIONS = ("message_", "activity_", "website_message_", "my_activity_", "rating_")


# What stands behind the wall of departments, and the departments themselves.
WALLED = (
    "account.analytic.account",
    "billpay.control.number",
    "billpay.event",
    "billpay.payment",
    "billpay.run",
    "billpay.run.line",
)
# What a call could change, beside the models with fields or methods of ours.
_WATCHED = (
    "account.move",
    "account.move.line",
    "account.partial.reconcile",
    "account.payment",
    "mail.message",
    "payment.transaction",
    "res.partner",
)


class _Undo(Exception):
    """Takes back what an attempt did."""


class RightsCommon(BillPayCommon):
    """Users of every group, and records of this and another company and department."""

    # The add-on whose fields are written, and more groups that it knows.
    addon = "billpay_odoo"
    groups = GROUPS
    # {model: {"field field": why people may write these}}
    allowed = {}
    # {model: the users who may; all others may not write these either}
    allowed_to = {}
    # {field: {type: a value that is valid}}
    samples = {
        "color": {"char": "#123456"},
        "ussd_code": {"char": "*150*77#"},
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.billpay_provider_id = cls.provider
        cls.plan = cls.env["account.analytic.plan"].create({"name": "Idara"})
        department = partial(cls._department, cls.company)
        cls.here, cls.there = department("Shule"), department("Hosteli")
        cls.foreign_company = cls.setup_other_company(
            name="Shule ya Pili", currency_id=cls.env.ref("base.TZS").id
        )["company"]
        cls.foreign_application = cls._make_application(cls.foreign_company)
        cls.foreign_company.billpay_provider_id = cls.foreign_application
        cls.users = {
            name: cls._user(f"billpay_g_{name}", *groups)
            for name, groups in cls.groups.items()
        }
        # Works in one department, with all rights that are not an administrator's.
        cls.walled = cls._user("billpay_g_walled", "account.group_account_manager")
        cls.walled.billpay_department_ids = cls.here
        cls.walled.group_ids += cls.env.ref("analytic.group_analytic_accounting")
        cls.users["walled"] = cls.walled
        cls.colleague = cls._user(
            "billpay_g_colleague", "account.group_account_manager"
        )
        cls.own = cls._records(cls.company, cls.provider, cls.here)
        cls.own["res.partner.category"] = cls.env["res.partner.category"].create(
            {"name": "Darasa"}
        )
        cls.own["product.category"] = cls.env["product.category"].create(
            {"name": "Ada"}
        )
        cls.own["res.currency"] = cls.env.ref("base.USD")
        cls.other_department = cls._records(cls.company, cls.provider, cls.there)
        cls.foreign = cls._records(
            cls.foreign_company,
            cls.foreign_application,
            cls._department(cls.foreign_company, "Mbali"),
        )
        cls.env.flush_all()

    @classmethod
    def _department(cls, company, name):
        values = {"name": name, "plan_id": cls.plan.id, "company_id": company.id}
        return cls.env["account.analytic.account"].create(values)

    @classmethod
    def _records(cls, company, provider, department):
        """Return ``{model: a record}`` of one company and department."""
        env = cls.env(su=True)
        env = env(context={**env.context, "allowed_company_ids": company.ids})
        digits = "9%07d" % department.id
        partner = env["res.partner"].create(
            {
                "name": f"Asha {digits}",
                "email": "asha@example.com",
                "company_id": company.id,
            }
        )
        sale = env["account.journal"].search(
            [("type", "=", "sale"), ("company_id", "=", company.id)], limit=1
        )
        bank = env["account.journal"].search(
            [("type", "=", "bank"), ("company_id", "=", company.id)], limit=1
        )
        purpose = env["billpay.purpose"].create(
            {
                "name": f"Ada {digits}",
                "company_id": company.id,
                "department_id": department.id,
                "provider_id": provider.id,
                "default_amount": 9000,
            }
        )
        move = env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": partner.id,
                "company_id": company.id,
                "journal_id": sale.id,
                "invoice_line_ids": [
                    Command.create(
                        {"name": "Ada", "price_unit": 1000, "tax_ids": False}
                    )
                ],
            }
        )
        number = env["billpay.control.number"].create(
            {
                "name": digits,
                "kind": "customer",
                "provider_id": provider.id,
                "partner_id": partner.id,
                "purpose_id": purpose.id,
                "currency_id": env.ref("base.TZS").id,
                "mode": "flexible",
                "state": "open",
            }
        )
        payment = env["billpay.payment"].create(
            {
                "provider_id": provider.id,
                "reference": f"LCP{digits}",
                "control_number_id": number.id,
                "amount": 5000,
                "currency_id": env.ref("base.TZS").id,
                "paid_at": "2026-03-01 10:00:00",
                "state": "unmatched",
            }
        )
        event = env["billpay.event"].create(
            {
                "provider_id": provider.id,
                "state": "failed",
                "event": "PAYMENT RECEIVED",
                "digest": digits,
                "body": f"LCP{digits}",
                "payment_id": payment.id,
                "received_at": "2026-03-01 10:00:00",
                "last_received_at": "2026-03-01 10:00:00",
            }
        )
        run = env["billpay.run"].create(
            {"company_id": company.id, "department_id": department.id}
        )
        line = env["billpay.run.line"].create(
            {"run_id": run.id, "number_id": number.id, "row": 1}
        )
        day, item, statement_row = cls._books(env, provider, payment)
        channel = env.ref("billpay_odoo.channel_mpesa")
        outstanding = env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": partner.id,
                "amount": 5,
                "journal_id": bank.id,
                "company_id": company.id,
            }
        )
        records = (
            partner,
            sale,
            purpose,
            move,
            number,
            payment,
            event,
            run,
            line,
            day,
            item,
            statement_row,
            outstanding,
            provider,
            department,
            company,
            channel.copy({"company_id": company.id, "code": f"c{digits}"}),
            env["account.account"].search([("company_ids", "=", company.id)], limit=1),
            env["account.bank.statement.line"].create(
                {"journal_id": bank.id, "amount": 5, "payment_ref": "x"}
            ),
        )
        return {record._name: record.sudo(False) for record in records}

    @classmethod
    def _books(cls, env, provider, payment):
        """Return a day of the account, an item of it and a row with a payment.

        Of any department: the account is that of all of them.
        """
        date = Date.today() - timedelta(days=payment.id % 3000)
        common = {"provider_id": provider.id, "currency_id": payment.currency_id.id}
        day = env["billpay.day"].create({**common, "date": date})
        item = env["billpay.day.item"].create({"day_id": day.id, "cause": "transit"})
        statement_row = env["billpay.statement.row"].create(
            {
                **common,
                "day_id": day.id,
                "day": date,
                "key": payment.reference,
                "reference": payment.reference,
                "kind": "payment",
                "amount": payment.amount,
                "payment_id": payment.id,
            }
        )
        return day, item, statement_row

    # === What there is === #

    def _models(self):
        """Yield each model with fields of this add-on, and the names of those."""
        for name in sorted(self.env.registry):
            model = self.env[name]
            if model._abstract or name == "res.config.settings":
                continue
            names = [
                field.name
                for field in model._fields.values()
                if self._is_ours(model, field)
            ]
            if names:
                yield model, names

    def _is_ours(self, model, field):
        if field.name in _ODOOS or field.name.startswith(_DISCUSSIONS):
            return False
        if field.compute and not field.store and not field.inverse:
            # Nothing of it is kept.
            return False
        module = field._modules[0] if field._modules else model._original_module
        return module == self.addon

    def _may_write(self, model, user):
        access = self.env["ir.model.access"].with_user(user)
        return {
            mode
            for mode in ("write", "create")
            if access.check(model._name, mode, raise_exception=False)
        }

    def _places(self, model, user):
        """Yield ``(place, record)``: of the user, and of others."""
        if model._transient:
            for place, owner in (("own", user), ("colleague", self.colleague)):
                values = self._wizard(model._name, owner)
                made = self.env[model._name].with_user(owner).sudo().create(values)
                yield place, made.with_env(self.env)
            return
        for place, records in (
            ("own", self.own),
            ("department", self.other_department),
            ("company", self.foreign),
        ):
            if record := records.get(model._name):
                yield place, record

    def _wizard(self, name, owner):
        """Return the values of a wizard of a user, or of a line of theirs."""
        values = {}
        for field in self.env[name]._fields.values():
            given = field.default or field.name in _ODOOS
            if given or not (field.required and field.store):
                continue
            if field.name in ("wizard_id", "match_id"):
                parent = self.env[field.comodel_name].with_user(owner).sudo()
                parent = parent.create(self._wizard(parent._name, owner))
                values[field.name] = parent.id
            elif field.comodel_name in self.own:
                values[field.name] = self.own[field.comodel_name].id
            elif field.type == "char":
                values[field.name] = "x"
            elif field.type == "selection" and field.name not in ("application",):
                values[field.name] = field.get_values(self.env)[0]
        if "application" in self.env[name]._fields:
            values["application"] = str(self.provider.id)
        if "paid_at" in self.env[name]._fields:
            values["paid_at"] = "2026-03-01 10:00:00"
        if name == "billpay.run.send":
            values["run_id"] = self.own["billpay.run"].id
        if "number_ids" in self.env[name]._fields:
            values["number_ids"] = [Command.set(self.own["billpay.control.number"].ids)]
        return values

    # === Attempts === #

    def _value(self, record, field):
        """Return another value than the record's."""
        known = record.sudo()[field.name]
        if field.type == "selection":
            options = [value for value in field.get_values(self.env) if value != known]
            return options[0] if options else known
        return {
            **self.samples.get(field.name, {}),
            "boolean": not known,
            "integer": (field.type == "integer" and known or 0) + 7,
            "float": 7.0,
            "monetary": 7.0,
            "date": Date.to_date("2031-02-03"),
            "datetime": Datetime.to_datetime("2031-02-03 04:05:06"),
            "binary": base64.b64encode(b"forged"),
            "json": {"forged": 1},
            "html": "<p>forged</p>",
        }.get(field.type, "forged")

    def _linked(self, field, record):
        if field.type == "many2one":
            return record.id
        return [Command.link(record.id)]

    def _seen(self, record, name):
        value = record.sudo()[name]
        if hasattr(value, "ids"):
            return value.ids
        return json.dumps(value, default=str, sort_keys=True)

    def _attempt(self, record, user, values):
        """Write as a user; return which fields changed, ``None`` if it was refused."""
        changed = None
        company = user.company_ids.ids
        theirs = record.with_user(user).with_context(allowed_company_ids=company)
        before = {name: self._seen(record, name) for name in values}
        try:
            with (
                mute_logger("odoo.sql_db", "odoo.models", "odoo.addons.base"),
                self.env.cr.savepoint(),
            ):
                theirs.write(dict(values))
                # What is computed with the rights of the user is computed as them.
                theirs.env.flush_all()
                self.env.invalidate_all()
                after = {name: self._seen(record, name) for name in values}
                changed = {name for name in values if before[name] != after[name]}
                raise _Undo()
        except (_Undo, UserError, psycopg2.IntegrityError):
            return changed

    def _create(self, model, user, values, context, look):
        """Create as a user and look at the record; ``None`` if it was refused."""
        found = None
        context = {"allowed_company_ids": user.company_ids.ids, **context}
        model = model.with_user(user).with_context(**context)
        try:
            with (
                mute_logger("odoo.sql_db", "odoo.models", "odoo.addons.base"),
                self.env.cr.savepoint(),
            ):
                made = model.create(dict(values))
                made.env.flush_all()
                self.env.invalidate_all()
                found = look(made)
                raise _Undo()
        except (_Undo, UserError, psycopg2.IntegrityError):
            return found

    def _plain(self, model, user, names):
        """Return what a plain new record says, and other values for its fields."""

        def look(made):
            return {
                name: (self._seen(made, name), self._value(made, made._fields[name]))
                for name in names
            }

        found = self._create(model, user, self._new_values(model, user), {}, look)
        self.assertIsNotNone(found, f"{user.login} cannot create {model._name}")
        return found

    def _created(self, model, user, name, value, by_default, plain):
        """Create with a value; return whether it was taken."""
        values, context = self._new_values(model, user), {}
        if by_default:
            values.pop(name, None)
            context = {f"default_{name}": value}
        else:
            values[name] = value
        seen = self._create(
            model, user, values, context, lambda made: self._seen(made, name)
        )
        return seen is not None and seen != plain[name][0]

    def _new_values(self, model, user):
        """Return what a new record needs, or ``None`` for no attempt."""
        if model._transient:
            values = self._wizard(model._name, user)
            return {
                name: value
                for name, value in values.items()
                if name not in model._billpay_server_fields
            }
        return {
            "billpay.purpose": {"name": "Mpya", "company_id": self.company.id},
            "account.move": {
                "move_type": "out_invoice",
                "partner_id": self.own["res.partner"].id,
            },
            "account.payment": {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.own["res.partner"].id,
                "amount": 5,
                "journal_id": self.own["account.payment"].journal_id.id,
            },
            "res.partner": {"name": "Mpya"},
            "billpay.channel": {
                "name": "Mpya",
                "code": "mpya",
                "kind": "mobile",
                "company_id": self.company.id,
            },
        }.get(model._name)

    # === The tests === #

    def _check_fields(self, users=None):
        """Write every field as every group; return what they should not have done."""
        wrong = []
        for model, names in self._models():
            of_model = set(" ".join(self.allowed.get(model._name, ())).split())
            for login, user in (users or self.users).items():
                who = self.allowed_to.get(model._name, self.users)
                allowed = of_model if login in who else set()
                modes = self._may_write(model, user)
                attempts = [
                    (name, how)
                    for place, record in (self._places(model, user) if modes else ())
                    for name in self._worth_trying(record, user, names)
                    for how in self._try_field(record, user, name, place, allowed)
                ]
                if "create" in modes:
                    attempts += self._try_create(model, user, names, allowed)
                wrong += [f"{login}: {model._name}.{n}: {how}" for n, how in attempts]
        return wrong

    def _worth_trying(self, record, user, names):
        """Return one field only of a record that is closed to the user as a whole."""
        theirs = record.with_user(user)
        theirs = theirs.with_context(allowed_company_ids=user.company_ids.ids)
        return names if theirs.has_access("write") else names[:1]

    def _try_field(self, record, user, name, place, allowed):
        """Yield what a user may do to one field of a record, and should not."""
        field = record._fields[name]
        if not field.relational:
            if self._attempt(record, user, {name: self._value(record, field)}):
                yield from self._noted(record, user, name, place, allowed)
            return
        for origin, linked in self._strangers(field, user):
            if (record._name, name, origin) in self.links_allowed:
                continue
            if self._attempt(record, user, {name: self._linked(field, linked)}):
                yield f"{place} record links to another {origin}"
        values = [False if field.type == "many2one" else [Command.clear()]]
        if own := self.own.get(field.comodel_name):
            values.append(self._linked(field, own))
        if any(self._attempt(record, user, {name: value}) for value in values):
            yield from self._noted(record, user, name, place, allowed)

    # {(model, field, "company" or "department"): why}
    links_allowed = {}

    def _noted(self, record, user, name, place, allowed):
        self.done.add((record._name, name))
        walls = place == "department" and user == self.walled
        walled = (*WALLED, "billpay.purpose")
        if name not in allowed:
            yield f"{place} record takes a value"
        elif place not in ("own", "department") or walls and record._name in walled:
            yield f"{place} record takes a value"

    def _try_create(self, model, user, names, allowed):
        """Yield ``(field, how)`` of what a new record took and should not have."""
        if self._new_values(model, user) is None:
            return
        plain = self._plain(model, user, names)
        for name in names:
            field = model._fields[name]
            values = {"": plain[name][1]}
            if field.relational:
                values = {
                    origin: self._linked(field, linked)
                    for origin, linked in self._strangers(field, user)
                    if (model._name, name, origin) not in self.links_allowed
                }
            elif name in allowed:
                continue
            for origin, value in values.items():
                for by_default in (False, True):
                    how = "by default" if by_default else "by value"
                    if self._created(model, user, name, value, by_default, plain):
                        yield name, f"created {how} {origin}"

    def _strangers(self, field, user):
        """Yield records to which no user of the company may link."""
        if linked := self.foreign.get(field.comodel_name):
            yield "company", linked
        # The wall of departments is around those who are behind it, and before what
        # has a department.
        if user == self.walled and field.comodel_name in WALLED:
            if linked := self.other_department.get(field.comodel_name):
                yield "department", linked

    def setUp(self):
        super().setUp()
        self.done = set()

    def _never_written(self):
        """Return what the table allows and nobody can write."""
        return [
            f"{model}.{name}"
            for model, lines in self.allowed.items()
            for name in " ".join(lines).split()
            if (model, name) not in self.done
        ]

    # === Methods === #

    # {model: {"method": who may, and what is checked}}
    methods = {}

    def _public_methods(self):
        """Yield model and name of each method of this add-on that a call can name."""
        for name in sorted(self.env.registry):
            ours, odoos = set(), set()
            for base in type(self.env[name]).__mro__:
                of_addon = base.__module__.startswith(f"odoo.addons.{self.addon}.")
                names = {key for key, item in vars(base).items() if callable(item)}
                (ours if of_addon else odoos).update(names)
            for method in sorted(ours - odoos):
                if not method.startswith("_"):
                    yield name, method

    # {(model, method): why it is inherited and leads nowhere}
    unused = {}

    def _calls(self):
        """Return model and name of each method to call."""
        return [item for item in self._public_methods() if item not in self.unused]

    def _check_methods(self):
        """Return methods without a line in the table, and lines without a method."""
        known = {
            (model, name) for model, names in self.methods.items() for name in names
        }
        # What a model inherits from another of this add-on is decided there.
        inherited = {
            (model, name)
            for model, name in self._public_methods()
            for parent in self.env[model]._inherit
            if parent != model and name in self.methods.get(parent, ())
        }
        return sorted((known ^ set(self._public_methods())) - inherited)

    # {method: what it is called with}
    arguments = {}

    def _check_strangers(self):
        """Call each method on a record of another company; return what went wrong."""
        return self._check_calls(self.foreign, "accountant", "another company")

    def _check_staff(self):
        """Call each method as staff without any right; return what went wrong."""
        return self._check_calls(self.own, "staff", "the own company")

    def _check_departments(self):
        """Call each method on a record of another department; return what went wrong.

        Departments do not hide invoices and contacts, which are open to their readers.
        """
        walled = {
            model: record
            for model, record in self.other_department.items()
            if model in WALLED
        }
        return self._check_calls(walled, "walled", "another department")

    def _check_calls(self, records, login, place):
        """Call each method; return the calls that changed or told anything."""
        wrong, user = [], self.users[login]
        with self._workers():
            for model, name in self._calls():
                if record := records.get(model):
                    error, answer, changed = self._call(record, user, name)
                    call = f"{model}.{name} of {place} by {login}"
                    if changed:
                        wrong.append(f"{call} changes something")
                    elif not error and self._tells(answer, record):
                        wrong.append(f"{call} tells {answer}")
        return wrong

    def _check_owners(self, login="accountant"):
        """Call each method on an own record: none is refused for want of a right.

        The other checks would prove nothing of a method that nobody can call.
        """
        wrong, user = [], self.users[login]
        with self._workers():
            for model, name in self._calls():
                if record := self.own.get(model) or self._own_wizard(model, user):
                    error, _answer, _changed = self._call(record, user, name)
                    if isinstance(error, AccessError):
                        wrong.append((model, name))
        return wrong

    def _own_wizard(self, name, user):
        if not self.env[name]._transient:
            return None
        return dict(self._places(self.env[name], user))["own"]

    def _check_colleagues(self):
        """Use a colleague's wizard in every way; return what was not refused."""
        wrong, methods = [], self._calls()
        models = {model._name for model, _names in self._models()}
        models |= {model for model, _name in methods}
        with self._workers():
            for model in sorted(models):
                if not self.env[model]._transient:
                    continue
                wizard = dict(self._places(self.env[model], self.colleague))["own"]
                names = [name for of, name in methods if of == model]
                self.assertTrue(wizard.with_user(self.colleague).has_access("read"))
                for login, user in self.users.items():
                    for how, call in self._uses(wizard, names):
                        error, answer, changed = self._call(wizard, user, call)
                        if changed or answer or not isinstance(error, AccessError):
                            wrong.append(f"{login}: {model}: {how}")
        return wrong

    def _uses(self, wizard, methods):
        """Yield ``(name, call)`` of each way to use a wizard."""
        field = next(
            field.name
            for field in wizard._fields.values()
            if field.store and field.name not in _ODOOS
        )
        yield "read", lambda theirs: theirs.read([field])
        yield "write", lambda theirs: theirs.write({field: False})
        yield "unlink", lambda theirs: theirs.unlink()
        yield "copy", lambda theirs: theirs.copy()
        for name in methods:
            yield name, name

    def _call(self, record, user, method):
        """Call a method as a user, and take back what it did.

        :param method: a name, or what to do with the record
        :return: the error, the answer, and whether anything was changed
        """
        theirs = record.with_user(user)
        theirs = theirs.with_context(allowed_company_ids=user.company_ids.ids)
        error = answer = None
        changed = False
        before = self._stored()
        try:
            with (
                mute_logger("odoo.sql_db", "odoo.models", "odoo.addons.base"),
                self.env.cr.savepoint(),
            ):
                if callable(method):
                    answer = method(theirs)
                else:
                    answer = getattr(theirs, method)(*self.arguments.get(method, ()))
                changed = before != self._stored()
                raise _Undo()
        except _Undo:
            self.env.invalidate_all()
        except UserError as refused:
            self.env.invalidate_all()
            error = refused
        return error, answer, changed

    def _stored(self):
        """Return a hash of each table that a call could change."""
        self.env.flush_all()
        models = {name for name, _method in self._public_methods()}
        models |= {model._name for model, _names in self._models()} | set(_WATCHED)
        tables = {
            self.env[name]._table
            for name in models
            if self.env[name]._auto and not self.env[name]._abstract
        }
        parts = [
            SQL(
                "SELECT %s, md5(string_agg(t::text, ' ' ORDER BY id)) FROM %s t",
                table,
                SQL.identifier(table),
            )
            for table in sorted(tables)
        ]
        return dict(self.env.execute_query(SQL(" UNION ALL ").join(parts)))

    def _tells(self, answer, record):
        """Whether an answer says what only readers of a record may know."""
        digits = next(
            known["billpay.control.number"].sudo().name
            for known in (self.own, self.other_department, self.foreign)
            if known.get(record._name) == record
        )
        return digits in "".join(str(answer).split())


class RoutesCommon(BillPayHttpCommon):
    """Each address of an add-on: who is asked for, and what a stranger gets."""

    addon = "billpay_odoo"
    # {method of a controller: (auth, methods, csrf, what a stranger gets)}
    routes = {}

    def _check_routes(self):
        """Return the lines that the table should have and has not, and the reverse."""
        found = {}
        router = self.env["ir.http"]._generate_routing_rules(
            list(self.env.registry._init_modules), None
        )
        for _url, endpoint in router:
            if endpoint.func.__module__.startswith(f"odoo.addons.{self.addon}."):
                routing = endpoint.routing
                found[endpoint.func.__name__] = (
                    routing["auth"],
                    routing.get("methods"),
                    routing.get("csrf"),
                )
        known = {name: line[:3] for name, line in self.routes.items()}
        return {
            name: (found.get(name), known.get(name))
            for name in known.keys() | found.keys()
            if found.get(name) != known.get(name)
        }

    def assertTellsNothing(self, response, *secrets):
        """Fail if an answer says anything of what belongs to others."""
        text = response.text + str(response.headers)
        text = "".join(text.split()).replace(",", "").replace("&nbsp;", "")
        for secret in secrets:
            self.assertNotIn("".join(str(secret).split()), text)
