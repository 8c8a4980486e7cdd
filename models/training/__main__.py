"""`python -m models.training`: the steps of the recipe, in their order."""

from pathlib import Path
from typing import Annotated

import typer

from models.training import guard
from models.training.sentences import DICTIONARY, generate, read_dictionary
from ruasr_tel.cli.common import one_sentence, out

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@app.callback()
def _group() -> None:
    """Keep every step a command of its own."""


@app.command("sentences")
def sentences(
    to: Annotated[Path, typer.Argument(help="Text file to write, one sentence a line.")],
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 60000,
    seed: Annotated[int, typer.Option(help="Of the choices.")] = 0,
    dictionary: Annotated[Path, typer.Option(help="A hunspell dictionary.")] = DICTIONARY,
) -> None:
    """Write sentences of the grammars; what is held out stays out."""
    with one_sentence():
        kept_out = guard.Guard(guard.texts())
        made = generate(count, seed=seed, guard=kept_out, dictionary=read_dictionary(dictionary))
        to.write_text("".join(f"{sentence}\n" for sentence in made), "utf-8")
        out.print(f"{to}: {count} sentences")


if __name__ == "__main__":
    app()
