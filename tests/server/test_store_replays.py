"""Replays are given to one worker at a time and end once, whatever dies."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from agenttrace import semconv
from agenttrace.errors import ReplayLost, ReplayNotFound
from agenttrace.jobs import Counts, Finish, Target
from agenttrace.models import Checkpoint, Message
from agenttrace_server.store import Analysis, Claimed, Store, sql_replays
from agenttrace_server.store.replays import Experiment, NewReplay, ReplayQuery, Worker
from support.stored import opened, span, span_id, trace_id

BOT = Target("bot", "langgraph")
NONE = Counts()


def new(**fields: object) -> NewReplay:
    given = {"checkpoint_id": "c", "source_trace_id": trace_id(), "framework": "langgraph"}
    return NewReplay(**(given | fields))  # type: ignore[arg-type]


def ended(worker: str, attempt: int = 1, **fields: object) -> Finish:
    return Finish(worker_id=worker, attempt=attempt, **({"status": "succeeded"} | fields))  # type: ignore[arg-type]


@pytest.fixture
def impatient(store: Store) -> None:
    """Claims run out at once."""
    store.replays.lease_seconds = -1.0


def test_a_replay_comes_back_as_it_was_added(store: Store) -> None:
    wish = new(
        target="bot",
        mode="live",
        edits=({"path": "a/b", "value": {"x": [1, None, "é\0"]}},),
        live_tools="all",
        timeout_seconds=5.0,
        label="what if",
        experiment_id="e",
        place=3,
    )

    (made,) = store.replays.add([wish])

    found = store.replays.get(made.replay_id)
    assert found == made
    for name in NewReplay.__struct_fields__:
        assert getattr(found, name) == getattr(wish, name)
    assert store.replays.get("nobody") is None


def test_a_job_goes_from_queue_to_worker_to_its_end(store: Store) -> None:
    (made,) = store.replays.add([new()])

    given = store.replays.claim("w1", [BOT])
    assert given is not None
    assert (given.status, given.target, given.attempt) == ("claimed", "bot", 1)
    assert store.replays.claim("w2", [BOT]) is None
    assert not store.replays.beat(made.replay_id, "w1", 1, Counts(1, 2, 3), trace_id(9))
    running = store.replays.get(made.replay_id)
    assert running is not None
    assert (running.status, running.counts, running.trace_id) == (
        "running",
        Counts(1, 2, 3),
        trace_id(9),
    )
    done = store.replays.finish(made.replay_id, ended("w1", output="yes\0", counts=Counts(1, 2, 4)))

    assert (done.status, done.output, done.counts) == ("succeeded", "yes\ufffd", Counts(1, 2, 4))
    assert done.trace_id == trace_id(9)
    assert done.ended_ns is not None


def test_an_end_that_is_said_twice_happens_once(store: Store) -> None:
    (made,) = store.replays.add([new()])
    store.replays.claim("w1", [BOT])

    first = store.replays.finish(made.replay_id, ended("w1", output="first"))
    again = store.replays.finish(made.replay_id, ended("w1", output="second"))

    assert again == first
    with pytest.raises(ReplayLost):
        store.replays.finish(made.replay_id, ended("w2"))
    with pytest.raises(ReplayNotFound):
        store.replays.finish("nobody", ended("w1"))


def test_a_worker_is_given_only_what_it_can_run(store: Store) -> None:
    named, crew, any_graph = store.replays.add(
        [new(target="other"), new(framework="crewai"), new()]
    )
    two = [BOT, Target("other", "langgraph")]

    given = [store.replays.claim("w", targets) for targets in ([], two, two, [BOT])]
    ids = [None if one is None else one.replay_id for one in given]

    # With two graphs, nobody can tell which one a job without a target means.
    assert ids == [None, named.replay_id, None, any_graph.replay_id]
    crewed = store.replays.claim("w", [Target("crew", "crewai")])
    assert crewed is not None
    assert crewed.replay_id == crew.replay_id


def test_many_workers_at_once_get_different_jobs(store: Store) -> None:
    made = {one.replay_id for one in store.replays.add([new() for _ in range(24)])}

    def work(number: int) -> list[str]:
        got = []
        while (job := store.replays.claim(f"w{number}", [BOT])) is not None:
            got.append(job.replay_id)
        return got

    with ThreadPoolExecutor(6) as pool:
        given = [one for got in pool.map(work, range(6)) for one in got]

    assert len(given) == len(made)
    assert set(given) == made


def test_jobs_are_given_in_the_order_they_came(store: Store) -> None:
    made = store.replays.add([new(label=str(n)) for n in range(5)])

    given = [store.replays.claim("w", [BOT]) for _ in made]

    assert [one.label for one in given if one] == ["0", "1", "2", "3", "4"]


@pytest.mark.usefixtures("impatient")
def test_the_job_of_a_silent_worker_is_given_out_once_more_and_then_fails(store: Store) -> None:
    store.replays.seen(Worker("w2", "laptop", (BOT,)))
    (made,) = store.replays.add([new()])

    store.replays.claim("w1", [BOT])
    assert store.replays.settle() == 1
    assert store.replays.settle() == 0
    again = store.replays.claim("w2", [BOT])
    assert again is not None
    assert again.attempt == 2
    store.replays.settle()

    found = store.replays.get(made.replay_id)
    assert found is not None
    assert found.status == "failed"
    assert "2 workers died" in (found.error or "")
    assert "Worker laptop" in (found.error or "")


@pytest.mark.usefixtures("impatient")
def test_a_job_whose_tools_may_have_run_live_is_never_run_again(store: Store) -> None:
    (made,) = store.replays.add([new(live_tools=("send_mail",))])
    store.replays.claim("w1", [BOT])
    store.replays.beat(made.replay_id, "w1", 1, NONE, None)

    store.replays.settle()

    found = store.replays.get(made.replay_id)
    assert found is not None
    assert found.status == "failed"
    assert "may have run live" in (found.error or "")


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_was_only_slow_goes_on_if_nobody_else_has_the_job(store: Store) -> None:
    (made,) = store.replays.add([new()])
    store.replays.claim("w1", [BOT])
    store.replays.settle()

    assert not store.replays.beat(made.replay_id, "w1", 1, NONE, None)
    store.replays.settle()

    assert store.replays.finish(made.replay_id, ended("w1")).status == "succeeded"
    assert store.replays.claim("w2", [BOT]) is None


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_lost_its_job_to_another_must_give_up(store: Store) -> None:
    (made,) = store.replays.add([new()])
    store.replays.claim("w1", [BOT])
    store.replays.settle()
    store.replays.claim("w2", [BOT])

    assert store.replays.beat(made.replay_id, "w1", 1, NONE, None)
    with pytest.raises(ReplayLost):
        store.replays.finish(made.replay_id, ended("w1"))
    assert store.replays.finish(made.replay_id, ended("w2", 2)).status == "succeeded"


def recorded_root(store: Store, replay_id: str, error: str | None) -> None:
    """The whole trace of a replay arrives, the root last."""
    stamp = {
        semconv.AGENTTRACE_REPLAY_ID: replay_id,
        semconv.AGENTTRACE_REPLAY_SOURCE_TRACE_ID: trace_id(1),
    }
    store.write([span(2, 1, trace=5, attributes=stamp)])
    status = "error" if error else "ok"
    store.write([span(1, trace=5, attributes=stamp, output="42", error=error, status=status)])


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("root_error", "status"),
    [
        (None, "succeeded"),
        ("E: no", "failed"),
        ("agenttrace.errors.ReplayStopped: no recording", "stopped"),
    ],
)
def test_a_replay_whose_whole_trace_is_there_has_ended_though_its_worker_died(
    store: Store, root_error: str | None, status: str
) -> None:
    (made,) = store.replays.add([new()])
    store.replays.claim("w1", [BOT])
    recorded_root(store, made.replay_id, root_error)

    store.replays.settle()

    found = store.replays.get(made.replay_id)
    assert found is not None
    assert (found.status, found.output, found.trace_id, found.error) == (
        status,
        "42",
        trace_id(5),
        root_error,
    )


@pytest.mark.usefixtures("impatient")
def test_a_replay_that_was_given_up_because_its_worker_died_is_run_again(store: Store) -> None:
    (made,) = store.replays.add([new()])
    store.replays.claim("w1", [BOT])
    recorded_root(store, made.replay_id, "agenttrace.errors.ReplayCancelled: r was cancelled")

    store.replays.settle()

    given = store.replays.claim("w2", [BOT])
    assert given is not None
    assert (given.replay_id, given.attempt) == (made.replay_id, 2)


def test_cancelling_ends_what_waits_and_tells_the_worker_of_what_runs(store: Store) -> None:
    running, waiting = store.replays.add([new(), new()])
    store.replays.claim("w", [BOT])

    assert store.replays.cancel(waiting.replay_id).status == "cancelled"
    assert store.replays.cancel(waiting.replay_id).status == "cancelled"
    assert store.replays.claim("w", [BOT]) is None
    assert store.replays.cancel(running.replay_id).cancel
    assert store.replays.beat(running.replay_id, "w", 1, NONE, None)
    done = store.replays.finish(running.replay_id, ended("w", status="cancelled"))

    assert done.status == "cancelled"
    with pytest.raises(ReplayNotFound):
        store.replays.cancel("nobody")


@pytest.mark.usefixtures("impatient")
def test_a_cancelled_job_of_a_dead_worker_is_cancelled(store: Store) -> None:
    (made,) = store.replays.add([new()])
    store.replays.claim("w", [BOT])
    store.replays.cancel(made.replay_id)

    store.replays.settle()

    found = store.replays.get(made.replay_id)
    assert found is not None
    assert found.status == "cancelled"


def test_workers_are_there_until_they_leave_or_fall_silent(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.replays.seen(Worker("w1", "laptop", (BOT,)))
    store.replays.seen(Worker("w2", "box", ()))
    store.replays.seen(Worker("w2", "box", (BOT, Target("crew", "crewai"))))

    assert [(w.name, len(w.targets)) for w in store.replays.workers()] == [
        ("box", 2),
        ("laptop", 1),
    ]
    store.replays.gone("w2")
    assert [w.name for w in store.replays.workers()] == ["laptop"]
    monkeypatch.setattr(sql_replays, "CONNECTED_SECONDS", -1.0)
    assert store.replays.workers() == []


def test_what_a_leaving_worker_held_is_taken_back_at_once(store: Store) -> None:
    (made,) = store.replays.add([new()])
    store.replays.seen(Worker("w1", "laptop", (BOT,)))
    store.replays.claim("w1", [BOT])

    store.replays.gone("w1")

    again = store.replays.claim("w2", [BOT])
    assert again is not None
    assert again.replay_id == made.replay_id


def test_every_change_is_told_in_order(store: Store) -> None:
    start = store.cursor()
    one, other = store.replays.add([new(), new()])
    store.replays.claim("w", [BOT])
    store.replays.beat(one.replay_id, "w", 1, Counts(0, 1, 0), None)
    seen = store.replays.changes(start)

    assert [c.replay_id for c in seen] == [other.replay_id, one.replay_id]
    store.replays.beat(one.replay_id, "w", 1, Counts(0, 1, 0), None)
    assert store.replays.changes(seen[-1].cursor) == []
    store.replays.finish(one.replay_id, ended("w"))
    assert [c.status for c in store.replays.changes(seen[-1].cursor)] == ["succeeded"]


def test_replays_are_listed_newest_first_by_what_is_asked(store: Store) -> None:
    made = store.replays.add(
        [new(), new(experiment_id="e"), new(source_trace_id=trace_id(2), checkpoint_id="d")]
    )
    store.replays.cancel(made[0].replay_id)
    places = {one.replay_id: place for place, one in enumerate(made)}

    def listed(**asked: object) -> list[int]:
        found, total = store.replays.page(ReplayQuery(**asked))  # type: ignore[arg-type]
        assert total >= len(found)
        return [places[one.replay_id] for one in found]

    assert listed() == [2, 1, 0]
    assert listed(limit=1, offset=1) == [1]
    assert listed(status="cancelled") == [0]
    assert listed(trace=trace_id(2)) == [2]
    assert listed(checkpoint="d") == [2]
    assert listed(experiment="e") == [1]


def test_experiments_are_kept_until_their_trace_is_deleted(store: Store) -> None:
    store.write([span(1)])
    experiment = Experiment("e", "which prompt", "c", trace_id(), 5)
    store.replays.add_experiment(experiment)

    assert store.replays.experiment("e") == experiment
    assert store.replays.experiments(10, 0) == ([experiment], 1)
    store.delete(trace_id())
    assert store.replays.experiment("e") is None


def test_a_checkpoint_is_found_without_its_trace_and_before_a_message(store: Store) -> None:
    store.write([span(1), span(1, trace=2)])

    def checkpoint(name: str, at: int, **fields: object) -> Checkpoint:
        given = {"trace_id": trace_id(), "span_id": span_id(1), "framework": "langgraph"}
        return Checkpoint(checkpoint_id=name, created_at=at, state="{}", **(given | fields))  # type: ignore[arg-type]

    messages = tuple(
        Message(
            message_id=f"m{at}",
            trace_id=trace_id(),
            span_id=span_id(1),
            sender="a",
            recipient="b",
            sent_at=at,
        )
        for at in (5, 15, 35)
    )
    marks = (
        checkpoint("c10", 10),
        checkpoint("c20", 20),
        checkpoint("c30", 30, resumable=False, why_not="no"),
    )
    store.save(Claimed(trace_id(), 1), Analysis(checkpoints=marks, messages=messages))
    twin = checkpoint("c10", 99, trace_id=trace_id(2))
    store.save(Claimed(trace_id(2), 1), Analysis(checkpoints=(twin,)))

    assert store.replays.checkpoint("c10") == marks[0]
    assert store.replays.checkpoint("c10", trace_id(2)) == twin
    assert store.replays.checkpoint("nobody") is None
    assert store.replays.before("m5") == messages[0]
    assert store.replays.before("m15", trace_id()) == marks[0]
    assert store.replays.before("m35") == marks[1]
    assert store.replays.before("nobody") is None


def test_a_replay_of_a_replay_of_a_replay_keeps_its_family(store: Store) -> None:
    def replayed(number: int, source: int) -> None:
        stamp = {
            semconv.AGENTTRACE_REPLAY_ID: f"r{number}",
            semconv.AGENTTRACE_REPLAY_SOURCE_TRACE_ID: trace_id(source),
        }
        start = 1_700_000_000_000_000_000 + number * 10**9
        store.write([span(1, trace=number, attributes=stamp, start_ns=start)])

    store.write([span(1)])
    for number, source in ((2, 1), (3, 2), (4, 3), (5, 1)):
        replayed(number, source)
    store.write([span(1, trace=9)])

    for member in (1, 3, 5):
        family = store.replays.family(trace_id(member))
        assert [(one.trace_id, one.replay_of) for one in family] == [
            (trace_id(1), None),
            (trace_id(2), trace_id(1)),
            (trace_id(3), trace_id(2)),
            (trace_id(4), trace_id(3)),
            (trace_id(5), trace_id(1)),
        ]
    assert [one.replay_id for one in family] == [None, "r2", "r3", "r4", "r5"]
    store.delete(trace_id(2))
    assert [one.status for one in store.replays.family(trace_id(3))] == ["deleted", "ok", "ok"]


def test_two_processes_see_each_others_claims(database_url: str) -> None:
    with opened(database_url) as one, opened(database_url) as other:
        (made,) = one.replays.add([new()])
        given = other.replays.claim("w", [BOT])

        assert given is not None
        assert one.replays.claim("v", [BOT]) is None
        assert one.replays.finish(made.replay_id, ended("w")).status == "succeeded"
