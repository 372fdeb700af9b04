"""burnish: agent graphs with verifier-driven search, every call and verdict kept in SQL."""

__version__ = "0.1.0"
