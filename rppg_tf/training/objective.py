"""What training and quantisation-aware fine-tuning share."""

import dataclasses

from rppg_tf.data.teacher_targets import TEACHER
from rppg_tf.keras_compat import keras
from rppg_tf.training import losses

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
    teacher_loss: of a network of network.with_teacher. The blend weights of
      teacher and labels are in the clips' sample weights.
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
