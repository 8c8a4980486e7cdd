from dataclasses import replace

import pytest

from models.training import sources
from models.training.sources import PERMISSIVE, PROMPTS, Source, Voice
from ruasr_tel.errors import ConfigError


@pytest.mark.parametrize("source", sources.ALL, ids=lambda source: source.name)
def test_every_source_is_permissive_and_round_trips(source: Source) -> None:
    source.check()
    assert Source.from_json(source.to_json()) == source


def test_names_are_used_once() -> None:
    assert len({source.name for source in sources.ALL}) == len(sources.ALL)


@pytest.mark.parametrize(
    "licence", ["CC-BY-NC-4.0", "CC-BY-NC-ND-4.0", "CC-BY-SA-3.0", "unknown", "", "mit"]
)
def test_other_terms_are_refused(licence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(PROMPTS, licence=licence).check()
    assert f"{licence or 'no stated licence'!r}, which is not on the list" in str(caught.value)
    assert "CC-BY-4.0" in str(caught.value)


def test_somebody_must_be_named() -> None:
    with pytest.raises(ConfigError, match="needs its origin and whom to name"):
        replace(PROMPTS, attribution=" ").check()


def test_a_source_without_a_field_is_refused() -> None:
    fields = PROMPTS.to_json()
    del fields["licence"]
    with pytest.raises(ConfigError, match="a source needs name, voice, origin, licence"):
        Source.from_json(fields)
    with pytest.raises(ConfigError, match="a source needs"):
        Source.from_json([])


def test_a_voice_is_real_or_synthetic() -> None:
    with pytest.raises(ConfigError, match="a voice is real or synthetic, not 'dog'"):
        Source.from_json(PROMPTS.to_json() | {"voice": "dog"})


def test_the_list_knows_no_share_alike_and_no_non_commercial() -> None:
    assert not any(mark in licence for licence in PERMISSIVE for mark in ("-NC", "-ND", "-SA"))
    assert set(Voice) == {"real", "synthetic"}
