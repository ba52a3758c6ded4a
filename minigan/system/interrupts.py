"""Ctrl-C in the first half second, while Python is still loading what a command needs.

``python -m minigan.train`` imports the package before a line of the command runs. An interrupt that comes so early
would end in a traceback out of the middle of NumPy. So this module, which the package imports first, lets the system
end the process instead, silently, as it would end any other program; `minigan.system.cli.run_command` takes over as
soon as it runs. Whoever imports minigan from elsewhere is left alone.
"""

from __future__ import annotations

import signal
import sys


def restore_interrupts() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again; only from the main thread."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# While Python looks for the module of "python -m minigan.train", and imports the package for that, argv[0] is "-m".
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
