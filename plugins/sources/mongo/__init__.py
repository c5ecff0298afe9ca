"""The parts of the source of MongoDB."""
