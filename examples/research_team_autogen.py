"""The research team of `research_team.py` in AutoGen: the same people, tools and failure.

A supervisor hands each task to one of three specialists with tools (researcher, analyst, critic)
and in the end to a writer; they are a Swarm. The critic finds that the audited accounts contradict
the press release; the supervisor ignores it, has the same work done again, and publishes a claim
that nobody verified.

    agenttrace run examples/research_team_autogen.py
    agenttrace run examples/research_team_autogen.py --llm http://127.0.0.1:11434/v1 --model NAME

Without `--llm` a scripted model answers: no key, no network. It reads the conversation, so what you
change in a replay changes the outcome: let the critic's report begin with REJECTED, and the
supervisor listens. `agenttrace worker examples/research_team_autogen.py` runs the replays.
"""

import argparse
import ast
import asyncio
import json
import operator
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Handoff
from autogen_agentchat.conditions import MaxMessageTermination, SourceMatchTermination
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import Swarm
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool

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

SPECIALISTS = ("researcher", "analyst", "critic")


async def search_reports(query: str) -> str:
    """Search press releases and analyst notes."""
    await asyncio.sleep(0.03)
    return (
        f"1 result for {query!r}: press release, 4 February 2025: 'Northwind Robotics closes "
        "record year: revenue up 18 % to EUR 439 million including Kestrel, acquired in November.'"
    )


async def industry_average(industry: str, year: int) -> str:
    """Look up the average revenue growth of an industry in a year."""
    await asyncio.sleep(0.02)
    return f"{industry}, {year}: revenue growth 11.0 % on average (sector survey, n=214)"


async def read_accounts(company: str, year: int) -> str:
    """Read the audited annual accounts of a company."""
    await asyncio.sleep(0.04)
    return (
        f"{company}, audited accounts {year}: revenue EUR 402.3 million; {year - 1}: EUR 371.9 "
        "million. Note 7: EUR 36.7 million of Kestrel before its acquisition are not consolidated."
    )


async def calculate(expression: str) -> str:
    """Calculate an arithmetic expression such as (402.3 - 371.9) / 371.9 * 100."""
    await asyncio.sleep(0.01)
    return f"{_value(ast.parse(expression, mode='eval').body):.1f}"


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


class Note(Handoff):
    """A handoff that carries what the model writes to the next agent."""

    @property
    def handoff_tool(self) -> FunctionTool:
        """The tool by which the model hands over: what it returns becomes the message."""

        def hand_over(note: str) -> str:
            return note

        return FunctionTool(hand_over, name=self.name, description=self.description, strict=True)


def build_team(model: ChatCompletionClient) -> Swarm:
    """Return the team."""
    tools: dict[str, list[Any]] = {
        "researcher": [search_reports, read_accounts],
        "analyst": [industry_average, calculate],
        "critic": [read_accounts, calculate],
    }

    def member(name: str, handoffs: list[Any]) -> AssistantAgent:
        return AssistantAgent(
            name,
            model,
            tools=tools.get(name),
            handoffs=handoffs,
            system_message=PROMPTS[name],
            max_tool_iterations=8,
        )

    report = Note(target="supervisor", name="report", description="Report to the supervisor.")
    tasks = [
        Note(target=name, name=f"assign_to_{name}", description=f"Give a task to the {name}.")
        for name in (*SPECIALISTS, "writer")
    ]
    return Swarm(
        [
            member("supervisor", list(tasks)),
            *(member(name, [report]) for name in SPECIALISTS),
            member("writer", []),
        ],
        name="research-team",
        termination_condition=SourceMatchTermination(["writer"]) | MaxMessageTermination(80),
    )


# The scripted model: each role reads the conversation and answers by rule


