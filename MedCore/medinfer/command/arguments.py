"""The arguments of the command `medinfer`, with their help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ..importers.bare_fields import FIELDS
from ..library.places import DEFAULT_MODELS
from ..manifest import Task
from ..spelling import suggestion
from ..version import __version__


@dataclass(frozen=True)
class ScanCommand:
    """A command that runs a model on scans. task: of its models. does: its help. model: the default; None: one must be
    named."""

    task: Task
    does: str
    model: str | None


SCAN_COMMANDS: dict[str, ScanCommand] = {
    "detect": ScanCommand("detect", "find nodules in scans: boxes, a table, pictures", DEFAULT_MODELS["detect"]),
    "landmark": ScanCommand(
        "landmark", "find anatomical landmarks in scans: points, a table, pictures", DEFAULT_MODELS["landmark"]
    ),
    "teeth": ScanCommand(
        "segment", "find teeth in dental scans: numbered segments, a table, pictures", DEFAULT_MODELS["segment"]
    ),
    "segment": ScanCommand(
        "segment", "find what a model of your own segments in scans: segments, a table, pictures", None
    ),
}


def command_for(task: Task, model: str) -> str:
    """The command that runs a model of this id: the one whose default it is, or else the one for any of the task."""
    fitting = {name: command for name, command in SCAN_COMMANDS.items() if command.task == task}
    return next((name for name, command in fitting.items() if command.model == model), [*fitting][-1])


IMPORT_FORMATS = ("keras-slab", "nnunet", "monai", "grt123", "deeplung")
_BACKENDS = ("auto", "onnxruntime", "openvino", "torch")
_ID = "the model's id, the first word of its entry in `medinfer models`"
_SOURCE = (
    "a model's folder (the one that holds model.json), a .zip of such a folder, or a network without one: an ONNX or "
    "TorchScript file, or a folder or .zip with it; with --format, a network file of another program"
)
_BARE = "what a network without a model.json does not tell (without these, medinfer asks on a terminal)"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments as a namespace; `command` is the command's name. Wrong ones end the program with exit code 2 and a
    sentence that suggests the option or command that was probably meant."""
    options: argparse.Namespace
    options, unknown = _parser().parse_known_args(arguments)
    parser: _Parser = options.parser
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


