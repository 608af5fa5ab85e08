"""Other people's models: the list is whole, and what cannot be verified is agreed to once and checked ever after."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from email.message import Message
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from range_server import RangeHandler

from medinfer.command.cli import OK, REFUSED, main
from medinfer.errors import DownloadError, OutputError, PackageError
from medinfer.importers.fetching import conditions, fetch
from medinfer.library import download as downloading
from medinfer.library.download import download
from medinfer.library.library import find_package, public_models
from medinfer.library.places import user_folder

Make = Callable[..., Path]
Offer = Callable[..., bytes]


@pytest.fixture
def offer(server: str, blob_package: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Serve the blob package under the id “afar” in a list of public models; returns the archive's bytes."""

    def make(**change: Any) -> bytes:
        packed = BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path in sorted(blob_package().iterdir()):
                archive.write(path, path.name)
        RangeHandler.files["/blobs.zip"] = packed.getvalue()
        (tmp_path / "public.json").write_text(json.dumps([{
            "id": "afar", "title": "Blobs from afar", "url": f"{server}/blobs.zip", "sha256": "", "size": 0,
            "format": "package", "licence": "Apache-2.0", "homepage": "https://example.org", "commit": "", "needs": "",
            "purpose": "Bright blobs.", **change,
        }]))
        monkeypatch.setenv("MEDINFER_PUBLIC", str(tmp_path / "public.json"))
        return packed.getvalue()

    return make


def nothing_installed() -> bool:
    return not list(user_folder().glob("*/model.json"))


def yes(question: str) -> bool:
    return True


def test_the_list_says_of_each_model_what_it_is_for_its_licence_and_what_was_checked() -> None:
    offers = public_models()
    assert len(offers) > 30
    for entry in offers.values():
        assert entry.purpose.endswith("."), entry.id
        assert entry.licence, entry.id
        assert entry.checked, entry.id
        assert entry.homepage.startswith("https://"), entry.id
        assert entry.task in ("detect", "landmark", "segment")
        assert entry.url.startswith("https://") or entry.how, entry.id
    assert {"totalsegmentator-organs", "dentalsegmentator", "monai-spleen"} <= set(offers)
    assert "licence" in offers["totalsegmentator-face"].how


def test_the_command_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--public"]) == OK
    said = capsys.readouterr().out
    for words in ("dentalsegmentator  [to fetch]", "CC-BY-4.0", "medinfer fetch monai-spleen", "[not to fetch]"):
        assert words in said
    assert main(["models", "--public", "--json"]) == OK
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [event["id"] for event in events if event["event"] == "public model"]
    assert told == list(public_models())


def test_what_cannot_be_verified_is_fetched_after_agreement_and_kept_under_its_id(offer: Offer) -> None:
    offer()
    asked: list[str] = []
    with pytest.raises(PackageError, match=r"not fetched: Its publisher states no checksum.*--agree"):
        fetch("afar")
    with pytest.raises(PackageError, match="not fetched"):
        fetch("afar", agree=lambda question: bool(asked.append(question)))
    assert nothing_installed()
    package = fetch("afar", agree=yes)
    assert len(asked) == 1
    assert (package.id, package.manifest.title) == ("afar", "Blobs from afar")
    assert package.manifest.card.summary == "Bright blobs."
    assert find_package("afar").verified_files()


def test_later_the_same_content_needs_no_agreement_and_another_is_refused(offer: Offer) -> None:
    body = offer()
    fetch("afar", agree=yes)
    known = json.loads((user_folder() / "trusted.json").read_text())
    assert list(known.values()) == [hashlib.sha256(body).hexdigest()]
    fetch("afar")
    RangeHandler.files["/blobs.zip"] = body + b" "
    with pytest.raises(DownloadError, match="sha256 differs"):
        fetch("afar", agree=yes)
    assert find_package("afar").verified_files()


def of_git(body: bytes) -> str:
    """What `git hash-object` prints."""
    return hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()


