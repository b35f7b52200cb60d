"""What users teach a collection, and the model that answers from it."""
