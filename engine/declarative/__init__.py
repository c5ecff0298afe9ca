"""The configuration as a TOML file: `apply` reads it, `export` writes it; all is matched by name."""
