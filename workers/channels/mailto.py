"""`mailto://` and `mailtos://`: e-mail by SMTP, a thread for each incident. docs/channels.md says what can be written.

The message id is the effect's, so that a mail server sees a second copy for what it is; every message refers to the
incident's own id, which mail programs make a thread of. RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 5322 (threads).
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import smtplib
import socket
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from html import escape
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from triage.model import EffectKind, Ending
from workers.channel import Delivery, Message, scheme_of

SCHEMES: Final = ("mailto", "mailtos")
TIMEOUT_S: Final = 4.0
"""How long one step of the conversation may take, in seconds."""
REASON_MAX: Final = 200
MODES: Final = ("insecure", "offered", "starttls", "ssl")
"""Never TLS; TLS if the server offers it, whoever it is; TLS by STARTTLS; TLS from the start."""
PORTS: Final = {"insecure": 25, "offered": 25, "starttls": 587, "ssl": 465}
KNOWN: Final = {
    "gmail.com": "smtp.gmail.com",
    "googlemail.com": "smtp.gmail.com",
    "outlook.com": "smtp-mail.outlook.com",
    "hotmail.com": "smtp-mail.outlook.com",
    "fastmail.com": "smtp.fastmail.com",
    "icloud.com": "smtp.mail.me.com",
    "gmx.net": "mail.gmx.net",
}
"""Domain of a mail address → where its provider takes mail for sending."""

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ID: Final = re.compile(r"[^A-Za-z0-9._-]+")
_DOT: Final = re.compile(rb"^\.", re.MULTILINE)


class Mail(msgspec.Struct, frozen=True):
    """What a contact method says: where to hand a message over, as whom, from whom, to whom."""

    host: str
    port: int
    mode: str
    user: str
    password: str
    sender: str
    name: str
    recipients: tuple[str, ...]
    verify: bool = True

    @property
    def domain(self) -> str:
        """Return the sender's domain, in which message ids are made."""
        return self.sender.rpartition("@")[2]


def send(target: str, message: Message) -> Delivery:
    """Hand `message` over to the mail server that `target` names."""
    try:
        mail = read(target)
    except ValueError as fault:
        return Delivery(Ending.GIVE_UP, str(fault))
    conversation = _Conversation(mail)
    try:
        return conversation.hand_over(compose(mail, message))
    except smtplib.SMTPServerDisconnected:
        return Delivery(Ending.TRY_AGAIN, "the mail server hung up", ambiguous=conversation.sent)
    except smtplib.SMTPResponseException as answer:
        return _answered(answer.smtp_code, answer.smtp_error)
    except smtplib.SMTPNotSupportedError as lack:
        return Delivery(Ending.GIVE_UP, f"the mail server cannot do what is needed: {lack}"[:REASON_MAX])
    except OSError as fault:
        return _broken(fault, conversation.sent)
    finally:
        conversation.close()


def read(target: str) -> Mail:
    """Return what a contact method says. Raises ValueError in words for the operator, without repeating secrets."""
    try:
        parts = urlsplit(target)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("the mail server's name or port in this mailto:// is malformed") from None
    pairs = (pair.partition("=") for pair in parts.query.split("&"))  # a plus is a plus: ana+oncall@example.org
    given = {unquote(name): unquote(value) for name, _, value in pairs if value}
    mode = given.get("mode", "starttls" if scheme_of(target) == "mailtos" else "offered").lower()
    if mode not in MODES:
        raise ValueError(f"mode={mode[:20]} of a mailto:// is none of {', '.join(MODES)}")
    user = given.get("user") or unquote(parts.username or "")
    sender = given.get("from") or (user if "@" in user else _own_address(user, host))
    listed = [*given.get("to", "").split(","), *map(unquote, parts.path.split("/"))]
    recipients = [one.strip() for one in listed if one.strip()] or [sender]
    mail = Mail(
        host=given.get("smtp") or KNOWN.get(host, host),
        port=port or (PORTS["starttls"] if mode == "offered" and host in KNOWN else PORTS[mode]),
        mode=mode,
        user=f"{user}@{host}" if host in KNOWN and user and "@" not in user else user,
        password=given.get("pass") or unquote(parts.password or ""),
        sender=_address(sender),
        name=_CONTROL.sub(" ", given.get("name", "Tocsin")),
        recipients=tuple(dict.fromkeys(map(_address, recipients))),
        verify=given.get("verify", "yes").lower() not in {"no", "false", "0"},
    )
    if not mail.host or _CONTROL.search(mail.host):
        raise ValueError("a mailto:// needs the mail server's name: mailto://user:${PASSWORD}@mail.example.org?to=…")
    return mail


