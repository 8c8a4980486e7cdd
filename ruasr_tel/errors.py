"""Everything that ruasr_tel raises on purpose.

    RuasrError
    ├── ConfigError            the operator is told, exit code 2
    ├── PortTaken              the operator is told, exit code 1
    ├── ProtocolError          the peer broke its protocol: its leg ends, nothing else
    ├── AudioFormatError       audio that cannot be read: its file or leg ends (also a ValueError)
    │   └── DecoderDied        a file ended the decoder's process: its job tries again, then fails
    ├── EngineError
    │   ├── ModelLoadError     the model cannot be used: the operator is told, exit code 2
    │   ├── DecodeError        this segment gets an empty final with the reason
    │   └── EngineDied         the engine process ended under a segment; the scheduler tries again
    ├── ModelPullError         a model was not brought, nothing was installed: exit code 1
    ├── FetchError             a recording cannot be had: its job fails, or tries again
    │   └── AddressRefused     nor will it ever be: this server does not go there
    ├── DeliveryError          a webhook was not taken: it is sent again later, or never
    ├── StoreError             the database does not work: the operator is told, exit code 1
    ├── BadCursor              a client's cursor that no page gave (also a ValueError)
    └── Overloaded             a new call is refused, in its protocol's own way

Messages say what is wrong and what to do, and carry the numbers.
"""


class RuasrError(Exception):
    """Base of all errors below."""


class ConfigError(RuasrError):
    """The configuration cannot be used; names the key and the cure. Exit code 2."""


class PortTaken(RuasrError):
    """A door's port is in use; names the address. Exit code 1."""


class ProtocolError(RuasrError):
    """A peer sent what its protocol forbids; its leg ends with what was recognised so far."""


class AudioFormatError(RuasrError, ValueError):
    """Audio of a kind or content that cannot be read; the file or leg it came from ends."""


class DecoderDied(AudioFormatError):
    """The process that decodes a file ended or hung; by the file, or by a machine out of memory."""


class EngineError(RuasrError):
    """Base of what an engine can do wrong."""


class ModelLoadError(EngineError):
    """A model cannot be used; one sentence names the file and the cure. Exit code 2."""


class DecodeError(EngineError):
    """One segment could not be decoded; its call gets an empty final with this reason."""


class EngineDied(EngineError):
    """The engine process ended or hung while it held a segment; the scheduler decides what next."""


class ModelPullError(RuasrError):
    """A model could not be brought, packed or removed; nothing was changed. Exit code 1."""


class FetchError(RuasrError):
    """A foreign URL gave no recording; the message is for whoever ordered it.

    Attributes:
        retryable: whether the same may succeed later.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class AddressRefused(FetchError):
    """A URL that is none or leads where this server may not connect; the same later."""


class DeliveryError(RuasrError):
    """A webhook was not delivered; the message is for whoever asked for it.

    Attributes:
        retryable: whether to send it again later.
        retry_after_s: the receiver wants to be left alone for as long, or None.
    """

    def __init__(
        self, message: str, *, retryable: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class StoreError(RuasrError):
    """The database does not work now; says where it is, and the cure. Exit code 1."""


class BadCursor(RuasrError, ValueError):
    """A cursor that no page gave; the client is told (HTTP 400)."""


class Overloaded(RuasrError):
    """There is no room for this work now: a new call is refused, a partial is skipped."""
