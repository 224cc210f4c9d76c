"""A LangGraph research team that fails in a way people know.

A supervisor has three specialists with tools (researcher, analyst, critic) and a writer. The
critic finds that the audited accounts contradict the press release; the supervisor ignores it, has
the same work done again, and publishes a claim that nobody verified.

    agenttrace run examples/research_team.py
    agenttrace run examples/research_team.py --llm http://127.0.0.1:11434/v1 --model NAME

Without `--llm` a scripted model answers: no key, no network. It reads the conversation, so what you
change in a replay changes the outcome: let the critic's report begin with REJECTED, and the
supervisor listens.
"""

import argparse
import ast
import json
import operator
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
    convert_to_openai_messages,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition

import agenttrace

QUESTION = (
    "Did Northwind Robotics grow faster than its industry in 2024? Give its revenue growth in per "
    "cent with the source, compare it with the industry average, and have the critic confirm the "
    "figure against the audited accounts before you publish. One paragraph."
)

PROMPTS = {
    "supervisor": (
        "You are the supervisor of a research team.\n"
        "Assign one task at a time to researcher, analyst or critic; when the answer is complete "
        "and the critic has confirmed it, assign the writing to writer."
    ),
    "researcher": (
        "You are the researcher: you find figures and name their source.\n"
        "Search before you answer. Report one figure with its source."
    ),
    "analyst": (
        "You are the analyst: you compare figures.\n"
        "Look up the industry average and calculate; never do arithmetic in your head."
    ),
    "critic": (
        "You are the critic: you check claims against the audited accounts.\n"
        "Say CONFIRMED or what is wrong, with the numbers."
    ),
    "writer": (
        "You are the writer: you write the final answer from what the team found.\n"
        "One paragraph, with the figure and its source."
    ),
}


@tool
def search_reports(query: str) -> str:
    """Search press releases and analyst notes."""
    time.sleep(0.03)
    return (
        f"1 result for {query!r}: press release, 4 February 2025: 'Northwind Robotics closes "
        "record year: revenue up 18 % to EUR 439 million including Kestrel, acquired in November.'"
    )


@tool
def industry_average(industry: str, year: int) -> str:
    """Look up the average revenue growth of an industry in a year."""
    time.sleep(0.02)
    return f"{industry}, {year}: revenue growth 11.0 % on average (sector survey, n=214)"


@tool
def read_accounts(company: str, year: int) -> str:
    """Read the audited annual accounts of a company."""
    time.sleep(0.04)
    return (
        f"{company}, audited accounts {year}: revenue EUR 402.3 million; {year - 1}: EUR 371.9 "
        "million. Note 7: EUR 36.7 million of Kestrel before its acquisition are not consolidated."
    )


@tool
def calculate(expression: str) -> str:
    """Calculate an arithmetic expression such as (402.3 - 371.9) / 371.9 * 100."""
    time.sleep(0.01)
    return f"{_value(ast.parse(expression, mode='eval').body):.1f}"


@tool
def assign(to: str, task: str) -> str:
    """Give a task to researcher, analyst, critic or writer."""
    return f"{to} works on: {task}"


_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("Only + - * / of numbers can be calculated")


# The team


class TeamState(MessagesState):
    """What the team shares: the conversation, and who is next."""

    next: str