def _own_address(user: str, host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"{user or 'tocsin'}@{host}"
    raise ValueError("say from whom the mail is: add from=tocsin@example.org")


def _address(text: str) -> str:
    """Return a mail address with its domain in ASCII. Raises ValueError for what is none."""
    local, at, domain = text.rpartition("@")
    with contextlib.suppress(UnicodeError):
        domain = domain.encode("idna").decode()
    address = f"{local}{at}{domain}"
    if not _ADDRESS.match(address) or ".." in address:
        raise ValueError(f"{_CONTROL.sub('?', text)[:60]!r} is no mail address that can be used here")
    return address


def compose(mail: Mail, message: Message) -> bytes:
    """Return the message as it goes over the wire. What came from alerts is text in it, never a header or mark-up."""
    letter = EmailMessage(policy=SMTP)
    letter["From"] = Address(mail.name, addr_spec=mail.sender)
    letter["To"] = [Address(addr_spec=one) for one in mail.recipients]
    letter["Subject"] = _CONTROL.sub(" ", message.title)
    letter["Date"] = formatdate()
    letter["Message-ID"] = f"<{_ID.sub('-', message.id)}@{mail.domain}>"
    if message.incident:
        thread = f"<incident.{_ID.sub('-', message.incident)}@{mail.domain}>"
        letter["In-Reply-To"] = thread
        letter["References"] = thread
    letter["Auto-Submitted"] = "auto-generated"
    letter["X-Auto-Response-Suppress"] = "All"
    if message.kind is EffectKind.PAGE:
        letter["Importance"] = "high"
        letter["X-Priority"] = "1"
    letter.set_content(message.body, cte="quoted-printable")
    letter.add_alternative(_html(message), subtype="html", cte="quoted-printable")
    return letter.as_bytes()


def _html(message: Message) -> str:
    parts = [f"<p><strong>{escape(message.title)}</strong></p>"]
    if message.answer_url:
        to = escape(message.answer_url)
        parts.append(f'<p>Tap <strong>{escape(message.number)}</strong> here: <a href="{to}">acknowledge</a></p>')
    if message.url.lower().startswith(("https://", "http://")):
        parts.append(f'<p><a href="{escape(message.url)}">Open the incident</a></p>')
    parts.append(f'<pre style="white-space: pre-wrap; font: inherit">{escape(message.body)}</pre>')
    return "<!doctype html><html><body>" + "\n".join(parts) + "</body></html>\n"


class _Conversation:
    """One conversation with a mail server. `sent`: the message is on its way, and no answer to it has come."""

    def __init__(self, mail: Mail) -> None:
        self.sent = False
        self._mail = mail
        self._server: smtplib.SMTP | None = None

    def hand_over(self, letter: bytes) -> Delivery:
        server = self._server = self._connect()
        self._expect(server.docmd("MAIL", f"FROM:<{self._mail.sender}>"), 250)
        refused = self._recipients(server)
        if len(refused) == len(self._mail.recipients):
            code, text = min(refused)  # one that may work later decides
            return _answered(code, text)
        self._expect(server.docmd("DATA"), 354)
        self.sent = True
        server.send(_DOT.sub(b"..", letter) + b".\r\n")
        answer = server.getreply()
        self.sent = False
        self._expect(answer, 250)
        but = f"; {len(refused)} of {len(self._mail.recipients)} recipients were refused" if refused else ""
        return Delivery(Ending.DELIVERED, f"the mail server took it{but}")

    def close(self) -> None:
        """Say goodbye, if anybody still listens; how the message ended is known by now."""
        if self._server is not None and self._server.sock is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self._server.docmd("QUIT")
            self._server.close()

    def _connect(self) -> smtplib.SMTP:
        mail = self._mail
        if mail.mode == "ssl":
            return self._signed_in(
                smtplib.SMTP_SSL(mail.host, mail.port, mail.domain, timeout=TIMEOUT_S, context=self._tls())
            )
        server = self._server = smtplib.SMTP(mail.host, mail.port, mail.domain, timeout=TIMEOUT_S)
        server.ehlo()
        if mail.mode == "starttls" or (mail.mode == "offered" and server.has_extn("starttls")):
            server.starttls(context=self._tls())
            server.ehlo()
        elif mail.mode == "offered" and mail.password:
            raise smtplib.SMTPNotSupportedError(
                "no TLS, and the password would be read on the way; mode=insecure forces it"
            )
        return self._signed_in(server)

    def _signed_in(self, server: smtplib.SMTP) -> smtplib.SMTP:
        self._server = server
        server.ehlo_or_helo_if_needed()
        if self._mail.user and self._mail.password:
            server.login(self._mail.user, self._mail.password)
        return server

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._mail.mode == "offered" or not self._mail.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _recipients(self, server: smtplib.SMTP) -> list[tuple[int, bytes]]:
        answers = [server.docmd("RCPT", f"TO:<{one}>") for one in self._mail.recipients]
        return [(code, text) for code, text in answers if code not in {250, 251}]

    @staticmethod
    def _expect(answer: tuple[int, bytes], code: int) -> None:
        if answer[0] != code:
            raise smtplib.SMTPResponseException(*answer)


def _answered(code: int, text: bytes | str) -> Delivery:
    """Return what a refusal comes to: 4yz is for now, 5yz for good (RFC 5321, 4.2.1)."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    reason = f"SMTP {code}: {_CONTROL.sub(' ', words)}"[:REASON_MAX]
    return Delivery(Ending.GIVE_UP if 500 <= code < 600 else Ending.TRY_AGAIN, reason)


def _broken(fault: OSError, sent: bool) -> Delivery:
    if sent:
        return Delivery(Ending.TRY_AGAIN, "the mail server took the message but did not answer", ambiguous=True)
    if isinstance(fault, ssl.SSLCertVerificationError):
        return Delivery(Ending.TRY_AGAIN, f"the mail server's certificate was not accepted: {fault.verify_message}")
    if isinstance(fault, ssl.SSLError):
        return Delivery(Ending.TRY_AGAIN, "TLS with the mail server failed; is it the right port for this mode?")
    if isinstance(fault, socket.gaierror):
        return Delivery(Ending.TRY_AGAIN, "the mail server's name does not resolve")
    if isinstance(fault, TimeoutError):
        return Delivery(Ending.TRY_AGAIN, "the mail server did not answer in time")
    if isinstance(fault, ConnectionRefusedError):
        return Delivery(Ending.TRY_AGAIN, "the mail server refused the connection")
    return Delivery(Ending.TRY_AGAIN, f"the mail server cannot be reached: {fault.strerror or type(fault).__name__}")
