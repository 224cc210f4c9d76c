"""Delete old traces, once in an hour, beside the analysis."""

import logging
import threading
import time

from agenttrace.errors import StoreUnavailable
from agenttrace_server.store import Store

log = logging.getLogger("agenttrace.analyse")

EVERY_SECONDS = 3600.0
AWAY_SECONDS = 60.0
_DAY_NS = 24 * 3600 * 1_000_000_000


def expire(store: Store, keep_days: float, stopped: threading.Event) -> None:
    """Keep traces for so many days after they ended, until told to stop."""
    pause = 0.0
    while not stopped.wait(pause):
        pause = EVERY_SECONDS
        try:
            deleted = store.expire(time.time_ns() - int(keep_days * _DAY_NS))
            if deleted:
                log.info("Deleted %d traces that ended %g days ago", deleted, keep_days)
        except StoreUnavailable as error:
            log.warning("Old traces are not deleted yet: %s", error)
            pause = AWAY_SECONDS
