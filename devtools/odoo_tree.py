# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Get the real Odoo 19.0 server: Debian's package, unpacked beside nothing else.

Debian's newest suite carries the server as an architecture-independent package. Its
dependencies are not asked of the system: they are wheels in the virtual environment.
apt fetches and verifies it with private lists, so the system's own apt state is
untouched; the mirror and the keyring are the ones this machine already uses.
"""

import os
import subprocess
from pathlib import Path

from . import folders, paths, system
from .console import PRECONDITION, Problem, step
from .run import run

SUITE = "sid"
# The package links to these instead of carrying them; a page without them is a 500.
SUPPORT = (
    "libjs-jquery",
    "libjs-underscore",
    "libjs-jquery-form",
    "fonts-roboto-unhinted",
    "fonts-montserrat",
    "fonts-inconsolata",
    "fonts-glyphicons-halflings",
    "fonts-ocr-b",
)
# Newer suites gave this font other file names.
OLD_SUITE = "bookworm"
OLD_SUPPORT = ("fonts-font-awesome",)
PACKAGES = "usr/lib/python3/dist-packages"
# A second copy of the add-ons, and nothing that runs.
LEFT_OUT = (f"./{PACKAGES}/addons", f"./{PACKAGES}/doc", f"./{PACKAGES}/setup")
# Removed by the packagers; its absence is a browser error that fails tours.
EMPTY_FILES = (
    f"{PACKAGES}/odoo/addons/mail/static/lib/selfie_segmentation/"
    "selfie_segmentation.js",
)
# Raise it when the recipe above changes: every tree is then made again.
RECIPE = 1


def source():
    """The folder to put on the Python path: ODOO_PATH, or the tree in the cache."""
    own = os.environ.get("ODOO_PATH")
    if own:
        return _own_source(Path(own).expanduser().absolute())
    tree = paths.cache() / "odoo-19.0"
    if not folders.is_complete(tree, str(RECIPE)):
        if not system.is_debian():
            raise Problem(
                "This is not Debian, so Odoo 19.0 cannot be fetched with apt. Get its\n"
                "source (branch 19.0) and name the folder: ODOO_PATH=/path ./dev ...",
                PRECONDITION,
            )
        with step("Odoo 19.0 from Debian (about 125 MB)"):
            folders.complete(tree, str(RECIPE), _build)
    return tree / PACKAGES


def _own_source(folder):
    release = folder / "odoo" / "release.py"
    if not release.is_file():
        raise Problem(
            f"ODOO_PATH={folder} holds no odoo/release.py. Name the folder of an "
            "Odoo 19.0 source tree.",
            PRECONDITION,
        )
    if "version_info = (19, 0" not in release.read_text():
        raise Problem(f"ODOO_PATH={folder} is not Odoo 19.0.", PRECONDITION)
    return folder


def program():
    """The server program: of a source tree, or beside an installed package."""
    base = source()
    candidates = [base / "odoo-bin", base.parents[2] / "bin" / "odoo"]
    for path in candidates:
        if path.is_file():
            return path
    raise Problem(
        f"There is no Odoo program: neither {candidates[0]} nor {candidates[1]}.",
        PRECONDITION,
    )


def addons_path():
    """Odoo's own add-on folders and the checkout, as the server's option wants it."""
    base = source()
    candidates = [base / "addons", base / "odoo" / "addons", paths.ROOT]
    return ",".join(str(path) for path in candidates if path.is_dir())


def version():
    """Short text that names this Odoo: databases made with another are not reused."""
    base = source()
    changes = base / "odoo" / "addons" / "base" / "__manifest__.py"
    release = base / "odoo" / "release.py"
    stat = (base / "odoo" / "addons").stat()
    return paths.digest(str(base), release, changes, int(stat.st_mtime))


def _mirror(work):
    """Address of the Debian archive this machine uses, learned from apt itself."""
    found = _archives([])
    if not found:
        # Never updated: ask with private lists.
        lists = work / "learn"
        (lists / "partial").mkdir(parents=True)
        private = ["-o", f"Dir::State::lists={lists}", *_common(work)]
        run(["apt-get", *private, "update"], what="apt-get update")
        found = _archives(private)
    if not found:
        raise Problem(
            "apt knows no Debian archive on this machine (apt-get indextargets is "
            "empty). Add one to /etc/apt/sources.list, or set ODOO_PATH.",
            PRECONDITION,
        )
    return found[0]


def _archives(options):
    shown = subprocess.run(
        [
            "apt-get",
            "indextargets",
            *options,
            "--format",
            "$(REPO_URI)|$(RELEASE)|$(ORIGIN)|$(COMPONENT)|$(CREATED_BY)",
        ],
        capture_output=True,
        text=True,
    ).stdout
    rows = [line.split("|") for line in shown.splitlines()]
    return [
        uri
        for uri, release, origin, component, kind in rows
        if origin == "Debian"
        and component == "main"
        and kind == "Packages"
        and not release.endswith(("-updates", "-security", "-backports"))
        and "security" not in release
    ]


def _as_options(settings):
    return [
        part for pair in settings.items() for part in ("-o", "=".join(map(str, pair)))
    ]


def _common(work):
    options = {
        "Dir::Cache": work / "apt-cache",
        "Acquire::Retries": 3,
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
    }
    (work / "apt-cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    return _as_options(options)


def _apt(work):
    """Options of an apt that reads and writes only below work."""
    keyrings = Path("/usr/share/keyrings")
    names = ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp")
    found = [keyrings / name for name in names if (keyrings / name).is_file()]
    signed = f"[signed-by={found[0]}] " if found else ""
    mirror = _mirror(work)
    sources = work / "sources.list"
    sources.write_text(
        "".join(f"deb {signed}{mirror} {suite} main\n" for suite in (SUITE, OLD_SUITE))
    )
    (work / "lists" / "partial").mkdir(parents=True)
    (work / "none").mkdir()
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": work / "none",
        "Dir::State::lists": work / "lists",
        "APT::Get::List-Cleanup": "false",
    }
    private = _as_options(options)
    return [*private, *_common(work)]


def _build(tree):
    work = tree / ".work"
    work.mkdir()
    apt = _apt(work)
    run(["apt-get", *apt, "update"], what="apt-get update (private lists)")
    wanted = [f"{name}/{SUITE}" for name in ("odoo-19", *SUPPORT)]
    wanted += [f"{name}/{OLD_SUITE}" for name in OLD_SUPPORT]
    run(
        ["apt-get", *apt, "download", *wanted],
        what="downloading Odoo 19.0",
        cwd=work,
    )
    for package in sorted(work.glob("*.deb")):
        _unpack(package, tree)
    for name in EMPTY_FILES:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    run(["rm", "-rf", work], what="tidying up")
    if not (tree / PACKAGES / "odoo" / "release.py").is_file():
        raise Problem("The odoo-19 package has no odoo/release.py where it was.")


def _unpack(package, tree):
    reader = subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    )
    exclude = [f"--exclude={name}" for name in LEFT_OUT]
    options = ["--no-same-owner", *exclude]
    written = subprocess.run(
        ["tar", "-x", "-C", str(tree), *options], stdin=reader.stdout
    )
    reader.stdout.close()
    if reader.wait() or written.returncode:
        raise Problem(f"Unpacking {package.name} failed; is the disk full?")
