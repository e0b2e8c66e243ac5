"""ubfc_processed.pt → recordings → windows: nothing lost, nothing made up."""

import concurrent.futures
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from rppg_tf.data import dataset as data_dataset
from rppg_tf.errors import InputError
from tests.support import commands, pytorch_files
from tools.pytorch_bridge import export_windows, recordings, windows
from tools.pytorch_bridge import file as pytorch_file

pytestmark = pytest.mark.slow

_TOOL = 'tools.import_pytorch'


def _stored(data_dir) -> list[dict]:
  """The recordings of a build, as the chains lie in the file."""
  by_split = data_dataset.subjects_by_split(str(data_dir), 'original')
  subjects = [name for names in by_split.values() for name in names]
  dataset = data_dataset.load_recordings(str(data_dir), 'original', subjects)
  return sorted(dataset.as_numpy_iterator(), key=lambda one: one['subject'])


def _import(path, data_dir, subjects=None) -> recordings.Found:
  file = pytorch_file.WindowFile(path)
  found = recordings.find(file, subjects)
  recordings.write(file, found, 30.0, data_dir, 'original')
  return found


@pytest.fixture(scope='module')
def work(tmp_path_factory):
  """The windows at stride 1 and what the command makes of them."""
  work = tmp_path_factory.mktemp('work')
  samples, labels, _ = pytorch_files.windows(1)
  pytorch_files.save(work / 'ubfc_processed.pt', samples, labels)
  done = commands.run(
    *(_TOOL, 'dataset', '--pt', work / 'ubfc_processed.pt'),
    *('--data_dir', work / 'data'),
  )
  assert done.returncode == 0, done.stderr
  (work / 'said').write_text(done.stdout)
  return work


def _pieces() -> list[tuple[np.ndarray, np.ndarray]]:
  """Frames and labels of what can be found again at stride 1, in order."""
  pieces = []
  for index, recording in enumerate(pytorch_files.recordings()):
    frames, rates = recording['frames'], recording['heart_rate_bpm'].copy()
    for lost in pytorch_files.LOST_WINDOWS.get(index, ()):
      rates[lost + 4] = np.nan
    cuts = [(0, len(frames))]
    broken, first, end = pytorch_files.BREAK
    if index == broken:
      cuts = [(0, first + 7), (end, len(frames))]
    for start, stop in cuts:
      known = rates[start:stop].copy()
      known[:4], known[-3:] = np.nan, np.nan
      pieces.append((frames[start:stop], known))
  return pieces


def test_every_recording_is_found_again(work):
  stored = _stored(work / 'data')
  expected = _pieces()
  assert len(stored) == len(expected) == 7
  for one, (frames, rates) in zip(stored, expected, strict=True):
    assert one['frames'].tobytes() == frames.tobytes()
    np.testing.assert_array_equal(one['heart_rate_bpm'], rates)
    np.testing.assert_allclose(
      one['timestamp_s'], np.arange(len(frames)) / 30, rtol=1e-15
    )
    assert one['face_found'].all() and not one['ppg'].any()
  # Both pieces of the second are one person's.
  assert [one['subject'].decode() for one in stored] == [
    f'pytorch{number}' for number in (1, 2, 2, 3, 4, 5, 6)
  ]
  said = (work / 'said').read_text()
  assert 'at stride 1: 7 recordings, 1,382 frames' in said
  assert '6 subjects' in said and 'no PPG' in said


# The window head trains in import_pytorch_weights_test.py.
def test_the_pulse_head_trains_without_a_ppg(work):
  last = commands.run_well(
    *('rppg_tf.train', f'--data_dir={work / "data"}'),
    *(f'--run_dir={work / "pulse"}', '--roi_geometry=original'),
    *('--epochs=1', '--batch_size=1'),
  )
  assert 'validation MAE' in last and 'nan' not in last


