"""Accuracy: what is evaluated (EvaluateConfig), and how (evaluate)."""

from rppg_tf.evaluation.config import EvaluateConfig
from rppg_tf.evaluation.protocols import evaluate
from rppg_tf.evaluation.result import Evaluation

__all__ = ['EvaluateConfig', 'Evaluation', 'evaluate']
