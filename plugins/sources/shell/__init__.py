"""What the command source is made of: running a person's own lines, and reading what they answer."""
