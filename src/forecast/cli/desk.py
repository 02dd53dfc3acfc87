"""forecast serve and forecast keys."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from forecast.cli.phrases import say, say_moment
from forecast.cli.screen import console, now, output, transaction
from forecast.settings import read_settings

keys = typer.Typer(help="Keys of the API.", no_args_is_help=True)


@keys.command("create")
def create_api_key(name: Annotated[str, typer.Argument(help="Who uses it.")]) -> None:
    """Make a key and print it; it can't be read again."""
    from serving.auth import create_key

    with transaction(read_settings()) as session:
        secret = create_key(session, name)
    output.print(secret, markup=False)


@keys.command("list")
def list_api_keys() -> None:
    """List keys, without their secrets."""
    from serving.auth import list_keys

    table = Table(*map(say, ("name", "created", "revoked")))
    with transaction(read_settings()) as session:
        for key in list_keys(session):
            table.add_row(escape(key.name), say_moment(key.created_at), say_moment(key.revoked_at))
    output.print(table)


@keys.command("revoke")
def revoke_api_key(name: Annotated[str, typer.Argument(help="Name of the key.")]) -> None:
    """Withdraw a key from now on."""
    from serving.auth import revoke_key

    with transaction(read_settings()) as session:
        revoke_key(session, name, at=now())
    console.print(say("{name} is revoked", name=name), markup=False)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default FORECAST_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Port to listen on; default FORECAST_PORT.")
    ] = None,
) -> None:
    """Serve the API and its docs."""
    import uvicorn

    from serving.app import create_app

    settings = read_settings()
    uvicorn.run(create_app(settings), host=host or settings.host, port=port or settings.port)
