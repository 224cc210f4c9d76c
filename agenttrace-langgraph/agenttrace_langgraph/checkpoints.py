"""Record the state before every super-step, so that a run can be continued from there."""

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

import msgspec

from agenttrace import payload
from agenttrace.serialise import Lazy, field_names, snapshot, to_text
from agenttrace_langgraph import state
from agenttrace_langgraph.roles import DEFAULT_GRAPH_NAME
from agenttrace_langgraph.runs import Graph, Inbox
from agenttrace_langgraph.turns import inbox_of

PUSH = "__pregel_push"
LOST = "$lost"
"""Key of what stands for a value that has no JSON."""

_ENDED = "The run ended here: nothing is left to run"
_NO_TASK = "00000000-0000-0000-0000-000000000000"
_COORDINATES = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")


def record(graph: Graph, tasks: Iterable[Any], *, first: bool = False) -> None:
    """Record the state a graph's loop is in, with the `tasks` it is about to run.

    `first` says that the loop has not run any: a subgraph may go on from an earlier run then.

    Works without a checkpointer: the loop keeps channels and their versions in memory. The state
    is a whole LangGraph checkpoint (see `state`): put into any saver, the run continues from it.
    """
    loop = graph.loop
    if not graph.span.is_recording():
        return
    waiting = list(tasks)
    checkpoint = _checkpoint(loop)
    around = graph.within.checkpoint_id if first and _goes_on(graph) and graph.within else None
    graph.checkpoint_id = checkpoint["id"]
    payload.checkpoint(
        graph.span,
        checkpoint_id=checkpoint["id"],
        label=_label(graph, waiting),
        state=partial(_serialise, checkpoint, graph.root.spelled, _writes(loop)),
        config=_config(graph, checkpoint["id"], waiting, around),
        input=_packets(waiting),
        why_not=_why_not(graph, waiting),
    )


def _checkpoint(loop: Any) -> dict[str, Any]:
    """Return the loop's checkpoint with the values its channels have now.

    Without a checkpointer, and with durability "exit", the loop's own has none. What is untracked
    is in no checkpoint: a run that is continued has it not.
    """
    from langgraph.channels.untracked_value import UntrackedValue

    checkpoint = dict(loop.checkpoint)
    versions = dict(checkpoint["channel_versions"])
    values: dict[str, Any] = {}
    for name, channel in loop.channels.items():
        tracked = name in versions and not isinstance(channel, UntrackedValue)
        if tracked and channel.is_available():
            values[name] = _value(channel)
    checkpoint["channel_values"] = values
    checkpoint["channel_versions"] = versions
    checkpoint["versions_seen"] = {
        node: dict(seen) for node, seen in checkpoint["versions_seen"].items()
    }
    return checkpoint


def _value(channel: Any) -> Any:
    if type(channel).__name__ == "DeltaChannel":
        # Its own checkpoint refers to writes that only a saver keeps.
        from langgraph.checkpoint.serde.types import _DeltaSnapshot

        return _DeltaSnapshot(channel.get())
    value = channel.checkpoint()
    return value.copy() if type(value) in (list, dict, set) else value


def _writes(loop: Any) -> list[state.Write]:
    """Return what tasks of this step wrote in an earlier run; what an input wrote is applied."""
    return [
        (task, channel, value)
        for task, channel, value in getattr(loop, "checkpoint_pending_writes", ())
        if task != _NO_TASK
    ]


def _serialise(checkpoint: dict[str, Any], known: state.Known, writes: list[state.Write]) -> str:
    versions = checkpoint["channel_versions"]
    seen = checkpoint["versions_seen"].items()
    return state.dump(
        {
            **checkpoint,
            "channel_versions": _for_savers(versions),
            "versions_seen": {node: _for_savers(found) for node, found in seen},
        },
        known,
        writes,
    )


def _for_savers(versions: dict[str, Any]) -> dict[str, Any]:
    """Return channel versions as savers count them; without one, the loop counts in integers."""
    return {
        name: _version(version) if isinstance(version, int) else version
        for name, version in versions.items()
    }


@lru_cache(1024)
def _version(count: int) -> str:
    return f"{count:032}.{0:016}"


