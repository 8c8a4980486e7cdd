"""The learning curve of a run, from its log, as a picture. Pure but for reading the log."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from ruasr_tel.errors import ConfigError

_WIDTH, _HEIGHT, _LEFT, _TOP, _PLOT_WIDTH, _PLOT_HEIGHT = 720, 320, 60, 50, 600, 220
_COLOURS = ("#4269d0", "#efb118", "#3ca951", "#9c6b4e")  # the first two as in accuracy/report.py
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Line:
    """One thing over the hours of audio heard.

    Attributes:
        name: for the legend.
        points: hours and value, in order.
    """

    name: str
    points: Sequence[tuple[float, float]]


def read_log(paths: Iterable[Path]) -> list[dict[str, object]]:
    """Return the lines of logs, one after another; hours go on where the run before ended.

    Raises:
        ConfigError: a log cannot be read or holds nothing.
    """
    facts: list[dict[str, object]] = []
    offset = hours = 0.0
    for path in paths:
        try:
            lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        except (OSError, ValueError) as exc:
            raise ConfigError(f"log {path} cannot be read: {exc}") from exc
        for line in lines:
            now = float(line.get("hours", hours))
            if now < hours:  # a run that began anew
                offset += hours
            hours = now
            facts.append(line | {"hours": offset + hours})
    if not any("loss" in line for line in facts):
        raise ConfigError("the log tells of no loss yet")
    return facts


def lines_of(facts: Sequence[dict[str, object]]) -> list[Line]:
    """Return letter error rates of the dev sets in per cent, and the loss a letter, times 20.

    A dev set's fact is `[word error rate, letter error rate]`.
    """
    rates: dict[str, list[tuple[float, float]]] = {}
    losses: list[tuple[float, float]] = []
    for line in facts:
        hours = line["hours"]
        assert isinstance(hours, float)
        dev, loss = line.get("dev"), line.get("loss")
        if isinstance(loss, int | float):
            losses.append((hours, 20 * loss))
        if isinstance(dev, dict):
            for name, (_, letters) in dev.items():
                rates.setdefault(name, []).append((hours, letters))
    named = [Line(f"CER of {name}, %", points) for name, points in rates.items()]
    return [*named, Line("training loss x 20", losses)]


def to_svg(title: str, lines: Sequence[Line]) -> str:
    """Return lines over hours as an SVG document.

    Args:
        title: of the picture.
        lines: at most four, at least one with a point.
    """
    shown = [line for line in lines if line.points]
    last = max(hours for line in shown for hours, _ in line.points) or 1.0
    top = min(100.0, 1.1 * max(value for line in shown for _, value in line.points)) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="18" font-size="15">{escape(title)}</text>',
        *_axes(last, top),
    ]
    for number, line in enumerate(shown):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(_place(hours / last, min(1.0, value / top)) for hours, value in line.points)
        x = _LEFT + 170 * number
        parts += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<rect x="{x}" y="28" width="10" height="10" fill="{colour}"/>',
            f'<text x="{x + 14}" y="37">{escape(line.name)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _place(right: float, up: float) -> str:
    x = _LEFT + right * _PLOT_WIDTH
    return f"{x:.1f},{_TOP + (1 - up) * _PLOT_HEIGHT:.1f}"


def _axes(last: float, top: float) -> list[str]:
    bottom = _TOP + _PLOT_HEIGHT
    parts = [
        f'<text x="{_LEFT + _PLOT_WIDTH}" y="{bottom + 34}" text-anchor="end">'
        "hours of audio heard</text>"
    ]
    for tick in range(_TICKS + 1):
        x, y = _LEFT + tick * _PLOT_WIDTH / _TICKS, bottom - tick * _PLOT_HEIGHT / _TICKS
        parts += [
            f'<path d="M{_LEFT} {y:.1f}H{_LEFT + _PLOT_WIDTH}" stroke="#dddddd"/>',
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{tick * top / _TICKS:.0f}</text>",
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">'
            f"{tick * last / _TICKS:.3g}</text>",
        ]
    return parts
