"""``osteoscope tscore train``: a recipe, a store and a split become a run folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteoscope.apps.cli.metric_sentences import metric_numbers, metric_sentences
from osteoscope.apps.cli.tscore.extra import need_train

if TYPE_CHECKING:
    from osteoscope.learning.progress import FitProgress

    OnFold = Callable[[int, int, FitProgress], None]


def train(
    store: Annotated[Path, typer.Argument(help="Folder from osteoscope tscore prepare.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder to make.")],
    split: Annotated[
        Path | None,
        typer.Option("--split", help="From osteoscope tscore split; default: the paper's, seed 0."),
    ] = None,
    preset: Annotated[str, typer.Option(help="Recipe: medconv or small.")] = "medconv",
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file laid over the preset.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value, as often as needed: fit.epochs=50."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--trust", help="Check the store's digest first.")
    ] = True,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of a finished run.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the settings and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a classifier of the WHO class on every fold of a split.

    A run that was stopped goes on where it stopped when the same command is given again. Epoch,
    tau, temperature and sets are chosen on validation subjects; test subjects are predicted last.
    """
    need_train()
    from osteoscope.core.config_file import config_as_toml
    from osteoscope.io.crop_store import CropStore
    from osteoscope.learning.devices import is_first_process
    from osteoscope.studies.tscore.evaluate import evaluate_run
    from osteoscope.studies.tscore.splits import default_split, read_split
    from osteoscope.studies.tscore.train import train_run
    from osteoscope.studies.tscore.train_config import train_config

    options = train_config(preset, file=config, settings=settings or ())
    if show:
        print(config_as_toml(options), end="")
        return
    crops = CropStore.open(store, verify=verify)
    chosen = default_split(crops, options.fit.seed) if split is None else read_split(split)
    first = is_first_process(options.fit)
    with _shown(quiet or not first) as on_progress:
        trained = train_run(crops, chosen, options, out, replace=replace, on_progress=on_progress)
    if not first:
        return
    complete = evaluate_run(trained.folder)
    if as_json:
        print(json.dumps({"run": str(trained.folder), "metrics": metric_numbers(complete)}))
    else:
        print("\n".join(metric_sentences(complete)))
        print(f"Run: {trained.folder}. Report: {trained.folder / 'report.html'}")


@contextmanager
def _shown(quiet: bool) -> Iterator[OnFold | None]:
    """A bar on a terminal, a line an epoch elsewhere."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _bar() as advance:
            yield advance
    else:
        yield _line_an_epoch()


def _words(fold: int, folds: int, progress: FitProgress) -> str:
    which = f"fold {fold + 1}/{folds}, " if folds > 1 else ""
    auc = progress.metrics.get("auc")
    judged = "" if auc is None else f", validation AUC {auc:.3f}"
    left = progress.seconds_left
    where = " in this fold" if folds > 1 else ""
    remaining = "" if left is None else f", {_duration(left)} left{where}"
    return (
        f"{which}epoch {min(progress.epoch + 1, progress.epochs)}/{progress.epochs}, "
        f"loss {progress.loss:.4f}{judged}{remaining}"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _line_an_epoch() -> OnFold:
    told: set[tuple[int, int]] = set()

    def tell(fold: int, folds: int, progress: FitProgress) -> None:
        key = (fold, progress.epoch)
        if progress.step >= progress.steps and progress.metrics and key not in told:
            told.add(key)
            print(_words(fold, folds, progress), file=sys.stderr, flush=True)

    return tell


@contextmanager
def _bar() -> Iterator[OnFold]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)

        def tell(fold: int, folds: int, progress: FitProgress) -> None:
            each = progress.epochs * progress.steps
            done = fold * each + progress.epoch * progress.steps + progress.step
            bar.update(
                task,
                total=folds * each,
                completed=done,
                description=_words(fold, folds, progress),
            )

        yield tell
