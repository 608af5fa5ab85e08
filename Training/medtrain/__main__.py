"""`python -m medtrain COMMAND …`; without a command it lists them."""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS = {
    "prepare-cases": ("datasets.prepare_cases", "draw chest phantoms to train a detector on"),
    "prepare-patients": ("datasets.prepare_patients", "draw spine phantoms to train landmarks on"),
    "prepare-jaws": ("datasets.prepare_jaws", "draw jaw phantoms to train tooth segmentation on"),
    "train-detector": ("training.train_detector", "train the nodule detector"),
    "train-landmarks": ("training.train_landmarks", "train a stage of the vertebra package"),
    "train-teeth": ("training.train_teeth", "train a stage of the tooth package"),
    "train-tooth-set": ("training.train_tooth_set", "train a tooth network on label maps of one's own"),
    "evaluate-detector": ("evaluation.evaluate_detector", "measure a detector's checkpoint"),
    "evaluate-package": ("evaluation.evaluate_package", "measure a detection package"),
    "evaluate-landmarks": ("evaluation.evaluate_landmarks", "measure a landmark package"),
    "evaluate-teeth": ("evaluation.evaluate_teeth", "measure a tooth package"),
    "froc": ("evaluation.froc_report", "print LUNA16's figures of a submission"),
    "export-detector": ("export.export_detector", "write a detector's checkpoint into a package"),
    "export-landmarks": ("export.export_landmarks", "write the landmark stages into a package"),
    "export-teeth": ("export.export_teeth", "write the tooth stages into a package"),
    "export-document-teeth": ("export.document_tooth_export", "write the seed document's four tooth files"),
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
    print(f"usage: python -m medtrain COMMAND [options]; COMMAND --help lists them\n\n{listed}")
    if name in ("", "-h", "--help"):
        return 0
    print(f"\nmedtrain has no command {name!r}; the commands are listed above.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