def build_team(model: BaseChatModel) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the team as a compiled graph."""
    workers = {
        "researcher": [search_reports, read_accounts],
        "analyst": [industry_average, calculate],
        "critic": [read_accounts, calculate],
    }
    graph = StateGraph(TeamState)
    graph.add_node("supervisor", _supervisor(model))
    graph.add_edge(START, "supervisor")
    for name, tools in workers.items():
        graph.add_node(name, _worker(model, name, tools))
        graph.add_edge(name, "supervisor")
    graph.add_node("writer", _writer(model))
    graph.add_edge("writer", END)
    graph.add_conditional_edges("supervisor", lambda state: state["next"], [*workers, "writer"])
    return graph.compile(name="research-team")


def _supervisor(model: BaseChatModel) -> Any:
    chief = model.bind_tools([assign], tool_choice="assign")

    def supervisor(state: TeamState) -> dict[str, Any]:
        answer = chief.invoke([SystemMessage(PROMPTS["supervisor"]), *state["messages"]])
        call = next((c for c in answer.tool_calls if c["name"] == "assign"), None)
        chosen = call["args"] if call else {"to": "writer", "task": answer.text}
        to = chosen.get("to") if chosen.get("to") in PROMPTS else "writer"
        task = HumanMessage(str(chosen.get("task", "")), name="supervisor")
        return {"messages": [task], "next": to}

    return supervisor


def _worker(
    model: BaseChatModel, name: str, tools: Sequence[BaseTool]
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return an agent of its own: it calls its tools until it can report."""
    speaker = model.bind_tools(tools)

    def agent(state: MessagesState) -> dict[str, Any]:
        answer = speaker.invoke([SystemMessage(PROMPTS[name]), *state["messages"]])
        answer.name = name
        return {"messages": [answer]}

    graph = StateGraph(MessagesState)
    graph.add_node("agent", agent)
    graph.add_node("tools", ToolNode(tools))
    graph.add_edge(START, "agent")
    graph.add_conditional_edges("agent", tools_condition)
    graph.add_edge("tools", "agent")
    return graph.compile(name=name)


def _writer(model: BaseChatModel) -> Any:
    def writer(state: TeamState) -> dict[str, Any]:
        answer = model.invoke([SystemMessage(PROMPTS["writer"]), *state["messages"]])
        answer.name = "writer"
        return {"messages": [answer]}

    return writer


# The scripted model: each role reads the conversation and answers by rule