@pytest.mark.parametrize(("kind", "called", "digest"), [
    ("md5", "MD5", lambda body: hashlib.md5(body).hexdigest()),
    ("sha1", "SHA1", lambda body: hashlib.sha1(body).hexdigest()), ("git", "git's SHA-1", of_git),
])
def test_a_weak_checksum_is_checked_and_called_weak(
    offer: Offer, kind: str, called: str, digest: Callable[[bytes], str]
) -> None:
    body = offer()
    offer(checksum=f"{kind}:{digest(body)}")
    asked: list[str] = []
    fetch("afar", agree=lambda question: not asked.append(question))
    assert f"states {called} only" in asked[0]
    offer(checksum=f"{kind}:{digest(b'')}", id="other")
    (user_folder() / "trusted.json").unlink()
    with pytest.raises(DownloadError, match=f"{kind} differs"):
        fetch("other", agree=yes)


def test_a_licence_with_conditions_is_agreed_to(offer: Offer) -> None:
    body = offer()
    offer(licence="CC-BY-NC-4.0", sha256=hashlib.sha256(body).hexdigest())
    with pytest.raises(PackageError, match=r"Its licence is CC-BY-NC-4\.0"):
        fetch("afar")
    assert fetch("afar", agree=yes).manifest.card.licence == "CC-BY-NC-4.0"
    assert conditions(public_models()["afar"]).startswith("Its licence")


def test_what_cannot_be_fetched_says_what_to_do(offer: Offer, capsys: pytest.CaptureFixture[str]) -> None:
    offer(how="Get a licence first.", url="")
    assert main(["fetch", "afar", "--agree"]) == REFUSED
    assert "Blobs from afar cannot be fetched. Get a licence first." in capsys.readouterr().err


def test_the_command_fetches_with_agreement(offer: Offer, capsys: pytest.CaptureFixture[str]) -> None:
    offer()
    assert main(["fetch", "afar"]) == REFUSED
    assert "Agree with --agree" in capsys.readouterr().err
    assert main(["fetch", "afar", "--agree"]) == OK
    assert "agreed: Its publisher states no checksum" in capsys.readouterr().out


def test_labels_become_points_and_axes_are_those_that_were_declared(offer: Offer) -> None:
    offer(orientation="RAS")
    assert fetch("afar", agree=yes).manifest.passes[0].prepare.orientation == "RAS"


def test_a_broken_connection_is_taken_up_again_at_once(offer: Offer) -> None:
    body = offer()
    RangeHandler.break_after, RangeHandler.version = len(body) // 3, '"1"'
    assert fetch("afar", agree=yes).verified_files()
    assert len(RangeHandler.asked_ranges) > 2


def test_a_file_that_changed_in_between_is_fetched_from_its_start(server: str, tmp_path: Path) -> None:
    RangeHandler.files["/a"], RangeHandler.version = b"old" * 400, '"old"'
    target = tmp_path / "a"
    with pytest.raises(Exception, match="cancelled"):
        download(f"{server}/a", target, progress=None, cancel=lambda: True)
    (tmp_path / "a.part").write_bytes(b"old" * 100)
    RangeHandler.files["/a"], RangeHandler.version = b"new" * 400, '"new"'
    assert download(f"{server}/a", target).read_bytes() == b"new" * 400
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_a_page_in_place_of_the_archive_is_one_sentence(offer: Offer) -> None:
    offer()
    RangeHandler.files["/blobs.zip"] = b"<html>Not here any more</html>"
    with pytest.raises(PackageError, match=r"not a complete .zip archive"):
        fetch("afar", agree=yes)
    assert nothing_installed()


def test_a_full_disk_is_said_before_the_download(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    offer()
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match=r"0 MB free.*free some space"):
        fetch("afar", agree=yes)
    assert nothing_installed()


@pytest.mark.parametrize(("before", "after", "followed"), [
    ("https://a.org/x", "http://a.org/x", False), ("https://a.org/x", "https://b.org/x", True),
    ("http://127.0.0.1/x", "http://127.0.0.1/y", True),
])
def test_an_address_with_encryption_leads_to_none_without(before: str, after: str, followed: bool) -> None:
    handler = downloading._NoWayToPlainText()
    request = urllib.request.Request(before)
    if followed:
        assert handler.redirect_request(request, None, 302, "Found", Message(), after).full_url == after
        return
    with pytest.raises(urllib.error.URLError, match="without encryption"):
        handler.redirect_request(request, None, 302, "Found", Message(), after)
