"""ubfc_processed.pt → a build of tfds_ubfc, as `tfds build` would leave it.

What a .pt does not hold: times (made from a frame rate), the PPG (0: a flat
wave correlates with nothing, so the pulse head learns from the labels alone),
the mid face (the mean of the three patches stands for it).
"""

import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
import tqdm

import tfds_ubfc
from rppg_tf.data import clips, splits
from rppg_tf.errors import InputError
from tfds_ubfc import tfds_ubfc_dataset_builder
from tools.pytorch_bridge import windows as pytorch_windows
from tools.pytorch_bridge.file import WindowFile
from tools.pytorch_bridge.windows import Chain, Fingerprints

_BLOCK_WINDOWS = 64
_SPLIT_TABLE = pathlib.Path(tfds_ubfc.__file__).with_name('subject_splits.csv')


class Found(NamedTuple):
  """What the windows of a file turned out to be.

  Attributes:
    stride: frames from one window to the next, 1-7; None without overlap.
    chains: in the order of the file; each becomes a recording.
    subjects: whose each chain is.
  """

  stride: int | None
  chains: list[Chain]
  subjects: list[str]


def read_subjects(path: pathlib.Path, num_windows: int) -> list[str]:
  """Reads a text file of one subject a line, for each window.

  Raises:
    InputError: unreadable, another number of lines, or an empty one.
  """
  try:
    names = [line.strip() for line in path.read_text('utf-8').splitlines()]
  except UnicodeDecodeError:
    raise InputError(f'{path}: not a text file') from None
  if len(names) != num_windows or not all(names):
    raise InputError(
      f'{path}: expected the name of a subject in each of {num_windows} lines, '
      f'one a window, got {sum(map(bool, names))} names in {len(names)} lines'
    )
  return names


def find(windows: WindowFile, subjects: Sequence[str] | None) -> Found:
  """Reads all windows once and finds how they hang together.

  Args:
    windows: the file.
    subjects: name for each window, where known.
  """
  parts = [
    pytorch_windows.fingerprints(
      windows.read(start, min(start + _BLOCK_WINDOWS, windows.num_windows))
    )
    for start in _progress(
      range(0, windows.num_windows, _BLOCK_WINDOWS), 'comparing'
    )
  ]
  prints = Fingerprints(*map(np.concatenate, zip(*parts, strict=True)))
  stride = pytorch_windows.find_stride(prints.frames)
  chains = pytorch_windows.find_chains(prints.frames, stride, subjects)
  names = pytorch_windows.chain_subjects(chains, prints.colours, subjects)
  return Found(stride, chains, names)


def write(
  windows: WindowFile,
  found: Found,
  frame_rate_hz: float,
  data_dir: pathlib.Path,
  roi_geometry: str,
) -> dict[str, int]:
  """Writes the recordings, all or none.

  Args:
    windows: the file.
    found: of `find`.
    frame_rate_hz: of the videos.
    data_dir: the --data_dir to be of the build.
    roi_geometry: the dataset's configuration, `inner` or `original`.

  Returns:
    Number of recordings by split.
  """
  target = build_folder(data_dir, roi_geometry)
  target.parent.mkdir(parents=True, exist_ok=True)
  beside = pathlib.Path(
    tempfile.mkdtemp(dir=target.parent, prefix='incomplete.')
  )
  try:
    counts = _write_build(windows, found, frame_rate_hz, beside, roi_geometry)
    build_folder(beside, roi_geometry).rename(target)
  finally:
    shutil.rmtree(beside)
  return counts


def build_folder(data_dir: pathlib.Path, roi_geometry: str) -> pathlib.Path:
  """Returns the folder that a build's files are in."""
  version = tfds_ubfc.Builder.VERSION
  return data_dir / 'tfds_ubfc' / roi_geometry / str(version)


def check_free(data_dir: pathlib.Path, roi_geometry: str) -> None:
  """Refuses to write where a build is already."""
  target = build_folder(data_dir, roi_geometry)
  if target.exists():
    raise InputError(
      f'{target}: already there; give another --data_dir or remove it'
    )


def _write_build(
  windows: WindowFile,
  found: Found,
  frame_rate_hz: float,
  data_dir: pathlib.Path,
  roi_geometry: str,
) -> dict[str, int]:
  """Writes a file for each split, then what TFDS needs to read them."""
  builder = tfds_ubfc.Builder(data_dir=data_dir, config=roi_geometry)
  folder = build_folder(data_dir, roi_geometry)
  folder.mkdir(parents=True)
  infos = []
  with tqdm.tqdm(
    total=len(found.chains), unit='recording', desc='writing', disable=None
  ) as bar:
    for split, chosen in _by_split(found).items():
      examples = _examples(windows, found, chosen, frame_rate_hz, bar)
      infos.append(_write_split(builder, folder, split, examples, len(chosen)))
  builder.info.set_splits(tfds.core.SplitDict(infos))
  builder.info.write_to_directory(folder)
  return {info.name: info.num_examples for info in infos}


