"""Who waits for whom: messages nobody took up, and agents that wait in a circle."""

from collections.abc import Iterator

import networkx as nx

from agenttrace.models import USER, FailureAnnotation, Message, Trace
from agenttrace_server.mast import signs
from agenttrace_server.mast.finding import finding, quote

CLASSIFIER = "agenttrace.faults"
_EXPECTS_ANSWER = frozenset({"task", "question"})


# Recipients that stand for no one in particular, or for the end.
_NOBODY = frozenset({"all", "everyone", "*", "team", "group", "broadcast", "end", "__end__", ""})


class _Activity:
    """When each participant last began something, and last was at something."""

    def __init__(self, trace: Trace) -> None:
        self.began: dict[str, int] = {}
        self.busy: dict[str, int] = {}
        for span in trace.spans:
            if owner := trace.agent_of(span):
                self.began[owner] = max(span.start_ns, self.began.get(owner, 0))
                # The end of a leaf only: an agent that waits inside a call is not at work.
                at = span.start_ns if trace.children(span.span_id) else span.end_ns
                self.busy[owner] = max(at, self.busy.get(owner, 0))
        for message in trace.messages:
            self.began[message.sender] = max(message.sent_at, self.began.get(message.sender, 0))

    def took_up(self, message: Message) -> bool:
        """Say whether the recipient may have acted on the message.

        Someone who was just at work may have read a task in the middle of it; a question wants an
        answer, which would be a message of its own or new work.
        """
        began = self.began.get(message.recipient, -1)
        busy = self.busy.get(message.recipient, -1) if message.type == "task" else -1
        return max(began, busy) >= message.sent_at


def unanswered_messages(trace: Trace) -> Iterator[FailureAnnotation]:
    """Find tasks and questions whose recipient never did anything any more.

    Sees observed tasks and questions between agents, in a run that has ended, after which the
    recipient neither worked nor spoke. Cannot see an agent that worked on and ignored the message
    (that is MAST 2.5), nor one whose work was not recorded; so a recipient without any span counts
    only if it is no other agent's or tool's name in another spelling. The last turn of a
    conversation is no task, and in a run that broke off with an error the error is the finding.
    Source: AgentTrace's own taxonomy of operational faults.
    """
    if not _anyone_waits(trace) or not _ended_well(trace):
        return
    circles = {message.message_id for circle in _circles(trace) for message in circle}
    activity = _Activity(trace)
    names = _Names(trace)
    spoke: set[tuple[str, str]] = set()
    silent: set[tuple[str, str]] = set()
    for message in trace.messages:
        spoke.add((message.sender, message.recipient))
        last_turn = message.type == "task" and (message.recipient, message.sender) in spoke
        if (
            message.type in _EXPECTS_ANSWER
            and message.provenance == "observed"
            and not last_turn
            and message.sender not in (USER, message.recipient)
            and message.message_id not in circles
            and not activity.took_up(message)
            and (message.sender, message.recipient) not in silent
            and (confidence := names.confidence(message))
        ):
            # One finding says it; what else they were sent is unanswered for the same reason.
            silent.add((message.sender, message.recipient))
            yield finding(
                trace,
                "unanswered_message",
                category="coordination",
                subcategory="unanswered_message",
                classifier=CLASSIFIER,
                message=message,
                agent=message.recipient,
                severity="high" if message.type == "question" else "medium",
                confidence=confidence,
                evidence=quote(message.content),
                explanation=(
                    f"{message.sender} sent {message.recipient} a {message.type}, and "
                    f"{message.recipient} did nothing more before the run ended."
                ),
            )


class _Names:
    """Tells how sure it is that a recipient is an agent which did nothing."""

    def __init__(self, trace: Trace) -> None:
        self.agents = {agent.name for agent in trace.agents}
        tools = {span.tool for span in trace.spans if span.tool}
        self.spelt = {_letters(name) for name in self.agents | tools}

    def confidence(self, message: Message) -> float:
        if message.recipient in self.agents:
            return 0.8
        letters = _letters(message.recipient)
        if message.audience or message.recipient.lower() in {*_NOBODY, USER}:
            return 0.0
        # `coder` and `coder_agent` may well be one.
        alike = any(letters in other or other in letters for other in self.spelt if other)
        return 0.0 if alike or message.sender not in self.agents else 0.6


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def deadlocks(trace: Trace) -> Iterator[FailureAnnotation]:
    """Find agents that wait for each other in a circle.

    Sees a cycle of the wait-for graph (Coffman et al. 1971): each agent asked the next one, heard
    nothing back but a question, and did nothing more before the run ended. Tasks that go round
    without any question are how group chats work, so they count only where the run was given up
    without another error. Cannot see waiting that no message tells of, such as two tools that hold
    each other's lock, nor a run that has not ended yet.
    """
    for circle in _circles(trace):
        names = [message.sender for message in circle]
        last = max(circle, key=lambda message: message.sent_at)
        yield finding(
            trace,
            "deadlock",
            category="coordination",
            subcategory="deadlock",
            classifier=CLASSIFIER,
            message=last,
            severity="critical",
            confidence=0.9,
            decisive=True,
            evidence=quote(last.content),
            explanation=(
                f"{' → '.join([*names, names[0]])}: each waits for the next one's answer, "
                "and none comes."
            ),
        )


def _anyone_waits(trace: Trace) -> bool:
    return any(message.type in _EXPECTS_ANSWER for message in trace.messages)


def _circles(trace: Trace) -> list[list[Message]]:
    """Return, for each circle of agents that wait, the messages they wait on."""
    if not _anyone_waits(trace) or not _ended(trace):
        return []
    activity = _Activity(trace)
    waits: dict[str, Message] = {}
    told: dict[tuple[str, str], int] = {}
    for message in trace.messages:
        if message.type != "question":
            told[message.sender, message.recipient] = message.sent_at
        asks = message.type in _EXPECTS_ANSWER and USER not in (message.sender, message.recipient)
        # Who spoke or worked later does not wait on this one.
        if asks and activity.began.get(message.sender, -1) <= message.sent_at:
            waits[message.sender] = message
    given_up = _given_up(trace)
    graph: nx.DiGraph[str] = nx.DiGraph(
        (name, message.recipient)
        for name, message in waits.items()
        if name != message.recipient
        and (given_up or told.get((message.recipient, name), -1) < message.sent_at)
    )
    # Each agent waits on one message, so the cycles do not overlap and there are few.
    circles = [[waits[name] for name in cycle] for cycle in nx.simple_cycles(graph)]
    return [
        circle
        for circle in circles
        if given_up or any(message.type == "question" for message in circle)
    ]


def _ended(trace: Trace) -> bool:
    """Say whether the whole run is there."""
    return any(span.parent_id is None and span.end_ns for span in trace.roots)


def _ended_well(trace: Trace) -> bool:
    """Say whether the run has ended, and not with an error that explains the silence."""
    return _ended(trace) and not signs.root_failed(trace)


def _given_up(trace: Trace) -> bool:
    """Say whether the run was cut off, by a timeout and nothing else."""
    errors = [signs.error_text(span) for span in signs.origins(trace)]
    cut_off = all(signs.TIMEOUT.search(error) for error in errors)
    return bool(errors) and signs.root_failed(trace) and cut_off
