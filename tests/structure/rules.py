# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How the add-ons are laid out, as functions that find what breaks a rule.

Each takes sources as ``{path: text}``, with paths relative to the checkout, and returns
sentences that name a file and a line. None imports Odoo: all is read with ``ast``.
"""

import ast
import re
from collections import defaultdict

CORE = "billpay_odoo"
# Each package of models knows only those before it.
ORDER = ("provider", "number", "bill", "payment", "customer", "run", "books")
OWNER = f"{CORE}/models/payment/billpay_payment.py"
MONEY = f"{CORE}/money.py"
# What says where a payment stands; only its owner writes it, by way of ``_move_to``.
STANDING = ("state", "attention", "next_try_at")
# Files of the package that write a state of their own model, by the model.
OTHER_STATES = {f"{CORE}/models/payment/billpay_event.py": "billpay.event"}
CONVERTERS = ("_convert", "_get_conversion_rate", "_get_rates")
GLUE = re.compile(
    rf"{CORE}_\w+|\bpos\.[a-z]\w*|\bpoint_of_sale\b|\bsale\.order\b|\bwebsite_sale\b"
)
LONGEST_CLASS = 900
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def trees(sources):
    """Parse the Python files among the sources."""
    return {
        name: ast.parse(text, name)
        for name, text in sorted(sources.items())
        if name.endswith(".py")
    }


def _classes(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def model_of(node):
    """Return the model that a class defines or extends, or None."""
    found = {}
    for item in node.body:
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
            found[item.targets[0].id] = item.value
    for name in ("_name", "_inherit"):
        value = found.get(name)
        if isinstance(value, (ast.List, ast.Tuple)) and len(value.elts) == 1:
            value = value.elts[0]
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return None


def spread_models(sources):
    """A model has one class in an add-on."""
    found = defaultdict(list)
    for name, tree in trees(sources).items():
        for node in _classes(tree):
            if model := model_of(node):
                found[name.split("/")[0], model].append(f"{name}:{node.lineno}")
    return [
        f"{model} has {len(places)} classes in {addon}: {', '.join(places)}"
        for (addon, model), places in sorted(found.items())
        if len(places) > 1
    ]


def long_classes(sources, longest=LONGEST_CLASS):
    """A class that grows too long gives a job away to a service."""
    return [
        f"{name}:{node.lineno} {node.name} has {lines} lines"
        for name, tree in trees(sources).items()
        for node in _classes(tree)
        if (lines := node.end_lineno - node.lineno + 1) > longest
    ]


def twice_defined(sources):
    """A class defines a method once."""
    found = []
    for name, tree in trees(sources).items():
        for node in _classes(tree):
            seen = set()
            for item in node.body:
                if not isinstance(item, FUNCTIONS):
                    continue
                # The setter of a property has its name.
                is_pair = any(
                    ast.unparse(part).endswith((".setter", ".deleter"))
                    for part in item.decorator_list
                )
                if item.name in seen and not is_pair:
                    found.append(f"{name}:{item.lineno} {node.name}.{item.name}")
                seen.add(item.name)
    return found


# === IMPORTS === #


def _imported(name, node):
    """Return the dotted modules an import statement may bring, from the checkout."""
    if isinstance(node, ast.Import):
        return [alias.name.removeprefix("odoo.addons.") for alias in node.names]
    base = (node.module or "").removeprefix("odoo.addons.")
    if node.level:
        package = name.split("/")[: -node.level]
        base = ".".join([*package, *filter(None, [base])])
    return [base, *(f"{base}.{alias.name}" for alias in node.names)]


def _imports(tree):
    kinds = (ast.Import, ast.ImportFrom)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def upward_imports(sources):
    """A package of models imports only from those before it.

    What has no package of models, like the client, imports from none.
    """
    found = []
    models = f"{CORE}.models."
    outside = (f"{CORE}/models/", f"{CORE}/wizards/", f"{CORE}/controllers/")
    for name, tree in trees(sources).items():
        parts = name.split("/")
        if parts[0] != CORE or parts[1] in ("tests", "demo", "__init__.py"):
            continue
        if parts[1] == "models" and len(parts) > 3:
            if parts[2] not in ORDER:
                found.append(f"{name}: {parts[2]} has no place in the order")
                continue
            known = ORDER[: ORDER.index(parts[2]) + 1]
        elif name.startswith(outside):
            continue
        else:
            known = ()
        for node in _imports(tree):
            for module in _imported(name, node):
                target = module.removeprefix(models).split(".")[0]
                if module.startswith(models) and target in set(ORDER) - set(known):
                    found.append(f"{name}:{node.lineno} imports {target}")
                    break
    return found


# === OWNERS === #


def payment_states(owner, sources):
    """Return the states that only payments have, of the owner's selection field."""

    def states(tree):
        return {
            item.elts[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "state"
            for item in ast.walk(node.value)
            if isinstance(item, ast.Tuple)
            and item.elts
            and isinstance(item.elts[0], ast.Constant)
        }

    every = trees(sources)
    own = states(every[owner])
    return own - {
        x for name, tree in every.items() if name != owner for x in states(tree)
    }


def _writes(tree):
    """Yield ``(line, name, value)`` of what looks like a write to a field.

    A key of a dict, an attribute or an item that is set, and a keyword of a call, but
    of ``_move_to`` (that is the way to do it) and of ``_``, which fills a text.
    """
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant):
                    yield key.lineno, key.value, value
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for part in getattr(target, "elts", [target]):
                    if isinstance(part, ast.Attribute):
                        yield line, part.attr, node.value
                    elif isinstance(part, ast.Subscript):
                        yield line, getattr(part.slice, "value", None), node.value
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("_move_to", "_"):
                continue
            for keyword in node.keywords:
                yield line, keyword.arg, keyword.value
            if called in ("setdefault", "__setitem__", "setattr") and node.args:
                for key in node.args[:-1]:
                    yield line, getattr(key, "value", None), node.args[-1]