def _write_split(
  builder: tfds_ubfc.Builder,
  folder: pathlib.Path,
  split: str,
  examples: Iterator[dict],
  num_examples: int,
) -> tfds.core.SplitInfo:
  """Writes one file, an example at a time: TFDS itself would gather 1 GB."""
  template = tfds.core.ShardedFileTemplate(
    data_dir=folder,
    dataset_name=builder.name,
    split=split,
    filetype_suffix=builder.info.file_format.file_suffix,
  )
  path = template.sharded_filepath(shard_index=0, num_shards=1)
  features = builder.info.features
  writer = tfds_ubfc_dataset_builder.ReproducibleExampleWriter(
    builder.info.file_format
  )
  writer.write(
    os.fspath(path),
    ((None, features.serialize_example(one)) for one in examples),
  )
  return tfds.core.SplitInfo(
    name=split,
    shard_lengths=[num_examples],
    num_bytes=os.path.getsize(path),
    filename_template=template,
  )


def _by_split(found: Found) -> dict[str, list[int]]:
  """Chains of each split; one without is left out."""
  table = splits.read_split_table(_SPLIT_TABLE)
  chosen: dict[str, list[int]] = {}
  for split in splits.SPLITS:
    indices = [
      index
      for index, subject in enumerate(found.subjects)
      if splits.split_of(subject, table) == split
    ]
    if indices:
      chosen[split] = indices
  return chosen


def _examples(
  windows: WindowFile,
  found: Found,
  chosen: list[int],
  frame_rate_hz: float,
  bar: tqdm.tqdm,
) -> Iterator[dict]:
  """Yields an example of tfds_ubfc for each chain chosen."""
  for index in chosen:
    chain = found.chains[index]
    frames = read_frames(windows, chain)
    yield {
      'frames': frames,
      'mid_face_rgb': frames.mean(axis=(1, 2, 3), dtype=np.float32),
      'timestamp_s': np.arange(len(frames)) / frame_rate_hz,
      'ppg': np.zeros(len(frames), np.float32),
      'heart_rate_bpm': pytorch_windows.frame_labels(
        chain, windows.labels_bpm, found.stride
      ),
      'face_found': frames.any(axis=(1, 2, 3, 4)),
      'subject': found.subjects[index],
    }
    bar.update()


def read_frames(windows: WindowFile, chain: Chain) -> np.ndarray:
  """Puts a chain's frames together, each once.

  Returns:
    uint8 (frames, 3, 36, 36, 3).
  """
  parts = []
  num_frames = 0
  for index in pytorch_windows.windows_to_read(chain):
    window = chain.first_window + index
    (frames,) = windows.read(window, window + 1)
    parts.append(frames[num_frames - int(chain.starts[index]) :])
    num_frames += len(parts[-1])
  return np.concatenate(parts)


def _progress(steps: range, what: str) -> tqdm.tqdm:
  # Only on a terminal.
  return tqdm.tqdm(steps, desc=what, unit='block', disable=None)


def describe(
  windows: WindowFile, found: Found, subjects_given: bool
) -> list[str]:
  """Says in a few lines what became of the windows."""
  num_frames = [chain.num_frames for chain in found.chains]
  if found.stride is None:
    return [
      f'{windows.num_windows:,} windows, none of which overlaps the next '
      '(stride 8 or more, or random order): no recording can be put together, '
      'so each window is kept as one of 8 frames; background normalisation, '
      'clips to train on and 10 s estimates are impossible with them'
    ]
  num_short = sum(count < clips.ClipShape.num_frames for count in num_frames)
  how = 'as --subjects says'
  if not subjects_given:
    how = (
      'a recording is of the same person as the one before unless the hue of '
      f'its patches differs by more than {pytorch_windows.SAME_PERSON_HUE:g} '
      '(check the number; --subjects=FILE gives names)'
    )
  return [
    f'{windows.num_windows:,} windows at stride {found.stride}: '
    f'{len(num_frames)} recordings, {sum(num_frames):,} frames',
    f'{len(set(found.subjects))} subjects: {how}',
    f'{num_short} recordings are shorter than a clip '
    f'({clips.ClipShape.num_frames} frames) and not trained on',
    'no PPG in a .pt: --head=window trains on the labels as it always does, '
    '--head=pulse on the labels alone',
  ]
