"""Trains the spatial CNN and a head on recordings that `tfds build` wrote.

  python -m rppg_tf.train --flagfile=rppg_tf/flagfiles/demo.flags \
    --data_dir=build/demo/data --run_dir=build/demo/run

The same command again resumes a run that was killed, from its last epoch. From
Python: `training.train(training.TrainConfig(data_dir=..., run_dir=...))`.
"""

import dataclasses
import sys

from absl import flags

from rppg_tf import training
from rppg_tf.entry_point import run
from rppg_tf.model import network
from rppg_tf.signals import background
from rppg_tf.training import distribution, sources

_DEFAULTS = {
  field.name: field.default
  for field in dataclasses.fields(training.TrainConfig)
}

flags.DEFINE_string(
  'data_dir', None, 'Folder given to `tfds build --data_dir`.', required=True
)
flags.DEFINE_string(
  'run_dir', None, 'Folder that the run is written to.', required=True
)
flags.DEFINE_enum(
  'head',
  _DEFAULTS['head'],
  network.HEADS,
  'pulse: pulse wave, then its spectrum over 10 s. window: '
  "UltraLightRPPG's own, a few frames straight to BPM.",
)
flags.DEFINE_integer(
  'width',
  _DEFAULTS['width'],
  "How many times the usual channels the CNN's and the pulse head's hidden "
  'layers have. More than 1 is for teachers (--teacher).',
  lower_bound=1,
)
flags.DEFINE_integer(
  'window',
  _DEFAULTS['window'],
  'Frames the window head looks at.',
  lower_bound=1,
)
flags.DEFINE_integer(
  'frame_stride',
  _DEFAULTS['frame_stride'],
  'Samples (1/30 s) from one of those frames to the next.',
  lower_bound=1,
)
flags.DEFINE_enum(
  'background',
  _DEFAULTS['background'],
  background.MODES,
  'normalise: divide each pixel by its running mean (DC), before int8. none: '
  'raw pixels.',
)
flags.DEFINE_enum(
  'roi_geometry',
  _DEFAULTS['roi_geometry'],
  ('inner', 'original'),
  'Which dataset to read.',
)
flags.DEFINE_integer(
  'num_folds',
  _DEFAULTS['num_folds'],
  'Cross-validation by subject in this many folds; 0: the splits of the data.',
  lower_bound=0,
)
flags.DEFINE_integer(
  'fold',
  _DEFAULTS['fold'],
  'Which fold to test on; the next one validates.',
  lower_bound=0,
)
flags.DEFINE_enum(
  'split_by',
  _DEFAULTS['split_by'],
  ('subject', 'window'),
  'window: the leaky protocol, which puts windows of one recording on both '
  'sides; only to make a number of that kind again.',
)
flags.DEFINE_integer('epochs', _DEFAULTS['epochs'], 'Epochs.', lower_bound=1)
flags.DEFINE_integer(
  'head_epochs',
  _DEFAULTS['head_epochs'],
  'Epochs of a new head on the features of the CNN that came out, with many '
  'more clips than both are trained on together; 0: the head stays.',
  lower_bound=0,
)
flags.DEFINE_integer(
  'batch_size',
  _DEFAULTS['batch_size'],
  'Clips of 11 s in a batch (0.8 GB each).',
  lower_bound=1,
)
flags.DEFINE_integer(
  'clips_per_recording',
  _DEFAULTS['clips_per_recording'],
  'Clips cut in an epoch.',
  lower_bound=1,
)
flags.DEFINE_float(
  'learning_rate',
  _DEFAULTS['learning_rate'],
  'Highest learning rate of Adam.',
  lower_bound=0.0,
)
flags.DEFINE_float(
  'pulse_loss_weight',
  _DEFAULTS['pulse_loss_weight'],
  'Weight of 1 - Pearson.',
  lower_bound=0.0,
)
flags.DEFINE_float(
  'rate_loss_weight',
  _DEFAULTS['rate_loss_weight'],
  'Weight of the cross entropy.',
  lower_bound=0.0,
)
flags.DEFINE_string(
  'teacher',
  None,
  'Whom to learn from beside the labels: a run directory, a model (.keras, '
  '.h5, .tflite) or a table of predictions (.npz, .csv; '
  'docs/from_pytorch.md). The teacher predicts the training recordings; where '
  'its outputs are missing, for --patch_recordings and in validation the '
  'labels count alone.',
)
flags.DEFINE_float(
  'teacher_weight',
  _DEFAULTS['teacher_weight'],
  "The teacher's blend weight in the loss of heart rate, distribution and "
  'pulse; the labels have the rest.',
  lower_bound=0.0,
  upper_bound=1.0,
)
flags.DEFINE_float(
  'teacher_temperature',
  _DEFAULTS['teacher_temperature'],
  'At which distributions of rates are compared; above 1 what is improbable '
  'counts more.',
  lower_bound=0.1,
)
flags.DEFINE_float(
  'teacher_feature_weight',
  _DEFAULTS['teacher_feature_weight'],
  "Weight of 1 - Pearson of the CNN's features and the teacher's, where it "
  'gives any, as a run does; not in --head_epochs.',
  lower_bound=0.0,
)
flags.DEFINE_integer(
  'patch_recordings',
  _DEFAULTS['patch_recordings'],
  'Recordings of 20 s to render as ROI patches '
  '(rppg_tf/synthesis/patches.py) and '
  'to train the new head on, beside those of --data_dir.',
  lower_bound=0,
)
flags.DEFINE_string(
  'texture_dir',
  None,
  "Photographs to cut the patches' textures from; default: scikit-image's.",
)
flags.DEFINE_string(
  'ground_truth_dir',
  None,
  'Real PPG and time stamps for the patches, DIR/subjectN/ground_truth.txt; '
  'default: synthetic.',
)
flags.DEFINE_integer(
  'seed', _DEFAULTS['seed'], 'Of weights, clips, augmentation.'
)

flags.DEFINE_enum(
  'cache',
  _DEFAULTS['cache'],
  sources.CACHES,
  'memory: recordings are read once and kept (12 kB a frame). none: they are '
  "read and prepared every epoch, a few at a time; the frames' features that "
  '--head_epochs are trained on are kept (0.2 kB a frame).',
)
flags.DEFINE_enum(
  'distribution',
  _DEFAULTS['distribution'],
  distribution.KINDS,
  'mirrored: a replica on each GPU. multi_worker: one in each process of '
  "TF_CONFIG's cluster, all started with the same flags and one --run_dir "
  '(docs/scale.md). --batch_size is that of all replicas together.',
)


def main() -> None:
  """Trains as the flags say."""
  mine = flags.FLAGS.get_flags_for_module(sys.modules[__name__])
  training.train(
    training.TrainConfig(**{flag.name: flag.value for flag in mine})
  )


if __name__ == '__main__':
  run(main)
