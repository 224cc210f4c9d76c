"""What is known of a run while it is open, found by the id LangChain gave it."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.trace import Span, Tracer

from agenttrace.errors import ReplayError
from agenttrace.models import MessageType
from agenttrace.replay import Answer
from agenttrace.serialise import to_text
from agenttrace_langgraph.roles import Path
from agenttrace_langgraph.shape import Shape


class Received(NamedTuple):
    """The message an agent acts upon; `sender` None where nobody in this trace sent it."""

    message_id: str | None = None
    sender: str | None = None
    type: MessageType = "task"
    content: Any = None


NOTHING = Received()


class Decision(NamedTuple):
    """Where a call's answer comes from in a replay: the record, else it runs, unless refused."""

    answer: Answer | None = None
    refused: ReplayError | None = None
    tool_call_id: str | None = None
    again: bool = False
    """Whether the same answer has been given in this replay before."""


class Inbox(NamedTuple):
    """What waits for a node: a message for an agent, or for a tool node whom it works for."""

    received: Received
    agent: str | None = None

    def plain(self) -> dict[str, Any]:
        """Return it as JSON, for a replay that has no other way to know what was said before."""
        sender, kind, content = self.received.sender, self.received.type, self.received.content
        words = None if content is None else to_text(content)
        return {"sender": sender, "type": kind, "content": words, "agent": self.agent}

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Inbox":
        """Return what `plain` had made JSON of; the message itself is in another trace."""
        received = Received(None, said.get("sender"), said.get("type", "task"), said.get("content"))
        return cls(received, said.get("agent"))


class Resumed(NamedTuple):
    """What a replayed graph knows of the run it continues: the messages its next nodes answer."""

    inboxes: Mapping[str, Inbox] = {}


resumed: ContextVar[Resumed | None] = ContextVar("agenttrace_langgraph_resumed", default=None)
"""Set around a replay; whoever opens the graph takes it."""


@dataclass(slots=True, eq=False)
class Root:
    """One run from outside: everything started in it, so that nothing outlives it."""

    names: Mapping[Path, str]
    run_id: UUID
    tracer: Tracer
    met: dict[Path, str] = field(default_factory=dict)
    """Names of participants that the graphs do not show from outside."""
    open: set[UUID] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    spelled: dict[int, Any] = field(default_factory=dict)
    """What `state.dump` knows of this run's messages; goes with the last span it is needed for."""

    def name_of(self, path: Path) -> str:
        """Return the name of the participant at `path`, another than any other's."""
        name = self.names.get(path) or self.met.get(path)
        if name is None:
            taken = {*self.names.values(), *self.met.values()}
            name = path[-1]
            for deep in range(2, len(path) + 1):
                if name not in taken:
                    break
                name = "/".join(path[-deep:])
            self.met[path] = name
        return name


@dataclass(slots=True, eq=False)
class Run:
    """A run and its span; `owns` is false where it is folded into its parent's span.

    `agent` is whose work this is, `received` the message that work answers; `key` identifies the
    span in the OpenTelemetry context; `attached` whether `previous` is still to be put back there.
    """

    run_id: UUID
    root: Root
    span: Span
    context: Context
    key: int
    agent: str | None = None
    received: Received = NOTHING
    namespace: str = ""
    path: Path = ()
    owns: bool = True
    attached: bool = False
    previous: Context | None = None
    speaker: "Run | None" = None
    """The run whose span stands for the agent: it learns the agent's role, and its last words."""
    has_role: bool = False
    words: Any = None
    tool: str | None = None
    within: "Graph | None" = None
    """The nearest graph around it."""
    conclude: Callable[[Any, BaseException | None], None] | None = None
    """Called with (outputs, error) before the span ends."""
    decision: "Decision | None" = None
    """In a replay: where a model's or tool's answer is to come from."""


@dataclass(slots=True, eq=False)
class Graph(Run):
    """The run of a compiled graph; `caller` is who it answers to."""

    shape: Shape = field(kw_only=True)
    caller: str = field(kw_only=True)
    inputs: Any = None
    loop: Any = None
    single: bool = False
    """Whether all of it is the work of one agent."""
    outer: "Run | None" = None
    inboxes: dict[str, Inbox] = field(default_factory=dict)
    sent: dict[int, Inbox] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)
    ended: "tuple[str | None, Received] | None" = None
    """Who ended the graph without saying anything."""
    answered: bool = False
    greeted: bool = True
    """Whether the agent this graph is has heard what it is asked."""
    resume: Any = None
    resumed_with: Any = None
    """What the user answered, as long as the step runs that goes on with it."""
    restored: Mapping[str, Inbox] | None = None
    """In a replay, until its first step: the messages waiting there, by node or task id."""
    command_by: "tuple[str | None, Received] | None" = None
    """Who inside gave a `Command` that is meant for a graph further out."""
    checkpoint_id: str | None = None

    def name_of(self, node: str) -> str:
        """Return the name of a participant of this graph."""
        return self.root.name_of((*self.path, node))


@dataclass(slots=True, eq=False)
class Node(Run):
    """The run of a node of a graph, or of a task of a functional workflow."""

    graph: Graph = field(kw_only=True)
    name: str = field(kw_only=True)
    task_id: str = field(kw_only=True)
    before: Any = None
    pushed: bool = False
    wraps: bool = False
    """Whether a graph ran inside: what it returns is then a whole state."""
    speaks_for: "tuple[str | None, Received] | None" = None
    """Who inside gave the `Command` that takes effect here."""
    answer: Any = None
    """What the user answered to this node's question, until someone takes it."""
