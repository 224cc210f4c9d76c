"""Runs that look like each mode of MAST and do not show it."""

from agenttrace.testing import Node, agent, message, tool
from support.mast_stories import (
    ACCOUNTS,
    ANSWER,
    ASK,
    DONE,
    EDIT,
    ELSEWHERE,
    ON_TASK,
    PLAN,
    PRICES,
    REMINDER,
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
from support.teams import CHECK, FIND, FOUND, OBJECTION, START, says, told

NEAR_MISSES: dict[str, list[Node]] = {
    "1.1": [
        answered("Describe Lisbon in one paragraph.", "Lisbon is old. It lies at the sea."),
        answered("Describe Lisbon in at most 10 words.", "Lisbon is an old city at the sea."),
        answered("List the hotels. Answer in JSON.", '{"hotels": ["Mar", "Sol"]}'),
        answered("Answer in JSON.", '```json\n{"hotels": []}\n```'),
        answered("Explain it in two sentences.", "It costs 3.5 million. It is e.g. dear."),
        answered("Summarise the first paragraph of it.", "It is old.\n\nIt lies at the sea."),
        answered("Name 2 pros and 1 con.", "1. Near\n2. Quiet\n3. Dear"),
        answered("Suggest three to five names.", "1. Mar\n2. Sol\n3. Rio\n4. Foz"),
        answered("Give me 5 minutes and a plan.", "1. Pack\n2. Leave"),
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
        told(
            *START[:3], ("supervisor", "researcher", FIND), ("researcher", "supervisor", ACCOUNTS)
        ),
        told(
            *START[:2],
            ("researcher", "supervisor", "Error: the search timed out."),
            ("supervisor", "researcher", FIND),
            ("researcher", "supervisor", FOUND),
        ),
        called("still running", "still running", "done", name="job"),
        called("pending", "pending", name="get_status"),
        called("Mar, Sol", "Mar, Sol, Rio"),
        told(*START[:3], ("supervisor", "analyst", FIND), ("analyst", "supervisor", FOUND)),
        told(*START[:3], *START[:3]),
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
        told(ASK, ("planner", "coder", PLAN), ("coder", "planner", PRICES), ASK, DONE),
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
        warned(
            f"300 euro.\n\n{REMINDER}",
            "The X1 costs 300 euro.",
            instructions=f"You look up prices.\n\n{REMINDER}",
        ),
    ],
    "2.5": [
        told(*START[:4], ("critic", "supervisor", said), ("supervisor", "writer", reaction))
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
        told(*START[:4], ("critic", "supervisor", "CONFIRMED."), ("writer", "user", FOUND)),
        told(
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
        told(
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
