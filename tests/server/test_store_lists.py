"""Lists of traces: filters, order, pages, free text, figures."""

from typing import get_args

import pytest

from agenttrace.accounting import used
from agenttrace.errors import TraceNotFound
from agenttrace.models import Agent, FailureAnnotation, Message, Scope, SpanEvent
from agenttrace_server.store import Analysis, Claimed, SortKey, Store, TraceFilter, TraceQuery
from support.stored import SECOND, START_NS, llm, span, trace_id


def found(store: Store, **query: object) -> list[int]:
    """The numbers of the traces a query finds, in its order."""
    page = store.traces(TraceQuery(**query))  # type: ignore[arg-type]
    assert page.total >= len(page.items)
    return [int(item.trace_id, 16) for item in page.items]


def analysed(store: Store, trace: int, **found: object) -> None:
    summary = store.summary(trace_id(trace))
    whole = store.trace(trace_id(trace))
    assert summary is not None
    assert whole is not None
    analysis = Analysis(**found, used=used(whole))  # type: ignore[arg-type]
    store.save(Claimed(trace_id(trace), summary.version), analysis)


def message(trace: int, number: int, content: str, **fields: object) -> Message:
    fields = {"sender": "planner", "recipient": "coder"} | fields
    return Message(
        message_id=f"m{number}",
        trace_id=trace_id(trace),
        span_id="a",
        content=content,
        sent_at=number,
        **fields,  # type: ignore[arg-type]
    )


def failure(trace: int, name: str, **fields: object) -> FailureAnnotation:
    given = {"mode": "1.3", "category": "design", "subcategory": "repeat", "classifier": "rules"}
    return FailureAnnotation(
        annotation_id=f"{trace}/{name}",
        trace_id=trace_id(trace),
        **(given | fields),  # type: ignore[arg-type]
    )


@pytest.fixture
def shelf(store: Store) -> Store:
    """Five traces that differ in everything one can ask for."""
    services = {n: Scope("s", resource={"service.name": n}) for n in ("shop", "bank")}
    for number in range(1, 6):
        start = START_NS + number * 100 * SECOND
        scope = services["shop" if number % 2 else "bank"]
        store.write(
            [
                span(
                    1,
                    trace=number,
                    start_ns=start,
                    end_ns=start + (6 - number) * SECOND,
                    scope=scope,
                    framework="crewai" if number == 3 else "langgraph",
                    status="error" if number == 4 else "ok",
                ),
                *(
                    llm(
                        n,
                        1,
                        number * 10,
                        0,
                        trace=number,
                        start_ns=start,
                        end_ns=start,
                        scope=scope,
                    )
                    for n in range(2, 2 + number)
                ),
            ]
        )
    store.write([span(9, 8, trace=6, start_ns=START_NS)])
    analysed(store, 1, agents=(Agent("planner", trace_id(1)),))
    analysed(
        store,
        2,
        agents=(Agent("planner", trace_id(2)), Agent("coder", trace_id(2), "langgraph")),
        messages=(message(2, 1, "write it"), message(2, 2, "done")),
        failures=(failure(2, "a"), failure(2, "b", mode="3.1")),
    )
    return store


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [5, 4, 3, 2, 1, 6]),
        ({"descending": False}, [6, 1, 2, 3, 4, 5]),
        ({"service": "shop"}, [5, 3, 1, 6]),
        ({"service": "nothing"}, []),
        ({"framework": "crewai"}, [3]),
        ({"agent": "planner"}, [2, 1]),
        ({"agent": "coder", "service": "bank"}, [2]),
        ({"status": "error"}, [4]),
        ({"status": "running"}, [6]),
        ({"status": "ok", "framework": "langgraph"}, [5, 2, 1]),
        ({"failure": "1.3"}, [2]),
        ({"failure": "design"}, [2]),
        ({"failure": "repeat"}, [2]),
        ({"failure": "9.9"}, []),
        ({"since_ns": START_NS + 300 * SECOND}, [5, 4, 3]),
        ({"until_ns": START_NS + 300 * SECOND}, [2, 1, 6]),
        ({"sort": "duration"}, [1, 2, 3, 4, 5, 6]),
        ({"sort": "spans"}, [5, 4, 3, 2, 1, 6]),
        ({"sort": "messages", "limit": 1}, [2]),
        ({"sort": "failures", "limit": 1}, [2]),
        ({"sort": "tokens", "descending": False}, [6, 1, 2, 3, 4, 5]),
        ({"sort": "cost"}, [5, 4, 3, 2, 1, 6]),
        ({"offset": 2, "limit": 2}, [3, 2]),
        ({"offset": 100}, []),
        ({"limit": 0}, []),
    ],
)
def test_a_query_finds(shelf: Store, query: dict, expected: list[int]) -> None:
    assert found(shelf, **query) == expected


