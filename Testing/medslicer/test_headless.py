"""A scene without the application, that comes and goes cleanly."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from medslicer.headless import HeadlessSlicer, in_application, open_scene


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, encoding="utf-8", timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
    )


def test_importing_the_slicer_side_imports_no_slicer_and_no_vtk() -> None:
    code = """
        import sys
        import medslicer.export.output, medslicer.pictures.pictures
        print([name for name in ("slicer", "vtk", "scipy", "SimpleITK") if name in sys.modules])
    """
    assert run(code).stdout.strip() == "[]"


def test_a_process_that_used_a_scene_ends_without_a_word() -> None:
    code = """
        import numpy as np
        from medinfer.findings import Findings, box_from_index
        from medinfer.volume import Grid, Volume
        from medslicer.headless import open_scene
        from medslicer.results.results import add_findings
        from medslicer.views.sights import sights_of_boxes
        from medslicer.views.views import turn_views
        from medslicer.nodes.volumes import add_volume
        grid = Grid((8, 9, 10), np.eye(4))
        for _ in range(2):
            with open_scene() as scene:
                node = add_volume(scene, Volume(np.zeros(grid.shape, np.int16), grid))
                box = box_from_index(grid, (1, 1, 1), (3, 3, 3), label="nodule", score=0.5)
                nodes = add_findings(scene, Findings((box,)), node, name="Nodules")
                turn_views(scene, node, sights_of_boxes(nodes.rois, node))
    """
    child = run(code)
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


def test_slicer_util_works_on_the_open_scene(scene: Any) -> None:
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLTableNode", "A table")
    assert slicer.util.getNode("A table") is node
    assert not in_application()


def test_two_scenes_do_not_see_each_other(scene: Any) -> None:
    scene.AddNewNodeByClass("vtkMRMLTableNode", "A table")
    with open_scene() as other:
        assert other is not scene
        assert other.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0


def test_closing_twice_does_nothing() -> None:
    headless = HeadlessSlicer()
    headless.close()
    headless.close()
    assert headless.scene is None


def test_in_the_application_its_own_scene_is_handed_out_and_left_open(
    scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    # slicer-core has no `slicer.app`; any object there is what the application looks like from here.
    monkeypatch.setattr(slicer, "app", object(), raising=False)
    with open_scene() as opened:
        assert opened is scene
    assert scene.AddNewNodeByClass("vtkMRMLTableNode") is not None


WITHOUT_SLICER = """
    import sys
    sys.modules["slicer"] = None
    from pathlib import Path
    from medinfer.errors import MedInferError
    from medslicer.headless import open_scene
    from medslicer.export.output import write_scene
    try:
        with open_scene():
            pass
    except MedInferError as error:
        print(error)
    print(write_scene(None, None, None, Path("/nowhere")))
"""


def test_without_slicer_it_is_said_what_to_install_and_a_run_goes_on() -> None:
    child = run(WITHOUT_SLICER)
    sentence, written = child.stdout.splitlines()
    assert sentence.endswith("pip install slicer-core")
    assert child.stderr.strip() == sentence
    assert written == "[]"
