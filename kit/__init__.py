"""Win image-classification competitions with K-fold ensembles and test-time augmentation.

Stages are files, and checked tables pass between them; each command reads files and writes files::

    photos --folds--> runs/folds.csv --train--> runs/<recipe>/fold<k>/ --ensemble-->
    submissions/<name>.csv (people, labels)          (checkpoint, OOF)      |             (checked,
    with its record) +--compare, report--> a person

Commands, each `python -m kit.NAME`:

- `folds`     people -> fold plan, after the leak audit (`audit`)
- `train`     one recipe, one fold -> checkpoint, out-of-fold (OOF) probabilities, metrics
- `ensemble`  runs and probability files -> checked submission CSV, and its record
- `soup`      the epochs of a fold -> one checkpoint of their mean weights
- `compare`   submissions against each other, and against answers
- `report`    runs, or the data alone -> one HTML page a person looks at
- `sample`    a drawn data set in the competition's layout
- `demo`      the whole pipeline on that sample
- `bench`     speed and memory, measured on this machine

Nouns, which commands import and which never import a command: `labels` (the 18 classes), `tables`
(the only reader and writer of CSV, JSON and probability files), `data` (a competition folder as
tables), `pixels` (its photos as arrays: decoding, the pixel cache, loaders), `recipe`, `models`
(networks and heads), `losses` (and mixes), `learn` (one training step and all that it changes),
`track` (TensorBoard, W&B), `versions` (of what makes pixels and networks), `checkpoint`, `views`
(test-time augmentation), `device` (its precisions and memory), `fast` (networks as inference runs
them, and the probe of how), `predict`, `profile` (where the time goes), `members` (of an ensemble:
their probabilities, joined by id), `blend` (and the class decision), `early` (deciding before all
members have run), `standing` (the honest score of what was fitted), `submission` (its check),
`board` (the leaderboard log), `metrics` (and the bootstrap over people), `mislabel` (probable label
errors), `figures` (of a report, as SVG), `sheet` (thumbnails and contact sheets), `console` (what a
person sees) and `errors`.
"""

import os

__version__ = "0.1.0"

# OpenMP's threads wait for each other by spinning, by GNU's default so long that on two cores a
# training beside other processes took 485 seconds instead of 18. With a thirtieth of that it took
# 78, and alone it is as fast. Read when torch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
