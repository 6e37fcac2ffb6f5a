"""Names in a run folder."""

RUN_NAME = "run.json"
PREDICTIONS_NAME = "predictions.parquet"
BASELINES_FOLDER = "baselines"
