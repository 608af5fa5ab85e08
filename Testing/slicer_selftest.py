"""What only the Slicer application can show: the modules load, open, run on their sample scans and survive saving.

    Slicer --no-main-window --additional-module-paths MedCore MedDetect MedLandmark MedToothSeg \\
        --python-script Testing/slicer_selftest.py -- [--install] [--skip CHECK ...] [CHECK ...]

It prints a line a check and ends Slicer with 0, or with 1 where something is wrong. --install lets it install the
packages that a run needs. Slicer reads this file in the system's encoding: only ASCII here.
"""

import ast
import importlib
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

import slicer

REPOSITORY = Path(__file__).resolve().parents[1]
PANELS = ("MedDetect", "MedLandmark", "MedToothSeg")
HEAVY = ("onnxruntime", "openvino", "torch", "scipy", "pydantic", "cc3d")
CHECKS = {}


class WrongError(Exception):
    """What a check found."""


def check(function):
    CHECKS[function.__name__] = function
    return function


def expect(condition, told):
    if not condition:
        raise WrongError(told)


@check
def modules():
    """The four modules are loaded; the shared one is hidden."""
    for name in ("MedCore", *PANELS):
        module = getattr(slicer.modules, name.lower(), None)
        expect(module is not None, f"{name} is not loaded")
        expect(bool(module.hidden) == (name == "MedCore"), f"{name}: hidden is {module.hidden}")


