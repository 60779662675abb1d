# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A person at the web client: menus, windows, forms and buttons, with their own rights.

Nothing here acts as the superuser. What a person does not see, they cannot press.
"""

import ast
import base64
import io
from contextlib import contextmanager

import openpyxl
from lxml import etree

from odoo.exceptions import AccessError
from odoo.models import BaseModel
from odoo.service.model import call_kw
from odoo.tests import Form
from odoo.tools import mute_logger
from odoo.tools.safe_eval import safe_eval

X2MANY = ("one2many", "many2many")


class Person:
    """One user, who does what the web client does for them.

    Each request begins without what others have read, and ends with what it has
    written being computed and stored as this user.
    """

    def __init__(self, test, user):
        self.test, self.user = test, user
        context = {
            "allowed_company_ids": user.company_ids.ids,
            "lang": user.lang,
            "tz": user.tz,
            "uid": user.id,
        }
        self.env = test.env(user=user.id, context=context, su=False)
        test.assertFalse(self.env.su)

    def here(self, records):
        """Return records of a test as this person has them."""
        return self.env[records._name].browse(records.ids)

    @contextmanager
    def _request(self):
        self.test.env.flush_all()
        self.env.invalidate_all()
        yield
        self.env.flush_all()
        self.env.invalidate_all()

    def call(self, records, method, *args, **kwargs):
        """Call a public method as the client does, over RPC."""
        context = {**self.env.context, **records.env.context}
        ids = [records.ids] if records or not args and not kwargs else []
        model = self.env[records._name]
        with self._request():
            return call_kw(model, method, [*ids, *args], {**kwargs, "context": context})

    def model_call(self, model, method, *args, **kwargs):
        """Call a method of a model, such as ``create``."""
        context = {**self.env.context, **kwargs.pop("context", {})}
        with self._request():
            return call_kw(
                self.env[model], method, [*args], {**kwargs, "context": context}
            )

    # === Menus and windows === #

    def sees_menu(self, name):
        """Whether a menu and all above it are shown."""
        menu = self.env.ref(name).sudo()
        with self._request():
            visible = self.env["ir.ui.menu"]._visible_menu_ids()
        while menu:
            if menu.id not in visible:
                return False
            menu = menu.parent_id
        return True

    def open_menu(self, name, **options):
        """Press a menu; return the records of its first page."""
        self.test.assertTrue(self.sees_menu(name), f"no menu {name}")
        action = self.env.ref(name).sudo().action
        return self.open(action.sudo()._get_action_dict(), **options)

    def open(self, action, domain=()):
        """Open a window with all its views, and read what each of them shows."""
        if isinstance(action, str):
            with self._request():
                action = self.env["ir.actions.actions"]._for_xml_id(action)
        context = self._context(action)
        model = self.env[action["res_model"]].with_context(**context)
        found = self._domain(action.get("domain")) + list(domain)
        views = action.get("views") or [(False, "list"), (False, "form")]
        if action.get("res_id"):
            found = [("id", "=", action["res_id"])]
            views = [view for view in views if view[1] == "form"]
        search = action.get("search_view_id") or (False,)
        return self.read_views(model, [*views, (search[0], "search")], found)

    def _context(self, action):
        context = action.get("context") or {}
        if isinstance(context, str):
            context = safe_eval(context, {"uid": self.user.id, "active_id": False})
        return {**self.env.context, **context}

    def _domain(self, domain):
        if isinstance(domain, str):
            domain = safe_eval(domain, {"uid": self.user.id})
        return list(domain or [])

    def read_views(self, model, views, domain):
        """Load views and read what they show; return the records."""
        with self._request():
            loaded = model.get_views(
                [tuple(view) for view in views],
                {"toolbar": True, "load_filters": True},
            )
        infos = loaded["models"]
        found = model.browse()
        for kind, view in loaded["views"].items():
            arch = etree.fromstring(view["arch"])
            spec = self._spec(arch, model._name, infos)
            with self._request():
                if kind in ("list", "kanban"):
                    answer = model.web_search_read(domain, spec, limit=80)
                    found |= model.browse([row["id"] for row in answer["records"]])
                elif kind == "form":
                    records = found[:3] or model.search(domain, limit=3)
                    records.web_read(spec)
                    found |= records
                elif kind == "search":
                    self._search(model, arch, domain)
                elif kind in ("pivot", "graph"):
                    names = [
                        self._grouped(model, node.get("name"))
                        for node in arch.iter("field")
                        if node.get("type") in ("row", "col")
                    ]
                    model.formatted_read_group(domain, names, ["__count"])
        return found

    def _search(self, model, arch, domain):
        """Look for something in each field of a search view, and press its filters."""
        for node in arch.iter("field"):
            field = model._fields[node.get("name")]
            if not model._name.startswith("billpay."):
                continue
            # The client completes the names of what is linked.
            if field.type == "many2one":
                model.env[field.comodel_name].web_name_search("A", {"display_name": {}})
            chosen = node.get("filter_domain") or repr([(field.name, "ilike", "1122")])
            chosen = safe_eval(chosen, {**self._python(), "self": "1122"})
            model.web_search_read(domain + chosen, {"display_name": {}}, limit=5)
        for node in arch.iter("filter"):
            if node.get("domain"):
                chosen = safe_eval(node.get("domain"), self._python())
                model.web_search_read(domain + chosen, {"display_name": {}}, limit=5)
            group = ast.literal_eval(node.get("context") or "{}").get("group_by")
            field = model._fields.get(group)
            if field is not None and field.type != "properties":
                group = self._grouped(model, group)
                model.formatted_read_group(domain, [group], ["__count"])

    def _grouped(self, model, name):
        is_moment = model._fields[name].type in ("date", "datetime")
        return f"{name}:month" if is_moment else name

    def _python(self):
        return {"uid": self.user.id, "context_today": lambda: None, "time": None}

    def _spec(self, node, model, infos):
        """Return what a view reads: its fields, and those of the lists in it."""
        spec = {"display_name": {}}
        level = node.xpath("count(ancestor::field)") + (node.tag == "field")
        for item in node.xpath(f".//field[count(ancestor::field) = {level}]"):
            name = item.get("name")
            info = infos[model]["fields"].get(name)
            self.test.assertTrue(info, f"{model}.{name} is in the view, and unknown")
            spec.setdefault(name, {})
            if info["type"] in ("many2one", "reference"):
                spec[name] = {"fields": {"display_name": {}}}
            elif info["type"] in X2MANY:
                inner = {"display_name": {}}
                for view in item:
                    if view.tag in ("list", "kanban", "form"):
                        inner.update(self._spec(item, info["relation"], infos))
                spec[name] = {"fields": inner, "limit": 40}
        return spec

    # === Forms and buttons === #

    def form(self, source, view=None):
        """Open a form: of a record, of a model's name, or of a dialog."""
        with self._request():
            if isinstance(source, str):
                return Form(self.env[source], view)
            if isinstance(source, BaseModel):
                return Form(self.here(source).with_context(**source.env.context), view)
            model = self.env[source["res_model"]]
            model = model.with_context(**self._context(source))
            record = model.browse(source.get("res_id") or [])
            view = source.get("view_id") or None
            return Form(record, view and view[0])

    def press(self, record, button, view=None, kind="form"):
        """Press a button that this person sees on a record's view; return the action.

        The button is in the view as Odoo gives it to the user, and not invisible.
        """
        record = self.here(record).with_context(**record.env.context)
        with self._request():
            arch = record.get_views([(view and self.env.ref(view).id, kind)])
        nodes = etree.fromstring(arch["views"][kind]["arch"])
        found = nodes.xpath(f"//button[@name='{button}']")
        self.test.assertTrue(
            found, f"{self.user.login} has no button {button} on {record._name}"
        )
        if kind == "form":
            shown = [node for node in found if not self._is_hidden(node, record)]
            self.test.assertTrue(shown, f"{button} is invisible on {record}")
        action = self.call(record, button)
        if isinstance(action, dict) and action["type"] == "ir.actions.act_window":
            # The client says where the button was.
            active = {
                "active_model": record._name,
                "active_id": record.id,
                "active_ids": record.ids,
            }
            action = {**action, "context": {**self._context(action), **active}}
        return action

    def sees_button(self, record, button, view=None, kind="form"):
        record = self.here(record)
        with self._request():
            arch = record.get_views([(view and self.env.ref(view).id, kind)])
        nodes = etree.fromstring(arch["views"][kind]["arch"])
        found = nodes.xpath(f"//button[@name='{button}']")
        return any(not self._is_hidden(node, record) for node in found)

    def choose(self, records, name, kind="list"):
        """Choose from the *Actions* menu of records what is offered there."""
        records = self.here(records)
        action = self.env.ref(name).sudo()
        with self._request():
            loaded = records.get_views([(False, kind)], {"toolbar": True})
        toolbar = loaded["views"][kind].get("toolbar", {}).get("action", [])
        self.test.assertIn(action.id, [item["id"] for item in toolbar])
        active = {
            "active_model": records._name,
            "active_id": records[:1].id,
            "active_ids": records.ids,
        }
        if action._name == "ir.actions.server":
            with self._request():
                server = self.env["ir.actions.server"].browse(action.id)
                return server.with_context(**active).run()
        action = action._get_action_dict()
        return {**action, "context": {**self._context(action), **active}}

    def _is_hidden(self, node, record):
        for item in [node, *node.iterancestors()]:
            text = item.get("invisible")
            if not text:
                continue
            with self._request():
                names = [
                    name
                    for name in compile(text, "view", "eval").co_names
                    if name in record._fields
                ]
                [values] = record.read(names) if names else [{}]
            values = {
                name: value[0] if isinstance(value, tuple) else value
                for name, value in values.items()
            }
            if safe_eval(text, {**values, "context": dict(record.env.context)}):
                return True
        return False

    def save(self, form):
        """Save a form; return its record."""
        with self._request():
            return form.save()

    def create_by_form(self, model, **values):
        form = self.form(model)
        for name, value in values.items():
            setattr(form, name, value)
        return self.save(form)

    # === Files === #

    def download(self, action):
        """Fetch what a button offers to download; return its bytes."""
        self.test.assertEqual(action["type"], "ir.actions.act_url")
        _empty, _web, _content, model, res_id, rest = action["url"].split("/")
        with self._request():
            binary = self.env["ir.binary"]
            record = binary._find_record(res_model=model, res_id=int(res_id))
            name = rest.split("?")[0]
            [values] = record.with_context(bin_size=False).read([name])
            return base64.b64decode(values[name])

    def download_rows(self, action):
        book = openpyxl.load_workbook(io.BytesIO(self.download(action)))
        return list(book.active.iter_rows(values_only=True))

    def print(self, action):
        """Print a report as the client asks for it; return the text of its pages."""
        self.test.assertEqual(action["type"], "ir.actions.report")
        context = {**self.env.context, **action.get("context", {})}
        ids = context["active_ids"]
        with self._request():
            reports = self.env["ir.actions.report"].with_context(**context)
            html, _kind = reports._render_qweb_html(
                action["report_name"], ids, action.get("data") or {}
            )
        return html.decode()

    # === What a person must not do === #

    def assertRefused(self, call, *args, **kwargs):
        """A call that only more rights would allow is refused, and leaves nothing."""
        with (
            self.test.assertRaises(AccessError),
            mute_logger("odoo.models", "odoo.addons.base", "odoo.http"),
            self.test.env.cr.savepoint(),
        ):
            call(*args, **kwargs)
        self.env.invalidate_all()