class ScriptedModel(BaseChatModel):
    """A chat model that follows a script, so that the team fails the same way every time."""

    seconds: float = 0.04
    """How long it takes to answer."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {"ls_provider": "offline", "ls_model_name": "scripted-1", "ls_model_type": "chat"}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self.bind(tools=[convert_to_openai_tool(one) for one in tools])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        role = next(name for name, prompt in PROMPTS.items() if messages[0].content == prompt)
        time.sleep(self.seconds)
        text, calls = SCRIPT[role](messages[1:])
        used = sum(len(str(message.content)) for message in messages) // 4
        spoken = (len(text) + sum(len(json.dumps(args)) for _, args in calls)) // 4 + 1
        answer = AIMessage(
            text,
            tool_calls=[
                ToolCall(name=name, args=args, id=f"call_{len(messages)}_{index}")
                for index, (name, args) in enumerate(calls)
            ],
            usage_metadata=UsageMetadata(
                input_tokens=used, output_tokens=spoken, total_tokens=used + spoken
            ),
            response_metadata={
                "model_name": "scripted-1",
                "finish_reason": "tool_calls" if calls else "stop",
            },
        )
        return ChatResult(generations=[ChatGeneration(message=answer)])


Turn = tuple[str, list[tuple[str, dict[str, Any]]]]
"""What the model says, and the tools it calls with their arguments."""


def _supervise(messages: list[BaseMessage]) -> Turn:
    reports = [m for m in messages if m.name in ("researcher", "analyst", "critic") and m.text]
    last = reports[-1] if reports else None
    checked = [m for m in reports if m.name == "critic"]
    if last is None:
        return _assigned("researcher", "Find Northwind Robotics' revenue growth in 2024.")
    if last.name == "critic" and last.text.startswith("REJECTED"):
        task = "The critic rejected the figure. Take the growth from the audited accounts for 2024."
        return _assigned("researcher", task)
    if last.name == "critic" and not last.text.startswith("CONFIRMED"):
        # The failure: an objection that does not say REJECTED is taken for an unfinished answer.
        return _assigned("researcher", "Find Northwind Robotics' revenue growth in 2024.")
    if last.name == "researcher":
        return _assigned("analyst", "Compare the growth with the industry average for 2024.")
    if last.name == "analyst" and (not checked or checked[-1].text.startswith("REJECTED")):
        return _assigned("critic", "Check the growth figure against the audited accounts.")
    return _assigned("writer", "Write the final answer: the figure, its source, the comparison.")


def _assigned(to: str, task: str) -> Turn:
    return "", [("assign", {"to": to, "task": task})]


def _research(messages: list[BaseMessage]) -> Turn:
    found = _results(messages)
    audited = "audited accounts" in _task(messages)
    if not found and audited:
        call = ("read_accounts", {"company": "Northwind Robotics", "year": 2024})
        return "I read the audited accounts.", [call]
    if not found:
        call = ("search_reports", {"query": "Northwind Robotics revenue growth 2024"})
        return "I look for a published figure.", [call]
    now, before = _numbers(found[-1], r"EUR ([\d.]+) million")[:2] if audited else (0.0, 0.0)
    if audited:
        growth = (now - before) / before * 100
        return (
            f"Northwind Robotics' revenue grew {growth:.1f} % in 2024, from EUR {before} to "
            f"{now} million (audited accounts 2024).",
            [],
        )
    growth = _numbers(found[-1], r"up ([\d.]+) %")[0]
    return (
        f"Northwind Robotics' revenue grew {growth:.1f} % in 2024 (press release, 4 February "
        "2025).",
        [],
    )


def _analyse(messages: list[BaseMessage]) -> Turn:
    found = _results(messages)
    growth = _claimed_growth(messages)
    if not found:
        call = ("industry_average", {"industry": "industrial robotics", "year": 2024})
        return "I look up the industry average.", [call]
    average = _numbers(found[0], r"growth ([\d.]+) %")[0]
    if len(found) == 1:
        return "", [("calculate", {"expression": f"{growth} - {average}"})]
    ahead = float(found[-1])
    verdict = "above" if ahead > 0 else "below"
    return (
        f"Northwind's {growth:.1f} % is {abs(ahead):.1f} percentage points {verdict} the industry "
        f"average of {average:.1f} %.",
        [],
    )


def _criticise(messages: list[BaseMessage]) -> Turn:
    found = _results(messages)
    if not found:
        call = ("read_accounts", {"company": "Northwind Robotics", "year": 2024})
        return "I compare the claim with the audited accounts.", [call]
    now, before = _numbers(found[0], r"EUR ([\d.]+) million")[:2]
    if len(found) == 1:
        return "", [("calculate", {"expression": f"({now} - {before}) / {before} * 100"})]
    audited, claimed = float(found[-1]), _claimed_growth(messages)
    if abs(audited - claimed) < 0.1:
        return f"CONFIRMED: the audited accounts show {audited:.1f} % as well.", []
    return (
        f"I object: the audited accounts show EUR {now} million after {before} million, that is "
        f"{audited:.1f} %, not {claimed:.1f} %. The press release counts Kestrel for the whole "
        "year. Northwind grew slower than its industry, so the conclusion is the wrong way round.",
        [],
    )


def _write(messages: list[BaseMessage]) -> Turn:
    figure = next(m.text for m in reversed(messages) if m.name == "researcher" and m.text)
    compared = next(m.text for m in reversed(messages) if m.name == "analyst" and m.text)
    faster = "Yes" if "above" in compared else "No"
    checks = [m.text for m in messages if m.name == "critic" and m.text]
    confirmed = bool(checks) and checks[-1].startswith("CONFIRMED")
    close = " The critic confirmed the figure against the audited accounts." if confirmed else ""
    return f"{faster}. {figure} {compared}{close}", []


SCRIPT: dict[str, Callable[[list[BaseMessage]], Turn]] = {
    "supervisor": _supervise,
    "researcher": _research,
    "analyst": _analyse,
    "critic": _criticise,
    "writer": _write,
}


def _task(messages: list[BaseMessage]) -> str:
    """Return what the supervisor asked for last."""
    return next((m.text for m in reversed(messages) if m.name == "supervisor"), "")


def _results(messages: list[BaseMessage]) -> list[str]:
    """Return what the tools answered since the supervisor's last task, oldest first."""
    found: list[str] = []
    for message in reversed(messages):
        if message.name == "supervisor":
            break
        if isinstance(message, ToolMessage):
            found.insert(0, message.text)
    return found


