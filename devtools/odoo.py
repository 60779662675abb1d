# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The Odoo server program and the environment it runs in."""

import os

from . import odoo_tree, paths, postgres, python


def ready():
    """Everything Odoo needs to start: source, packages, database server."""
    odoo_tree.source()
    python.main_environment()
    postgres.start()


def command(*arguments):
    """Command line of the server program.

    A file and not ``-m odoo``: with workers Odoo starts its evented server from
    ``sys.argv[0]``, and ``odoo/__main__.py`` cannot be run by its path.
    """
    return [str(paths.PYTHON), str(odoo_tree.program()), *map(str, arguments)]


def data_dir():
    """Folder of the file stores and sessions of this checkout."""
    return paths.subfolder("data")


def filestore(database):
    """Folder of a database's attachments."""
    return data_dir() / "filestore" / database


def environment():
    """Variables for Odoo, for tests, and for what tests start themselves.

    Any process with them finds the same Odoo, add-ons and PostgreSQL:
    ``python -m odoo shell -d DATABASE`` works as it is, and BILLPAY_DEV_ODOO is
    that command's beginning for whoever has another Python.
    """
    env = {**os.environ, **postgres.environment()}
    # A personal configuration or another Python must not leak in.
    for name in ("PGDATABASE", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"):
        env.pop(name, None)
    for name in [name for name in env if name.startswith("ODOO_")]:
        if name != "ODOO_PATH":
            del env[name]
    source = odoo_tree.source()
    env.update(
        PATH=f"{paths.VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        VIRTUAL_ENV=str(paths.VENV),
        PYTHONPATH=os.pathsep.join(map(str, [source, *sandbox_path()])),
        PYTHONPYCACHEPREFIX=str(paths.cache() / "pycache"),
        PYTHONUNBUFFERED="1",
        ODOO_RC=str(_configuration()),
        BILLPAY_DEV_ODOO=" ".join(command()),
    )
    return env


def sandbox_path():
    """Where the ClickPesa sandbox is imported from."""
    folder = paths.ROOT / "clickpesa_sandbox"
    return [folder / "src"] if (folder / "src").is_dir() else []


def _configuration():
    """Write the server's configuration file: paths only, no secret."""
    path = paths.state() / "odoo.conf"
    text = (
        "[options]\n"
        f"addons_path = {odoo_tree.addons_path()}\n"
        f"data_dir = {data_dir()}\n"
        "http_interface = 127.0.0.1\n"
        "list_db = True\n"
    )
    if not path.exists() or path.read_text() != text:
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(text)
        temporary.replace(path)
    return path
