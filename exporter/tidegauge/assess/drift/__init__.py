"""Have the inputs and answers of a model moved? Counts of bins in, distances, noise floors and evidence out."""
