"""One rule: which spans or messages of a trace it finds, and what it says of them."""

import logging
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agenttrace.models import FailureAnnotation, Message, Severity, Span, Trace
from agenttrace_server.mast.finding import finding, quote
from agenttrace_server.taxonomy import Mode
from agenttrace_server.yaml_rules.conditions import Condition, Match, TooSlow
from agenttrace_server.yaml_rules.fields import TEXTS, Subject, read

log = logging.getLogger("agenttrace.rules")

CLASSIFIER: Final = "rules"
RULE_SECONDS: Final = 2.0
"""A rule ends its search of one trace after so long."""
PLACEHOLDER: Final = re.compile(r"\{([\w.\-]+)\}")

Found = tuple[Span | Message, str]
"""What a rule found, and the quote that shows it."""


class Rule:
    """A classifier made from a few lines of YAML.

    Without a count every span or message that fulfils the conditions is a finding; with one, each
    group whose number fulfils it is, pinned to its last.
    """

    def __init__(
        self,
        mode: str,
        subject: Subject,
        conditions: Mapping[str, Condition],
        *,
        category: str,
        subcategory: str,
        severity: Severity,
        confidence: float,
        explain: str,
        count: Condition | None = None,
        per: str | None = None,
    ) -> None:
        self.mode = self.__name__ = mode
        self.subject = subject
        self._conditions = conditions
        self._named: dict[str, Any] = {
            "category": category,
            "subcategory": subcategory,
            "severity": severity,
            "confidence": confidence,
        }
        self.kind = Mode(mode, category, subcategory, "found by a rule of your own")
        self._explain = explain
        self._count = count
        self._per = per

    def __call__(self, trace: Trace) -> Iterator[FailureAnnotation]:
        """Yield what the rule finds; a regular expression that is too slow ends it, logged."""
        try:
            if self._count is None:
                for thing, shown in self._matching(trace):
                    yield self._finding(trace, thing, shown, 1)
            else:
                yield from self._counted(trace, self._count)
        except TooSlow as error:
            log.warning("Rule %s gave up on trace %s: %s", self.mode, trace.trace_id, error)

    def _counted(self, trace: Trace, count: Condition) -> Iterator[FailureAnnotation]:
        groups: dict[Any, tuple[int, Found]] = {}
        for thing, shown in self._matching(trace):
            key = read(self.subject, self._per, trace, thing) if self._per else None
            before = groups.get(str(key))
            groups[str(key)] = (before[0] if before else 0) + 1, (thing, shown)
        for number, (thing, shown) in groups.values():
            if count(number) is not None:
                yield self._finding(trace, thing, shown, number)

    def _matching(self, trace: Trace) -> Iterator[Found]:
        until = time.monotonic() + RULE_SECONDS
        things: tuple[Span | Message, ...] = (
            trace.spans if self.subject == "span" else trace.messages
        )
        for thing in things:
            if time.monotonic() > until:
                raise TooSlow(f"it searched for longer than {RULE_SECONDS} s")
            shown: str | None = None
            for field, holds in self._conditions.items():
                value = read(self.subject, field, trace, thing)
                held = holds(value)
                if held is None:
                    break
                shown = _quoted(value, held) or shown
            else:
                yield thing, shown or self._text(trace, thing)

    def _text(self, trace: Trace, thing: Span | Message) -> str:
        texts = (read(self.subject, field, trace, thing) for field in TEXTS[self.subject])
        return quote(str(next((text for text in texts if text), "")))

    def _finding(
        self, trace: Trace, thing: Span | Message, shown: str, number: int
    ) -> FailureAnnotation:
        def value(named: re.Match[str]) -> str:
            name = named[1]
            if name == "count":
                return str(number)
            found = read(self.subject, name, trace, thing)
            return f"{found:.6g}" if isinstance(found, float) else str(found or "")[:200]

        return finding(
            trace,
            self.mode,
            classifier=CLASSIFIER,
            evidence=shown,
            explanation=PLACEHOLDER.sub(value, self._explain),
            span=thing if isinstance(thing, Span) else None,
            message=thing if isinstance(thing, Message) else None,
            **self._named,
        )


def _quoted(value: Any, held: Match) -> str | None:
    if held.start is None or held.end is None:
        return None
    return quote(str(value), held.start, held.end)
