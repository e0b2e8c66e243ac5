"""Teacher columns of a synthetic example, for the tests."""

import numpy as np
import tensorflow as tf

from rppg_tf.data import clips, pipeline
from rppg_tf.distillation import teacher
from tests.support import synthetic_examples
from tests.support.synthetic_examples import NUM_FRAMES, TIMES_S

SHAPE = clips.ClipShape(teacher_weight=0.25)
RATES_BPM = np.arange(40, 182, 2, dtype=np.float32)


def peak(bpm, width_bpm=4.0):
  """A distribution over the 71 rates, float32."""
  density = np.exp(-0.5 * ((RATES_BPM - bpm) / width_bpm) ** 2)
  return (density / density.sum()).astype(np.float32)


def rates_alone(bpm=90.0):
  """Columns of a teacher that gives heart rates and nothing else."""
  return {'heart_rate_bpm': np.full(NUM_FRAMES, bpm, np.float32)}


def every_column():
  rng = np.random.default_rng(1)
  return rates_alone() | {
    'pulse': np.sin(TIMES_S).astype(np.float32),
    'rate_probability': np.tile(peak(90.0), (NUM_FRAMES, 1)),
    'features': rng.normal(size=(NUM_FRAMES, 48)).astype(np.float32),
  }


def prepared(columns, example=None):
  """A prepared recording with teacher columns."""
  examples = tf.data.Dataset.from_tensors(
    example or synthetic_examples.example()
  )
  examples = teacher.attach(examples, [columns])
  return next(iter(pipeline.prepare(examples, 'normalise')))


def cut(item, speed=1.0):
  """Inputs, targets and weights of the clip at the recording's start."""
  return clips.cut_clip(
    item, tf.constant(0), tf.constant(speed, tf.float64), SHAPE
  )
