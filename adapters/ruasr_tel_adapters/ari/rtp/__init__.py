"""RTP as the `ari` door takes it: packets, their order, and one UDP port per leg."""
