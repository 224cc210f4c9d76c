"""Hand a replay to a worker: the job with all it needs, so that it asks for nothing else."""

import msgspec

from agenttrace.jobs import Finish, Job
from agenttrace.replay import Recording
from agenttrace_server.store import Store
from agenttrace_server.store.replays import Replay


def job_of(store: Store, given: Replay) -> bytes | None:
    """Return the job of a claimed replay as JSON; None, and it fails, where its trace is gone."""
    checkpoint = store.replays.checkpoint(given.checkpoint_id, given.source_trace_id)
    trace = store.trace(given.source_trace_id)
    if checkpoint is None or trace is None:
        finish = Finish(
            worker_id=given.worker_id or "",
            attempt=given.attempt,
            status="failed",
            error="The checkpoint it begins at was deleted",
        )
        store.replays.finish(given.replay_id, finish)
        return None
    recording = Recording.of(trace, after_ns=checkpoint.created_at)
    job = Job(
        replay_id=given.replay_id,
        attempt=given.attempt,
        target=given.target or "",
        checkpoint=checkpoint,
        edits=given.edits,
        mode=given.mode,
        live_tools=given.live_tools,
        recording=msgspec.Raw(msgspec.json.encode(recording)),
        source_trace_id=given.source_trace_id,
        timeout_seconds=given.timeout_seconds,
        lease_seconds=store.replays.lease_seconds,
    )
    return msgspec.json.encode(job)
