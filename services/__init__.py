"""The services of the fleet: vision, text, tabular and the router, over one runtime."""
