"""Where training data come from: builds of TFDS, rendered patches, features."""

from collections.abc import Sequence

from rppg_tf import contract
from rppg_tf.data import dataset, pipeline
from rppg_tf.data.teacher_targets import TEACHER, teacher_columns
from rppg_tf.distillation import teacher
from rppg_tf.keras_compat import keras, tf
from rppg_tf.model import network as networks
from rppg_tf.synthesis import patches

# Where recordings are kept between two passes over them.
CACHES = ('memory', 'none')


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
    columns: the teacher's, if there is one.
    cache: one of CACHES. With `none` they are read and prepared in each pass,
      file by file in another order (in a fixed one for a teacher's columns).
    seed: of these orders.

  Returns:
    Dataset of what clips.prepare gives.
  """
  in_order = cache == 'memory' or columns is not None
  recordings = dataset.load_recordings(
    data_dir, roi_geometry, subjects, None if in_order else seed
  )
  if columns is not None:
    recordings = teacher.attach(recordings, columns)
  prepared = pipeline.prepare(recordings, background_mode)
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
    series = {name: item[name] for name in names} | teacher_columns(item)
    # The CNN does not learn any more.
    series.pop(f'{TEACHER}features', None)
    return {'features': features} | series

  return recordings.map(encode).cache()