class Model(ChatCompletionClient):
    """What the team's two models have in common: they answer at once, and count as they go."""

    model_name = ""

    def __init__(self) -> None:
        self._used = RequestUsage(prompt_tokens=0, completion_tokens=0)

    def create_stream(self, messages: Sequence[LLMMessage], **options: Any) -> Any:
        """Answer in one piece."""

        async def stream() -> AsyncGenerator[str | CreateResult, None]:
            yield await self.create(messages, **options)

        return stream()

    def _result(self, text: str, calls: list[FunctionCall], usage: RequestUsage) -> CreateResult:
        self._used.prompt_tokens += usage.prompt_tokens
        self._used.completion_tokens += usage.completion_tokens
        return CreateResult(
            finish_reason="function_calls" if calls else "stop",
            content=calls or text,
            thought=text if calls and text else None,
            usage=usage,
            cached=False,
        )

    @property
    def model_info(self) -> ModelInfo:
        """It calls functions, and sees nothing."""
        return ModelInfo(
            vision=False,
            function_calling=True,
            json_output=False,
            family="unknown",
            structured_output=False,
        )

    @property
    def capabilities(self) -> Any:
        """The older name of `model_info`."""
        return self.model_info

    def actual_usage(self) -> RequestUsage:
        """Tokens so far."""
        return self._used

    def total_usage(self) -> RequestUsage:
        """Tokens so far."""
        return self._used

    def count_tokens(self, messages: Sequence[LLMMessage], **_: Any) -> int:
        """A rough count: four characters a token."""
        return sum(len(str(message.content)) for message in messages) // 4

    def remaining_tokens(self, messages: Sequence[LLMMessage], **_: Any) -> int:
        """Plenty."""
        return 1_000_000 - self.count_tokens(messages)

    async def close(self) -> None:
        """Nothing to close."""


class ScriptedModel(Model):
    """A chat model that follows a script, so that the team fails the same way every time."""

    model_name = "scripted-1"

    def __init__(self, seconds: float = 0.04) -> None:
        super().__init__()
        self._seconds = seconds

    async def create(self, messages: Sequence[LLMMessage], **_: Any) -> CreateResult:
        """Answer as the role in the system message would."""
        role = next(name for name, prompt in PROMPTS.items() if messages[0].content == prompt)
        await asyncio.sleep(self._seconds)
        text, asked = SCRIPT[role](Heard.by(role, messages[1:]))
        calls = [
            FunctionCall(id=f"call_{len(messages)}_{n}", name=name, arguments=json.dumps(args))
            for n, (name, args) in enumerate(asked)
        ]
        spoken = (len(text) + sum(len(call.arguments) for call in calls)) // 4 + 1
        usage = RequestUsage(prompt_tokens=self.count_tokens(messages), completion_tokens=spoken)
        return self._result(text, calls, usage)


@dataclass
class Heard:
    """A conversation as one agent knows it: who said what, and its tools' results since."""

    said: list[tuple[str, str]]
    results: list[str]

    @classmethod
    def by(cls, name: str, messages: Sequence[LLMMessage]) -> "Heard":
        """Return what an agent has heard and said so far."""
        heard = cls([], [])
        for message in messages:
            if isinstance(message, UserMessage):
                heard.said.append((message.source, str(message.content)))
                heard.results.clear()
            elif isinstance(message, AssistantMessage):
                heard.said += [(name, note) for note in _notes(message.content)]
            elif isinstance(message, FunctionExecutionResultMessage):
                heard.results += [r.content for r in message.content if not _hands_over(r.name)]
        return heard

    def last(self, name: str) -> str:
        """The last thing that somebody said, or nothing."""
        return next((text for who, text in reversed(self.said) if who == name), "")


def _notes(content: Any) -> list[str]:
    calls = content if isinstance(content, list) else []
    return [json.loads(call.arguments)["note"] for call in calls if _hands_over(call.name)]


def _hands_over(tool: str) -> bool:
    return tool == "report" or tool.startswith("assign_to_")


Turn = tuple[str, list[tuple[str, dict[str, Any]]]]
"""What the model says, and the tools it calls with their arguments."""


