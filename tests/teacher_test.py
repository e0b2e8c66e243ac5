"""Distillation: losses, tables, models as teachers, and what is refused."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from rppg_tf import (
  background,
  clips,
  evaluation,
  losses,
  network,
  run_directory,
  teacher,
  teacher_models,
  teacher_table,
  training,
)
from rppg_tf.entry_point import InputError
from rppg_tf.keras_compat import keras
from rppg_tf.spatial_cnn import build_spatial_cnn
from rppg_tf.teacher_table import Table, Track
from tests import commands, made_up_examples, untrained_run
from tools import distillation_table

_NUM_FRAMES = 360
_TIMES_S = np.arange(_NUM_FRAMES) / 30
_RATES = np.arange(40, 182, 2, dtype=np.float32)
_SHAPE = clips.ClipShape(teacher_weight=0.25)


def _peak(bpm, width_bpm=4.0):
  """A distribution over the 71 rates, float32."""
  density = np.exp(-0.5 * ((_RATES - bpm) / width_bpm) ** 2)
  return (density / density.sum()).astype(np.float32)


def _columns(bpm=90.0, **more):
  return {'heart_rate_bpm': np.full(_NUM_FRAMES, bpm, np.float32), **more}


def _every_column():
  return _columns(
    pulse=np.sin(_TIMES_S).astype(np.float32),
    rate_probability=np.tile(_peak(90.0), (_NUM_FRAMES, 1)),
    features=np.random.default_rng(1)
    .normal(size=(_NUM_FRAMES, 48))
    .astype(np.float32),
  )


def _taught(columns, example=None):
  """A prepared recording with what a teacher says of it."""
  examples = tf.data.Dataset.from_tensors(example or made_up_examples.example())
  examples = teacher.attach(examples, [columns])
  return next(iter(clips.prepare(examples, 'normalise')))


def _cut(item, speed=1.0, shape=_SHAPE):
  return clips.cut_clip(
    item, tf.constant(0), tf.constant(speed, tf.float64), shape
  )


# --- Losses -----------------------------------------------------------------


def test_rates_like_the_teachers_cost_nothing():
  loss = losses.RateDistillation(2.0, reduction='none')
  rates = np.stack([_peak(70), _peak(120, 10)])[np.newaxis]
  np.testing.assert_allclose(loss(rates, rates), np.zeros((1, 2)), atol=1e-6)


def test_divergence_is_that_of_the_softened_distributions():
  teacher_p, student_p = (
    np.full(71, 1e-6, np.float32),
    np.full(71, 1e-6, np.float32),
  )
  teacher_p[:2], student_p[:2] = (0.8, 0.2), (0.2, 0.8)
  for temperature in (1.0, 2.0):
    soft = [
      (p + 1e-7) ** (1 / temperature) / ((p + 1e-7) ** (1 / temperature)).sum()
      for p in (teacher_p.astype(np.float64), student_p.astype(np.float64))
    ]
    expected = temperature**2 * np.sum(soft[0] * np.log(soft[0] / soft[1]))
    found = losses.RateDistillation(temperature)(
      teacher_p[None, None], student_p[None, None]
    )
    assert found.numpy() == pytest.approx(expected, rel=1e-4)


def test_the_gradient_leads_to_the_teacher_and_keeps_its_size():
  target = tf.constant(_peak(100.0)[None, None])
  steps = {}
  for temperature in (2.0, 8.0):
    logits = tf.Variable(np.log(_peak(90.0, 8.0) + 1e-7)[None, None])
    with tf.GradientTape() as tape:
      loss = losses.RateDistillation(temperature)(target, tf.nn.softmax(logits))
    step = -tape.gradient(loss, logits).numpy()[0, 0]
    assert step[30] > 0 > step[22]  # up at 100 BPM, down at 84
    steps[temperature] = np.abs(step).max()
  assert 0.2 < steps[8.0] / steps[2.0] < 5


def test_features_count_by_their_changes():
  rng = np.random.default_rng(1)
  features = rng.normal(size=(2, 300, 5)).astype(np.float32)
  loss = losses.FeatureDistillation(reduction='none')
  np.testing.assert_allclose(loss(features, 3 * features + 7), 0, atol=1e-4)
  np.testing.assert_allclose(loss(features, -features), 2, atol=1e-4)


# --- Clips ------------------------------------------------------------------


def test_labels_give_way_by_the_teachers_share():
  _, targets, weights = _cut(_taught(_every_column()))
  assert targets['teacher_heart_rate_bpm'].numpy().tolist() == [90.0]
  assert targets['heart_rate_bpm'].numpy().tolist() == [80.0]
  np.testing.assert_allclose(
    targets['teacher_rate_probability'][0], _peak(90.0), atol=1e-6
  )
  for name in ('heart_rate_bpm', 'rate_probability', 'pulse'):
    np.testing.assert_allclose(weights[name], 0.75)
    np.testing.assert_allclose(weights[f'teacher_{name}'], 0.25)
  assert weights['teacher_features'] == 1.0
  assert targets['teacher_features'].shape == (300, 48)


def test_where_the_teacher_says_nothing_the_label_counts_whole():
  columns = _every_column()
  columns['heart_rate_bpm'][100:] = np.nan
  columns['rate_probability'][100:] = np.nan
  columns['pulse'][200] = np.nan
  _, targets, weights = _cut(_taught(columns))
  for name in ('heart_rate_bpm', 'rate_probability', 'pulse'):
    np.testing.assert_allclose(weights[name], 1.0)
    np.testing.assert_allclose(weights[f'teacher_{name}'], 0.0)
  assert all(np.all(np.isfinite(target)) for target in targets.values())


def test_a_teacher_says_nothing_of_a_recording_without_a_pulse():
  example = made_up_examples.example() | {
    'heart_rate_bpm': np.zeros(_NUM_FRAMES, np.float32)
  }
  _, _, weights = _cut(_taught(_every_column(), example))
  np.testing.assert_allclose(weights['teacher_heart_rate_bpm'], 0.0)
  np.testing.assert_allclose(weights['rate_probability'], 1.0)


def test_recordings_without_a_teacher_go_beside_those_with_one():
  """As --patch_recordings do."""
  columns = _every_column()
  example = tf.data.Dataset.from_tensors(made_up_examples.example())
  taught = teacher.attach(example, [columns])
  untaught = teacher.attach_nothing(example, [columns])
  joined = clips.prepare(taught.concatenate(untaught), 'normalise')
  shares = [
    float(_cut(item)[2]['teacher_heart_rate_bpm'][0]) for item in joined
  ]
  assert shares == [0.25, 0.0]


def test_a_window_has_the_teachers_rate_of_its_middle():
  columns = _columns()
  columns['heart_rate_bpm'] = np.linspace(60, 120, _NUM_FRAMES, dtype='f')
  _, targets, _ = _cut(_taught(columns))
  # The clip's grid ends at frame 329; sample 150 of 300 is frame 180.
  expected = columns['heart_rate_bpm'][180]
  np.testing.assert_allclose(targets['teacher_heart_rate_bpm'], expected, 1e-5)


def test_a_faster_clip_has_faster_rates():
  _, targets, _ = _cut(_taught(_every_column()), speed=1.05)
  np.testing.assert_allclose(targets['teacher_heart_rate_bpm'], 94.5, 1e-6)
  drawn_out = targets['teacher_rate_probability'][0].numpy()
  assert drawn_out.sum() == pytest.approx(1.0, abs=1e-5)
  assert np.sum(_RATES * drawn_out) == pytest.approx(94.5, abs=0.1)


def test_features_go_with_their_rois():
  columns = _every_column()
  columns['features'] = np.tile(np.repeat([1.0, 2, 3], 16), (_NUM_FRAMES, 1))
  columns['features'] = columns['features'].astype(np.float32)
  item = _taught(columns)
  # Each ROI one colour, so that its place in the clip can be told.
  item['codes'] = tf.ones_like(item['codes']) * tf.reshape(
    tf.constant([1, 2, 3], tf.int8), (1, 3, 1, 1, 1)
  )
  orders = set()
  for seed in range(8):
    inputs, targets, _ = clips.random_clip(item, [seed, 0], _SHAPE)
    codes = inputs['codes'][0, :, 0, 0, 0].numpy()
    np.testing.assert_allclose(targets['teacher_features'][0, ::16], codes)
    orders.add(tuple(codes))
  assert len(orders) > 2


# --- Network ----------------------------------------------------------------


def test_nothing_of_the_teacher_is_in_the_student():
  cnn, head = build_spatial_cnn(), network.build_head('pulse')
  joined = network.build_network(
    cnn, head, background.input_quantisation('normalise')
  )
  taught = network.with_teacher(joined, {'heart_rate_bpm': 1, 'features': 7})
  assert taught.output_shape['teacher_features'] == (None, None, 7)
  assert 'teacher_pulse' not in taught.output
  assert taught.count_params() - joined.count_params() == 48 * 7 + 7
  assert (cnn.count_params(), head.count_params()) == (9_904, 6_405)
  taught = network.with_teacher(joined, {'heart_rate_bpm': 1, 'features': 48})
  assert taught.count_params() == 9_904 + 6_405


def _head_network(head_name, columns, shape):
  """A head that a teacher's columns are held against, and a clip for it."""
  keras.utils.set_random_seed(1)
  item = _taught(columns)
  item = {n: item[n] for n in item if n not in ('codes', 'chrominance')}
  noise = np.random.default_rng(1).normal(size=(_NUM_FRAMES, 52))
  item['features'] = noise.astype(np.float32)
  batches = clips.validation_clips(tf.data.Dataset.from_tensors(item), shape, 1)
  joined = network.with_teacher(
    network.build_head_network(network.build_head(head_name)),
    teacher.num_values([columns]),
  )
  training.compile_network(
    joined, 0.01, 60, 2.0, 1.0, training.TeacherLoss(False, 2.0, 0.5)
  )
  return joined, batches.cache()


