"""Telephony plugin server: calls in, Russian text out. The core knows no telephony protocol."""

__version__ = "0.1.0"
