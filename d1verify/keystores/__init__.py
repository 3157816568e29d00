"""Where keys come from: objects in hand, the environment, files, an HTTP endpoint."""
