"""Decide from names alone who is an agent, so that a live run and a recorded one agree.

A node of a graph is a participant, unless it is

- a tool node: LangGraph's `ToolNode`, or a node named like one (`tools`, `tool_node`, `call_tool`,
  `execute_tools`, `action` …); what it says is said by the agent that called the tools;
- a hook of a prebuilt agent (`pre_model_hook`, `SummarizationMiddleware.before_model` …).

A compiled graph all of whose nodes are tool nodes, hooks and nodes named like a model call
(`agent`, `model`, `llm`, `call_model`, `chatbot` …) is one agent, not a team: `create_agent`,
`create_react_agent`, and the same thing written by hand. As a node of another graph it has that
node's name. On its own it counts as one agent only under the names the prebuilt agents use
(`agent`, `model`): it has the graph's name, or `agent`. Any other graph is a team, and a node that
is a team is a participant too: it hands work to its inner nodes and gives back what they answer.

Functions on conditional edges are no participants: what they decide is said by their node.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

Path = tuple[str, ...]
"""The names of the nodes from the outermost graph down to a node."""

DEFAULT_GRAPH_NAME = "LangGraph"
UNNAMED_AGENT = "agent"

_TOOLS = re.compile(
    r"(?:(?:call|execute|run|use|invoke)_)?tools?(?:_(?:node|executor|execution|calls?))?|action",
    re.IGNORECASE,
)
_HOOK = re.compile(
    r"pre_model_hook|post_model_hook|generate_structured_response"
    r"|.*\.(?:before|after)_(?:agent|model)",
)
_PREBUILT_MODEL = frozenset({"agent", "model"})
_MODEL = re.compile(
    r"agent|(?:chat_?)?model|llm|chatbot|chat|assistant|oracle"
    r"|(?:call|invoke|run)_?(?:the_)?(?:model|llm|agent)|(?:model|llm|agent)_?(?:call|node)",
    re.IGNORECASE,
)


def is_tools(name: str) -> bool:
    """Whether a node with this name runs tools for whoever called them."""
    return _TOOLS.fullmatch(name) is not None


def is_hook(name: str) -> bool:
    """Whether this is a prebuilt agent's own step around its model call."""
    return _HOOK.fullmatch(name) is not None


def is_model(name: str) -> bool:
    """Whether a node with this name is the model call inside one agent."""
    return _MODEL.fullmatch(name) is not None


def is_inside_agent(name: str) -> bool:
    """Whether a node with this name in a subgraph is a part of an agent, not an agent."""
    return is_model(name) or is_tools(name) or is_hook(name)


def is_one_agent(nodes: Iterable[str], tools: Iterable[str] = (), nested: bool = False) -> bool:
    """Whether a graph of these nodes is one agent; `tools` are those known to be tool nodes."""
    names = set(nodes) - set(tools)
    models = {name for name in names if is_model(name)}
    others = names - models
    if len(models) != 1 or not all(is_tools(name) or is_hook(name) for name in others):
        return False
    return nested or models <= _PREBUILT_MODEL


def display_names(paths: Iterable[Path]) -> dict[Path, str]:
    """Return each participant's name: its node's, with its team's in front where two share one.

    Of several with the same name the outermost keeps it, if there is one outermost.
    """
    by_name: defaultdict[str, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        by_name[path[-1]].append(path)
    names: dict[Path, str] = {}
    for name, same in by_name.items():
        outermost = min(len(path) for path in same)
        keeps = [path for path in same if len(path) == outermost]
        for path in same:
            if path in keeps and len(keeps) == 1:
                names[path] = name
            else:
                names[path] = "/".join(path[-2:])
    return _distinct(names)


def _distinct(names: Mapping[Path, str]) -> dict[Path, str]:
    taken: defaultdict[str, list[Path]] = defaultdict(list)
    for path, name in names.items():
        taken[name].append(path)
    return {path: name if len(taken[name]) == 1 else "/".join(path) for path, name in names.items()}


def path_of(namespace: str) -> Path:
    """Return the node names in a checkpoint namespace such as `team:<task>|writer:<task>`."""
    parts = (part.split(":", 1)[0] for part in namespace.split("|") if not part.isdigit())
    return tuple(part for part in parts if part)


def task_of(namespace: str) -> str:
    """Return the task id a checkpoint namespace ends in, or the empty text."""
    for part in reversed(namespace.split("|")):
        if ":" in part:
            return part.rsplit(":", 1)[1]
    return ""
