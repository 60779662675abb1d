# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How the tracer counts; the code it follows is made up here."""

import sys
import threading

import pytest

from benchmarks.way import load_tracing

tracing = load_tracing()
FILES = {
    "shop/__manifest__.py": "{}",
    "shop/models/a.py": "def run(*calls):\n    for call in calls:\n        call()\n",
    "shop/models/b.py": (
        "def run(*calls):\n    for call in calls:\n        call()\n"
        "def fail():\n    raise ValueError\n"
        "def numbers():\n    yield 1\n    yield 2\n"
    ),
    "shop/clickpesa/client.py": "def run(call):\n    call()\n",
    "shop/clickpesa/token.py": "def run(call):\n    call()\n",
    "shop/tests/common.py": "def run(call):\n    call()\n",
    "odoo/through.py": "def run(call):\n    call()\n",
}
A, B, LIBRARY = "shop/models/a.py", "shop/models/b.py", "shop/clickpesa/"


@pytest.fixture
def code(tmp_path):
    """The functions of the made-up files: ``code["shop/models/a.py"]["run"]``."""
    found = {}
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        found[name] = {}
        exec(compile(text, str(path), "exec"), found[name])
    return found


@pytest.fixture
def tracer(tmp_path):
    return tracing.Tracer(tmp_path)


def rooms(tracer):
    return [room for room, _name in tracer.steps]


def nothing():
    pass


def test_nothing_of_ours_is_no_way(tracer):
    with tracer:
        nothing()
    assert (tracer.changes, tracer.rooms) == (0, {})
    assert tracer.summary() == "0 changes through 0 files"


def test_return_leads_back_to_the_caller(code, tracer):
    a, b = code[A]["run"], code[B]["run"]
    with tracer:
        a(b, b)
    assert rooms(tracer) == [A, B, A, B, A]
    assert tracer.changes == 4
    assert tracer.rooms == {A: 3, B: 2}
    assert tracer.table() == [f"    3  {A}", f"    2  {B}"]
    assert tracer.sequence()[:2] == [f"    0  {A}  run", f"    1  {B}  run"]


def test_what_is_not_ours_is_not_seen(code, tracer):
    a, b = code[A]["run"], code[B]["run"]
    through, common = (
        code["odoo/through.py"]["run"],
        code["shop/tests/common.py"]["run"],
    )
    with tracer:
        through(lambda: a(lambda: through(a), lambda: common(lambda: through(b))))
        through(b)
    # The end of the first call leads out of all rooms, which is no change.
    assert rooms(tracer) == [A, B, A, B]


def test_library_is_one_room(code, tracer):
    client, token = (code[f"shop/clickpesa/{n}.py"]["run"] for n in ("client", "token"))
    with tracer:
        code[A]["run"](lambda: client(lambda: token(nothing)))
    assert rooms(tracer) == [A, LIBRARY, A]


def test_exceptions_and_generators_find_their_way_back(code, tracer):
    b = code[B]

    def failing():
        with pytest.raises(ValueError):
            b["fail"]()

    def counting():
        assert list(b["numbers"]()) == [1, 2]

    with tracer:
        code[A]["run"](failing, counting)
    # A generator is entered for each value, and once more for its end.
    assert rooms(tracer) == [A, *(B, A) * 4]


def test_threads_that_start_inside_are_followed(code, tracer):
    with tracer:
        thread = threading.Thread(target=code[B]["run"])
        thread.start()
        thread.join()
        code[A]["run"](nothing)
    assert rooms(tracer) == [B, A]


def test_what_was_recorded_before_goes_on_afterwards(code, tracer):
    def other(*_arguments):
        pass

    before = sys.getprofile()
    sys.setprofile(other)
    try:
        with tracer:
            code[A]["run"](nothing)
        assert sys.getprofile() is other
    finally:
        sys.setprofile(before)
    code[B]["run"]()
    assert rooms(tracer) == [A]
