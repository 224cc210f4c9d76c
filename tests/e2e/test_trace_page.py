"""One trace's page: its views are linked, and each tells what happened."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from support import captures
from support.runs import Run, long_run, new_trace_id, research_team, wide_team
from support.server import RunningServer


@pytest.fixture(scope="module")
def team(server: RunningServer) -> str:
    """The trace id of the failing team's run."""
    run = research_team()
    server.post(run.otlp())
    assert server.wait_analysed(run.trace_id)["failure_count"] > 0
    return run.trace_id


def details(page: Page) -> Locator:
    return page.get_by_role("region", name="Details", exact=True)


def test_an_edge_shows_its_messages_and_a_message_shows_everywhere(
    page: Page, server: RunningServer, team: str
) -> None:
    page.goto(f"{server.url}/traces/{team}")
    page.get_by_role("button", name=re.compile("^supervisor to researcher: 2 messages")).press(
        "Enter"
    )
    expect(details(page).get_by_text("2 messages")).to_be_visible()
    expect(page).to_have_url(re.compile("agent=supervisor&to=researcher"))

    details(page).get_by_role("button", name=re.compile("Find figures on tidal")).first.click()

    expect(details(page).get_by_text("Find figures on tidal power in Brittany.")).to_be_visible()
    expect(
        page.get_by_role("button", name=re.compile("^supervisor to researcher, task"), pressed=True)
    ).to_be_visible()
    expect(page).to_have_url(re.compile("message="))
    page.go_back()
    expect(details(page).get_by_text("2 messages")).to_be_visible()
    page.go_back()
    expect(details(page).get_by_text("What happened")).to_be_visible()


def test_edges_and_agents_can_be_clicked(page: Page, server: RunningServer, team: str) -> None:
    page.goto(f"{server.url}/traces/{team}?view=graph")
    agent = page.get_by_role("button", name=re.compile("^Agent critic"))
    expect(agent).to_be_visible()

    agent.click()

    expect(details(page).get_by_role("heading", name="critic")).to_be_visible()
    expect(details(page).get_by_text("The figure of 500 GWh has no source.")).to_be_visible()


def test_a_failure_leads_to_where_it_happened(page: Page, server: RunningServer, team: str) -> None:
    page.goto(f"{server.url}/traces/{team}?view=failures")
    finding = page.get_by_role("region", name="Failures").get_by_role("article").first
    expect(finding).to_contain_text("HTTP 503")

    finding.get_by_role("button", name=re.compile("^Show ")).click()

    expect(details(page).get_by_role("heading", name="execute_tool search_web")).to_be_visible()
    expect(details(page).get_by_role("article").first).to_contain_text("HTTP 503")


def test_a_link_leads_to_one_failure(page: Page, server: RunningServer, team: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{server.url}/traces/{team}?view=failures")
    finding = page.get_by_role("region", name="Failures").get_by_role("article").last
    finding.get_by_role("button", name="Copy link to this failure").click()
    link = page.evaluate("navigator.clipboard.readText()")

    page.goto(link)

    marked = page.locator("article[aria-current]")
    expect(marked).to_have_count(1)
    expect(marked).to_be_in_viewport()
    expect(marked).to_have_accessible_name(finding.get_attribute("aria-label") or "")


def test_the_decisive_failure_is_one_sentence_that_leads_there(
    page: Page, server: RunningServer, team: str
) -> None:
    page.goto(f"{server.url}/traces/{team}")

    page.get_by_role("group", name="Outcome").get_by_role(
        "button", name=re.compile("researcher")
    ).click()

    expect(page).to_have_url(re.compile("(span|message)="))
    expect(details(page).get_by_role("article").first).to_be_visible()


def test_what_a_person_decides_about_a_failure_stays(page: Page, server: RunningServer) -> None:
    run = research_team("to be reviewed")
    server.post(run.otlp())
    server.wait_analysed(run.trace_id)
    page.goto(f"{server.url}/traces/{run.trace_id}?view=failures")
    findings = page.get_by_role("region", name="Failures").get_by_role("article")
    name = findings.first.get_by_role("heading").inner_text()

    findings.first.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("region", name="Failures").get_by_text("confirmed")).to_be_visible()

    page.reload()
    confirmed = findings.filter(has_text="confirmed")
    expect(confirmed).to_contain_text(name)
    stored = server.get(f"/api/traces/{run.trace_id}/failures")["items"]
    assert [f["review"] for f in stored].count("confirmed") == 1


