"""MAST category 2: agents that pass each other by."""

from collections.abc import Iterator

from agenttrace.models import FailureAnnotation
from agenttrace_server.mast.finding import quote
from agenttrace_server.mast.modes import mode_found
from agenttrace_server.mast.objections import objections
from agenttrace_server.mast.talk import Talk


def ignored_input(talk: Talk) -> Iterator[FailureAnnotation]:
    """Find objections that those who heard them went past (MAST 2.5).

    Sees an objection to earlier work after which the next one to speak neither answers it nor names
    who made it, and none of what was new in it is used by anyone until the end. It is surer where
    that next message is one from before, word for word. Cannot see an objection in unusual words,
    nor one that is mentioned and then not followed.
    """
    again = {later.index for _, later in talk.repeats}
    for objection in objections(talk):
        reaction = objection.reaction
        if reaction is None or objection.taken_up:
            continue
        said = objection.said
        repeated = reaction.index in again
        yield mode_found(
            talk.trace,
            "2.5",
            message=reaction.message,
            agent=reaction.sender,
            evidence=quote(said.text, objection.start, objection.end),
            explanation=(
                f"{said.sender} raises an objection, and {reaction.sender} "
                f"{'repeats what it had said before' if repeated else 'goes on without an answer'}."
            ),
            confidence=0.9 if repeated else 0.65,
            severity="high",
        )
