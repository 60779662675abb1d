# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A plugin of pytest: leaves out Odoo tests that are tagged as slow."""


def pytest_collection_modifyitems(config, items):
    """Deselect slow tests, whether the tag is on the class or on the test."""
    slow = [item for item in items if is_slow(item)]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def is_slow(item):
    """Whether a test or its class is tagged."""
    tags = getattr(getattr(item, "cls", None), "test_tags", ())
    function = getattr(item, "function", None)
    return "slow" in tags or "slow" in getattr(function, "test_tags", ())
