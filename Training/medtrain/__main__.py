"""`python -m medtrain COMMAND …`; without a command it lists them."""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS = {
    "prepare-cases": ("datasets.prepare_cases", "draw chest phantoms for training a detector"),
    "prepare-patients": ("datasets.prepare_patients", "draw spine phantoms for training landmarks"),
    "prepare-jaws": ("datasets.prepare_jaws", "draw jaw phantoms for training tooth segmentation"),
    "train-detector": ("training.train_detector", "train the nodule detector"),
    "train-landmarks": ("training.train_landmarks", "train a stage of the vertebra package"),
    "train-teeth": ("training.train_teeth", "train a stage of the tooth package"),
    "train-tooth-set": ("training.train_tooth_set", "train a tooth network on your own label maps"),
    "evaluate-detector": ("evaluation.evaluate_detector", "evaluate a detector's checkpoint"),
    "evaluate-package": ("evaluation.evaluate_package", "evaluate a detection package"),
    "evaluate-landmarks": ("evaluation.evaluate_landmarks", "evaluate a landmark package"),
    "evaluate-teeth": ("evaluation.evaluate_teeth", "evaluate a tooth package"),
    "froc": ("evaluation.froc_report", "print the LUNA16 figures for a submission"),
    "export-detector": ("export.export_detector", "export a detector's checkpoint to a package"),
    "export-landmarks": ("export.export_landmarks", "export the landmark stages to a package"),
    "export-teeth": ("export.export_teeth", "export the tooth stages to a package"),
    "export-document-teeth": ("export.document_tooth_export", "export the seed document's four tooth files"),
    "sample-data": ("phantoms.sample_data", "draw the sample scans of the extension"),
}
"""Each command's module, which has a `main`, and what it does."""


def main(arguments: list[str]) -> int:
    """Run the command that `arguments` begin with; returns the exit code."""
    name, *rest = arguments or [""]
    if name in COMMANDS:
        sys.argv[1:] = rest
        return import_module(f"medtrain.{COMMANDS[name][0]}").main(rest) or 0
    wide = max(map(len, COMMANDS))
    listed = "\n".join(f"  {command:{wide}}  {what}" for command, (_, what) in COMMANDS.items())
    print(f"usage: python -m medtrain COMMAND [options]; for the options: COMMAND --help\n\n{listed}")
    if name in ("", "-h", "--help"):
        return 0
    print(f"\nmedtrain has no command {name!r}; the commands are listed above.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
