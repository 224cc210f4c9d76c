"""Replays in SQL: claims that two workers cannot both have, ends that happen once."""

import time
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from agenttrace.errors import ReplayLost, ReplayNotFound
from agenttrace.jobs import ENDED, Counts, Finish, Target
from agenttrace.models import Checkpoint, Message
from agenttrace_server.store import derive, lost_replays, read
from agenttrace_server.store.database import Database
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.store.replays import (
    CONNECTED_SECONDS,
    LEASE_SECONDS,
    Experiment,
    NewReplay,
    Outline,
    Relative,
    Replay,
    ReplayQuery,
    Worker,
)
from agenttrace_server.store.rows import encode, scrubbed
from agenttrace_server.tables import ExperimentRow, ReplayRow, TraceRow, WorkerRow, table

REPLAYS, WORKERS, EXPERIMENTS = map(table, (ReplayRow, WorkerRow, ExperimentRow))
TRACES = table(TraceRow)
CHECKPOINTS, MESSAGES = derive.CHECKPOINTS, derive.MESSAGES
MOST_RELATIVES = 1000

_SECOND = 1_000_000_000
_HELD = ("claimed", "running")


class SqlReplays:
    """The `Replays` of one project in one database."""

    def __init__(self, database: Database, dialect: Dialect, project_id: int) -> None:
        self._database = database
        self._dialect = dialect
        self._project_id = project_id
        self.lease_seconds = LEASE_SECONDS

    def add(self, new: Sequence[NewReplay]) -> list[Replay]:
        """Store replays; those that are queued are given to workers in this order."""
        now = time.time_ns()
        with self._database.write() as tx:
            cursor = self._dialect.take(tx, "cursor", len(new))
            made = [_made(one, now + n, cursor + n) for n, one in enumerate(new)]
            self._dialect.add(tx, REPLAYS, [_row(self._project_id, one) for one in made])
        return made

    def get(self, replay_id: str) -> Replay | None:
        """Return a replay, or None."""
        with self._database.read() as connection:
            row = connection.execute(select(REPLAYS).where(self._one(replay_id))).first()
        return None if row is None else replay_of(row)

    def page(self, query: ReplayQuery) -> tuple[list[Replay], int]:
        """Return a page of replays, newest first, and how many there are in all."""
        c = REPLAYS.c
        conditions: list[ColumnElement[bool]] = [c.project_id == self._project_id]
        if query.status is not None:
            conditions.append(c.status == query.status)
        if query.trace is not None:
            conditions.append(or_(c.source_trace_id == query.trace, c.trace_id == query.trace))
        if query.checkpoint is not None:
            conditions.append(c.checkpoint_id == query.checkpoint)
        if query.experiment is not None:
            conditions.append(c.experiment_id == query.experiment)
        page = select(REPLAYS).where(*conditions).order_by(c.created_at.desc(), c.replay_id)
        total = select(func.count()).select_from(REPLAYS).where(*conditions)
        with self._database.read() as connection:
            rows = connection.execute(page.limit(query.limit).offset(query.offset)).all()
            return [replay_of(row) for row in rows], connection.execute(total).scalar_one()

    def claim(self, worker_id: str, targets: Sequence[Target]) -> Replay | None:
        """Give the oldest queued replay that one of the targets can run to this worker, or None."""
        wanted = self._wanted(targets)
        with self._database.read() as connection:
            if not connection.execute(select(exists().where(wanted))).scalar():
                return None
        query = select(REPLAYS).where(wanted).order_by(REPLAYS.c.created_at).limit(1)
        with self._database.write() as tx:
            row = tx.execute(self._dialect.free(query)).first()
            if row is None:
                return None
            now = time.time_ns()
            return self._change(
                tx,
                replay_of(row),
                status="claimed",
                target=row.target or _only(targets, row.framework),
                worker_id=worker_id,
                attempt=row.attempt + 1,
                started_at=now,
                claimed_until=now + int(self.lease_seconds / 2 * _SECOND),
            )

    def beat(
        self, replay_id: str, worker_id: str, attempt: int, counts: Counts, trace_id: str | None
    ) -> bool:
        """Prolong a worker's claim and note how far it is; return whether it must give up."""
        with self._database.write() as tx:
            self._note(tx, worker_id, time.time_ns())
            found = self._locked(tx, replay_id)
            if found is None or not _is_of(found, worker_id, attempt):
                return True
            until = time.time_ns() + int(self.lease_seconds * _SECOND)
            told = (found.status, found.counts, found.trace_id)
            if told == ("running", counts, trace_id):
                change = update(REPLAYS).where(self._one(replay_id))
                tx.execute(change.values(claimed_until=until))
            else:
                self._change(
                    tx,
                    found,
                    status="running",
                    counts=encode(counts),
                    trace_id=trace_id,
                    claimed_until=until,
                )
            return found.cancel

    def finish(self, replay_id: str, finish: Finish) -> Replay:
        """End a replay; said again by the same worker, nothing changes."""
        finish = scrubbed(finish)
        with self._database.write() as tx:
            self._note(tx, finish.worker_id, time.time_ns())
            found = self._locked(tx, replay_id)
            if found is None:
                raise ReplayNotFound(f"There is no replay {replay_id!r}")
            mine = (found.worker_id, found.attempt) == (finish.worker_id, finish.attempt)
            if mine and found.status in ENDED:
                return found
            if not _is_of(found, finish.worker_id, finish.attempt):
                raise ReplayLost(
                    f"Replay {replay_id!r} is no longer this worker's: it was silent for too long, "
                    "and another one has it or it has ended"
                )
            return self._change(
                tx,
                found,
                status=finish.status,
                error=finish.error,
                output=finish.output,
                counts=encode(finish.counts),
                trace_id=finish.trace_id or found.trace_id,
                ended_at=time.time_ns(),
            )

    def cancel(self, replay_id: str) -> Replay:
        """End a queued replay, and have the worker of a running one told."""
        with self._database.write() as tx:
            found = self._locked(tx, replay_id)
            if found is None:
                raise ReplayNotFound(f"There is no replay {replay_id!r}")
            if found.status == "queued":
                return self._change(
                    tx, found, status="cancelled", cancel=1, ended_at=time.time_ns()
                )
            if found.status in _HELD and not found.cancel:
                return self._change(tx, found, cancel=1)
            return found

    def settle(self) -> int:
        """Take back what silent workers hold; return how many replays that were."""
        return self._settle(REPLAYS.c.claimed_until < time.time_ns())

    def seen(self, worker: Worker) -> None:
        """Note that a worker is there, and what it can run."""
        row = (
            self._project_id,
            worker.worker_id,
            _text(worker.name),
            encode(worker.targets),
            time.time_ns(),
        )
        with self._database.write() as tx:
            self._dialect.put(tx, WORKERS, [row])
            day_ago = time.time_ns() - 24 * 3600 * _SECOND
            tx.execute(delete(WORKERS).where(WORKERS.c.seen_at < day_ago))

    def gone(self, worker_id: str) -> None:
        """Note that a worker has left; what it held is taken back at once."""
        with self._database.write() as tx:
            self._note(tx, worker_id, 0)
        self._settle(REPLAYS.c.worker_id == worker_id)

    def workers(self) -> list[Worker]:
        """Return the workers that are there, by name."""
        since = time.time_ns() - int(CONNECTED_SECONDS * _SECOND)
        c = WORKERS.c
        query = select(WORKERS).where(c.project_id == self._project_id, c.seen_at > since)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(c.name, c.worker_id)).all()
        return [
            Worker(
                row.worker_id,
                row.name,
                msgspec.json.decode(row.targets, type=tuple[Target, ...]),
                row.seen_at,
            )
            for row in rows
        ]

    def add_experiment(self, experiment: Experiment) -> None:
        """Store an experiment."""
        row = (self._project_id, *msgspec.structs.astuple(experiment))
        with self._database.write() as tx:
            self._dialect.add(tx, EXPERIMENTS, [row])

    def experiment(self, experiment_id: str) -> Experiment | None:
        """Return an experiment, or None."""
        c = EXPERIMENTS.c
        query = select(EXPERIMENTS).where(
            c.project_id == self._project_id, c.experiment_id == experiment_id
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else Experiment(*row[1:])

    def experiments(self, limit: int, offset: int) -> tuple[list[Experiment], int]:
        """Return experiments, newest first, and how many there are in all."""
        c = EXPERIMENTS.c
        of_project = c.project_id == self._project_id
        page = select(EXPERIMENTS).where(of_project).order_by(c.created_at.desc())
        total = select(func.count()).select_from(EXPERIMENTS).where(of_project)
        with self._database.read() as connection:
            rows = connection.execute(page.limit(limit).offset(offset)).all()
            return [Experiment(*row[1:]) for row in rows], connection.execute(total).scalar_one()

    def changes(self, after: int, limit: int = 1000) -> list[Replay]:
        """Return the replays that changed since cursor `after`, in that order."""
        c = REPLAYS.c
        query = select(REPLAYS).where(c.project_id == self._project_id, c.cursor > after)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(c.cursor).limit(limit)).all()
        return [replay_of(row) for row in rows]

    def checkpoint(self, checkpoint_id: str, trace_id: str | None = None) -> Checkpoint | None:
        """Return a checkpoint, of the trace that had it first unless one is named, or None."""
        c = CHECKPOINTS.c
        query = select(CHECKPOINTS).where(
            c.project_id == self._project_id, c.checkpoint_id == checkpoint_id
        )
        if trace_id is not None:
            query = query.where(c.trace_id == trace_id)
        with self._database.read() as connection:
            order = (c.created_at, _is_joined(c).desc())
            row = connection.execute(query.order_by(*order).limit(1)).first()
        return None if row is None else read.checkpoint(row)

    def outlines(self, trace_id: str) -> list[Outline]:
        """Return the checkpoints of a trace in the order they were made, without their states."""
        c = CHECKPOINTS.c
        size = (
            func.length(cast(c.state, LargeBinary))
            if self._database.is_sqlite
            else func.octet_length(c.state)
        )
        light = [column for column in c if column.name != "state"]
        query: Select[Any] = select(*light, literal("").label("state"), size.label("size")).where(
            c.project_id == self._project_id, c.trace_id == trace_id
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(c.created_at, c.position)).all()
        return [Outline(read.checkpoint(row), row.size) for row in rows]

    def before(self, message_id: str, trace_id: str | None = None) -> Checkpoint | Message | None:
        """Return the newest resumable checkpoint made before a message was sent."""
        c, m = CHECKPOINTS.c, MESSAGES.c
        query = select(MESSAGES).where(m.project_id == self._project_id, m.message_id == message_id)
        if trace_id is not None:
            query = query.where(m.trace_id == trace_id)
        with self._database.read() as connection:
            order = (m.sent_at.desc(), _is_joined(m).desc())
            sent = connection.execute(query.order_by(*order).limit(1)).first()
            if sent is None:
                return None
            row = connection.execute(
                select(CHECKPOINTS)
                .where(
                    c.project_id == self._project_id,
                    c.trace_id == sent.trace_id,
                    c.resumable == 1,
                    c.created_at <= sent.sent_at,
                )
                .order_by(c.created_at.desc(), c.position.desc())
                .limit(1)
            ).first()
        return read.message(sent) if row is None else read.checkpoint(row)

    def family(self, trace_id: str) -> list[Relative]:
        """Return the trace, what it is a replay of, and every replay of any of these, by start."""
        with self._database.read() as connection:
            found: dict[str, Relative] = {}
            walk: str | None = trace_id
            while walk is not None and walk not in found and len(found) < MOST_RELATIVES:
                (found[walk],) = self._relatives(connection, TRACES.c.trace_id == walk) or [
                    Relative(walk, None, None, "", "deleted", 0)
                ]
                walk = found[walk].replay_of
            edge = list(found)
            while edge and len(found) < MOST_RELATIVES:
                below = self._relatives(connection, TRACES.c.replay_of.in_(edge))
                edge = [one.trace_id for one in below if one.trace_id not in found]
                found |= {one.trace_id: one for one in below}
        return sorted(found.values(), key=lambda one: (one.start_ns, one.trace_id))

    def _relatives(self, connection: Connection, condition: ColumnElement[bool]) -> list[Relative]:
        c = TRACES.c
        query = select(c.trace_id, c.replay_of, c.replay_id, c.name, c.status, c.start_time)
        query = query.where(c.project_id == self._project_id, condition).limit(MOST_RELATIVES)
        return [Relative(*row) for row in connection.execute(query)]

    def _settle(self, which: ColumnElement[bool]) -> int:
        held = and_(REPLAYS.c.project_id == self._project_id, REPLAYS.c.status.in_(_HELD), which)
        with self._database.read() as connection:
            if not connection.execute(select(exists().where(held))).scalar():
                return 0
        with self._database.write() as tx:
            rows = tx.execute(self._dialect.free(select(REPLAYS).where(held))).all()
            for row in rows:
                found = replay_of(row)
                self._note(tx, row.worker_id, 0)
                self._change(tx, found, **lost_replays.verdict(tx, self._project_id, found))
        return len(rows)

    def _note(self, tx: Connection, worker_id: str, seen_ns: int) -> None:
        """Note when a worker was heard of, 0 where it is gone."""
        c = WORKERS.c
        this = and_(c.project_id == self._project_id, c.worker_id == worker_id)
        tx.execute(update(WORKERS).where(this).values(seen_at=seen_ns))

    def _wanted(self, targets: Sequence[Target]) -> ColumnElement[bool]:
        """The condition that a queued replay can be run by one of the targets."""
        c = REPLAYS.c
        frameworks = {target.framework for target in targets}
        sole = [framework for framework in frameworks if _only(targets, framework)]
        return and_(
            c.project_id == self._project_id,
            c.status == "queued",
            or_(
                c.target.in_([target.name for target in targets]),
                and_(c.target.is_(None), c.framework.in_(sole)),
            ),
        )

    def _one(self, replay_id: str) -> ColumnElement[bool]:
        return and_(REPLAYS.c.project_id == self._project_id, REPLAYS.c.replay_id == replay_id)

    def _locked(self, tx: Connection, replay_id: str) -> Replay | None:
        row = tx.execute(self._dialect.locked(select(REPLAYS).where(self._one(replay_id)))).first()
        return None if row is None else replay_of(row)

    def _change(self, tx: Connection, found: Replay, **values: Any) -> Replay:
        """Change the row of a replay that is locked, and tell that it changed."""
        values = {name: _text(value) for name, value in values.items()}
        values |= {"updated_at": time.time_ns(), "cursor": self._dialect.take(tx, "cursor", 1)}
        tx.execute(update(REPLAYS).where(self._one(found.replay_id)).values(values))
        row = tx.execute(select(REPLAYS).where(self._one(found.replay_id))).one()
        return replay_of(row)


