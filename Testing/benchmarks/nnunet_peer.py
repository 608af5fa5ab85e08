"""nnU-Net itself, trained for a minute or two on drawn volumes, and its own predictions.

    python Testing/benchmarks/nnunet_peer.py FOLDER [CASE …]

Needs nnunetv2, best in an environment of its own. Writes into FOLDER for each case a result folder of nnU-Net
(FOLDER/models/CASE), scans that it was not trained on (FOLDER/scans/CASE) and what nnU-Net's predictor makes of them,
with and without mirroring (FOLDER/home/CASE, FOLDER/home/CASE-mirrored). `nnunet.py` compares.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class Case:
    """What is trained. spacing: mm along x, y, z, which varies by a fifth. regions: label 2 lies in label 1. second: a
    further image, in which only the ball is bright. cascade: with a first stage at a coarser spacing."""

    number: int
    configuration: str
    folds: tuple[int | str, ...] = (0,)
    planner: str = "ExperimentPlanner"
    plans: str = "nnUNetPlans"
    spacing: tuple[float, float, float] = (2.4, 2.4, 3.0)
    size: tuple[int, int, int] = (29, 27, 23)
    regions: bool = False
    modality: str = "CT"
    second: str = ""
    cascade: bool = False


CASES = {
    "fullres": Case(901, "3d_fullres", folds=(0, 1)),
    "slices": Case(901, "2d"),
    "residual": Case(901, "3d_fullres", planner="nnUNetPlannerResEncM", plans="nnUNetResEncUNetMPlans"),
    "thick": Case(902, "3d_fullres", spacing=(1.8, 1.8, 8.0), size=(36, 34, 9)),
    "regions": Case(903, "3d_fullres", regions=True, modality="MR"),
    "cascade": Case(905, "3d_cascade_fullres", folds=("all",), cascade=True),
    "images": Case(904, "3d_fullres", modality="MR", second="T2"),
}
# nnU-Net's name for how many processes it may start.
_PROCESSES = "nnUNet_n_proc_DA"
_PREPROCESSED = "nnUNet_preprocessed"
TRAINING, HELD_OUT = 6, 2
EPOCHS, STEPS = 3, 12


def draw(case: Case, seed: int) -> tuple[list[sitk.Image], sitk.Image]:
    """The images of an egg and a ball in noise, and the labels; stored with any direction of axes."""
    rng = np.random.default_rng([case.number, seed])
    spacing = np.array(case.spacing) * rng.uniform(0.8, 1.2)
    size = [int(n + rng.integers(-2, 3)) if n > 20 else int(n + rng.integers(0, 3)) for n in case.size]
    x, y, z = np.meshgrid(*[np.arange(n) * s for n, s in zip(size, spacing, strict=True)], indexing="ij")
    middle = np.array(size) * spacing / 2 + rng.uniform(-4, 4, 3)
    egg = ((x - middle[0]) / 18) ** 2 + ((y - middle[1]) / 15) ** 2 + ((z - middle[2]) / 20) ** 2 < 1
    inner = middle + rng.uniform(-3, 3, 3)
    ball = (x - inner[0]) ** 2 + (y - inner[1]) ** 2 + (z - inner[2]) ** 2 < rng.uniform(6, 9) ** 2
    values = np.where(ball, 250, np.where(egg, 60, -900 if case.modality == "CT" else 10)) + rng.normal(0, 40, x.shape)
    labels = np.where(ball & egg, 2, np.where(egg, 1, 0))
    if case.modality == "MR":
        values = np.where(x < 5 * spacing[0], 0, np.abs(values))
    drawn = [values]
    if case.second:
        drawn.append(np.where(ball, 200, 20) + rng.normal(0, 20, x.shape))
        drawn[-1][x > (size[0] - 4) * spacing[0]] = 0
    images = [sitk.GetImageFromArray(one.transpose(2, 1, 0).astype(np.int16)) for one in drawn]
    truth = sitk.GetImageFromArray(labels.transpose(2, 1, 0).astype(np.uint8))
    origin = [float(value) for value in rng.uniform(-50, 50, 3)]
    for one in (*images, truth):
        one.SetSpacing([float(value) for value in spacing])
        one.SetOrigin(origin)
        if seed % 2:
            one.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    return images, truth


def write_images(images: list[sitk.Image], stem: Path) -> None:
    for number, image in enumerate(images):
        sitk.WriteImage(image, stem.with_name(f"{stem.name}_{number:04d}.nii.gz"))


def write_data(raw: Path, scans: Path, case: Case) -> None:
    folder = raw / f"Dataset{case.number}_Drawn"
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    scans.mkdir(parents=True, exist_ok=True)
    for seed in range(TRAINING):
        images, truth = draw(case, seed)
        write_images(images, folder / "imagesTr" / f"case{seed}")
        sitk.WriteImage(truth, folder / "labelsTr" / f"case{seed}.nii.gz")
    for seed in range(TRAINING, TRAINING + HELD_OUT):
        write_images(draw(case, seed)[0], scans / f"held{seed}")
    labels = {"background": 0, "egg": [1, 2], "ball": [2]} if case.regions else {"background": 0, "egg": 1, "ball": 2}
    order = {"regions_class_order": [1, 2]} if case.regions else {}
    (folder / "dataset.json").write_text(json.dumps({
        "channel_names": {"0": case.modality, **({"1": case.second} if case.second else {})}, "labels": labels,
        "numTraining": TRAINING, "file_ending": ".nii.gz",
        **order,
    }))


def add_cascade(case: Case) -> None:
    """Add both stages of a cascade to the plans, which nnU-Net itself plans for large scans alone."""
    file = Path(os.environ[_PREPROCESSED]) / f"Dataset{case.number}_Drawn" / f"{case.plans}.json"
    plans = json.loads(file.read_text())
    known = plans["configurations"]
    known["3d_lowres"] = {
        **known["3d_fullres"], "data_identifier": f"{case.plans}_3d_lowres", "next_stage": "3d_cascade_fullres",
        "spacing": [1.5 * value for value in known["3d_fullres"]["spacing"]],
    }
    known["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    file.write_text(json.dumps(plans))


def train(case: Case, results: Path) -> list[Path]:
    """The result folders of nnU-Net, the stage to be used last."""
    import torch
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess
    from nnunetv2.run.run_training import get_trainer_from_args

    os.environ[_PROCESSES] = "2"
    extract_fingerprints([case.number], num_processes=1)
    plan_experiments([case.number], experiment_planner_class_name=case.planner)
    stages, prepared = [case.configuration], (case.configuration,)
    if case.cascade:
        add_cascade(case)
        stages, prepared = ["3d_lowres", case.configuration], ("3d_lowres", "3d_fullres")
    preprocess([case.number], case.plans, configurations=prepared, num_processes=(1,) * len(prepared))
    os.environ[_PROCESSES] = "0"  # augmentation without processes of its own
    for stage in stages:
        for fold in case.folds:
            trainer = get_trainer_from_args(
                str(case.number), stage, fold, plans_identifier=case.plans, device=torch.device("cpu")
            )
            trainer.num_epochs, trainer.num_iterations_per_epoch = EPOCHS, STEPS
            trainer.num_val_iterations_per_epoch = 1
            trainer.run_training()
            if stage != case.configuration:
                trainer.perform_actual_validation(False)  # which the next stage is trained on
    return [results / f"Dataset{case.number}_Drawn" / f"nnUNetTrainer__{case.plans}__{stage}" for stage in stages]


def predict(
    model: Path, folds: tuple[int | str, ...], scans: Path, out: Path, *, mirrored: bool, before: Path | None = None
) -> float:
    """Seconds that nnU-Net's own predictor takes. before: what the stage before has predicted."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        use_mirroring=mirrored, device=torch.device("cpu"), perform_everything_on_device=False, allow_tqdm=False
    )
    out.mkdir(parents=True, exist_ok=True)
    predictor.initialize_from_trained_model_folder(str(model), folds, "checkpoint_final.pth")
    begin = time.perf_counter()
    predictor.predict_from_files_sequential(
        str(scans), str(out), folder_with_segs_from_prev_stage=None if before is None else str(before)
    )
    return time.perf_counter() - begin


def main() -> None:
    home, *names = sys.argv[1:]
    folder = Path(home).resolve()
    for kind in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{kind}"] = str(folder / "work" / kind)
    for name in names or CASES:
        case = CASES[name]
        scans = folder / "scans" / name
        write_data(folder / "work" / "raw", scans, case)
        trained = train(case, folder / "work" / "results")
        model = folder / "models" / name
        shutil.rmtree(model, ignore_errors=True)
        for stage in trained:
            shutil.copytree(stage, model / stage.name if case.cascade else model)
        for mirrored in (False, True):
            out, before, seconds = folder / "home" / (f"{name}-mirrored" if mirrored else name), None, 0.0
            for stage in trained:
                here = out if stage is trained[-1] else out.with_name(f"{out.name}-before")
                place = model / stage.name if case.cascade else model
                seconds += predict(place, case.folds, scans, here, mirrored=mirrored, before=before)
                before = here
            print(f"{name}: nnU-Net {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
