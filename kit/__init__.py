"""Win image-classification competitions with K-fold ensembles and test-time augmentation.

Stages are commands, `python -m kit.NAME`; each reads files and writes files, checked when read::

    data/  the competition's photos and labels
      |
      |  start -> competition.py          sample   draws data, for trials
      |  folds
      v
    runs/folds.csv  the fold plan         demo     runs all of this on drawn data
      |
      |  train <- recipes/*.py            bench    measures speed and memory
      v
    runs/<recipe>/fold<k>/                soup     averages the last epochs of each fold
      |           a checkpoint, and         tune     searches settings of a recipe
      |           its out-of-fold (OOF) probabilities
      |  ensemble <- other teams' probabilities
      v
    submissions/<name>.csv, .json         the answer, and its record
      |
      |  compare, report
      v
    you

The commands `start`, `folds`, `train`, `tune`, `soup`, `ensemble`, `compare`, `report`, `sample`,
`demo` and `bench` are files in this folder, and so is what you write: `recipe` and `competition`,
with its `task`. The folders are what commands are made of. `kit/README.md` has the folders and
their order, the words, the rules, a line a file.
"""

import os

__version__ = "0.1.0"

# OpenMP's threads wait for each other by spinning, by GNU's default so long that on two cores a
# training beside other processes took 27 times as long, 485 seconds. With a thirtieth of that it
# took 78, and alone it is as fast. Read when torch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# albumentations asks the network for a newer release whenever it is imported; a run should not.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
