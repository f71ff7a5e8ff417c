"""What the manifests are tested with: a real control plane, simulated zones, and a node that runs the fleet itself."""
