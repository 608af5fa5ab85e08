"""A run's findings in the scene: rows to review, their visibility in the views, and their positions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from medinfer.errors import ScanError
from medinfer.findings import Findings

from ..nodes.curves import is_chain
from ..nodes.lookup import nodes_of
from ..nodes.segment_surfaces import surface_steps
from ..views.jumping import jump_to
from ..views.scan_in_slices import show_scan
from .result_nodes import ResultNodes, refer_to, remove_nodes, tree_of
from .result_rows import ACCEPTED, REJECTED, REVIEW_COLUMN, Row, read_rows, read_score
from .results import add_findings
from .run_record import RunRecord, record_of
from .visibility import is_in_views, show_only

if TYPE_CHECKING:
    from medinfer.manifest import Manifest

    from ..profiles import Profile

MODULE_ATTRIBUTE, MODEL_ATTRIBUTE, RUN_ATTRIBUTE = "MedInfer.module", "MedInfer.model", "MedInfer.run"
SHOWN_FROM_ATTRIBUTE, NAMING_ATTRIBUTE = "MedInfer.shown_from", "MedInfer.naming"
REVIEWS = ("", ACCEPTED, REJECTED)
# Scores that come from a network in single precision are off by so much.
_SCORE_STEP = 1e-8


class Result:
    """The findings of one run.

    All that it knows stands in its table (a vtkMRMLTableNode) and in the nodes that the table refers to: so it is found
    again in a scene that was saved and loaded (`results_in`), and two objects of one table are the same result.
    Raises ValueError if the table does not belong to a result.
    """

    def __init__(self, table: Any) -> None:
        self.record = RunRecord.from_json(table.GetAttribute(RUN_ATTRIBUTE) or "")
        for column in ("label", REVIEW_COLUMN, *(["value"] if self.record.task == "segment" else [])):
            if table.GetColumnIndex(column) < 0:
                raise ValueError(f"the table {table.GetName()} has no column {column}: its file was not read")
        self.table = table
        self.nodes = ResultNodes(table)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Result) and other.table is self.table

    def __hash__(self) -> int:
        return hash(self.table)

    @property
    def there(self) -> bool:
        """Whether its table is still in a scene."""
        return self.table.GetScene() is not None

    @property
    def name(self) -> str:
        return str(self.table.GetName())

    @property
    def module(self) -> str:
        """Which module ran it ("MedDetect")."""
        return self.table.GetAttribute(MODULE_ATTRIBUTE) or ""

    @property
    def model(self) -> str:
        """Which model found it ("chest-nodules 1.0.0")."""
        return self.table.GetAttribute(MODEL_ATTRIBUTE) or ""

    @property
    def task(self) -> str:
        """"detect", "landmark" or "segment"."""
        return self.record.task

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of all findings together."""
        return self.record.notes

    @property
    def volume_node(self) -> Any | None:
        """The scan; None where it was removed."""
        return self.nodes.volume

    @property
    def rows(self) -> tuple[Row, ...]:
        """All findings, in the table's order: boxes best first, landmarks and segments as the model lists them.

        No rows once the result was removed from the scene, or the scene closed.
        """
        return read_rows(self.nodes, self.task) if self.there else ()

    def row(self, number: int) -> Row:
        """The finding with that number (from 1). Raises ValueError if there is none."""
        for row in self.rows:
            if row.number == number:
                return row
        raise ValueError(f"{self.name} has no finding number {number}")

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes of names that segments can be shown in ("FDI", "Universal", "anatomical")."""
        return self.record.schemes

    @property
    def scheme(self) -> str:
        """The scheme of names that is shown; empty: the model's own."""
        return self.table.GetAttribute(NAMING_ATTRIBUTE) or ""

    @property
    def shown_score(self) -> float:
        """Findings below this score are hidden, unless they were accepted."""
        try:
            return float(self.table.GetAttribute(SHOWN_FROM_ATTRIBUTE) or 0)
        except ValueError:
            return 0.0

    def passes(self, row: Row) -> bool:
        """Whether its score is high enough: what reads as the filter's own number is (`read_score`)."""
        return row.score >= self.shown_score - _SCORE_STEP or read_score(row.score) >= 1 >= self.shown_score

    def shows(self, row: Row) -> bool:
        """Whether the views show that finding, and files hold it."""
        if row.position_world is None or row.review == REJECTED:
            return False
        return row.review == ACCEPTED or self.passes(row)

    @property
    def in_views(self) -> bool:
        """Whether its nodes are switched on, its folder as well; by a user or because another result is looked at."""
        return self.there and is_in_views(self.nodes)

    @property
    def shown_rows(self) -> tuple[Row, ...]:
        """The findings that the views show."""
        return tuple(row for row in self.rows if self.shows(row))

    def set_review(self, number: int, word: str) -> None:
        """Note that a user "accepted" or "rejected" a finding, or ("") neither. One step that undo takes back.

        A rejected finding is hidden and stays in the table. Raises ValueError for another word or number.
        """
        if word not in REVIEWS:
            raise ValueError(f"a review is one of {REVIEWS}, not {word!r}")
        if self.row(number).review == word:
            return
        self._save_for_undo()
        self.table.SetCellText(number - 1, self.table.GetColumnIndex(REVIEW_COLUMN), word)
        self.update_views()

    def show_from(self, score: float) -> None:
        """Hide all findings below `score`; those that a user accepted stay. It is remembered with the scene."""
        self.table.SetAttribute(SHOWN_FROM_ATTRIBUTE, f"{score:.6g}")
        self.update_views()

    def update_views(self) -> None:
        """Show and hide each finding as its score and review say."""
        rows = self.rows
        show_only(self.nodes, rows, [self.shows(row) for row in rows])

    def jump(self, number: int) -> bool:
        """Show the scan in the slices and turn them and the 3-D cameras to a finding; False where it is nowhere.

        Raises ValueError for no such number.
        """
        position = self.row(number).position_world
        if position is None:
            return False
        if self.volume_node is not None:
            show_scan(self.table.GetScene(), self.volume_node)
        jump_to(self.table.GetScene(), position)
        return True

    def surface_steps(self) -> Iterator[None]:
        """Make the missing surfaces of segments for the 3-D views, one per step."""
        if self.nodes.segmentation is not None:
            yield from surface_steps(self.nodes.segmentation)

    def remove(self) -> None:
        """Remove all that the run made, its folder too. One step that undo takes back."""
        if self.there:
            self.table.GetScene().SaveStateForUndo()
            remove_nodes(self.nodes)

    def _save_for_undo(self) -> None:
        """Keep what a review changes, and not the voxels of a segmentation: to bring those back takes seconds."""
        import vtk

        changing = vtk.vtkCollection()
        for node in self.nodes.made:
            shown_by = node.GetDisplayNode() if node.IsA("vtkMRMLDisplayableNode") else None
            for one in (None if node.IsA("vtkMRMLSegmentationNode") else node, shown_by):
                if one is not None:
                    changing.AddItem(one)
        self.table.GetScene().SaveStateForUndo(changing)


