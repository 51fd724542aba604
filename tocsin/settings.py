"""Settings: the only place that reads the environment.

Each setting is a dotted flag (`--web.listen-address`), a variable (`TOCSIN_WEB_LISTEN_ADDRESS`) and, for secrets, a
variable that names a file (`TOCSIN_REDIS_URL_FILE`). A flag beats a variable, a variable beats the default.
`docs/settings.md` is made from the same table. Nothing here imports more than the standard library, so that
`tocsin --help` stays quick.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

PREFIX: Final = "TOCSIN_"
OTHERS: Final = frozenset({"TOCSIN_TESTS_REQUIRE_ALL", "TOCSIN_WEB_LISTEN_FD"})
"""Variables with our prefix that are no settings: the tests' own, and the socket that `up` hands to `serve`."""

SERVE: Final = "serve"
WORK: Final = "work"
CLIENT: Final = "client"
WATCH: Final = "watch"
ALL: Final = frozenset({SERVE, WORK, WATCH, CLIENT})
SERVER: Final = frozenset({SERVE, WORK, WATCH})
WATCHING: Final = frozenset({WORK, WATCH})
"""`work` too, since it runs a self-watch of its own."""


class SettingError(ValueError):
    """A setting cannot be used. The message names the flag, the variable and the value, and says what is allowed."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port to listen on. Port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Tell whether only this machine can reach it."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")


def near_url(address: Address) -> str:
    """Return where this machine reaches what listens on `address`."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104  what listens everywhere
    return f"http://{Address(near, address.port)}"


# Parsers: text in, value out; they raise ValueError with what is allowed.

_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_SIZES: Final = {"": 1, "b": 1, "kib": 1024, "mib": 1024**2, "gib": 1024**3, "kb": 1000, "mb": 1000**2, "gb": 1000**3}


def _text(raw: str) -> str:
    return raw


def _address(raw: str) -> Address:
    host, colon, port = raw.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("give HOST:PORT, for example 127.0.0.1:9911, [::1]:9911 or 127.0.0.1:0 for a free port")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    return Address(host or "0.0.0.0", int(port))  # noqa: S104  `:9911` means every interface, as with Alertmanager


def _url(raw: str) -> str:
    if not raw:
        return ""
    parts = urlsplit(raw)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("give an http:// or https:// URL, for example https://tocsin.example.org")
    return raw.rstrip("/")


def _redis_url(raw: str) -> str:
    if raw and urlsplit(raw).scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("give redis://…, rediss://… or unix:///path/of/socket, or nothing for the embedded store")
    return raw


def _path(raw: str) -> Path:
    return Path(raw).expanduser().absolute()


def _networks(raw: str) -> str:
    for text in filter(None, raw.split(",")):
        try:
            ipaddress.ip_network(text)
        except ValueError:
            raise ValueError("give networks, separated by commas, like 10.0.0.0/8,192.168.1.7/32") from None
    return raw


def _flag(raw: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}
    try:
        return known[raw.strip().lower()]
    except KeyError:
        raise ValueError("give true or false") from None


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if raw not in allowed:
            near = difflib.get_close_matches(raw, allowed, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"give one of {', '.join(allowed)}{hint}")
        return raw

    return parse


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", raw) or not low <= int(raw) <= high:
            raise ValueError(f"give a whole number from {low} to {high}")
        return int(raw)

    return parse


def _rates(raw: str) -> dict[str, int]:
    """Read `pagerduty=100,mailtos://mail.example.org=30`."""
    found = {}
    for part in filter(None, raw.split(",")):
        place, mark, count = part.strip().rpartition("=")
        if not mark or not re.fullmatch(r"[a-z][a-z0-9+.-]*(://[^/@,=]+)?", place) or not count.isdigit():
            raise ValueError("give providers with messages a minute, like pagerduty=100,mailtos://mail.example.org=30")
        found[place] = _number(0, 10_000)(count)
    return found


