"""From results to pages: Markdown, CSV and pictures, from the files of the store alone."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.adaptation.cost_page import cost_page
from benchmarks.adaptation.open_questions import open_questions
from benchmarks.adaptation.pages import page_name, small_page, table_page
from benchmarks.adaptation.rows import Found, gather
from benchmarks.adaptation.settings import Places
from benchmarks.adaptation.studies import STUDIES
from benchmarks.adaptation.studies.study import Study, jobs_of
from benchmarks.adaptation.tables import csv_text
from retempo.exporters.files import write_atomically


def write_report(
    studies: Sequence[Study], places: Places, out: Path, command: str, *, quick: bool
) -> list[Path]:
    """Write the pages of all studies that have a result, and return the files.

    Raises:
        OSError: a file cannot be written.
    """

    def found_of(study: Study) -> Found:
        return gather((planned.job for planned in jobs_of([study], quick=quick)), places)

    out.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    # Whichever studies ran, pages and the links between them are all of one day.
    every = {study.name: study for study in (*STUDIES.values(), *studies)}
    findings = {name: found for name, study in every.items() if (found := found_of(study)).results}
    for name, found in findings.items():
        study = every[name]
        named = f"{command} --study {study.name}"
        if study.table is not None:
            text = table_page(study, study.table(quick), found, named, out)
        elif any(result.adapt_ms for result in found.results):
            text = cost_page(study, found, named)
        else:
            text = small_page(study, found, named, out)
        for suffix, content in ((".md", text), (".csv", csv_text(found.results))):
            written.append(_write(out / f"{page_name(study)}{suffix}", content))
    if findings:
        written.append(_write(out / "open-questions.md", open_questions(findings, command)))
    return written


def _write(path: Path, content: str) -> Path:
    write_atomically(path, content.encode())
    return path
