"""How it misbehaves when it is told to: hostility, scripted faults, changes between calls."""