def test_a_teacher_with_rates_alone_is_held_against_as_a_label_is():
  shape = dataclasses.replace(_SHAPE, teacher_weight=1.0)
  joined, batches = _head_network('pulse', _columns(90.0), shape)
  found = joined.evaluate(batches, verbose=0, return_dict=True)
  ((inputs, _, _),) = batches
  outputs = joined(inputs, training=False)
  expected = {
    'teacher_heart_rate_bpm': losses.HuberBpm(),
    'teacher_rate_probability': losses.RateCrossEntropy(),
  }
  for name, loss in expected.items():
    value = loss(tf.constant([[90.0]]), outputs[name]).numpy()
    assert found[f'{name}_loss'] == pytest.approx(value, rel=1e-3)
  # All the weight is the teacher's where it says something; of the pulse it
  # says nothing.
  assert found['heart_rate_bpm_loss'] == found['rate_probability_loss'] == 0
  assert found['pulse_loss'] > 0 and 'teacher_pulse_loss' not in found


def test_a_head_follows_its_teacher():
  """Labels say 80, the teacher 90: with all the weight it wins."""
  shape = dataclasses.replace(
    training.clip_shape('window', 8, 1), teacher_weight=1.0
  )
  joined, batches = _head_network('window', _columns(90.0), shape)
  joined.fit(batches.repeat(), epochs=1, steps_per_epoch=40, verbose=0)
  ((inputs, _, _),) = batches
  found = joined(inputs, training=False)['heart_rate_bpm'].numpy()
  assert np.median(found) == pytest.approx(90, abs=3)


