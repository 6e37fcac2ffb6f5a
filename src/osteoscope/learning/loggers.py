"""Curves of a fit for TensorBoard or MLflow, always into a local folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from osteoscope.core.errors import InputError
from osteoscope.core.registry import look_up


class Logger(Protocol):
    """Where numbers of a fit go."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Numbers by name at a step of the optimiser, counted over the whole fit."""
        ...

    def close(self) -> None:
        """Write what is still held back."""
        ...


class TensorBoardLogger:
    """Event files in ``FOLDER/tensorboard``; open with ``tensorboard --logdir``.

    Args:
        folder: Of the fit.
        first_step: Where it goes on: events from there on of an earlier, killed process are hidden.

    Raises:
        InputError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise _missing("TensorBoard", "train") from None
        self._writer: Any = SummaryWriter(
            log_dir=str(folder / "tensorboard"), purge_step=first_step or None
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Write scalars."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write and close the event file."""
        self._writer.close()


class MlflowLogger:
    """One run in ``FOLDER/mlflow``, MLflow's store of plain files: the database that it would
    rather have needs packages that the small ``mlflow-skinny`` leaves out. Open with
    ``MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri FOLDER/mlflow``.

    Args:
        folder: Of the fit.
        first_step: Not 0: the run of an earlier, killed process goes on.

    Raises:
        InputError: MLflow is not installed.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        try:
            from mlflow.tracking import MlflowClient
        except ImportError:
            raise _missing("MLflow", "mlflow") from None
        store = folder / "mlflow"
        noted = folder / "mlflow_run.txt"
        with _file_store_allowed():
            # A client of its own: MLflow's functions act on one run for the whole program.
            self._client: Any = MlflowClient(tracking_uri=store.absolute().as_uri())
            if first_step and noted.exists():
                self._run: str = noted.read_text(encoding="utf-8")
            else:
                experiment = self._client.get_experiment_by_name("osteoscope")
                number = (
                    experiment.experiment_id
                    if experiment
                    else self._client.create_experiment("osteoscope")
                )
                self._run = self._client.create_run(number, run_name=folder.name).info.run_id
                noted.write_text(self._run, encoding="utf-8")

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Write metrics."""
        for name, value in values.items():
            self._client.log_metric(self._run, name, value, step=step)

    def close(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._run)


LOGGERS: Mapping[str, Callable[[Path, int], Logger]] = {
    "tensorboard": TensorBoardLogger,
    "mlflow": MlflowLogger,
}
"""Loggers by name."""


def open_logger(name: str, folder: Path, first_step: int) -> Logger:
    """The logger of that name, writing into a fit's folder.

    Raises:
        InputError: The name is unknown, or its library is not installed.
    """
    return look_up(LOGGERS, name, "logger")(folder, first_step)


def _missing(library: str, extra: str) -> InputError:
    return InputError(
        f"{library} is not installed; install osteoscope[{extra}], or leave the logger out."
    )


@contextmanager
def _file_store_allowed() -> Iterator[None]:
    """MLflow refuses its store of plain files unless this variable says otherwise."""
    name = "MLFLOW_ALLOW_FILE_STORE"
    before = os.environ.get(name)
    os.environ[name] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
