"""What differs between the three modules: everything else they share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One module.

    task: of the packages that it runs; command: of the shell that does the same. results: what its results are called
    in the scene. finding, findings: one of what it finds, and several, in words.
    """

    module: str
    task: str
    command: str
    results: str
    finding: str
    findings: str
    default_model: str


PROFILES: dict[str, Profile] = {
    profile.module: profile
    for profile in (
        Profile("MedDetect", "detect", "detect", "Nodules", "nodule", "nodules", "chest-nodules"),
        Profile("MedLandmark", "landmark", "landmark", "Landmarks", "landmark", "landmarks", "vertebrae"),
        Profile("MedToothSeg", "segment", "teeth", "Teeth", "tooth", "teeth", "teeth"),
    )
}


def profile_for(task: str) -> Profile:
    """The module that runs packages of that task ("detect", "landmark" or "segment")."""
    return next(profile for profile in PROFILES.values() if profile.task == task)
