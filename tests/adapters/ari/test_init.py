"""The door is found by its entry point, and described as its example is."""

import re
from importlib.metadata import entry_points
from pathlib import Path

from ruasr_tel_adapters.ari import ADAPTER, AriConfig

ROOT = Path(__file__).parents[3]


def test_the_entry_point_is_the_adapter() -> None:
    (entry,) = entry_points(group="ruasr_tel.adapters", name="ari")
    assert entry.load() is ADAPTER
    assert (ADAPTER.name, ADAPTER.config, ADAPTER.phone) == ("ari", AriConfig, None)


def test_what_the_page_says_to_paste_is_in_the_example_that_a_real_asterisk_is_called_with() -> (
    None
):
    page = (ROOT / "docs/ari.md").read_text("utf-8")
    example = (ROOT / "dialplan_examples/asterisk/ari.conf").read_text("utf-8")
    pasteable = re.sub(r"^;   ", "", example, flags=re.M)
    blocks = re.findall(r"^```(?:ini|yaml)\n(.*?)^```", page, re.M | re.S)
    assert len(blocks) == 3
    for block in blocks:
        assert block in pasteable
