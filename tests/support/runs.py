"""Runs as OTLP/JSON, written down by hand: what a browser is shown in these tests."""

import itertools
import json
import time
from typing import Any

_ids = itertools.count(int(time.time_ns()) & 0xFFFFFFFF)


def new_trace_id() -> str:
    """Return 32 hex digits that no other run of this session has."""
    return f"{next(_ids):08x}{time.time_ns() & ((1 << 96) - 1):024x}"


class Run:
    """One trace being written down. Times are milliseconds from its start."""

    def __init__(
        self, name: str = "research team", *, service: str = "e2e", trace_id: str = ""
    ) -> None:
        self.trace_id = trace_id or new_trace_id()
        self.name = name
        self.service = service
        self.start_ns = time.time_ns() - 60_000_000_000
        self.spans: list[dict[str, Any]] = []
        self._count = itertools.count(1)

    def span(
        self, name: str, start: float, end: float, parent: str | None = None, **attributes: Any
    ) -> str:
        """Add a span and return its id. Dots in attribute names are written as two underscores."""
        span_id = f"{next(self._count):04x}{self.trace_id[:12]}"
        error = attributes.pop("error", None)
        self.spans.append(
            {
                "traceId": self.trace_id,
                "spanId": span_id,
                **({"parentSpanId": parent} if parent else {}),
                "name": name,
                "kind": 1,
                "startTimeUnixNano": self._ns(start),
                "endTimeUnixNano": self._ns(end),
                "attributes": _attributes(
                    {key.replace("__", "."): value for key, value in attributes.items()}
                ),
                "events": [],
                "status": {"code": 2, "message": error} if error else {"code": 1},
            }
        )
        return span_id

    def agent(self, name: str, start: float, end: float, parent: str | None, **more: Any) -> str:
        """Add a span in which an agent works."""
        return self.span(
            f"invoke_agent {name}",
            start,
            end,
            parent,
            gen_ai__operation__name="invoke_agent",
            gen_ai__agent__name=name,
            agenttrace__framework="langgraph",
            **more,
        )

    def llm(
        self, start: float, end: float, parent: str, asked: str, answered: str, **more: Any
    ) -> str:
        """Add a model call."""
        return self.span(
            "chat gpt-4o",
            start,
            end,
            parent,
            gen_ai__operation__name="chat",
            gen_ai__provider__name="openai",
            gen_ai__request__model="gpt-4o",
            gen_ai__usage__input_tokens=200 + len(asked),
            gen_ai__usage__output_tokens=20 + len(answered),
            gen_ai__input__messages=json.dumps(
                [{"role": "user", "parts": [{"type": "text", "content": asked}]}]
            ),
            gen_ai__output__messages=json.dumps(
                [{"role": "assistant", "parts": [{"type": "text", "content": answered}]}]
            ),
            **more,
        )

    def tool(self, name: str, start: float, end: float, parent: str, **more: Any) -> str:
        """Add a tool call."""
        return self.span(
            f"execute_tool {name}",
            start,
            end,
            parent,
            gen_ai__operation__name="execute_tool",
            gen_ai__tool__name=name,
            **more,
        )

    def says(
        self, span_id: str, at: float, sender: str, recipient: str, content: str, type: str = "task"
    ) -> str:
        """Add a message to a span and return its id."""
        span = next(span for span in self.spans if span["spanId"] == span_id)
        message_id = f"m{next(self._count)}-{self.trace_id[:6]}"
        span["events"].append(
            {
                "name": "agenttrace.message",
                "timeUnixNano": self._ns(at),
                "attributes": _attributes(
                    {
                        "agenttrace.message.id": message_id,
                        "agenttrace.message.sender": sender,
                        "agenttrace.message.recipient": recipient,
                        "agenttrace.message.type": type,
                        "agenttrace.message.content": content,
                    }
                ),
            }
        )
        return message_id

    def otlp(self, spans: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """Return the run, or some of its spans, as an OTLP/JSON request."""
        return {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes({"service.name": self.service})},
                    "scopeSpans": [
                        {"scope": {"name": "agenttrace.langgraph"}, "spans": spans or self.spans}
                    ],
                }
            ]
        }

    def _ns(self, milliseconds: float) -> str:
        return str(self.start_ns + int(milliseconds * 1_000_000))


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": str(value)}


