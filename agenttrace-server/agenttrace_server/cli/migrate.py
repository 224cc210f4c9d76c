"""`migrate`: move a database to another version of the schema, and see where it is."""

import typer

migrate = typer.Typer(no_args_is_help=True, help="Bring a database's schema up to date, or back.")


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(migrate, name="migrate")
