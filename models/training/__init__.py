"""The recipe of the embedded models: text, speech, telephone lines, training, export, figures.

Run from the repository: `python -m models.training --help` lists the steps in their order.
"""
