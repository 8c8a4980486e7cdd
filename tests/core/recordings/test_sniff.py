from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.audio.codec import Encoding, encode
from ruasr_tel.recordings.sniff import SNIFF_BYTES, UNKNOWN, Content, sniff
from ruasr_tel.testing import phrase, silence
from ruasr_tel.types import Samples

WAV = Path("tests/data/wav/vm-intro.wav")


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\x0a\x0a\x0a\x0aWAVEfmt ", "audio/wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
        (b"OggS\0\2", "audio/ogg"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"ID3\4\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"#!AMR\n\x3c", "audio/amr"),
        (b"#!AMR-WB\n", "audio/amr"),
        (b"\0\0\0\x20ftypM4A ", "audio/mp4"),
        (b"\x1aE\xdf\xa3\x9fB\x86", "video/webm"),
        (b"FORM\0\0\0\0AIFF", "audio/aiff"),
        (b".snd\0\0\0\x18", "audio/basic"),
        (b"caff\0\1", "audio/x-caf"),
        (b"0&\xb2u\x8ef\xcf\x11", "video/x-ms-asf"),
    ],
)
def test_recordings_are_known_by_their_marks(head: bytes, mime: str) -> None:
    assert sniff(head) == Content(mime)


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (b"", Content("application/x-empty", "an empty file")),
        (b"<!DOCTYPE html><title>Login</title>", Content("text/html", "a web page")),
        (b"\xef\xbb\xbf\r\n <HTML lang=ru>", Content("text/html", "a web page")),
        ("<html><h1>Ошибка</h1>".encode("cp1251"), Content("text/html", "a web page")),
        (b"<!-- \0 -->", Content("text/html", "a web page")),
        (b'{"error": "not found"}', Content("application/json", "a JSON answer")),
        (b"\n[1, 2]", Content("application/json", "a JSON answer")),
        (b"<?xml version='1.0'?><Error/>", Content("text/xml", "an XML document")),
        (b"<Error><Code>NoSuchKey</Code>", Content("text/xml", "an XML document")),
        (b"#EXTM3U\nhttp://a/b.ts", Content("audio/x-mpegurl", "a playlist")),
        ("Файл не найден".encode(), Content("text/plain", "a text")),
        (b" \r\n\t", Content("text/plain", "a text")),
        ("щ".encode() * SNIFF_BYTES, Content("text/plain", "a text")),
        (b"PK\3\4\x14", Content("application/zip", "an archive (zip)")),
        (b"\x1f\x8b\x08\0", Content("application/gzip", "a compressed file (gzip)")),
        (b"Rar!\x1a\x07\1", Content("application/vnd.rar", "an archive (rar)")),
        (b"7z\xbc\xaf'\x1c", Content("application/x-7z-compressed", "an archive (7z)")),
        (b"%PDF-1.7", Content("application/pdf", "a PDF document")),
        (b"\x89PNG\r\n\x1a\n", Content("image/png", "a picture")),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", Content("image/jpeg", "a picture")),
        (b"GIF89a", Content("image/gif", "a picture")),
        (b"\x7fELF\2", Content("application/x-elf", "a program")),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            Content("application/x-ole-storage", "an office document"),
        ),
    ],
)
def test_what_is_no_recording_is_named(head: bytes, content: Content) -> None:
    assert sniff(head[:SNIFF_BYTES]) == content


@pytest.mark.parametrize("encoding", list(Encoding))
@pytest.mark.parametrize("samples", [silence(0.2), phrase((0.1, 0.1)), silence(0.2) * 0])
def test_sound_without_a_header_goes_to_the_decoder(encoding: Encoding, samples: Samples) -> None:
    assert sniff(encode(samples, encoding)[:SNIFF_BYTES]) == Content(UNKNOWN)


def test_a_real_recording() -> None:
    assert sniff(WAV.read_bytes()[:SNIFF_BYTES]) == Content("audio/wav")


@settings(deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_are_something(head: bytes) -> None:
    assert sniff(head).mime.count("/") == 1


@settings(deadline=None)
@given(st.text(min_size=1, max_size=SNIFF_BYTES // 4))
def test_printable_text_is_never_taken_for_sound(text: str) -> None:
    printable = "".join(letter for letter in text if letter.isprintable()).lstrip("#.IFRcfO0")
    assert not printable or sniff(printable.encode()).not_audio