def _size(raw: str) -> int:
    match = re.fullmatch(r"([0-9]{1,12})\s*([A-Za-z]*)", raw)
    if match is None or match[2].lower() not in _SIZES or int(match[1]) == 0:
        raise ValueError("give a number of bytes with or without a unit: 65536, 512KiB, 8MiB, 2GiB")
    return int(match[1]) * _SIZES[match[2].lower()]


def _duration(raw: str) -> int:
    parts = re.findall(r"([0-9]{1,12})(ms|s|m|h|d|w)", raw)
    if not parts or "".join(number + unit for number, unit in parts) != raw:
        raise ValueError("give a duration with its unit: 500ms, 10s, 5m, 12h, 30d, 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def _setting(
    flag: str,
    default: str,
    help_: str,
    parse: Callable[[str], Any] = _text,
    *,
    scope: frozenset[str] = SERVER,
    secret: bool = False,
    shown: str = "",
) -> Any:
    return field(
        metadata={
            "flag": flag,
            "default": default,
            "help": help_,
            "parse": parse,
            "scope": scope,
            "secret": secret,
            "shown": shown or default,
        }
    )


def _token(flag: str, help_: str) -> Any:
    """Return a secret that only those who serve use."""
    return _setting(flag, "", help_, scope=frozenset({SERVE}), secret=True, shown="(none)")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, typed. Durations are milliseconds, sizes are bytes. `origins` says where each came from."""

    web_listen_address: Address = _setting(
        "web.listen-address",
        "127.0.0.1:9911",
        "Address to listen on; port 0 takes a free one and prints it.",
        _address,
        scope=ALL,
    )
    web_external_url: str = _setting(
        "web.external-url", "", "URL under which people reach Tocsin, for links in messages.", _url, shown="(none)"
    )
    web_trusted_proxies: str = _setting(
        "web.trusted-proxies", "", "Networks of reverse proxies whose X-Forwarded-For is believed.", _networks
    )
    web_link_secret: str = _setting(
        "web.link-secret",
        "",
        "Secret that signs the links in pages; the same for every serve and work.",
        secret=True,
        shown="the text of <storage.path>/link.secret",
    )
    web_max_body: int = _setting("web.max-body", "4MiB", "Largest body, before and after unpacking.", _size)
    web_max_nesting: int = _setting("web.max-nesting", "64", "Deepest nesting of a JSON body.", _number(4, 64))
    web_max_dead_letter: int = _setting(
        "web.max-dead-letter", "256KiB", "How much of an unreadable body is kept.", _size
    )
    web_max_connections: int = _setting("web.max-connections", "1024", "Most open connections.", _number(1, 1_000_000))
    web_max_waiting: int = _setting(
        "web.max-waiting", "10000", "Most requests that wait for the store; more get 503.", _number(1, 1_000_000)
    )
    web_header_timeout: int = _setting("web.header-timeout", "10s", "How long headers may take to arrive.", _duration)
    web_body_timeout: int = _setting("web.body-timeout", "10s", "How long a body may take to arrive.", _duration)
    web_keep_alive: int = _setting("web.keep-alive", "75s", "How long an idle connection stays open.", _duration)
    web_shutdown_timeout: int = _setting(
        "web.shutdown-timeout", "10s", "How long requests may finish after SIGTERM.", _duration
    )
    store_max_memory: int = _setting(
        "store.max-memory", "4GiB", "Memory of the store beyond which the door answers 503.", _size
    )
    store_min_disk: int = _setting(
        "store.min-disk", "256MiB", "Free space of storage.path below which the door answers 503.", _size
    )
    storage_path: Path = _setting(
        "storage.path",
        "",
        "Directory of the embedded store, the token file and, by default, the rules.",
        _path,
        scope=ALL,
        shown="$XDG_STATE_HOME/tocsin, else ~/.local/state/tocsin",
    )
    rules_path: Path = _setting(
        "rules.path", "", "Directory of the operators' rules.", _path, scope=ALL, shown="<storage.path>/rules"
    )
    redis_url: str = _setting(
        "redis.url",
        "",
        "Redis 7.0 or later, or Valkey; empty runs the embedded one.",
        _redis_url,
        scope=ALL,
        secret=True,
        shown="(embedded)",
    )
    accept_data_loss: bool = _setting(
        "accept-data-loss", "false", "Start on a store that may lose accepted events; /-/ready shows it.", _flag
    )
    log_format: str = _setting(
        "log.format",
        "auto",
        "auto, json or console; auto is console on a terminal.",
        _choice("auto", "json", "console"),
        scope=ALL,
    )
    log_level: str = _setting(
        "log.level",
        "info",
        "debug, info, warning or error.",
        _choice("debug", "info", "warning", "error"),
        scope=ALL,
    )
    paging: str = _setting(
        "paging",
        "live",
        "live, or shadow: decide everything, tell nobody, list whom it would have told. The same for serve and work.",
        _choice("live", "shadow"),
    )
    work_deliverers: int = _setting(
        "work.deliverers",
        "2",
        "Processes that send messages, on this machine.",
        _number(1, 64),
        scope=frozenset({WORK}),
    )
    work_probers: int = _setting(
        "work.probers",
        "1",
        "Processes that make the looks of checks.yaml and read metrics, on this machine; 0 leaves them to others.",
        _number(0, 8),
        scope=frozenset({WORK}),
    )
    delivery_rate: int = _setting(
        "delivery.rate",
        "120",
        "Most messages a minute to one provider (scheme and host); further ones wait. 0 is no bound.",
        _number(0, 10_000),
        scope=frozenset({WORK}),
    )
    delivery_rates: dict[str, int] = _setting(
        "delivery.rates",
        "",
        "The same for single providers, like pagerduty=100,mailtos://mail.example.org=30.",
        _rates,
        scope=frozenset({WORK}),
        shown="(none)",
    )
    outbound_allow: str = _setting(
        "outbound.allow",
        "",
        "Private networks that webhooks and checks may reach, separated by commas; link-local ones never.",
        _networks,
        scope=frozenset({WORK}),
        shown="(none)",
    )
    watch_config: Path = _setting(
        "watch.config",
        "",
        "How the self-watch reaches the operator: a file of contact methods of its own.",
        _path,
        scope=WATCHING,
        shown="<storage.path>/second-path.yaml",
    )
    watch_every: int = _setting("watch.every", "15s", "How often Tocsin audits itself.", _duration, scope=WATCHING)
    watch_late: int = _setting(
        "watch.late",
        "1m",
        "What waits longer than this to be decided or fired is a finding.",
        _duration,
        scope=WATCHING,
    )
    watch_full: int = _setting(
        "watch.full",
        "80",
        "Memory or disk used beyond this, in percent, is a finding.",
        _number(10, 100),
        scope=WATCHING,
    )
    watch_receiver: str = _setting(
        "watch.receiver",
        "",
        "Receiver whose health is audited too; `up` audits its own.",
        _url,
        scope=WATCHING,
        shown="(none)",
    )
    watch_ping_url: str = _setting(
        "watch.ping-url",
        "",
        "URL that gets a POST while every audit passes: a dead man's switch elsewhere.",
        _url,
        scope=WATCHING,
        secret=True,
        shown="(none)",
    )
    watch_ping_every: int = _setting("watch.ping-every", "1m", "How often it gets one.", _duration, scope=WATCHING)
    slack_api_url: str = _setting(
        "slack.api-url", "https://slack.com/api", "Where Slack's Web API is; GovSlack has another.", _url
    )
    slack_app_token: str = _token(
        "slack.app-token",
        "Slack app-level token (xapp-…): presses of buttons come by Socket Mode, without a way in from outside.",
    )
    slack_bot_token: str = _token(
        "slack.bot-token", "Slack bot token (xoxb-…), with which answers in incident rooms are posted."
    )
    mattermost_url: str = _setting(
        "mattermost.url",
        "",
        "Where Mattermost is, like https://chat.example.org: with the bot token, what is said in rooms is heard there.",
        _url,
        scope=frozenset({SERVE}),
        shown="(none)",
    )
    mattermost_bot_token: str = _token(
        "mattermost.bot-token", "Token of the Mattermost bot that listens in incident rooms and posts answers there."
    )
    mattermost_tokens: str = _token(
        "mattermost.tokens", "Tokens of Mattermost's slash command and outgoing webhooks, separated by commas."
    )
    slack_signing_secret: str = _token(
        "slack.signing-secret", "Slack app's signing secret: presses of buttons come to /slack/interactions."
    )
    journal_retention: int = _setting(
        "journal.retention",
        "7d",
        "How long journal entries stay in the store; older ones go to <storage.path>/archive.",
        _duration,
    )
    journal_max_entries: int = _setting(
        "journal.max-entries", "1000000", "Most journal entries in the store.", _number(1_000, 1_000_000_000)
    )
    journal_max_bytes: int = _setting(
        "journal.max-bytes", "1GiB", "Most memory of the journal in the store; beyond, the oldest goes.", _size
    )
    archive_retention: int = _setting(
        "archive.retention", "400d", "How long archived journal entries stay on disk.", _duration
    )
    dead_letters_retention: int = _setting(
        "dead-letters.retention", "30d", "How long bodies that could not be read are kept.", _duration
    )
    audit_log_retention: int = _setting(
        "audit-log.retention", "400d", "How long it is kept who did what.", _duration, scope=frozenset({SERVE})
    )
    url: str = _setting(
        "url", "", "Tocsin to talk to.", _url, scope=frozenset({CLIENT}), shown="where `tocsin up` listens"
    )
    admin_token: str = _setting(
        "admin.token",
        "",
        "Token for changing anything through the REST API and /-/reload.",
        scope=ALL,
        secret=True,
        shown="the text of <storage.path>/admin.token",
    )
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def shadow(self) -> bool:
        """Tell whether nobody is told."""
        return self.paging == "shadow"

    def environment(self) -> dict[str, str]:
        """Return the variables that give a child process the same settings (secrets stay off the command line)."""
        found = {}
        for spec in TABLE:
            value = getattr(self, spec.name)
            if self.origins.get(spec.flag, "default") != "default" or spec.name in {"storage_path", "rules_path"}:
                found[spec.variable] = _as_text(spec, value)
        return found


def _as_text(spec: Spec, value: Any) -> str:
    if spec.parse is _duration:
        return _in_units(value, list(_UNITS.items()))
    if spec.parse is _size:
        return _in_units(value, [("", 1), ("KiB", 1024), ("MiB", 1024**2), ("GiB", 1024**3)])
    return str(value).lower() if isinstance(value, bool) else str(value)


def _in_units(value: int, units: list[tuple[str, int]]) -> str:
    """Return a number in the largest unit that divides it, which the parser reads back to the same."""
    name, factor = next((name, factor) for name, factor in reversed(units) if value % factor == 0)
    return f"{value // factor}{name}"


@dataclass(frozen=True, slots=True)
class Spec:
    """One row of the table: the setting called `name` in `Settings`, and how it is given."""

    name: str
    flag: str
    default: str
    help: str
    parse: Callable[[str], Any]
    scope: frozenset[str]
    secret: bool
    shown: str

    @property
    def variable(self) -> str:
        """Return the environment variable: `web.listen-address` → `TOCSIN_WEB_LISTEN_ADDRESS`."""
        return PREFIX + re.sub(r"[.-]", "_", self.flag).upper()

    @property
    def is_switch(self) -> bool:
        """Tell whether the flag is given without a value."""
        return self.parse is _flag


TABLE: Final = tuple(
    Spec(name=item.name, **{key: item.metadata[key] for key in item.metadata})
    for item in dataclasses.fields(Settings)
    if item.metadata
)


def load(flags: Mapping[str, str | None] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings from flags (by field name; None when not given), the environment and defaults.

    Raises SettingError, which names the flag, the variable and the value.
    """
    flags = flags or {}
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for spec in TABLE:
        raw, origin = _raw(spec, flags.get(spec.name), environ)
        origins[spec.flag] = origin
        try:
            values[spec.name] = spec.parse(raw)
        except ValueError as error:
            shown = "(a secret)" if spec.secret else repr(raw)
            raise SettingError(f"--{spec.flag} ({spec.variable}) is {shown}: {error}.") from None
    return _with_paths(values, origins, environ)


