"""What a file is by its first bytes: neither its name nor its sender is believed."""

import re
from dataclasses import dataclass

SNIFF_BYTES = 1445
"""How much of a file is looked at (MIME Sniffing Standard, 5: "the resource header")."""

UNKNOWN = "application/octet-stream"
"""Something binary: for the decoder to judge, as recordings without a header look like nothing."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file seems to hold.

    Attributes:
        mime: MIME type, `UNKNOWN` when only a decoder can tell.
        not_audio: what it is instead of a recording, in words with an article, or None.
    """

    mime: str
    not_audio: str | None = None


# Container and stream marks: RFC 9559 (Matroska), RFC 3533 (Ogg), RFC 9639 (FLAC), RFC 4867 5
# (AMR), ISO 14496-12 (`ftyp`), RIFF, EBU Tech 3306 (RF64), AIFF, CAF, Sun AU, ID3v2, ADTS and MPEG
# audio sync words (ISO 11172-3, 13818-7), ASF.
_AUDIO = (
    (rb"(RIFF|RF64|RIFX)....WAVE", "audio/wav"),
    (rb"OggS", "audio/ogg"),
    (rb"fLaC", "audio/flac"),
    (rb"ID3", "audio/mpeg"),
    (rb"#!AMR", "audio/amr"),
    (rb"....ftyp", "audio/mp4"),
    (rb"\x1aE\xdf\xa3", "video/webm"),
    (rb"FORM....AIF[FC]", "audio/aiff"),
    (rb"caff", "audio/x-caf"),
    (rb"\.snd", "audio/basic"),
    (rb"0&\xb2u\x8ef\xcf\x11", "video/x-ms-asf"),
    (rb"\xff[\xf0\xf1\xf8\xf9]", "audio/aac"),
    (rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", "audio/mpeg"),
)
_NOT_AUDIO = (
    (rb"PK\x03\x04|PK\x05\x06", "application/zip", "an archive (zip)"),
    (rb"\x1f\x8b\x08", "application/gzip", "a compressed file (gzip)"),
    (rb"Rar!\x1a\x07", "application/vnd.rar", "an archive (rar)"),
    (rb"7z\xbc\xaf'\x1c", "application/x-7z-compressed", "an archive (7z)"),
    (rb"%PDF-", "application/pdf", "a PDF document"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage", "an office document"),
    (rb"\x89PNG\r\n\x1a\n", "image/png", "a picture"),
    (rb"\xff\xd8\xff[\xdb\xe0-\xef]", "image/jpeg", "a picture"),
    (rb"GIF8[79]a", "image/gif", "a picture"),
    (rb"\x7fELF", "application/x-elf", "a program"),
)
# The tags of MIME Sniffing Standard 7.1, after white space and a byte order mark.
_HTML = re.compile(
    rb"<(!doctype html|html|head|body|script|iframe|h1|div|font|table|a|style|title|b|br|p|meta)"
    rb"[\s>/]|<!--",
    re.IGNORECASE,
)
_TEXTS = (
    (re.compile(rb"#EXTM3U|\[playlist\]", re.IGNORECASE), "audio/x-mpegurl", "a playlist"),
    (re.compile(rb"<\?xml|<[a-z][\w:.-]*[\s>/]", re.IGNORECASE), "text/xml", "an XML document"),
    (re.compile(rb"[{\[]"), "application/json", "a JSON answer"),
)
# "A binary data byte" of MIME Sniffing Standard 3, and DEL, which no text holds but u-law does.
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")


def sniff(head: bytes) -> Content:
    """Return what a file holds.

    Args:
        head: its first bytes, `SNIFF_BYTES` of them or the whole file.
    """
    if not head:
        return Content("application/x-empty", "an empty file")
    for pattern, mime in _AUDIO:
        if re.match(pattern, head, re.DOTALL):
            return Content(mime)
    for pattern, mime, words in _NOT_AUDIO:
        if re.match(pattern, head, re.DOTALL):
            return Content(mime, words)
    return _sniff_text(head.removeprefix(b"\xef\xbb\xbf").lstrip()[:SNIFF_BYTES], head)


def _sniff_text(text: bytes, head: bytes) -> Content:
    """Return which kind of text it is, or `UNKNOWN`."""
    if _HTML.match(text):  # also in an encoding that is not UTF-8
        return Content("text/html", "a web page")
    if _BINARY.search(head) or not _is_utf_8(head):
        return Content(UNKNOWN)
    for pattern, mime, words in _TEXTS:
        if pattern.match(text):
            return Content(mime, words)
    return Content("text/plain", "a text")


def _is_utf_8(head: bytes) -> bool:
    """Whether it is UTF-8; the last character may be cut."""
    try:
        head.decode()
    except UnicodeDecodeError as exc:
        return exc.reason == "unexpected end of data"
    return True
