"""The house rules: layers, import times, packaging, the lock, the pages."""
