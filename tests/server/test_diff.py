"""Two runs compared by their messages."""

import itertools
import json
import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from agenttrace.messages import content_hash
from agenttrace.models import FailureAnnotation, Message, Span, Trace
from agenttrace_server.diff import Run, compare, told
from agenttrace_server.diff.align import align
from agenttrace_server.diff.subsequence import common_subsequence
from agenttrace_server.diff.words import similarity, word_diff

texts = st.lists(st.sampled_from(["yes", "no", "the", "press", "release", "\n"]), max_size=12).map(
    " ".join
)


def message(sender: str, recipient: str, content: str, at: int = 0) -> Message:
    return Message(
        message_id=f"{sender}{recipient}{content}{at}",
        trace_id="t",
        span_id="s",
        sender=sender,
        recipient=recipient,
        content=content,
        content_hash=content_hash(content),
        sent_at=at,
    )


def run(*said: tuple[str, str, str], **fields: object) -> Run:
    messages = tuple(message(*one, at=place) for place, one in enumerate(said))
    root = Span("t", "s", "run", 0, 1000, kind="workflow", output=said[-1][2] if said else None)
    given = {"spans": (root,), "messages": messages}
    return Run(Trace("t", **(given | fields)))  # type: ignore[arg-type]


messages = st.builds(
    message, st.sampled_from("ab"), st.sampled_from("ab"), texts, st.integers(0, 9)
)


@given(st.text("abc", max_size=30), st.text("abc", max_size=30))
def test_the_subsequence_is_common_and_as_long_as_the_textbooks(left: str, right: str) -> None:
    found = common_subsequence(left, right)

    assert all(left[i] == right[j] for i, j in found)
    assert found == sorted(set(found))
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(found))
    assert len(found) == textbook_length(left, right)


def textbook_length(left: str, right: str) -> int:
    row = [0] * (len(right) + 1)
    for a in left:
        new = [0]
        for place, b in enumerate(right):
            new.append(row[place] + 1 if a == b else max(row[place + 1], new[-1]))
        row = new
    return row[-1]


@given(texts, texts)
def test_the_pieces_of_a_word_diff_make_both_texts(left: str, right: str) -> None:
    pieces = word_diff(left, right)

    assert "".join(p.text for p in pieces if p.op != "added") == left
    assert "".join(p.text for p in pieces if p.op != "removed") == right
    assert all(a.op != b.op for a, b in itertools.pairwise(pieces))
    assert 0 <= similarity(left, right) == similarity(right, left) <= 1


@given(st.lists(messages, max_size=12), st.lists(messages, max_size=12))
@settings(deadline=None)
def test_every_message_has_one_place_and_pairs_are_of_the_same_agents(
    left: Sequence[Message], right: Sequence[Message]
) -> None:
    pairs = align(left, right)

    assert [i for i, _ in pairs if i is not None] == list(range(len(left)))
    assert [j for _, j in pairs if j is not None] == list(range(len(right)))
    for i, j in pairs:
        if i is not None and j is not None:
            assert (left[i].sender, left[i].recipient) == (right[j].sender, right[j].recipient)


def test_a_run_is_the_same_as_itself() -> None:
    one = run(("user", "a", "go"), ("a", "b", "do it"), ("b", "a", "done"))

    diff = compare(one, one)

    assert diff.same
    assert diff.first_divergence is None
    assert diff.counts == {"same": 3}
    assert diff.outputs.same


def test_what_an_agent_said_instead_stands_beside_it_word_by_word() -> None:
    left = run(("user", "a", "go"), ("a", "b", "check the press release"), ("b", "a", "fine"))
    right = run(
        ("user", "a", "go"),
        ("a", "b", "check the audited accounts"),
        ("b", "c", "help"),
        ("b", "a", "fine"),
    )

    diff = compare(left, right)

    assert [row.change for row in diff.rows] == ["same", "changed", "added", "same"]
    assert diff.first_divergence == 1
    changed = diff.rows[1]
    assert changed.words is not None
    assert [(p.op, p.text) for p in changed.words] == [
        ("same", "check the "),
        ("removed", "press release"),
        ("added", "audited accounts"),
    ]
    assert 0 < changed.similarity < 1


def test_of_several_ways_to_pair_the_most_alike_is_taken() -> None:
    left = run(("a", "b", "first thing"), ("a", "b", "a long tale of the second thing"))
    right = run(("a", "b", "a long tale of the third thing"))

    diff = compare(left, right)

    assert [row.change for row in diff.rows] == ["removed", "changed"]


def test_what_was_before_the_checkpoint_is_restored_not_lost() -> None:
    left = run(("user", "a", "go"), ("a", "b", "do it"), ("b", "a", "done"))
    right = run(("b", "a", "done"))

    diff = compare(left, right, since_ns=2)

    assert [row.change for row in diff.rows] == ["restored", "restored", "same"]
    assert diff.same
    assert diff.left.messages == 1