@pytest.mark.parametrize('stride', [2, 4])
def test_other_strides_are_found(tmp_path, stride):
  samples, labels, names = pytorch_files.windows(stride)
  pytorch_files.save(tmp_path / 'w.pt', samples, labels)
  found = _import(tmp_path / 'w.pt', tmp_path / 'data', names)
  assert found.stride == stride
  # At stride 4 one window lost is 8 frames, and nothing overlaps.
  assert len(found.chains) == (7 if stride == 2 else 8)
  stored = _stored(tmp_path / 'data')
  for number in (103, 105, 106):
    (one,) = (
      one for one in stored if one['subject'] == f'subject{number}'.encode()
    )
    truth = pytorch_files.recordings()[number - 101]
    num_frames = len(one['frames'])
    assert len(truth['frames']) - num_frames < stride
    assert one['frames'].tobytes() == truth['frames'][:num_frames].tobytes()
    rates, known = one['heart_rate_bpm'], truth['heart_rate_bpm'][:num_frames]
    last = num_frames - 8 + 4
    labelled = np.arange(4, last + 1, stride)
    np.testing.assert_array_equal(rates[labelled], known[labelled])
    between = np.interp(np.arange(4, last + 1), labelled, known[labelled])
    np.testing.assert_allclose(rates[4 : last + 1], between, rtol=1e-6)
    assert np.isnan(rates[:4]).all() and np.isnan(rates[last + 1 :]).all()


def test_without_overlap_windows_stay_as_they_are(tmp_path):
  samples, labels, _ = pytorch_files.windows(8)
  samples, labels = samples[:30], labels[:30]
  pytorch_files.save(tmp_path / 'w.pt', samples, labels)
  found = _import(tmp_path / 'w.pt', tmp_path / 'data')
  assert found.stride is None and len(found.chains) == 30
  file = pytorch_file.WindowFile(tmp_path / 'w.pt')
  (said,) = recordings.describe(file, found, False)
  assert 'none of which overlaps' in said and 'impossible' in said
  stored = _stored(tmp_path / 'data')
  frames = np.stack([one['frames'] for one in stored])
  np.testing.assert_array_equal(frames.astype(np.float32) / 255, samples)
  rates = np.stack([one['heart_rate_bpm'] for one in stored])
  np.testing.assert_array_equal(rates[:, 4], labels)
  assert np.isnan(np.delete(rates, 4, axis=1)).all()


def test_exported_windows_are_the_ones_imported(work, tmp_path):
  data = data_dataset.load_recordings(
    str(work / 'data'), 'original', ['pytorch1', 'pytorch2']
  )
  for name in ('w.npz', 'w.pt'):
    assert export_windows.export(data, 3, tmp_path / name) > 100
  written = np.load(tmp_path / 'w.npz')
  saved = torch.load(tmp_path / 'w.pt', weights_only=True)
  expected, expected_labels, _ = pytorch_files.windows(1)
  # Every third; in the first four frames no label is known.
  np.testing.assert_array_equal(written['samples'][:5], expected[6:21:3])
  np.testing.assert_array_equal(written['labels'][:5], expected_labels[6:21:3])
  assert written['samples'].dtype == np.float32
  for name in ('samples', 'labels'):
    np.testing.assert_array_equal(saved[name].numpy(), written[name])
  names = (tmp_path / 'w.pt.subjects.txt').read_text().splitlines()
  again = _import(tmp_path / 'w.pt', tmp_path / 'again', names)
  assert again.stride == 3 and set(again.subjects) == {'pytorch1', 'pytorch2'}
  with pytest.raises(InputError, match=r'ends in \.npz or \.pt'):
    export_windows.export(data, 1, tmp_path / 'w.csv')


def test_a_long_recording_is_cut():
  frames = np.arange(20_000, dtype=np.uint64)
  hashes = np.lib.stride_tricks.sliding_window_view(frames, 8)
  chains = windows.find_chains(hashes, 1)
  assert [chain.first_window for chain in chains] == [0, 9000, 18_000]
  assert sum(len(chain.starts) for chain in chains) == len(hashes)
  assert all(chain.starts[0] == 0 for chain in chains)


def test_no_face_neither_breaks_nor_changes_person():
  """Black frames follow at any shift; the file's stride is the one taken."""
  frames = np.concatenate([np.arange(1, 21), np.zeros(12), np.arange(40, 60)])
  hashes = np.lib.stride_tricks.sliding_window_view(frames, 8)[::2]
  assert windows.find_stride(hashes) == 2
  (chain,) = windows.find_chains(hashes, 2)
  assert chain.num_frames == 52
  skin = np.full((3, 3), [150, 110, 90], np.float32)
  colours = np.stack([skin, skin * 0, skin * 0.7, skin * (1, 1, 1.3)])
  single = windows.find_chains(np.arange(32).reshape(4, 8), None)
  assert windows.chain_subjects(single, colours) == [
    *('pytorch1', 'pytorch1', 'pytorch1', 'pytorch2')
  ]


