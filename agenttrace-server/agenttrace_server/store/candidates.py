"""Look up the traces that may be fragments of the same run: by key, never by looking at all."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from agenttrace.fragments import Fragment, wanted_by
from agenttrace.joins import CLOSE_NS
from agenttrace_server.store import parts
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.tables import JoinKey, table

KEYS = table(JoinKey)

MOST_PARTS = 1000
"""A joined trace takes no more parts than this."""
MOST_SEEDS = 100
"""Of so many traces it is looked up at once what may belong to them."""
NEAREST = 50
"""Of the traces that share a session or an agent only so many before and after are looked at."""
ANNOUNCED_NS = 3600 * 1_000_000_000
"""How long an agent may have been announced before it first runs: an hour."""

_decoder = msgspec.json.Decoder(Fragment)


def around(
    tx: Connection, dialect: Dialect, project_id: int, seeds: Collection[str]
) -> list[Row[Any]]:
    """Return the fragments that may belong with these, and all of the groups those are in.

    Those that people took out of a group are left out.
    """
    given = [row for row in parts.rows(tx, project_id, seeds) if not row.apart]
    near = {row.trace_id for row in given}
    seeding = [_decoder.decode(row.facts) for row in given[:MOST_SEEDS]]
    wanted = _had_by_others(tx, dialect, project_id, seeding)
    for row, fragment in zip(given, seeding, strict=False):
        near |= _near(tx, dialect, project_id, fragment, wanted.get(row.trace_id, set()))
        near |= set(msgspec.json.decode(row.by_hand))
    rows = {row.trace_id: row for row in parts.rows(tx, project_id, near) if not row.apart}
    groups = {row.joined_id for row in rows.values()} - {""}
    found = parts.members(tx, project_id, groups)
    sizes = {one: sum(row.joined_id == one for row in found) for one in groups}
    # A group that is full takes no more: it is left out, with those of it that were near.
    full = {one for one, size in sizes.items() if size >= MOST_PARTS}
    rows |= {row.trace_id: row for row in found}
    return [row for row in rows.values() if row.joined_id not in full]


def _had_by_others(
    tx: Connection, dialect: Dialect, project_id: int, fragments: Sequence[Fragment]
) -> dict[str, set[str]]:
    """Return which of the keys that each fragment wants there are, other than its own."""
    c = KEYS.c
    pairs = [(one.trace_id, key) for one in fragments for key in sorted(wanted_by(one))]
    listed, item = dialect.each(pairs)
    there = select(c.trace_id).where(
        c.project_id == project_id, c.key == item(1), c.trace_id != item(0)
    )
    found: dict[str, set[str]] = {}
    query = select(item(0), item(1)).select_from(listed).where(there.exists())
    for trace_id, key in tx.execute(query) if pairs else ():
        found.setdefault(trace_id, set()).add(key)
    return found


def _near(
    tx: Connection, dialect: Dialect, project_id: int, fragment: Fragment, wanted: set[str]
) -> set[str]:
    exact = {key for key in wanted if key.startswith(("step:", "link:", "message:"))}
    found = set(fragment.links)
    c = KEYS.c
    if exact:
        listed, item = dialect.each([[key] for key in sorted(exact)])
        query = select(c.trace_id).where(c.key.in_(select(item(0)).select_from(listed)))
        query = query.where(c.project_id == project_id).distinct().limit(MOST_PARTS)
        found |= set(tx.execute(query).scalars())
    for key in sorted(wanted - exact):
        found |= _in_time(tx, project_id, key, fragment)
    return found


def _in_time(tx: Connection, project_id: int, key: str, fragment: Fragment) -> set[str]:
    """Return the nearest traces with a key, before and after."""
    c = KEYS.c
    reach = CLOSE_NS if key.startswith("session:") else ANNOUNCED_NS
    of_key = select(c.trace_id).where(c.project_id == project_id, c.key == key)
    before = of_key.where(
        c.start_time <= fragment.start_ns, c.end_time >= fragment.start_ns - reach
    )
    after = of_key.where(c.start_time >= fragment.start_ns, c.start_time <= fragment.end_ns + reach)
    found = set(tx.execute(before.order_by(c.start_time.desc()).limit(NEAREST)).scalars())
    return found | set(tx.execute(after.order_by(c.start_time).limit(NEAREST)).scalars())
