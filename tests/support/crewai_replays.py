"""CrewAI applications to replay: their models read what they are told, and every call is counted.

Each function makes the whole application anew, as a worker's module would.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from crewai import BaseLLM, Crew, Process
from crewai.flow.flow import Flow, and_, listen, or_, router, start
from crewai.tasks.conditional_task import ConditionalTask
from crewai.tools import tool
from pydantic import BaseModel

from support.crewai_apps import agent, crew, final, task, use

counted: Counter[str] = Counter()
"""Calls of models, by agent, and of tools, by name, since this was last cleared."""


class Reader(BaseLLM):
    """A model that answers by the text it reads: the task, its context, and tools' observations."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        super().__init__(model="reader-1")
        self._answer = answer

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        told = [str(m["content"]) for m in messages] if isinstance(messages, list) else [messages]
        role = re.search(r"You are (\w+)", told[0])
        counted[role[1] if role else "model"] += 1
        said = self._answer("\n".join(told[1:] or told))
        self._track_token_usage_internal({"prompt_tokens": 7, "completion_tokens": 3})
        return said if "\nAction: " in said else final(said)

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        return self.call(messages)

    def supports_function_calling(self) -> bool:
        return False


def reader(role: str, answer: Callable[[str], str], **settings: Any) -> Any:
    """An agent whose model answers by what it reads."""
    return agent(role, llm=Reader(answer), **settings)


def marks(told: str) -> str:
    """The marks `<a>`, `<b>` … in a text, in order: what a reader has been given."""
    return " ".join(dict.fromkeys(re.findall(r"<[^<>]+>", told)))


def relay(role: str, **settings: Any) -> Any:
    """An agent that says its own mark and those it has read."""
    return reader(role, lambda told: f"<{role}> after {marks(told)}", **settings)


@tool
def price(city: str) -> str:
    """what a trip costs"""
    counted["price"] += 1
    return f"<{city} costs {len(city) * 100}>"


def observed(told: str) -> bool:
    """Whether a tool has answered already."""
    return "<Rome costs" in told or "<Oslo costs" in told


def chain() -> Crew:
    """Three tasks, each from the one before."""
    workers = [relay(name) for name in ("Ann", "Bob", "Cay")]
    return crew(
        *[(w, task(f"do {{topic}} {w.role}", w, name=w.role)) for w in workers], name="chain"
    )


def planned() -> Crew:
    """Three tasks whose crew makes a plan for each of them first."""
    plans = [
        {"task_number": number, "task": name, "plan": f" as <planned for {name}>"}
        for number, name in enumerate(("Ann", "Bob", "Cay"), start=1)
    ]
    made = chain()
    made.planning = True
    made.planning_llm = Reader(lambda told: json.dumps({"list_of_plans_per_task": plans}))
    return made


def parallel() -> Crew:
    """Two tasks at once, and one that has the context of both."""
    left, right, last = relay("Left"), relay("Right"), relay("Last")
    one = task("look left", left, name="left", async_execution=True)
    two = task("look right", right, name="right", async_execution=True)
    both = task("join", last, name="join", context=[one, two])
    return crew((left, one), (right, two), (last, both), name="parallel")


def shopper() -> Crew:
    """An agent that uses a tool, after one who says where to."""

    def shop(told: str) -> str:
        if observed(told):
            return f"<bought> {marks(told)}"
        return use("price", city="Oslo" if "<Oslo>" in told else "Rome")

    guide = reader("Guide", lambda told: "<Rome>")
    buyer = reader("Buyer", shop, tools=[price])
    return crew(
        (guide, task("where to", guide, name="where")), (buyer, task("buy", buyer, name="buy"))
    )


def hierarchy() -> Crew:
    """A manager who delegates to a worker."""

    def manage(told: str) -> str:
        if "<Worker>" in told:
            return f"<managed> {marks(told)}"
        return use("delegate_work_to_coworker", coworker="Worker", task="do <it>", context="x")

    boss = reader("Boss", manage, allow_delegation=True)
    return Crew(
        agents=[relay("Worker")],
        tasks=[task("first", name="first"), task("second", name="second")],
        process=Process.hierarchical,
        manager_agent=boss,
    )


def asking() -> Crew:
    """A writer who asks a researcher a question."""

    def write(told: str) -> str:
        if "<Researcher>" in told:
            return f"<written> {marks(told)}"
        return use("ask_question_to_coworker", coworker="Researcher", question="<q>?", context="-")

    researcher, writer = relay("Researcher"), reader("Writer", write, allow_delegation=True)
    plan = relay("Planner")
    return crew(
        (plan, task("plan", plan, name="plan")),
        (writer, task("write", writer, name="write")),
        (researcher, task("check", researcher, name="check")),
    )


