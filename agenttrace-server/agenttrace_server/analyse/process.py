"""The analysis process: claim quiet traces, analyse each, save; sleep while there are none."""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from agenttrace.errors import AgentTraceError, StoreUnavailable
from agenttrace.models import Trace
from agenttrace.plugins import Plugins
from agenttrace_server import logs
from agenttrace_server.analyse import classifiers
from agenttrace_server.analyse.expiry import expire
from agenttrace_server.analyse.pipeline import analyse
from agenttrace_server.garbage import collect_less
from agenttrace_server.judge import Judge, Terms
from agenttrace_server.shown import read_thresholds
from agenttrace_server.store import Analysis, Claimed, Size, Store
from agenttrace_server.store.sql import open_store
from agenttrace_server.yaml_rules import RuleFile

log = logging.getLogger("agenttrace.analyse")

CLAIMED_AT_ONCE = 128
SAVE_SECONDS = 0.5
"""After how long what is analysed is saved, though others were claimed with it."""
HOLD_SECONDS = 2.5
"""How often what is being analysed is claimed anew: a claim nobody holds runs out after 10 s."""
CLAIM_SECONDS = 10.0
RETRY_SECONDS = 60.0
"""After how long a trace is tried again that could not be analysed."""
SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
UNAVAILABLE_PAUSE = 5.0
SIZES: tuple[Size, ...] = ("small", "large")
# How long a trace may still take once the server is gone.
LAST_SECONDS = 30.0


class Loop:
    """Analyses what is due of a size, from one thread, until told to stop."""

    def __init__(
        self, store: Store, plugins: Plugins, quiet_seconds: float, size: Size = "any"
    ) -> None:
        self._store = store
        self._plugins = plugins
        self._quiet = quiet_seconds
        self._size = size
        self._held: set[Claimed] = set()
        self._ended = threading.Event()
        self._woken = threading.Event()
        self._stopping = False
        self._pause = SHORTEST_PAUSE
        self._lively_until = 0.0

    def wake(self) -> None:
        """Look again soon, and often until what was just written has had time to become quiet."""
        self._lively_until = time.monotonic() + self._quiet + 1.0
        self._woken.set()

    def stop(self) -> None:
        """Return from `run` once what is analysed is saved; what else is claimed is given back."""
        self._stopping = True
        self._woken.set()

    def run(self) -> None:
        """Work until `stop`. A store that is away is waited for."""
        holding = threading.Thread(target=self._hold, daemon=True)
        holding.start()
        while not self._stopping:
            try:
                worked = self.once()
            except StoreUnavailable as error:
                log.warning("The analysis waits for the store: %s", error)
                self._woken.wait(UNAVAILABLE_PAUSE)
                continue
            if not worked:
                self._rest()
        self._ended.set()
        holding.join()

    def once(self) -> bool:
        """Analyse the traces that are due now; return whether there were any."""
        claims = self._store.claim(CLAIMED_AT_ONCE, self._quiet, self._size)
        self._held = set(claims)
        try:
            self._work(claims)
        finally:
            self._held = set()
        return bool(claims)

    def _hold(self) -> None:
        """Go on claiming what is being worked on: others take it over once this process is dead."""
        while not self._ended.wait(HOLD_SECONDS):
            try:
                if held := self._held:
                    self._store.hold(held, CLAIM_SECONDS)
            except StoreUnavailable as error:
                log.warning("Another process may analyse the same traces: %s", error)

    def _work(self, claims: Sequence[Claimed]) -> None:
        """Read, analyse and save traces together; where that fails, each by itself."""
        try:
            self._analyse(claims)
        except StoreUnavailable:
            raise
        except Exception:
            if len(claims) > 1:
                for claimed in claims:
                    self._work([claimed])
                return
            # It is tried again some time; the others must not wait for it.
            log.exception("Could not analyse trace %s", claims[0].trace_id)
            self._store.hold(claims, RETRY_SECONDS)

    def _analyse(self, claims: Sequence[Claimed]) -> None:
        spans = self._store.spans([claimed.trace_id for claimed in claims])
        done: list[tuple[Claimed, Analysis]] = []
        saved = time.monotonic()
        for place, claimed in enumerate(claims):
            if self._stopping:
                self._held = set(claims[:place])
                self._store.hold(claims[place:], 0.0)
                break
            if claimed.trace_id in spans:
                trace = Trace(claimed.trace_id, spans[claimed.trace_id])
                done.append((claimed, analyse(trace, self._plugins)))
            if time.monotonic() - saved > SAVE_SECONDS:
                self._store.save_all(done)
                done, saved = [], time.monotonic()
        self._store.save_all(done)

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
    thresholds = read_thresholds(told["confidence_threshold"])
    store = _open(lambda: open_store(told["database_url"], thresholds=thresholds), pipe)
    terms = msgspec.convert(told["judge"], Terms | None)
    judge = Judge(terms, store) if terms else None
    plugins = classifiers.load(RuleFile(Path(told["rules"]), told["rules_required"]), judge)
    collect_less()
    # Apart, so that a trace that takes minutes holds up nobody.
    loops = [Loop(store, plugins, told["quiet_seconds"], size) for size in SIZES]
    stopped = threading.Event()
    if keep_days := told["keep_days"]:
        cleaning = threading.Thread(target=expire, args=(store, keep_days, stopped), daemon=True)
        cleaning.start()
    threads = [threading.Thread(target=_run, args=(loop,), name="analysis") for loop in loops]
    for thread in threads:
        thread.start()
    threading.Thread(target=_listen, args=(pipe, loops), daemon=True).start()
    for thread in threads:
        thread.join()
    stopped.set()
    if judge is not None:
        judge.stop()
    store.close()


def _run(loop: Loop) -> None:
    try:
        loop.run()
    except BaseException:
        # With one loop less some traces would wait for ever: the supervisor starts both again.
        log.exception("The analysis failed")
        os._exit(1)


def _open(opener: Callable[[], Store], pipe: BinaryIO) -> Store:
    """Open the store; where it is away, fail, and be started again by the supervisor."""
    try:
        return opener()
    except AgentTraceError as error:
        log.error("The analysis cannot open the store: %s", error)
        pipe.close()
        sys.exit(1)


def _listen(pipe: BinaryIO, loops: Sequence[Loop]) -> None:
    while os.read(pipe.fileno(), 4096):
        for loop in loops:
            loop.wake()
    for loop in loops:
        loop.stop()
    time.sleep(LAST_SECONDS)
    log.warning("Ending in the middle of a trace: the server is gone")
    os._exit(1)


if __name__ == "__main__":
    main(sys.stdin.buffer)
