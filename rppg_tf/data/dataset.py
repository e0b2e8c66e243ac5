"""Recordings that `tfds build` wrote, as datasets of TensorFlow."""

import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from rppg_tf.errors import InputError
from rppg_tf.keras_compat import tf

# In the build's metadata.json: data.provenance.origin by subject.
ORIGINS = 'origins'


def subjects_by_split(data_dir: str, roi_geometry: str) -> dict[str, list[str]]:
  """Returns the subjects of every split of a build, sorted.

  Args:
    data_dir: the --data_dir of `tfds build`.
    roi_geometry: the dataset's configuration, `inner` or `original`.
  """
  builder = _builder(data_dir, roi_geometry)
  only_subject = tfds.decode.PartialDecoding({'subject': tf.string})
  subjects = {}
  for split in builder.info.splits:
    examples = builder.as_dataset(
      split=split, decoders=only_subject, read_config=_read_config()
    )
    names = {item['subject'].decode() for item in tfds.as_numpy(examples)}
    subjects[split] = sorted(names)
  return subjects


def load_recordings(
  data_dir: str,
  roi_geometry: str,
  subjects: Sequence[str],
  shuffle_seed: int | None = None,
) -> tf.data.Dataset:
  """Reads recordings that `tfds build` has written, whatever their split.

  Args:
    data_dir: the --data_dir of `tfds build`.
    roi_geometry: the dataset's configuration, `inner` or `original`.
    subjects: whose recordings.
    shuffle_seed: for the files' order, another in each pass; None for a fixed
      one.

  Returns:
    Dataset of the examples of tfds_ubfc, file by file.
  """
  wanted = tf.constant(list(subjects))
  examples = _builder(data_dir, roi_geometry).as_dataset(
    split='all',
    shuffle_files=shuffle_seed is not None,
    read_config=_read_config(shuffle_seed),
  )
  return examples.filter(
    lambda example: tf.reduce_any(example['subject'] == wanted)
  )


def origins(data_dir: str, roi_geometry: str) -> dict[str, str]:
  """Returns the origin of each subject's recording, of data.provenance.

  Args:
    data_dir: the --data_dir of `tfds build`.
    roi_geometry: the dataset's configuration, `inner` or `original`.

  Returns:
    Without the subjects of which the build does not say it.
  """
  metadata = _builder(data_dir, roi_geometry).info.metadata or {}
  return metadata.get(ORIGINS, {})


def recording_times(
  data_dir: str, roi_geometry: str, subjects: Sequence[str]
) -> list[tuple[str, np.ndarray]]:
  """Returns subject and timestamp_s, float64 [frames], of each recording.

  Args:
    data_dir: the --data_dir of `tfds build`.
    roi_geometry: the dataset's configuration, `inner` or `original`.
    subjects: whose recordings.

  Returns:
    In the order of load_recordings.
  """
  examples = _builder(data_dir, roi_geometry).as_dataset(
    split='all',
    read_config=_read_config(),
    decoders=tfds.decode.PartialDecoding({'subject', 'timestamp_s'}),
  )
  every = [
    (example['subject'].decode(), example['timestamp_s'])
    for example in examples.as_numpy_iterator()
  ]
  return [(name, times) for name, times in every if name in set(subjects)]


def _read_config(shuffle_seed: int | None = None) -> tfds.ReadConfig:
  """File by file; TFDS itself reads nothing ahead and keeps nothing.

  It would hold 16 recordings of each file, and all of a small dataset, beside
  what --cache says.
  """
  return tfds.ReadConfig(
    interleave_cycle_length=1,
    interleave_block_length=1,
    skip_prefetch=True,
    try_autocache=False,
    shuffle_seed=shuffle_seed,
  )


def _builder(data_dir: str, roi_geometry: str) -> tfds.core.DatasetBuilder:
  """Reads the newest version of a build from its files alone."""
  folder = pathlib.Path(data_dir) / 'tfds_ubfc' / roi_geometry
  versions = tfds.core.utils.version.list_all_versions(folder)
  if not versions:
    raise InputError(
      f'{data_dir}: no tfds_ubfc/{roi_geometry} dataset here; run '
      f'`tfds build tfds_ubfc --manual_dir=... --data_dir={data_dir}`'
    )
  return tfds.builder_from_directory(folder / str(max(versions)))
