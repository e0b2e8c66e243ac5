"""Which epoch of a training is kept."""

import csv
import pathlib

from rppg_tf.keras_compat import keras
from rppg_tf.model import loading


class KeepBest(keras.callbacks.Callback):
  """Saves parts by file name when the validation loss is the lowest so far.

  Keras' ModelCheckpoint would save the joined network, into a file that a kill
  leaves half-written, and would not know the lowest loss before a resume.

  The loss and not the MAE: over a few validation subjects the MAE soon says
  nothing any more, while the pulse still gets better.

  Args:
    parts: models by file name.
    run_dir: folder of these files.
    history: what CSVLogger has written of the epochs before a resume. Workers
      must be given the same one: they have to save together.
  """

  def __init__(
    self,
    parts: dict[str, keras.Model],
    run_dir: pathlib.Path,
    history: pathlib.Path,
  ):
    super().__init__()
    self._parts = parts
    self._run_dir = run_dir
    self._lowest_loss, self.best_mae_bpm = _best_so_far(history)

  def on_epoch_end(self, epoch, logs=None):
    """Keras calls this after validation."""
    del epoch
    assert logs is not None
    if logs['val_loss'] < self._lowest_loss:
      self._lowest_loss = logs['val_loss']
      self.best_mae_bpm = logs['val_heart_rate_bpm_mae_bpm']
      for name, part in self._parts.items():
        loading.save_weights(part, self._run_dir / name)


def _best_so_far(history: pathlib.Path) -> tuple[float, float]:
  """Returns loss and MAE, BPM, of the best epoch before a resume."""
  columns = ('val_loss', 'val_heart_rate_bpm_mae_bpm')
  if not history.exists():
    return float('inf'), float('inf')
  with history.open(newline='') as file:
    rows = [[row[name] for name in columns] for row in csv.DictReader(file)]
  # The row that a kill cut short says nothing.
  whole = [row for row in rows if not {None, '', 'NA'} & set(row)]
  return min(
    ((float(loss), float(mae_bpm)) for loss, mae_bpm in whole),
    default=(float('inf'), float('inf')),
  )
