"""The whole line on a small real network: a scan goes in, boxes in the world come out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medinfer.errors import Cancelled, PackageError
from medinfer.inference.pipeline import PackageSession, open_package, run
from medinfer.library.package import load_package

Make = Callable[..., Path]


def find(folder: Path, volume: Any, **options: Any) -> Any:
    package = load_package(folder)
    with open_package(package) as session:
        return run(volume, package, session, **options)


@pytest.mark.parametrize(
    "tiling",
    [
        {"join": "crop", "patch": [16, 20, 24], "margin": [2, 2, 2]},
        {"join": "crop", "patch": [64, 64, 64], "margin": [4, 4, 4], "fit": True},
        {"join": "crop", "patch": [16, 16, 16], "margin": [4, 4, 4], "border": "padded", "pad": 0},
        {"join": "blend", "patch": [24, 24, 24], "overlap": 0.5},
    ],
)
def test_balls_are_found_where_they_lie_with_every_tiling(blob_package: Make, blob_scan: Any, tiling: Any) -> None:
    volume, truth = blob_scan
    findings = find(blob_package(lambda manifest: manifest.update(tiling=tiling)), volume)
    assert len(findings.boxes) == len(truth)
    for center, diameter in truth:
        nearest = min(findings.boxes, key=lambda box: float(np.linalg.norm(np.array(box.center_ras) - center)))
        # Half a network voxel is the most that a box on a 2 mm grid can be off on each axis.
        assert np.linalg.norm(np.array(nearest.center_ras) - center) < 1.8
        assert nearest.diameter_mm == pytest.approx(diameter, abs=2)
        np.testing.assert_allclose(np.abs(np.array(nearest.axes) @ volume.grid.directions), np.eye(3), atol=1e-9)


def test_all_runtimes_see_the_same_findings(blob_package: Make, blob_scan: Any) -> None:
    package = load_package(blob_package())
    boxes = {}
    for backend in ("onnxruntime", "openvino"):
        with open_package(package, backend=backend, precision="float32") as session:
            boxes[backend] = run(blob_scan[0], package, session).boxes
            assert session.runtime == backend
    for one, other in zip(*boxes.values(), strict=True):
        np.testing.assert_allclose(one.center_ras, other.center_ras, atol=1e-6)
        assert one.score == pytest.approx(other.score, abs=1e-3)


def test_a_slab_network_gives_every_slice_once(blob_package: Make, blob_scan: Any, tmp_path: Path) -> None:
    """A window of five slices whose middle one is answered: the blob network with no padding along k."""
    import hashlib

    import onnx

    folder = blob_package()
    model = onnx.load(folder / "network.onnx")
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [0, 1, 1, 0, 1, 1]
    whole = find(folder, blob_scan[0])
    onnx.save(model, folder / "network.onnx")
    digest = hashlib.sha256((folder / "network.onnx").read_bytes()).hexdigest()

    def change(manifest: dict[str, Any]) -> None:
        manifest["network"]["files"][0]["sha256"] = digest
        manifest["tiling"] = {"join": "slabs", "window": 3, "position": 1, "multiple": 4}

    spoiled = blob_package(change, "slabs")
    (spoiled / "network.onnx").write_bytes((folder / "network.onnx").read_bytes())
    slabs = find(spoiled, blob_scan[0])
    assert [box.center_ras for box in slabs.boxes] == [box.center_ras for box in whole.boxes]


def test_progress_counts_the_tiles_and_stages_come_in_order(blob_package: Make, blob_scan: Any) -> None:
    seen: list[tuple[str, int, int]] = []
    findings = find(blob_package(), blob_scan[0], progress=lambda *step: seen.append(step))
    stages = list(dict.fromkeys(stage for stage, _, _ in seen))
    assert stages == ["prepare", "network", "findings"]
    tiles = findings.run["tiles"]
    assert [done for stage, done, total in seen if stage == "network" and total == tiles] == list(range(tiles + 1))
    assert set(findings.run["seconds"]) == {"prepare", "network", "findings"}


def test_cancel_is_honoured_between_tiles(blob_package: Make, blob_scan: Any) -> None:
    asked = 0

    def cancel() -> bool:
        nonlocal asked
        asked += 1
        return asked > 4

    with pytest.raises(Cancelled):
        find(blob_package(), blob_scan[0], cancel=cancel)
    assert asked == 5


def test_a_higher_threshold_finds_less(blob_package: Make, blob_scan: Any) -> None:
    volume, _ = blob_scan
    # −465 HU scales to 0.535, and sigmoid(40 · 0.035) is 0.8.
    faint = volume.with_voxels(np.where(volume.voxels == 0, np.int16(-465), volume.voxels))
    assert len(find(blob_package(), faint).boxes) == 2
    assert find(blob_package(), faint, threshold=0.9).boxes == ()


def test_the_three_lines_of_the_docstring_work(blob_package: Make, blob_scan: Any) -> None:
    import medinfer

    package = medinfer.load_package(blob_package())
    with medinfer.open_package(package) as session:
        assert len(medinfer.run(blob_scan[0], package, session).boxes) == 2


def test_an_output_that_does_not_match_the_manifest_is_named(blob_package: Make, blob_scan: Any) -> None:
    with pytest.raises(PackageError, match=r"'probability' of network.onnx has the shape .* declares 2 channels"):
        find(blob_package(lambda manifest: manifest["network"].update(channels=2)), blob_scan[0])


@pytest.mark.parametrize(
    ("name", "word"), [("inputs", "picture"), ("output", "heat")],
)
def test_names_that_the_network_does_not_have_are_refused(blob_package: Make, name: str, word: str) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["network"][name] = [{"role": "image", "name": word}] if name == "inputs" else word

    with pytest.raises(PackageError, match=word):
        open_package(load_package(blob_package(change)))


def test_a_text_file_instead_of_a_network_is_refused(blob_package: Make) -> None:
    import hashlib

    text = b"this is no network\n" * 100
    folder = blob_package(
        lambda manifest: manifest["network"]["files"][0].update(sha256=hashlib.sha256(text).hexdigest())
    )
    (folder / "network.onnx").write_bytes(text)
    for backend in ("onnxruntime", "openvino"):
        with pytest.raises(PackageError, match=r"network\.onnx"):
            open_package(load_package(folder), backend=backend)


def test_coordinates_run_over_the_whole_region_whatever_the_tiles() -> None:
    from medinfer.inference.feeds import coordinates_of
    from medinfer.tiles.tiling import plan_crop

    plan = plan_crop((64, 48, 80), patch=(32, 32, 32), margin=(8, 8, 8), stride=4, multiple=16, fit=False)
    # The recipe: linspace(−0.5, 0.5, D / 4), "ij", order k, j, i.
    expected = np.stack(np.meshgrid(*(np.linspace(-0.5, 0.5, n) for n in plan.output_shape), indexing="ij"))
    for tile in plan.tiles:
        out = tile.at_stride(plan.stride)
        inside = tuple(slice(max(a, 0), min(a + n, s)) for a, n, s in zip(
            out.start, out.shape, plan.output_shape, strict=True))
        local = tuple(slice(part.start - a, part.stop - a) for part, a in zip(inside, out.start, strict=True))
        np.testing.assert_allclose(coordinates_of(tile, plan)[(slice(None), *local)], expected[(slice(None), *inside)],
                                   atol=1e-6)


@pytest.mark.parametrize(("thickest", "told"), [(None, False), (2.1, False), (1.9, True)])
def test_slices_thicker_than_the_model_is_meant_for_are_reported(
    blob_package: Make, blob_scan: Any, thickest: float | None, told: bool
) -> None:
    """The scan's are 2.1 mm apart."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["card"]["thickest_mm"] = thickest

    package = load_package(blob_package(change))
    with open_package(package, backend="onnxruntime") as session:
        notes = run(blob_scan[0], package, session).notes
    assert any("more than the 1.9 mm that this model is meant for" in note for note in notes) == told


def test_an_answer_that_is_not_numbers_is_refused(blob_package: Make, blob_scan: Any) -> None:
    """Nothing compares with NaN, so nothing would be found, and nobody would know why."""
    from medinfer.backends.session import Session

    package = load_package(blob_package())

    def run_once(arrays: Any) -> list[np.ndarray]:
        answer = np.zeros_like(arrays[0])
        answer[0, 0, 3, 4, 5] = np.nan
        return [answer]

    session = Session(
        runtime="none", device="cpu", precision="float16", name="network.onnx", inputs={"image": (None,) * 5},
        outputs=["probability"], runner=run_once,
    )
    with pytest.raises(PackageError, match=r"network\.onnx gives values that are not numbers .*: use --precision"):
        run(blob_scan[0], package, PackageSession({one.name: session for one in package.manifest.passes}))
