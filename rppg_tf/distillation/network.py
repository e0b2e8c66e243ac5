"""A network whose loss also compares it with a teacher."""

from rppg_tf import contract
from rppg_tf.data.teacher_targets import TEACHER
from rppg_tf.keras_compat import keras
from rppg_tf.model import network as network_layers


def with_teacher(
  network: keras.Model, num_values: dict[str, int]
) -> keras.Model:
  """Gives a network outputs again that a teacher's targets are held against.

  Args:
    network: of build_network or build_head_network.
    num_values: of a frame, by name of teacher_table.COLUMNS, that the teacher
      gives.

  Returns:
    The same network, its outputs and teacher_NAME of them. Only where the
    teacher's features are not as many as ours does it have weights more, of
    a projection that is in neither part that is saved.
  """
  outputs = dict(network.output)
  num_values = {**num_values, 'rate_probability': contract.NUM_RATES}
  again = {
    f'{TEACHER}{name}': network.output[name]
    for name in num_values
    if name in network.output
  }
  if 'features' in num_values:
    x = network.get_layer('grid').output  # [batch, samples, 48 or 52]
    x = network_layers.FirstFeatures(
      contract.NUM_ROI_FEATURES, name='roi_features'
    )(x)
    # [batch, samples, 48]
    if num_values['features'] != contract.NUM_ROI_FEATURES:
      x = keras.layers.Dense(num_values['features'], name='teacher_projection')(
        x
      )
    again[f'{TEACHER}features'] = x
  outputs |= network_layers.named_outputs(again)
  return keras.Model(network.input, outputs, name='distilled_network')
