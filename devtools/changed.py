# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""./dev test --changed: from changed files to the tests that come first to mind.

``models/payment/billpay_booking.py`` has ``tests/test_billpay_booking.py``. Beyond the
name, tests count that mention what a file defines, most of all what only few mention:
models, methods, templates. A budget of seconds keeps the selection short, if need be
within a file; it does not stand for all tests.
"""

import ast
import re
import subprocess
from collections import Counter

from . import paths
from .console import PRECONDITION, Problem

# Seconds of tests, for two lanes: with the start of a server this stays below 30.
BUDGET = 24
# Of a word in a function that changed, compared to others of the same file.
CHANGED = 5
STRUCTURE = ("tests/structure/test_structure.py",)
# Endings of names of files that belong to the model before them.
ENDINGS = re.compile(r"_(views?|data|templates?|demo|mail)$")
DEFINED = re.compile(r"""\b(?:def|class)\s+(\w+)|["']([a-z_]+(?:\.[a-z_]+)+)["']""")
# In XML: models, ids of records and templates, names of buttons' methods.
IN_XML = re.compile(r"""(?:\bid|\bmodel|name)=["']([\w.]+)["']|>([a-z_]+\.[\w.]+)<""")


def files(base=None):
    """Return files that differ from a revision, and how they do.

    :param base: a revision of git, by default the last commit
    :return: dict from path to changed line numbers; of a new file: None
    """
    found = {}
    diff = _git("diff", "-U0", "--no-color", "--no-ext-diff", "-M", base or "HEAD")
    path = None
    for line in diff.splitlines():
        if line.startswith("rename to "):
            found.setdefault(line.removeprefix("rename to "), set())
        elif line.startswith("+++ "):
            path = line.removeprefix("+++ b/") if line.startswith("+++ b/") else None
            if path:
                found.setdefault(path, set())
        elif line.startswith("--- a/"):
            # A removed file is still a reason to test what was named after it.
            found.setdefault(line.removeprefix("--- a/"), set())
        elif path and (hunk := re.match(r"@@ -\S+ \+(\d+)(?:,(\d+))? @@", line)):
            start, count = int(hunk[1]), int(hunk[2] or 1)
            found[path] |= set(range(start, start + max(count, 1)))
    for name in _git("ls-files", "--others", "--exclude-standard").splitlines():
        found[name] = None
    return found


def _git(*arguments):
    done = subprocess.run(
        ["git", "-c", "core.quotepath=off", *arguments],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Problem(f"git {arguments[0]}: {done.stderr.strip()}", PRECONDITION)
    return done.stdout


def tests(changes, seconds, root=paths.ROOT, budget=BUDGET):
    """Return tests for changed files, the most telling first.

    :param dict changes: as :func:`files` returns it
    :param seconds: function from a file, or ``file::name``, to how long it takes; 0
        for one that has slow tests only, which are not for every change
    :return: files, and for one that takes too long: those of its tests that are most
        about the change, as ``file::class::test``
    """
    named, scores, words = [], Counter(), Counter()
    for name, lines in changes.items():
        own, ranked, said = _tests_of(name, lines, root)
        named += own
        scores.update(ranked)
        words |= said
    ranked = [name for name, _score in scores.most_common()]
    chosen, spent = [], 0
    for name in dict.fromkeys([*named, *ranked]):
        cost = seconds(name)
        if cost and spent + cost <= budget:
            chosen.append(name)
            spent += cost
        elif cost and (name in named or not chosen):
            part = _part(name, words, seconds, root, max(budget - spent, budget / 4))
            chosen += part
            spent += sum(map(seconds, part))
    return chosen


def _part(name, words, seconds, root, budget):
    """Return the tests of a file that say most about a change, within the budget."""
    text = (root / name).read_text()
    found = []
    for node in ast.parse(text).body:
        items = node.body if isinstance(node, ast.ClassDef) else [node]
        for item in items:
            if getattr(item, "name", "").startswith("test_"):
                names = [node.name, item.name] if item is not node else [item.name]
                lines = text.splitlines()[item.lineno - 1 : item.end_lineno]
                found.append(("::".join([name, *names]), _tokens("\n".join(lines))))
    spread = Counter(word for _test, tokens in found for word in words.keys() & tokens)
    found.sort(
        key=lambda item: sum(
            words[word] / spread[word] for word in words.keys() & item[1]
        ),
        reverse=True,
    )
    chosen = []
    for test, _tokens_of_it in found:
        cost = seconds(test)
        if cost and (cost <= budget or not chosen):
            chosen.append(test)
            budget -= cost
    return chosen


def _tokens(text):
    return set(re.findall(r"\w+", text)) | set(re.findall(r"[\w.]+", text))


def _tests_of(name, lines, root):
    """Return tests named after a file, a score for those that mention it, its words."""
    path = root / name
    texts = {
        str(test.relative_to(root)): test.read_text()
        for folder in _homes(name, root)
        for test in sorted(folder.rglob("test_*.py"))
    }
    if name in texts:
        return [name], {}, Counter()
    stem = ENDINGS.sub("", path.stem)
    wanted = {f"test_{stem}.py", f"test_{stem.removeprefix('billpay_')}.py"}
    named = [test for test in texts if test.rpartition("/")[2] in wanted]
    if (
        path.suffix == ".py"
        and (root / name.split("/")[0] / "__manifest__.py").exists()
    ):
        # How the code is laid out takes a second to check.
        named += [test for test in STRUCTURE if (root / test).exists()]
    words = _words(path, lines)
    tokens = {test: _tokens(text) for test, text in texts.items()}
    spread = Counter()
    for found in tokens.values():
        spread.update(words.keys() & found)
    scores = {
        test: sum(words[word] / spread[word] for word in words.keys() & found)
        for test, found in tokens.items()
    }
    return named, {test: score for test, score in scores.items() if score}, words


def _homes(name, root):
    """Return folders of the tests that may know of a file."""
    parts = name.split("/")
    top = parts[0]
    if top in ("devtools", "benchmarks", "dev", ".ci"):
        homes = [root / "tests" / "devtools"]
    elif top == "tests":
        homes = [root / "tests" / parts[1]]
    elif (root / top / "tests").is_dir() and len(parts) > 1:
        # Plain tests of what needs no Odoo: tests/clickpesa, tests/allocation.
        homes = [root / "tests" / parts[1].removesuffix(".py"), root / top / "tests"]
    else:
        homes = []
    return [folder for folder in homes if folder.is_dir()]


def _words(path, lines):
    """Return what a file defines, with a weight for each word."""
    words = Counter({path.stem: 1})
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        return words
    pattern = DEFINED if path.suffix == ".py" else IN_XML
    if path.suffix in (".py", ".xml", ".js"):
        for found in pattern.findall(text):
            words.update({word: 1 for word in found if word and word not in words})
    for word in _enclosing(text, lines or set()) if path.suffix == ".py" else ():
        words[word] = CHANGED
    return words


def _enclosing(text, lines):
    """Return names of functions and classes around these lines."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError:
        return set()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        node.name
        for node in nodes
        if isinstance(node, kinds)
        and lines & set(range(node.lineno, node.end_lineno + 1))
    }
