"""A real Asterisk in its own process, and calls placed through its manager."""

import asyncio
import os
import shutil
import signal
import socket
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np

from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import Samples
from tests.asterisk.chroot import PROMPTS
from tests.asterisk.settings import EXAMPLES, MODULES_DIR, files

UNPLAYED_SAMPLES = 22
"""Asterisk's WAV reader never plays the last 44 bytes of a file (our measurement)."""


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass(eq=False)
class PlacedCall:
    """One call: a caller who plays prompts, and an extension of our examples that answers.

    Attributes:
        extension: which.
        number: of its two channels, without the suffix.
        variables: what the answering channel's dialplan set.
        said: what it told by Verbose().
        channels: names by unique id.
        named: the dialplan gave the call its name.
        ended: both channels are gone.
    """

    extension: str
    number: str = field(default_factory=lambda: str(uuid4()))
    variables: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    channels: dict[str, str] = field(default_factory=dict)
    named: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def call_id(self) -> str:
        """The name that the dialplan gave the call."""
        names = ("CALL_UUID", "__RUASR_CALL_ID", "RUASR_CALL_ID")
        return next((self.variables[name] for name in names if name in self.variables), "")

    def take(self, event: Mapping[str, str]) -> None:
        """Note an event of one of its channels."""
        kind, channel = event["Event"], event["Uniqueid"]
        if kind == "Newchannel":
            self.channels[channel] = event["Channel"]
        elif kind == "Hangup":
            self.channels.pop(channel, None)
            if not self.channels:
                self.ended.set()
        elif channel == f"{self.number}-1" and kind == "VarSet":
            self.variables[event["Variable"]] = event["Value"]
            if self.call_id:
                self.named.set()
        elif channel == f"{self.number}-1" and event.get("Application") == "Verbose":
            self.said.append(event["AppData"].partition(",")[2])


