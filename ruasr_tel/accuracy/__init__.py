"""How often recognition is wrong: manifests, line conditions, error rates, reports."""
