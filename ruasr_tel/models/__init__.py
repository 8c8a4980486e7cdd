"""What models exist, where they lie, and whether they can be loaded without harm."""
