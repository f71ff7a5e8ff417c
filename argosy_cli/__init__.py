"""The command `argosy`: train, export, run and ask a fleet. It talks gRPC and starts programs; it imports none."""
