"""A report of a result as one self-contained HTML file: no scripts, fonts or network access."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path

from medinfer.atomic_files import write_text
from medinfer.findings import Vector, neighbours_together
from medinfer.png import png_bytes

from ..results.measures import measures_of
from ..results.result import Result
from ..results.result_rows import ACCEPTED, REJECTED, Row, read_score
from .finding_pictures import FindingPicture, picture_of
from .report_style import STYLE

MOST_PICTURES = 40
WARNING = "Not for clinical use"


def export_report(result: Result, path: Path | str) -> None:
    """Write the report of `result` to `path`: the scan, the model, all findings with their reviews, and pictures.

    Of each finding that is shown, the first MOST_PICTURES of them, there is an axial picture, drawn by numpy. Nothing
    in the scene changes. Raises OutputError.
    """
    write_text(path, report_html(result))


def report_html(result: Result) -> str:
    """The report as a page."""
    title = f"{result.name}: {result.record.scan}"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="warning"><strong>{WARNING}.</strong> {_text(_limits(result))}</p>',
        _facts(_run_facts(result)),
        _notes(result.notes),
        _findings(result),
        _measures(result),
        _pictures(result),
        _model(result),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, parts)) + "\n</main>\n</body>\n</html>\n"
    )


def place_words(position: Vector | None) -> str:
    """A position in radiologists' notation: "R 12.3  P 40.1  S 300.2" (mm)."""
    if position is None:
        return "–"
    return "  ".join(
        f"{letters[value < 0]} {abs(value):.1f}" for letters, value in zip(("RL", "AP", "SI"), position, strict=True)
    )


def _limits(result: Result) -> str:
    """The limits from the model's card, without the warning that already precedes them."""
    limits = result.record.model.limits.strip()
    if limits.lower().startswith(WARNING.lower()):
        limits = limits[len(WARNING):].lstrip(". ")
    return limits


def _run_facts(result: Result) -> list[tuple[str, str]]:
    record = result.record
    made = _date(record.made)
    ran_on = ", ".join(filter(None, (record.device, record.precision, record.runtime)))
    shown = len(result.shown_rows)
    rows = result.rows
    counts = [f"{shown} shown"]
    counts += [f"{sum(row.review == word for row in rows)} {word}" for word in (ACCEPTED, REJECTED)]
    if result.shown_score:
        counts.append(f"{sum(_is_below(result, row) for row in rows)} below the score of {result.shown_score:.2f}")
    return [
        ("Scan", record.scan),
        ("Model", f"{record.model.title} (version {record.model.version})"),
        ("Found", made),
        ("Report", _date(datetime.now().astimezone().isoformat(timespec="seconds"))),
        ("Ran on", f"{ran_on}{f', {record.seconds:.0f} s' if record.seconds else ''}"),
        ("Findings", ", ".join(counts)),
    ]


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(words)}</dd>" for name, words in facts if words)
    return f"<dl>{rows}</dl>"


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    points = "".join(f"<li>{_text(note[:1].upper() + note[1:])}</li>" for note in notes)
    return f"<h2>Notes on this scan</h2>\n<ul>{points}</ul>"


def _findings(result: Result) -> str:
    rows = [row for row in result.rows if row.status != "missing"]
    if not rows:
        return "<h2>Findings</h2>\n<p>Nothing was found.</p>"
    size = "To next" if result.task == "landmark" else "Size"
    flags, measured = any(row.flags for row in rows), any(row.measured for row in rows)
    titles = [
        "", "Finding", "Score", size, *(["Measured"] if measured else []), "Position, mm",
        *(["To check"] if flags else []), "Review",
    ]
    head = "".join(f"<th>{_text(title)}</th>" for title in titles)
    body = "\n".join(_row(result, row, flags=flags, measured=measured) for row in rows)
    missing = neighbours_together((row.title, row.status == "missing") for row in result.rows)
    left_out = f"<p>Not found: {_text(missing)}.</p>\n" if missing else ""
    return (
        f'<h2>Findings</h2>\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n{left_out}'
        '<p class="small">Positions are in scene coordinates, towards the patient’s Right or Left, Anterior or '
        "Posterior, Superior or Inferior. A score is the model’s confidence (0 to 1), not a probability of disease.</p>"
    )


