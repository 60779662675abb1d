# Part of billpay_odoo. License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Count how often a piece of work changes from one file of ours to another.

A reader who follows the work through the code opens these files in this order. The
counting rules:

* A *room* is a Python file of an add-on of this checkout, tests excluded. The library
  ``clickpesa/`` is one room: it is read, tested and fuzzed alone.
* Each call of a function in a room enters that room. Each return leads back to the room
  of the nearest caller that is in a room, since that is where the reader goes on.
* Frames of Odoo, of Python and of other libraries are not seen: from A through Odoo to
  A is no change, from A through Odoo to B is one change.
* A *change* is one step from a room to another. Where the work begins is no change.

Counted so, a delivery that is confirmed by asking ClickPesa made 404 changes through 40
rooms before the code was sorted by model, from the stored delivery to the posted entry,
and 413 through 42 with the request. That is the figure which the sorting started from
("403 times through 40 rooms"). Counting calls only gives little more than half of it.

The module needs neither Odoo nor the rest of the tests; benchmarks load it by its path.
"""

import sys
import threading
from collections import Counter
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
# Packages of an add-on that are one room.
LIBRARIES = ("clickpesa",)
# What the way of a delivery may take.
MOST_CHANGES, MOST_ROOMS = 200, 22


class Tracer:
    """Record the way of what runs inside its ``with`` block.

    It follows the thread that enters the block, and threads that start inside it, such
    as those of a server that answers a request meanwhile.

    :param Path checkout: folder of the add-ons
    """

    def __init__(self, checkout=CHECKOUT):
        self.checkout = Path(checkout).resolve()
        # Room and function of each step; two in a row are never of one room.
        self.steps = []
        self._rooms = {}
        self._callers = threading.local()
        self._before = None

    def __enter__(self):
        self._before = sys.getprofile(), threading.getprofile()
        threading.setprofile(self._see)
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_error):
        here, threads = self._before
        sys.setprofile(here)
        threading.setprofile(threads)

    # === FIGURES === #

    @property
    def changes(self):
        """How often the work changes the room."""
        return max(len(self.steps) - 1, 0)

    @property
    def rooms(self):
        """How often the work comes into each room, most first.

        :rtype: dict[str, int]
        """
        return dict(Counter(room for room, _name in self.steps).most_common())

    def summary(self):
        """The figures in one line."""
        return f"{self.changes} changes through {len(self.rooms)} files"

    def table(self):
        """Lines for people: each room with the number of times it is entered."""
        return [f"{times:5}  {room}" for room, times in self.rooms.items()]

    def sequence(self):
        """Lines for people: each step with the function it is made to, or back to."""
        return [
            f"{index:5}  {room}  {name}"
            for index, (room, name) in enumerate(self.steps)
        ]

    # === RECORDING === #

    def _see(self, frame, event, _argument):
        if event not in ("call", "return"):
            return
        room = self._room(frame.f_code.co_filename)
        if not room:
            return
        callers = self._callers.__dict__.setdefault("stack", [])
        if event == "call":
            callers.append((room, frame.f_code.co_name))
        elif callers:
            # Otherwise it was called before the recording began.
            callers.pop()
        if callers and (not self.steps or self.steps[-1][0] != callers[-1][0]):
            self.steps.append(callers[-1])

    def _room(self, filename):
        """Return the room of a source file, or "" for a file that is not ours."""
        if filename not in self._rooms:
            self._rooms[filename] = self._find_room(filename)
        return self._rooms[filename]

    def _find_room(self, filename):
        path = Path(filename)
        if not path.is_absolute() or not path.is_relative_to(self.checkout):
            return ""
        path = path.relative_to(self.checkout)
        addon, *inside = path.parts
        if (
            "tests" in inside
            or not (self.checkout / addon / "__manifest__.py").exists()
        ):
            return ""
        if inside[0] in LIBRARIES:
            return f"{addon}/{inside[0]}/"
        return path.as_posix()
