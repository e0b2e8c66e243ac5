"""Which epoch of quantisation-aware fine-tuning is kept."""

import pathlib

from rppg_tf import run_directory
from rppg_tf.errors import InputError
from rppg_tf.evaluation import pulse_correlation, windows
from rppg_tf.inference import estimators as inference_estimators
from rppg_tf.inference.int8_cnn import Int8SpatialCnn
from rppg_tf.keras_compat import keras
from rppg_tf.model import loading
from rppg_tf.quantisation import convert
from tools.n6 import rules


class KeepBestInt8(keras.callbacks.Callback):
  """Converts after every epoch; keeps the INT8 model of the lowest MAE.

  It is the converted file that is run on the validation recordings: what the
  fake quantisation of training says does not count.
  """

  def __init__(self, aware_cnn, head, run_dir: pathlib.Path, validation: list):
    super().__init__()
    self._aware_cnn = aware_cnn
    self._head = head
    self._run_dir = run_dir
    self._validation = validation
    self._mode = run_directory.read_flags(run_dir)['background']
    self.best: dict | None = None

  def on_epoch_end(self, epoch, logs=None):
    """Keras calls this after an epoch; epoch -1 is before the first."""
    del logs
    content = convert.convert(self._aware_cnn)
    check(content)
    beside = self._run_dir / f'.{run_directory.INT8_MODEL}'
    beside.write_bytes(content)
    errors = self._errors(Int8SpatialCnn(beside))
    print(f'after epoch {epoch + 1}: INT8 validation {_in_words(errors)}')
    if self.best is None or errors['mae_bpm'] < self.best['mae_bpm']:
      self.best = errors
      beside.replace(self._run_dir / run_directory.INT8_MODEL)
      loading.save_weights(
        self._head, self._run_dir / run_directory.INT8_HEAD_WEIGHTS
      )
    else:
      beside.unlink()

  def _errors(self, int8_cnn: Int8SpatialCnn) -> dict:
    estimators = {
      'int8': inference_estimators.int8_estimator(int8_cnn, self._head)
    }
    rows = windows.joined(
      pulse_correlation.window_rows(recording, estimates)
      for recording, estimates in windows.estimated(
        self._validation, self._mode, estimators
      )
    )
    return pulse_correlation.summarise(rows, 'int8')


def _in_words(errors: dict) -> str:
  words = f'MAE {errors["mae_bpm"]:.3f} BPM'
  if 'pulse_r' in errors:
    words += f', pulse with PPG r {errors["pulse_r"]:.4f}'
  return words


def check(content: bytes) -> None:
  """Refuses a file that STM32N6 would not run whole in hardware."""
  report = rules.check(content, int8_ends=True)
  if report.graph is None or report.verdict != rules.FIT:
    (found, *_) = report.of(report.verdict)
    raise InputError(f'{run_directory.INT8_MODEL}: {found}')
  try:
    report.graph.check_operators()
  except ValueError as error:
    raise InputError(f'{run_directory.INT8_MODEL}: {error}') from None
