# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A half download is never taken for a whole one."""

import threading
import time

import pytest

from devtools.folders import complete, in_place, is_complete


def fill(text):
    return lambda work: (work / "file").write_text(text)


def break_half_way(work):
    work.mkdir(exist_ok=True)
    (work / "file").write_text("half")
    raise OSError("the line went dead")


@pytest.mark.parametrize("make", [complete, in_place])
def test_broken_download_leaves_nothing_that_counts(tmp_path, make):
    folder = tmp_path / "tree"
    with pytest.raises(OSError, match="dead"):
        make(folder, "1", break_half_way)
    assert not is_complete(folder, "1")


def test_next_run_heals_a_broken_download(tmp_path):
    folder = tmp_path / "tree"
    with pytest.raises(OSError):
        complete(folder, "1", break_half_way)
    assert (complete(folder, "1", fill("whole")) / "file").read_text() == "whole"


def test_killed_run_is_tidied_up(tmp_path):
    killed = tmp_path / ".tree.tmp-killed"
    killed.mkdir()
    (killed / "file").write_text("half")
    complete(tmp_path / "tree", "1", fill("whole"))
    assert not killed.exists()


def test_folder_without_stamp_is_made_again(tmp_path):
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "left").write_text("from before")
    complete(folder, "1", fill("whole"))
    assert sorted(path.name for path in folder.glob("[a-z]*")) == ["file"]


def test_new_stamp_makes_it_again_and_the_same_does_not(tmp_path):
    folder = tmp_path / "tree"
    complete(folder, "1", fill("one"))
    complete(folder, "1", fill("other"))
    assert (folder / "file").read_text() == "one"
    complete(folder, "2", fill("two"))
    assert (folder / "file").read_text() == "two"


def test_two_at_once_build_once(tmp_path):
    built = []

    def slow(work):
        built.append(work)
        time.sleep(0.2)

    threads = [
        threading.Thread(target=complete, args=(tmp_path / "tree", "1", slow))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
