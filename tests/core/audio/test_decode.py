import io
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from ruasr_tel.audio.codec import Encoding, encode
from ruasr_tel.audio.decode import Recording, open_recording
from ruasr_tel.errors import AudioFormatError


def tone(rate_hz: int, duration_s: float = 2.0) -> npt.NDArray[np.int16]:
    """A 440 Hz sine of amplitude 8000."""
    time_s = np.arange(int(rate_hz * duration_s)) / rate_hz
    return (8000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)


def write_recording(path: Path, codec: str, channels: npt.NDArray[np.int16], rate_hz: int) -> Path:
    """Encode `channels`, shape (channels, n), with FFmpeg; the suffix picks the container."""
    layout = "mono" if len(channels) == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz)
        assert isinstance(stream, av.AudioStream)
        stream.layout = layout
        interleaved = np.ascontiguousarray(channels.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout=layout)
        frame.rate = rate_hz
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def write_wav(path: Path, channels: npt.NDArray[np.int16], rate_hz: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.ascontiguousarray(channels.T).tobytes())
    return path


def read_all(recording: Recording) -> npt.NDArray[np.int16]:
    """All blocks in one array, shape (channels, n)."""
    with recording:
        blocks = list(recording.blocks())
    assert all(block.dtype == np.int16 and block.shape[1] > 0 for block in blocks)
    assert all(len(block) == recording.channels for block in blocks)
    return np.concatenate(blocks, axis=1)


def test_a_pcm_wav_comes_back_exactly(tmp_path: Path) -> None:
    channels = np.stack([tone(16000), -tone(16000)])
    recording = open_recording(write_wav(tmp_path / "call.wav", channels, 16000))

    assert (recording.channels, recording.sample_rate_hz) == (2, 16000)
    assert recording.declared_s == 2.0
    assert read_all(recording).tolist() == channels.tolist()
    assert recording.fault is None


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz", "channels"),
    [
        ("ulaw.wav", "pcm_mulaw", 8000, 1),
        ("alaw.wav", "pcm_alaw", 8000, 2),
        ("music.mp3", "libmp3lame", 44100, 2),
        ("phone.mp3", "libmp3lame", 8000, 1),
        ("voice.ogg", "libopus", 48000, 1),
        ("voice.flac", "flac", 22050, 2),
        ("voice.m4a", "aac", 16000, 1),
        ("voice.g722", "g722", 16000, 1),
    ],
)
def test_compressed_recordings_keep_rate_channels_length_and_level(
    tmp_path: Path, name: str, codec: str, rate_hz: int, channels: int
) -> None:
    original = np.repeat(tone(rate_hz)[None], channels, axis=0)
    recording = open_recording(write_recording(tmp_path / name, codec, original, rate_hz))
    decoded = read_all(recording)

    assert (recording.channels, recording.sample_rate_hz) == (channels, rate_hz)
    # AAC and MP3 frames are whole: up to two of 1152 samples and the encoder's delay more.
    assert 0 <= decoded.shape[1] - original.shape[1] <= 3456
    middle = decoded[:, decoded.shape[1] // 4 : -decoded.shape[1] // 4].astype(np.float64)
    assert np.sqrt((middle**2).mean()) == pytest.approx(
        8000 / 2**0.5, rel=0.06
    )  # LAME lowers by 5 %
    assert recording.fault is None


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("call.ulaw", encode(tone(8000), Encoding.PCMU)),
        ("call.ALAW", encode(tone(8000), Encoding.PCMA)),
        ("call.sln", tone(8000).tobytes()),
        ("call.sln16", tone(16000).tobytes()),
        ("call.sln44", tone(44100).tobytes()),
    ],
)
def test_asterisk_files_without_a_header_are_told_by_their_name(
    tmp_path: Path, name: str, data: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    recording = open_recording(path)

    assert recording.channels == 1
    assert recording.declared_s == 2.0
    decoded = read_all(recording)[0].astype(np.float64)
    assert np.abs(decoded - tone(recording.sample_rate_hz)).max() < 300  # G.711's step at 8000


def test_asterisk_gsm_is_read(tmp_path: Path) -> None:
    path = tmp_path / "call.gsm"
    path.write_bytes((b"\xd8" + bytes(32)) * 50)  # GSM 06.10 frames: magic 0xd, 33 bytes, 20 ms

    with open_recording(path) as recording:
        assert recording.sample_rate_hz == 8000
        assert sum(block.shape[1] for block in recording.blocks()) == 8000


def test_gsm_in_wav_is_read(tmp_path: Path) -> None:
    """Asterisk's `.WAV` (wav49): two GSM frames in 65 bytes, format tag 0x31."""
    path = tmp_path / "call.WAV"
    data = bytes(65) * 25
    header = b"RIFF" + (52 + len(data)).to_bytes(4, "little") + b"WAVEfmt "
    header += (20).to_bytes(4, "little") + b"\x31\0\1\0" + (8000).to_bytes(4, "little")
    header += (1625).to_bytes(4, "little") + b"\x41\0\0\0\2\0\x40\1"
    path.write_bytes(header + b"data" + len(data).to_bytes(4, "little") + data)

    with open_recording(path) as recording:
        assert sum(block.shape[1] for block in recording.blocks()) == 8000


def test_a_wanted_rate_is_kept_in_time(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "call.wav", tone(44100)[None], 44100)
    with open_recording(path, sample_rate_hz=8000) as recording:
        decoded = np.concatenate(list(recording.blocks()), axis=1)[0]

    assert recording.sample_rate_hz == 8000
    assert abs(len(decoded) - 16000) <= 1
    assert np.abs(decoded[200:15800] - tone(8000)[200:15800].astype(np.float64)).max() < 200


def test_a_long_recording_is_read_in_small_blocks(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "long.wav", np.zeros((1, 8000 * 600), np.int16))

    with open_recording(path) as recording:
        assert max(block.shape[1] for block in recording.blocks()) <= 8192


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nothing.wav"

    with pytest.raises(AudioFormatError) as error:
        open_recording(path)

    assert str(error.value) == f"{path}: No such file or directory"


@pytest.mark.parametrize(
    "data", [b"", b"print('hello')\n" * 300, bytes(range(256)) * 40], ids=["empty", "text", "bytes"]
)
def test_what_is_no_recording_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(data)

    with pytest.raises(AudioFormatError) as error:
        open_recording(path)

    assert str(error.value).startswith(f"{path}: not a recording that can be read (")


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "silent.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((24, 16), np.uint8), format="yuvj420p")
        container.mux([*stream.encode(frame), *stream.encode(None)])

    with pytest.raises(AudioFormatError) as error:
        open_recording(path)

    assert str(error.value) == f"{path}: holds no audio"


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("list.txt", "ffconcat version 1.0\nfile other.wav\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nother.wav\n#EXT-X-ENDLIST\n"),
    ],
)
def test_a_playlist_cannot_name_other_files(tmp_path: Path, name: str, script: str) -> None:
    write_wav(tmp_path / "other.wav", tone(8000)[None])
    path = tmp_path / name
    path.write_text(script)

    with pytest.raises(AudioFormatError):
        open_recording(path)


