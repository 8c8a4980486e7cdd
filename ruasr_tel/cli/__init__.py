"""The command line: the only room that prints. Errors of ours become one sentence and a code.

Exit codes: 0 done; 1 a port is taken, a file does not decode, a call failed; 2 the configuration
or the model cannot be used.
"""

from ruasr_tel.cli.root import app, main

__all__ = ["app", "main"]
