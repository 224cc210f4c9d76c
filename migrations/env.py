"""How Alembic reaches the database: the connection that `store.schema` opened."""

from alembic import context

from agenttrace_server.tables import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    # The caller's transaction spans every migration, so one that fails leaves nothing behind.
    transactional_ddl=False,
    include_name=lambda name, kind, _: kind != "table" or "_search" not in (name or ""),
)
context.run_migrations()
