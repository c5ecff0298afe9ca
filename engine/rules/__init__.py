"""Pure rules: they take values and a moment, and return values."""
