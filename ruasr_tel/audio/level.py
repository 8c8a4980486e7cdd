"""How loud audio is, in dBFS: 0 is a square wave of full scale, so that no level is above it."""

import math

FULL_SCALE = 32768.0
"""The largest int16 sample's size."""
QUIETEST_DB = -120.0
"""What digital silence counts as; 16 bits reach down to -90 dBFS."""


def level_db(mean_square: float) -> float:
    """Return the level of audio whose samples have that mean square, in dBFS."""
    if mean_square <= 0:
        return QUIETEST_DB
    return max(QUIETEST_DB, 10.0 * math.log10(mean_square / FULL_SCALE**2))
