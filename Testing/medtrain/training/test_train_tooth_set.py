"""The command that trains on the documents' data set, on two tiny scans: trained, resumed, fine-tuned, exported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from medtrain.export.document_tooth_export import main as export
from medtrain.networks.checkpoint_weights import read_weights
from medtrain.training.train_tooth_set import NETWORKS, SCHEDULES, main, schedule


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scans of 24³ voxels, each with two bright teeth."""
    for name, shift in (("a", 0), ("b", 3)):
        teeth = np.zeros((24, 24, 24), np.uint8)
        teeth[8 + shift : 14 + shift, 8:13, 4:9] = 11
        teeth[6 + shift : 13 + shift, 9:14, 12:18] = 21
        voxels = np.where(teeth > 0, 2000, 0) + np.random.default_rng(0).normal(0, 100, teeth.shape)
        for kind, array in (("image", voxels.astype(np.int16)), ("label", teeth)):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            volume = sitk.GetImageFromArray(array)
            volume.SetSpacing((0.5, 0.5, 0.5))
            sitk.WriteImage(volume, tmp_path / "data" / kind / f"{name}.nii.gz")
    return tmp_path / "data"


def arguments(network: str, folder: Path, out: Path, *more: str) -> list[str]:
    return [network, f"--train={folder}", f"--validation={folder}", f"--out={out}", "--side=16", "--widths", "4", "6",
            "--device=cpu", *more]


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_learns_goes_on_and_becomes_the_documents_file(network: str, folder: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    main(arguments(network, folder, whole, "--epochs=4", "--schedule=constant"))
    main(arguments(network, folder, parts, "--epochs=2", "--schedule=constant"))
    main(arguments(network, folder, parts, "--epochs=4", "--schedule=constant", "--resume"))
    history = json.loads((whole / "history.json").read_text())
    assert history[-1]["losses"]["loss"] < history[0]["losses"]["loss"]
    assert json.loads((parts / "history.json").read_text()) == history
    once, twice = read_weights(whole / "last.pt"), read_weights(parts / "last.pt")
    assert all(torch.equal(value, twice[name]) for name, value in once.items())
    key = {"centroids": "centroid"}.get(network, network)
    export([f"--{key}={whole / 'best.pt'}", f"--out={tmp_path / 'files'}"])
    assert len(list((tmp_path / "files").iterdir())) == 1


def test_fine_tuning_begins_with_the_weights_of_the_other_run(folder: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    main(arguments("instances", folder, first, "--epochs=1"))
    main(arguments("instances", folder, second, "--epochs=1", "--rate=0", f"--weights={first / 'best.pt'}"))
    before, after = read_weights(first / "best.pt"), read_weights(second / "last.pt")
    assert torch.equal(after["offset.layer.weight"], before["offset.layer.weight"])


def test_the_learning_rates_fall_as_they_are_said_to() -> None:
    rates = {}
    for name in SCHEDULES:
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        make, rates[name] = schedule(name, 40), []
        made = make and make(optimiser)
        for _ in range(40):
            rates[name].append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            if made is not None:
                made.step(*([1.0] if name == "plateau" else []))
    assert set(rates["constant"]) == {1.0}
    np.testing.assert_allclose([rates["step"][n] for n in (0, 19, 20, 29, 30, 39)], [1, 1, 0.1, 0.1, 0.01, 0.01])
    np.testing.assert_allclose(rates["cosine"], [(1 + np.cos(np.pi * n / 40)) / 2 for n in range(40)], atol=1e-12)
    assert [rates["plateau"][n] for n in (0, 11, 12, 22, 23)] == [1, 1, 0.5, 0.5, 0.25]
