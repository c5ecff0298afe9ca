"""paramiko, imported when the first connection needs it, and kept from writing to anybody's terminal."""

from __future__ import annotations

import logging
import threading
import warnings
from typing import Any

LOG = "strongroom.ssh"
"""The log channel of our connections. Nobody listens: what failed is said by our errors."""

_lock = threading.Lock()
_loaded: Any = None


def paramiko() -> Any:
    """The library; it takes 0.2 s to import, so only who connects asks for it."""
    global _loaded
    with _lock:
        if _loaded is None:
            with warnings.catch_warnings():
                # It names ciphers that its own library calls old; we offer none of them.
                warnings.simplefilter("ignore")
                import paramiko
            # A logger without a handler prints warnings and tracebacks to standard error.
            logging.getLogger("paramiko").addHandler(logging.NullHandler())
            logger = logging.getLogger(LOG)
            logger.addHandler(logging.NullHandler())
            logger.propagate = False
            _loaded = paramiko
        return _loaded