def test_a_finding_is_corrected_and_commented_and_one_is_added(
    page: Page, server: RunningServer
) -> None:
    run = research_team("to be corrected")
    server.post(run.otlp())
    server.wait_analysed(run.trace_id)
    page.goto(f"{server.url}/traces/{run.trace_id}?view=failures")
    failures = page.get_by_role("region", name="Failures")
    first = failures.get_by_role("article").first
    expect(first).to_contain_text("found by")

    first.get_by_role("button", name="Change or comment").click()
    form = page.get_by_role("form", name="Verdict")
    form.get_by_label("What it is").fill("2.2")
    expect(form.get_by_text("instead of asking")).to_be_visible()
    form.get_by_label("Comment").fill("It never asked.")
    form.get_by_role("button", name="Save").click()

    changed = failures.get_by_role("article", name="Failed to ask for clarification")
    expect(changed).to_contain_text("It never asked.")
    expect(changed).to_contain_text("confirmed")

    failures.get_by_role("button", name="Add a failure").click()
    dialog = page.get_by_role("dialog", name="Add a failure")
    dialog.get_by_label("What it is").fill("house_style")
    dialog.get_by_role("button", name="Add", exact=True).click()

    added = failures.get_by_role("article", name="House style")
    expect(added).to_contain_text("added by a person")

    page.goto(f"{server.url}/settings")
    agreement = page.get_by_role("table", name="Agreement by mode")
    expect(agreement.get_by_role("row", name=re.compile("House style.*person"))).to_be_visible()


def test_where_a_run_went_wrong_is_ranked_and_leads_there(
    page: Page, server: RunningServer, team: str
) -> None:
    page.goto(f"{server.url}/traces/{team}?view=failures")
    steps = page.get_by_role("region", name="Where it went wrong").get_by_role("listitem")
    expect(steps.first).to_contain_text("%")

    steps.first.get_by_role("button", name="Show the step").click()

    expect(page).to_have_url(re.compile("(span|message)="))


def test_every_view_is_drawn(page: Page, server: RunningServer, team: str) -> None:
    page.goto(f"{server.url}/traces/{team}")
    for view, something in {
        "Graph": page.get_by_role("button", name=re.compile("^Agent writer")),
        "Sequence": page.get_by_role("button", name=re.compile("^critic to supervisor, answer")),
        "Timeline": page.get_by_role("treeitem", name=re.compile("invoke_agent writer")),
        "Transcript": page.get_by_role("article", name="critic to supervisor"),
        "Failures": page.get_by_role("article", name=re.compile("Tool error")).first,
    }.items():
        page.get_by_role("navigation", name="Views").get_by_role("button", name=view).click()
        if view == "Transcript":
            page.get_by_role("group", name="Entries").press("End")
        expect(something).to_be_visible()
        expect(page).to_have_url(re.compile(f"view={view.lower()}"))


def test_a_transcript_can_be_that_of_one_agent(
    page: Page, server: RunningServer, team: str
) -> None:
    page.goto(f"{server.url}/traces/{team}?view=transcript")

    page.get_by_role("combobox", name="Whose transcript").select_option("critic")

    expect(page.get_by_role("article", name="supervisor to critic")).to_be_visible()
    expect(page.get_by_role("article", name="supervisor to writer")).to_have_count(0)


def test_a_transcript_says_what_an_agent_knew_at_a_moment(
    page: Page, server: RunningServer, team: str
) -> None:
    asked = next(
        m
        for m in server.get(f"/api/traces/{team}/messages")["items"]
        if m["sender"] == "supervisor" and m["recipient"] == "writer"
    )
    page.goto(f"{server.url}/traces/{team}?view=transcript&message={asked['message_id']}")

    page.get_by_role("combobox", name="Whose transcript").select_option("critic")

    expect(page.get_by_text("not known yet at the selected moment")).to_be_visible()
    expect(page.get_by_text(re.compile("^critic knew [0-9]+ entr"))).to_be_visible()


def test_the_graph_goes_back_in_time(page: Page, server: RunningServer, team: str) -> None:
    page.goto(f"{server.url}/traces/{team}?view=graph")
    slider = page.get_by_role("slider", name="Show messages up to this moment")

    slider.press("Home")

    expect(slider).to_have_attribute("aria-valuetext", re.compile(", 1 messages?$"))
    page.get_by_role("button", name="Layout in layers").click()
    expect(page.get_by_role("button", name=re.compile("^Agent critic"))).to_be_visible()
    expect(slider).to_have_attribute("aria-valuetext", re.compile(", 1 messages?$"))


def test_the_timeline_folds_and_has_a_table_twin(
    page: Page, server: RunningServer, team: str
) -> None:
    page.goto(f"{server.url}/traces/{team}?view=timeline")
    spans = page.get_by_role("treeitem")
    expect(spans).to_have_count(16)

    page.get_by_role("button", name="Fold all").click()
    expect(spans).to_have_count(2)
    page.get_by_role("button", name="Unfold all").click()
    page.get_by_role("button", name="As a table").click()

    page.get_by_role("row", name=re.compile("invoke_agent critic")).get_by_role("button").click()
    expect(details(page).get_by_role("heading", name="invoke_agent critic")).to_be_visible()