def replay_of(row: Any) -> Replay:
    """Return the replay of a row."""
    return Replay(
        replay_id=row.replay_id,
        checkpoint_id=row.checkpoint_id,
        source_trace_id=row.source_trace_id,
        trace_id=row.trace_id,
        framework=row.framework,
        target=row.target,
        mode=row.mode,
        edits=tuple(msgspec.json.decode(row.edits)),
        live_tools=msgspec.json.decode(row.live_tools, type=tuple[str, ...] | str),
        timeout_seconds=row.timeout_seconds,
        label=row.label,
        experiment_id=row.experiment_id,
        place=row.place,
        status=row.status,
        attempt=row.attempt,
        worker_id=row.worker_id,
        cancel=bool(row.cancel),
        error=row.error,
        output=row.output,
        counts=msgspec.json.decode(row.counts, type=Counts),
        steps=None if row.steps is None else tuple(msgspec.json.decode(row.steps)),
        created_ns=row.created_at,
        updated_ns=row.updated_at,
        started_ns=row.started_at,
        ended_ns=row.ended_at,
        cursor=row.cursor,
    )


def _made(new: NewReplay, now: int, cursor: int) -> Replay:
    values = {name: getattr(new, name) for name in NewReplay.__struct_fields__}
    return Replay(
        replay_id=uuid.uuid4().hex,
        created_ns=now,
        updated_ns=now,
        ended_ns=now if new.status in ENDED else None,
        cursor=cursor,
        **values,
    )


