"""Small data the package ships: ImageNet labels, the feature mean of the default extractor."""