# --- Tables -----------------------------------------------------------------


def test_a_table_comes_back_bit_for_bit(tmp_path):
  columns = _every_column()
  columns['heart_rate_bpm'][:150] = np.nan
  columns['rate_probability'][:150] = np.nan
  tracks = {
    ('subject1', 0): Track(_TIMES_S, columns),
    ('subject1', 1): Track(_TIMES_S + 7, _every_column()),
  }
  path = tmp_path / 'deeper' / 'table.npz'
  assert teacher_table.write(path, Table(tracks, ('subject9',))) == 720
  read = teacher_table.read(path)
  assert read.trained_on == ('subject9',)
  recordings = [('subject1', _TIMES_S), ('subject1', _TIMES_S + 7)]
  joined = [
    teacher_table.join(table, recordings, 'x')
    for table in (Table(tracks), read)
  ]
  for ours, theirs, track in zip(*joined, tracks.values(), strict=True):
    for name, values in track.columns.items():
      np.testing.assert_array_equal(ours[name], values)
      np.testing.assert_array_equal(theirs[name], values)


def _csv(tmp_path, *rows, header='subject,time_s,heart_rate_bpm'):
  path = tmp_path / 'table.csv'
  path.write_text('\n'.join([header, *rows]) + '\n')
  return path


def test_a_csv_of_rates_alone(tmp_path):
  path = _csv(
    tmp_path, 's1,0.5,60', 's1,1.5,70', 's1,2.5,', 's1,3,80', 's1,9,80'
  )
  wanted_s = np.array([0.0, 0.45, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 9.0])
  (columns,) = teacher_table.join(
    teacher_table.read(path), [('s1', wanted_s)], 'x'
  )
  assert list(columns) == ['heart_rate_bpm']
  nan = np.nan
  np.testing.assert_allclose(
    columns['heart_rate_bpm'], [nan, 60, 60, 65, 70, nan, 80, nan, 80]
  )


