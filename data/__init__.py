"""Small data that the package ships: ImageNet labels, the categories above them, and a mean of features."""
