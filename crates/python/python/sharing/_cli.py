"""The `crosshome` command as it comes with the wheel: the whole of it is in the compiled module."""

import signal
import sys

from sharing._engine import run_command


def main() -> int:
    """Does what was typed and returns the exit code."""
    # Python's own handler only takes a note, and acts on it when the command has returned.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # -P: a folder called sharing where somebody happens to stand is none of ours.
    itself = [sys.executable, "-P", "-m", "sharing._cli"]
    return run_command(["crosshome", *sys.argv[1:]], itself)


if __name__ == "__main__":
    sys.exit(main())
