"""Ctrl-C in the first half second, while Python is still importing the modules of a command.

``minigan train`` imports the package before the first line of the command runs. Ctrl-C at that moment would
print a traceback from the middle of NumPy. So the package imports this module first. It lets the operating system end
the process without a message, as it ends other programs. `minigan.system.cli.run_command` restores Python's own
behaviour as soon as it runs. Programs that import minigan in any other way are not affected.
"""

from __future__ import annotations

import signal

from minigan.system.started_as import is_command


def restore_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again; only from the main thread."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
