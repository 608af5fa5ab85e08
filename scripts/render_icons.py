"""`make icons`: the icons, drawn as SVG in Resources/Icons, as PNG of 128 × 128 where Slicer looks for them."""

from __future__ import annotations

import os
from pathlib import Path

SIZE = 128
SOURCES = Path("Resources/Icons")


def render(source: Path, target: Path, size: int = SIZE) -> None:
    """Draw an SVG file on a transparent ground of `size` pixels either way. Raises SystemExit where it cannot."""
    from PySide6.QtGui import QGuiApplication, QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    application = QGuiApplication.instance() or QGuiApplication([])
    drawing = QSvgRenderer(str(source))
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    drawing.render(painter)
    painter.end()
    target.parent.mkdir(parents=True, exist_ok=True)
    if not drawing.isValid() or not image.save(str(target)):
        raise SystemExit(f"{source} could not be drawn as {target}.")
    del application


def main() -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    for source in sorted(SOURCES.glob("*.svg")):
        folder = SOURCES if source.stem == "MedInfer" else Path(source.stem) / "Resources" / "Icons"
        render(source, folder / f"{source.stem}.png")
        print(folder / f"{source.stem}.png")


if __name__ == "__main__":
    main()