class Asterisk:
    """One Asterisk on loopback.

    Args:
        root: from `chroot.root`.
        ports: of our doors.
        modules: further ones.
    """

    def __init__(self, root: Path, ports: Mapping[str, int], modules: Sequence[Path] = ()) -> None:
        self._root = root
        self._modules = modules
        self._inside = f"/ruasr-suite-{os.getpid()}"
        self._folder = root / self._inside.strip("/")
        self._ami, self.http = free_port(), free_port()
        self._ports = ports
        self._calls: dict[str, PlacedCall] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._booted = asyncio.Event()

    async def start(self) -> None:
        """Write its configuration, run it, and wait until it is fully booted."""
        self._write_files()
        command = (
            *("chroot", "--userspec=asterisk:asterisk", str(self._root)),
            *("env", "-i", "PATH=/usr/sbin:/usr/bin", f"HOME={self._inside}", "LANG=C.UTF-8"),
            *("asterisk", "-f", "-C", f"{self._inside}/etc/asterisk.conf"),
        )
        with (self._folder / "log/console").open("wb") as console:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=console, stderr=console
            )
        async with asyncio.timeout(6 * TIMEOUT_S):
            reader = await self._connect()
            self._booted.clear()
            self._reading = asyncio.create_task(self._read(reader))
            self._act(Action="Login", Username="suite", Secret="suite")
            await self._booted.wait()
        # Whom 9101 calls: the example has a telephone there, which the suite has not.
        self._act(Action="Setvar", Variable="RUASR_CALLEE", Value="Local/callee@callers/n")

    async def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; with SIGKILL nobody is told."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            async with asyncio.timeout(3 * TIMEOUT_S):
                await self._process.wait()
        if self._reading is not None:
            await asyncio.wait([self._reading])
        if self._writer is not None:
            self._writer.close()

    def signal(self, number: int) -> None:
        """Send its process a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def answers(self) -> bool:
        """Return whether it can still list its channels; a hung Asterisk cannot."""
        listing = await asyncio.create_subprocess_exec(
            *("chroot", "--userspec=asterisk:asterisk", str(self._root)),
            *("asterisk", "-C", f"{self._inside}/etc/asterisk.conf", "-rx", "core show channels"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                said, _ = await listing.communicate()
        except TimeoutError:
            listing.kill()
            await listing.wait()
            return False
        return b"active channel" in said

    def forget(self) -> None:
        """Remove its files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        """Return what it logged."""
        return (self._folder / "log/full").read_text("utf-8", errors="replace")

    def place(
        self,
        extension: str,
        prompt: str,
        caller: str = "speak",
        tail: float = 1.5,
        **variables: str,
    ) -> PlacedCall:
        """Begin a call from a caller to an extension of our examples.

        Args:
            extension: who answers.
            prompt: what the caller plays, by its name or from `whole_frames`.
            caller: an extension of `settings.CALLERS`.
            tail: how long it stays silent on the line after that.
            variables: further ones of both channels.
        """
        file = prompt if prompt.startswith("/") else f"{PROMPTS.name}/{prompt}"
        given = {"PROMPT": file, "TAIL": str(tail)} | variables
        return self._originate(extension, f"{caller}@callers", given)

    def dial(self, extension: str, network: Mapping[str, str], **variables: str) -> PlacedCall:
        """Begin a call to `settings.DIALLED`, whose early media an extension of ours hears.

        Args:
            extension: who hears.
            network: what the other end does.
            variables: further ones of both channels.
        """
        return self._originate(extension, "network@dialled", {**network, **variables}, early=True)

    def _originate(
        self, extension: str, other: str, variables: Mapping[str, str], early: bool = False
    ) -> PlacedCall:
        call = PlacedCall(extension)
        self._calls[call.number] = call
        self._act(
            Action="Originate",
            Channel=f"Local/{other}/n",
            Context="suite",
            Exten=extension,
            Priority="1",
            Async="true",
            EarlyMedia=str(early).lower(),
            ChannelId=f"{call.number}-1",
            OtherChannelId=f"{call.number}-2",
            Variable=",".join(f"{name}={value}" for name, value in variables.items()),
        )
        return call

    def hang_up(self, call: PlacedCall) -> None:
        """Let the caller hang up."""
        self._act(Action="Hangup", Channel=call.channels[f"{call.number}-2"])

    def press(self, call: PlacedCall, digit: str) -> None:
        """Let the caller press a key, whatever it says meanwhile."""
        channel = call.channels[f"{call.number}-2"]
        self._act(Action="PlayDTMF", Channel=channel, Digit=digit, Duration="120")

    def transfer(self, channel: str, extension: str) -> None:
        """Let a channel in a bridge ask another extension, and join both when it hangs up."""
        language = PROMPTS.name  # it asks for the number by pbx-transfer, and must have that
        self._act(Action="Setvar", Channel=channel, Variable="CHANNEL(language)", Value=language)
        self._act(Action="Atxfer", Channel=channel, Exten=extension, Context="suite")

    def prompt(self, name: str) -> Samples:
        """Return what Asterisk plays of a prompt, int16, shape (n,), 8 kHz."""
        with wave.open(str(self._root / PROMPTS / f"{name}.wav")) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples[:-UNPLAYED_SAMPLES].astype(np.int16)

    def whole_frames(self, name: str) -> str:
        """Return a prompt's copy of whole frames of 20 ms, for Playback()."""
        samples = self.prompt(name)
        whole = np.zeros(-(-len(samples) // 160) * 160, np.int16)
        whole[: len(samples)] = samples
        return self.recorded(name, whole)

    def recorded(self, name: str, samples: Samples) -> str:
        """Return a new file of ours for Playback(), int16, shape (n,), 8 kHz."""
        (self._folder / "prompts" / f"{name}.sln").write_bytes(samples.astype("<i2").tobytes())
        return f"{self._inside}/prompts/{name}"

    def _write_files(self) -> None:
        for name in ("etc", "run", "log", "lib", "spool", "agi", "modules", "prompts"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._link_modules()
        names = [module.stem for module in self._modules]
        for name, text in files(self._inside, self._ami, self.http, self._ports, names).items():
            (self._folder / "etc" / name).write_text(text, "utf-8")
        script = self._folder / "agi/ruasr_eagi.py"
        shutil.copy(EXAMPLES / "eagi/ruasr_eagi.py", script)
        script.chmod(0o755)
        owner = (self._root / "var/lib/asterisk").stat()
        for path in (self._folder, *self._folder.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def _link_modules(self) -> None:
        """Make a folder of every module: Asterisk has one, and the package's stays as it is."""
        for module in [*(self._root / MODULES_DIR).glob("*.so"), *self._modules]:
            link = self._folder / "modules" / module.name
            link.unlink(missing_ok=True)
            link.symlink_to(f"/{module.relative_to(self._root)}")

    async def _connect(self) -> asyncio.StreamReader:
        while True:
            try:
                reader, self._writer = await asyncio.open_connection("127.0.0.1", self._ami)
                return reader
            except ConnectionRefusedError:
                assert self._process is not None
                assert self._process.returncode is None, self.log()[-2000:]
                await asyncio.sleep(0.1)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        event: dict[str, str] = {}
        try:
            async for line in reader:
                key, colon, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
                if colon:
                    event[key] = value
                elif not key:
                    self._take(event)
                    event = {}
        except ConnectionResetError:
            pass
        for call in self._calls.values():
            call.ended.set()

    def _take(self, event: Mapping[str, str]) -> None:
        if event.get("Event") == "FullyBooted":
            self._booted.set()
        call = self._calls.get(event.get("Uniqueid", "").rpartition("-")[0])
        if call is not None and "Event" in event:
            call.take(event)

    def _act(self, **fields: str) -> None:
        assert self._writer is not None
        lines = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
        self._writer.write(f"{lines}\r\n".encode())
