"""Environments that agents act in over several turns: SQL, a shop, functions of one's own; and the verifier of their rewards."""

from .registry import ENVIRONMENTS, environment_maker
from .reward import EnvironmentReward
from .shop import Shop
from .sql import Sql
from .toolbox import Toolbox

__all__ = ["ENVIRONMENTS", "EnvironmentReward", "Shop", "Sql", "Toolbox", "environment_maker"]
