"""The judge as a plugin: it answers with what the model found, once the model has answered."""

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from agenttrace.errors import JudgeError, StoreUnavailable
from agenttrace.hookspecs import hookimpl
from agenttrace.models import Classifier, FailureAnnotation, Trace
from agenttrace_server.judge.budget import Budget
from agenttrace_server.judge.endpoint import CHARACTERS_A_TOKEN, Endpoint
from agenttrace_server.judge.question import (
    INSTRUCTIONS,
    SCHEMA,
    VERSION,
    Sure,
    Verdict,
    question,
    read,
    written,
)
from agenttrace_server.judge.terms import Terms
from agenttrace_server.judge.transcript import Transcript, find, transcript
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.store import Store

__all__ = ["CLASSIFIER", "Judge"]

log = logging.getLogger("agenttrace.judge")

CLASSIFIER = "agenttrace.judge"
CONFIDENCE: dict[Sure, float] = {"certain": 0.6, "likely": 0.4, "possible": 0.2}
"""What a word of the model counts before anybody reviewed: models are surer than they are right.

The judge of MAST's own authors, with o1, reaches a precision near .3 on the runs that people
labelled; so at the usual threshold only what the model is certain of is shown.
"""
WEIGHT = 4
"""Of how many reviews that first confidence has the weight."""
MOST_WAITING = 500
ANSWER_TOKENS = 1_000
"""What an answer is expected to take; only for the estimate of its cost."""
TRIES = 2
"""How often a window is asked about whose answer cannot be read."""


