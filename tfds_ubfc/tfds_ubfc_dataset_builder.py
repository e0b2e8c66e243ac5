"""UBFC-rPPG DATASET_2, or any recordings in its layout, as a TFDS dataset.

cd tfds_ubfc && tfds build --config=inner --manual_dir=... --data_dir=...

With --beam_pipeline_options=... the recordings are read by Apache Beam; the
files are the same.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import shuffle

from rppg_tf import contract
from rppg_tf.data import dataset, provenance, recordings, splits, ubfc
from rppg_tf.faces import rois
from rppg_tf.keras_compat import tf

if TYPE_CHECKING:
  import apache_beam as beam

_SPLIT_TABLE = Path(__file__).parent / 'subject_splits.csv'
# Raw bytes: numbers are otherwise stored as varints (1.5 times the space,
# seconds to read) and float64 stamps would lose half their digits.
_BYTES = tfds.features.Encoding.BYTES
# Patches are nearly all that there is: a seventh less for 0.4 ms a frame.
_COMPRESSED = tfds.features.Encoding.ZLIB

# Of examples that wait to be sorted; more are kept on disk.
_GATHERED_BYTES = 64 << 20


@dataclasses.dataclass(eq=False)
class UbfcConfig(tfds.core.BuilderConfig):
  """Where the skin is cut.

  Attributes:
    roi_geometry: a key of rppg_tf.faces.rois.ROI_GEOMETRIES_PERCENT.
  """

  roi_geometry: str = rois.DEFAULT_ROI_GEOMETRY


class ReproducibleExampleWriter(tfds.core.ExampleWriter):
  """Writes the same examples as the same bytes in every process.

  Protocol buffers do not define the order of a map's entries, which differs
  from run to run: the files could not be compared by their hashes.
  """

  def write(self, path, examples):
    """Writes (key, serialised tf.train.Example) pairs to one file."""
    return super().write(
      path, ((key, _in_order(example)) for key, example in examples)
    )


class Builder(tfds.core.GeneratorBasedBuilder):
  """One example is one recording; splits are by subject."""

  VERSION = tfds.core.Version('2.0.0')
  RELEASE_NOTES = {  # noqa: RUF012, as TFDS declares it
    '2.0.0': 'Patches are cut where the head has moved to, and compressed.',
    '1.0.0': 'ROI patches, PPG and heart rate from the beats of the PPG.',
  }
  MANUAL_DOWNLOAD_INSTRUCTIONS = """\
  UBFC-rPPG is given out by its authors: https://sites.google.com/view/ybenezeth/ubfcrppg
  Download DATASET_2 and pass the folder that holds it (or any folder above)
  as --manual_dir. Read are subject*/vid.avi (or vid.mp4, vid.mkv, …) and
  subject*/ground_truth.txt, at any depth. tools/render_recordings makes
  recordings of the same layout.
  """
  BUILDER_CONFIGS = [  # noqa: RUF012, the first one is the default
    UbfcConfig(
      name='inner',
      description='Regions well within the skin of forehead and cheeks.',
      roi_geometry='inner',
    ),
    UbfcConfig(
      name='original',
      description="UltraLightRPPG's regions, which hair and background enter.",
      roi_geometry='original',
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    """Features of one recording of N frames."""
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(
        {
          'frames': tfds.features.Tensor(
            shape=(None, contract.NUM_ROIS, *contract.ROI_FRAME_SHAPE),
            dtype=np.uint8,
            encoding=_COMPRESSED,
            doc='RGB patches: forehead, image-left cheek, image-right cheek. '
            'Zero where face_found is False.',
          ),
          'mid_face_rgb': _per_frame(
            np.float32,
            'Mean R, G, B of the mid face, 0-255.',
            (contract.NUM_CHANNELS,),
          ),
          'timestamp_s': _per_frame(
            np.float64, 'Measured seconds, non-decreasing.'
          ),
          'ppg': _per_frame(np.float32, 'Contact PPG, arbitrary unit.'),
          'heart_rate_bpm': _per_frame(
            np.float32, 'From the beats of the PPG; NaN where none is seen.'
          ),
          'face_found': _per_frame(
            np.bool_, 'Whether a face was seen within the last second.'
          ),
          'subject': tfds.features.Text(doc="Name of the subject's folder."),
        }
      ),
      supervised_keys=None,
      metadata=tfds.core.MetadataDict(),
      homepage='https://sites.google.com/view/ybenezeth/ubfcrppg',
    )

  def _example_writer(self) -> tfds.core.ExampleWriter:
    return ReproducibleExampleWriter(self.info.file_format)

  def _generate_splits(
    self,
    dl_manager: tfds.download.DownloadManager,
    download_config: tfds.download.DownloadConfig,
  ) -> Sequence[tfds.core.SplitInfo]:
    self._by_beam = bool(
      download_config.beam_options or download_config.beam_runner
    )
    with _little_in_memory():
      return super()._generate_splits(dl_manager, download_config)

  def _split_generators(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, 'Iterator | beam.PTransform']:
    """Splits that have a subject; an empty one is left out."""
    found = ubfc.find_recordings(_manual_dir(dl_manager))
    # The last of 42 subjects should not fail after all others were decoded.
    for _, folder in found:
      recordings.check_recording(folder)
    self.info.metadata[dataset.ORIGINS] = {
      subject: provenance.origin(folder) for subject, folder in found
    }
    table = splits.read_split_table(_SPLIT_TABLE)
    folders: dict[str, list[Path]] = {}
    for subject, folder in found:
      split = splits.split_of(subject, table)
      folders.setdefault(split, []).append(folder)
    return {
      split: self._generate_examples(folders[split])
      for split in splits.SPLITS
      if split in folders
    }

  def _generate_examples(
    self, folders: list[Path]
  ) -> 'Iterator[tuple[str, dict]] | beam.PTransform':
    """(subject, example) of each folder: in order, or by Beam in any."""
    geometry = self.builder_config.roi_geometry
    if self._by_beam:
      import apache_beam as beam

      return beam.Create(folders) | beam.Map(_read_alone, geometry)
    return (
      (str(example['subject']), example)
      for example in recordings.read_recordings(folders, geometry)
    )


def _read_alone(folder: Path, roi_geometry: str) -> tuple[str, dict]:
  """Reads one recording by one thread: Beam has a process for each core."""
  example = recordings.read_alone(folder, roi_geometry)
  return example['subject'], example


@contextlib.contextmanager
def _little_in_memory() -> Iterator[None]:
  """Has TFDS sort examples on disk: it would gather 1 GB of them first."""
  before = shuffle.MAX_MEM_BUFFER_SIZE
  shuffle.MAX_MEM_BUFFER_SIZE = _GATHERED_BYTES
  try:
    yield
  finally:
    shuffle.MAX_MEM_BUFFER_SIZE = before


def _in_order(serialised: bytes) -> bytes:
  example = tf.train.Example.FromString(serialised)
  return example.SerializeToString(deterministic=True)


def _manual_dir(dl_manager: tfds.download.DownloadManager) -> str:
  try:
    return os.fspath(dl_manager.manual_dir)
  except (AssertionError, OSError) as error:
    # TFDS's message ends with all the instructions; ours is one line.
    first_sentence = str(error).split('. ')[0]
    raise ubfc.RecordingError(
      f"{first_sentence}; pass the folder that holds UBFC's DATASET_2 as "
      '--manual_dir'
    ) from None


def _per_frame(
  dtype: type, doc: str, shape: tuple[int, ...] = ()
) -> tfds.features.Tensor:
  return tfds.features.Tensor(
    shape=(None, *shape), dtype=dtype, encoding=_BYTES, doc=doc
  )
