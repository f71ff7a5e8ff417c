"""What the manifests are tested with: a real control plane, its tools, and a node that runs the fleet's own processes."""
