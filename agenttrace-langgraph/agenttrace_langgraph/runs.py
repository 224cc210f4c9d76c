"""What is known of a run while it is open, found by the id LangChain gave it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.trace import Span, Tracer

from agenttrace.models import MessageType
from agenttrace_langgraph.roles import Path
from agenttrace_langgraph.shape import Shape


class Received(NamedTuple):
    """The message an agent acts upon; `sender` None where nobody in this trace sent it."""

    message_id: str | None = None
    sender: str | None = None
    type: MessageType = "task"
    content: Any = None


NOTHING = Received()


class Inbox(NamedTuple):
    """What waits for a node: a message for an agent, or for a tool node whom it works for."""

    received: Received
    agent: str | None = None


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
    resume: Any = None
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
