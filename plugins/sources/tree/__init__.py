"""A folder and all below it, as a tar stream."""
