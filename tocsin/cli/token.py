"""`tocsin token`: tokens for the rules, of which only the SHA-256 is stored, and API tokens made at run time."""

from __future__ import annotations

import json
from typing import Any, Final

import click

from tocsin.cli.common import with_settings
from tocsin.cli.listing import every, table
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain
from tocsin.settings import CLIENT, Settings

BYTES: Final = 32
"""How random a token is. At 256 bits a plain SHA-256 of it cannot be guessed back."""
_COLUMNS: Final = ("name", "role", "scopes", "expires", "last used", "made by")


@click.group()
def token() -> None:
    """Make tokens: for people and senders in the rules, and for the API at run time.

    `make` prints one for the rules (oncall.yaml, sources.yaml, quiet.yaml, heartbeats.yaml), where its SHA-256 stands.
    `create`, `list` and `revoke` are about tokens of programs, which a running Tocsin keeps: with a role and an end.
    """


@token.command()
@click.argument("name", default="")
def make(name: str) -> None:
    """Make a token for a person or a sender.

    The token itself is printed once and kept nowhere; what goes into oncall.yaml (under the person) or sources.yaml
    (under the source) is its SHA-256. A person signs in with it, or names a file that holds it in
    TOCSIN_ADMIN_TOKEN_FILE for `tocsin ack` and its like; a sender shows it as a bearer token.
    """
    import hashlib
    import secrets

    made = secrets.token_urlsafe(BYTES)
    click.echo(made)
    of = f" {name}" if name else ""
    click.echo(f"In oncall.yaml under the person{of}, or in sources.yaml under the source{of}:", err=True)
    click.echo(f"  token_sha256: {hashlib.sha256(made.encode()).hexdigest()}", err=True)


@token.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "responder", "admin"]), default="viewer", show_default=True)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["read", "silence", "respond", "admin"]),
    help="Only this; may be given several times. Default: all that the role has.",
)
@click.option("--expires", default="90d", show_default=True, help="Like 30d, or never.")
@with_settings(CLIENT)
def create(settings: Settings, name: str, role: str, scopes: tuple[str, ...], expires: str) -> None:
    """Make an API token for a program called NAME. It is printed once and kept nowhere."""
    from tocsin.remote import Remote

    body = {"name": name, "role": role, "scopes": [*scopes], "expires": expires}
    with explained():
        made = Remote(settings).post("/api/v1/tokens", body).body
    click.echo(made["token"])
    ends = f"until {made['expires_at']}" if made["expires_at"] else "for ever"
    click.echo(f"{name} may {', '.join(made['scopes'])}, {ends}. This token is shown this once.", err=True)


@token.command("list")
@OUTPUT
@with_settings(CLIENT)
def list_(settings: Settings, output: str) -> None:
    """List the API tokens, without their texts."""
    items = every(settings, "/tokens")
    if output == JSON:
        click.echo(json.dumps(items, indent=2))
        return
    if not items:
        click.echo("No API tokens. `tocsin token create NAME` makes one.")
        return
    table(_COLUMNS, map(_row, items))


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    ends = f"{_short(item['expires_at'])}{' (over)' if item['expired'] else ''}" if item["expires_at"] else "never"
    scopes = ",".join(item["scopes"])
    return item["name"], item["role"], scopes, ends, _short(item["used_at"]) or "never", plain(item["made_by"])


def _short(time: str | None) -> str:
    return time[:16].replace("T", " ") if time else ""


@token.command()
@click.argument("name")
@with_settings(CLIENT)
def revoke(settings: Settings, name: str) -> None:
    """Revoke an API token at once."""
    from urllib.parse import quote

    from tocsin.remote import Remote

    with explained():
        Remote(settings).send("DELETE", f"/api/v1/tokens/{quote(name, safe='')}")
    click.echo(f"{name} is revoked.")