def _supervise(heard: Heard) -> Turn:
    reports = [(who, text) for who, text in heard.said if who in SPECIALISTS]
    who, text = reports[-1] if reports else ("", "")
    check = heard.last("critic")
    if not reports:
        return _assigned("researcher", "Find Northwind Robotics' revenue growth in 2024.")
    if who == "critic" and text.startswith("REJECTED"):
        task = "The critic rejected the figure. Take the growth from the audited accounts for 2024."
        return _assigned("researcher", task)
    if who == "critic" and not text.startswith("CONFIRMED"):
        # The failure: an objection that does not say REJECTED is taken for an unfinished answer.
        return _assigned("researcher", "Find Northwind Robotics' revenue growth in 2024.")
    if who == "researcher":
        return _assigned("analyst", "Compare the growth with the industry average for 2024.")
    if who == "analyst" and (not check or check.startswith("REJECTED")):
        return _assigned("critic", "Check the growth figure against the audited accounts.")
    return _assigned("writer", "Write the final answer: the figure, its source, the comparison.")


def _assigned(to: str, task: str) -> Turn:
    return "", [(f"assign_to_{to}", {"note": task})]


def _reported(text: str) -> Turn:
    return "", [("report", {"note": text})]


def _research(heard: Heard) -> Turn:
    audited = "audited accounts" in heard.last("supervisor")
    if not heard.results and audited:
        call = ("read_accounts", {"company": "Northwind Robotics", "year": 2024})
        return "I read the audited accounts.", [call]
    if not heard.results:
        call = ("search_reports", {"query": "Northwind Robotics revenue growth 2024"})
        return "I look for a published figure.", [call]
    if audited:
        now, before = _numbers(heard.results[-1], r"EUR ([\d.]+) million")[:2]
        return _reported(
            f"Northwind Robotics' revenue grew {(now - before) / before * 100:.1f} % in 2024, from "
            f"EUR {before} to {now} million (audited accounts 2024)."
        )
    growth = _numbers(heard.results[-1], r"up ([\d.]+) %")[0]
    return _reported(
        f"Northwind Robotics' revenue grew {growth:.1f} % in 2024 (press release, 4 February 2025)."
    )


def _analyse(heard: Heard) -> Turn:
    growth = _claimed_growth(heard)
    if not heard.results:
        call = ("industry_average", {"industry": "industrial robotics", "year": 2024})
        return "I look up the industry average.", [call]
    average = _numbers(heard.results[0], r"growth ([\d.]+) %")[0]
    if len(heard.results) == 1:
        return "", [("calculate", {"expression": f"{growth} - {average}"})]
    ahead = float(heard.results[-1])
    verdict = "above" if ahead > 0 else "below"
    return _reported(
        f"Northwind's {growth:.1f} % is {abs(ahead):.1f} percentage points {verdict} the industry "
        f"average of {average:.1f} %."
    )


def _criticise(heard: Heard) -> Turn:
    if not heard.results:
        call = ("read_accounts", {"company": "Northwind Robotics", "year": 2024})
        return "I compare the claim with the audited accounts.", [call]
    now, before = _numbers(heard.results[0], r"EUR ([\d.]+) million")[:2]
    if len(heard.results) == 1:
        return "", [("calculate", {"expression": f"({now} - {before}) / {before} * 100"})]
    audited, claimed = float(heard.results[-1]), _claimed_growth(heard)
    if abs(audited - claimed) < 0.1:
        return _reported(f"CONFIRMED: the audited accounts show {audited:.1f} % as well.")
    return _reported(
        f"I object: the audited accounts show EUR {now} million after {before} million, that is "
        f"{audited:.1f} %, not {claimed:.1f} %. The press release counts Kestrel for the whole "
        "year. Northwind grew slower than its industry, so the conclusion is the wrong way round."
    )


def _write(heard: Heard) -> Turn:
    figure, compared = heard.last("researcher"), heard.last("analyst")
    faster = "Yes" if "above" in compared else "No"
    confirmed = heard.last("critic").startswith("CONFIRMED")
    close = " The critic confirmed the figure against the audited accounts." if confirmed else ""
    return f"{faster}. {figure} {compared}{close}", []


SCRIPT: dict[str, Callable[[Heard], Turn]] = {
    "supervisor": _supervise,
    "researcher": _research,
    "analyst": _analyse,
    "critic": _criticise,
    "writer": _write,
}