UPDATE = re.compile(r"UPDATE\s+billpay_payment\b(?!_).*?\bSET\b(.*)", re.S | re.I)


def standing_writers(sources, owner=OWNER):
    """Only its owner writes where a payment stands.

    ``attention`` and ``next_try_at`` are fields of payments alone. A ``state`` is a
    payment's when only payments have its value, and in the files about payments
    whatever its value is.
    """
    own_states = payment_states(owner, sources)
    package = owner.rpartition("/")[0]
    found = []
    for name, tree in trees(sources).items():
        if name == owner:
            continue
        about_payments = name.startswith(package) and name not in OTHER_STATES
        for line, field, value in _writes(tree):
            values = {x.value for x in ast.walk(value or ast.Pass()) if _is_text(x)}
            if field == "state" and (about_payments or values & own_states):
                found.append(f"{name}:{line} writes state")
            elif field in STANDING and field != "state" and not _is_field(value):
                found.append(f"{name}:{line} writes {field}")
        for node in ast.walk(tree):
            if _is_text(node) and (match := UPDATE.search(node.value)):
                written = match[1].upper().partition("WHERE")[0]
                for field in STANDING:
                    if re.search(rf"\b{field.upper()}\s*=", written):
                        found.append(f"{name}:{node.lineno} writes {field} by SQL")
    return found


def _is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_field(value):
    """Whether this defines a field, as in another model of the same name."""
    return isinstance(value, ast.Call) and ast.unparse(value.func).startswith("fields.")


def converters(sources, owner=MONEY):
    """Only one file converts between currencies."""
    return [
        f"{name}:{node.lineno} calls {node.func.attr}"
        for name, tree in trees(sources).items()
        if name != owner
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CONVERTERS
    ]


# === WORDS === #


def _lines(sources, pattern):
    return [
        f"{name}:{number} {match[0]}"
        for name, text in sorted(sources.items())
        for number, line in enumerate(text.splitlines(), 1)
        if (match := re.search(pattern, line))
    ]


def glue_names(sources):
    """The core names none of the add-ons that extend it, nor their models."""
    core = {n: text for n, text in sources.items() if n.split("/")[0] == CORE}
    return _lines(core, GLUE)


def suppressions(sources):
    """Classes of one model are merged, not excused."""
    return _lines(sources, "consider-" + "merging-classes-inherited")


def dotted_paths(sources):
    """A test names no file: it would break when a class moves."""
    return _lines(sources, rf"odoo\.addons\.{CORE}\w*\.models\.")