class Judge:
    """Finds failures by asking a model, apart from the analysis, which does not wait for it.

    A finished run is asked about once; its verdicts are kept, and it is then analysed again.
    Where the budget is used up, or the model does not answer, a run stays unjudged until it is
    next analysed. What waits when the process ends is forgotten in the same way.
    """

    def __init__(self, terms: Terms, store: Store) -> None:
        self._terms = terms
        self._store = store
        self._stopped = threading.Event()
        self._endpoint = Endpoint(terms, SCHEMA, self._stopped)
        self._waiting: queue.Queue[tuple[Transcript, str, float]] = queue.Queue(MOST_WAITING)
        self._at_work: set[str] = set()
        self._lock = threading.Lock()
        self._started = False
        self._budget: Budget | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing waits for the model."""
        return not self._at_work

    @hookimpl(trylast=True)
    def agenttrace_classifiers(self) -> Iterable[Classifier]:
        """Find what the model found; last, so that a rule's finding of the same keeps its words."""
        return (self.findings,)

    def findings(self, trace: Trace) -> Iterator[FailureAnnotation]:
        """Yield what is kept of the model's verdicts; where nothing is, have the model asked."""
        told = transcript(trace)
        if not told.steps or not any(r.parent_id is None and r.end_ns for r in trace.roots):
            return
        digest = told.hash(VERSION, self._terms.url, self._terms.model)
        kept = self._store.judgement(trace.trace_id, digest)
        if kept is None:
            self._have_judged(told, digest)
            return
        reviewed = self._reviewed()
        for verdict in read(kept):
            step = told.steps[verdict.step]
            right, total = reviewed.get(verdict.mode, (0, 0))
            found = mode_found(
                trace,
                verdict.mode,
                evidence=verdict.quote,
                explanation=verdict.explanation,
                confidence=(WEIGHT * CONFIDENCE[verdict.sure] + right) / (WEIGHT + total),
                severity=verdict.severity,
                message=step.message,
                span=step.span,
            )
            # Its own id: a rule that finds the same there is another finding until they are merged.
            own = hashlib.sha256(f"{CLASSIFIER}\0{found.annotation_id}".encode()).hexdigest()[:32]
            yield replace(found, annotation_id=own, classifier=CLASSIFIER)

    def stop(self) -> None:
        """Ask no more. What the model is being asked just now is given up."""
        self._stopped.set()

    def _reviewed(self) -> dict[str, tuple[int, int]]:
        """Return, by mode, how many of the judge's findings people confirmed, of how many."""
        rows = [row for row in self._store.agreement() if row.classifier == CLASSIFIER]
        return {r.mode: (r.confirmed, r.confirmed + r.rejected + r.corrected) for r in rows}

    def _have_judged(self, told: Transcript, digest: str) -> None:
        with self._lock:
            if digest in self._at_work or self._stopped.is_set() or not self._start():
                return
            try:
                self._waiting.put_nowait((told, digest, time.monotonic()))
            except queue.Full:
                log.warning("Trace %s is not judged: %d wait", told.trace_id, MOST_WAITING)
            else:
                self._at_work.add(digest)

    def _start(self) -> bool:
        """Start the threads if that was not done; return whether there is anything they can do."""
        if not self._started:
            self._started = True
            if (price := self._terms.price) is None:
                log.error("Nothing is judged. %s", self._terms.problem)
            else:
                cap, model = self._terms.usd_per_day, self._terms.model
                self._budget = Budget(self._store, model, price, cap)
                for _ in range(self._terms.threads):
                    threading.Thread(
                        target=self._work, args=(self._budget,), name="judge", daemon=True
                    ).start()
        return self._budget is not None

    def _work(self, budget: Budget) -> None:
        while not self._stopped.is_set():
            told, digest, since = self._waiting.get()
            try:
                if self._is_whole(told, since):
                    self._judge_or_say_why_not(told, digest, budget)
            except StoreUnavailable as error:
                log.warning("Trace %s was not judged: %s", told.trace_id, error)
            except Exception:
                # The others that wait must not wait for ever.
                log.exception("Trace %s could not be judged", told.trace_id)
            finally:
                with self._lock:
                    self._at_work.discard(digest)

    def _is_whole(self, told: Transcript, since: float) -> bool:
        """Wait until a trace could have been joined with others; say whether it was not.

        Some instrumentations break a run into many traces: the whole is judged, once.
        """
        if self._stopped.wait(max(0.0, since + self._terms.settle_seconds - time.monotonic())):
            return False
        summary = self._store.summary(told.trace_id)
        return summary is None or summary.part_of is None

    def _judge_or_say_why_not(self, told: Transcript, digest: str, budget: Budget) -> None:
        try:
            self._judge(told, digest, budget)
        except JudgeError as error:
            log.warning("Trace %s was not judged: %s", told.trace_id, error)
            if not self._stopped.is_set():
                self._store.judge_called(self._terms.model, 0, 0, 0.0, str(error))

    def _judge(self, told: Transcript, digest: str, budget: Budget) -> None:
        room = self._terms.window_tokens * CHARACTERS_A_TOKEN
        questions = [question(told, window) for window in told.windows(room)]
        asked = sum(len(INSTRUCTIONS) + len(one) for one in questions) // CHARACTERS_A_TOKEN
        with budget.reserve(asked, ANSWER_TOKENS * len(questions)) as free:
            if not free:
                log.warning(
                    "Trace %s is not judged: it would cost more than $%s in 24 hours; see "
                    "AGENTTRACE_JUDGE_USD_PER_DAY",
                    told.trace_id,
                    self._terms.usd_per_day,
                )
                return
            verdicts = [v for one in questions for v in self._ask(one, budget)]
        kept = list(_checked(told, verdicts))
        if left_out := len(verdicts) - len(kept):
            log.info("Trace %s: %d verdicts without a true quote", told.trace_id, left_out)
        self._store.keep_judgement(told.trace_id, digest, written(kept))
        self._store.look_again(told.trace_id)

    def _ask(self, one: str, budget: Budget) -> list[Verdict]:
        for left in reversed(range(TRIES)):
            answer = self._endpoint.ask(INSTRUCTIONS, one)
            budget.spend(answer.tokens_in, answer.tokens_out)
            try:
                return read(answer.text)
            except JudgeError as error:
                if not left:
                    raise
                log.info("Asking again: %s", error)
        raise AssertionError("unreachable: the last try returns or raises")


def _checked(told: Transcript, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Yield each failure once, at the step that its quote is in; one whose quote is nowhere not."""
    seen = set()
    for verdict in verdicts:
        step = find(told.steps, verdict.quote, verdict.step)
        if step is not None and (verdict.mode, step) not in seen:
            seen.add((verdict.mode, step))
            yield replace(verdict, step=step)
