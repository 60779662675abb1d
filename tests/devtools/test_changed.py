# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""./dev test --changed finds tests by name, and by what they mention."""

import subprocess

import pytest

from devtools import changed, paths
from devtools.console import Problem

FILES = {
    "shop/__manifest__.py": "{}",
    "shop/models/payment/shop_booking.py": """\
class Booking(models.AbstractModel):
    _name = "shop.booking"

    def _book(self):
        return 1

    def _settle(self):
        return 2
""",
    "shop/views/shop_booking_views.xml": "<field name='model'>shop.booking</field>",
    "shop/views/desk_templates.xml": "<template id='desk_page'/>",
    "shop/clickpesa/client.py": "class Client: pass",
    "shop/tests/common.py": "class ShopCommon: pass",
    "shop/tests/test_shop_booking.py": "from .common import ShopCommon",
    "shop/tests/test_desk.py": 'env["shop.booking"]._settle()',
    "shop/tests/test_crash.py": '"shop.booking" "shop.number" desk_page',
    "shop/tests/test_number.py": '"shop.number"',
    "tests/clickpesa/test_client_values.py": "from shop.clickpesa import Client",
    "tests/clickpesa/test_other.py": "",
    "tests/devtools/test_serve.py": "",
    "tests/devtools/test_till.py": "from devtools import rpc",
    "devtools/serve.py": "",
    "devtools/rpc.py": "",
    "docs/index.rst": "",
}


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def found_for(root, *names, lines=None, **options):
    changes = dict.fromkeys(names, lines)
    options.setdefault("seconds", lambda name: 1)
    return changed.tests(changes, root=root, **options)


def test_test_of_the_same_name_comes_first(root):
    found = found_for(root, "shop/models/payment/shop_booking.py")
    assert found[0] == "shop/tests/test_shop_booking.py"
    assert set(found[1:]) == {"shop/tests/test_desk.py", "shop/tests/test_crash.py"}


def test_views_belong_to_their_model(root):
    found = found_for(root, "shop/views/shop_booking_views.xml")
    assert found[0] == "shop/tests/test_shop_booking.py"
    assert found_for(root, "shop/views/desk_templates.xml") == [
        "shop/tests/test_desk.py",
        "shop/tests/test_crash.py",
    ]


def test_prefix_of_the_addon_is_left_out_of_names(root):
    (root / "shop/models/billpay_number.py").touch()
    found = found_for(root, "shop/models/billpay_number.py")
    assert found == ["shop/tests/test_number.py"]


def test_what_few_mention_counts_more(root):
    (root / "shop/tests/test_crash.py").rename(root / "shop/tests/test_a.py")
    found = found_for(root, "shop/models/payment/shop_booking.py")
    assert found[1:] == ["shop/tests/test_desk.py", "shop/tests/test_a.py"]


def test_changed_function_counts_most(root):
    (root / "shop/tests/test_crash.py").write_text("_book _book")
    (root / "shop/tests/test_desk.py").write_text("_settle")
    service = "shop/models/payment/shop_booking.py"
    assert found_for(root, service, lines={5})[1] == "shop/tests/test_crash.py"
    assert found_for(root, service, lines={8})[1] == "shop/tests/test_desk.py"


def test_budget_ends_the_list(root):
    service = "shop/models/payment/shop_booking.py"
    found = found_for(root, service, seconds=lambda name: 10, budget=20)
    assert len(found) == 2


TESTS = """\
class TestBooking(ShopCommon):
    def test_draft(self):
        x._check()

    def test_books(self):
        x._book()

    def test_settles(self):
        x._settle()
"""


def test_of_a_long_file_those_about_the_change_are_run(root):
    name = "shop/tests/test_shop_booking.py"
    (root / name).write_text(TESTS)

    def seconds(target):
        return 10 if target.count("::") else 30

    service = "shop/models/payment/shop_booking.py"
    found = found_for(root, service, lines={5}, seconds=seconds, budget=20)
    assert found == [
        f"{name}::TestBooking::test_books",
        f"{name}::TestBooking::test_settles",
    ]
    found = found_for(root, service, lines={8}, seconds=seconds, budget=10)
    assert found == [f"{name}::TestBooking::test_settles"]


def test_what_has_slow_tests_only_is_left_out(root):
    service = "shop/models/payment/shop_booking.py"
    assert found_for(root, service, seconds=lambda name: 0) == []


def test_changed_test_is_itself(root):
    assert found_for(root, "shop/tests/test_number.py") == ["shop/tests/test_number.py"]


def test_helper_of_tests_has_those_that_use_it(root):
    found = found_for(root, "shop/tests/common.py")
    assert found == ["shop/tests/test_shop_booking.py"]


def test_plain_parts_have_plain_tests(root):
    found = found_for(root, "shop/clickpesa/client.py")
    assert found == ["tests/clickpesa/test_client_values.py"]


def test_structure_is_checked_with_every_change_of_an_addon(root):
    (root / "tests/structure").mkdir()
    (root / "tests/structure/test_structure.py").touch()
    structure = "tests/structure/test_structure.py"
    assert structure in found_for(root, "shop/clickpesa/client.py")
    assert structure not in found_for(root, "shop/views/desk_templates.xml")
    assert structure not in found_for(root, "devtools/serve.py")


def test_tools_have_their_own(root):
    assert found_for(root, "devtools/serve.py") == ["tests/devtools/test_serve.py"]
    assert found_for(root, "devtools/rpc.py") == ["tests/devtools/test_till.py"]


def test_documents_have_none(root):
    assert found_for(root, "docs/index.rst", "README.rst") == []


def test_removed_file_still_has_its_test(root):
    (root / "shop/models/payment/shop_booking.py").unlink()
    found = found_for(root, "shop/models/payment/shop_booking.py", lines=set())
    assert found == ["shop/tests/test_shop_booking.py"]


def test_removed_test_is_not_run(root):
    assert found_for(root, "shop/tests/test_gone.py", lines=set()) == []


@pytest.fixture
def checkout(root, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", root)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Asha")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "asha@example.com")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    return root


def test_git_says_what_changed_and_where(checkout):
    service = checkout / "shop/models/payment/shop_booking.py"
    service.write_text(service.read_text().replace("return 2", "return 3"))
    (checkout / "shop/tests/test_desk.py").unlink()
    (checkout / "shop/new.py").touch()
    assert changed.files() == {
        "shop/models/payment/shop_booking.py": {8},
        "shop/tests/test_desk.py": set(),
        "shop/new.py": None,
    }


def test_revision_to_compare_with(checkout):
    (checkout / "docs/index.rst").write_text("Karibu\n")
    subprocess.run(["git", "commit", "-qam", "y"], cwd=checkout, check=True)
    assert changed.files() == {}
    assert changed.files("HEAD~1") == {"docs/index.rst": {1}}
    with pytest.raises(Problem, match="nowhere"):
        changed.files("nowhere")


def test_moved_file_is_a_changed_one(checkout):
    old = checkout / "shop/clickpesa/client.py"
    (checkout / "shop/clickpesa/calls.py").write_text(old.read_text())
    old.unlink()
    subprocess.run(["git", "add", "-A"], cwd=checkout, check=True)
    assert set(changed.files()) == {"shop/clickpesa/calls.py"}
