# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the operator guide and the README list is what the add-ons have."""

import ast
import math
import re
from pathlib import Path
from xml.etree import ElementTree

from devtools import odoo_tree

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


# === COMMANDS, ADDRESSES, SCREENS === #

# What the guide names of Odoo's own screens, and of itself.
SCREENS_OF_ODOO = {
    "Activate",
    "Apps",
    "Backup and restore",
    "Neutralize",
    "Next Number",
    "No gap",
    "Run Manually",
    "Send invoices automatically",
    "System Parameters",
    "Update Apps List",
}
OPTIONS = {"-d": "--database", "-i": "--init", "-u": "--update"}


def sources(*endings):
    """Return all sources of the add-ons, with split texts joined."""
    text = "\n".join(
        path.read_text()
        for folder in MANIFESTS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in endings and "tests" not in path.parts
    )
    return re.sub(r"\s+", " ", re.sub(r'"\s*\n\s*"', "", text))


def literals():
    """Return what stands between double backquotes, in one line."""
    return [re.sub(r"\s+", " ", text) for text in re.findall(r"``([^`]+)``", GUIDE)]


def odoo_source(path):
    return (odoo_tree.source() / "odoo" / path).read_text()


def test_every_command_is_one_of_odoos():
    commands = [text for text in literals() if text.startswith("odoo ")]
    assert {text.split()[1] for text in commands} >= {"-d", "neutralize", "db"}
    for text in commands:
        words = text.split()[1:]
        command = "server" if words[0].startswith("-") else words[0]
        code = odoo_source(f"cli/{command}.py") + odoo_source("tools/config.py")
        for word in words:
            if word.startswith("-"):
                assert f"'{word}'" in code or f'"{word}"' in code, text
                assert OPTIONS.get(word, word) in code, text
        if command == "db":
            assert re.search(rf"""['"]{words[1]}['"]""", code), text


def test_every_option_is_one_of_odoos():
    config = odoo_source("tools/config.py")
    named = {text.split(" = ")[0] for text in literals()}
    for name in (
        "addons_path",
        "dbfilter",
        "http_interface",
        "limit_memory_hard",
        "limit_memory_soft",
        "limit_time_real_cron",
        "max_cron_threads",
        "proxy_mode",
    ):
        assert name in named, name
        assert re.search(rf"""['"]{name}['"]|--{name.replace("_", "-")}\b""", config)
    assert "--workers" in literals()
    for option in ("--workers", "--log-handler"):
        assert f"'{option}'" in config or f'"{option}"' in config
    [logger] = [text for text in literals() if text.startswith("--log-handler")]
    module = logger.split("=")[1].split(":")[0].removeprefix("odoo.addons.")
    assert (ROOT / module.replace(".", "/")).is_dir()


def test_every_parameter_is_one_of_odoos():
    base = odoo_source("addons/base/models/ir_config_parameter.py")
    users = odoo_source("addons/base/models/res_users.py")
    neutral = odoo_source("addons/base/data/neutralize.sql")
    for name, code in {
        "web.base.url": base,
        "web.base.url.freeze": users,
        "database.secret": base,
        "database.is_neutralized": neutral,
    }.items():
        assert name in literals()
        assert name in code, name


def test_every_answer_of_the_table_is_the_servers():
    rows = re.findall(r"\n   \* - (\d+) ``([^`]+)``\n", section("dbfilter"))
    assert len(rows) == 2
    code = sources(".py")
    for status, text in rows:
        assert f'_refuse({status}, "{text}")' in code, text
    assert "``not a JSON object``" in GUIDE
    # What the table's command sends is no JSON object.
    [sent] = re.findall(r"curl -i -X POST -d (\S+) \S+/TOKEN\n", GUIDE)
    assert sent[0] not in "{["


def test_every_address_is_a_route():
    routes = re.findall(r'route\( ?"([^"<]+)', sources(".py"))
    named = {
        text.rstrip("…")
        for text in literals()
        if re.match(r"/(payment/clickpesa|billpay)/", text)
    }
    assert len(named) == 3
    for text in named:
        assert any(route.startswith(text.rstrip("/")) for route in routes), text


def test_the_proxy_masks_what_is_secret():
    [pattern] = re.findall(r'"~(\^[^"]+)" "\$kept\*\*\*\$rest";', GUIDE)
    pattern = re.compile(pattern.replace("(?<", "(?P<"))
    for path, masked in {
        "/payment/clickpesa/webhook/SECRET": "/payment/clickpesa/webhook/***",
        "/payment/clickpesa/health/SECRET?x=1": "/payment/clickpesa/health/***?x=1",
        "/billpay/1122/SECRET/status": "/billpay/1122/***/status",
    }.items():
        found = pattern.match(path)
        assert found["kept"] + "***" + found["rest"] == masked
    for path in ("/web/login", "/my/invoices/1", "/payment/status"):
        assert not pattern.match(path)
    header = re.findall(r'TOKEN_HEADER = "([^"]+)"', sources(".py"))
    assert f"proxy_set_header {header[0]} TOKEN;" in GUIDE


def test_every_name_of_a_screen_is_there():
    code = sources(".py", ".xml")
    names = [
        re.sub(r"\s+", " ", part)
        for text in re.findall(r"(?<![*`\w])\*([^\s*`][^*]*?)\*(?![*\w])", GUIDE)
        for part in re.split(r"\s*→\s*", text)
    ]
    assert len(names) > 60
    unknown = {name for name in names if name not in code} - SCREENS_OF_ODOO
    assert not unknown


def constants():
    """Return ``{name: number}`` of the core's modules; ``A, B = 1, 2`` is two."""
    found = {}
    for path in (ROOT / "billpay_odoo").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.Assign):
                continue
            target, value = node.targets[0], node.value
            pairs = [(target, value)]
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = zip(target.elts, value.elts, strict=True)
            for name, number in pairs:
                text = ast.unparse(number)
                if re.fullmatch(r"\d+( \* \d+)*", text):
                    found[ast.unparse(name)] = math.prod(map(int, text.split(" * ")))
    return found


def test_every_time_and_size_is_the_codes():
    text, known = re.sub(r"\s+", " ", GUIDE), constants()
    for name, sentence, unit in (
        ("CLICK_PATIENCE", "A click waits up to {} seconds", 1),
        ("LOCK_TIMEOUT_MS", "and {} seconds for a locked record", 1000),
        ("EVENT_DAYS", "After {} days (setting *Webhook Contents*", 1),
        ("BULK_LIMIT", "Registers new numbers with ClickPesa, {} per call", 1),
        ("KEPT_OF_DAY", "Odoo keeps the first {} kilobytes", 1024),
        ("ANSWER_LASTS", "the answer is reused for {} seconds", 1),
        ("UNPROVEN_OF_DAY", "While {} deliveries", 1),
    ):
        value = known[name] // unit
        words = {5: "five"}
        assert any(
            sentence.format(shown) in text for shown in (value, words.get(value))
        ), name
