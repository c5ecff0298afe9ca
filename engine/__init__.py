"""The engine: dumps once, compresses, encrypts, uploads to many, keeps, verifies and restores.

It knows no Qt and no concrete plugin. `engine.workspace.Workspace` is the door that the command line,
the agent and the desktop come in by.
"""

__version__ = "0.1.0"
