"""Each mode of MAST: runs that show it, and near misses that do not."""

from typing import Any

import pytest

from agenttrace.models import Trace
from agenttrace.testing import agent, build, llm, message, tool, workflow
from agenttrace_server.mast.classify import modes
from agenttrace_server.mast.modes import MODES
from support.teams import CHECK, FIND, FOUND, OBJECTION, QUESTION, START, says, talk

ACCOUNTS = "Acme's revenue grew 8.2 % in 2024, from 371 to 402 million (audited accounts)."
ASK = ("user", "planner", "Compare the three hotels in Lisbon and name the cheapest one.")
DONE = ("planner", "user", "The Mar is the cheapest of the three at 80 euros a night.")


def shown(trace: Trace) -> set[str]:
    return {failure.mode for failure in modes(trace) if failure.confidence >= 0.5}


def run(*children: Any, **about: Any) -> Trace:
    asked = message("coder", "Fetch the weather of tomorrow in Lisbon.", sender="user")
    answered = says("coder", "user", "It will be sunny with 21 degrees.", "result")
    return build(workflow("run", asked, *children, answered, **about))


def calls(name: str, arguments: str, text: str = "") -> list[dict[str, Any]]:
    call = {"id": "1", "name": name, "arguments": arguments}
    return [{"role": "assistant", "content": text, "tool_calls": [call]}]


def answered(task: str, answer: str) -> Trace:
    return talk(("user", "writer", task), ("writer", "user", answer))


def called(*outputs: str, name: str = "search", asked: str = '{"q": "hotels"}') -> Trace:
    return run(agent("coder", *(tool(name, input=asked, output=one) for one in outputs)))


def role(text: str, *children: Any) -> Trace:
    said = [{"role": "system", "content": text}]
    return run(agent("coder", llm("Fine.", input=said), *children))


def chat(*contents: str) -> Trace:
    names = ("planner", "coder")
    turns = [(names[i % 2], names[(i + 1) % 2], text) for i, text in enumerate(contents)]
    return talk(ASK, *turns, DONE)


def warned(output: str, report: str) -> Trace:
    return run(
        agent(
            "scout",
            tool("lookup", input="fridge X1", output=output),
            sends=message("coder", report, type="result"),
        )
    )


def meant(text: str, name: str) -> Trace:
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


def drifting(*turns: str, task: str = HOTELS) -> Trace:
    names = ("planner", "coder")
    said = [(names[i % 2], names[(i + 1) % 2], text) for i, text in enumerate(turns[:-1])]
    return talk(("user", "planner", task), *said, ("planner", "user", turns[-1]))


def circling(*, stages: int, rounds: int, fresh: int = 0) -> Trace:
    texts = [f"Stage {number} of the plan: fetch page {number} now." for number in range(stages)]
    turns = [text for _ in range(rounds) for text in texts]
    news = [f"Page {number} tells of room {number * 7} there." for number in range(fresh)]
    return chat(*turns, *news)


def computed(task: str, code: str, output: str, answer: str) -> Trace:
    return talk(
        ("user", "coder", task),
        ("coder", "runner", f"Let us compute it.\n```python\n{code}\n```"),
        ("runner", "coder", f"exitcode: 0\nCode output: {output}"),
        ("coder", "runner", answer),
    )


SHARE = "Four friends share 120 euros, and 3 of them pay 10 euros more. What does each pay?"
EDIT, RUN = "edit_file", "run_tests"


def edited(*names: str, said: str = "The bug is fixed.", file: str = "total.py") -> Trace:
    done = [tool(name, input=f'{{"path": "{file}"}}', output="done") for name in names]
    asked = message("coder", "The total is wrong; fix it.", sender="user")
    return build(workflow("run", asked, agent("coder", *done, sends=message("user", said))))


