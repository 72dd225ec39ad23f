"""Children of the test's own process, which inherit what it has prepared."""

import os
import sys
import traceback
from collections.abc import Callable

FAILED = 99


def run_in_child(act: Callable[[], object]) -> int:
    """Call *act* in a fork of this process; return its exit code (or `FAILED`).

    The child never returns to the tests.
    """
    child = os.fork()
    if child == 0:
        code = FAILED
        try:
            act()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)