def test_a_recording_without_samples_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.gsm"
    path.write_bytes(b"\xd8" * 10)

    with pytest.raises(AudioFormatError) as error, open_recording(path) as recording:
        list(recording.blocks())

    assert str(error.value).startswith(f"{path}: no audio could be read (")


def test_a_cut_recording_keeps_what_is_there_and_says_so(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "cut.wav", "pcm_alaw", tone(8000)[None], 8000)
    whole = read_all(open_recording(path))
    path.write_bytes(path.read_bytes()[:-8000])
    recording = open_recording(path)

    assert read_all(recording).tolist() == whole[:, :8000].tolist()
    assert recording.fault == "ends after 1.0 s of 2.0 s declared"


def test_damaged_packets_are_left_out_and_counted(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "cut.flac", "flac", tone(8000, 20.0)[None], 8000)
    path.write_bytes(path.read_bytes()[:-300])
    recording = open_recording(path)

    assert 18 < read_all(recording).shape[1] / 8000 < 20
    assert recording.fault is not None
    assert recording.fault.startswith("1 damaged packets left out")


class FailingDisk(io.BytesIO):
    """A file whose second half cannot be read."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > len(self.getbuffer()) // 2:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_a_disk_that_fails_keeps_what_was_read_and_says_so(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "call.wav", tone(8000, 60.0)[None])
    source = FailingDisk(path.read_bytes())
    recording = Recording(source, "call.wav")

    assert 25 < read_all(recording).shape[1] / 8000 < 35
    assert recording.fault is not None
    assert recording.fault.startswith("reading stopped ([Errno 5] Input/output error); ends after")
    assert source.closed


def test_a_change_of_format_stops_the_reading_and_is_reported(tmp_path: Path) -> None:
    """Two MP3 files one after the other, as `cat` makes them: stereo after mono."""
    first = write_recording(tmp_path / "a.mp3", "libmp3lame", tone(16000)[None], 16000)
    second = write_recording(
        tmp_path / "b.mp3", "libmp3lame", np.stack([tone(44100), tone(44100)]), 44100
    )
    path = tmp_path / "both.mp3"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    recording = open_recording(path)

    assert read_all(recording).shape[1] >= 32000
    assert recording.fault is not None
    assert "stopped where the format changes" in recording.fault


def test_closing_closes_the_file(tmp_path: Path) -> None:
    source = io.BytesIO(write_wav(tmp_path / "call.wav", tone(8000)[None]).read_bytes())

    with Recording(source, "call.wav"):
        pass

    assert source.closed


@pytest.mark.parametrize("count", [3, 7, 8, 9, 64])
def test_any_number_of_channels_comes_back(tmp_path: Path, count: int) -> None:
    channels = np.stack([tone(8000, 0.5) // (n + 1) for n in range(count)]).astype(np.int16)
    recording = open_recording(write_wav(tmp_path / "many.wav", channels))
    assert recording.channels == count
    assert read_all(recording).tolist() == channels.tolist()


def write_packets(
    path: Path, codec: str, rate_hz: int, starts_s: list[float], packet_s: float = 0.02
) -> Path:
    """Encode a tone of `packet_s` for each start; the suffix picks the container."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        samples = tone(rate_hz, packet_s)[None]
        for start_s in starts_s:
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.rate = rate_hz
            frame.pts, frame.time_base = round(start_s * rate_hz), Fraction(1, rate_hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def evenly(begin_s: float, count: int, step_s: float = 0.02) -> list[float]:
    return [begin_s + step_s * number for number in range(count)]


def sounds(samples: npt.NDArray[np.int16], rate_hz: int) -> list[tuple[float, float]]:
    """Begin and end in seconds of all that is not silent, to 10 ms."""
    step = rate_hz // 100
    loud = np.abs(samples[: len(samples) // step * step]).reshape(-1, step).max(axis=1) > 1000
    edges = np.flatnonzero(np.diff(loud.astype(np.int8), prepend=0, append=0)) / 100
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "codec", "rate_hz"),
    [
        ("call.mkv", "pcm_s16le", 8000),
        ("call.mkv", "pcm_u8", 8000),
        ("call.webm", "libopus", 48000),
        ("call.ogg", "libopus", 48000),
    ],
)
@pytest.mark.parametrize("wanted_hz", [None, 16000])
def test_a_hole_in_the_timestamps_is_silence(
    tmp_path: Path, name: str, codec: str, rate_hz: int, wanted_hz: int | None
) -> None:
    starts_s = [*evenly(0.0, 50), *evenly(6.0, 50)]
    recording = open_recording(write_packets(tmp_path / name, codec, rate_hz, starts_s), wanted_hz)
    decoded = read_all(recording)[0]

    assert recording.fault is None
    heard = sounds(decoded, recording.sample_rate_hz)
    expected = [(0.0, 1.0), (6.0, 7.0)]
    assert np.array(heard) == pytest.approx(np.array(expected), abs=0.03)
    assert len(decoded) == pytest.approx(7.0 * recording.sample_rate_hz, abs=0.03 * 48000)


def test_a_hole_is_as_long_as_its_timestamps_say(tmp_path: Path) -> None:
    starts_s = [*evenly(3.0, 50), *evenly(6.0, 50)]
    path = write_packets(tmp_path / "call.mkv", "pcm_s16le", 8000, starts_s)
    part = np.tile(tone(8000, 0.02), 50)

    expected = np.concatenate([part, np.zeros(16000, np.int16), part])
    assert read_all(open_recording(path))[0].tolist() == expected.tolist()


def test_timestamps_that_tremble_make_no_holes(tmp_path: Path) -> None:
    trembling = [at + 0.019 * (number % 3 == 1) for number, at in enumerate(evenly(0.0, 50))]
    path = write_packets(tmp_path / "call.mkv", "pcm_s16le", 8000, trembling)
    assert read_all(open_recording(path)).shape[1] == 8000


def test_a_container_that_only_counts_has_no_holes(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "call.avi", "g722", tone(16000)[None], 16000)
    recording = open_recording(path)

    assert read_all(recording).shape[1] == 32000
    assert recording.fault is None


def test_timestamps_may_begin_anew(tmp_path: Path) -> None:
    """Two MPEG transport streams one after the other: the second has a hole of 2 s."""
    frame_s = 1152 / 32000
    late = evenly(50.0, 50, frame_s)
    early = [*evenly(0.0, 50, frame_s), *evenly(50 * frame_s + 2.0, 50, frame_s)]
    paths = [
        write_packets(tmp_path / f"{number}.ts", "mp2", 32000, starts_s, frame_s)
        for number, starts_s in enumerate([late, early])
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(one.read_bytes() for one in paths))

    decoded = read_all(open_recording(path))
    assert decoded.shape[1] == pytest.approx(150 * 1152 + 2 * 32000, abs=2 * 1152)


def test_many_lost_packets_shift_nothing(tmp_path: Path) -> None:
    starts_s = [at for number, at in enumerate(evenly(0.0, 500)) if number % 10 != 5]
    path = write_packets(tmp_path / "call.mkv", "pcm_s16le", 8000, starts_s)

    assert read_all(open_recording(path)).shape[1] == pytest.approx(80000, abs=2 * 160)


def test_forged_timestamps_make_no_hours_of_silence(tmp_path: Path) -> None:
    starts_s = [0.0, 1e6, 1e6 + 5, 2e6]
    path = write_packets(tmp_path / "call.mka", "pcm_s16le", 8000, starts_s)
    recording = open_recording(path)

    assert read_all(recording).shape[1] == 8000 * 5 + 3 * 160
    assert recording.fault == "2 holes of over 60 min in its timestamps left out"
