"""DiNTS, MONAI's network whose form was searched for: the form lies in a file of its own beside the weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PackageError
from .monai_config import Component
from .safe_checkpoint import numpy_arrays, open_safely

_SPACE = "TopologyInstance"
# An entry of that file, as the configurations of DiNTS write it.
_ENTRY = re.compile(r"\$\s*(?:torch\.from_numpy\()?@(\w+)\[['\"](\w+)['\"]\]\)?\s*")
# Arguments that say where it is computed.
_PLACES = ("device",)


def build_dints(described: Component, home: Path) -> Any:
    """The network that a bundle's configuration and its file of the form describe, without weights.

    home: of the bundle. Raises PackageError for a form that is missing or cannot be read safely, and what MONAI raises
    for arguments that do not go together.
    """
    import torch
    from monai.networks.nets import dints

    space = described.config.component(described.arguments.get("dints_space"), f"{described.where}::dints_space")
    if space.name != _SPACE:
        raise PackageError(f"{space.said} is not known here: only {_SPACE} is.")
    codes = space.arguments.get("arch_code")
    if not isinstance(codes, list) or len(codes) != 2:
        raise PackageError(f"{space.said} has no arch_code of two parts: correct the bundle.")
    form = _Form(space, home)
    entries = [form.entry(code) for code in codes]
    node = form.entry(described.arguments.get("node_a"))
    plain = {name: space.take(name) for name in space.arguments if name not in ("arch_code", *_PLACES)}
    own = {name: described.take(name) for name in described.arguments if name not in ("dints_space", "node_a")}
    topology = dints.TopologyInstance(arch_code=entries, device="cpu", **plain)
    return dints.DiNTS(dints_space=topology, node_a=torch.from_numpy(node), **own)


class _Form:
    """The file that a configuration opens with torch.load, opened with `weights_only`: arrays by their names."""

    def __init__(self, space: Component, home: Path) -> None:
        self._space, self._home = space, home
        self._read: dict[str, Mapping[str, Any]] = {}

    def entry(self, expression: Any) -> np.ndarray[Any, Any]:
        """What `$@file['name']` writes. Raises PackageError."""
        found = _ENTRY.fullmatch(str(expression))
        if found is None:
            raise PackageError(f"{self._space.said} has {expression} in place of an entry of the file with its form.")
        file, name = found[1], found[2]
        if file not in self._read:
            self._read[file] = self._opened(file)
        value = self._read[file].get(name)
        if value is None:
            raise PackageError(f"{self._space.said} needs {name!r} of {file}, which is not there: copy the bundle.")
        return np.asarray(value)

    def _opened(self, name: str) -> Mapping[str, Any]:
        config = self._space.config
        part = config.part(f"{name}_path")
        said = str(config.plain(*part)) if part else ""
        path = self._home / "models" / Path(said).name
        if not said or not path.is_file():
            raise PackageError(
                f"The bundle has no models/{Path(said).name or name}, which describes its network's form: copy it too."
            )
        found = open_safely(path, f"models/{path.name}", "copy the bundle again", numpy_arrays())
        if not isinstance(found, Mapping):
            raise PackageError(f"models/{path.name} holds no arrays by their names: copy the bundle again.")
        return found