SHOWN: dict[str, list[Trace]] = {
    "1.1": [
        answered("Describe Lisbon in one paragraph.", "Lisbon is old.\n\nIt lies at the sea."),
        answered("Describe Lisbon in at most 10 words.", "Lisbon " * 14),
        answered("List the hotels. Answer in JSON.", "The hotels are Mar and Sol."),
        answered("Give exactly three bullet points.", "- Mar\n- Sol"),
        answered("Explain it in two sentences.", "One is. Two is. Three is. Four is. Five is."),
        answered("Respond only with valid JSON.", "Sure! Here it is: {}"),
    ],
    "1.2": [
        role("You review. Never write code.", says("coder", "planner", "```python\nx = 1\n```")),
        role("You must not use the tool `delete_file`.", tool("delete_file", output="done")),
        role("You plan. Do not produce any code.", says("coder", "planner", "def total(): pass")),
        role("Never call send_mail.", tool("send_mail", output="sent")),
        role("You are not allowed to run shell.", tool("shell", output="ok")),
        role("Don't generate code, only prose.", says("coder", "planner", "import os\nos.x()")),
    ],
    "1.3": [
        talk(*START[:3], ("supervisor", "researcher", FIND), ("researcher", "supervisor", FOUND)),
        called("Mar, Sol", "Mar, Sol"),
        called("Mar, Sol", "Mar, Sol", "Mar, Sol"),
        called("21 degrees", "21 degrees", name="weather"),
        chat(PLAN, PRICES, "Name them once more in full.", "Mar.", PLAN, PRICES),
        called("def total(): return 42", "def total(): return 42", name="read_file"),
    ],
    "1.4": [
        chat(PLAN, PRICES, "Which of them is it?", f"I don't have the {what}.")
        for what in (
            "previous conversation",
            "earlier messages",
            "prior context",
            "previous results",
            "earlier discussion",
            "past conversation",
        )
    ],
    "1.5": [
        chat(PLAN, ANSWER, *GOING_ON),
        chat(PLAN, "TERMINATE", *GOING_ON),
        chat(PLAN, r"\boxed{42}", "Continue.", "42", "Continue.", "42"),
        run(agent("coder"), error="GraphRecursionError: Recursion limit of 25 reached"),
        run(agent("coder"), error="RuntimeError: Maximum number of turns has been reached"),
        run(agent("coder"), error="ValueError: max_iterations exceeded"),
    ],
    "2.1": [
        chat(PLAN, PRICES, f"So {one}.", f"No, {one}.", PLAN, PRICES)
        for one in ("the Mar it is", "Sol", "it is 80", "take Rio", "we book", "the first")
    ],
    "2.2": [
        called("x", asked=f'{{"value": "{value}"}}', name="fetch")
        for value in (
            "your_api_key",
            "path/to/file.csv",
            "<your name>",
            "[insert city]",
            "PLACEHOLDER",
            "<insert date here>",
        )
    ],
    "2.3": [
        drifting(ON_TASK, ON_TASK + " Mar, Sol, Rio.", *ELSEWHERE),
        drifting(ON_TASK, *ELSEWHERE),
        drifting(ON_TASK, *ELSEWHERE[::-1]),
        drifting("Let me look for a hotel in Lisbon first.", *ELSEWHERE[1:], ELSEWHERE[0]),
        circling(stages=6, rounds=4),
        circling(stages=5, rounds=5, fresh=3),
    ],
    "2.4": [
        warned(f"{word} the X1 was recalled for overheating compressors.", "The X1 costs 300 euro.")
        for word in (
            "WARNING:",
            "CAUTION:",
            "IMPORTANT:",
            "ATTENTION:",
            "Note. WARNING",
            "warning:",
        )
    ],
    "2.5": [
        talk(*START[:4], ("critic", "supervisor", said), ("supervisor", "writer", "Write it up."))
        for said in (
            OBJECTION,
            "REJECTED. Note 7 leaves out Kestrel's 36.7 million.",
            "I disagree: Kestrel was bought in November.",
            "The figure is wrong, Kestrel distorts it by 36.7 million.",
            "This contradicts the audited accounts, which show 402 million.",
            "I cannot confirm this; the accounts show 402 million.",
        )
    ],
    "2.6": [
        meant(text, "delete_file")
        for text in (
            "I will use search for this.",
            "Let me call `search`.",
            "Next, I use search. I'll now run search.",
            "I'm going to query search first.",
            "I need to consult the search tool.",
            "I should invoke search.",
        )
    ],
    "3.1": [
        answered("Which hotel is the cheapest?", text)
        for text in (
            "I will now compare the prices.",
            "Two hotels are done. Next, I'll fetch the third one.",
            "Let me look up the prices.",
            "I still need to read the price of the Rio.",
            "Let's compare them...",
            "The Mar costs 80. Remaining steps: fetch Sol and Rio.",
        )
    ],
    "3.2": [
        talk(*START, ("supervisor", "writer", "Write it up."), ("writer", "user", f"Yes. {FOUND}")),
        *(
            answered(task, "It grew by 18 per cent.")
            for task in (
                QUESTION,
                "How much did it grow? Double-check the figure before you answer.",
                "How much did it grow? Let the auditor verify it.",
                "Write the function and run the tests before you finish.",
                "Give the growth. Before you publish, verify it in the accounts.",
            )
        ),
        edited(RUN, EDIT),
        edited(EDIT, RUN, EDIT, said="All is implemented and works."),
    ],
    "3.3": [
        run(agent("tester", tool("pytest", output=output), sends=message("coder", verdict)))
        for output, verdict in (
            ("3 passed, 2 failed", "APPROVED"),
            ("AssertionError: 1 != 2", "All tests pass."),
            ("Traceback (most recent call last): boom", "LGTM"),
            ("exit code: 1", "CONFIRMED, it works."),
            ("FAILED test_sum.py::test_total", "Looks good to me."),
            ("1 error in 0.2s", "PASSED"),
        )
    ]
    + [
        computed(SHARE, "print(120 / 4)", "30.0", "Each of them pays 30 euros."),
        computed(SHARE, "print(120 / 4 + 3 * 10 + 17)", "77.0", "Each of them pays 77 euros."),
    ],
}

