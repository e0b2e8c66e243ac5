"""What training and quantisation-aware fine-tuning share."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from rppg_tf import contract
from rppg_tf.data import clips
from rppg_tf.data.clips import ClipShape
from rppg_tf.data.teacher_targets import TEACHER, taught
from rppg_tf.distillation import teacher
from rppg_tf.errors import InputError
from rppg_tf.keras_compat import keras
from rppg_tf.model import network as networks
from rppg_tf.synthesis import patches
from rppg_tf.training import losses

# Where recordings are kept between two passes over them.
CACHES = ('memory', 'none')
# Of the epochs of the head alone: it costs a thousandth of the CNN.
HEAD_BATCH_SIZE = 16
HEAD_CLIPS_PER_RECORDING = 8
# Share of the steps over which the learning rate rises to its full value.
_WARM_UP = 0.1
# Puts an error of 10 BPM on a level with a pulse that does not correlate.
HEART_RATE_LOSS_WEIGHT = 0.1


@dataclasses.dataclass(frozen=True)
class TeacherLoss:
  """How a teacher's targets count.

  Attributes:
    gives_distribution: whether it gives one of rates; if not, a normal one
      around its heart rate is taken, as for a label.
    temperature: at which two distributions are compared.
    feature_weight: of 1 - Pearson of the features.
  """

  gives_distribution: bool
  temperature: float
  feature_weight: float


def prepared_recordings(
  data_dir: str,
  roi_geometry: str,
  background_mode: str,
  subjects: Sequence[str],
  columns: teacher.Columns | None = None,
  cache: str = 'memory',
  seed: int = 1,
) -> tf.data.Dataset:
  """Returns the recordings that clips are cut from, prepared.

  Args:
    data_dir: the --data_dir of `tfds build`.
    roi_geometry: the dataset's configuration, `inner` or `original`.
    background_mode: one of background.MODES.
    subjects: whose recordings.
    columns: what a teacher says of them, if there is one.
    cache: one of CACHES. With `none` they are read and prepared in each pass,
      file by file in another order (in a fixed one for a teacher's columns).
    seed: of these orders.

  Returns:
    Dataset of what clips.prepare gives.
  """
  in_order = cache == 'memory' or columns is not None
  recordings = clips.load_recordings(
    data_dir, roi_geometry, subjects, None if in_order else seed
  )
  if columns is not None:
    recordings = teacher.attach(recordings, columns)
  prepared = clips.prepare(recordings, background_mode)
  return prepared.cache() if cache == 'memory' else prepared


def patch_recordings(source: patches.PatchSource, num: int) -> tf.data.Dataset:
  """Renders patches, in the form that clips.load_recordings gives.

  Args:
    source: what of.
    num: recordings.
  """
  signature = {
    'frames': tf.TensorSpec(
      (None, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE), tf.uint8
    ),
    'mid_face_rgb': tf.TensorSpec((None, contract.NUM_CHANNELS), tf.float32),
    'timestamp_s': tf.TensorSpec((None,), tf.float64),
    'ppg': tf.TensorSpec((None,), tf.float32),
    'heart_rate_bpm': tf.TensorSpec((None,), tf.float32),
    'face_found': tf.TensorSpec((None,), tf.bool),
    'subject': tf.TensorSpec((), tf.string),
  }
  return tf.data.Dataset.from_generator(
    lambda: patches.render_recordings(source, num),
    output_signature=signature,
  )


def encoded_recordings(
  recordings: tf.data.Dataset,
  spatial_cnn: keras.Model,
  input_quantisation: tuple[float, int],
) -> tf.data.Dataset:
  """Returns recordings to train a head alone on, cached.

  Args:
    recordings: of clips.prepare.
    spatial_cnn: trained.
    input_quantisation: (scale, zero_point) of the int8 codes.

  Returns:
    Dataset of the same with features, float32 [frames, 52], instead of codes
    and chrominance.
  """
  decode = networks.DecodeFrames(*input_quantisation)
  join = networks.FrameFeatures(contract.NUM_FRAME_FEATURES)

  def encode(item):
    codes, colour = item['codes'], item['chrominance']
    encoded = spatial_cnn(decode(codes[tf.newaxis]), training=False)
    features = join([encoded, colour[tf.newaxis]])[0]
    names = ('timestamp_s', 'ppg', 'heart_rate_bpm')
    series = {name: item[name] for name in names} | taught(item)
    # The CNN does not learn any more.
    series.pop(f'{TEACHER}features', None)
    return {'features': features} | series

  return recordings.map(encode).cache()


def clip_shape(head: str, window: int, frame_stride: int) -> ClipShape:
  """Returns how clips are cut and labelled for a head."""
  if head == 'pulse':
    return ClipShape()
  return ClipShape(
    window=window,
    window_spacing=frame_stride,
    window_stride=1,
    label='middle',
    targets=('heart_rate_bpm',),
  )


def compile_network(
  network: keras.Model,
  learning_rate: float,
  num_steps: int,
  pulse_loss_weight: float,
  rate_loss_weight: float,
  teacher_loss: TeacherLoss | None = None,
) -> None:
  """Compiles a network of either head with the losses that it has targets for.

  Args:
    network: from build_network.
    learning_rate: at its highest.
    num_steps: over which it rises and falls.
    pulse_loss_weight: of 1 - Pearson of the pulse; the Huber loss of the heart
      rate, in BPM, has HEART_RATE_LOSS_WEIGHT.
    rate_loss_weight: of the cross entropy of the rate distribution.
    teacher_loss: of a network of network.with_teacher. The share of teacher
      and labels is in the clips' sample weights.
  """
  loss = {'heart_rate_bpm': losses.HuberBpm()}
  weights = {'heart_rate_bpm': HEART_RATE_LOSS_WEIGHT}
  if 'pulse' in network.output:
    loss['pulse'] = losses.NegativePearson()
    weights['pulse'] = pulse_loss_weight
    loss['rate_probability'] = losses.RateCrossEntropy()
    weights['rate_probability'] = rate_loss_weight
  if teacher_loss:
    _add_teacher(loss, weights, network.output, teacher_loss)
  warm_up_steps = max(1, int(_WARM_UP * num_steps))
  schedule = keras.optimizers.schedules.CosineDecay(
    0.0,
    max(1, num_steps - warm_up_steps),
    warmup_target=learning_rate,
    warmup_steps=warm_up_steps,
  )
  # Keras puts the output's name in front only where there are several.
  prefix = 'heart_rate_bpm_' if len(network.output) == 1 else ''
  network.compile(
    optimizer=keras.optimizers.Adam(schedule, clipnorm=1.0),
    loss=loss,
    loss_weights=weights,
    weighted_metrics={
      'heart_rate_bpm': [
        losses.MeanAbsoluteErrorBpm(f'{prefix}mae_bpm'),
        losses.RootMeanSquaredErrorBpm(f'{prefix}rmse_bpm'),
      ]
    },
  )


def _add_teacher(
  loss: dict, weights: dict, outputs: dict, teacher_loss: TeacherLoss
) -> None:
  """Holds a teacher's targets against the outputs as labels are held."""
  for name in list(loss):
    again = f'{TEACHER}{name}'
    if again in outputs:
      loss[again], weights[again] = loss[name], weights[name]
  if teacher_loss.gives_distribution:
    again = f'{TEACHER}rate_probability'
    if again in outputs:
      loss[again] = losses.RateDistillation(teacher_loss.temperature)
  if f'{TEACHER}features' in outputs:
    loss[f'{TEACHER}features'] = losses.FeatureDistillation()
    weights[f'{TEACHER}features'] = teacher_loss.feature_weight


def steps_per_epoch(
  num_recordings: int, clips_per_recording: int, batch_size: int
) -> int:
  """Returns the number of batches in an epoch of training_clips.

  Args:
    num_recordings: of those that are long enough for a clip.
    clips_per_recording: clips cut in an epoch.
    batch_size: clips in a batch.

  Raises:
    InputError: there is not one whole batch.
  """
  num_clips = num_recordings * clips_per_recording
  if num_clips < batch_size:
    raise InputError(
      f'--batch_size={batch_size}: more than the {num_clips} clips of an '
      f'epoch ({num_recordings} training recordings of 11 s or more); give a '
      'smaller one, more --clips_per_recording or more recordings'
    )
  return num_clips // batch_size