def _label(graph: Graph, waiting: list[Any]) -> str:
    names = ", ".join(dict.fromkeys(task.name for task in waiting))
    label = "end" if not names else "start" if names == "__start__" else f"before {names}"
    return f"{'/'.join(graph.path)}: {label}" if graph.path else label


def _goes_on(graph: Graph) -> bool:
    """Whether a subgraph was not given its input now, but had stopped in the middle of its work."""
    return bool(graph.namespace) and graph.loop.checkpoint_metadata.get("source") != "input"


def _config(
    graph: Graph, checkpoint_id: str, waiting: list[Any], restored_with: str | None
) -> Lazy:
    loop = graph.loop
    configurable, about = dict(loop.config["configurable"]), dict(loop.checkpoint_metadata)
    checkpointer, limit = loop.checkpointer is not None, int(loop.config["recursion_limit"])
    tasks = [(task.id, task.name, task.path) for task in waiting]
    name = graph.shape.name or DEFAULT_GRAPH_NAME
    inboxes = _inboxes(graph, waiting)
    resume, given = snapshot(graph.resumed_with), _runtime_context(configurable)
    steps_left = loop.stop - loop.step
    stops = {
        "interrupt_before": _names(loop.interrupt_before),
        "interrupt_after": _names(loop.interrupt_after),
    }
    waits = loop.status == "interrupt_before"
    how = "async" if type(loop).__name__.startswith("Async") else "sync"

    def config() -> str:
        where = {key: configurable[key] for key in _COORDINATES if configurable.get(key)}
        found = {
            "graph": name,
            "configurable": {"checkpoint_ns": "", **where, "checkpoint_id": checkpoint_id},
            "context": {
                key: plain(value)
                for key, value in configurable.items()
                if key not in where and not key.startswith("__")
            },
            "metadata": about,
            "checkpointer": checkpointer,
            "recursion_limit": limit,
            "run": how,
            "steps_left": steps_left,
            **stops,
            **({"waits": True} if waits else {}),
            "runtime_context": plain(given),
            "resume": plain(resume),
            **({"restored_with": restored_with} if restored_with else {}),
            "inboxes": {name: said.plain() for name, said in inboxes.items()},
            "next": [task[1] for task in tasks],
            "tasks": [{"id": task[0], "name": task[1], "path": task[2]} for task in tasks],
        }
        return msgspec.json.encode(found, enc_hook=repr).decode()

    return Lazy(config)


def _inboxes(graph: Graph, waiting: list[Any]) -> dict[str, Inbox]:
    """Return the messages that the nodes about to run answer, by node, for a `Send` by task id."""
    found = {}
    for task in waiting:
        inbox = inbox_of(graph, task.name, task)
        if inbox.agent is not None or inbox.received.sender is not None:
            found[task.id if task.path[0] == PUSH else task.name] = inbox
    return found


def _runtime_context(configurable: dict[str, Any]) -> Any:
    """Return the `context=` a run was given."""
    context = getattr(configurable.get("__pregel_runtime"), "context", None)
    return snapshot(context)


def _names(nodes: Any) -> Any:
    return nodes if isinstance(nodes, str) else list(nodes)


def plain(value: Any) -> Any:
    """Return a value as JSON, what has none as `{"$lost": its repr}`."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    fields = field_names(type(value))
    if fields is not None:
        return {name: plain(getattr(value, name)) for name in fields if hasattr(value, name)}
    return {LOST: to_text(repr(value), 200)}


def _packets(waiting: list[Any]) -> Any:
    """Return the arguments of the `Send`s about to run, by task id; None where there are none."""
    packets = {task.id: snapshot(task.input) for task in waiting if task.path[0] == PUSH}
    return packets or None


def _why_not(graph: Graph, waiting: list[Any]) -> str | None:
    if not waiting:
        return _ENDED
    if graph.namespace:
        above = graph.within.checkpoint_id if graph.within is not None else None
        instead = f": go back to checkpoint {above} of the graph around it" if above else ""
        return f"It belongs to the subgraph {'/'.join(graph.path)}, which starts over{instead}"
    return None
