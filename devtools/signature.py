# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What an installation stores of an add-on: the key of a database template.

Files that Odoo reads into the database count with their bytes. Of Python files only
what ends up in the database counts: the statements of models (fields, constraints,
indexes, names), the functions an installation calls, and whatever those refer to.
Methods run from the tree, so a change of their bodies, of docstrings or of comments
leaves the database as it is; so does moving a class to another file of its add-on.
"""

import ast

from . import paths

# Folders and endings that change no database; a .pot is for translators.
NOT_INSTALLED = ("tests", "__pycache__", "docs", "readme")
NOT_READ = (".pot", ".pyc")
# Read from the tree when a page asks for them; pictures are stored, though.
LIVE_ASSETS = (".css", ".js", ".scss", ".xml")
# Called by Odoo while it installs.
CALLED = ("_auto_init", "init")
# Their files run as they are.
WHOLE_FOLDERS = ("migrations",)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def of(addons, root=None):
    """Return texts and files (Path) that together tell what these add-ons store."""
    root = root or paths.ROOT
    python, rest = [], []
    for addon in addons:
        for path in sorted((root / addon).rglob("*")):
            inside = path.relative_to(root / addon).parts
            if not path.is_file() or set(inside) & set(NOT_INSTALLED):
                continue
            live = LIVE_ASSETS if inside[0] == "static" else ()
            if path.suffix in (*NOT_READ, *live):
                continue
            is_code = path.suffix == ".py" and path.name != "__manifest__.py"
            if is_code and inside[0] not in WHOLE_FOLDERS:
                python.append((addon, path.read_text()))
            else:
                rest += [str(path.relative_to(root)), path]
    hooks = {name for addon in addons for name in _hooks(root / addon)}
    return [*python_lines(python, hooks), *rest]


def _hooks(folder):
    manifest = folder / "__manifest__.py"
    values = ast.literal_eval(manifest.read_text()) if manifest.is_file() else {}
    return [text for key, text in values.items() if key.endswith("_hook")]


def python_lines(sources, hooks=()):
    """Return what Python files make an installation store, as sorted lines.

    :param sources: pairs of add-on and Python source; file names do not matter
    :param hooks: names of functions that the manifests tell Odoo to call
    """
    reader = _Reader()
    for addon, source in sources:
        reader.read(addon, source)
    return reader.lines(hooks)


class _Reader:
    """Collects definitions of all files, then follows names from what is stored."""

    def __init__(self):
        self._stored = set()
        self._module = {}
        self._methods = {}
        self._named, self._waiting = set(), set()

    def read(self, addon, source):
        """Take in the definitions of one file."""
        try:
            body = ast.parse(source).body
        except SyntaxError:
            # The installation says it better, with the file's name.
            self._stored.add(source)
            return
        for node in body:
            if isinstance(node, ast.ClassDef):
                self._read_class(addon, node)
            elif isinstance(node, FUNCTIONS):
                self._define(node.name, node)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    # What something is called here; its definition is elsewhere.
                    if alias.asname:
                        self._define(alias.asname, ast.Name(alias.name, ast.Load()))
            elif names := _assigned(node):
                for name in names:
                    self._define(name, node)
            elif not _is_text(node):
                # Anything else that runs on import may change what is stored.
                self._store(f"{addon}: {ast.unparse(node)}", node)

    def _define(self, name, node):
        self._module.setdefault(name, []).append(node)

    def _read_class(self, addon, node):
        self._define(node.name, node)
        for item in node.body:
            if isinstance(item, FUNCTIONS):
                self._methods.setdefault(item.name, []).append(item)
        if {"_name", "_inherit"} & {name for x in node.body for name in _assigned(x)}:
            parts = _stored_nodes(node)
            self._store(f"{addon}: {_class(node)}", *parts)
            for part in parts:
                if not isinstance(part, FUNCTIONS):
                    self._named |= _names(part)

    def _store(self, text, *nodes):
        self._stored.add(text)
        for node in nodes:
            self._waiting |= _names(node)

    def lines(self, hooks):
        """Return everything stored, and the definitions that it refers to."""
        # Methods that a statement of a model names: a default, a selection. What these
        # call in turn is no longer stored, and would soon be the whole program.
        for name in self._named:
            for node in self._methods.get(name, ()):
                self._store(_function(node))
        self._waiting.update(hooks)
        seen = set()
        while self._waiting:
            name = self._waiting.pop()
            if name not in seen:
                seen.add(name)
                self._follow(name)
        return sorted(self._stored)

    def _follow(self, name):
        for node in self._module.get(name, ()):
            if isinstance(node, ast.ClassDef):
                self._store(_class(node), *_stored_nodes(node))
            elif isinstance(node, FUNCTIONS):
                self._store(_function(node), node)
            else:
                self._store(f"{name}: {ast.unparse(node)}", node)


def _assigned(node):
    """Names that a statement defines, when it does nothing else."""
    targets = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
        targets = [node.target]
    parts = [
        part
        for target in targets
        for part in (target.elts if isinstance(target, ast.Tuple) else [target])
    ]
    return [part.id for part in parts if isinstance(part, ast.Name)]


def _is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _stored_nodes(node):
    """Return the parts of a class that an installation looks at."""
    parts = [*node.bases, *node.decorator_list]
    for item in node.body:
        if isinstance(item, FUNCTIONS):
            stored = item.name in CALLED
        else:
            stored = not _is_text(item) and not isinstance(item, ast.Pass)
        if stored:
            parts.append(item)
    return parts


def _class(node):
    return "\n".join(_text(part) for part in _stored_nodes(node))


def _text(node):
    if isinstance(node, FUNCTIONS):
        return _function(node)
    return ast.unparse(node)


def _function(node):
    """Source of a function without its docstring."""
    body = node.body[1:] if _is_text(node.body[0]) else node.body
    lines = [*map(ast.unparse, node.decorator_list)]
    lines += [f"def {node.name}({ast.unparse(node.args)}):", *map(ast.unparse, body)]
    return "\n".join(lines)


def _names(node):
    """Names that something refers to, also as ``const.NAME`` or ``self._name()``."""
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Store):
            found.add(inner.id)
        elif isinstance(inner, ast.Attribute):
            found.add(inner.attr)
    return found
