"""Runs that show each mode of MAST, the plainest first."""

from agenttrace.testing import Node, agent, message, tool
from support.mast_stories import (
    ANSWER,
    EDIT,
    ELSEWHERE,
    GOING_ON,
    ON_TASK,
    PLAN,
    PRICES,
    RUN,
    SHARE,
    answered,
    called,
    chat,
    circling,
    computed,
    drifting,
    edited,
    meant,
    role,
    run,
    warned,
)
from support.teams import FIND, FOUND, OBJECTION, QUESTION, START, says, told

SHOWN: dict[str, list[Node]] = {
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
        told(*START[:3], ("supervisor", "researcher", FIND), ("researcher", "supervisor", FOUND)),
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
        told(*START[:4], ("critic", "supervisor", said), ("supervisor", "writer", "Write it up."))
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
        told(*START, ("supervisor", "writer", "Write it up."), ("writer", "user", f"Yes. {FOUND}")),
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