def test_a_page_says_how_many_there_are_in_all(shelf: Store) -> None:
    page = shelf.traces(TraceQuery(offset=1, limit=2, service="shop"))

    assert (page.total, page.offset, page.limit, len(page.items)) == (4, 1, 2, 2)


def test_pages_of_equal_traces_show_each_once(store: Store) -> None:
    store.write([span(1, trace=number) for number in range(1, 26)])

    for sort in ("start", "duration", "tokens"):
        pages = [found(store, sort=sort, offset=n, limit=7) for n in range(0, 28, 7)]
        assert sorted(number for page in pages for number in page) == list(range(1, 26))


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", get_args(SortKey))
def test_a_page_begins_behind_the_trace_that_ended_the_one_before(
    store: Store, sort: SortKey, descending: bool
) -> None:
    store.write([llm(1, None, trace=number, tokens_in=number % 3) for number in range(1, 26)])
    query = {"sort": sort, "descending": descending, "limit": 7}
    pages = [found(store, **query)]
    while len(pages[-1]) == 7:
        pages.append(found(store, **query, after=trace_id(pages[-1][-1])))

    assert [number for page in pages for number in page] == found(
        store, sort=sort, descending=descending
    )
    assert store.traces(TraceQuery(after=trace_id(3))).total == 25
    with pytest.raises(TraceNotFound):
        store.traces(TraceQuery(after=trace_id(26)))


def test_a_trace_through_two_services_is_found_by_both(store: Store) -> None:
    store.write([span(1), span(2, 1, scope=Scope("s", resource={"service.name": "bank"}))])

    assert found(store, service="shop") == found(store, service="bank") == [1]
    assert store.summary(trace_id()).service_name == "shop"  # type: ignore[union-attr]


@pytest.fixture
def texts(store: Store) -> Store:
    """Traces with words in every place where words are looked for."""
    said = SpanEvent("agenttrace.message", 1, {"agenttrace.message.content": "kumquat harvest"})
    store.write([span(1, trace=1, name="Weather lookup"), span(2, 1, trace=1, input="in Zürich")])
    store.write([span(1, trace=2, output='{"title": "The quick-brown fox", "n": 42}')])
    store.write([span(1, trace=3, input="深い研究について 調べる", agent="Forscher")])
    store.write([span(1, trace=4, events=(said,), tool="calculator", kind="tool")])
    store.write([span(1, trace=5, input="100% of \"it\" OR (NOT that) * AND 'x'; DROP TABLE")])
    analysed(store, 2, messages=(message(2, 1, "Ask the oracle"),))
    return store


QUESTIONS = [
    ("weather", [1]),
    ("WEATHER lookup", [1]),
    ("weath", [1]),
    ("lookup weather", [1]),
    ('"weather lookup"', [1]),
    ('"lookup weather"', []),
    ("zurich", [1]),
    ("Zürich weather", [1]),
    ("quick-brown", [2]),
    ("title", [2]),
    ("42", [2]),
    ("oracle fox", [2]),
    ("oracle weather", []),
    ("研究", [3]),
    ("深い", [3]),
    ("究研", []),
    ("forscher", [3]),
    ("kumquat", [4]),
    ("calc", [4]),
    ("OR", [5, 2]),
    ("NOT that", [5]),
    ("it AND drop", [5]),
    ("'x'; DROP TABLE", [5]),
    ("100%", [5]),
    ("nowhere", []),
    ("!!! ***", []),
    ('"', []),
    ("   ", [5, 4, 3, 2, 1]),
]


@pytest.mark.parametrize("indexed", [False, True], ids=["fresh", "indexed"])
def test_free_text_is_found_in_names_inputs_outputs_and_messages(
    texts: Store, indexed: bool
) -> None:
    if indexed:
        texts.claim(100, 0)

    answers = {q: sorted(found(texts, q=q), reverse=True) for q, _ in QUESTIONS}
    assert answers == dict(QUESTIONS)


def test_a_trace_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    store.write([span(1, trace=0xABCDEF0123456789ABCDEF0123456789)])

    assert store.traces(TraceQuery(q="abcdef01")).total == 1
    assert store.traces(TraceQuery(q="ABCDEF0123456789ABCDEF0123456789")).total == 1
    assert store.traces(TraceQuery(q="bcdef012")).total == 0


