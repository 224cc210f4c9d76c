"""What a worker and the process in which its replays run tell each other, one JSON a line."""

from typing import Literal

import msgspec

from agenttrace.jobs import Counts, Finish, Target

NO_JOB = msgspec.Raw(b"null")


class Order(msgspec.Struct):
    """What the worker tells the process: a job to run, or to give up the present one."""

    job: msgspec.Raw = NO_JOB
    cancel: bool = False


class Note(msgspec.Struct, omit_defaults=True):
    """What the process tells the worker.

    `ready` comes once, with what the module made replayable and the files it is made of; `broken`
    instead of it, with the reason; then `progress` and at last `done` for each job.
    """

    kind: Literal["ready", "broken", "progress", "done"]
    targets: tuple[Target, ...] = ()
    files: tuple[str, ...] = ()
    error: str | None = None
    counts: Counts = Counts()
    trace_id: str | None = None
    finish: Finish | None = None
