"""Keep which traces are fragments of one run, and show those as one trace.

A joined trace has a row of `traces` and everything derived from it like any other; its spans stay
those of its parts, whose `part_of` names it. Nothing is looked for but by key: what a trace has in
common with its fragments stands in `join_keys`.

On PostgreSQL whoever changes this takes the counter `joins` first, then locks the rows of `traces`
in the order of their ids, then takes other counters: so nobody waits in a circle.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, select, update

from agenttrace.fragments import Fragment, bounded, keys_of
from agenttrace.joins import Part, join_fragments
from agenttrace_server.store import candidates, parts
from agenttrace_server.store.counting import TraceState
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.store.joined_row import put_joined
from agenttrace_server.store.remove import remove
from agenttrace_server.store.search import Search
from agenttrace_server.tables import (
    CheckpointRow,
    ExperimentRow,
    FragmentRow,
    JoinKey,
    ReplayRow,
    TraceRow,
    table,
)

FRAGMENTS, KEYS, TRACES = table(FragmentRow), table(JoinKey), table(TraceRow)
CHECKPOINTS = table(CheckpointRow)
NAMING = table(ReplayRow), table(ExperimentRow)
"""Tables whose rows name a trace they start from."""

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Fragment)


class Joining:
    """The joins of one project, in the caller's transaction."""

    def __init__(self, tx: Connection, dialect: Dialect, search: Search, project_id: int) -> None:
        self._tx = tx
        self._dialect = dialect
        self._search = search
        self._project_id = project_id
        dialect.take(tx, "joins", 1)  # one at a time: two fragments must not miss each other

    def keep(self, given: Iterable[Fragment]) -> None:
        """Join traces that were analysed with what belongs to each, or leave them by themselves."""
        fragments = {fragment.trace_id: bounded(fragment) for fragment in given}
        facts = {trace_id: _facts(fragment) for trace_id, fragment in fragments.items()}
        known = {row.trace_id: row for row in parts.rows(self._tx, self._project_id, fragments)}
        new = [one for one in fragments if one not in known or known[one].facts != facts[one]]
        self._store([fragments[one] for one in new], known)
        same = (row for trace_id, row in known.items() if row.facts == facts[trace_id])
        self._regroup(new, {row.joined_id for row in same if not row.apart})

    def split(self, trace_id: str) -> list[str]:
        """Undo a join, or take one part out of it, for good; return what stands alone now."""
        ids = parts.parts_of(self._tx, self._project_id, trace_id)
        known = parts.rows(self._tx, self._project_id, ids)
        joined = [row for row in known if row.joined_id and not row.apart]
        left = [row.trace_id for row in joined]
        self._set(left, apart=1)
        self._apply(dict.fromkeys(left, ""), {row.joined_id for row in joined})
        return left

    def rejoin(self, trace_id: str) -> str | None:
        """Undo a `split`; return the id of the joined trace, or None where nothing belongs."""
        known = parts.rows(self._tx, self._project_id, [trace_id])
        joined_id = known[0].joined_id if known else trace_id
        if not joined_id:
            self._regroup([trace_id])
            return self._joined_id(trace_id)
        if known and parts.members(self._tx, self._project_id, {joined_id}):
            ids = [trace_id]
        else:
            c = FRAGMENTS.c
            of_joined = (c.project_id == self._project_id, c.joined_id == joined_id)
            ids = list(self._tx.execute(select(c.trace_id).where(*of_joined)).scalars())
        self._set(ids, apart=0)
        self._regroup(ids)
        return self._joined_id(ids[0]) if ids else None

    def join(self, fragments: Sequence[Fragment]) -> str | None:
        """Make traces one by hand; return the id of the joined trace."""
        ids = [fragment.trace_id for fragment in fragments]
        known = {row.trace_id: row for row in parts.rows(self._tx, self._project_id, ids)}
        self._store([bounded(one) for one in fragments if one.trace_id not in known], {})
        self._set(ids, apart=0)
        for one in ids:
            ties = msgspec.json.decode(known[one].by_hand) if one in known else []
            all_ties = sorted({*ties, *ids} - {one})
            self._set([one], by_hand=msgspec.json.encode(all_ties).decode())
        self._regroup(ids)
        return self._joined_id(ids[0])

    def delete(self, trace_id: str, *, spans: bool = True) -> bool:
        """Delete a trace, and of a joined one every part; return whether there was one."""
        ids = parts.parts_of(self._tx, self._project_id, trace_id)
        known = parts.rows(self._tx, self._project_id, [trace_id])
        joined = {row.joined_id for row in known if row.joined_id and not row.apart}
        others = parts.members(self._tx, self._project_id, joined)
        self._locked({*ids, trace_id, *joined, *(row.trace_id for row in others)})
        found = [
            remove(self._tx, self._search, self._project_id, one, spans=spans)
            for one in sorted({*ids, trace_id})
        ]
        self._apply({}, joined)
        return any(found)

    def _store(self, fragments: Sequence[Fragment], known: Mapping[str, Row[Any]]) -> None:
        """Keep what is known of fragments, and the keys by which others find them."""
        if not fragments:
            return
        rows, keys = [], []
        for fragment in fragments:
            project_id, trace_id = self._project_id, fragment.trace_id
            kept = ("", None, None, 0, "[]")
            if (old := known.get(trace_id)) is not None:
                kept = (old.joined_id, old.joined_to, old.reason, old.apart, old.by_hand)
            rows.append((project_id, trace_id, *kept, _facts(fragment)))
            times = (fragment.start_ns, fragment.end_ns)
            keys += [(project_id, trace_id, key, *times) for key in sorted(keys_of(fragment))]
        self._dialect.put(self._tx, FRAGMENTS, rows)
        self._tx.execute(delete(KEYS).where(self._are(KEYS, [one.trace_id for one in fragments])))
        self._dialect.insert(self._tx, KEYS, keys)

    def _regroup(self, seeds: Collection[str], joined_ids: Set[str] = frozenset()) -> None:
        """Decide anew which traces belong together with these, and put it into effect.

        The joined traces named by `joined_ids` are brought up to date as well.
        """
        near = candidates.around(self._tx, self._dialect, self._project_id, seeds)
        rows = {row.trace_id: row for row in near}
        ties = [(row.trace_id, to) for row in near for to in msgspec.json.decode(row.by_hand)]
        runs = join_fragments((_decoder.decode(row.facts) for row in near), ties)
        named: dict[str, tuple[Part, ...]] = {}
        for run in runs:
            if len(run) > 1:
                has = (rows[part.trace_id].joined_id for part in run)
                joined_id = next((one for one in has if one and one not in named), None)
                named[joined_id or self._new_id(run[0].trace_id)] = run[: candidates.MOST_PARTS]
        placed = {part.trace_id: (key, part) for key, run in named.items() for part in run}
        moved: dict[str, str] = {}
        for trace_id, row in rows.items():
            joined_id, part = placed.get(trace_id, ("", Part(trace_id)))
            values = (joined_id, part.joined_to, part.reason)
            if values != (row.joined_id, row.joined_to, row.reason):
                columns = ("joined_id", "joined_to", "reason")
                self._set([trace_id], **dict(zip(columns, values, strict=True)))
            # Asked of the trace, not of the fragment: one that was apart still remembers.
            moved[trace_id] = joined_id
        self._apply(moved, joined_ids | {row.joined_id for row in near} | named.keys())

    def _apply(self, moved: Mapping[str, str], joined_ids: Set[str]) -> None:
        """Point traces to what they are part of now, and bring joined traces up to date.

        A joined trace of which fewer than two parts are left is no more.
        """
        joined_ids = joined_ids - {""}
        members: dict[str, list[Row[Any]]] = {one: [] for one in joined_ids}
        for row in parts.members(self._tx, self._project_id, joined_ids):
            members[row.joined_id].append(row)
        alone = [row.trace_id for rows in members.values() if len(rows) < 2 for row in rows]
        self._set(alone, joined_id="", joined_to=None, reason=None)
        moved = {**moved, **dict.fromkeys(alone, "")}
        ids = {row.trace_id for rows in members.values() for row in rows}
        states = self._locked(ids | joined_ids | moved.keys())
        self._point(states, moved)
        for joined_id, rows in sorted(members.items()):
            there = {row.trace_id: states[row.trace_id] for row in rows if row.trace_id in states}
            if len(rows) < 2 or not there:
                self._dissolve(joined_id)
                continue
            blank = TraceState(self._project_id, joined_id)
            facts = {row.trace_id: _decoder.decode(row.facts) for row in rows}
            put_joined(self._tx, self._dialect, states.get(joined_id, blank), there, facts)

    def _point(self, states: Mapping[str, TraceState], moved: Mapping[str, str]) -> None:
        """Say of traces what they are part of, and that they changed."""
        new = {
            trace_id: joined_id
            for trace_id, joined_id in moved.items()
            if trace_id in states and states[trace_id].part_of != joined_id
        }
        if not new:
            return
        cursor = self._dialect.take(self._tx, "cursor", len(new))
        for number, (trace_id, joined_id) in enumerate(sorted(new.items())):
            states[trace_id].part_of = joined_id
            values = {"part_of": joined_id, "cursor": cursor + number}
            self._tx.execute(update(TRACES).where(self._are(TRACES, [trace_id])).values(values))

    def _dissolve(self, joined_id: str) -> None:
        """Delete a joined trace; replays of it are of the part they started from."""
        c, f = CHECKPOINTS.c, FRAGMENTS.c
        was_part = select(f.trace_id).where(
            f.project_id == self._project_id, f.joined_id == joined_id
        )
        for rows in NAMING:
            of_joined = (
                rows.c.project_id == self._project_id,
                rows.c.source_trace_id == joined_id,
            )
            for checkpoint_id in self._tx.execute(
                select(rows.c.checkpoint_id).distinct().where(*of_joined)
            ).scalars():
                query = select(c.trace_id).where(
                    c.project_id == self._project_id,
                    c.checkpoint_id == checkpoint_id,
                    c.trace_id.in_(was_part),
                )
                if source := self._tx.execute(query.limit(1)).scalar():
                    self._tx.execute(
                        update(rows)
                        .where(*of_joined, rows.c.checkpoint_id == checkpoint_id)
                        .values(source_trace_id=source)
                    )
        remove(self._tx, self._search, self._project_id, joined_id)

    def _locked(self, trace_ids: Collection[str]) -> dict[str, TraceState]:
        ordered = sorted(trace_ids)
        found: dict[str, TraceState] = {}
        for start in range(0, len(ordered), 500):
            query = select(TRACES).where(self._are(TRACES, ordered[start : start + 500]))
            rows = self._tx.execute(self._dialect.locked(query.order_by(TRACES.c.trace_id)))
            found |= {row.trace_id: TraceState(*row) for row in rows}
        return found

    def _set(self, trace_ids: Collection[str], **values: Any) -> None:
        if trace_ids:
            of_traces = self._are(FRAGMENTS, sorted(trace_ids))
            self._tx.execute(update(FRAGMENTS).where(of_traces).values(values))

    def _are(self, rows: Any, trace_ids: Sequence[str]) -> Any:
        return (rows.c.project_id == self._project_id) & rows.c.trace_id.in_(trace_ids)

    def _joined_id(self, trace_id: str) -> str | None:
        rows = parts.rows(self._tx, self._project_id, [trace_id])
        return (rows[0].joined_id or None) if rows and not rows[0].apart else None

    def _new_id(self, first: str) -> str:
        """Return the id of a new joined trace: the same for the same first part, unused so far."""
        number = 0
        while True:
            text = f"joined/{first}/{number}".encode()
            joined_id = hashlib.blake2b(text, digest_size=16).hexdigest()
            query = select(FRAGMENTS.c.trace_id).where(
                FRAGMENTS.c.project_id == self._project_id, FRAGMENTS.c.joined_id == joined_id
            )
            if self._tx.execute(query.limit(1)).first() is None:
                return joined_id
            number += 1


def _facts(fragment: Fragment) -> str:
    return _encoder.encode(fragment).decode()
