"""A project's environment with packages that a test writes itself."""

from __future__ import annotations

import sys
import venv
from collections.abc import Mapping
from pathlib import Path


def project_python(place: Path, distributions: Mapping[str, Mapping[str, str]]) -> str:
    """The interpreter. `distributions`: by name, their top-level modules with the source of each."""
    venv.create(place, with_pip=False, symlinks=True)
    site = place / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for name, modules in distributions.items():
        about = site / f"{name}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "top_level.txt").write_text("\n".join(modules))
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
    return str(place / "bin" / "python")
