"""Roles that the model plays: a prompt, a call, a typed output. Prompts are data, in `prompts/`."""