class _Parser(argparse.ArgumentParser):
    """Suggests what a mistyped command, choice or option was probably meant to be."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._given = [*(sys.argv[1:] if args is None else args)]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        # "argument COMMAND: invalid choice: 'detct' (choose from 'detect', …)"
        _, invalid, rest = message.partition("invalid choice: ")
        if invalid:
            word, _, listed = rest.partition(" (choose from ")
            meant = suggestion(word.strip("'"), [entry.strip(" '") for entry in listed.rstrip(")").split(",")])
        else:
            # A required option that was mistyped is missing before it is unknown.
            known = [option for action in self._actions for option in action.option_strings]
            words = [word.partition("=")[0] for word in self._given if word.startswith("--")]
            meant = "".join(
                suggestion(word, known) for word in words if not any(option.startswith(word) for option in known)
            )
        super().error(f"{message}.{meant}")


def _parser() -> _Parser:
    shared = _Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print JSON lines instead of text")
    shared.add_argument("--log", type=Path, metavar="FILE", help="write details and stack traces to FILE")
    parser = _Parser(
        prog="medinfer", description="AI on medical volumes. Not for clinical use.",
        epilog="`medinfer COMMAND --help` lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=f"medinfer {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def add(name: str, text: str, more: str = "") -> argparse.ArgumentParser:
        described = f"{text[0].upper()}{text[1:]}.{more}"
        command = commands.add_parser(name, parents=[shared], help=text, description=described)
        command.set_defaults(parser=command)
        return command

    for name, entry in SCAN_COMMANDS.items():
        _add_scan_arguments(add(name, entry.does), entry)
    models = add("models", "list the models with their cards", " The first word of an entry is the model's id: the ID "
                 "of the other commands and of --model. Bundled models come with MedInfer, installed ones were fetched "
                 "or added.")
    models.add_argument(
        "--public", action="store_true", help="list other people's models instead: what each is for, its licence and "
        "home; `medinfer fetch` gets most of them",
    )
    fetch = add("fetch", "download a model from its public home and install it", " `medinfer models` lists what can be "
                "fetched. The file is checked against its sha256; nothing is sent.")
    fetch.add_argument("id", metavar="ID", help=f"{_ID} or `medinfer models --public`")
    fetch.add_argument(
        "--agree", action="store_true", help="agree to what would be asked on a terminal: a licence with conditions, "
        "or a file whose publisher states no sha256",
    )
    source = add("add", "install a model from a folder, a .zip or a public file", " Nothing is installed before its "
                 "model.json is valid and its files match their sha256.")
    source.add_argument("source", type=Path, metavar="SOURCE", help=_SOURCE)
    source.add_argument("--format", choices=IMPORT_FORMATS, help="what SOURCE is, where it is not a MedInfer package")
    source.add_argument(
        "--gives", choices=["points", "boxes"], help="use a network of labels for MedLandmark (the centre of each "
        "label) or MedDetect (a box around each object), under an id of its own",
    )
    source.add_argument("--only", metavar="NAMES", help="with --gives: the labels, such as vertebrae_*; default: all")
    source.add_argument(
        "--xor-key", metavar="KEY", help="SOURCE is an ONNX file whose bytes were combined with those of KEY over and "
        "over, as some programs hide networks; it is added as it was before. That is no protection, unlike `medinfer "
        "lock`",
    )
    dry = source.add_argument_group("looking without installing")
    dry.add_argument(
        "--describe", action="store_true", help="say what a network without a model.json tells, and what it does not"
    )
    dry.add_argument(
        "--preview", type=Path, metavar="SCAN", help="show what the networks would see of this scan: a picture, size, "
        "spacing and range of values; a wrong orientation or intensity is seen at once",
    )
    dry.add_argument("--picture", type=Path, metavar="FILE", help="the picture (PNG); default: MODEL-ID.png, here")
    bare = source.add_argument_group(_BARE)
    for field in FIELDS:
        bare.add_argument(f"--{field.name}", metavar=field.metavar, help=field.words.replace("%", "%%"))
    check = add("check", "say everything that is wrong with a model, and what it does with a scan", " Validates its "
                "model.json, verifies its files, opens each network and runs it on one tile. Exit codes: 0 in order, 1 "
                "problems, 2 there is no such model.")
    check.add_argument("model", metavar="MODEL", help="a model's folder, a .zip of it, or the id of an installed model")
    check.add_argument(
        "--scan", type=Path, metavar="SCAN", help="also run it on this scan: its networks' view as a picture, size, "
        "spacing and range of values, and what it finds; no results are written",
    )
    _add_images(check)
    check.add_argument("--picture", type=Path, metavar="FILE", help="the picture (PNG); default: MODEL-ID.png, here")
    lock = add("lock", "write a copy of a model that runs only with its key", " Its networks are encrypted "
               "(AES-256 in GCM) and decrypted in memory only. Whoever runs the model has the key, and could take the "
               "networks out with it: they are protected on the way, and where the key is not.")
    lock.add_argument("model", metavar="MODEL", help="a model's folder, or the id of an installed or bundled model")
    key = lock.add_mutually_exclusive_group(required=True)
    key.add_argument("--key-file", type=Path, metavar="FILE", help="the key to lock it with")
    key.add_argument("--new-key", type=Path, metavar="FILE", help="make a new key, and write it to FILE")
    lock.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="the locked model; default: ID-locked, here")
    score = add("score", "compare a detector's results with a table of the nodules that are there", " Prints which "
                "nodules were hit, findings and false ones at the threshold, the FROC curve and the CPM, by LUNA16's "
                "rules. Scans of the truth without results are a note, and no error; exit code 2: nothing to compare.")
    score.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help="folders that `medinfer detect` wrote")
    score.add_argument(
        "--truth", required=True, type=Path, metavar="FILE", help="CSV of nodules: seriesuid, coordX, coordY, coordZ, "
        "diameter_mm (LUNA16), or case, x_lps_mm, y_lps_mm, z_lps_mm, diameter_mm; LPS mm",
    )
    score.add_argument(
        "--excluded", type=Path, metavar="FILE", help="CSV of findings that count neither as hit nor as false, in the "
        "same form",
    )
    score.add_argument(
        "--count-missing", action="store_true", help="count scans of the truth that have no results as scans in which "
        "nothing was found; default: leave them out",
    )
    score.add_argument("--bootstrap", type=_count, metavar="N", help="add 95%% intervals from N draws of the scans")
    remove = add("remove", "delete an installed model", " Bundled models stay.")
    remove.add_argument("id", metavar="ID", help=_ID)
    add("devices", "list the runtimes and devices that networks can run on here")
    return parser


def _add_scan_arguments(parser: argparse.ArgumentParser, command: ScanCommand) -> None:
    """The arguments that every command on scans takes."""
    kinds = "NIfTI, NRRD or MHA/MHD file, or a folder with DICOM series or such files"
    parser.add_argument("scans", nargs="+", type=Path, metavar="SCAN", help=kinds)
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FOLDER", help="gets a folder of results for each scan"
    )
    _add_images(parser)
    _add_model_arguments(parser, command)
    parser.add_argument(
        "--key-file", type=Path, metavar="FILE", help="the key of a locked model; default: what the variables "
        "MEDINFER_KEY_FILE or MEDINFER_KEY say, or the system's keyring has under medinfer and the model's id",
    )
    parser.add_argument(
        "--assume-hu", action="store_true",
        help="take the values of a CT for Hounsfield units as they are, without judging or correcting them",
    )
    _add_device_arguments(parser.add_argument_group("where it runs"))
    _add_output_arguments(parser.add_argument_group("what is written"), command.task)
    parser.set_defaults(task=command.task, names=None, stl=False, refine=None)


def _add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--input", action="append", default=[], metavar="NAME=FILE",
        help="a further image of the same patient, for models that look at several (T2=t2.nii.gz); may be repeated; in "
        "a folder CASE_0000.nii.gz, CASE_0001.nii.gz, … belong together",
    )


def _add_model_arguments(parser: argparse.ArgumentParser, command: ScanCommand) -> None:
    default = f"; default: the bundled {command.model}" if command.model else ""
    parser.add_argument(
        "--model", metavar="ID|FOLDER", default=command.model, required=command.model is None,
        help=f"id of a model (see: medinfer models), or a model's folder{default}",
    )
    parser.add_argument(
        "--threshold", type=_share, metavar="SCORE",
        help="report findings from this score on, between 0 and 1; default: the model's",
    )
    parser.add_argument(
        "--overlap", type=_part, metavar="SHARE",
        help="share of a tile that overlaps with the next: more is slower and more reliable; default: the model's",
    )
    parser.add_argument(
        "--no-mirroring", dest="mirroring", action="store_false",
        help="do not show mirrored tiles to a network that declares them: up to 8 times faster, a little less accurate",
    )


def _add_device_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--backend", default="auto", choices=_BACKENDS, help="the runtime; default: the fastest")
    parser.add_argument(
        "--device", default="auto", metavar="DEVICE",
        help="auto, cpu, cuda or cuda:1 (NVIDIA), gpu (Intel), directml (Windows), coreml or mps (Apple); "
        "see: medinfer devices",
    )
    parser.add_argument(
        "--precision", default="auto", metavar="PRECISION", help="auto, float32, tf32, bfloat16, float16 or int8"
    )
    parser.add_argument("--threads", type=_count, metavar="N", help="processor threads to use")


def _add_output_arguments(parser: argparse._ArgumentGroup, task: Task) -> None:
    parser.add_argument("--overwrite", action="store_true", help="run scans again that have results already")
    parser.add_argument("--no-scene", action="store_true", help="only JSON and CSV: no Slicer scene, no pictures")
    if task == "segment":
        parser.add_argument("--names", metavar="SCHEME", help="name segments by FDI (default), Universal or anatomical")
        parser.add_argument("--stl", action="store_true", help="also write the surface of each segment as an STL file")
        edges = "move borders to the scan's edges; improves inaccurate borders, but can degrade accurate ones"
        parser.add_argument("--refine", choices=["geodesic", "watershed"], help=edges)


def _share(text: str) -> float:
    with suppress(ValueError):
        if 0 < float(text) < 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"must be a number between 0 and 1, not {text!r}")


def _part(text: str) -> float:
    with suppress(ValueError):
        if 0 <= float(text) < 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"must be at least 0 and less than 1, not {text!r}")


def _count(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