def _claimed_growth(heard: Heard) -> float:
    """Return the growth the researcher reported last."""
    return _numbers(heard.last("researcher"), r"grew ([\d.]+) %")[0]


def _numbers(text: str, pattern: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, text)] or [0.0, 0.0]


# Any OpenAI-compatible endpoint


class EndpointModel(Model):
    """A chat model behind an OpenAI-compatible endpoint, by the standard library alone."""

    def __init__(self, url: str, name: str, api_key: str = "", seconds: float = 120.0) -> None:
        super().__init__()
        self.model_name = name
        self._url = url.rstrip("/") + "/chat/completions"
        self._headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {api_key}",
        }
        self._seconds = seconds

    async def create(
        self, messages: Sequence[LLMMessage], *, tools: Sequence[Any] = (), **_: Any
    ) -> CreateResult:
        """Ask the endpoint."""
        body: dict[str, Any] = {"model": self.model_name, "messages": _openai(messages)}
        if tools:
            schemas = [tool if isinstance(tool, Mapping) else tool.schema for tool in tools]
            body["tools"] = [{"type": "function", "function": schema} for schema in schemas]
        answer = await asyncio.to_thread(self._post, body)
        said, usage = answer["choices"][0]["message"], answer.get("usage") or {}
        calls = [
            FunctionCall(
                id=call.get("id") or f"call_{n}",
                name=call["function"]["name"],
                arguments=call["function"].get("arguments") or "{}",
            )
            for n, call in enumerate(said.get("tool_calls") or ())
        ]
        spent = RequestUsage(
            prompt_tokens=usage.get("prompt_tokens", 0),
            completion_tokens=usage.get("completion_tokens", 0),
        )
        return self._result(said.get("content") or "", calls, spent)

    def _post(self, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(self._url, json.dumps(body).encode(), self._headers)
        with urllib.request.urlopen(request, timeout=self._seconds) as response:
            return json.load(response)


def _openai(messages: Sequence[LLMMessage]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, SystemMessage):
            listed.append({"role": "system", "content": message.content})
        elif isinstance(message, UserMessage):
            listed.append({"role": "user", "content": f"{message.source}: {message.content}"})
        elif isinstance(message, FunctionExecutionResultMessage):
            listed += [
                {"role": "tool", "tool_call_id": result.call_id, "content": result.content}
                for result in message.content
            ]
        elif isinstance(message.content, str):
            listed.append({"role": "assistant", "content": message.content})
        else:
            calls = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in message.content
            ]
            listed.append({"role": "assistant", "content": message.thought, "tool_calls": calls})
    return listed


def scripted_team() -> Swarm:
    """Return the team with the scripted model: what a worker runs again."""
    return build_team(ScriptedModel())


agenttrace.replayable("research-team-autogen", scripted_team)


def main(argv: list[str] | None = None) -> int:
    """Let the team work on the question and print its answer; return the exit code."""
    parser = argparse.ArgumentParser(description="A research team that fails, as an example.")
    parser.add_argument("--llm", metavar="URL", help="an OpenAI-compatible endpoint, ending in /v1")
    parser.add_argument("--model", metavar="NAME", help="the model to ask for there")
    parser.add_argument("--question", default=QUESTION, help="what the team is asked")
    options = parser.parse_args(argv)
    if options.llm and not options.model:
        parser.error("--llm needs --model NAME")
    model: Model = ScriptedModel()
    if options.llm:
        model = EndpointModel(options.llm, options.model, os.environ.get("OPENAI_API_KEY", ""))
    try:
        result = asyncio.run(build_team(model).run(task=options.question))
    except (RuntimeError, urllib.error.URLError, TimeoutError) as error:
        reason = str(error).partition("\n")[0]
        print(f"research_team_autogen: the run failed: {reason}", file=sys.stderr)
        return 1
    spoken = [message for message in result.messages if isinstance(message, BaseChatMessage)]
    print(spoken[-1].to_text())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
