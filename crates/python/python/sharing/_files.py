"""Files that are open while this process forks or ends: they are closed before, and opened again when needed."""

import atexit
import os

from sharing import _engine

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_engine.before_fork, after_in_parent=_engine.after_fork, after_in_child=_engine.after_fork
    )
atexit.register(_engine.before_exit)