_BAD_CSV = {
  'time_s must not decrease': ('s1,1,60', 's1,0.5,60'),
  "line 3: time_s: expected a number, got 'x'": ('s1,1,60', 's1,x,60'),
  'row 1, s1: time_s is not finite': ('s1,nan,60',),
  'infinite': ('s1,1,inf',),
  'no row': (),
  'no row of s1, recording 0; 1 of 1 .* another split': ('s2,1,60',),
  'expected BPM, 40 to 160': ('s1,1,1.2', 's1,2,1.3'),
  'no heart rate': ('s1,1,', 's1,2,'),
  'its rows are of 50-60 s': ('s1,50,60', 's1,60,60'),
}


@pytest.mark.parametrize('message', _BAD_CSV)
def test_a_table_that_is_refused(tmp_path, message):
  path = _csv(tmp_path, *_BAD_CSV[message])
  with pytest.raises(InputError, match=message):
    table = teacher_table.read(path)
    teacher_table.join(table, [('s1', np.array([0.0, 1.0, 2.0]))], str(path))


def test_columns_that_are_refused(tmp_path):
  with pytest.raises(InputError, match='heart_rate_bpm missing'):
    teacher_table.read(_csv(tmp_path, header='subject,time_s'))
  with pytest.raises(InputError, match='bpm not known'):
    teacher_table.read(
      _csv(tmp_path, header='subject,time_s,heart_rate_bpm,bpm')
    )
  good = {'subject': ['s'], 'time_s': [1.0], 'heart_rate_bpm': [60.0]}
  for more, message in (
    ({'rate_probability': np.ones((1, 70))}, r'expected numbers \(1, 71\)'),
    ({'pulse': [np.nan]}, 'row 1, s: pulse is not finite'),
    ({'spo2': [98.0]}, 'unknown column spo2'),
    ({'time_s': [1.0, 2.0]}, r'subject: expected text \(2,\)'),
  ):
    np.savez(tmp_path / 'table.npz', **good | more)
    with pytest.raises(InputError, match=message):
      teacher_table.read(tmp_path / 'table.npz')
  (tmp_path / 'table.npz').write_bytes(b'no archive')
  with pytest.raises(InputError, match='no table'):
    teacher_table.read(tmp_path / 'table.npz')


# --- Models -----------------------------------------------------------------


