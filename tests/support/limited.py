"""``bikecollect`` whose files may not grow, and which ignores the signal for it.

Run as a program by `forking`: ``python limited.py [ARGUMENT]...``.
"""

import resource
import runpy
import signal

if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    runpy.run_module("bikecollect", run_name="__main__", alter_sys=True)
