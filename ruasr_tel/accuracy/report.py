"""A table, a picture and JSON of error rates. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from ruasr_tel.accuracy.score import NORMALISATION, Rate, Score


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured.

    Attributes:
        model: the model's name.
        engine: the engine's name.
        profile: how it listened.
        manifest: what it heard.
        audio_s: seconds of it, in one condition.
        numbers_as_words: whether digits were compared as words.
        scores: condition -> score, in order.
        left_out: condition -> why it was not measured.
    """

    model: str
    engine: str
    profile: str
    manifest: str
    audio_s: float
    numbers_as_words: bool
    scores: Mapping[str, Score]
    left_out: Mapping[str, str]


def to_text(report: Report) -> str:
    """Return a Markdown table with what it is about."""
    first = next(iter(report.scores.values()))
    numbers = ", digits as words" if report.numbers_as_words else ""
    lines = [
        f"{report.model} (engine {report.engine}, profile {report.profile}) on {report.manifest}: "
        f"{first.recordings} recordings, {report.audio_s:.0f} s, {first.wer.units} words.",
        f"Compared: {NORMALISATION}{numbers}. In brackets: 95 % bootstrap interval.",
        "",
        "| condition | WER, % | CER, % | wrong / missing / extra words | without an error |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {_cell(score.wer)} | {_cell(score.cer)} "
        f"| {score.substitutions} / {score.deletions} / {score.insertions} "
        f"| {score.exact} of {score.recordings} |"
        for name, score in report.scores.items()
    ]
    lines += [f"| {name} | left out: {why} | | | |" for name, why in report.left_out.items()]
    return "\n".join(lines) + "\n"


def _cell(rate: Rate) -> str:
    return f"{100 * rate.rate:.1f} ({100 * rate.low:.1f} to {100 * rate.high:.1f})"


def to_json(report: Report) -> dict[str, object]:
    """Return it as plain values; rates are shares, not percent."""
    return {
        "model": report.model,
        "engine": report.engine,
        "profile": report.profile,
        "manifest": report.manifest,
        "audio_s": round(report.audio_s, 3),
        "normalisation": NORMALISATION,
        "numbers_as_words": report.numbers_as_words,
        "conditions": {name: _score_json(score) for name, score in report.scores.items()},
        "left_out": dict(report.left_out),
    }


def _score_json(score: Score) -> dict[str, object]:
    return {
        "recordings": score.recordings,
        "without_an_error": score.exact,
        "substitutions": score.substitutions,
        "deletions": score.deletions,
        "insertions": score.insertions,
        "wer": _rate_json(score.wer),
        "cer": _rate_json(score.cer),
    }


def _rate_json(rate: Rate) -> dict[str, object]:
    return {
        "rate": round(rate.rate, 6),
        "low": round(rate.low, 6),
        "high": round(rate.high, 6),
        "errors": rate.errors,
        "units": rate.units,
    }


_LEFT, _RIGHT, _ROW, _BAR, _TOP = 90, 130, 56, 18, 60
_LETTER = 7.5  # width that a letter of the font takes at most, on average
_PLOT = 520  # width of the axis
_KINDS = (("WER", "#4269d0"), ("CER", "#efb118"))  # blue and amber: apart for the colour-blind, too


def to_svg(report: Report) -> str:
    """Return a bar per condition and rate with its interval, as an SVG document."""
    rows = list(report.scores.items())
    top = max(0.1, *(max(score.wer.high, score.cer.high) for _, score in rows))
    height = _TOP + _ROW * len(rows) + 40
    left = max(_LEFT, 16 + round(_LETTER * max(len(name) for name, _ in rows)))
    width = left + _PLOT + _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{left}" y="24" font-size="15">{escape(report.model)}: errors, %</text>',
        f'<text x="{left}" y="44" fill="#555555">{escape(report.manifest)}, '
        f"{rows[0][1].recordings} recordings; lines: 95 % interval</text>",
        *_legend(width),
    ]
    for i, (name, score) in enumerate(rows):
        y = _TOP + i * _ROW
        parts.append(f'<text x="{left - 8}" y="{y + 28}" text-anchor="end">{escape(name)}</text>')
        for j, rate in enumerate((score.wer, score.cer)):
            parts += _bar(rate, left, y + 6 + j * (_BAR + 2), top, _KINDS[j][1])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _legend(width: int) -> Sequence[str]:
    return [
        f'<rect x="{width - 110 + 55 * i}" y="13" width="12" height="12" fill="{colour}"/>'
        f'<text x="{width - 94 + 55 * i}" y="24">{name}</text>'
        for i, (name, colour) in enumerate(_KINDS)
    ]


def _bar(rate: Rate, left: int, y: int, top: float, colour: str) -> Sequence[str]:
    scale = _PLOT / top
    middle = y + _BAR / 2
    low, high = left + rate.low * scale, left + rate.high * scale
    length = f"{rate.rate * scale:.1f}"
    return [
        f'<rect x="{left}" y="{y}" width="{length}" height="{_BAR}" fill="{colour}"/>',
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#222222" stroke-width="1.5"/>',
        f'<text x="{left + _PLOT + 8}" y="{middle + 5}">{_cell(rate)}</text>',
    ]
