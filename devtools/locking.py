# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""./dev lock: pin versions and hashes again after requirements/*.in changed."""

import os

from . import paths, python
from .console import step
from .run import run

# Every version of Python that is supported, and no address of an index.
OPTIONS = (
    *("--universal", "--python-version", "3.10", "--generate-hashes"),
    *("--no-header", "--no-annotate", "--no-emit-index-url"),
    *("--only-binary", ":all:", "--override", "overrides.txt"),
)


def lock(options):
    """Write requirements/*.txt; versions already there stay unless --upgrade."""
    for name in ("uv", "test", "lint", "beside"):
        command = [python.uv(), "pip", "compile", f"{name}.in", "-o", f"{name}.txt"]
        command += [*OPTIONS, *(["--upgrade"] if options.upgrade else [])]
        command += ["--no-deps"] if name == "beside" else []
        env = {**os.environ, **python.index_of_pip(), "UV_NO_CONFIG": "1"}
        with step(f"requirements/{name}.txt"):
            run(command, what="locking", cwd=paths.REQUIREMENTS, env=env)