def _row(project_id: int, made: Replay) -> tuple[Any, ...]:
    """Return the row of a new replay, in the order of the table's columns."""
    values = msgspec.structs.asdict(made) | {
        "project_id": project_id,
        "edits": encode(made.edits),
        "live_tools": encode(made.live_tools),
        "counts": encode(made.counts),
        "steps": None if made.steps is None else encode(made.steps),
        "cancel": int(made.cancel),
        "created_at": made.created_ns,
        "updated_at": made.updated_ns,
        "started_at": made.started_ns,
        "ended_at": made.ended_ns,
        "claimed_until": 0,
    }
    return tuple(_text(values[column.name]) for column in REPLAYS.c)


def _is_of(found: Replay, worker_id: str, attempt: int) -> bool:
    """Whether the worker may go on: the claim is its own, or ran out and nobody else has it."""
    open_still = found.status in (*_HELD, "queued")
    return open_still and (found.worker_id, found.attempt) == (worker_id, attempt)


def _only(targets: Iterable[Target], framework: str) -> str | None:
    """The name of the only target of a framework, None where there are several or none."""
    names = [target.name for target in targets if framework and target.framework == framework]
    return names[0] if len(names) == 1 else None


def _text(value: Any) -> Any:
    """Return text as both databases can keep it."""
    return scrubbed(value).replace("\0", "\ufffd") if isinstance(value, str) else value


def _is_joined(c: Any) -> ColumnElement[int]:
    """1 for a row of a joined trace, which comes before the part that says the same."""
    of_joined = exists().where(
        TRACES.c.project_id == c.project_id, TRACES.c.trace_id == c.trace_id, TRACES.c.parts > 0
    )
    return case((of_joined, 1), else_=0)
