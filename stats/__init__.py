"""Statistics of evaluations: plain numbers in, estimates with their uncertainty out. Knows no runs and no database."""

from .intervals import (
    Interval,
    bootstrap,
    bootstrap_statistic,
    median,
    quantile,
    rule_of_three,
    standard_error,
    t_interval,
    wilson,
)
from .paired import Paired, compare_paired, holm, mcnemar, non_inferior, paired_bootstrap, score_interval, sign_flip
from .pools import Auroc, chosen_at_k, majority_at_k, pass_at_k, pass_hat_k, subset_mean, within_auroc
from .power import needed_tasks, needed_tasks_unpaired, power_sentence, smallest_difference, smallest_difference_unpaired
from .resampling import Resampling
from .verifier_quality import Audit, allowed_fpr, ceiling, rate_over_tasks

__all__ = [
    "Audit",
    "Auroc",
    "Interval",
    "Paired",
    "Resampling",
    "allowed_fpr",
    "bootstrap",
    "bootstrap_statistic",
    "ceiling",
    "chosen_at_k",
    "compare_paired",
    "holm",
    "majority_at_k",
    "mcnemar",
    "median",
    "needed_tasks",
    "needed_tasks_unpaired",
    "non_inferior",
    "paired_bootstrap",
    "pass_at_k",
    "pass_hat_k",
    "power_sentence",
    "quantile",
    "rate_over_tasks",
    "rule_of_three",
    "score_interval",
    "sign_flip",
    "smallest_difference",
    "smallest_difference_unpaired",
    "standard_error",
    "subset_mean",
    "t_interval",
    "wilson",
    "within_auroc",
]
