"""Stories of two or three agents, told in a line each, for the modes of MAST."""

from typing import Any

from agenttrace.testing import Node, agent, llm, message, tool, workflow
from support.teams import says, told

ACCOUNTS = "Acme's revenue grew 8.2 % in 2024, from 371 to 402 million (audited accounts)."
ASK = ("user", "planner", "Compare the three hotels in Lisbon and name the cheapest one.")
DONE = ("planner", "user", "The Mar is the cheapest of the three at 80 euros a night.")


def run(*children: Any, **about: Any) -> Node:
    asked = message("coder", "Fetch the weather of tomorrow in Lisbon.", sender="user")
    answered = says("coder", "user", "It will be sunny with 21 degrees.", "result")
    return workflow("run", asked, *children, answered, **about)


def calls(name: str, arguments: str, text: str = "") -> list[dict[str, Any]]:
    call = {"id": "1", "name": name, "arguments": arguments}
    return [{"role": "assistant", "content": text, "tool_calls": [call]}]


def answered(task: str, answer: str) -> Node:
    return told(("user", "writer", task), ("writer", "user", answer))


def called(*outputs: str, name: str = "search", asked: str = '{"q": "hotels"}') -> Node:
    return run(agent("coder", *(tool(name, input=asked, output=one) for one in outputs)))


def role(text: str, *children: Any) -> Node:
    said = [{"role": "system", "content": text}]
    return run(agent("coder", llm("Fine.", input=said), *children))


def chat(*contents: str) -> Node:
    names = ("planner", "coder")
    turns = [(names[i % 2], names[(i + 1) % 2], text) for i, text in enumerate(contents)]
    return told(ASK, *turns, DONE)


REMINDER = "IMPORTANT: Use the following format in your response: Thought, Action, Observation."


def warned(output: str, report: str, instructions: str = "You look up prices.") -> Node:
    return run(
        agent(
            "scout",
            llm(calls("lookup", "{}"), input=[{"role": "system", "content": instructions}]),
            tool("lookup", input="fridge X1", output=output),
            sends=message("coder", report, type="result"),
        )
    )


def meant(text: str, name: str) -> Node:
    return run(
        agent(
            "coder",
            llm(calls(name, "{}", text)),
            tool(name, input="{}", output="ok"),
            tool("search", input="{}", output="yes"),
            tool("delete_file", input="{}", output="done"),
        )
    )


ANSWER = "The answer is 42, so the task is complete. FINAL ANSWER: 42"
PLAN = "Let us begin: list the hotels, fetch the price of each, then compare."
PRICES = "The hotels are Mar, Sol and Rio; their prices are 80, 95 and 120 euros."
GOING_ON = ("Thank you!", "You're welcome.", "Have a nice day.", "Goodbye!")

HOTELS = "Compare the prices of the three hotels in Lisbon and name the cheapest hotel."
ON_TASK = "I compare the hotels in Lisbon: their prices are 80, 95 and 120 euros."
ELSEWHERE = (
    "The football season starts again in August with twenty clubs from nine regions.",
    "Each club brings a goalkeeper and ten outfield players to every match it attends.",
    "Supporters sing loudly while their favourite striker shoots towards the goal.",
    "Referees whistle whenever somebody fouls an opponent inside the penalty area.",
)


def drifting(*turns: str, task: str = HOTELS) -> Node:
    names = ("planner", "coder")
    said = [(names[i % 2], names[(i + 1) % 2], text) for i, text in enumerate(turns[:-1])]
    return told(("user", "planner", task), *said, ("planner", "user", turns[-1]))


def circling(*, stages: int, rounds: int, fresh: int = 0) -> Node:
    texts = [f"Stage {number} of the plan: fetch page {number} now." for number in range(stages)]
    turns = [text for _ in range(rounds) for text in texts]
    news = [f"Page {number} tells of room {number * 7} there." for number in range(fresh)]
    return chat(*turns, *news)


def computed(task: str, code: str, output: str, answer: str) -> Node:
    return told(
        ("user", "coder", task),
        ("coder", "runner", f"Let us compute it.\n```python\n{code}\n```"),
        ("runner", "coder", f"exitcode: 0\nCode output: {output}"),
        ("coder", "runner", answer),
    )


SHARE = "Four friends share 120 euros, and 3 of them pay 10 euros more. What does each pay?"
EDIT, RUN = "edit_file", "run_tests"


def edited(*names: str, said: str = "The bug is fixed.", file: str = "total.py") -> Node:
    done = [tool(name, input=f'{{"path": "{file}"}}', output="done") for name in names]
    asked = message("coder", "The total is wrong; fix it.", sender="user")
    return workflow("run", asked, agent("coder", *done, sends=message("user", said)))
