"""One view a file; each shows what the session tells and asks the navigator for the rest."""
