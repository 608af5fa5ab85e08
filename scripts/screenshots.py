"""Draw each panel and its views after a real run: `make screenshots`, for the README.

The module files run unmodified in `Testing/harness`; slices and 3-D views are Slicer's own, drawn from the saved scene.
`--all FOLDER` draws what is only to be looked at as well: a narrow dock, the dark theme, empty and error states.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "Testing"), str(REPOSITORY / "MedCore")]

MODULES = ("MedDetect", "MedLandmark", "MedToothSeg")
PANEL_WIDTH, NARROW, HEIGHT, VIEW = 420, 320, 860, 430
SHOTS = ("axial", "view3d", "coronal", "sagittal")


def main() -> int:
    """Draw the README's pictures into Resources/Screenshots, or with --all everything into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="draw every state of every panel into FOLDER")
    parser.add_argument("--modules", nargs="+", choices=MODULES, default=MODULES)
    options = parser.parse_args()
    home = options.all or REPOSITORY / "Resources" / "Screenshots"
    home.mkdir(parents=True, exist_ok=True)
    from harness import SlicerHarness

    for module in options.modules:
        with tempfile.TemporaryDirectory() as place, SlicerHarness(Path(place)) as harness:
            draw(harness, module, home, Path(place), every=options.all is not None)
    return 0


def draw(harness: Any, name: str, home: Path, place: Path, *, every: bool) -> None:
    """Run `name` on its sample scan; draw window and, if wanted, the states on the way."""
    import slicer

    from medslicer.sample_scans import load_sample_scan

    module = harness.load_module(name)
    panel = module.column
    if every:
        shot(harness, panel, home / f"{name}-empty.png", PANEL_WIDTH)
    node = load_sample_scan(name)
    module.widget.enter()
    harness.process_events()
    if every:
        shot(harness, panel, home / f"{name}-ready.png", PANEL_WIDTH)
        shot(harness, panel, home / f"{name}-narrow.png", NARROW)
    harness.click(harness.find(module, "runButton"))
    harness.wait_until(lambda: module.widget.panel.run.running, seconds=10)
    if every:
        harness.wait_until(lambda: harness.find(module, "progressBar").value() > 200, seconds=300)
        shot(harness, panel, home / f"{name}-running.png", PANEL_WIDTH)
    harness.wait_until(lambda: not module.widget.panel.run.running, seconds=300)
    harness.wait_until(lambda: not module.widget.panel.surfaces.going_on)
    taken = shot(harness, panel, place / "panel.png", PANEL_WIDTH)
    window(taken, views(slicer.mrmlScene, place), home / f"{name}.png")
    if every:
        shot(harness, panel, home / f"{name}-done-narrow.png", NARROW)
        dark(harness, panel, home / f"{name}-dark.png")
        node.SetName("CT 2026-11-21 14:03 thorax low dose 1.0 mm B50f reconstruction with a very long name")
        harness.process_events()
        shot(harness, panel, home / f"{name}-long.png", NARROW)


def shot(harness: Any, panel: Any, path: Path, width: int) -> Path:
    """The panel as it stands in a dock of that width."""
    panel.resize(width, HEIGHT)
    harness.process_events()
    harness.grab(panel, path)
    return path


def views(scene: Any, place: Path) -> list[Path]:
    """The scene's slice views and its 3-D view, drawn by Slicer's own displayable managers."""
    from medslicer.pictures import draw_scene
    from medslicer.saving import save_scene

    save_scene(scene, place / "scene.mrb")
    drawn = {path.stem: path for path in draw_scene(place / "scene.mrb", place)}
    return [drawn[name] for name in SHOTS]


def window(panel: Path, pictures: list[Path], path: Path) -> None:
    """Panel and views side by side, as Slicer's window has them."""
    from PySide6.QtCore import QRect
    from PySide6.QtGui import QColor, QImage, QPainter

    left = QImage(str(panel))
    whole = QImage(PANEL_WIDTH + 2 * VIEW, max(left.height(), 2 * VIEW), QImage.Format.Format_RGB32)
    whole.fill(QColor("#101014"))
    painter = QPainter(whole)
    painter.drawImage(0, 0, left)
    for number, picture in enumerate(pictures):
        place = QRect(PANEL_WIDTH + VIEW * (number % 2), VIEW * (number // 2), VIEW, VIEW)
        painter.drawImage(place.adjusted(1, 1, -1, -1), QImage(str(picture)))
    painter.end()
    whole.save(str(path))


def dark(harness: Any, panel: Any, path: Path) -> None:
    """The panel in a dark theme like Slicer's."""
    from PySide6.QtGui import QColor, QPalette
    from PySide6.QtWidgets import QApplication

    application = QApplication.instance()
    before = application.palette()
    palette = QPalette()
    for role, color in (
        (QPalette.ColorRole.Window, "#2d2d30"), (QPalette.ColorRole.WindowText, "#e6e6e6"),
        (QPalette.ColorRole.Base, "#1e1e1e"), (QPalette.ColorRole.AlternateBase, "#26262a"),
        (QPalette.ColorRole.Text, "#e6e6e6"), (QPalette.ColorRole.Button, "#3a3a3e"),
        (QPalette.ColorRole.ButtonText, "#e6e6e6"), (QPalette.ColorRole.Highlight, "#2f7fd0"),
        (QPalette.ColorRole.Mid, "#8a8a8a"), (QPalette.ColorRole.ToolTipBase, "#3a3a3e"),
        (QPalette.ColorRole.ToolTipText, "#e6e6e6"), (QPalette.ColorRole.Link, "#6ab0f3"),
    ):
        palette.setColor(role, QColor(color))
    application.setPalette(palette)
    shot(harness, panel, path, PANEL_WIDTH)
    application.setPalette(before)


if __name__ == "__main__":
    sys.exit(main())
