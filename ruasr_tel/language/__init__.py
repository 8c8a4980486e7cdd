"""N-gram language models: estimated from text, written and read as ARPA, asked by the decoder."""
