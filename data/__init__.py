"""Small data the package ships: ImageNet labels, the kinds above them, the feature mean of the default extractor."""
