"""A story told by a real team of each framework: who says what after whom, and with which tools."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import SelectorGroupChat
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import CreateResult, RequestUsage
from autogen_core.tools import BaseTool as AutogenTool
from crewai.tools import BaseTool as CrewTool
from langchain_core.messages import AIMessage, AnyMessage, SystemMessage
from langchain_core.tools import StructuredTool
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import BaseModel, create_model

from agenttrace.models import Trace
from agenttrace_autogen.capture import INSTRUMENTOR as AUTOGEN
from agenttrace_crewai.capture import INSTRUMENTOR as CREWAI
from agenttrace_langgraph.capture import LangGraphInstrumentor
from support import autogen_apps, crewai_apps, langgraph_apps
from support.recorded import recorded


class Use(msgspec.Struct, frozen=True):
    """A call of a tool, what it answers, and what its caller says as it makes it."""

    tool: str
    args: dict[str, str]
    gives: str
    saying: str = ""


class Turn(msgspec.Struct, frozen=True):
    """What one agent does and says; what it says goes to whoever has the next turn."""

    who: str
    text: str
    uses: tuple[Use, ...] = ()


class Story(msgspec.Struct, frozen=True):
    """A task, the turns that follow, and what agents were told to be."""

    task: str
    turns: tuple[Turn, ...]
    roles: Mapping[str, str] = {}
    tellers: tuple[str, ...] = ("langgraph", "autogen", "crewai")

    @property
    def names(self) -> list[str]:
        """The agents, in the order in which they first speak."""
        return list(dict.fromkeys(turn.who for turn in self.turns))

    def role(self, name: str) -> str:
        """What an agent was told to be."""
        return self.roles.get(name, f"You are the {name} of a small team.")

    def uses(self, name: str) -> list[Use]:
        """Every call an agent makes, in order."""
        return [use for turn in self.turns if turn.who == name for use in turn.uses]


def story(task: str, *turns: tuple[Any, ...], **roles: str) -> Story:
    """Return a story; a turn is (who, text) or (who, text, what it uses first…)."""
    return Story(task, tuple(Turn(who, text, tuple(uses)) for who, text, *uses in turns), roles)


def told_by(tellers: tuple[str, ...], one: Story) -> Story:
    """Return a story that not every framework lets its agents live."""
    return msgspec.structs.replace(one, tellers=tellers)


def langgraph(told: Story) -> Trace:
    """Let a graph tell it: a node for each agent, which goes on to whoever is next."""
    following = [turn.who for turn in told.turns[1:]] + [END]
    at = -1

    def node(name: str) -> Callable[[MessagesState], dict[str, Any]]:
        mine = [turn for turn in told.turns if turn.who == name]
        replies: list[Any] = []
        for turn in mine:
            replies += [langgraph_apps.call(u.tool, u.saying, **u.args) for u in turn.uses]
            replies.append(turn.text)
        chat = langgraph_apps.model(*replies)
        tools = {t.name: t for t in _langchain_tools(told.uses(name))}

        def speak(state: MessagesState) -> dict[str, Any]:
            nonlocal at
            at += 1
            seen: list[AnyMessage] = [SystemMessage(told.role(name)), *state["messages"]]
            answer = chat.invoke(seen)
            while answer.tool_calls:
                [wish] = answer.tool_calls
                seen += [answer, tools[wish["name"]].invoke(wish)]
                answer = chat.invoke(seen)
            return {"messages": [AIMessage(answer.text, name=name)]}

        return speak

    graph = StateGraph(MessagesState)
    for name in told.names:
        graph.add_node(name, node(name))
        graph.add_conditional_edges(name, lambda _: following[at], [*told.names, END])
    graph.add_edge(START, told.turns[0].who)
    with recorded(LangGraphInstrumentor()) as record:
        graph.compile(name="team").invoke({"messages": [("user", told.task)]})
        return record.trace


def _langchain_tools(uses: Sequence[Use]) -> list[StructuredTool]:
    def made(name: str, answers: list[Use]) -> StructuredTool:
        rest = iter(answers)
        return StructuredTool.from_function(
            lambda **_: next(rest).gives,
            name=name,
            description=name.replace("_", " "),
            args_schema=_arguments(answers),
        )

    return [made(name, own) for name, own in _by_tool(uses).items()]


def _by_tool(uses: Sequence[Use]) -> dict[str, list[Use]]:
    found: dict[str, list[Use]] = {}
    for use in uses:
        found.setdefault(use.tool, []).append(use)
    return found


def _arguments(uses: Sequence[Use]) -> type[BaseModel]:
    names = {name for use in uses for name in use.args}
    return create_model("Arguments", **dict.fromkeys(sorted(names), (str, "")))  # type: ignore[call-overload]


class _AutogenTool(AutogenTool[BaseModel, str]):
    def __init__(self, name: str, uses: Sequence[Use]) -> None:
        super().__init__(_arguments(uses), str, name, name.replace("_", " "))
        self._rest = iter(uses)

    async def run(self, args: BaseModel, cancellation_token: CancellationToken) -> str:
        return next(self._rest).gives


def autogen(told: Story) -> Trace:
    """Let a group chat tell it, whose next speaker the story names."""

    def agent(name: str) -> AssistantAgent:
        replies: list[Any] = []
        for turn in (turn for turn in told.turns if turn.who == name):
            replies += [_autogen_call(use) for use in turn.uses]
            replies.append(turn.text)
        return AssistantAgent(
            name,
            autogen_apps.model(*replies),
            system_message=told.role(name),
            description=name,
            tools=[_AutogenTool(tool, uses) for tool, uses in _by_tool(told.uses(name)).items()],
            max_tool_iterations=20,
        )

    speakers = iter(turn.who for turn in told.turns)
    team = SelectorGroupChat(
        [agent(name) for name in told.names],
        autogen_apps.model(),
        selector_func=lambda _: next(speakers),
        termination_condition=MaxMessageTermination(len(told.turns) + 1),
    )
    with recorded(AUTOGEN) as record:
        asyncio.run(team.run(task=told.task))
        return record.trace


def _autogen_call(use: Use) -> CreateResult:
    call = FunctionCall(id=f"call-{id(use)}", name=use.tool, arguments=json.dumps(use.args))
    return CreateResult(
        finish_reason="function_calls",
        content=[call],
        usage=RequestUsage(prompt_tokens=10, completion_tokens=5),
        cached=False,
        thought=use.saying or None,
    )


def crewai(told: Story) -> Trace:
    """Let a crew tell it: a task for each turn, one after the other."""
    agents = {}
    for name in told.names:
        script = []
        for turn in (turn for turn in told.turns if turn.who == name):
            script += [
                f"Thought: {use.saying or 'I need it'}\nAction: {use.tool}\n"
                f"Action Input: {json.dumps(use.args)}"
                for use in turn.uses
            ]
            script.append(crewai_apps.final(turn.text))
        agents[name] = crewai_apps.agent(
            name,
            llm=crewai_apps.ScriptedModel(script),
            tools=[_crewai_tool(tool, uses) for tool, uses in _by_tool(told.uses(name)).items()],
        )
        agents[name].backstory = told.role(name)
    tasks = [
        crewai_apps.task("Go on with it." if number else told.task, agents[turn.who])
        for number, turn in enumerate(told.turns)
    ]
    crew = crewai_apps.crew(
        *((agents[turn.who], task) for turn, task in zip(told.turns, tasks, strict=True))
    )
    with recorded(CREWAI) as record:
        crew.kickoff()
        return record.trace


def _crewai_tool(name: str, uses: Sequence[Use]) -> CrewTool:
    rest = iter(uses)

    class Tool(CrewTool):
        def _run(self, **_: str) -> str:
            return next(rest).gives

    return Tool(name=name, description=name.replace("_", " "), args_schema=_arguments(uses))


TELLERS: Mapping[str, Callable[[Story], Trace]] = {
    "langgraph": langgraph,
    "autogen": autogen,
    "crewai": crewai,
}
