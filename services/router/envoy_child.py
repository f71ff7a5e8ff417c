"""Becomes the program that it is given, having asked Linux to end it when its parent is killed.

Otherwise a router that is killed would leave an Envoy behind that holds the port. Run as a script, not imported: what
a child does between fork and exec must be nothing, for gRPC's threads are not in it.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> None:
    """Replace this process by `command`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.execv(command[0], command)  # noqa: S606 - the command is the router's own


if __name__ == "__main__":
    main(sys.argv[1:])