def _row(result: Result, row: Row, *, flags: bool, measured: bool) -> str:
    cells = [
        f'<td class="number">{row.number}</td>',
        f'<td class="title">{_text(row.title)}</td>',
        f'<td class="number">{read_score(row.score):.2f}</td>',
        f'<td class="number">{_text(row.detail)}</td>',
        *([f'<td class="number">{_text(row.measured)}</td>'] if measured else []),
        f'<td class="place">{_text(place_words(row.position_world))}</td>',
    ]
    if flags:
        cells.append(f"<td>{_text('; '.join(row.flags))}</td>")
    state = _text(_state(result, row))
    cells.append(f'<td class="review {row.review}">{f"<b>{state}</b>" if row.review else state}</td>')
    shade = "" if result.shows(row) else ' class="off"'
    return f"<tr{shade}>{''.join(cells)}</tr>"


def _state(result: Result, row: Row) -> str:
    """The state of a finding, in words."""
    if row.status == "removed":
        return "removed from the scene"
    if row.review:
        return row.review
    return "hidden: low score" if _is_below(result, row) else "not reviewed"


def _is_below(result: Result, row: Row) -> bool:
    return row.position_world is not None and not row.review and not result.shows(row)


def _measures(result: Result) -> str:
    measures = measures_of(result)
    if not measures:
        return ""
    rows = "".join(
        f'<tr><td>{_text(one.name)}</td><td class="number">{_text(one.words)}</td></tr>'
        for one in measures
    )
    return f"<h2>Measurements</h2>\n<table class=\"narrow\">\n<tbody>{rows}</tbody>\n</table>"


def _pictures(result: Result) -> str:
    shown = result.shown_rows
    if not shown:
        return ""
    if result.volume_node is None:
        return "<h2>Pictures</h2>\n<p>There are none, because the scan was removed from the scene.</p>"
    drawn = [(row, picture_of(result, row)) for row in shown[:MOST_PICTURES]]
    figures = "\n".join(_figure(row, picture) for row, picture in drawn if picture is not None)
    left = len(shown) - MOST_PICTURES
    more = f"<p>{left} more are not shown here.</p>" if left > 0 else ""
    return f'<h2>Pictures</h2>\n<div class="pictures">\n{figures}\n</div>\n{more}'


def _figure(row: Row, picture: FindingPicture) -> str:
    data = b64encode(png_bytes(picture.pixels)).decode("ascii")
    words = f"{row.title}, axial, {picture.width_mm:.0f} mm wide"
    details = ", ".join(filter(None, (f"{read_score(row.score):.2f}", row.detail, row.review)))
    return (
        f'<figure><div class="shot"><img alt="{_text(words)}" src="data:image/png;base64,{data}">'
        '<b class="r">R</b><b class="l">L</b><b class="a">A</b><b class="p">P</b>'
        f'<b class="bar">{picture.bar_mm} mm</b></div>'
        f"<figcaption><strong>{row.number}. {_text(row.title)}</strong><br>{_text(details)}</figcaption></figure>"
    )


def _model(result: Result) -> str:
    model = result.record.model
    facts = _facts([
        ("Model", f"{model.title} ({model.id} {model.version})"),
        ("Intended use", model.intended_use),
        ("Licence", model.licence),
        ("Authors", model.authors),
        ("Citation", model.citation),
        ("Threshold", f"{result.record.threshold:.2f}" if result.record.threshold else ""),
    ])
    return f"<h2>The model</h2>\n{facts}"


def _date(stamp: str) -> str:
    """An ISO date as people write it, with the offset from UTC."""
    try:
        return datetime.fromisoformat(stamp).strftime("%Y-%m-%d %H:%M (UTC%z)")
    except ValueError:
        return stamp


def _text(words: str) -> str:
    return escape(words, quote=True)
