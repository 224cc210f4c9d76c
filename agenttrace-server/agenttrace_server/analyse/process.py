"""The analysis process: claim quiet traces, analyse each, save; sleep while there are none."""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from agenttrace.errors import AgentTraceError, StoreUnavailable
from agenttrace.plugins import Plugins, load_plugins
from agenttrace_server import logs
from agenttrace_server.analyse.pipeline import analyse
from agenttrace_server.store import Claimed, Store
from agenttrace_server.store.sql import open_store

log = logging.getLogger("agenttrace.analyse")

CLAIMED_AT_ONCE = 4
SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
UNAVAILABLE_PAUSE = 5.0
# How long a trace may still take once the server is gone.
LAST_SECONDS = 30.0


class Loop:
    """Analyses what is due, from one thread, until told to stop."""

    def __init__(self, store: Store, plugins: Plugins, quiet_seconds: float) -> None:
        self._store = store
        self._plugins = plugins
        self._quiet = quiet_seconds
        self._woken = threading.Event()
        self._stopping = False
        self._pause = SHORTEST_PAUSE
        self._lively_until = 0.0

    def wake(self) -> None:
        """Look again soon, and often until what was just written has had time to become quiet."""
        self._lively_until = time.monotonic() + self._quiet + 1.0
        self._woken.set()

    def stop(self) -> None:
        """Return from `run` once what is claimed is saved; it is nobody else's for a minute."""
        self._stopping = True
        self._woken.set()

    def run(self) -> None:
        """Work until `stop`. A store that is away is waited for."""
        while not self._stopping:
            try:
                worked = self.once()
            except StoreUnavailable as error:
                log.warning("The analysis waits for the store: %s", error)
                self._woken.wait(UNAVAILABLE_PAUSE)
                continue
            if not worked:
                self._rest()

    def once(self) -> bool:
        """Analyse the traces that are due now; return whether there were any."""
        claims = self._store.claim(CLAIMED_AT_ONCE, self._quiet)
        for claimed in claims:
            self._analyse(claimed)
        return bool(claims)

    def _analyse(self, claimed: Claimed) -> None:
        try:
            trace = self._store.trace(claimed.trace_id)
            if trace is not None:
                self._store.save(claimed, analyse(trace, self._plugins))
        except StoreUnavailable:
            raise
        except Exception:
            # The claim runs out, so that it is tried again; the others must not wait for it.
            log.exception("Could not analyse trace %s", claimed.trace_id)

    def _rest(self) -> None:
        lively = time.monotonic() < self._lively_until
        self._pause = SHORTEST_PAUSE if lively else min(LONGEST_PAUSE, 1.5 * self._pause)
        if self._woken.wait(self._pause):
            self._woken.clear()
            self._pause = SHORTEST_PAUSE
            # Under load every export wakes; one look takes in what many of them brought.
            time.sleep(SHORTEST_PAUSE)


def main(pipe: BinaryIO) -> None:
    """Analyse for the server at the other end of `pipe` until it closes (see `Supervisor`)."""
    logs.set_up()
    first = pipe.readline()
    if not first:
        return
    told = json.loads(first)
    store = _open(lambda: open_store(told["database_url"]), pipe)
    loop = Loop(store, load_plugins(), told["quiet_seconds"])
    threading.Thread(target=_listen, args=(pipe, loop), daemon=True).start()
    loop.run()
    store.close()


def _open(opener: Callable[[], Store], pipe: BinaryIO) -> Store:
    """Open the store; where it is away, fail, and be started again by the supervisor."""
    try:
        return opener()
    except AgentTraceError as error:
        log.error("The analysis cannot open the store: %s", error)
        pipe.close()
        sys.exit(1)


def _listen(pipe: BinaryIO, loop: Loop) -> None:
    while os.read(pipe.fileno(), 4096):
        loop.wake()
    loop.stop()
    time.sleep(LAST_SECONDS)
    log.warning("Ending in the middle of a trace: the server is gone")
    os._exit(1)


if __name__ == "__main__":
    main(sys.stdin.buffer)