def results_in(scene: Any, module: str = "") -> tuple[Result, ...]:
    """The results in `scene` that `module` made (any module's, if it is not given), in the scene's order."""
    results = []
    for table in nodes_of(scene, "vtkMRMLTableNode"):
        of_module = table.GetAttribute(MODULE_ATTRIBUTE)
        if of_module and module in ("", of_module):
            try:
                results.append(Result(table))
            except ValueError:
                # Made by a later version, or damaged: an ordinary table.
                continue
    return tuple(results)


def add_result(
    scene: Any, findings: Findings, volume_node: Any, manifest: Manifest, profile: Profile, *,
    name: str = "", replace: Result | None = None, surfaces: bool = True,
) -> Result:
    """Add `findings`, made on `volume_node` with the package of `manifest`, to `scene` as one undoable step.

    name: of the result (the profile's word without one); where another has it already, a number is added. replace: the
    result whose place and name the new one takes, once it is there. surfaces: make those of segments here and now; of
    32 teeth at 0.25 mm that takes a second or two (`Result.surface_steps` does it piece by piece). Raises ScanError
    where the scan was removed meanwhile; on any error nothing new is left in the scene, and nothing is taken from it.
    """
    if volume_node is None or volume_node.GetScene() is not scene:
        scan = findings.scan or "The scan"
        raise ScanError(f"{scan} was removed while {manifest.title} ran; load it again and press Run.")
    if replace is not None and replace.there:
        name = replace.name
    else:
        name = _distinct(name or profile.results, [one.name for one in results_in(scene)])
    with _all_or_nothing(scene):
        nodes = add_findings(
            scene, findings, volume_node,
            name=name, task=manifest.task, labels=manifest.labels, chain=is_chain(manifest), surfaces=surfaces,
        )
        refer_to(nodes, volume_node)
        _add_review_column(nodes.table)
        nodes.table.SetAttribute(MODULE_ATTRIBUTE, profile.module)
        nodes.table.SetAttribute(MODEL_ATTRIBUTE, f"{manifest.id} {manifest.version}")
        record = record_of(findings, manifest, str(volume_node.GetName()))
        nodes.table.SetAttribute(RUN_ATTRIBUTE, record.to_json())
        result = Result(nodes.table)
        if findings.candidates:
            # They are there for a reader who asks; what is shown at first is what the run reports.
            result.show_from(float(findings.run["threshold"]))
    if replace is not None and replace.there:
        remove_nodes(replace.nodes)
    return result


def _add_review_column(table: Any) -> None:
    import vtk

    column = vtk.vtkStringArray()
    column.SetName(REVIEW_COLUMN)
    for _ in range(table.GetNumberOfRows()):
        column.InsertNextValue("")
    table.AddColumn(column)
    table.SetColumnTitle(REVIEW_COLUMN, "Review")
    table.SetColumnDescription(REVIEW_COLUMN, "Review by a user: accepted, rejected or empty")


def _distinct(name: str, taken: list[str]) -> str:
    number, distinct = 1, name
    while distinct in taken:
        number += 1
        distinct = f"{name} {number}"
    return distinct


@contextmanager
def _all_or_nothing(scene: Any) -> Iterator[None]:
    """Where the block raises, remove all nodes and tree items that were made in it."""
    import vtk

    def items() -> list[int]:
        found = vtk.vtkIdList()
        tree.GetItemChildren(tree.GetSceneItemID(), found, True)
        return [found.GetId(number) for number in range(found.GetNumberOfIds())]

    tree = tree_of(scene)
    nodes_before = {node.GetID() for node in nodes_of(scene, "vtkMRMLNode")}
    items_before = set(items())
    try:
        yield
    except BaseException:
        for node in reversed(nodes_of(scene, "vtkMRMLNode")):
            if node.GetID() not in nodes_before:
                scene.RemoveNode(node)
        for item in reversed(items()):
            if item not in items_before:
                tree.RemoveItem(item, False, False)
        raise
