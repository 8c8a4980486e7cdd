"""`python -m ruasr_tel` is `ruasr-tel`."""

from ruasr_tel.cli import main

main()
