<<<<<<< HEAD
"""Features as counts: what is watched of a model, its bins, and the sums of rows in them."""
=======
"""What a model is given and what it answers, as counts that add."""
>>>>>>> h6m
