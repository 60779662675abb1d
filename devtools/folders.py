# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Folders that are either complete or absent, also after a broken download."""

import contextlib
import fcntl
import shutil
import tempfile

STAMP = ".billpay-complete"


def is_complete(folder, stamp):
    """Whether the folder was finished, and for the same contents."""
    try:
        return (folder / STAMP).read_text() == stamp
    except OSError:
        return False


def complete(folder, stamp, build):
    """Return folder, building it first unless it is complete.

    The work happens in a temporary folder beside it that is renamed at the end, so a
    half download is never mistaken for a whole one: the next run starts again.

    :param stamp: text that changes whenever the contents should.
    :param build: function that fills the (empty) folder it is given.
    """
    if is_complete(folder, stamp):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(folder.parent / f".{folder.name.lstrip('.')}.lock"):
        if is_complete(folder, stamp):
            return folder
        for leftover in folder.parent.glob(f".{folder.name}.tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        temporary = tempfile.mkdtemp(prefix=f".{folder.name}.tmp-", dir=folder.parent)
        work = type(folder)(temporary)
        work.chmod(0o755)
        try:
            build(work)
            (work / STAMP).write_text(stamp)
            shutil.rmtree(folder, ignore_errors=True)
            work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return folder


def in_place(folder, stamp, build):
    """Like complete(), for contents that know their own path (virtual environments).

    The stamp is written last; without it the folder is removed and made again.
    """
    if is_complete(folder, stamp):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(folder.parent / f".{folder.name.lstrip('.')}.lock"):
        if not is_complete(folder, stamp):
            shutil.rmtree(folder, ignore_errors=True)
            build(folder)
            (folder / STAMP).write_text(stamp)
    return folder


@contextlib.contextmanager
def lock(path):
    """One process at a time; the others wait. The kernel releases it on a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
