"""Reads the heads of HTTP answers; pure."""

import re
from collections.abc import Mapping
from datetime import timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath

from ruasr_tel.errors import FetchError


def validator(headers: Mapping[str, str]) -> str | None:
    """Return what tells whether the file is still the same, fit for If-Range, or None.

    RFC 9110, 13.1.5: no weak entity tag; a date only if it is a strong validator, which by
    8.8.2.2 it is a second before the answer's own date.
    """
    tag = headers.get("ETag", "")
    if re.fullmatch(r'"[\x21\x23-\x7e\x80-\xff]*"', tag):
        return tag
    try:
        modified = parsedate_to_datetime(headers["Last-Modified"])
        sent = parsedate_to_datetime(headers["Date"])
        return headers["Last-Modified"] if sent - modified >= timedelta(seconds=1) else None
    except (KeyError, ValueError, TypeError):  # TypeError: one of them has no time zone
        return None


def file_name(headers: Mapping[str, str]) -> str:
    """Return the file name of Content-Disposition (RFC 6266), cleaned; may be empty."""
    message = Message()
    message["Content-Disposition"] = re.sub(r"\s+", " ", headers.get("Content-Disposition", ""))
    return cleaned(message.get_filename() or "")


def cleaned(name: str) -> str:
    """Return a name without folders and control characters, at most 100 characters long."""
    name = PurePosixPath(name.replace("\\", "/")).name
    name = "".join(letter for letter in name if letter.isprintable()).strip(". ")
    suffix = PurePosixPath(name).suffix[:20]
    return name if len(name) <= 100 else name[: 100 - len(suffix)] + suffix


def status_error(status: int, host: str) -> FetchError:
    """Return what a status means for somebody who wants a recording."""
    number = f"(HTTP {status})"
    if status in (404, 410):
        return FetchError(f"{host} has no such file {number}")
    if status in (401, 403, 407):
        return FetchError(
            f"{host} does not let this server have the file {number}; an administrator can set "
            "a password for it (credentials)"
        )
    if status in (408, 425, 429):
        return FetchError(f"{host} asks to come back later {number}", retryable=True)
    if status >= 500:
        return FetchError(f"{host} has a fault of its own {number}", retryable=True)
    return FetchError(f"{host} answered {number[1:-1]} instead of the file")


def retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return how long the host wants to be left alone, in seconds, or None.

    Args:
        headers: of the answer; Retry-After is seconds or a date (RFC 9110, 10.2.3).
        now_s: Unix time.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return None