def research_team(name: str = "research team", **more: Any) -> Run:
    """A team whose search tool fails, is tried again unchanged, and whose critic is ignored."""
    run = Run(name, **more)
    root = run.span(
        f"invoke_workflow {name}",
        0,
        9400,
        gen_ai__operation__name="invoke_workflow",
        agenttrace__framework="langgraph",
        agenttrace__input="Write a short report on tidal power in Brittany.",
        agenttrace__output="# Tidal power\n\nLa Rance produces **500 GWh** a year.",
    )
    run.says(root, 5, "user", "supervisor", "Write a short report on tidal power in Brittany.")
    lead = run.agent("supervisor", 10, 9390, root, agenttrace__agent__role="plans and delegates")
    run.llm(20, 640, lead, "Who should work on this?", "Ask the researcher first.")
    run.says(lead, 650, "supervisor", "researcher", "Find figures on tidal power in Brittany.")
    for turn, start in enumerate((660, 3050)):
        work = run.agent("researcher", start, start + 2300, lead)
        run.llm(start + 10, start + 700, work, "Find figures.", "I will search the web.")
        run.tool(
            "search_web",
            start + 710,
            start + 1500,
            work,
            gen_ai__tool__call__arguments='{"query": "La Rance annual production"}',
            error="HTTP 503: search is over capacity",
        )
        run.llm(start + 1510, start + 2290, work, "The search failed.", "I remember about 500 GWh.")
        run.says(
            work,
            start + 2295,
            "researcher",
            "supervisor",
            "La Rance produces about **500 GWh** a year.\n\n- opened 1966\n- 240 MW",
            "result",
        )
        if not turn:
            run.says(
                lead, 3000, "supervisor", "researcher", "Find figures on tidal power in Brittany."
            )
    run.says(lead, 5400, "supervisor", "writer", "Write it up: 500 GWh, opened 1966, 240 MW.")
    writer = run.agent("writer", 5410, 7000, lead)
    run.llm(
        5420,
        6990,
        writer,
        "Write the report.",
        "# Tidal power\n\nLa Rance produces 500 GWh a year.",
    )
    run.says(
        writer,
        6995,
        "writer",
        "supervisor",
        "# Tidal power\n\nLa Rance produces 500 GWh.",
        "result",
    )
    run.says(lead, 7010, "supervisor", "critic", "Please review the report.", "question")
    critic = run.agent("critic", 7020, 8600, lead)
    run.llm(
        7030,
        8590,
        critic,
        "Review.",
        "The figure has no source. Do not publish before it is checked.",
    )
    run.says(
        critic,
        8595,
        "critic",
        "supervisor",
        "The figure of 500 GWh has no source. Do not publish before it is checked.",
        "answer",
    )
    run.llm(8650, 9300, lead, "What now?", "The report is done.")
    run.says(
        lead,
        9380,
        "supervisor",
        "user",
        "# Tidal power\n\nLa Rance produces **500 GWh** a year.",
        "result",
    )
    return run


def wide_team(agents: int) -> Run:
    """Many agents that report to few."""
    run = Run(f"team of {agents}")
    root = run.span(
        "invoke_workflow crowd", 0, agents * 20 + 100, gen_ai__operation__name="invoke_workflow"
    )
    for index in range(agents):
        name = f"worker-{index:03d}"
        work = run.agent(name, index * 20, index * 20 + 60, root)
        boss = f"worker-{index // 4:03d}" if index else "user"
        run.says(work, index * 20 + 1, boss, name, f"part {index}")
        if index:
            run.says(work, index * 20 + 50, name, boss, f"done with {index}", "result")
    return run


def long_run(spans: int) -> Run:
    """One trace with very many spans, four levels deep."""
    run = Run(f"{spans} spans")
    root = run.span(
        "invoke_workflow long", 0, spans * 2 + 10, gen_ai__operation__name="invoke_workflow"
    )
    at, left = 0.0, spans - 1
    while left > 0:
        turn = run.agent(f"agent-{(left // 20) % 9}", at, at + 38, root)
        left -= 1
        for step in range(min(left, 18)):
            start = at + step * 2
            if step % 3:
                run.tool(
                    "lookup", start, start + 1.5, turn, **({"error": "gone"} if step == 17 else {})
                )
            else:
                run.llm(start, start + 1.8, turn, "?", "!")
            left -= 1
        at += 40
    return run