def test_a_running_trace_grows_in_place(page: Page, server: RunningServer) -> None:
    run = research_team("growing")
    root, rest = run.spans[0], run.spans[1:]
    server.post(run.otlp(rest[:4]))
    page.goto(f"{server.url}/traces/{run.trace_id}?view=timeline")
    expect(page.get_by_text("Running", exact=True)).to_be_visible()
    expect(page.get_by_role("treeitem", name="Parent that has not arrived")).to_be_visible()
    expect(page.get_by_role("treeitem")).to_have_count(5)

    server.post(run.otlp(rest[4:]))
    expect(page.get_by_role("treeitem")).to_have_count(16)
    server.post(run.otlp([root]))

    expect(
        page.get_by_role("treeitem", name=re.compile("^invoke_workflow growing"))
    ).to_be_visible()
    expect(page.get_by_text("Running", exact=True)).to_have_count(0)


def test_a_link_opens_exactly_what_it_names(page: Page, server: RunningServer, team: str) -> None:
    message = server.get(f"/api/traces/{team}/messages")["items"][-2]

    page.goto(f"{server.url}/traces/{team}?view=sequence&message={message['message_id']}")

    expect(details(page).get_by_text("Do not publish before it is checked.")).to_be_visible()
    expect(
        page.get_by_role("button", pressed=True, name=re.compile("^critic to supervisor"))
    ).to_be_visible()


def test_links_to_nothing_say_what_to_do(page: Page, server: RunningServer, team: str) -> None:
    page.goto(f"{server.url}/traces/{new_trace_id()}")
    expect(page.get_by_role("alert")).to_contain_text("This trace is not on the server")

    page.goto(f"{server.url}/traces/{team}?span=ffffffffffffffff")
    expect(details(page).get_by_role("alert")).to_contain_text("This span is not in the trace")

    page.goto(f"{server.url}/traces/{team}?message=none&view=nonsense")
    expect(details(page).get_by_text("No such message in this trace")).to_be_visible()

    page.goto(f"{server.url}/nowhere")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()


def test_a_trace_that_was_not_there_is_shown_when_it_arrives(
    page: Page, server: RunningServer
) -> None:
    run = research_team("late")
    page.goto(f"{server.url}/traces/{run.trace_id}")
    expect(page.get_by_role("alert")).to_contain_text("This trace is not on the server")

    server.post(run.otlp())

    expect(page.get_by_role("heading", level=1)).to_have_text("invoke_workflow late")


def test_many_agents_and_many_spans_are_shown(page: Page, server: RunningServer) -> None:
    crowd, long = wide_team(200), long_run(5000)
    for run in (crowd, long):
        server.post(run.otlp())
        server.wait_analysed(run.trace_id)

    page.goto(f"{server.url}/traces/{crowd.trace_id}?view=graph")
    expect(page.get_by_role("button", name=re.compile("^200 agents worker-#"))).to_be_visible()
    page.get_by_role("searchbox", name="Find an agent").fill("worker-142")
    expect(page.get_by_role("button", name=re.compile("^Agent worker-142"))).to_be_visible()

    page.goto(f"{server.url}/traces/{long.trace_id}?view=timeline")
    tree = page.get_by_role("tree", name="Spans")
    expect(tree.get_by_role("treeitem").first).to_be_visible()
    tree.press("End")
    expect(page.get_by_role("treeitem", selected=True)).to_be_visible()
    assert tree.evaluate("tree => tree.scrollTop") > 50_000


def test_a_phone_can_read_it(page: Page, server: RunningServer, team: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{server.url}/traces/{team}?view=sequence")

    page.get_by_role("button", name=re.compile("^critic to supervisor, answer")).click()

    expect(details(page).get_by_text("Do not publish before it is checked.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390


def test_spans_without_agents_or_messages_are_a_timeline(page: Page, server: RunningServer) -> None:
    run = Run("plain")
    root = run.span("GET /", 0, 20)
    run.span("SELECT", 2, 10, root)
    server.post(run.otlp())
    server.wait_analysed(run.trace_id)

    page.goto(f"{server.url}/traces/{run.trace_id}")

    expect(page.get_by_text("No agents in this trace")).to_be_visible()
    expect(page.get_by_text("No messages between agents")).to_be_visible()
    expect(page.get_by_role("treeitem", name=re.compile("^SELECT"))).to_be_visible()


@pytest.mark.parametrize("name", captures.TRACES)
def test_what_any_instrumentation_recorded_is_shown(
    page: Page, server: RunningServer, name: str
) -> None:
    trace_id = captures.load(name)[0].trace_id
    server.post(captures.body(name))
    server.wait_analysed(trace_id)

    page.goto(f"{server.url}/traces/{trace_id}")

    expect(page.get_by_role("treeitem").first).to_be_visible()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("(no name)")