def test_deleted_words_are_not_found(texts: Store) -> None:
    texts.claim(100, 0)
    for number in range(1, 6):
        texts.delete(trace_id(number))
    texts.write([span(1, trace=9, name="other")])
    texts.claim(100, 0)

    assert [q for q, _ in QUESTIONS if q.strip() and found(texts, q=q)] == []
    assert found(texts, q="other") == [9]


def test_words_of_a_replaced_span_or_message_are_not_found(store: Store) -> None:
    store.write([span(1, name="apple", end_ns=START_NS)])
    analysed(store, 1, messages=(message(1, 1, "plum"), message(1, 2, "fig")))
    store.claim(100, 0)
    store.write([span(1, name="pear")])
    analysed(store, 1, messages=(message(1, 1, "cherry"), message(1, 2, "fig")))
    store.claim(100, 0)

    answers = {word: found(store, q=word) for word in ("apple", "pear", "plum", "cherry", "fig")}
    assert answers == {"apple": [], "pear": [1], "plum": [], "cherry": [1], "fig": [1]}


def test_a_search_sees_more_than_it_can_look_through_unindexed(store: Store) -> None:
    spans = [span(n, 1, name=f"filler {n}") for n in range(2, 6002)]
    store.write([span(1, name="needle"), *spans])

    assert found(store, q="needle") == [1]
    assert found(store, q="filler 6001") == [1]


def test_figures_add_up_the_traces_of_a_time(shelf: Store) -> None:
    stats = shelf.stats()

    assert (stats["traces"], stats["errors"], stats["running"]) == (6, 1, 1)
    assert stats["spans"] == 5 + 15 + 1
    assert stats["tokens_in"] == 10 + 40 + 90 + 160 + 250
    assert stats["cost_usd"] == pytest.approx(15 * 0.25)
    assert (stats["messages"], stats["failures"]) == (2, 2)
    assert sum(point["traces"] for point in stats["over_time"]) == 6
    assert [p["start_ns"] for p in stats["over_time"]] == sorted(
        p["start_ns"] for p in stats["over_time"]
    )
    assert {a["agent"]: a["traces"] for a in stats["agents"]} == {"planner": 2, "coder": 1}
    assert {f["framework"]: f["traces"] for f in stats["frameworks"]} == {
        "langgraph": 4,
        "crewai": 1,
    }
    assert [(m["model"], m["calls"], m["tokens_in"]) for m in stats["models"]] == [
        ("gpt-4o", 3, 50)
    ]
    assert {(f["mode"], f["count"]) for f in stats["failure_modes"]} == {("1.3", 1), ("3.1", 1)}
    # Durations, roots only: 5, 4, 3, 2, 1 seconds.
    assert stats["latency_ms"]["p50"] == 3000
    assert stats["latency_ms"]["max"] == 5000

    later = shelf.stats(
        TraceFilter(since_ns=START_NS + 400 * SECOND, until_ns=START_NS + 500 * SECOND)
    )
    assert (later["traces"], later["errors"]) == (1, 1)


def test_figures_can_be_of_the_traces_that_a_list_shows(shelf: Store) -> None:
    for wanted in (
        {"agent": "planner"},
        {"framework": "langgraph", "status": "ok"},
        {"failure": "1.3"},
        {"service": "nobody"},
    ):
        listed = shelf.traces(TraceQuery(**wanted)).total
        stats = shelf.stats(TraceFilter(**wanted))

        assert stats["traces"] == sum(p["traces"] for p in stats["over_time"]) == listed, wanted
    assert shelf.stats(TraceFilter(agent="coder"))["failures_by_agent"] == [
        share for share in shelf.stats()["failures_by_agent"] if share["name"] == "coder"
    ]


def test_the_agent_that_is_asked_for_is_never_cut_off(store: Store) -> None:
    store.write([span(1)])
    names = [f"agent-{number:03}" for number in range(120)]
    agents = tuple(Agent(name, trace_id(1)) for name in names)
    analysed(store, 1, agents=agents, failures=tuple(failure(1, n, agent=n) for n in names))

    stats = store.stats(TraceFilter(agent="agent-119"))

    assert len(stats["agents"]) == len(stats["failures_by_agent"]) == 100
    assert stats["agents"][0]["agent"] == "agent-119"
    assert stats["failures_by_agent"][0]["name"] == "agent-119"


def test_figures_of_nothing_are_zero(store: Store) -> None:
    stats = store.stats()

    assert stats["traces"] == stats["spans"] == stats["tokens_in"] == 0
    assert stats["latency_ms"]["p50"] is None
    assert stats["over_time"] == stats["agents"] == stats["models"] == []
