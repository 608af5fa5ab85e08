"""A selector for each further image that the chosen model looks at besides the scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from ..models.model_shelf import ShelfModel
from .form import show_node
from .settings import Settings

# As many rows as the form has.
_ROWS = 4


class ImageSelectors:
    """on_choice(): another image was chosen."""

    def __init__(self, ui: Any, settings: Settings, on_choice: Callable[[], None]) -> None:
        self._settings, self._on_choice = settings, on_choice
        self._rows = [(getattr(ui, f"imageLabel{n}"), getattr(ui, f"imageSelector{n}")) for n in range(1, _ROWS + 1)]
        self._names: list[str] = []
        for n, (_label, selector) in enumerate(self._rows):
            selector.connect("nodeActivated(vtkMRMLNode*)", lambda node, n=n: self._chosen(n, node))

    @property
    def selectors(self) -> tuple[Any, ...]:
        return tuple(selector for _label, selector in self._rows)

    def refresh(self, model: ShelfModel | None) -> None:
        """Show a row for each further image of the model."""
        images = model.images[1:] if model is not None else ()
        self._names = [name for name, _title in images]
        for n, (label, selector) in enumerate(self._rows):
            shown = n < len(images)
            label.setVisible(shown)
            selector.setVisible(shown)
            if shown:
                name, title = images[n]
                label.setText(f"{name}:")
                selector.setToolTip(title or name)
                show_node(selector, self._settings.image(name))

    def hindrance(self, model: ShelfModel) -> str:
        """Why the model cannot run on the images that are chosen; empty where it can."""
        if len(model.images) > 1 + _ROWS:
            words = _("This model looks at {count} images, more than this panel shows: run it with the command line.")
            return str(words.format(count=len(model.images)))
        chosen = [self._settings.scan]
        for name, title in model.images[1:]:
            node = self._settings.image(name)
            if node is None:
                return str(_("Choose the {name} image, too.").format(name=title or name))
            if node in chosen:
                return str(_("Choose another volume as {name}: it is in use already.").format(name=title or name))
            chosen.append(node)
        return ""

    def chosen(self, model: ShelfModel) -> dict[str, Any]:
        """The volume nodes by the images' names."""
        return {name: self._settings.image(name) for name, _title in model.images[1:]}

    def _chosen(self, row: int, node: Any) -> None:
        if row < len(self._names):
            self._settings.set_image(self._names[row], node)
            self._on_choice()
