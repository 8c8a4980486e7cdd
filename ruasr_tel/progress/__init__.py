"""What the network and machines say in a call: tones and operator messages. Pure."""
