"""Pictures of scenes, drawn without a window."""