def _window_model(package, shape=(8, 3, 36, 36, 3)):
  """Green of frame 1 of the window, times 60, plus 60."""
  windows = package.layers.Input(shape)
  x = package.layers.Flatten()(windows)
  x = package.layers.Dense(1)(x)
  model = package.Model(windows, x)
  kernel = np.zeros(shape, np.float32)
  kernel[1, ..., 1] = 60 / kernel[1, ..., 1].size
  model.layers[-1].set_weights([kernel.reshape(-1, 1), np.array([60.0])])
  return model


def _expected_bpm(frames):
  """What _window_model says of each frame: the fifth of its window."""
  green = frames[..., 1].astype(np.float64).mean((1, 2, 3)) / 255 * 60 + 60
  rates = np.full(len(frames), np.nan)
  rates[4:-3] = green[1:-6]
  return rates


def _keras3():
  import keras as keras3

  return keras3


@pytest.mark.parametrize('package', [lambda: keras, _keras3])
@pytest.mark.parametrize('suffix', ['.keras', '.h5'])
def test_a_keras_file_says_the_rate_of_the_fifth_frame(
  tmp_path, package, suffix
):
  path = tmp_path / f'model{suffix}'
  _window_model(package()).save(path)
  example = made_up_examples.example(num_frames=50)
  track = teacher_models.file_predictor(path)(example)
  np.testing.assert_allclose(
    track.columns['heart_rate_bpm'], _expected_bpm(example['frames']), rtol=1e-5
  )


@pytest.mark.parametrize('batch', [None, 1, 4])
def test_a_tflite_file_of_any_batch(tmp_path, batch):
  path = _tflite(tmp_path, batch)
  example = made_up_examples.example(num_frames=50)
  track = teacher_models.file_predictor(path)(example)
  np.testing.assert_allclose(
    track.columns['heart_rate_bpm'], _expected_bpm(example['frames']), rtol=1e-5
  )
  short = teacher_models.file_predictor(path)(
    made_up_examples.example(num_frames=5)
  )
  assert np.all(np.isnan(short.columns['heart_rate_bpm']))


def _tflite(tmp_path, batch, shape=(8, 3, 36, 36, 3)):
  model = _window_model(keras, shape)
  spec = tf.TensorSpec((batch, *shape), tf.float32)
  concrete = tf.function(model).get_concrete_function(spec)
  converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
  path = tmp_path / 'model.tflite'
  path.write_bytes(converter.convert())
  return path


def test_models_that_are_refused(tmp_path):
  expected = r'expected float32 \(batch, T, 3, 36, 36, 3\) to \(batch, 1\), got'
  path = tmp_path / 'model.keras'
  _window_model(keras, (8, 3, 24, 24, 3)).save(path)
  with pytest.raises(InputError, match=rf'{expected} .*24, 24'):
    teacher_models.file_predictor(path)
  with pytest.raises(InputError, match=rf'{expected} .*24, 24'):
    teacher_models.file_predictor(_tflite(tmp_path, 1, (8, 3, 24, 24, 3)))
  ours = run_directory.PRETRAINED / run_directory.INT8_MODEL
  with pytest.raises(InputError, match=rf'{expected} int8 \(1, 36, 36, 3\)'):
    teacher_models.file_predictor(ours)
  for suffix in teacher_models.SUFFIXES:
    path = tmp_path / f'damaged{suffix}'
    path.write_bytes(b'nothing of the kind')
    with pytest.raises(InputError, match=f'damaged{suffix}: no'):
      teacher_models.file_predictor(path)


@pytest.mark.parametrize('suffix', ['.keras', '.h5'])
def test_code_in_a_keras_file_is_not_run(tmp_path, suffix):
  windows = keras.layers.Input((8, 3, 36, 36, 3))
  x = keras.layers.Lambda(lambda x: x)(windows)
  x = keras.layers.Dense(1)(keras.layers.Flatten()(x))
  path = tmp_path / f'model{suffix}'
  keras.Model(windows, x).save(path)
  with pytest.raises(InputError, match='Lambda layer, which is code'):
    teacher_models.file_predictor(path)


