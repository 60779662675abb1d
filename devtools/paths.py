# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Where things are: the checkout, its state, and the cache all checkouts share."""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def cache():
    """Folder for downloads and state, outside the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "billpay-odoo"


def key():
    """Short name of this checkout: two checkouts never share a database."""
    text = f"{ROOT}\n{cache()}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def state():
    """Folder for this checkout's own databases, logs, pid files and file stores."""
    folder = cache() / "checkouts" / key()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def subfolder(name):
    """A folder below the state, made when it is missing."""
    folder = state() / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def digest(*parts):
    """Hash of texts and of the contents of files (Path), as 12 hex digits."""
    total = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else str(part).encode()
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()[:12]


def addons():
    """Our own add-ons: the folders of the checkout that have a manifest."""
    return sorted(path.parent.name for path in ROOT.glob("*/__manifest__.py"))
