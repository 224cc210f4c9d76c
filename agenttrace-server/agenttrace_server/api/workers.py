"""What workers and the server tell each other; the shapes are those of `agenttrace.jobs`."""

import time
from typing import Annotated, Any

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from agenttrace import jobs
from agenttrace_server.api import replays
from agenttrace_server.api.asked import StoreOf, clean_id, problems
from agenttrace_server.api.replay_models import Name, Orders, Replay, Worker, Workers
from agenttrace_server.api.times import rfc3339
from agenttrace_server.replay import bell
from agenttrace_server.replay.handing import job_of
from agenttrace_server.store import Store
from agenttrace_server.store.replays import Worker as Seen

router = APIRouter(tags=["workers"])

LOOK_SECONDS = 1.0
"""A worker that waits looks this often for jobs that another server was given."""

WorkerId = Annotated[str, Path(max_length=100)]


class Target(BaseModel):
    """What a worker can run again; `framework` is empty where it cannot tell."""

    name: Name
    framework: Name = ""


class Claim(BaseModel):
    """A worker asks for a job, and waits up to `wait_seconds` for one."""

    worker_id: str = Field(min_length=1, max_length=100)
    name: Name = ""
    targets: list[Target] = Field([], max_length=1000)
    wait_seconds: float = Field(0.0, ge=0, le=60)


class TierCounts(BaseModel):
    """How many calls were restored, answered from the record, and run live so far."""

    restored: int = 0
    recorded: int = 0
    live: int = 0


class Heartbeat(BaseModel):
    """A worker is alive and this far with its job."""

    replay_id: str = Field(max_length=100)
    attempt: int
    counts: TierCounts = TierCounts()
    trace_id: str | None = Field(None, max_length=100)


class Finish(BaseModel):
    """How a worker's job ended."""

    worker_id: str = Field(max_length=100)
    attempt: int
    status: jobs.Outcome
    error: str | None = None
    trace_id: str | None = Field(None, max_length=100)
    output: str | None = None
    counts: TierCounts = TierCounts()


class Job(BaseModel):
    """A replay to run, with all it needs."""

    replay_id: str
    attempt: int
    target: str
    checkpoint: dict[str, Any]
    edits: list[dict[str, Any]]
    mode: jobs.Mode
    live_tools: list[str] | str
    recording: dict[str, Any]
    source_trace_id: str
    timeout_seconds: float
    lease_seconds: float


@router.post(
    "/workers/claim",
    operation_id="claimJob",
    response_class=Response,
    responses={200: {"model": Job}, 204: {"description": "There is no job"}, **problems()},
)
async def claim_job(request: Request, store: StoreOf, claim: Claim) -> Response:
    """Give the oldest replay that a worker can run to it; wait for one if there is none yet.

    The claim is a lease: it ends unless the worker sends heartbeats.
    """
    targets = tuple(jobs.Target(t.name, t.framework) for t in claim.targets)
    await anyio.to_thread.run_sync(store.replays.seen, Seen(claim.worker_id, claim.name, targets))
    until = time.monotonic() + claim.wait_seconds
    with request.app.state.bell.listening() as rung:
        while not await request.is_disconnected():
            job = await anyio.to_thread.run_sync(_claim, request, store, claim.worker_id, targets)
            if job is not None:
                return Response(job, media_type="application/json")
            left = until - time.monotonic()
            if left <= 0 or request.app.state.bell.closed:
                return Response(status_code=204)
            await bell.heard(rung, min(left, LOOK_SECONDS))
            rung.clear()
    # It went away while it waited: it is no longer there, and gets no job.
    await anyio.to_thread.run_sync(store.replays.gone, claim.worker_id)
    return Response(status_code=204)


@router.post("/workers/{worker_id}/heartbeat", operation_id="beat", responses=problems())
def beat(store: StoreOf, worker_id: WorkerId, heartbeat: Heartbeat) -> Orders:
    """Prolong a worker's claim; tell it whether to give its job up."""
    cancel = store.replays.beat(
        clean_id(heartbeat.replay_id),
        worker_id,
        heartbeat.attempt,
        jobs.Counts(**heartbeat.counts.model_dump()),
        heartbeat.trace_id,
    )
    return Orders(cancel=cancel)


@router.post(
    "/replays/{replay_id}/finish", operation_id="finishReplay", responses=problems(404, 409)
)
def finish_replay(store: StoreOf, replay_id: replays.ReplayId, finish: Finish) -> Replay:
    """Say how a replay ended. Saying it twice changes nothing; 409 if it is no longer yours."""
    said = msgspec.convert(finish.model_dump(), jobs.Finish)
    return replays.show(store.replays.finish(clean_id(replay_id), said), [])


@router.get("/workers", operation_id="listWorkers", responses=problems())
def list_workers(store: StoreOf) -> Workers:
    """List the workers that are connected now, and what they can run again."""
    return Workers(
        items=[
            Worker.model_validate(
                msgspec.to_builtins(worker) | {"seen_at": rfc3339(worker.seen_ns)}
            )
            for worker in store.replays.workers()
        ]
    )


@router.delete("/workers/{worker_id}", operation_id="leave", status_code=204, responses=problems())
def leave(request: Request, store: StoreOf, worker_id: WorkerId) -> None:
    """Say that a worker goes away; what it had is given to another one."""
    store.replays.gone(worker_id)
    request.app.state.bell.ring()


def _claim(
    request: Request, store: Store, worker_id: str, targets: tuple[jobs.Target, ...]
) -> bytes | None:
    replays.settle(request, store)
    while (given := store.replays.claim(worker_id, targets)) is not None:
        job = job_of(store, given)
        if job is not None:
            return job
    return None
