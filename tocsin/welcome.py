"""What `tocsin up` prints: what listens where, where the rules are, what to try next."""

from __future__ import annotations

import sys

from rich.console import Console

from tocsin.settings import Address, Settings
from tocsin.starting import TOKEN_FILE
from tocsin.valkey import Program

_TRY = """curl -X POST http://{address}/v1/events/alertmanager -H 'Content-Type: application/json' -d \
'{{"version":"4","alerts":[{{"status":"firing","labels":{{"alertname":"CheckoutDown","service":"checkout",\
"severity":"critical"}},"annotations":{{"summary":"Checkout answers 500"}},"startsAt":"2026-01-01T00:00:00Z"}}]}}'"""


def welcome(settings: Settings, address: Address, program: Program | None, *, first: bool) -> None:
    """Print the few lines a person needs after `tocsin up`."""
    host = "127.0.0.1" if address.host in {"0.0.0.0", "::"} else address.host  # noqa: S104
    near = Address(host, address.port)
    store = f"{program}, embedded, in {settings.storage_path}" if program else "the one of --redis.url"
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    facts = {
        "listening": f"http://{near}",
        "board": f"http://{near}/ (sign in with the token in the file below)",
        "store": store,
        "rules": f"{settings.rules_path}{' (just written)' if first else ''}",
        "token": str(settings.storage_path / TOKEN_FILE),
    }
    console.print("[bold]Tocsin is starting.[/bold] Ctrl-C stops it; nothing accepted is lost.")
    for name, value in facts.items():
        console.print(f"{name:<10} {value}", markup=False)
    console.print("Try an alert, then `tocsin incidents`:")
    console.print(_TRY.format(address=near), markup=False)
    sys.stdout.flush()
