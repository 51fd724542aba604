"""`tocsin serve`: one receiver. It puts the doors, health and the rules watcher on one address."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from aiohttp import web

import desk.application
from desk import mattermost_socket, slack_rooms
from desk.context import Desk
from desk.context import Settings as DeskSettings
from desk.slack_socket import Socket
from ingest import adapters, server
from ingest.guard import GuardedRunner
from ingest.heartbeats import HeartbeatDoor
from ingest.refusals import Refusals
from ingest.settings import DoorLimits, DoorSettings, Exposed, check_exposure
from ingest.sources import SourceBook
from ingest.stats import DoorStats
from tocsin import __version__, rules, starting
from tocsin import settings as environment
from tocsin.health import Health
from tocsin.proxies import networks_of, seen_through
from tocsin.settings import Address, Settings, inherited_socket, near_url
from tocsin.supervisor import listen
from tocsin.trust import Refused, trust_store
from tocsin.watch import InForce, Room, RulesWatcher
from triage.model import Millis
from triage.model.roles import Role
from triage.rulebook import EMPTY, Rulebook, RulesError, compile_files
from triage.rulebook.quiet import Silencer
from triage.store import deeds, queries, standing
from triage.store.appender import Appender
from triage.store.client import connect_async
from triage.store.preflight import Refusal

ADMIN: Final = "admin"
"""The name under which changes by the admin token are noted."""
log: Final = structlog.get_logger("serve")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises Refused when this process must not run like this."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    losses = await trust_store(settings)
    receiver = Receiver(settings, losses)
    await receiver.check_exposure()
    handed = inherited_socket()
    listener = socket.socket(fileno=handed) if handed is not None else listen(settings.web_listen_address)
    receiver.hear_signals()
    await receiver.serve(listener)


def wall_clock() -> Millis:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def limits_of(settings: Settings) -> DoorLimits:
    """Return the door's limits as the operator set them."""
    return DoorLimits(
        body_bytes=settings.web_max_body,
        nesting=settings.web_max_nesting,
        header_timeout_s=settings.web_header_timeout / 1000,
        body_timeout_s=settings.web_body_timeout / 1000,
        connections=settings.web_max_connections,
        queue=settings.web_max_waiting,
        dead_letter_bytes=settings.web_max_dead_letter,
        keep_alive_s=settings.web_keep_alive / 1000,
    )


def secret_of(reference: str) -> bytes:
    """Return the secret that a source names as `${NAME}` or `file:PATH`. Raises LookupError or OSError."""
    if reference.startswith("file:"):
        return rules.secret_file(reference.removeprefix("file:"))
    name = reference.removeprefix("${").removesuffix("}")
    found = environment.lookup(name)
    if not found:
        raise LookupError(f"neither {name} nor {name}_FILE is set")
    return found.encode()


