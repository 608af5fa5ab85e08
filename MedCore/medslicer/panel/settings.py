"""What the controls say: kept in the module's parameter node, and so in the scene; the last choices in the settings.

The node is a plain vtkMRMLScriptedModuleNode (parameters are text, nodes are references), so that a scene can be read
without this extension, and nothing is lost where a newer one added a setting.
"""

from __future__ import annotations

from typing import Any

import qt
import slicer

GROUP = "MedInfer"


class _Text:
    """A parameter. remembered: a fresh scene begins with what the user chose last."""

    def __init__(self, *, remembered: bool = False) -> None:
        self.remembered = remembered

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = name

    def __get__(self, settings: Any, owner: type | None = None) -> str:
        return str(settings.node.GetParameter(self.key) or "")

    def __set__(self, settings: Any, value: str) -> None:
        settings.node.SetParameter(self.key, value)
        if self.remembered:
            settings.remember(self.key, value)


class _Share:
    """A parameter that is a share of 1, or None where the model decides (and where a scene says nonsense)."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = name

    def __get__(self, settings: Any, owner: type | None = None) -> float | None:
        try:
            share = float(settings.node.GetParameter(self.key))
        except (TypeError, ValueError):
            return None
        return share if 0 <= share < 1 else None

    def __set__(self, settings: Any, value: float | None) -> None:
        settings.node.SetParameter(self.key, "" if value is None else f"{value:g}")


class _Node:
    """A reference to a node of the scene."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.key = name

    def __get__(self, settings: Any, owner: type | None = None) -> Any | None:
        return settings.node.GetNodeReference(self.key)

    def __set__(self, settings: Any, node: Any | None) -> None:
        settings.node.SetNodeReferenceID(self.key, node.GetID() if node is not None else None)


class Settings:
    """The settings of one module.

    model: id in the library; empty: the module's default. device: "backend:device", or empty for the fastest.
    precision: empty for automatic. mirroring: "off" to leave out mirrored tiles. threshold, overlap: None for the
    model's own. names: of teeth, by scheme.
    scan, region: nodes. target: table of the result that the next run replaces; None: a new one. shown: table of the
    result that the panel shows.
    """

    model = _Text(remembered=True)
    device = _Text(remembered=True)
    precision = _Text(remembered=True)
    names = _Text(remembered=True)
    mirroring = _Text()
    threshold = _Share()
    overlap = _Share()
    scan = _Node()
    region = _Node()
    target = _Node()
    shown = _Node()

    def __init__(self, module: str, node: Any) -> None:
        self._module = module
        self.bind(node)

    def bind(self, node: Any) -> None:
        """Go on with another parameter node: that of a scene which was opened or begun."""
        self.node = node
        if node.GetParameter("begun"):
            return
        node.SetParameter("begun", "1")
        for name, kind in vars(type(self)).items():
            if isinstance(kind, _Text) and kind.remembered and not node.GetParameter(name):
                node.SetParameter(name, self._remembered(name))

    def image(self, name: str) -> Any | None:
        """The volume node that was chosen as the further image of this name."""
        return self.node.GetNodeReference(f"image:{name}")

    def set_image(self, name: str, node: Any | None) -> None:
        """Choose it; None: none."""
        self.node.SetNodeReferenceID(f"image:{name}", node.GetID() if node is not None else None)

    def close(self) -> None:
        """The panel goes away. Slicer only hides it on a reload: its selectors go on to follow the scene, but whatever
        they say reaches no scene from here on."""
        self.node = slicer.vtkMRMLScriptedModuleNode()

    def remember(self, key: str, value: str) -> None:
        """Keep a choice for the next scene and the next start."""
        qt.QSettings().setValue(self._path(key), value)

    def _remembered(self, key: str) -> str:
        return str(qt.QSettings().value(self._path(key)) or "")

    def _path(self, key: str) -> str:
        return f"{GROUP}/{self._module}/{key}"
