"""The last step of a container's start: from root in new namespaces to the pod's user in the image's file system.

    python -I enter.py ROOT UID GID GROUP FOLDER COMMAND...

The image needs no program for this. Afterwards nothing is left of root, and no file can bring a right back.
"""

import ctypes
import itertools
import os
import shutil
import sys

_DROP_FROM_BOUNDING_SET = 24
_NO_NEW_PRIVILEGES = 38


def enter(root: str, ids: tuple[int, int, int], folder: str, command: list[str]) -> None:
    """Become the command, as user, group and further group. Raises OSError."""
    uid, gid, further = ids
    libc = ctypes.CDLL(None)
    os.chroot(root)
    os.chdir(folder)
    # The kernel says which number is the first that is no capability.
    for capability in itertools.count():
        if libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0):
            break
    os.setgroups([further])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError("the kernel does not promise that no new privileges come")
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(f"{command[0]}: no such program on the image's path {os.environ['PATH']}")
    os.execv(program, command)  # noqa: S606 - the command is the pod's


if __name__ == "__main__":
    _, root, uid, gid, group, folder, *command = sys.argv
    enter(root, (int(uid), int(gid), int(group)), folder, command)
