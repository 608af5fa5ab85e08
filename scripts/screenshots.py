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
    if options.all is not None:
        use_dark_theme()
        for module in options.modules:
            with tempfile.TemporaryDirectory() as place, SlicerHarness(Path(place)) as harness:
                shot(harness, run(harness, module).column, home / f"{module}-dark.png", PANEL_WIDTH)
    return 0


def run(harness: Any, name: str) -> Any:
    """The module after a run on its sample scan."""
    from medslicer.sample_scans import load_sample_scan

    module = harness.load_module(name)
    load_sample_scan(name)
    module.widget.enter()
    harness.process_events()
    harness.click(harness.find(module, "runButton"))
    wait_for_result(harness, module)
    return module


def wait_for_result(harness: Any, module: Any) -> None:
    """Until all of the result is there, and select what is drawn of it."""
    harness.wait_until(lambda: not module.widget.panel.run.running, seconds=300)
    harness.wait_until(lambda: not module.widget.panel.surfaces.going_on)
    select_what_is_drawn(module.widget.panel.results)


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
    wait_for_result(harness, module)
    taken = shot(harness, panel, place / "panel.png", PANEL_WIDTH)
    window(taken, views(slicer.mrmlScene, place), home / f"{name}.png")
    if every:
        shot(harness, panel, home / f"{name}-done-narrow.png", NARROW)
        node.SetName("CT 2026-11-21 14:03 thorax low dose 1.0 mm B50f reconstruction with a very long name")
        harness.process_events()
        shot(harness, panel, home / f"{name}-long.png", NARROW)


def select_what_is_drawn(results: Any) -> None:
    """Select what the drawn views go through: the best box, the middle landmark, a tooth of the lower jaw."""
    rows = [row for row in results.result.rows if row.position_world is not None]
    task = results.result.task
    chosen = {"detect": rows[0], "landmark": rows[len(rows) // 2]}.get(task) or next(r for r in rows if r.fdi == "46")
    results.select(chosen.number)


def shot(harness: Any, panel: Any, path: Path, width: int) -> Path:
    """The panel as it stands in a dock of that width."""
    panel.resize(width, HEIGHT)
    harness.process_events()
    harness.grab(panel, path)
    return path


def views(scene: Any, place: Path) -> list[Path]:
    """The scene's slice views and its 3-D view, drawn by Slicer's own displayable managers."""
    from medslicer.export.saving import save_scene
    from medslicer.pictures.pictures import draw_scene

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


def use_dark_theme() -> None:
    """Colours like those of Slicer's dark style."""
    from PySide6.QtGui import QColor, QPalette
    from PySide6.QtWidgets import QApplication

    palette, roles = QPalette(), QPalette.ColorRole
    for role, color in (
        (roles.Window, "#2d2d30"), (roles.WindowText, "#e6e6e6"), (roles.Base, "#1e1e1e"),
        (roles.AlternateBase, "#26262a"), (roles.Text, "#e6e6e6"), (roles.Button, "#3a3a3e"),
        (roles.ButtonText, "#e6e6e6"), (roles.Highlight, "#2f7fd0"), (roles.Mid, "#8a8a8a"),
        (roles.ToolTipBase, "#3a3a3e"), (roles.ToolTipText, "#e6e6e6"), (roles.Link, "#6ab0f3"),
    ):
        palette.setColor(role, QColor(color))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor("#77777c"))
    QApplication.instance().setPalette(palette)


if __name__ == "__main__":
    sys.exit(main())
