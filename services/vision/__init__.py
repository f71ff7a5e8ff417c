"""The vision service: images in; classes, boxes or vectors out."""
