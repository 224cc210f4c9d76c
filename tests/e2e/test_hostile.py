"""Whatever a trace says stays text."""

import json
import re

from playwright.sync_api import Page, expect

from support.runs import Run
from support.server import RunningServer

MARKUP = (
    '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
    '<svg onload="window.hacked=1"></svg><style>*{display:none}</style>'
)
MARKDOWN = (
    f"# {MARKUP}\n\n[click](javascript:window.hacked=1) [data](data:text/html,x)\n\n"
    "![pixel](http://tracker.invalid/p.png) <http://link.invalid/>\n\n"
    f"| {MARKUP} | b |\n|---|---|\n| {MARKUP} | c |\n\n```html\n{MARKUP}\n```\n"
)
WORDS = "\u202eright to left\u202c \u0000 \ufeff" + "x" * 5000


def hostile() -> Run:
    run = Run(f"hostile {MARKUP}", service=MARKUP)
    root = run.span(MARKUP, 0, 100, agenttrace__input=MARKDOWN, agenttrace__output=WORDS)
    agent = run.agent(MARKUP, 5, 90, root, agenttrace__agent__role=MARKUP)
    other = run.agent("../../../etc/passwd?x=1&y=%2F#z", 20, 60, agent)
    call = run.llm(21, 40, other, MARKDOWN, MARKUP)
    run.tool(
        MARKUP,
        41,
        50,
        other,
        gen_ai__tool__call__arguments=f'{{"{MARKUP[5:20]}": 1}}',
        error=MARKUP,
    )
    run.says(agent, 15, MARKUP, "../../../etc/passwd?x=1&y=%2F#z", MARKDOWN)
    run.says(
        other,
        58,
        "../../../etc/passwd?x=1&y=%2F#z",
        MARKUP,
        json.dumps([{"role": "user", "content": WORDS}]),
        "result",
    )
    run.says(
        call, 59, "__proto__", "constructor", "data:image/png;base64," + "A" * 2000, "broadcast"
    )
    return run


def test_hostile_traces_stay_text_in_every_view(page: Page, server: RunningServer) -> None:
    run = hostile()
    server.post(run.otlp())
    server.wait_analysed(run.trace_id)

    page.goto(f"{server.url}/traces")
    expect(page.get_by_role("link", name=re.compile("onerror"))).to_be_visible()
    for view in ("overview", "graph", "sequence", "timeline", "transcript", "failures"):
        page.goto(f"{server.url}/traces/{run.trace_id}?view={view}")
        expect(page.get_by_role("heading", level=1)).to_contain_text("<script>")
        assert inert(page)
    for span in run.spans:
        page.goto(f"{server.url}/traces/{run.trace_id}?span={span['spanId']}")
        region = page.get_by_role("region", name="Details", exact=True)
        expect(region.get_by_role("heading", level=3).first).to_be_visible()
        assert inert(page)
    for message in server.get(f"/api/traces/{run.trace_id}/messages")["items"]:
        page.goto(f"{server.url}/traces/{run.trace_id}?message={message['message_id']}")
        expect(page.get_by_role("region", name="Content")).to_be_visible()
        assert inert(page)
    page.goto(f"{server.url}/agents")
    expect(page.get_by_role("cell").first).to_be_visible()
    assert inert(page)


def inert(page: Page) -> bool:
    """Whether nothing of the trace became an element or ran."""
    return bool(
        page.evaluate(
            """() => !window.hacked
                && !document.querySelector('main :is(img, script, style, iframe, object)')
                && ![...document.querySelectorAll('main a')]
                    .some(link => /^(javascript|data):/i.test(link.href))"""
        )
    )


def test_the_page_comes_with_a_policy_and_without_sniffing(server: RunningServer) -> None:
    answer = server.client.get("/traces/anything", headers={"accept": "text/html"})

    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
