"""Values and protocols that every other room speaks in. Imports nothing of burnish but itself."""