def test_a_run_says_what_evaluation_says(tmp_path):
  run_dir = untrained_run.write(tmp_path / 'run', width=2)
  example = made_up_examples.example()
  predict = teacher_models.run_predictor(run_dir)
  columns = predict(example).columns
  assert columns['features'].shape == (_NUM_FRAMES, 48)
  assert columns['rate_probability'].shape == (_NUM_FRAMES, 71)
  # Windows of 300 samples: no rate where half of one does not fit.
  known = np.isfinite(columns['heart_rate_bpm'])
  assert known[152:206].all() and not known[:146].any()
  assert not known[214:].any()
  estimate = evaluation.float_estimator(
    *run_directory.load_float(run_dir),
    run_directory.input_quantisation(run_dir),
  )(evaluation.with_codes(example, 'normalise'))
  np.testing.assert_allclose(
    columns['heart_rate_bpm'][[150, 180, 210]],
    estimate.heart_rate_bpm,
    atol=1e-2,
  )
  np.testing.assert_allclose(columns['pulse'], estimate.pulse, atol=1e-3)
  # Of less than a window there is no rate.
  columns = predict(made_up_examples.example(num_frames=200)).columns
  assert np.all(np.isnan(columns['heart_rate_bpm']))
  assert np.all(np.isfinite(columns['pulse']))


# --- From the model or from its table ---------------------------------------


def test_the_table_of_a_run_makes_the_student_that_the_run_makes(tmp_path):
  done = commands.run('tests.distilled_twice', tmp_path)
  assert done.returncode == 0, done.stderr
  weights = np.load(tmp_path / 'students.npz')
  of_run = {n: w for n, w in weights.items() if n.startswith('run_')}
  assert len(of_run) == len(weights) / 2 == 28
  for name, values in of_run.items():
    np.testing.assert_array_equal(
      values, weights[name.replace('run_', 'table.npz_')]
    )


# --- What is refused --------------------------------------------------------


def test_a_teacher_that_has_seen_the_test_is_refused(monkeypatch):
  table = Table({('s1', 0): Track(_TIMES_S, _columns())}, ('s1', 's3'))
  monkeypatch.setattr(teacher, 'predictions', lambda *_: table)
  split = {'train': ['s1'], 'validation': ['s2'], 'test': ['s3']}
  with pytest.raises(InputError, match='has learnt from s3'):
    teacher.columns('run', 'data', 'inner', split)


def test_names_that_are_no_teacher(tmp_path):
  path = tmp_path / 'teacher.pth'
  path.touch()
  with pytest.raises(InputError, match='expected a run directory or a file'):
    teacher.predictions(path, 'data', 'inner', [])
  with pytest.raises(InputError, match=r'is .* a run directory'):
    teacher.predictions(tmp_path, 'data', 'inner', [])


def _results(*mae_bpm):
  common = {'subjects': 7, 'windows': 71, 'parameters': 16_309, 'rmse_bpm': 1.0}
  return {
    name: [
      {'seed': seed, 'mae_bpm': one, **common}
      for seed, one in enumerate(runs, 1)
    ]
    for name, runs in zip(
      (
        distillation_table.STUDENT,
        distillation_table.TEACHER,
        distillation_table.DISTILLED,
      ),
      mae_bpm,
      strict=True,
    )
  }


def test_the_verdict_counts_what_is_more_than_the_spread():
  alone, taught_by = (1.0, 1.2, 1.4), (0.9, 0.9, 0.9)
  for distilled, said in (
    ((0.8, 1.0, 1.3), 'helps: distilled minus alone -0.17'),
    ((1.2, 1.4, 1.7), 'harms'),
    ((0.7, 1.6, 1.3), 'makes no difference'),
  ):
    results = _results(alone, taught_by, distilled)
    assert said in distillation_table.verdict(results)
  table = distillation_table.table(results).splitlines()
  assert 'student alone | 16,309 | 1.00 | 1.20 | 1.40 | 1.20 | 0.20' in table[2]
  assert len({line.count('|') for line in table}) == 1
