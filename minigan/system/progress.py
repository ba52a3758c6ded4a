"""The progress bar of all commands: tqdm's, on stderr, in the same form and at the same pace everywhere.

A terminal sees the bar move; a log file gets it every quarter of a minute, in place of hundreds of lines. tqdm's own
means to adapt itself are left out: its variables in the environment (``TQDM_...``, of which a wrong one would end the
program), its thread, and its lock between processes, for which the system starts one more process.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import Any, TypeVar

from minigan.system.console import print_above
from minigan.system.environment import without_variables

SECONDS, SECONDS_IN_A_LOG = 0.2, 15.0
"""Least time between two states of the bar that are shown on a terminal, and elsewhere."""

FORMAT = "{desc} {percentage:3.0f}% {bar} {n_fmt}/{total_fmt}, {rate_noinv_fmt}, {remaining} left{postfix}"


Item = TypeVar("Item")


class ProgressBar:
    """A progress bar on stderr, inside a ``with`` block.

    Parameters
    ----------
    total : int
        How much there is to do.
    what : str
        What is being done: the word before the bar.
    unit : str
        What is counted: "steps", "files", ...
    initial : int
        How much was done before.
    shown : bool
        Whether there is a bar at all.
    in_bytes : bool
        Whether bytes are counted; they are shown in kB, MB, ...
    leave : bool
        Whether the bar stays on the screen at the end.
    """

    def __init__(
        self,
        total: int,
        what: str,
        unit: str,
        *,
        initial: int = 0,
        shown: bool = True,
        in_bytes: bool = False,
        leave: bool = True,
    ) -> None:
        is_there = sys.stderr is not None
        self._bar = _tqdm()(
            total=total,
            initial=initial,
            desc=what,
            unit=unit if in_bytes else f" {unit}",
            unit_scale=in_bytes,
            disable=not (shown and is_there),
            leave=leave,
            dynamic_ncols=True,
            mininterval=SECONDS if is_there and sys.stderr.isatty() else SECONDS_IN_A_LOG,
            miniters=1,  # otherwise tqdm guesses how many updates it may pass over
            bar_format=FORMAT,
        )

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    def update(self, count: int = 1) -> None:
        """So much more is done."""
        self._bar.update(count)

    def reach(self, done: int) -> None:
        """So much is done in all."""
        self.update(done - self._bar.n)

    def note(self, text: str) -> None:
        """Words behind the bar, from the next time on that it is shown."""
        self._bar.set_postfix_str(text, refresh=False)


def with_progress(
    items: Collection[Item], what: str, unit: str, *, shown: bool = True, leave: bool = True
) -> Iterator[Item]:
    """The items, with a progress bar while they are used.

    Parameters
    ----------
    items : collection
    what, unit, shown, leave
        As of `ProgressBar`.
    """
    with ProgressBar(len(items), what, unit, shown=shown, leave=leave) as bar:
        for item in items:
            yield item
            bar.update()


@functools.cache
def _tqdm() -> Any:
    with without_variables("TQDM_"):  # tqdm reads them while it is imported
        from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0
        _lock = threading.RLock()

    print_above(Bar.external_write_mode)
    return Bar