def test_failures_that_came_and_went_are_told_and_rejected_ones_are_not() -> None:
    def failure(mode: str, agent: str, review: str = "proposed") -> FailureAnnotation:
        return FailureAnnotation(
            annotation_id=mode + agent,
            trace_id="t",
            mode=mode,
            category="c",
            subcategory=mode,
            classifier="x",
            agent=agent,
            review=review,  # type: ignore[arg-type]
        )

    left = Run(Trace("t"), (failure("1.3", "a"), failure("1.3", "a"), failure("2.5", "b")))
    right = Run(
        Trace("u"), (failure("1.3", "a"), failure("3.3", "b"), failure("9", "b", "rejected"))
    )

    diff = compare(left, right)

    assert [f.mode for f in diff.failures_lost] == ["1.3", "2.5"]
    assert [f.mode for f in diff.failures_gained] == ["3.3"]


def failure(mode: str, span_id: str, message_id: str | None = None) -> FailureAnnotation:
    return FailureAnnotation(
        annotation_id=mode,
        trace_id="t",
        span_id=span_id,
        message_id=message_id,
        mode=mode,
        category="c",
        subcategory=mode,
        classifier="x",
    )


def test_what_failed_before_the_checkpoint_is_not_gone() -> None:
    def times(said: str) -> Run:
        spans = (Span("t", "early", "a", 0, 5), Span("t", "late", "b", 10, 15))
        messages = (message("a", "b", said, at=12),)
        return Run(
            Trace("t", spans=spans, messages=messages),
            (failure("early", "early"), failure("late", "late")),
        )

    other = Run(Trace("u", messages=(message("a", "b", "no", at=20),)))

    parted = compare(times("yes"), other, since_ns=8)
    repeated = compare(times("no"), other, since_ns=8)

    assert [f.mode for f in parted.failures_lost] == ["late"]
    assert repeated.failures_lost == ()


def test_a_failure_is_as_late_as_its_message_however_early_its_span_began() -> None:
    left = run(("a", "b", "go"), ("b", "a", "no"))
    asked, answered = left.trace.messages
    failures = (
        failure("early", "s", asked.message_id),
        failure("late", "s", answered.message_id),
    )

    diff = compare(Run(left.trace, failures), run(("b", "a", "yes")), since_ns=1)

    assert [f.mode for f in diff.failures_lost] == ["late"]


def test_calls_tokens_and_cost_are_counted_on_both_sides_from_where_they_are_compared() -> None:
    spans = tuple(
        Span("t", f"s{n}", "call", n, n + 1, kind="llm", tokens_in=10, tokens_out=n, cost_usd=0.5)
        for n in (1, 5, 9)
    )
    left, right = Run(Trace("t", spans)), Run(Trace("u", spans[:1]))

    diff = compare(left, right, since_ns=5)

    assert (diff.left.llm_calls, diff.left.tokens_out, diff.left.cost_usd) == (2, 14, 1.0)
    assert (diff.right.llm_calls, diff.right.tokens_in, diff.right.cost_usd) == (1, 10, 0.5)
    assert compare(left, left).left.cost_usd == 1.5


def test_runs_without_anything_can_be_compared() -> None:
    nothing = Run(Trace("t"))

    assert compare(nothing, nothing).same
    assert compare(nothing, run(("a", "b", "x"))).counts == {"added": 1}


def test_thousands_of_messages_that_all_differ_are_still_paired() -> None:
    chance = random.Random(1)
    names = ["planner", "coder", "critic", "tester"]

    def long_run(salt: str) -> Run:
        return run(
            *((chance.choice(names), chance.choice(names), f"{salt} {n}") for n in range(1500))
        )

    diff = compare(long_run("x"), long_run("y"))

    assert diff.counts["changed"] > 300
    assert sum(row.words is not None for row in diff.rows) <= 500


def test_a_conversation_comes_to_its_last_message_whatever_its_ids() -> None:
    def state(said: str, ids: str, **more: str) -> str:
        messages = [
            {"role": "user", "content": "go", "id": f"{ids}0"},
            {"role": "assistant", "content": said, "id": f"{ids}1"},
        ]
        return json.dumps({"messages": messages, **more})

    assert told(state("done", "a")) == told(state("done", "b")) == "done"
    assert told(state("done", "a", draft="x")) == 'done\n\n{"draft":"x"}'
    assert told('[{"role": "assistant", "content": "hi"}]') == "hi"
    assert [told(text) for text in (None, "plain", "[1, 2]", '{"messages": 3}')] == [
        None, "plain", "[1, 2]", '{"messages": 3}',
    ]  # fmt: skip
