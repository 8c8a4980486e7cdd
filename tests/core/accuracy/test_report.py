import json
from dataclasses import replace
from xml.etree import ElementTree

from ruasr_tel.accuracy.report import Report, to_json, to_svg, to_text
from ruasr_tel.accuracy.score import score

CLEAN = score([("раз два", "раз два"), ("три", "тори")])
LOSS = score([("раз два", ""), ("три", "тори")])
REPORT = Report(
    model="mine <1>",
    engine="onnx",
    profile="default",
    manifest="my & own.tsv",
    audio_s=12.3456,
    numbers_as_words=True,
    scores={"clean": CLEAN, "loss5": LOSS},
    left_out={"gsm": "needs libgsm"},
)


def test_the_table() -> None:
    assert to_text(REPORT) == (
        "mine <1> (engine onnx, profile default) on my & own.tsv: 2 recordings, 12 s, 3 words.\n"
        "Compared: lower case, ё as е, everything but letters and digits a space, digits as "
        "words. In brackets: 95 % bootstrap interval.\n"
        "\n"
        "| condition | WER, % | CER, % | wrong / missing / extra words | without an error |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| clean | 33.3 (0.0 to 100.0) | 10.0 (0.0 to 33.3) | 1 / 0 / 0 | 1 of 2 |\n"
        "| loss5 | 100.0 (100.0 to 100.0) | 80.0 (33.3 to 100.0) | 1 / 2 / 0 | 0 of 2 |\n"
        "| gsm | left out: needs libgsm | | | |\n"
    )


def test_json_has_every_figure() -> None:
    found = json.loads(json.dumps(to_json(REPORT)))
    assert found["audio_s"] == 12.346
    assert found["left_out"] == {"gsm": "needs libgsm"}
    assert found["conditions"]["loss5"]["wer"] == {
        "rate": 1.0,
        "low": 1.0,
        "high": 1.0,
        "errors": 3,
        "units": 3,
    }
    assert found["conditions"]["clean"]["without_an_error"] == 1


def test_the_picture_has_a_bar_for_each_rate_as_long_as_it_is() -> None:
    root = ElementTree.fromstring(to_svg(REPORT))
    space = "{http://www.w3.org/2000/svg}"
    bars = [each for each in root.iter(f"{space}rect") if each.get("height") == "18"]
    lengths = [float(bar.get("width", "")) for bar in bars]
    assert len(lengths) == 4
    assert lengths[2] == 520.0  # 100 %, the widest
    assert [round(length / 520, 2) for length in lengths] == [0.33, 0.1, 1.0, 0.8]
    said = [each.text for each in root.iter(f"{space}text")]
    assert "mine <1>: errors, %" in said
    assert "loss5" in said


def test_long_names_of_conditions_have_room_in_the_picture() -> None:
    name = "alaw, lm letters.npz:0.25:0.4 + words.npz:0.35:1.5"
    root = ElementTree.fromstring(to_svg(replace(REPORT, scores={name: CLEAN})))
    space = "{http://www.w3.org/2000/svg}"
    (label,) = [each for each in root.iter(f"{space}text") if each.text == name]
    assert float(label.get("x", "")) > 7 * len(name)  # it ends there
    bars = [each for each in root.iter(f"{space}rect") if each.get("height") == "18"]
    assert all(float(bar.get("x", "")) > float(label.get("x", "")) for bar in bars)
