"""What the vision, text and tabular services share: fronts, queues, models on disk, sessions, errors, settings."""
