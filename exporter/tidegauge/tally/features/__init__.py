"""Features as counts: what is watched of a model, its bins, and the sums of rows in them."""
