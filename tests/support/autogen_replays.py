"""AutoGen applications to replay: their models read what they are told, and every call is counted.

Each function makes the whole application anew, as a worker's module would.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from autogen_agentchat.agents import (
    AssistantAgent,
    CodeExecutorAgent,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_agentchat.tools import AgentTool
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.models import ChatCompletionClient, CreateResult, RequestUsage

from support.autogen_apps import INFO, calls, ledger, says

counted: Counter[str] = Counter()
"""Calls of models, by agent, and of tools, by name, since this was last cleared."""

Heard = list[str]
"""What a model was told, as text, without the system message."""


class Reader(ChatCompletionClient):
    """A model that answers by what it reads."""

    def __init__(self, name: str, answer: Callable[[Heard], str | CreateResult]) -> None:
        self.model_name = "reader-1"
        self._who = name
        self._answer = answer

    async def create(self, messages: Sequence[Any], **_: Any) -> CreateResult:
        counted[self._who] += 1
        heard = [_text(message) for message in messages if message.type != "SystemMessage"]
        said = self._answer(heard)
        if isinstance(said, CreateResult):
            return said
        usage = RequestUsage(prompt_tokens=len(heard), completion_tokens=len(said.split()))
        return CreateResult(finish_reason="stop", content=said, usage=usage, cached=False)

    async def create_stream(
        self, messages: Sequence[Any], **options: Any
    ) -> AsyncGenerator[str | CreateResult, None]:
        result = await self.create(messages, **options)
        if isinstance(result.content, str):
            for word in result.content.split(" "):
                yield word + " "
        yield result

    async def close(self) -> None: ...

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    total_usage = actual_usage

    def count_tokens(self, *_: Any, **__: Any) -> int:
        return 0

    remaining_tokens = count_tokens

    @property
    def capabilities(self) -> Any:
        return INFO

    model_info = capabilities


def _text(message: Any) -> str:
    content = message.content
    if isinstance(content, str):
        return content
    return " ".join(str(getattr(piece, "content", piece)) for piece in content)


def reader(
    name: str, answer: Callable[[Heard], str | CreateResult], **options: Any
) -> AssistantAgent:
    """An agent whose model answers by what it reads."""
    return AssistantAgent(name, Reader(name, answer), **options)


def echo(name: str, **options: Any) -> AssistantAgent:
    """An agent that repeats what it heard last, in its own name."""
    return reader(name, lambda heard: f"{name}({heard[-1]})", **options)


def price(city: str) -> str:
    """what a trip costs"""
    counted["price"] += 1
    return f"{city} costs {len(city) * 100}"


# The applications


def reflection() -> RoundRobinGroupChat:
    """A writer and a critic who approves the second version."""

    def criticise(heard: Heard) -> str:
        return "APPROVE" if "v2" in heard[-1] or "perfect" in heard[-1] else "make it shorter"

    def write(heard: Heard) -> str:
        return f"v{sum('shorter' in text for text in heard) + 1} on {heard[0]}"

    ends = says("APPROVE") | MaxMessageTermination(8)
    team = [reader("writer", write), reader("critic", criticise)]
    return RoundRobinGroupChat(team, termination_condition=ends)


def streaming() -> RoundRobinGroupChat:
    """Two agents whose models stream."""
    a = echo("a", model_client_stream=True)
    b = echo("b", model_client_stream=True)
    return RoundRobinGroupChat([a, b], termination_condition=MaxMessageTermination(4))


def support_desk() -> Swarm:
    """Triage hands to billing or to tech, which looks something up and hands back."""

    def triage(heard: Heard) -> str | CreateResult:
        if any("looked up" in text for text in heard):
            return f"CLOSED {heard[-1]}"
        to = "billing" if "invoice" in heard[0] else "tech"
        return calls(f"transfer_to_{to}", f"t{len(heard)}")

    def work(heard: Heard) -> str | CreateResult:
        if "looked up" in heard[-1]:
            return calls("transfer_to_triage", f"b{len(heard)}")
        if "costs" in heard[-1]:
            return f"looked up: {heard[-1]}"
        return calls("price", "p1", city="Rome")

    options = {"tools": [price], "handoffs": ["triage"]}
    return Swarm(
        [
            reader("triage", triage, handoffs=["billing", "tech"]),
            reader("billing", work, reflect_on_tool_use=True, **options),
            reader("tech", work, reflect_on_tool_use=True, **options),
        ],
        termination_condition=says("CLOSED") | MaxMessageTermination(30),
    )


def travel_planner() -> SelectorGroupChat:
    """A model selects who of planner, local guide and summary speaks next."""
    order = ["planner", "guide", "summary"]

    def select(heard: Heard) -> str:
        conversation = heard[0].split("Read the following conversation")[1]
        said = [name for name in order if f"\n{name}: " in conversation]
        return order[min(len(said), 2)]

    return SelectorGroupChat(
        [
            reader(
                "planner",
                lambda heard: calls("price", "p", city=heard[-1].split()[-1]),
                tools=[price],
                description="plans trips",
            ),
            echo("guide", description="knows the place"),
            reader("summary", lambda heard: f"TERMINATE {heard[-1]}", description="sums up"),
        ],
        Reader("selector", select),
        termination_condition=says("TERMINATE"),
    )


def review_graph() -> GraphFlow:
    """A draft goes to two reviewers at once, and what they say to an editor."""
    draft, facts, style, editor = echo("draft"), echo("facts"), echo("style"), echo("editor")
    graph = DiGraphBuilder()
    for node in (draft, facts, style, editor):
        graph.add_node(node)
    graph.add_edge(draft, facts).add_edge(draft, style)
    graph.add_edge(facts, editor).add_edge(style, editor)
    return GraphFlow([draft, facts, style, editor], graph=graph.build())


def magentic() -> MagenticOneGroupChat:
    """An orchestrator with a ledger and two workers."""

    def think(heard: Heard) -> str:
        asked = heard[-1]
        if "RETURN" not in asked.upper() and "JSON" not in asked:
            return "the answer" if "final" in asked.lower() else "noted"
        done = [text for text in heard if text.startswith(("coder(", "tester("))]
        if len(done) >= 2:
            return ledger(True, "coder")
        return ledger(False, ("coder", "tester")[len(done)], f"step {len(done)}")

    return MagenticOneGroupChat([echo("coder"), echo("tester")], Reader("orchestrator", think))


def society() -> RoundRobinGroupChat:
    """A lead and a society, whose inner team is two more."""
    inner = RoundRobinGroupChat(
        [echo("x"), echo("y")], termination_condition=MaxMessageTermination(20), max_turns=2
    )
    member = SocietyOfMindAgent("society", inner, Reader("society", lambda h: f"sum {h[-2]}"))
    return RoundRobinGroupChat(
        [echo("lead"), member], termination_condition=MaxMessageTermination(5)
    )


def nested() -> RoundRobinGroupChat:
    """A team whose second member is a team."""
    inner = RoundRobinGroupChat([echo("x"), echo("y")], name="inner", max_turns=2)
    return RoundRobinGroupChat([echo("lead"), inner, echo("last")], max_turns=3)


def assistant() -> AssistantAgent:
    """One agent with a tool."""

    def work(heard: Heard) -> str | CreateResult:
        if "costs" in heard[-1]:
            return f"So {heard[-1]}"
        return calls("price", "p", city=heard[-1].split()[-1])

    return reader("assistant", work, tools=[price], reflect_on_tool_use=True)


def delegating() -> RoundRobinGroupChat:
    """An agent that uses another one as a tool."""

    def lead(heard: Heard) -> str | CreateResult:
        if len(heard) > 1:
            return f"FINAL {heard[-1]}"
        return calls("expert", "e", task=f"look at {heard[-1]}")

    team = [reader("lead", lead, tools=[AgentTool(echo("expert"))], reflect_on_tool_use=True)]
    return RoundRobinGroupChat(team, max_turns=1)


class Interpreter(CodeExecutor):
    """Runs no code, but counts and says what it was given."""

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: Any = None
    ) -> CodeResult:
        counted["code"] += 1
        fails = "fail" in code_blocks[0].code
        return CodeResult(exit_code=int(fails), output=f"ran {code_blocks[0].code.strip()}")

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def restart(self) -> None: ...


def programmers() -> RoundRobinGroupChat:
    """One writes code until it runs, another runs it."""

    def write(heard: Heard) -> str:
        if "ran print" in heard[-1]:
            return "TERMINATE it runs"
        return f"```python\n{'print(1)' if 'ran fail' in heard[-1] else 'fail()'}\n```"

    async def approve(_: Any) -> Any:
        from autogen_agentchat.agents import ApprovalResponse

        counted["approval"] += 1
        return ApprovalResponse(approved=True, reason="test")

    runner = CodeExecutorAgent("runner", Interpreter(), approval_func=approve)
    return RoundRobinGroupChat(
        [reader("coder", write), runner], termination_condition=says("TERMINATE")
    )


def approval() -> RoundRobinGroupChat:
    """A writer, and a person who wants a second version before approving."""

    def answer(prompt: str) -> str:
        counted["person"] += 1
        return "shorter, please" if counted["person"] == 1 else "APPROVE"

    def write(heard: Heard) -> str:
        return f"v{sum('shorter' in text for text in heard) + 1} of {heard[0]}"

    person = UserProxyAgent("person", input_func=answer)
    return RoundRobinGroupChat(
        [reader("writer", write), person], termination_condition=says("APPR")
    )


APPLICATIONS: dict[str, tuple[Callable[[], Any], str]] = {
    "reflection": (reflection, "tea"),
    "streaming": (streaming, "go"),
    "support desk": (support_desk, "my invoice is wrong"),
    "travel planner": (travel_planner, "a trip to Nepal"),
    "review graph": (review_graph, "go"),
    "magentic": (magentic, "build it"),
    "society": (society, "go"),
    "nested": (nested, "go"),
    "assistant": (assistant, "a trip to Rome"),
    "delegating": (delegating, "go"),
    "programmers": (programmers, "go"),
    "approval": (approval, "tea"),
}
"""Each application, and the task that is given to it."""
