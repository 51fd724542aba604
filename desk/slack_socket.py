"""Socket Mode: presses of buttons come over a connection that we open, so that nothing has to reach us from outside.

Several receivers may each hold one; Slack sends a press to one of them. slack_sdk keeps the connection and renews it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiohttp import ClientError
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

AGAIN_S: Final = 10.0
"""How long to wait before Slack is asked for a connection again, in seconds."""
_log: Final = logging.getLogger("tocsin.slack_sdk")
_log.setLevel(logging.CRITICAL)
log: Final = structlog.get_logger("desk.slack")

Take = Callable[[str, Any], Awaitable[None]]
"""Takes what came: its type (`interactive`, `events_api`) and payload."""


class Socket:
    """One connection to Slack. `take` gets what arrives, and what it took is confirmed to Slack."""

    def __init__(self, app_token: str, api: str, take: Take, again_s: float = AGAIN_S) -> None:
        self._app_token = app_token
        self._api = api
        self._take = take
        self._again_s = again_s

    async def watch(self) -> None:
        """Hold the connection until cancelled."""
        client = SocketModeClient(self._app_token, _log, AsyncWebClient(base_url=self._api, logger=_log))
        client.socket_mode_request_listeners.append(self._hear)
        try:
            client.wss_uri = await self._address(client)
            await client.connect()  # type: ignore[no-untyped-call]
            log.info("listening to Slack by Socket Mode")
            await asyncio.Event().wait()
        finally:
            await client.close()  # type: ignore[no-untyped-call]

    async def _address(self, client: SocketModeClient) -> str:
        """Return where to connect, once Slack says it."""
        while True:
            try:
                answer = await client.web_client.apps_connections_open(app_token=self._app_token)
                return str(answer["url"])
            except SlackApiError as fault:
                error = fault.response.get("error") or f"HTTP {fault.response.status_code}"
            except (ClientError, SlackClientError, OSError) as fault:
                error = type(fault).__name__
            log.warning("Slack gives no connection; is --slack.app-token right?", error=error)
            await asyncio.sleep(self._again_s)

    async def _hear(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Take one envelope, then confirm it: unconfirmed, it comes again."""
        await self._take(request.type, request.payload)
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