def _claimed_growth(messages: list[BaseMessage]) -> float:
    """Return the growth the researcher reported last."""
    claims = (m.text for m in reversed(messages) if m.name == "researcher" and "grew" in m.text)
    return _numbers(next(claims, ""), r"grew ([\d.]+) %")[0]


def _numbers(text: str, pattern: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, text)] or [0.0, 0.0]


# Any OpenAI-compatible endpoint


class EndpointModel(BaseChatModel):
    """A chat model behind an OpenAI-compatible endpoint, by the standard library alone."""

    url: str
    model: str
    api_key: str = ""
    seconds: float = 120.0
    """How long to wait for an answer."""

    @property
    def _llm_type(self) -> str:
        return "openai-compatible"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {"ls_provider": "openai", "ls_model_name": self.model, "ls_model_type": "chat"}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        name = kwargs.get("tool_choice")
        choice = {"type": "function", "function": {"name": name}} if name else "auto"
        return self.bind(tools=[convert_to_openai_tool(one) for one in tools], tool_choice=choice)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        body = {"model": self.model, "messages": convert_to_openai_messages(messages), **kwargs}
        answer = self._post({**body, "stop": stop} if stop else body)
        choice, usage = answer["choices"][0], answer.get("usage") or {}
        said = choice["message"]
        message = AIMessage(
            said.get("content") or "",
            tool_calls=[
                ToolCall(
                    name=call["function"]["name"],
                    args=json.loads(call["function"].get("arguments") or "{}"),
                    id=call.get("id"),
                )
                for call in said.get("tool_calls") or ()
            ],
            usage_metadata=UsageMetadata(
                input_tokens=usage.get("prompt_tokens", 0),
                output_tokens=usage.get("completion_tokens", 0),
                total_tokens=usage.get("total_tokens", 0),
            ),
            response_metadata={
                "model_name": answer.get("model", self.model),
                "finish_reason": choice.get("finish_reason"),
            },
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _post(self, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self.url.rstrip("/") + "/chat/completions",
            json.dumps(body).encode(),
            {"content-type": "application/json", "authorization": f"Bearer {self.api_key}"},
        )
        with urllib.request.urlopen(request, timeout=self.seconds) as response:
            return json.load(response)


def scripted_team() -> CompiledStateGraph[Any, Any, Any, Any]:
    """Return the team with the scripted model: what a worker runs again."""
    return build_team(ScriptedModel())


agenttrace.replayable("research-team", scripted_team)


def main(argv: list[str] | None = None) -> int:
    """Let the team work on the question and print its answer; return the exit code."""
    parser = argparse.ArgumentParser(description="A research team that fails, as an example.")
    parser.add_argument("--llm", metavar="URL", help="an OpenAI-compatible endpoint, ending in /v1")
    parser.add_argument("--model", metavar="NAME", help="the model to ask for there")
    parser.add_argument("--question", default=QUESTION, help="what the team is asked")
    options = parser.parse_args(argv)
    if options.llm and not options.model:
        parser.error("--llm needs --model NAME")
    model: BaseChatModel = ScriptedModel()
    if options.llm:
        key = os.environ.get("OPENAI_API_KEY", "")
        model = EndpointModel(url=options.llm, model=options.model, api_key=key)
    asked = {"messages": [HumanMessage(options.question)]}
    try:
        answer = build_team(model).invoke(asked, {"recursion_limit": 60})
    except (urllib.error.URLError, TimeoutError) as error:
        print(f"research_team: {options.llm} does not answer: {error}", file=sys.stderr)
        return 1
    print(answer["messages"][-1].text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