def _raw(spec: Spec, given: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the text of a setting and where it came from. What is given empty counts as not given."""
    if given:
        return given, f"--{spec.flag}"
    file_variable = spec.variable + "_FILE"
    named = environ.get(file_variable) if spec.secret else None
    if environ.get(spec.variable):
        if named:
            raise SettingError(f"{spec.variable} and {file_variable} are both set: keep one of them.")
        return environ[spec.variable], spec.variable
    if named:
        try:
            return Path(named).read_text("utf-8").strip(), f"{file_variable} ({named})"
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{file_variable} names {named!r}, which cannot be read: {error}.") from None
    return spec.default, "default"


def _with_paths(values: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]) -> Settings:
    if origins["storage.path"] == "default":
        state = environ.get("XDG_STATE_HOME", "")
        home = Path(environ.get("HOME") or "~").expanduser()
        base = Path(state) if Path(state).is_absolute() else home / ".local" / "state"
        values["storage_path"] = base / "tocsin"
    if origins["rules.path"] == "default":
        values["rules_path"] = values["storage_path"] / "rules"
    if origins["watch.config"] == "default":
        values["watch_config"] = values["storage_path"] / "second-path.yaml"
    return Settings(**values, origins=origins)


def lookup(name: str) -> str | None:
    """Return the secret `${name}` of a rule: the variable, or the text of the file `name_FILE` names; else None."""
    value = os.environ.get(name)
    if value:
        return value
    file = os.environ.get(f"{name}_FILE")
    if not file:
        return None
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def runtime_directory(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return XDG_RUNTIME_DIR when it is set to an existing directory: the home of short-lived sockets."""
    raw = (os.environ if environ is None else environ).get("XDG_RUNTIME_DIR", "")
    return Path(raw) if raw and Path(raw).is_dir() else None


def inherited_socket(environ: Mapping[str, str] | None = None) -> int | None:
    """Return the file number of the listening socket that `tocsin up` handed down, or None."""
    raw = (os.environ if environ is None else environ).get("TOCSIN_WEB_LISTEN_FD", "")
    return int(raw) if raw.isascii() and raw.isdigit() else None


def child_environment(settings: Settings, **more: str) -> dict[str, str]:
    """Return the whole environment for a child process with these settings and `more` variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX) or name in OTHERS}
    return kept | settings.environment() | more


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for each variable with our prefix that no setting knows."""
    known = {spec.variable for spec in TABLE} | {spec.variable + "_FILE" for spec in TABLE if spec.secret} | OTHERS
    found = []
    for name in sorted(os.environ if environ is None else environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            found.append(f"{name} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
    return found


def shown(settings: Settings) -> list[tuple[str, str, str]]:
    """Return flag, effective value (secrets masked) and origin of every setting, in the order of the table."""
    rows = []
    for spec in TABLE:
        value = getattr(settings, spec.name)
        text = ("********" if value else "") if spec.secret else _as_text(spec, value)
        rows.append((spec.flag, text, settings.origins.get(spec.flag, "default")))
    return rows


def reference() -> str:
    """Return docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Made from `tocsin/settings.py` by `make docs`; a test compares it. A flag beats its variable, a variable",
        "beats the default. A secret may be in a file instead: the variable with `_FILE` at its end names it.",
        "`tocsin settings` lists the values in effect and where each came from.",
        "",
        "| flag | variable | default | used by | meaning |",
        "|---|---|---|---|---|",
    ]
    for spec in TABLE:
        variable = f"`{spec.variable}`" + (f", `{spec.variable}_FILE`" if spec.secret else "")
        scope = ", ".join(name for name in (SERVE, WORK, WATCH, CLIENT) if name in spec.scope)
        lines.append(f"| `--{spec.flag}` | {variable} | {spec.shown} | {scope} | {spec.help} |")
    return "\n".join(lines) + "\n"
