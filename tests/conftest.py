"""Annotated shapes are checked at run time in every test; training does not pay for it."""

from jaxtyping import install_import_hook

install_import_hook(["policies"], "beartype.beartype")
