"""Lets TLS contexts that packages make at import trust the run's certificate authority.

A context reads the authorities that it trusts when it is made. Those of a run are known only when the run begins, so
they are added to the existing contexts then.
"""

from __future__ import annotations

from typing import Any

from .import_hooks import on_import

# Methods of ssl.SSLContext by which a context gets authorities to trust.
_LOADERS = ("load_verify_locations", "set_default_verify_paths")
_made: list[Any] = []
_is_watching = False


def watch() -> None:
    """Notes every context that loads authorities, until `stop_watching`."""
    global _is_watching
    _is_watching = True
    on_import("ssl", _note_contexts)


def stop_watching(ssl: Any) -> None:
    """`ssl`: the module, or None when nothing has imported it."""
    global _is_watching
    _is_watching = False
    for name in _LOADERS:
        if ssl is not None and name in vars(ssl.SSLContext):
            # Without the attribute that `_note_contexts` set, the method of the C base class is found again.
            delattr(ssl.SSLContext, name)


def trust(authorities_pem: str) -> None:
    """Adds these authorities, PEM, to each noted context. Called in a run child."""
    for context in _made:
        context.load_verify_locations(cadata=authorities_pem)


def _note_contexts(ssl: Any) -> None:
    if _is_watching:
        for name in _LOADERS:
            setattr(ssl.SSLContext, name, _noting(getattr(ssl.SSLContext, name)))


def _noting(load: Any) -> Any:
    def load_and_note(context: Any, *args: Any, **options: Any) -> Any:
        if not any(each is context for each in _made):
            _made.append(context)
        return load(context, *args, **options)

    return load_and_note
