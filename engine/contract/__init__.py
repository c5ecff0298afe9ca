"""The plugin contract: what an adapter is, what it is given, and the one place that finds them."""
