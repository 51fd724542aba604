"""`tocsin token`: a fresh token, and the line that puts it into force. Only its SHA-256 is ever stored."""

from __future__ import annotations

from typing import Final

import click

BYTES: Final = 32
"""How random a token is. At 256 bits a plain SHA-256 of it cannot be guessed back."""


@click.command
@click.argument("name", default="")
def token(name: str) -> None:
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