@check
def names():
    """Every name that the modules use from slicer, qt and ctk exists in this Slicer."""
    missing = []
    for path in sorted([*REPOSITORY.glob("Med*/Med*.py"), *(REPOSITORY / "MedCore" / "medslicer").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            chain = dotted(node)
            # What begins with an underscore was hung there by us.
            if chain and chain[0] in ("slicer", "qt", "ctk") and chain[1][0] != "_" and not exists(chain):
                missing.append(f"{path.relative_to(REPOSITORY)}:{node.lineno} {'.'.join(chain)}")
    expect(not missing, "; ".join(missing))


def dotted(node):
    """The names of an expression like qt.Qt.AlignLeft; nothing for any other."""
    chain = []
    while isinstance(node, ast.Attribute):
        chain.insert(0, node.attr)
        node = node.value
    return [node.id, *chain] if chain and isinstance(node, ast.Name) else []


def exists(chain):
    found = importlib.import_module(chain[0])
    for name in chain[1:]:
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True


@check
def panels():
    """Each panel opens, and imports nothing heavy by that."""
    before = set(sys.modules)
    for name in PANELS:
        expect(getattr(slicer.modules, name.lower()).widgetRepresentation() is not None, f"{name} has no panel")
    imported = sorted(name for name in HEAVY if name in sys.modules and name not in before)
    expect(not imported, f"opening the panels imported {', '.join(imported)}")


def controls_of(name):
    """The widgets of a module's panel, as attributes by their names."""
    return slicer.util.childWidgetVariables(getattr(slicer.modules, name.lower()).widgetRepresentation())


@check
def signals():
    """Every signal that the panels connect exists on its widget: of one that doesn't, connect tells nobody."""
    panels = [controls_of(name) for name in PANELS]
    wrong = []
    for path in sorted((REPOSITORY / "MedCore" / "medslicer" / "panel").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            chain = dotted(node.func) if isinstance(node, ast.Call) else []
            # ui.runButton.connect("clicked(bool)", ...)
            if len(chain) != 3 or chain[0] != "ui" or chain[2] != "connect":
                continue
            widget = next((getattr(ui, chain[1]) for ui in panels if hasattr(ui, chain[1])), None)
            if widget is None or not widget.connect(node.args[0].value, lambda *told: None):
                wrong.append(f"{chain[1]}: {node.args[0].value}")
    table = slicer.util.childWidgetVariables(slicer.modules.meddetect.widgetRepresentation()).findingsTable
    for signal in ("currentCellChanged(int,int,int,int)", "cellClicked(int,int)", "itemChanged(QTableWidgetItem*)"):
        if not table.connect(signal, lambda *told: None):
            wrong.append(f"findingsTable: {signal}")
    expect(not wrong, "; ".join(wrong))


@check
def selectors():
    """The scan is what was chosen: no neighbour of a deleted one, and after a scene was loaded the one of the scene."""
    from medslicer.export.saving import save_scene
    from medslicer.sample_scans import load_sample_scan

    scene, ui = slicer.mrmlScene, controls_of("MedDetect")
    scene.Clear(0)
    node = importlib.import_module("MedDetect").MedDetectLogic().getParameterNode()
    first, second = load_sample_scan("MedDetect"), load_sample_scan("MedDetect")
    load_sample_scan("MedDetect")
    second.SetName("the one")
    slicer.app.processEvents()
    ui.scanSelector.setCurrentNode(first)
    slicer.app.processEvents()
    expect(node.GetNodeReference("scan") is first, "what the selector shows does not reach the settings")
    scene.RemoveNode(first)
    settle()
    expect(node.GetNodeReference("scan") is None, "after the scan was deleted another one is chosen")
    expect(ui.scanSelector.currentNode() is None, "after the scan was deleted another one is shown")
    ui.scanSelector.setCurrentNode(second)
    settle()
    with tempfile.TemporaryDirectory() as folder:
        save_scene(scene, Path(folder) / "case.mrb")
        scene.Clear(0)
        settle()
        scene.ReadFromMRB(str(Path(folder) / "case.mrb"), True)
        settle()
    chosen = importlib.import_module("MedDetect").MedDetectLogic().getParameterNode().GetNodeReference("scan")
    expect(chosen is not None and chosen.GetName() == "the one", "a loaded scene has lost its scan")
    expect(ui.scanSelector.currentNode() is chosen, "of a loaded scene the selector shows another scan")
    scene.Clear(0)


def settle():
    """Let timers of no time, and what they set off, come round."""
    for _turn in range(5):
        slicer.app.processEvents()
        time.sleep(0.01)


@check
def child():
    """A process beside Slicer is a Python that finds medinfer; cancelled, it is soon gone with what it started."""
    from medslicer.jobs.child import Child

    code = (
        "import json, subprocess, sys, time, medinfer.findings\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(json.dumps({'other': other.pid}), flush=True)\n"
        "time.sleep(600)\n"
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = Child(["-c", code], Path(folder))
        process.start()
        told, until = [], time.monotonic() + 60
        while not told and process.running and time.monotonic() < until:
            told += process.poll()
            time.sleep(0.05)
        log = "; ".join(process.log_lines())
        expect(told, f"it told nothing in a minute ({process.exit_code}): {log}")
        process.cancel()
        until = time.monotonic() + 3
        while process.running and time.monotonic() < until:
            process.poll()
            time.sleep(0.05)
        expect(not process.running, "it was cancelled and still runs")
        if sys.platform != "win32":
            while time.monotonic() < until and is_there(told[0]["other"]):
                time.sleep(0.05)
            expect(not is_there(told[0]["other"]), "what it had started still runs")


def is_there(pid):
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


@check
def reload():
    """A module can be reloaded, and its new panel is whole."""
    for name in PANELS:
        getattr(slicer.modules, name.lower()).widgetRepresentation()
        before = getattr(slicer.modules, f"{name}Widget")
        slicer.util.reloadScriptedModule(name)
        after = getattr(slicer.modules, f"{name}Widget")
        expect(after is not before and after.panel is not None, f"{name} was not reloaded")
        after.enter()


@check
def sample_data():
    """The sample scans are offered by the module Sample Data, and load from there."""
    import SampleData

    from medslicer.sample_scans import SAMPLE_SCANS, register_sample_scans

    for module, scan in SAMPLE_SCANS.items():
        register_sample_scans(module)
        node = SampleData.downloadSample(scan.name)
        expect(node is not None and node.GetImageData() is not None, f"{scan.name} does not load")
        expect(node.GetName().startswith(scan.node), f"{scan.name} is called {node.GetName()}")


@check
def self_tests():
    """Each module's own test passes."""
    for name in PANELS:
        getattr(importlib.import_module(name), f"{name}Test")().runTest()


@check
def runs():
    """A run on each sample scan makes a table and its nodes, and a saved scene shows the same when it is loaded."""
    from medslicer.results.result import results_in
    from medslicer.sample_scans import load_sample_scan

    for name in PANELS:
        slicer.mrmlScene.Clear(0)
        logic = getattr(importlib.import_module(name), f"{name}Logic")()
        result = logic.process(load_sample_scan(name))
        before = told_of(result)
        expect(before, f"{name} found nothing")
        expect(result.table.GetScene() is slicer.mrmlScene, f"{name}'s table is not in the scene")
        expect(any(row.position_world is not None for row in result.rows), f"{name} placed nothing")
        expect_a_tidy_tree(result)
        with tempfile.TemporaryDirectory() as folder:
            bundle = str(Path(folder) / f"{name}.mrb")
            expect(slicer.util.saveScene(bundle), f"the scene of {name} cannot be saved")
            slicer.mrmlScene.Clear(0)
            expect(slicer.util.loadScene(bundle), f"the scene of {name} cannot be loaded")
            (again,) = results_in(slicer.mrmlScene, name)
            expect_a_tidy_tree(again)
            after = told_of(again)
        expect(same(before, after), f"{name}'s findings after loading: {after}, before: {before}")
    slicer.mrmlScene.Clear(0)


def told_of(result):
    return [(row.title, row.score, row.status) for row in result.rows]


def same(before, after):
    """Whether two results tell the same: a saved table is text, of which six digits are left."""
    return len(before) == len(after) and all(
        (one[0], one[2]) == (other[0], other[2]) and abs(one[1] - other[1]) <= 1e-5
        for one, other in zip(before, after, strict=True)
    )


def expect_a_tidy_tree(result):
    """No node and no segment stands in the tree of the Data module twice: Slicer's plugins make items as well."""
    import vtk

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)

    def items(parent, deep):
        found = vtk.vtkIdList()
        tree.GetItemChildren(parent, found, deep)
        return [found.GetId(number) for number in range(found.GetNumberOfIds())]

    nodes = [node.GetID() for node in map(tree.GetItemDataNode, items(tree.GetSceneItemID(), True)) if node is not None]
    doubles = sorted({node for node in nodes if nodes.count(node) > 1})
    expect(not doubles, f"{', '.join(doubles)} stand in the tree twice")
    segmentation = result.nodes.segmentation
    if segmentation is not None:
        name = segmentation.GetSegmentIDAttributeName()
        listed = [tree.GetItemAttribute(item, name) for item in items(tree.GetItemByDataNode(segmentation), False)]
        known = segmentation.GetSegmentation()
        there = [known.GetNthSegmentID(number) for number in range(known.GetNumberOfSegments())]
        expect(sorted(listed) == sorted(there), f"segments in the tree: {listed}; in the node: {there}")


def packages(may_install):
    """What a run needs is installed, or is now."""
    from medslicer.models.dependencies import install, missing

    needs = missing()
    if needs and not may_install:
        raise WrongError("not installed: " + ", ".join(need.distribution for need in needs) + "; add --install")
    install(needs)


def main(arguments):
    """Run the checks that are named, or all; return how many are wrong."""
    words = [word for word in arguments if word not in ("--", "--install")]
    skipped = []
    if "--skip" in words:
        skipped = words[words.index("--skip") + 1:]
        words = words[:words.index("--skip")]
    unknown = [word for word in (*words, *skipped) if word not in CHECKS]
    if unknown:
        print(f"WRONG    no check is called {', '.join(unknown)}; there are {', '.join(CHECKS)}", flush=True)
        return 1
    wanted = [name for name in CHECKS if name not in skipped and (not words or name in words)]
    if not wanted:
        print("WRONG    nothing was left to test", flush=True)
        return 1
    wrong = 0
    for name, function in CHECKS.items():
        if name not in wanted:
            print(f"skipped  {name}", flush=True)
            continue
        try:
            if function in (self_tests, runs):
                packages("--install" in arguments)
            function()
            print(f"ok       {name}: {function.__doc__}", flush=True)
        except Exception as error:
            wrong += 1
            print(f"WRONG    {name}: {error or type(error).__name__}", flush=True)
            if not isinstance(error, WrongError):
                traceback.print_exc()
    return wrong


def run_and_exit():
    wrong = 1
    try:
        wrong = main(sys.argv[1:])
        print(f"MedInfer self-test: {wrong} wrong", flush=True)
    except BaseException:
        # Slicer would go on running, without a window, for ever.
        traceback.print_exc()
    slicer.util.exit(1 if wrong else 0)


if __name__ == "__main__":
    run_and_exit()
