"""A recording as a durable job: fetch, decode, recognise, assemble, store, deliver."""