SILENT: dict[str, list[Trace]] = {
    "1.1": [
        answered("Describe Lisbon in one paragraph.", "Lisbon is old. It lies at the sea."),
        answered("Describe Lisbon in at most 10 words.", "Lisbon is an old city at the sea."),
        answered("List the hotels. Answer in JSON.", '{"hotels": ["Mar", "Sol"]}'),
        answered("Answer in JSON.", '```json\n{"hotels": []}\n```'),
        answered("Explain it in two sentences.", "It costs 3.5 million. It is e.g. dear."),
        answered("Summarise the first paragraph of it.", "It is old.\n\nIt lies at the sea."),
    ],
    "1.2": [
        role("You review. Never write code.", says("coder", "planner", "Rename x to total.")),
        role("You must not use delete_file.", tool("search", output="done")),
        role("You write code.", says("coder", "planner", "```python\nx = 1\n```")),
        role("Never write code without tests.", says("coder", "planner", "It has tests.")),
        role("Always call send_mail.", tool("send_mail", output="sent")),
        role("Do not use jargon.", tool("shell", output="ok")),
    ],
    "1.3": [
        talk(
            *START[:3], ("supervisor", "researcher", FIND), ("researcher", "supervisor", ACCOUNTS)
        ),
        talk(
            *START[:2],
            ("researcher", "supervisor", "Error: the search timed out."),
            ("supervisor", "researcher", FIND),
            ("researcher", "supervisor", FOUND),
        ),
        called("still running", "still running", "done", name="job"),
        called("pending", "pending", name="get_status"),
        called("Mar, Sol", "Mar, Sol, Rio"),
        talk(*START[:3], ("supervisor", "analyst", FIND), ("analyst", "supervisor", FOUND)),
    ],
    "1.4": [
        chat(PLAN, PRICES, "Which of them is it?", text)
        for text in (
            "I don't have the price of the Rio.",
            "As the previous conversation shows, it is the Mar.",
            "The earlier messages name three hotels.",
            "I remember what we said: the Mar.",
            "I do not see a reason to change the plan.",
            "The history of the hotel is unknown to me.",
        )
    ],
    "1.5": [
        chat(PLAN, PRICES, ANSWER),
        chat(PLAN, ANSWER, "Thank you!"),
        chat(PLAN, ANSWER, "Compare it with Porto as well.", "Porto's Douro costs 70 euros."),
        run(agent("coder"), error="ValueError: no such city"),
        chat(PLAN, PRICES, "Continue.", "The Sol has a pool.", "Continue.", "The Rio has none."),
        run(agent("coder"), error="RateLimitError: limit of requests reached"),
    ],
    "2.1": [
        chat(PLAN, PRICES, "The Mar it is.", "Agreed."),
        chat(PLAN, PRICES, "So the Mar.", "No.", PLAN, "Their stars are 3, 4 and 5."),
        chat("Go on.", PRICES, "So the Mar.", "No.", "Go on.", PRICES),
        chat(PLAN, PRICES, PLAN, PRICES),
        chat(PLAN, PRICES, "So the Mar.", "No.", "Now begin with the flights.", "Done."),
        talk(ASK, ("planner", "coder", PLAN), ("coder", "planner", PRICES), ASK, DONE),
    ],
    "2.2": [
        called("x", asked='{"value": "sk-42"}', name="fetch"),
        called("x", asked='{"text": "export KEY=your_api_key"}', name="write_file"),
        called("x", asked='{"path": "data/hotels.csv"}', name="fetch"),
        called("x", asked='{"q": "how to get your api key"}'),
        run(
            says("coder", "planner", "What is the api key?"),
            agent("coder", tool("fetch", input="your_api_key", output="x")),
        ),
        called("x", asked='{"html": "<b>your</b>"}', name="render"),
    ],
    "2.3": [
        drifting(ON_TASK, *ELSEWHERE[:3], "The cheapest hotel in Lisbon is the Mar."),
        drifting(ON_TASK, ON_TASK, ON_TASK + " Mar.", ELSEWHERE[0]),
        drifting(ON_TASK, "Okay.", "Go on, please.", "Thank you.", "Here it is: the Mar."),
        drifting(*ELSEWHERE, task="Tell me something."),
        circling(stages=6, rounds=2),
        circling(stages=4, rounds=2, fresh=12),
    ],
    "2.4": [
        warned(
            "WARNING: the X1 was recalled for overheating.", "The X1 was recalled: overheating."
        ),
        warned("The X1 costs 300 euro.", "The X1 costs 300 euro."),
        warned("No warnings were found for it.", "The X1 costs 300 euro."),
        warned("WARNING: overheating compressors recalled.", "Its compressors overheat."),
        warned("Error: WARNING the lookup is broken again.", "The X1 costs 300 euro."),
        warned("This is important to many people.", "The X1 costs 300 euro."),
    ],
    "2.5": [
        talk(*START[:4], ("critic", "supervisor", said), ("supervisor", "writer", reaction))
        for said, reaction in (
            (OBJECTION, "Use 8.2 % as the critic says."),
            (OBJECTION, "The critic has a point; correct the figure."),
            (OBJECTION, "I overrule the objection: gross growth was asked for."),
            ("CONFIRMED, there is no error in the figure.", "Write it up."),
            ("I do not object to it; nothing is wrong.", "Write it up."),
            ("If the figure is wrong, Kestrel is why.", "Write it up."),
        )
    ],
    "2.6": [
        meant("I will use search for this.", "search"),
        meant("I will delete it with delete_file.", "delete_file"),
        meant("I will use search and then call delete_file.", "delete_file"),
        meant("The search is done, I remove the file.", "delete_file"),
        meant("I will use scissors.", "delete_file"),
        meant("", "delete_file"),
    ],
    "3.1": [
        answered("Which hotel is the cheapest?", text)
        for text in (
            "The Mar is the cheapest at 80 euros.",
            "The Mar. Let me know if you need more.",
            "Shall I compare the prices next?",
            "The Mar. I will be happy to help again.",
            "I would take the Mar.",
            "First I compared the prices: the Mar is the cheapest.",
        )
    ],
    "3.2": [
        talk(*START[:4], ("critic", "supervisor", "CONFIRMED."), ("writer", "user", FOUND)),
        talk(
            *START,
            ("supervisor", "researcher", "Correct it as the critic says."),
            ("researcher", "supervisor", ACCOUNTS),
            ("supervisor", "critic", CHECK),
            ("critic", "supervisor", "CONFIRMED."),
            ("writer", "user", ACCOUNTS),
        ),
        answered("How much did it grow?", "By 18 per cent."),
        answered("Let the user decide before you answer.", "By 18 per cent."),
        answered("Verify it before you answer.", "I checked the accounts: 8.2 per cent."),
        talk(
            *START,
            ("supervisor", "writer", "Write that the critic disputes it."),
            ("writer", "user", "18 %, but the audited accounts show 8.2 %."),
        ),
        edited(EDIT, RUN),
        edited(EDIT),
        edited(RUN, EDIT, file="notes.md"),
        edited(RUN, EDIT, said="I could not find the cause."),
    ],
    "3.3": [
        run(agent("tester", tool("pytest", output=output), sends=message("coder", verdict)))
        for output, verdict in (
            ("5 passed", "APPROVED"),
            ("3 passed, 0 failed", "All tests pass."),
            ("3 passed, 2 failed", "REJECTED: two tests fail."),
            ("exit code: 0", "CONFIRMED, it works."),
            ("2 failed", "Two tests fail."),
            ("no errors found", "LGTM"),
        )
    ]
    + [
        computed(SHARE, "print(120 / 4)", "30.0", "30 euros, which I verified by hand."),
        computed("Say hello.", "print(120 / 4)", "30.0", "It is 30."),
        computed(SHARE, "print(120 / 4)", "[30, 40]", "Three pay 40 and one pays nothing."),
    ],
}


@pytest.mark.parametrize(
    ("mode", "number"), [(mode, i) for mode in SHOWN for i in range(len(SHOWN[mode]))]
)
def test_a_run_that_shows_a_mode_is_shown_with_it(mode: str, number: int) -> None:
    assert mode in shown(SHOWN[mode][number])


@pytest.mark.parametrize(
    ("mode", "number"), [(mode, i) for mode in SILENT for i in range(len(SILENT[mode]))]
)
def test_a_near_miss_of_a_mode_is_not_shown_with_it(mode: str, number: int) -> None:
    assert mode not in shown(SILENT[mode][number])


def test_every_mode_has_six_runs_that_show_it_and_six_near_misses() -> None:
    assert set(SHOWN) == set(SILENT) == set(MODES)
    assert all(len(runs) >= 6 for table in (SHOWN, SILENT) for runs in table.values())
