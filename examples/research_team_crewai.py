"""The research team of `research_team.py` as a CrewAI crew, failing the same way.

A supervisor manages a researcher, an analyst, a critic and a writer. The critic finds that the
audited accounts contradict the press release; the supervisor ignores it, has the same work done
again, and publishes a claim that nobody verified. It reads its conversation, so a change in a
replay changes the outcome: let the task say that an objection is a rejection, and the supervisor
sends the researcher to the audited accounts.

    agenttrace run examples/research_team_crewai.py
    agenttrace run examples/research_team_crewai.py --llm http://127.0.0.1:11434/v1 --model NAME

Without `--llm` a scripted model answers: no key, no network. `agenttrace worker
examples/research_team_crewai.py` runs the replays of this crew.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

# CrewAI reports home unless it is told not to before it is imported; an example has nothing to say.
os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")
os.environ.setdefault("CREWAI_DISABLE_VERSION_CHECK", "true")
os.environ.setdefault("CREWAI_TESTING", "true")
os.environ.setdefault("CREWAI_STORAGE_DIR", tempfile.mkdtemp(prefix="agenttrace-example-"))

from crewai import LLM, Agent, BaseLLM, Crew, Process, Task
from crewai.tools import tool

import agenttrace

QUESTION = (
    "Did Northwind Robotics grow faster than its industry in 2024? Give its revenue growth in per "
    "cent with the source, compare it with the industry average, and have the critic confirm the "
    "figure against the audited accounts before you publish. One paragraph."
)


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


# The scripted model: each role reads its conversation and answers by rule


class ScriptedModel(BaseLLM):
    """A model that follows a script, so that the team fails the same way every time."""

    def __init__(self) -> None:
        super().__init__(model="scripted-1")

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        said = [str(m.get("content")) for m in messages]
        role = re.search(r"You are (\w+)\.", said[0])
        time.sleep(0.04)
        task = said[1] if len(said) > 1 else ""
        seen = [found for text in said[2:] for found in re.findall(r"Observation: (.*)", text)]
        # Now and then CrewAI reminds the model of the format, with these words in it.
        results = [found for found in seen if found != "the result of the action"]
        answer = SCRIPT[role[1] if role else "Writer"](task, results)
        self._track_token_usage_internal(
            {
                "prompt_tokens": sum(map(len, said)) // 4,
                "completion_tokens": len(answer) // 4 + 1,
            }
        )
        return answer

    # Else CrewAI warns at every call that it has to guess.
    def get_input_tokens_count(self, messages: Any, *args: Any, **kwargs: Any) -> int:
        return len(str(messages)) // 4

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return self.call(messages)

    def supports_function_calling(self) -> bool:
        return False


def _use(name: str, **arguments: Any) -> str:
    return f"Thought: {name} will tell.\nAction: {name}\nAction Input: {json.dumps(arguments)}"


def _say(answer: str) -> str:
    return f"Thought: I now know the final answer\nFinal Answer: {answer}"


def _supervise(task: str, reports: list[str]) -> str:
    strict = "an objection is a rejection" in task
    rejections = ("REJECTED", "I object") if strict else ("REJECTED",)
    growth = next((r for r in reversed(reports) if "grew" in r), "")
    compared = next((r for r in reversed(reports) if "percentage points" in r), "")
    checked = [r for r in reports if r.startswith(("I object", "CONFIRMED", "REJECTED"))]
    last = reports[-1] if reports else ""
    if last.startswith(("Yes. ", "No. ")):
        return _say(last)
    if last.startswith(rejections):
        ordered = "Take Northwind Robotics' growth in 2024 from the audited accounts."
        return _delegate("Researcher", ordered, "The critic rejected the figure.")
    if not reports or last.startswith("I object"):
        # The failure: an objection that does not say REJECTED is taken for an unfinished answer.
        return _delegate("Researcher", "Find Northwind Robotics' revenue growth in 2024.", "")
    if last == growth:
        return _delegate("Analyst", "Compare the growth with the industry average.", growth)
    if last == compared and (not checked or checked[-1].startswith(rejections)):
        return _delegate("Critic", "Check the growth figure against the audited accounts.", growth)
    return _delegate(
        "Writer", "Write the final answer with figure and source.", f"{growth} {compared}"
    )


def _delegate(coworker: str, task: str, context: str) -> str:
    return _use("delegate_work_to_coworker", coworker=coworker, task=task, context=context)


def _research(task: str, results: list[str]) -> str:
    audited = "audited accounts" in task
    if not results and audited:
        return _use("read_accounts", company="Northwind Robotics", year=2024)
    if not results:
        return _use("search_reports", query="Northwind Robotics revenue growth 2024")
    if audited:
        return _say(f"Northwind Robotics' revenue grew {_audited(results[0])} % (accounts 2024).")
    growth = _number(results[0], r"up ([\d.]+) %")
    return _say(f"Northwind Robotics' revenue grew {growth:.1f} % in 2024 (press release, 4 Feb).")


def _analyse(task: str, results: list[str]) -> str:
    if not results:
        return _use("industry_average", industry="industrial robotics", year=2024)
    growth, average = _number(task, r"grew ([\d.]+) %"), _number(results[0], r"growth ([\d.]+) %")
    verdict = "above" if growth > average else "below"
    return _say(
        f"Northwind's {growth:.1f} % is {abs(growth - average):.1f} percentage points {verdict} "
        f"the industry average of {average:.1f} %."
    )


def _criticise(task: str, results: list[str]) -> str:
    if not results:
        return _use("read_accounts", company="Northwind Robotics", year=2024)
    audited, claimed = _audited(results[0]), _number(task, r"grew ([\d.]+) %")
    if abs(audited - claimed) < 0.1:
        return _say(f"CONFIRMED: the audited accounts show {audited} % as well.")
    return _say(
        f"I object: the audited accounts show {audited} %, not {claimed:.1f} %. The press release "
        "counts Kestrel for the whole year, so the conclusion is the wrong way round."
    )


def _write(task: str, _: list[str]) -> str:
    growth, average = _number(task, r"grew ([\d.]+) %"), _number(task, r"average of ([\d.]+) %")
    source = re.search(r"grew [\d.]+ %[^(]*\(([^)]*)\)", task)
    faster = "Yes" if growth > average else "No"
    return _say(
        f"{faster}. Northwind Robotics grew {growth:.1f} % in 2024 against {average:.1f} % in its "
        f"industry ({source[1] if source else 'no source'})."
    )


SCRIPT: dict[str, Callable[[str, list[str]], str]] = {
    "Supervisor": _supervise,
    "Researcher": _research,
    "Analyst": _analyse,
    "Critic": _criticise,
    "Writer": _write,
}


def _audited(accounts: str) -> float:
    now, before = (float(found) for found in re.findall(r"EUR ([\d.]+)", accounts)[:2])
    return round((now - before) / before * 100, 1)


def _number(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0


def build_crew(model: Any, question: str = QUESTION) -> Crew:
    """Return the team as a hierarchical crew."""

    def agent(role: str, goal: str, *tools: Any, **settings: Any) -> Agent:
        return Agent(role=role, goal=goal, backstory=goal, llm=model, tools=list(tools), **settings)

    return Crew(
        name="research-team",
        agents=[
            agent(
                "Researcher", "find figures and name their source", search_reports, read_accounts
            ),
            agent("Analyst", "compare figures", industry_average),
            agent("Critic", "check claims against the audited accounts", read_accounts),
            agent("Writer", "write the final answer from what the team found"),
        ],
        tasks=[Task(name="answer", description=question, expected_output="One paragraph.")],
        process=Process.hierarchical,
        manager_agent=agent(
            "Supervisor",
            "assign one task at a time; publish only what the critic has confirmed",
            allow_delegation=True,
        ),
        cache=False,
    )


def scripted_crew() -> Crew:
    """Return the team with the scripted model: what a worker runs again."""
    return build_crew(ScriptedModel())


agenttrace.replayable("research-team-crewai", scripted_crew)


def main(argv: list[str] | None = None) -> int:
    """Let the team work on the question and print its answer; return the exit code."""
    parser = argparse.ArgumentParser(description="A research crew that fails, as an example.")
    parser.add_argument("--llm", metavar="URL", help="an OpenAI-compatible endpoint, ending in /v1")
    parser.add_argument("--model", metavar="NAME", help="the model to ask for there")
    parser.add_argument("--question", default=QUESTION, help="what the team is asked")
    options = parser.parse_args(argv)
    if options.llm and not options.model:
        parser.error("--llm needs --model NAME")
    model: Any = ScriptedModel()
    if options.llm:
        key = os.environ.get("OPENAI_API_KEY", "none")
        model = LLM(model=f"openai/{options.model}", base_url=options.llm, api_key=key)
    try:
        answer = build_crew(model, options.question).kickoff()
    except ConnectionError as error:
        print(f"research_team_crewai: {options.llm} does not answer: {error}", file=sys.stderr)
        return 1
    print(answer.raw)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
