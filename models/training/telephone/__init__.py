"""What telephones do to speech, as functions of the sound and a seeded generator."""
