"""The way back: a backup fetched and proven, restored, drilled, verified."""
