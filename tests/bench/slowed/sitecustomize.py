"""Makes a sidecar slower by CIOSIDECAR_TEST_SLOWER_BY, a share of its CPU time. With its directory in PYTHONPATH.

A thread burns that share of what the other threads use, so the slowdown does not depend on how the server works. The
echo, and any process but a sidecar, is as fast as ever.
"""

import os
import sys
import threading
import time

_OFTEN_S = 0.01


def _burn(share: float) -> None:
    burned = 0.0
    while True:
        time.sleep(_OFTEN_S)
        mine = time.thread_time()
        others = time.process_time() - mine
        while burned < others * share:
            burned = time.thread_time()


if "ciosidecar_server" in sys.orig_argv:
    slower_by = float(os.environ["CIOSIDECAR_TEST_SLOWER_BY"])
    threading.Thread(target=_burn, args=(slower_by,), daemon=True).start()
