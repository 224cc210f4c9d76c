"""Look for garbage less often: a server makes many objects and few circles of them."""

import gc

YOUNG = 50_000
"""So many new objects are waited for; Python's own 700 costs a tenth of the time under load."""


def collect_less() -> None:
    """Leave what is loaded out of every collection, and collect the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 20)
