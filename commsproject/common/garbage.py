"""How often a process looks for cycles among its objects."""

from __future__ import annotations

import gc


def collect_less() -> None:
    """Call it once all is loaded: that stays for good, and is left out from then on.

    What a window, an upload or the tasks of a thousand sockets need for a moment is tens of
    thousands of objects without a cycle. With Python's thresholds (700) they count as long-lived:
    looking through them took a tenth of a worker's time and a quarter of an upload's, and a full
    collection held up every socket, 0.3 s for what is loaded and 0.08 s for each thousand sockets.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
