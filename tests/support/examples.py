"""Runs the examples of every public module of the package, and tells how many failed and how many there were."""

import doctest
import importlib
import json
import sys
import tempfile

MODULES = ["sharing", "sharing.conflict", "sharing.discovery", "sharing.registry", "sharing.sync"]

if __name__ == "__main__":
    out, sys.stdout = sys.stdout, sys.stderr
    with tempfile.TemporaryDirectory() as tempfile.tempdir:  # what examples leave goes with it
        for name in MODULES:
            failed, attempted = doctest.testmod(importlib.import_module(name))
            print(json.dumps([name, failed, attempted]), file=out, flush=True)
