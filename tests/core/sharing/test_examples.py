"""Every public function has an example, and every example is true."""

import importlib
import inspect
import pydoc

import pytest

import sharing
from examples import MODULES
from houses import Network
from programs import Program


def test_examples_are_true() -> None:
    with Network(1) as network, Program("examples.py", inside=network.inside(0)) as examples:
        for module in MODULES:
            name, failed, attempted = examples.hears(lambda _: True, f"the examples of {module}", within=120)
            assert (name, failed) == (module, 0)
            assert attempted > 0


def public() -> list[tuple[str, object]]:
    """Returns every public class and function of the package, and every public method of theirs."""
    found: list[tuple[str, object]] = []
    for name in MODULES[1:]:
        module = importlib.import_module(name)
        for given in module.__all__:
            thing = getattr(module, given)
            found.append((f"{name}.{given}", thing))
            methods = inspect.getmembers(thing, inspect.isfunction) if inspect.isclass(thing) else []
            found += [(f"{name}.{given}.{own}", method) for own, method in methods if not own.startswith("_")]
    return found


@pytest.mark.parametrize(("name", "thing"), public())
def test_whatever_is_public_is_documented(name: str, thing: object) -> None:
    assert inspect.getdoc(thing), name


@pytest.mark.parametrize("thing", [sharing.SyncProtocol, sharing.DiscoveryService, sharing.SharedRegistry])
def test_help_shows_no_machinery(thing: type) -> None:
    text = pydoc.plain(pydoc.render_doc(thing))
    assert "_engine" not in text
    assert "Example:" in text


def test_errors_are_one_tree() -> None:
    errors = [getattr(sharing, name) for name in sharing.__all__]
    errors = [error for error in errors if inspect.isclass(error) and issubclass(error, Exception)]
    assert len(errors) == 9
    assert all(issubclass(error, sharing.SharingError) and inspect.getdoc(error) for error in errors)
    assert issubclass(sharing.EntityNotFound, KeyError)
    assert issubclass(sharing.EntityNotFound, ValueError)
