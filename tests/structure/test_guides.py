# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the operator guide and the README list is what the add-ons have."""

import ast
import re
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "operator-guide.rst").read_text()
README = (ROOT / "README.rst").read_text()
UNITS = {"minutes": "minute", "hours": "hour", "days": "day"}
MANIFESTS = {
    path.parent.name: ast.literal_eval(path.read_text())
    for path in ROOT.glob("billpay_odoo*/__manifest__.py")
}
# What Odoo's own modules, on which the add-ons depend, need besides.
OF_ODOO = {"phone_validation": "phonenumbers"}


def section(title):
    """Return the text of one section of the guide."""
    begin = GUIDE.index(f"\n{title}\n===")
    after = re.search(r"\n[^\n]+\n={4,}\n", GUIDE[begin + len(title) + 10 :])
    return GUIDE[begin : begin + len(title) + 10 + after.start()] if after else ""


def packages():
    found = MANIFESTS["billpay_odoo"]["external_dependencies"]["python"]
    return {*found, *map(OF_ODOO.get, {*OF_ODOO} & {*depends()})}


def depends():
    return MANIFESTS["billpay_odoo"]["depends"]


def actions():
    """Return ``{name: "minute" or "5 minutes"}`` of all scheduled actions."""
    found = {}
    for path in ROOT.glob("billpay_odoo*/data/ir_cron_data.xml"):
        for record in ElementTree.parse(path).iterfind("record"):
            texts = {field.get("name"): field.text for field in record}
            number, unit = texts["interval_number"], UNITS[texts["interval_type"]]
            each = unit if number == "1" else f"{number} {unit}s"
            found[texts["name"]] = each
    return found


def test_every_add_on_is_named():
    for name in MANIFESTS:
        assert f"``{name}``" in section("Install"), name
        assert f"``{name}``" in README, name


def test_all_that_come_by_themselves_do():
    text = section("Install")
    assert "install themselves" in text
    assert all(m["auto_install"] for n, m in MANIFESTS.items() if n != "billpay_odoo")
    for name in depends():
        assert f"``{name}``" in text, name


def test_every_package_is_named():
    for text in (section("Install"), README):
        [line] = re.findall(r"pip install ([\w\s-]+?)``", text)
        assert set(line.split()) == packages()


def test_every_scheduled_action_is_in_the_table():
    text = section("Scheduled actions and workers")
    rows = re.findall(r"\n   \* - (BillPay: [^\n]+)\n     - ([^\n]+)\n", text)
    listed = {name.split(" (")[0]: each for name, each in rows}
    assert set(listed) == set(actions())
    for name, each in actions().items():
        assert listed[name].lower().startswith(each), name


def test_the_update_is_in_order():
    text = section("Update")
    steps = re.findall(r"\n\d\. \W*(\w+)", text)
    assert steps == ["Stop", "Back", "Replace", "odoo", "Start"]
    assert "``odoo -d NAME -u billpay_odoo --stop-after-init``" in text


def test_every_state_of_deliveries_is_in_the_table():
    source = (
        ROOT / "billpay_odoo" / "models" / "payment" / "billpay_event.py"
    ).read_text()
    [states] = re.findall(
        r"\n    state = fields\.Selection\(\n\s+\[(.*?)\n\s+\],", source, re.S
    )
    labels = re.findall(r'\("\w+", "([^"]+)"\)', states)
    assert labels
    for label in labels:
        assert re.search(rf"\n{label}  ", section("Deliveries")), label


def test_what_is_too_large():
    const = (ROOT / "billpay_odoo" / "const.py").read_text()
    [size] = re.findall(r"MAX_DELIVERY_BYTES = (\d+) \* 1024", const)
    assert f"bodies over {size} KiB with 413 and the text ``too large``" in GUIDE
    controller = (ROOT / "billpay_odoo" / "controllers" / "webhook.py").read_text()
    assert '_refuse(413, "too large")' in controller