class Receiver:
    """One running receiver: what it holds, and how it stops."""

    def __init__(self, settings: Settings, losses: list[Refusal]) -> None:
        self.settings = settings
        self.losses = losses
        self.client = connect_async(settings.redis_url)
        self.appender = Appender(settings.redis_url, max_waiting=settings.web_max_waiting)
        self.stats = DoorStats()
        self.sources = SourceBook([adapters.load(name) for name in adapters.names()], secret_of)
        self.room = Room(settings, self.client)
        self.refusals = Refusals(self._note_refused)
        self.door_settings = DoorSettings(
            listen_host=settings.web_listen_address.host,
            external_url=settings.web_external_url,
            limits=limits_of(settings),
            full=self.room.full,
            strange=self.refusals.seen,
        )
        self.heartbeats = HeartbeatDoor(self.door_settings, self.appender, self.sources, wall_clock, self.stats)
        self.in_force = InForce(self.client, self._use)
        self.watcher = RulesWatcher(settings, self.client, self.appender)
        self.token = settings.admin_token or starting.read_token(settings.storage_path)
        self.health = Health(self.client, losses, self.watcher, self.stats, settings.shadow)
        self.silencers: dict[str, Silencer] = {}
        self.roles: dict[str, Role] = {}
        self.slack_people: dict[str, str] = {}
        self.mattermost_people: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        """Name → SHA-256 of the token of everybody who may act: the people of the rules in force, and the admin."""
        self.stop = asyncio.Event()
        self._reloads: set[asyncio.Task[list[str]]] = set()

    def _use(self, rulebook: Rulebook) -> None:
        self.sources.update(rulebook.sources.values())
        self.heartbeats.update(rulebook.cadences)
        people = {name: person.token_sha256 for name, person in rulebook.people.items() if person.token_sha256}
        own = {ADMIN: hashlib.sha256(self.token.encode()).hexdigest()} if self.token else {}
        self.tokens.clear()
        self.tokens.update(people | own)
        self.roles.clear()
        self.roles.update({name: person.role for name, person in rulebook.people.items()} | {ADMIN: Role.ADMIN})
        self.mattermost_people.clear()
        self.mattermost_people.update({p.mattermost: name for name, p in rulebook.people.items() if p.mattermost})
        self.slack_people.clear()
        self.slack_people.update({one.slack: name for name, one in rulebook.people.items() if one.slack})
        self.silencers.clear()
        self.silencers.update(rulebook.quiet.silencers)

    async def check_exposure(self) -> None:
        """Serve the sources of the rules in force or, before any were loaded, of the folder. Raises Refused."""
        known = await standing.rules(self.client)
        rulebook = EMPTY
        try:
            rulebook = compile_files(known.files if known else rules.read_folder(self.settings.rules_path))
        except (rules.FolderError, RulesError) as error:
            log.warning("no rules at the start: only sources that need no settings are served", error=str(error))
        self._use(rulebook)
        try:
            check_exposure(self.settings.web_listen_address.host, rulebook.sources.values(), admin=bool(self.token))
        except Exposed as error:
            raise Refused(f"--web.listen-address (TOCSIN_WEB_LISTEN_ADDRESS): {error}") from None

    def desk(self) -> Desk:
        """Return the people's door."""
        settings = self.settings
        return Desk(
            self.client,
            self.appender,
            DeskSettings(
                tokens=self.tokens,
                silencers=self.silencers,
                roles=self.roles,
                audit_ms=settings.audit_log_retention,
                shadow=settings.shadow,
                external_url=settings.web_external_url,
                open_reads=settings.web_listen_address.loopback and not settings.web_external_url,
                data_loss_accepted="; ".join(map(str, self.losses)),
                version=__version__,
                slack_people=self.slack_people,
                slack_secret=settings.slack_signing_secret,
                slack_api=settings.slack_api_url,
                slack_bot_token=settings.slack_bot_token,
                mattermost_people=self.mattermost_people,
                mattermost_tokens=tuple(filter(None, settings.mattermost_tokens.split(","))),
                link_secret=starting.link_secret(settings.storage_path, settings.web_link_secret),
                lookup=environment.lookup,
            ),
            wall_clock,
        )

    async def _note_refused(self, deed: deeds.Deed) -> None:
        """Write who was refused at the machines' door into the audit log, if it can be written."""
        try:
            await deeds.note(self.client, deed, wall_clock(), self.settings.audit_log_retention, refused=True)
        except queries.DOWN as error:
            log.warning("not in the audit log", source=deed.target, address=deed.address, error=str(error))

    def application(self) -> web.Application:
        """Return everything that is served on this address."""
        proxies = networks_of(self.settings.web_trusted_proxies)
        app = web.Application(middlewares=[seen_through(proxies)] if proxies else [])
        door = server.Door(self.door_settings, self.appender, self.sources, wall_clock, self.stats)
        server.add_routes(app, door, self.sources)
        self.heartbeats.add_routes(app)
        office = desk.application.add_routes(app, self.desk())
        self.health.add_routes(app, lambda handler: desk.application.admins_only(office, "reload", handler))
        return app

    async def serve(self, listener: socket.socket) -> None:
        """Serve on `listener` until `stop` is set; then let requests finish."""
        shutdown_s = self.settings.web_shutdown_timeout / 1000
        runner = GuardedRunner(self.application(), limits_of(self.settings), self.stats, shutdown_timeout=shutdown_s)
        await self.appender.start()
        await self.watcher.begin()
        await runner.setup()
        await web.SockSite(runner, listener).start()
        watching = [asyncio.create_task(one.watch()) for one in (self.watcher, self.in_force, self.room)]
        if self.settings.slack_app_token:
            watching.append(asyncio.create_task(self._slack().watch()))
        if self.settings.mattermost_bot_token and self.settings.mattermost_url:
            watching.append(asyncio.create_task(self._mattermost().watch()))
        elif self.settings.mattermost_bot_token or self.settings.mattermost_url:
            log.warning("Mattermost is not listened to: give both --mattermost.url and --mattermost.bot-token")
        note_address(self.settings, listener)
        try:
            await self.stop.wait()
        finally:
            self.health.stopping = True
            for task in watching:
                task.cancel()
            await runner.cleanup()
            await self.refusals.close()
            await self.appender.close()
            await self.client.aclose()

    def _slack(self) -> Socket:
        """Return the connection over which Slack tells of presses."""
        take = partial(slack_rooms.take_envelope, slack_rooms.Rooms(self.desk()))
        return Socket(self.settings.slack_app_token, self.settings.slack_api_url, take)

    def _mattermost(self) -> mattermost_socket.Socket:
        """Return the connection over which Mattermost tells what is said."""
        settings = self.settings
        return mattermost_socket.Socket(self.desk(), settings.mattermost_url, settings.mattermost_bot_token)

    def hear_signals(self) -> None:
        """Stop on SIGTERM and SIGINT, read the rules again on SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        task = asyncio.create_task(self.watcher.offer("SIGHUP"))
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)


def note_address(settings: Settings, listener: socket.socket) -> None:
    """Say where this receiver listens, in the log and in a file for `tocsin incidents` and its like."""
    url = near_url(Address(*listener.getsockname()[:2]))
    log.info("listening", url=url)
    with contextlib.suppress(OSError):
        (settings.storage_path / starting.URL_FILE).write_text(url + "\n", "ascii")