class Report(BaseModel):
    """What the analyst gives."""

    score: int


def structured() -> Crew:
    """A task whose output is an object, and one that depends on a condition on it."""
    analyst = reader("Analyst", lambda told: '{"score": 3}')
    fixer, writer = relay("Fixer"), relay("Writer")
    first = task("rate", analyst, name="rate", output_pydantic=Report)
    second = ConditionalTask(
        name="fix",
        description="fix it",
        expected_output="text",
        agent=fixer,
        condition=lambda output: output.pydantic.score < 5,
    )
    third = task("write", writer, name="write")
    return crew((analyst, first), (fixer, second), (writer, third))


class Plan(BaseModel):
    """The state of the review flow."""

    id: str = ""
    draft: str = ""
    score: int = 0


class ReviewFlow(Flow[Plan]):
    """A draft by a crew, a score, and a router that publishes it or has it reworked."""

    @start()
    def draft(self) -> str:
        author = relay("Author")
        self.state.draft = crew((author, task("draft it", author))).kickoff().raw
        return "drafted"

    @listen(draft)
    def rate(self, was: str) -> int:
        counted[was] += 1
        self.state.score = 7 if "good" in self.state.draft else 3
        return self.state.score

    @router(rate)
    def decide(self) -> str:
        return "fine" if self.state.score > 5 else "poor"

    @listen("fine")
    def publish(self) -> str:
        return f"published {self.state.draft}"

    @listen("poor")
    def rework(self) -> str:
        editor = relay("Editor")
        words = f"rework {self.state.draft}"
        return f"reworked {crew((editor, task(words, editor))).kickoff().raw}"


class GatherFlow(Flow):
    """Two branches at once, joined; a dict for a state."""

    @start()
    def begin(self) -> dict[str, int]:
        self.state["seen"] = ["begin"]
        return {"n": 1}

    @listen(begin)
    async def left(self, given: dict[str, int]) -> str:
        worker = relay("Left")
        output = await crew((worker, task(f"left {given['n']}", worker))).akickoff()
        return output.raw

    @listen(begin)
    async def right(self) -> str:
        worker = relay("Right")
        output = await crew((worker, task("right", worker))).akickoff()
        return output.raw

    @listen(and_(left, right))
    def join(self) -> str:
        worker = relay("Join")
        self.state["seen"] = [*self.state["seen"], "join"]
        found = " ".join(sorted(str(o) for o in self.method_outputs if isinstance(o, str)))
        return crew((worker, task(f"join {found}", worker))).kickoff().raw


class LoopFlow(Flow):
    """A loop until a count is reached."""

    @start("again")
    def work(self) -> int:
        self.state["rounds"] = self.state.get("rounds", 0) + 1
        worker = relay(f"Round{self.state['rounds']}")
        self.state["last"] = crew((worker, task("go on", worker))).kickoff().raw
        return self.state["rounds"]

    @router(work)
    def check(self) -> str:
        return "done" if self.state["rounds"] >= 3 else "again"

    @listen(or_("done", "never"))
    def finish(self) -> str:
        return f"finished {self.state['last']}"


class WriteFlow(Flow):
    """An outline by one crew, and a chapter each by two that write at once."""

    @start()
    def outline(self) -> str:
        planner = relay("Planner")
        return crew((planner, task("outline", planner))).kickoff().raw

    @listen(outline)
    async def write(self, outline: str) -> list[str]:
        async def chapter(author: Any) -> str:
            words = f"write a chapter of {outline}"
            return (await crew((author, task(words, author))).kickoff_async()).raw

        return list(await asyncio.gather(*map(chapter, (relay("First"), relay("Second")))))

    @listen(write)
    def join(self, chapters: list[str]) -> str:
        return " and ".join(chapters)


APPLICATIONS: dict[str, tuple[Callable[[], Any], dict[str, Any] | None]] = {
    "chain": (chain, {"topic": "tea"}),
    "planned": (planned, {"topic": "tea"}),
    "parallel": (parallel, None),
    "shopper": (shopper, None),
    "hierarchy": (hierarchy, None),
    "asking": (asking, None),
    "structured": (structured, None),
    "review flow": (ReviewFlow, None),
    "gather flow": (GatherFlow, None),
    "loop flow": (LoopFlow, None),
    "write flow": (WriteFlow, None),
}
"""Each application, and its inputs."""