class _Malicious:
  def __reduce__(self):
    return (print, ('code was run',))


def _write_bad(folder) -> dict[str, str]:
  """Writes files that must be refused; what must be said of each."""
  samples, labels, _ = pytorch_files.windows(8)
  samples, labels = samples[:9], labels[:9]
  noisy = samples.copy()
  noisy[7, 3] += 0.001
  save = pytorch_files.save
  save(folder / 'half.pt', samples.astype(np.float16), labels)
  save(folder / 'flat.pt', samples.reshape(9, 8, 36, 36, 9), labels)
  save(folder / 'labels.pt', samples, labels[:8])
  save(folder / 'noisy.pt', noisy, labels)
  save(folder / 'unit.pt', samples, labels / 200)
  torch.save(torch.from_numpy(samples), folder / 'tensor.pt')
  torch.save({'samples': _Malicious(), 'labels': 1}, folder / 'code.pt')
  torch.save(
    {'samples': torch.from_numpy(samples), 'labels': torch.from_numpy(labels)},
    folder / 'old.pt',
    _use_new_zipfile_serialization=False,
  )
  (folder / 'pickle.pt').write_bytes(pickle.dumps(_Malicious()))
  save(folder / 'whole.pt', samples, labels)
  content = (folder / 'whole.pt').read_bytes()
  (folder / 'truncated.pt').write_bytes(content[: len(content) // 2])
  return {
    'half.pt': 'expected float32 (N, 8, 3, 36, 36, 3), got float16',
    'flat.pt': 'got float32 (9, 8, 36, 36, 9)',
    'labels.pt': 'labels: expected float32 or float64 (9,)',
    'noisy.pt': 'samples[7] is not pixels / 255',
    'unit.pt': 'are they BPM?',
    'tensor.pt': 'a dictionary of two tensors',
    'code.pt': 'could run code',
    'old.pt': 'of PyTorch before 1.6',
    'pickle.pt': 'not a whole file of torch.save',
    'truncated.pt': 'not a whole file of torch.save',
    'missing.pt': 'no such file',
  }


def test_bad_files_are_refused_and_nothing_is_written(tmp_path):
  bad = _write_bad(tmp_path)
  words = (_TOOL, 'dataset', f'--data_dir={tmp_path / "data"}')
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    all_done = pool.map(
      lambda name: commands.run(*words, f'--pt={tmp_path / name}'), bad
    )
  for (name, part), done in zip(bad.items(), all_done, strict=True):
    commands.assert_refused(done, name, part)
    assert 'code was run' not in done.stdout
    assert done.stdout == ''
  assert not (tmp_path / 'data').exists()


def test_flags_and_words_that_do_not_fit_are_refused(work, tmp_path):
  data = f'--data_dir={work / "data"}'
  pt = f'--pt={work / "ubfc_processed.pt"}'
  few = tmp_path / 'few.txt'
  few.write_text('a\nb\n')
  cases = {
    (): 'name one of dataset, export-windows',
    ('dataset', data): 'needs --pt',
    ('dataset', data, pt, '--stride=2'): '--stride is not for it',
    ('dataset', data, pt): 'already there',
    ('dataset', f'--data_dir={tmp_path}', pt, f'--subjects={few}'): (
      '2 names in 2 lines'
    ),
  }
  for words, part in cases.items():
    commands.assert_refused(commands.run(_TOOL, *words), part)


_WITHOUT_TORCH = f"""
import runpy, sys

class Hidden:
  def find_spec(self, name, path=None, target=None):
    if name == 'torch':
      raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
runpy.run_module('{_TOOL}', run_name='__main__', alter_sys=True)
"""


def test_pytorch_is_needed_for_pytorch_alone(work, tmp_path):
  def run(*words):
    return subprocess.run(
      [sys.executable, '-c', _WITHOUT_TORCH, *map(str, words)],
      cwd=commands.ROOT,
      capture_output=True,
      text=True,
      check=False,
    )

  data = f'--data_dir={work / "data"}'
  commands.assert_refused(
    run('dataset', data, '--pt=w.pt'), 'pip install -e .[pytorch]'
  )
  done = run('export-windows', data, f'--output={tmp_path / "w.npz"}')
  assert done.returncode == 0, done.stderr
  assert len(np.load(tmp_path / 'w.npz')['labels']) > 1000
