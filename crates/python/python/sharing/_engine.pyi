"""The compiled part of the package; people import the modules beside it."""

__version__: str
