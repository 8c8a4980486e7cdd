import inspect

import pytest

from ruasr_tel import errors
from ruasr_tel.errors import AudioFormatError, EngineError, ModelLoadError, RuasrError

ALL = [each for _, each in inspect.getmembers(errors, inspect.isclass)]


def test_the_tree_in_the_text_names_every_error() -> None:
    lines = (errors.__doc__ or "").splitlines()
    drawn = {words[0] for line in lines if (words := line.strip(" │├└─").split())}
    assert {each.__name__ for each in ALL} <= drawn


@pytest.mark.parametrize("error", ALL)
def test_every_error_is_ours_and_says_who_sees_it(error: type[Exception]) -> None:
    assert issubclass(error, RuasrError)
    assert error.__doc__


def test_a_bad_model_is_an_engine_error_and_bad_audio_a_value_error() -> None:
    assert issubclass(ModelLoadError, EngineError)
    assert issubclass(AudioFormatError, ValueError)
