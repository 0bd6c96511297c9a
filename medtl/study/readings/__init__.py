"""How trials are read. Contract of a file: `Settings` (with `name`, `unfit(arms) -> list[Mistake]` and, where a reading needs it,
`unsuited(experiment) -> str`: why a trial cannot be read so) and two names.

`TIMED`: whether seconds count, so that no trial may find what another one has computed.

`read(settings, trials, judged, curves, task) -> Reading`: a pure function of tables.

- `trials`: trials.csv as a table, all that were planned (see `study.trials.COLUMNS`);
- `judged`: trial -> its predictions table, of validation and test images, with the `fold` that judged each where there are folds;
- `curves`: a row per trial, fold and judgement of validation: `trial`, `fold`, `epoch` (none of a probe), `seconds` of training until then,
  `kwh`, `score`.

A reading whose file says `OPENS_TARGET = True` is of trials with adaptation (its settings have `ceiling` and `as_taken`), and is also given
`opened`: trial -> what its candidates say of the target's test images (see `study.target`), once the labels of these were opened.

A reading of a search (`search`) is also given the study's `space`.
"""
