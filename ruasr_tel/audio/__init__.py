"""Audio as numbers: codecs, rates, recordings. Knows no call, no clock and no network."""
