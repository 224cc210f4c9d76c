"""The `Joins` of one project in one database."""

from collections.abc import Sequence

from sqlalchemy import Connection

from agenttrace.errors import TraceNotFound
from agenttrace.fragments import Fragment, facts_of, fragments
from agenttrace_server.store import parts, read
from agenttrace_server.store.database import Database
from agenttrace_server.store.dialect import Dialect
from agenttrace_server.store.joining import Joining
from agenttrace_server.store.joins import TracePart
from agenttrace_server.store.search import Search


class SqlJoins:
    """Tells which traces were joined, takes them apart and puts them together."""

    def __init__(
        self, database: Database, dialect: Dialect, search: Search, project_id: int
    ) -> None:
        self._database = database
        self._dialect = dialect
        self._search = search
        self._project_id = project_id

    def parts(self, trace_id: str) -> tuple[TracePart, ...]:
        """Return the parts of a joined trace in start order, and those taken out of it."""
        with self._database.query() as connection:
            return parts.described(connection, self._project_id, trace_id)

    def split(self, trace_id: str) -> tuple[str, ...]:
        """Undo a join, or take one part out of it; return the traces that now stand alone."""
        with self._database.write() as tx:
            return tuple(self._joining(tx).split(trace_id))

    def join(self, trace_id: str, others: Sequence[str] = ()) -> str | None:
        """Undo a `split`, or join a trace with `others` by hand; return the joined trace's id."""
        with self._database.write() as tx:
            joining = self._joining(tx)
            if not others:
                return joining.rejoin(trace_id)
            wanted = [self._fragment(tx, one) for one in dict.fromkeys((trace_id, *others))]
            return joining.join(wanted) if len(wanted) > 1 else None

    def _joining(self, tx: Connection) -> Joining:
        return Joining(tx, self._dialect, self._search, self._project_id)

    def _fragment(self, tx: Connection, trace_id: str) -> Fragment:
        """Return what joining knows of a trace; of a joined one its first part stands for it."""
        first = parts.parts_of(tx, self._project_id, trace_id)[0]
        found = fragments(map(facts_of, read.spans(tx, self._project_id, first)))
        if not found:
            raise TraceNotFound(f"There is no trace {trace_id!r}")
        return found[0]
