# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What ``./dev bench`` runs. One file is one benchmark.

A benchmark is a module with two texts and a function::

    NAME = "posting"
    TITLE = "payments posted and reconciled, beside Odoo's own ways"

    def run(bed):
        ...
        return Result(...)

``run`` gets a ``bed.Bed`` and drives real processes with the standard library only.
What is to happen inside Odoo stands in the same file, as a function with ``@task``: it
runs in a worker process, gets its environment first, and imports Odoo when it runs.
A module without ``NAME`` is a helper.
"""

import importlib
import pkgutil

# What a person reads first; others follow by name.
ORDER = (
    "invoice",
    "posting",
    "webhook",
    "latency",
    "poll",
    "issue",
    "screens",
    "faults",
    "hostile",
    "forged",
    "checkout",
)


def discover():
    """All benchmarks by name, in the order in which they run.

    :rtype: dict[str, module]
    """
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
        if found.name != "worker"
    ]
    found = {module.NAME: module for module in modules if hasattr(module, "NAME")}
    first = [name for name in ORDER if name in found]
    return {name: found[name] for name in [*first, *sorted(set(found) - set(first))]}
